"""Checkpoints of every format: what they become here, what is refused, and the way back."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest
import torch
import torchvision
import weights as conformance
from helpers import ROOT, tiny_cfg
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from avslowfast.checkpoint import CheckpointError, from_avslowfast, load_weights, read_checkpoint, require, to_avslowfast
from avslowfast.checkpoint.convert import convert
from avslowfast.config import load_cfg
from avslowfast.config.names import STAGES
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes

BOTTLENECK = (
    "RESNET.DEPTH",
    50,
    "RESNET.TRANS_FUNC",
    "bottleneck_transform",
    "RESNET.WIDTH_PER_GROUP",
    8,
    "SLOWFAST.AU_BETA_INV",
    2,
)
NONLOCAL = ("NONLOCAL.LOCATION", [[[], []], [[1], []], [[0], []], [[], []]])
DETECTION = ("DETECTION.ENABLE", True, "DETECTION.SPATIAL_SCALE_FACTOR", 32)
PLAIN = ("SLOWFAST.AFS_FUSION", [False, False, True, True], "SLOWFAST.AVS_FLAG", [False, False, True, True, True])


def make(*overrides, seed="a"):
    """A tiny bottleneck network whose every tensor differs from every other: by name, as the conformance vectors' do."""
    model = build_model(tiny_cfg(*BOTTLENECK, *overrides)).eval()
    model.load_state_dict(
        {name: conformance.tensor_for(name, tensor.shape, seed) for name, tensor in model.state_dict().items()}
    )
    return model


def save(state, path):
    torch.save({"model_state": state, "epoch": 3}, path)
    return path


def inputs_for(model, cfg_overrides=(), crop=48, batch=2):
    torch.manual_seed(0)
    return {
        name: torch.randn(shape)
        for name, shape in input_shapes(tiny_cfg(*BOTTLENECK, *cfg_overrides), crop, batch).items()
    }


def stage_features(model, inputs, **kwargs):
    """{(pathway, stage): features} of one forward pass."""
    found, hooks = {}, []
    for name, pathway in model.pathways.items():
        hooks += [
            getattr(pathway, s).register_forward_hook(lambda m, i, out, key=(name, s): found.update({key: out}))
            for s in STAGES
            if hasattr(pathway, s)
        ]
    with torch.no_grad():
        found["scores"] = model(inputs, **kwargs)["scores"]
    for hook in hooks:
        hook.remove()
    return found


# ---- There and back ---------------------------------------------------------------------------------------------------
NETWORKS = {
    "slow": ("MODEL.ARCH", "slow"),
    "slowfast": ("MODEL.ARCH", "slowfast"),
    "nonlocal": ("MODEL.ARCH", "slowfast", *NONLOCAL),
    "detection": ("MODEL.ARCH", "slowfast", *DETECTION),
    "slow detection": ("MODEL.ARCH", "slow", *DETECTION),
    "avslowfast": PLAIN,
    "avslowfast v2": (
        *PLAIN,
        "RESNET.AUDIO_TRANS_FUNC",
        "tf_bottleneck_transform_v2",
        "SLOWFAST.FS_FUSION",
        [False, False, True, True],
    ),
    "audio": ("MODEL.ARCH", "audio"),
    "depth 18": ("MODEL.ARCH", "slowfast", "RESNET.DEPTH", 18, "RESNET.TRANS_FUNC", "basic_transform"),
    "depth 101": ("MODEL.ARCH", "slowfast", "RESNET.DEPTH", 101),
}
WRITABLE = {
    "pyslowfast": list(NETWORKS),
    "pytorchvideo": ["slow", "slowfast", "detection", "slow detection", "depth 101"],
    "avslowfast": ["avslowfast"],
}


