"""Every shape of multigrid goes through every kind of network, and batch norm follows the shape."""

import pytest
import torch
from helpers import MULTIGRID, tiny_cfg
from helpers.networks import WIDTH

from avslowfast.config import derived
from avslowfast.config.multigrid import NormParts
from avslowfast.config.names import ARCHITECTURES, LATERALS
from avslowfast.models import build_model
from avslowfast.models.norm import MultigridBatchNorm, set_parts, SubBatchNorm

KEYS = (*WIDTH, *MULTIGRID, "MULTIGRID.LONG_CYCLE_FACTORS", [[0.25, 0.67], [0.5, 0.67], [1, 1]])
NETWORKS = [("MODEL.ARCH", arch) for arch in ARCHITECTURES if arch != "avslowfast"]
NETWORKS += [("LATERAL.AUDIO", kind) for kind in LATERALS]


def inputs_of(cfg, shape, batch=4):
    shapes = {
        "slow": (batch, 3, shape.frames // derived.alpha(cfg), shape.crop, shape.crop),
        "fast": (batch, 3, shape.frames, shape.crop, shape.crop),
        "audio": (batch, 1, derived.spectrogram_frames(cfg, shape), cfg.DATA.AUDIO_MEL_NUM),
    }
    return {name: torch.randn(shapes[name]) for name in derived.pathways(cfg)}


@pytest.mark.parametrize("network", NETWORKS, ids=lambda pair: pair[1])
def test_every_network_trains_in_every_shape(network):
    cfg = tiny_cfg(*KEYS, *network)
    model, schedule = build_model(cfg), derived.schedule(cfg)
    assert {type(m).__name__ for m in model.modules() if "Norm" in type(m).__name__} == {"MultigridBatchNorm"}
    assert len(schedule.shapes) == (3 if cfg.MODEL.ARCH == "audio" else 4)
    for shape in schedule.shapes:
        set_parts(model, NormParts(splits=2))
        inputs = inputs_of(cfg, shape)
        if derived.is_audiovisual(cfg):
            inputs["audio_hard_negative"] = torch.randn_like(inputs["audio"][:1])
            inputs["audio_hard_negative_index"] = torch.tensor([2])
        for drop in (False, True) if derived.is_audiovisual(cfg) else (None,):
            out = model(inputs, drop_audio=drop)
            (out["logits"].square().sum() + sum(out["losses"].values())).backward()
            assert out["logits"].shape == (4, 16)
            compared = {"avs_res3", "avs_res4", "avs_res5"} if drop else {"avs_res3"}
            assert out["losses"].keys() == (compared if derived.is_audiovisual(cfg) else set())


@pytest.mark.parametrize("detection", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_heads_of_several_classifiers_and_of_boxes_train_in_every_shape(detection):
    more = ["DETECTION.ENABLE", True, "MODEL.LOSS_FUNC", "bce"] if detection else [
        "MULTI_HEAD.NAMES", ["verb", "noun"], "MULTI_HEAD.NUM_CLASSES", [3, 4], "MULTI_HEAD.LOSS_WEIGHTS", [1, 1]
    ]  # fmt: skip
    cfg = tiny_cfg(*KEYS, *more)
    model = build_model(cfg)
    boxes = torch.tensor([[0, 2, 2, 20, 20], [3, 1, 1, 30, 30]]).float() if detection else None
    for shape in derived.schedule(cfg).shapes:
        logits = model(inputs_of(cfg, shape), boxes=boxes, drop_audio=False)["logits"]
        shapes = [logits.shape] if detection else [logits["verb"].shape, logits["noun"].shape]
        assert shapes == ([(2, 16)] if detection else [(4, 3), (4, 4)])


def test_a_batch_norm_of_parts_normalises_as_sub_batch_norm():
    ours, theirs = MultigridBatchNorm(6, 1e-5, 0.1), SubBatchNorm(6, 1e-5, 0.1, num_splits=4)
    ours.splits = 4
    for rows in (8, 10):
        x = torch.randn(rows, 6, 3, 5)
        assert torch.equal(ours(x), theirs(x))
    assert torch.allclose(ours.running_mean, theirs.running_mean, atol=1e-6)
    assert torch.allclose(ours.running_var, theirs.split_var.mean(0), atol=1e-6)


def test_in_its_plain_shape_it_is_a_plain_batch_norm():
    ours, plain = MultigridBatchNorm(6, 1e-5, 0.1), torch.nn.BatchNorm2d(6)
    x = torch.randn(8, 6, 3, 5)
    assert torch.equal(ours(x), plain(x))
    assert all(torch.allclose(value, plain.state_dict()[name]) for name, value in ours.state_dict().items())
    assert ours.state_dict().keys() == plain.state_dict().keys()


def test_weights_of_a_training_with_multigrid_are_those_of_the_plain_network():
    many, plain = build_model(tiny_cfg(*KEYS)), build_model(tiny_cfg(*WIDTH))
    plain.load_state_dict(many.state_dict())
    inputs = inputs_of(tiny_cfg(*KEYS), derived.schedule(tiny_cfg(*KEYS)).recipe.full)
    assert torch.equal(many.eval()(inputs)["scores"], plain.eval()(inputs)["scores"])


def test_frozen_batch_norms_stay_frozen():
    model = build_model(tiny_cfg(*KEYS, "BN.NORM_TYPE", "frozen_batchnorm", "BN.AUDIO_NORM_TYPE", "batchnorm"))
    kinds = {name.split(".")[1]: type(m).__name__ for name, m in model.named_modules() if "Norm" in type(m).__name__}
    assert (kinds["slow"], kinds["audio"]) == ("FrozenBatchNorm", "MultigridBatchNorm")
