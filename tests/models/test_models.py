"""The whole registry at a tiny size, DropPathway, masks, hard negatives, fully-convolutional testing."""

import itertools

import pytest
import torch
from helpers import tiny_cfg
from helpers.networks import loss_of, make, WIDTH

from avslowfast.config.names import ARCHITECTURES, HEADS, LATERALS, TRANSFORMS
from avslowfast.models import build_model
from avslowfast.models.norm import FrozenBatchNorm, is_batch_norm, NormSpec


def with_gradient(model):
    return {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


# Overrides that choose a head; the others are chosen by MODEL.HEAD.
OVERRIDES = {
    "single": (),
    "multi": (
        "MULTI_HEAD.NAMES",
        ["verb", "noun"],
        "MULTI_HEAD.NUM_CLASSES",
        [5, 7],
        "MULTI_HEAD.LOSS_WEIGHTS",
        [0.5, 0.5],
    ),
    "roi": ("DETECTION.ENABLE", True, "DETECTION.SPATIAL_SCALE_FACTOR", 32),
}
# The head of pretexts is of another task, see `test_heads.py`.
CLASSIFIERS = [head for head in HEADS if head != "pretext"]
DEPTHS = [18, 34, 50, 101, 152]


def depth_args(depth):
    return ("RESNET.DEPTH", depth, "RESNET.TRANS_FUNC", "basic_transform" if depth < 50 else "bottleneck_transform")


def boxes_for(head):
    return torch.tensor([[0, 2.0, 2, 30, 30], [1, 5, 5, 40, 44], [2, 0, 0, 48, 48]]) if head == "roi" else None


def check_outputs(model, inputs, head, boxes, classes=16):
    model.eval()
    with torch.no_grad():
        scores = model(inputs, boxes=boxes)["scores"]
    if head == "multi":
        assert {n: tuple(s.shape) for n, s in scores.items()} == {"verb": (3, 5), "noun": (3, 7)}
        scores = torch.cat(list(scores.values()), 1)
    else:
        assert scores.shape == (3, classes)
    assert torch.isfinite(scores).all()
    model.train()


# Architecture and, with visual and audio pathways, the audio lateral; boxes need frames.
NETWORKS = [
    (arch, lateral)
    for arch in ARCHITECTURES
    for lateral in (LATERALS if {"slow", "audio"} <= set(ARCHITECTURES[arch]) else ["a2fs"])
]
COMBINATIONS = [
    (*network, head)
    for network, head in itertools.product(NETWORKS, CLASSIFIERS)
    if (network[0], head) != ("audio", "roi")
]


@pytest.mark.parametrize("arch, lateral, head", COMBINATIONS)
@pytest.mark.parametrize("depth", DEPTHS)
def test_pathways_laterals_heads_and_depths(arch, lateral, head, depth):
    overrides = OVERRIDES.get(head, ("MODEL.HEAD", head))
    model, inputs = make("MODEL.ARCH", arch, "LATERAL.AUDIO", lateral, *overrides, *depth_args(depth))
    boxes = boxes_for(head)
    check_outputs(model, inputs, head, boxes)
    out = model(inputs, boxes=boxes, drop_audio=False)
    loss_of(out).backward()
    got = with_gradient(model)
    if model.sync_heads:
        # What is compared after the first audio lateral gets its gradient in dropped iterations.
        loss_of(model(inputs, boxes=boxes, drop_audio=True)).backward()
        got = with_gradient(model)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == got
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


STAGE_SETS = [[i in s for i in range(4)] for s in ([], [0], [1], [2], [3], [2, 3], [0, 1, 2, 3])]


@pytest.mark.parametrize("kind", LATERALS)
@pytest.mark.parametrize("stages", STAGE_SETS, ids=lambda s: "".join("x" if on else "." for on in s))
@pytest.mark.parametrize("pool5", [True, False])
def test_laterals_at_any_subset_of_stages(kind, stages, pool5):
    avs = [True] * 5
    model, inputs = make(
        "LATERAL.AUDIO",
        kind,
        "SLOWFAST.AFS_FUSION",
        stages,
        "LATERAL.AUDIO_POOL5",
        pool5,
        "SLOWFAST.AVS_FLAG",
        avs,
        "DATA.AUDIO_FRAME_NUM",
        128,
        "SLOWFAST.AU_ALPHA",
        32,
    )
    check_outputs(model, inputs, "single", None)
    first = next((i for i, on in enumerate(stages) if on), 4)
    names = ["avs_pool1", "avs_res2", "avs_res3", "avs_res4", "avs_res5"]
    out = model(inputs, drop_audio=False)
    assert list(out["losses"]) == names[: first + 1]
    loss_of(out).backward()
    out = model(inputs, drop_audio=True)
    assert list(out["losses"]) == names
    loss_of(out).backward()
    assert {n for n, p in model.named_parameters() if p.requires_grad} == with_gradient(model)


@pytest.mark.parametrize("trans", TRANSFORMS)
@pytest.mark.parametrize("norm", ["batchnorm", "sub_batchnorm", "sync_batchnorm", "frozen_batchnorm"])
def test_audio_blocks_and_norms(trans, norm):
    model, inputs = make(
        "RESNET.AUDIO_TRANS_FUNC", trans, "BN.NORM_TYPE", norm, "BN.NUM_SPLITS", 2, *depth_args(50), batch=4
    )
    model.train()
    before = {n: b.clone() for n, b in model.named_buffers() if n.endswith("running_mean")}
    loss_of(model(inputs, drop_audio=True)).backward()
    moved = any(not torch.equal(before[n], b) for n, b in model.named_buffers() if n in before)
    assert moved == (norm != "frozen_batchnorm")
    loss_of(model(inputs, drop_audio=False)).backward()
    assert {n for n, p in model.named_parameters() if p.requires_grad} == with_gradient(model)


def test_audio_learns_beside_frozen_visual_pathways():
    model, inputs = make("BN.NORM_TYPE", "frozen_batchnorm", "BN.AUDIO_NORM_TYPE", "batchnorm")
    frozen = {n for n, m in model.named_modules() if isinstance(m, FrozenBatchNorm)}
    plain = {n for n, m in model.named_modules() if is_batch_norm(m)} - frozen
    assert {n.split(".")[0] for n in plain} == {"pathways", "audio_laterals", "sync_heads"}
    assert {n.split(".")[1] for n in plain if n.startswith("pathways")} == {"audio"}
    assert {n.split(".")[0] for n in frozen} == {"pathways", "fast_to_slow"}
    assert {n.split(".")[1] for n in frozen if n.startswith("pathways")} == {"slow", "fast"}
    for drop in (True, False):
        loss_of(model(inputs, drop_audio=drop)).backward()
    assert {n for n, p in model.named_parameters() if p.requires_grad} == with_gradient(model)


def test_sub_batchnorm_is_a_plain_batchnorm_for_every_nth_clip():
    torch.manual_seed(1)
    sub, parts = NormSpec("sub_batchnorm", num_splits=3)(4, 3), [NormSpec()(4, 3) for _ in range(3)]
    weight, bias = torch.rand(4), torch.rand(4)
    for layer in (sub, *parts):
        layer.load_state_dict({"weight": weight, "bias": bias}, strict=False)
    for step in range(3):
        x = torch.randn(6, 4, 2, 3, 3) * 3 + torch.arange(6).view(6, 1, 1, 1, 1) * step
        y = sub(x)
        for i, part in enumerate(parts):
            torch.testing.assert_close(y[i::3], part(x[i::3]))
    means, variances = (torch.stack([getattr(part, n) for part in parts]) for n in ("running_mean", "running_var"))
    torch.testing.assert_close(sub.split_mean, means)
    torch.testing.assert_close(sub.split_var, variances)
    whole = NormSpec()(4, 3).eval()
    statistics = {"running_mean": means.mean(0), "running_var": variances.mean(0) + means.var(0, correction=0)}
    whole.load_state_dict({"weight": weight, "bias": bias, **statistics}, strict=False)
    torch.testing.assert_close(sub.eval()(x), whole(x))
    assert sub.num_batches_tracked == 3


@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 2), (4, 3, 2, 4, 4), (5, 3, 2, 4, 4)])
def test_gradients_of_sub_batchnorm_are_those_of_its_parts(shape):
    torch.manual_seed(1)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    sub, plain = (NormSpec(kind, num_splits=2)(3, len(shape) - 2).double() for kind in ("sub_batchnorm", "batchnorm"))
    weights = torch.randn(shape, dtype=torch.float64)
    ours = torch.autograd.grad((sub(x) * weights).sum(), (x, *sub.parameters()))
    y = torch.cat([plain(x[i::2]) for i in range(2)])[
        torch.cat([torch.arange(len(x))[i::2] for i in range(2)]).argsort()
    ]
    theirs = torch.autograd.grad((y * weights).sum(), (x, *plain.parameters()))
    for a, b in zip(ours, theirs):
        torch.testing.assert_close(a, b)