@pytest.mark.parametrize("target, network", [(t, n) for t, networks in WRITABLE.items() for n in networks])
def test_there_and_back_is_bit_for_bit_the_same(tmp_path, target, network):
    model = make(*NETWORKS[network])
    own = model.state_dict()
    kept = {"class_names": ["a", "b"], "cfg": tiny_cfg(*BOTTLENECK, *NETWORKS[network]).dump(), "epoch": 5}
    torch.save({"model_state": own, "optimizer_state": {}, **kept}, tmp_path / "own.pyth")
    words = convert(tmp_path / "own.pyth", tmp_path / "other.pyth", target)
    assert "left out: optimizer_state" in words and f"{len(own)} tensors" in words
    convert(tmp_path / "other.pyth", tmp_path / "back.pyth", "avslowfast")
    back = read_checkpoint(tmp_path / "back.pyth")
    assert list(back["model_state"]) == list(own) and {key: back[key] for key in kept} == kept
    assert all(
        torch.equal(own[n], back["model_state"][n]) and own[n].dtype == back["model_state"][n].dtype for n in own
    )
    # And from the other side.
    convert(tmp_path / "back.pyth", tmp_path / "again.pyth", target)
    first, second = (read_checkpoint(tmp_path / f"{name}.pyth")["model_state"] for name in ("other", "again"))
    assert list(first) == list(second) and all(torch.equal(first[n], second[n]) for n in first)
    # The other project's file fills the network by itself.
    fresh = build_model(tiny_cfg(*BOTTLENECK, *NETWORKS[network]))
    assert load_weights(fresh, tmp_path / "other.pyth").complete
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), own.values()))


@pytest.mark.parametrize(
    "vector",
    [
        "authors_avslowfast_4x16_r50",
        "pyslowfast_slowfast_8x8_r50",
        "pyslowfast_slow_8x8_r50",
        "pytorchvideo_slow_r50",
        "pytorchvideo_slowfast_r50",
        "pytorchvideo_slowfast_r101",
        "pytorchvideo_slowfast_r50_detection",
    ],
)
def test_released_names_and_shapes_come_back_from_ours(vector):
    state = conformance.state_dict(conformance.load(ROOT / f"tests/golden/{vector}.json"))
    found = to_avslowfast(state, vector)
    assert not found.unknown and len(found.tensors) == len(state)
    back = from_avslowfast(found.tensors, vector.split("_")[0].replace("authors", "pyslowfast"), "detection" in vector)
    assert list(back) == list(state) and all(torch.equal(back[n], state[n]) for n in state)


@pytest.mark.parametrize(
    "target, network, words",
    [
        ("pytorchvideo", PLAIN, "pathways.audio"),
        ("pytorchvideo", ("MODEL.ARCH", "slowfast", *NONLOCAL), "nonlocal"),
        ("pyslowfast", ("LATERAL.AUDIO", "av_nonlocal"), "audio_laterals.res3"),
        (
            "pyslowfast",
            ("MULTI_HEAD.NAMES", ["verb"], "MULTI_HEAD.NUM_CLASSES", [3], "MULTI_HEAD.LOSS_WEIGHTS", [1.0]),
            "head.projections.verb",
        ),
    ],
)
def test_what_a_format_cannot_hold_is_refused_by_name(tmp_path, target, network, words):
    save(make(*network).state_dict(), tmp_path / "own.pyth")
    with pytest.raises(CheckpointError, match=f"has no place for .*{words}"):
        convert(tmp_path / "own.pyth", tmp_path / "out.pyth", target)
    assert not (tmp_path / "out.pyth").exists()


# ---- Variants of the formats ------------------------------------------------------------------------------------------
def test_wrappers_prefixes_and_saved_sub_batch_norm_are_seen_through(tmp_path):
    model = make("MODEL.ARCH", "slow")
    theirs = from_avslowfast(model.state_dict(), "pyslowfast")
    inner = {}
    for name, tensor in theirs.items():
        if "bn." in name and ("running" in name or "tracked" in name):
            inner[name.replace("bn.", "bn.bn.")] = tensor
            inner[name.replace("bn.", "bn.split_bn.")] = torch.zeros(2 * tensor.numel()) if tensor.dim() else tensor
        else:
            inner[name] = tensor
    for prefix in ("", "module.", "backbone.", "module.backbone."):
        extra = (
            {"backbone_hist.s1.pathway0_stem.conv.weight": torch.zeros(1), "queue_x": torch.zeros(3)}
            if prefix == "backbone."
            else {}
        )
        save({**{prefix + name: tensor for name, tensor in inner.items()}, **extra}, tmp_path / "x.pyth")
        fresh = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow"))
        report = load_weights(fresh, tmp_path / "x.pyth")
        assert len(report.loaded) == len(fresh.state_dict()) and not report.fresh
        assert {n.split(".")[0] for n in report.unexpected if "split_bn" not in n} == {n.split(".")[0] for n in extra}
        assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), model.state_dict().values()))


def test_the_average_of_the_weights_is_what_loads(tmp_path):
    a, b = make("MODEL.ARCH", "slow"), make("MODEL.ARCH", "slow", seed="b")
    torch.save({"model_state": a.state_dict(), "ema_state": b.state_dict()}, tmp_path / "x.pyth")
    fresh = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow"))
    load_weights(fresh, tmp_path / "x.pyth")
    assert torch.equal(fresh.head.projection.weight, b.head.projection.weight)