def test_parts_of_sub_batchnorm_begin_with_the_statistics_of_a_plain_one():
    sub, plain = NormSpec("sub_batchnorm", num_splits=2)(4, 3), NormSpec()(4, 3)
    plain(torch.randn(4, 4, 2, 3, 3) + 1)
    sub.load_state_dict(plain.state_dict())
    assert torch.equal(sub.split_mean, plain.running_mean.expand(2, 4))
    assert torch.equal(sub.split_var, plain.running_var.expand(2, 4))
    sub(torch.randn(4, 4, 2, 3, 3))
    resumed = NormSpec("sub_batchnorm", num_splits=2)(4, 3)
    resumed.load_state_dict(sub.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(resumed.state_dict().values(), sub.state_dict().values()))
    with pytest.raises(ValueError, match="a batch of 1 does not split into BN.NUM_SPLITS 2"):
        sub(torch.randn(1, 4, 2, 3, 3))


def test_slow_network_with_groups_pooling_and_dilation():
    model, inputs = make(
        "MODEL.ARCH",
        "slow",
        *depth_args(50),
        "RESNET.NUM_GROUPS",
        2,
        "NONLOCAL.LOCATION",
        [[[]], [[0]], [[1]], [[]]],
        "NONLOCAL.GROUP",
        [[1], [2], [4], [1]],
        "NONLOCAL.INSTANTIATION",
        "softmax",
        "RESNET.SPATIAL_STRIDES",
        [[1], [2], [2], [1]],
        "RESNET.SPATIAL_DILATIONS",
        [[1], [1], [1], [2]],
    )
    x = model.pathways["slow"](inputs["slow"], "pool1")
    for stage in ("res2", "res3", "res4", "res5"):
        x = model.pathways["slow"](x, stage)
    assert x.shape[-2:] == (3, 3)
    loss_of(model(inputs)).backward()
    assert {n for n, _ in model.named_parameters()} == with_gradient(model)