def test_released_non_local_blocks_compute_pyslowfasts_formula(tmp_path):
    theirs = from_avslowfast(make("MODEL.ARCH", "slowfast", *NONLOCAL).state_dict(), "pyslowfast")
    save(theirs, tmp_path / "x.pyth")
    model = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slowfast", *NONLOCAL)).eval()
    assert load_weights(model, tmp_path / "x.pyth").complete
    x = torch.randn(2, theirs["s3.pathway0_nonlocal1.conv_theta.weight"].shape[1], 4, 6, 6)

    def conv(name, v):
        return F.conv3d(v, theirs[f"s3.pathway0_nonlocal1.{name}.weight"], theirs[f"s3.pathway0_nonlocal1.{name}.bias"])

    pooled = F.max_pool3d(x, (1, 2, 2))
    theta, phi, g = conv("conv_theta", x), conv("conv_phi", pooled), conv("conv_g", pooled)
    affinity = theta.flatten(2).transpose(1, 2) @ phi.flatten(2) / phi.flatten(2).shape[2]
    gathered = (affinity @ g.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(theta.shape)
    bn = [theirs[f"s3.pathway0_nonlocal1.bn.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
    expected = x + F.batch_norm(conv("conv_out", gathered), *bn, eps=1e-5)
    with torch.no_grad():
        assert (model.pathways["slow"].res3.nonlocal1(x) - expected).abs().max() < 1e-5


def test_caffe2_names_of_non_local_blocks_and_depth_101(tmp_path):
    names = {"theta": "conv_theta", "phi": "conv_phi", "g": "conv_g", "out": "conv_out"}
    stats = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
    model = make(
        "MODEL.ARCH",
        "slowfast",
        "RESNET.DEPTH",
        101,
        "NONLOCAL.LOCATION",
        [[[], []], [[], []], [[6, 13, 20], []], [[], []]],
    )
    own = {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    blobs = {
        "conv1_w": own["pathways.slow.pool1.conv.weight"].numpy(),
        "pred_w": own["head.projection.weight"].numpy()[..., None, None, None],
    }
    for i in (6, 13, 20):
        for theirs, ours in names.items():
            blobs[f"nonlocal_conv4_{i}_{theirs}_w"] = own[f"pathways.slow.res4.nonlocal{i}.{ours}.weight"].numpy()
            blobs[f"nonlocal_conv4_{i}_{theirs}_b"] = own[f"pathways.slow.res4.nonlocal{i}.{ours}.bias"].numpy()
        blobs.update(
            {
                f"nonlocal_conv4_{i}_bn_{s}": own[f"pathways.slow.res4.nonlocal{i}.bn.{o}"].numpy()
                for s, o in stats.items()
            }
        )
    blobs.update(
        {f"t_res4_22_branch2c_bn_subsample_bn_{s}": own[f"fast_to_slow.res4.bn.{o}"].numpy() for s, o in stats.items()}
    )
    blobs["t_res4_22_branch2c_bn_subsample_w"] = own["fast_to_slow.res4.conv_f2s.weight"].numpy()
    blobs["res4_22_branch2b_w"] = own["pathways.slow.res4.block22.branch2.b.weight"].numpy()
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    fresh = build_model(
        tiny_cfg(
            *BOTTLENECK,
            "MODEL.ARCH",
            "slowfast",
            "RESNET.DEPTH",
            101,
            "NONLOCAL.LOCATION",
            [[[], []], [[], []], [[6, 13, 20], []], [[], []]],
        )
    )
    report = load_weights(fresh, tmp_path / "x.pkl")
    assert len(report.loaded) == len(blobs) == 2 + 3 * 12 + 6 and not report.unexpected and not report.mismatched
    assert all(torch.equal(fresh.state_dict()[n], own[n]) for n in report.loaded)


@pytest.mark.parametrize("depth, arch", [(18, "slow"), (50, "slow"), (50, "slowfast"), (50, "avslowfast")])
def test_a_2d_resnet_is_inflated_so_that_a_still_video_gives_its_features(tmp_path, depth, arch):
    flat = getattr(torchvision.models, f"resnet{depth}")().eval()
    flat.load_state_dict({n: conformance.tensor_for(n, t.shape) for n, t in flat.state_dict().items()})
    torch.save(flat.state_dict(), tmp_path / "resnet.pth", _use_new_zipfile_serialization=depth == 18)
    kind = "basic_transform" if depth == 18 else "bottleneck_transform"
    args = (
        "MODEL.ARCH",
        arch,
        "RESNET.DEPTH",
        depth,
        "RESNET.TRANS_FUNC",
        kind,
        "RESNET.WIDTH_PER_GROUP",
        64,
        "DATA.NUM_FRAMES",
        24 * 2,
        "DATA.AUDIO_FRAME_NUM",
        24 * 16,
        "RESNET.NUM_BLOCK_TEMP_KERNEL",
        [[6, 6]] * 4,
    )
    model = build_model(tiny_cfg(*args)).eval()
    report = load_weights(model, tmp_path / "resnet.pth")
    require(report, "shared")
    assert (
        report.format.startswith("torchvision")
        and report.inflated
        and set(report.mismatched) == {"head.projection.weight", "head.projection.bias"}
    )
    slow = {n for n in model.state_dict() if n.startswith("pathways.slow.")}
    assert slow <= set(report.loaded) and not [n for n in report.missing if n in slow]
    assert bool(report.sliced) == (arch != "slow")
    # A still picture, far enough from both ends that the zeros beyond them do not count.
    picture = torch.randn(1, 3, 64, 64)
    x = picture[:, :, None].repeat(1, 1, 24, 1, 1)
    y = flat.maxpool(flat.relu(flat.bn1(flat.conv1(picture))))
    with torch.no_grad():
        for stage, layer in (
            ("res2", flat.layer1),
            ("res3", flat.layer2),
            ("res4", flat.layer3),
            ("res5", flat.layer4),
        ):
            x = model.pathways["slow"](x, "pool1") if stage == "res2" else x
            # Where Fast joins, zeros meet its features.
            extra = (
                next(iter(model.pathways["slow"].get_submodule(stage).block0.branch2.a.parameters())).shape[1]
                - x.shape[1]
            )
            x = torch.cat([x, torch.randn(1, extra, *x.shape[2:])], 1)
            x, y = model.pathways["slow"](x, stage), layer(y)
            assert (x[:, :, 12] - y).abs().max() < 1e-4 * y.abs().max()


def test_a_2d_resnet_is_not_converted_without_a_network(tmp_path):
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(CheckpointError, match="2-D network"):
        convert(tmp_path / "resnet.pth", tmp_path / "x.pyth", "avslowfast")


# ---- Another kind of network ------------------------------------------------------------------------------------------
def test_a_slowfast_checkpoint_fills_the_visual_half_of_the_papers_avslowfast(tmp_path):
    visual_cfg, cfg = (
        load_cfg(ROOT / f"configs/Kinetics/{n}.yaml") for n in ("SLOWFAST_8x8_R50", "AVSLOWFAST_8x8_R50")
    )
    visual, model = build_model(visual_cfg).eval(), build_model(cfg).eval()
    visual.load_state_dict({n: conformance.tensor_for(n, t.shape) for n, t in visual.state_dict().items()})
    save(from_avslowfast(visual.state_dict(), "pyslowfast"), tmp_path / "SLOWFAST_8x8_R50.pyth")
    before = {n: t.clone() for n, t in model.state_dict().items()}
    report = load_weights(model, tmp_path / "SLOWFAST_8x8_R50.pyth")
    require(report, "shared")
    require(report, "pathways.slow, pathways.fast, fast_to_slow, head")
    assert (
        set(report.loaded) == set(visual.state_dict())
        and report.sliced == ["head.projection.weight"]
        and not report.unexpected
    )
    assert report.missing and all(
        n.startswith(("pathways.audio.", "audio_laterals.", "sync_heads.")) for n in report.missing
    )
    assert all(torch.equal(model.state_dict()[n], before[n]) for n in report.missing)
    assert "662 tensors" in str(report) and "pathways.audio.res5" in str(report)
    torch.manual_seed(0)
    inputs = {name: torch.randn(shape) for name, shape in input_shapes(cfg, 96, 1).items()}
    with_audio = stage_features(model, inputs)
    masked = stage_features(model, {**inputs, "audio_mask": torch.tensor([False])})
    plain = stage_features(visual, {n: inputs[n] for n in ("slow", "fast")})
    for key in plain:
        assert (masked[key] - plain[key]).abs().max() < 1e-5, key
    assert (with_audio["slow", "res5"] - plain["slow", "res5"]).abs().max() > 1e-3


def test_the_authors_network_takes_slows_own_channels(tmp_path):
    visual = make("MODEL.ARCH", "slowfast")
    # What the narrower network lacks is silent in this one: F->S after pool1 and res2.
    for stage in ("pool1", "res2"):
        torch.nn.init.zeros_(visual.fast_to_slow[stage].bn.weight)
        torch.nn.init.zeros_(visual.fast_to_slow[stage].bn.bias)
    save(visual.state_dict(), tmp_path / "x.pyth")
    args = (*PLAIN, "SLOWFAST.FS_FUSION", [False, False, True, True])
    model = build_model(tiny_cfg(*BOTTLENECK, *args)).eval()
    report = load_weights(model, tmp_path / "x.pyth")
    require(report, "shared")
    sliced = {f"pathways.slow.{s}.block0.{b}.weight" for s in ("res2", "res3") for b in ("branch1", "branch2.a")}
    assert set(report.sliced) == {*sliced, "head.projection.weight"} and sliced <= set(report.loaded)
    assert len(report.dropped) == 12 and all(
        n.startswith(("fast_to_slow.pool1.", "fast_to_slow.res2.")) for n in report.dropped
    )
    inputs = inputs_for(model, args)
    masked = stage_features(model, {**inputs, "audio_mask": torch.tensor([False, False])})
    plain = stage_features(visual, {n: inputs[n] for n in ("slow", "fast")})
    assert all((masked[key] - plain[key]).abs().max() < 1e-5 for key in plain)


@pytest.mark.parametrize("target", ["slowfast", "avslowfast"])
def test_slow_goes_into_larger_networks_and_back(tmp_path, target):
    slow = make("MODEL.ARCH", "slow", "DATA.NUM_FRAMES", 4)
    save(slow.state_dict(), tmp_path / "slow.pyth")
    model = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", target)).eval()
    report = load_weights(model, tmp_path / "slow.pyth")
    require(report, "shared")
    assert {n for n in model.state_dict() if n.startswith("pathways.slow.")} <= set(report.loaded) and len(
        report.sliced
    ) == 9
    inputs = inputs_for(model, ("MODEL.ARCH", target))
    if target == "avslowfast":
        inputs["audio_mask"] = torch.tensor([False, False])
    wide, plain = stage_features(model, inputs), stage_features(slow, {"slow": inputs["slow"]})
    # Zeros meet what joins Slow, so its features, and with the classifier's zeros the scores, are those of Slow alone.
    assert all((wide[key] - plain[key]).abs().max() < 1e-5 for key in plain)
    save(model.state_dict(), tmp_path / "wide.pyth")
    again = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow", "DATA.NUM_FRAMES", 4)).eval()
    report = load_weights(again, tmp_path / "wide.pyth")
    assert not report.fresh and all(
        torch.equal(a, b) for a, b in zip(again.state_dict().values(), slow.state_dict().values())
    )


def test_another_class_count_leaves_the_classifier_fresh(tmp_path):
    save(make("MODEL.NUM_CLASSES", 7).state_dict(), tmp_path / "x.pyth")
    model = build_model(tiny_cfg(*BOTTLENECK))
    before = model.head.projection.weight.clone()
    report = load_weights(model, tmp_path / "x.pyth")
    require(report, "shared")
    assert (
        report.mismatched == ["head.projection.weight", "head.projection.bias"]
        and not report.missing
        and not report.sliced
    )
    assert torch.equal(before, model.head.projection.weight) and "[7," in str(report)


@pytest.mark.parametrize(
    "file, network, words",
    [
        (("RESNET.DEPTH", 101), (), ["3-4-23-3 bottleneck", "3-4-6-3 bottleneck", "RESNET.DEPTH"]),
        (
            (),
            ("RESNET.DEPTH", 34, "RESNET.TRANS_FUNC", "basic_transform"),
            ["3-4-6-3 bottleneck", "3-4-6-3 basic", "RESNET.DEPTH"],
        ),
    ],
)
def test_another_depth_is_refused(tmp_path, file, network, words):
    save(make("MODEL.ARCH", "slowfast", *file).state_dict(), tmp_path / "x.pyth")
    model = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slowfast", *network))
    before = {n: t.clone() for n, t in model.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        load_weights(model, tmp_path / "x.pyth")
    assert all(word in str(error.value) for word in [*words, "x.pyth"]) and "\n" not in str(error.value)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize(
    "file, wanted, words",
    [
        (
            ("SLOWFAST.FUSION_KERNEL_SZ", 7),
            "shared",
            "fast_to_slow.pool1.conv_f2s.weight .*7.*CHECKPOINT_REQUIRED none",
        ),
        (("SLOWFAST.FUSION_KERNEL_SZ", 7), "none", None),
        ((), "shared", None),
        ((), "pathways.slow,fast_to_slow", None),
        ((), "pathways.audio", "pathways.audio.pool1"),
        ((), "pathways.sluggish", "no tensor pathways.sluggish"),
        ((), "all", "pathways.audio"),
        (("MODEL.ARCH", "avslowfast"), "all", None),
        (("MODEL.ARCH", "avslowfast", "SLOWFAST.AVS_FLAG", [False] * 5), "all", None),
        (("MODEL.ARCH", "avslowfast", *NONLOCAL), "all", "nonlocal"),
    ],
)
def test_what_is_required_of_a_checkpoint(tmp_path, file, wanted, words):
    args = file if "MODEL.ARCH" in file else ("MODEL.ARCH", "slowfast", *file)
    save(make(*args).state_dict(), tmp_path / "x.pyth")
    report = load_weights(build_model(tiny_cfg(*BOTTLENECK)), tmp_path / "x.pyth")
    if words is None:
        require(report, wanted)
        return
    with pytest.raises(CheckpointError, match=words):
        require(report, wanted)


def test_nothing_that_fits_is_an_error(tmp_path):
    save(make("MODEL.ARCH", "audio").state_dict(), tmp_path / "x.pyth")
    with pytest.raises(CheckpointError, match="none of its"):
        load_weights(
            build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow", "MODEL.NUM_CLASSES", 3)), tmp_path / "x.pyth"
        )


# ---- Files that are not to be trusted ---------------------------------------------------------------------------------
class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "payload, asked",
    [
        (Calls(os.system, "touch pwned"), r"(posix|os)\.system"),
        (Calls(eval, "open('pwned', 'w')"), r"(builtins|__builtin__)\.eval"),
        (Calls(np.fromfile, "x"), r"numpy.*fromfile"),
        (Calls(np.load, "x"), r"numpy.*load"),
        (Calls(collections.namedtuple, "A", "b"), r"collections\.namedtuple"),
        (Calls(pickle.loads, b"x"), r"_?c?[pP]ickle\.loads"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_that_calls_something_is_refused_and_nothing_runs(tmp_path, monkeypatch, payload, asked, protocol):
    monkeypatch.chdir(tmp_path)
    content = {"blobs": {"conv1_w": np.zeros(3, np.float32), "x": payload}}
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    torch.save(content, tmp_path / "evil.pyth")
    with pytest.raises(CheckpointError, match=rf"evil\.pkl: asks for {asked}.*nothing of it was run"):
        read_checkpoint("evil.pkl")
    with pytest.raises(CheckpointError, match=r"evil\.pyth.* not loaded"):
        read_checkpoint("evil.pyth")
    assert not (tmp_path / "pwned").exists()


def test_codecs_are_admitted_for_bytes_alone(tmp_path):
    text = b"c_codecs\nencode\n(Vabc\nVrot13\ntR."
    (tmp_path / "x.pkl").write_bytes(text)
    with pytest.raises(CheckpointError, match="rot13"):
        read_checkpoint(tmp_path / "x.pkl")


def test_arrays_and_plain_containers_are_admitted(tmp_path):
    content = {
        "blobs": {"a": np.arange(6.0).reshape(2, 3)[:, ::2], "b": np.float32(3)},
        "set": {1, 2},
        "order": collections.OrderedDict(a=(1, [2.5, None, b"x"])),
        "big-endian": np.arange(3, dtype=">f4"),
    }
    for protocol in range(6):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
        found = read_checkpoint(tmp_path / "x.pkl")
        assert (
            np.array_equal(found["blobs"]["a"], content["blobs"]["a"])
            and found["blobs"]["b"] == 3
            and found["set"] == {1, 2}
        )
        assert found["order"]["a"][1][0] == 2.5 and np.array_equal(found["big-endian"], [0, 1, 2])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=60),
        st.binary(max_size=60).map(lambda b: b"\x80\x02" + b),
        st.binary(max_size=40).map(lambda b: b"PK\x03\x04" + b),
    )
)
def test_any_bytes_are_read_or_refused_in_one_line(tmp_path, data):
    (tmp_path / "x.pkl").write_bytes(data)
    try:
        read_checkpoint(tmp_path / "x.pkl")
    except CheckpointError as error:
        assert "x.pkl" in str(error) and "\n" not in str(error)


def test_torn_files_are_named(tmp_path):
    save(make("MODEL.ARCH", "slow").state_dict(), tmp_path / "x.pyth")
    data = (tmp_path / "x.pyth").read_bytes()
    for size in (0, 1, 100, len(data) // 2, len(data) - 20):
        (tmp_path / "torn.pyth").write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="torn.pyth"):
            read_checkpoint(tmp_path / "torn.pyth")
    (tmp_path / "number.pkl").write_bytes(pickle.dumps(struct.pack("<d", 1.0)))
    with pytest.raises(CheckpointError, match="no model weights"):
        load_weights(make("MODEL.ARCH", "slow"), tmp_path / "number.pkl")