def test_inputs_are_checked():
    model, inputs = make()
    with pytest.raises(ValueError, match="pathway 'audio'"):
        model({k: v for k, v in inputs.items() if k != "audio"})
    visual, _ = make("MODEL.ARCH", "slowfast")
    with pytest.raises(ValueError, match="no pathway 'audio'"):
        visual(inputs)


def test_raw_pixels_equal_normalised_floats():
    model, inputs = make()
    model.eval()
    raw = torch.randint(0, 256, inputs["fast"].shape, dtype=torch.uint8)
    slow = raw[:, :, ::2]
    mean, std = 0.45, 0.225
    with torch.no_grad():
        a = model({"slow": slow, "fast": raw, "audio": inputs["audio"]})["scores"]
        b = model({"slow": (slow / 255 - mean) / std, "fast": (raw / 255 - mean) / std, "audio": inputs["audio"]})[
            "scores"
        ]
    torch.testing.assert_close(a, b)


def test_larger_crops_give_the_mean_of_the_positions_scores():
    cfg = tiny_cfg(
        *WIDTH,
        "DATA.TRAIN_CROP_SIZE",
        32,
        "DATA.TEST_CROP_SIZE",
        64,
        "DATA.TRAIN_JITTER_SCALES",
        [32, 40],
        "MODEL.ARCH",
        "slow",
    )
    model = build_model(cfg).eval()
    torch.nn.init.normal_(model.head.projection.weight)
    x = torch.randn(2, 3, 8, 96, 96)
    with torch.no_grad():
        features = x
        for stage in ("pool1", "res2", "res3", "res4", "res5"):
            features = model.pathways["slow"](features, stage)
        cells = features.mean(2).flatten(2).transpose(1, 2)
        expected = model.head.projection(cells).softmax(-1).mean(1)
        torch.testing.assert_close(model({"slow": x})["scores"], expected)
    assert not torch.allclose(expected, model.head.projection(cells.mean(1)).softmax(-1), atol=1e-4)
    # Any crop works, also one below the training crop.
    assert model({"slow": x[..., :20, :20]})["scores"].shape == (2, 16)
