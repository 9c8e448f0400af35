"""Checkpoints of every format and of other kinds of networks, loaded into a network."""

import pickle
import re

import pytest
import torch
import torchvision
import weights as conformance
from helpers import ROOT, tiny_cfg
from helpers.checkpoints import BOTTLENECK, DETECTION, inputs_for, make, NONLOCAL, PLAIN, save, stage_features
from torch.nn import functional as F

from avslowfast.checkpoint import (
    CheckpointError,
    from_avslowfast,
    load_weights,
    require,
    to_avslowfast,
)
from avslowfast.checkpoint.convert import convert
from avslowfast.config import load_cfg
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes


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
    for prefix in ("", "module.", "backbone.", "module.backbone.", "model.", "_orig_mod.", "module._orig_mod.model."):
        extra = (
            {"backbone_hist.s1.pathway0_stem.conv.weight": torch.zeros(1), "queue_x": torch.zeros(3)}
            if prefix == "backbone."
            else {}
        )
        save({**{prefix + name: tensor for name, tensor in inner.items()}, **extra}, tmp_path / "x.pyth")
        fresh = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow"))
        report = load_weights(fresh, tmp_path / "x.pyth")
        assert len(report.loaded) == len(fresh.state_dict())
        assert not report.fresh
        assert report.unexpected == list(extra)
        assert "sub-BN in 53 layers" in str(report)
        assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), model.state_dict().values()))


def sub_batch_norm_of_pyslowfast(state):
    """A file of PySlowFast whose sub-BN has been trained and not joined since: {name: tensor}."""
    torch.manual_seed(3)
    theirs = {}
    for name, tensor in from_avslowfast(state, "pyslowfast").items():
        layer, _, leaf = name.rpartition(".")
        if leaf.startswith(("running_", "num_batches")):
            parts = torch.rand(2 * tensor.numel()) + 0.5 if tensor.dim() else torch.tensor(7)
            theirs.update({f"{layer}.bn.{leaf}": tensor, f"{layer}.split_bn.{leaf}": parts})
        else:
            theirs[name] = tensor
    return theirs


@pytest.mark.parametrize("norm", ["batchnorm", "sub_batchnorm"])
def test_sub_batch_norm_of_pyslowfast_is_joined_as_it_joins_it(tmp_path, norm):
    args = ("MODEL.ARCH", "slowfast", "BN.NORM_TYPE", norm, "BN.NUM_SPLITS", 2)
    theirs = sub_batch_norm_of_pyslowfast(make("MODEL.ARCH", "slowfast").state_dict())
    save(theirs, tmp_path / "x.pyth")
    model = build_model(tiny_cfg(*BOTTLENECK, *args)).eval()
    report = load_weights(model, tmp_path / "x.pyth")
    require(report, "all")
    assert report.complete
    mean, var = (theirs[f"s1_fuse.bn.split_bn.running_{name}"].view(2, -1) for name in ("mean", "var"))
    layer = model.fast_to_slow["pool1"].bn
    torch.testing.assert_close(layer.running_mean, mean.mean(0))
    torch.testing.assert_close(layer.running_var, var.mean(0) + mean.var(0, correction=0))
    assert layer.num_batches_tracked == 7
    if norm == "sub_batchnorm":
        assert torch.equal(layer.split_var, layer.running_var.expand(2, -1))


@pytest.mark.parametrize("target", ["avslowfast", "pyslowfast", "pytorchvideo"])
def test_sub_batch_norm_goes_out_as_plain_batch_norm(tmp_path, target):
    args = ("MODEL.ARCH", "slowfast", "BN.NORM_TYPE", "sub_batchnorm", "BN.NUM_SPLITS", 2)
    ours, plain = make(*args), make("MODEL.ARCH", "slowfast")
    save(ours.state_dict(), tmp_path / "x.pyth")
    assert "sub-BN in" in convert(tmp_path / "x.pyth", tmp_path / "y.pyth", target)
    for file in ("x", "y"):
        fresh = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slowfast"))
        report = load_weights(fresh, tmp_path / f"{file}.pyth")
        require(report, "all")
        assert report.complete
        assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), plain.state_dict().values()))


@pytest.mark.parametrize("arch", ["slow", "slowfast"])
@pytest.mark.parametrize("detects", [False, True])
def test_pytorchvideo_is_read_under_every_prefix(arch, detects):
    state = make("MODEL.ARCH", arch, *(DETECTION if detects else ())).state_dict()
    theirs = from_avslowfast(state, "pytorchvideo", detects)
    for prefix in ("blocks.", "model.blocks.", "module.model.blocks.", "module.blocks."):
        renamed = {re.sub(r"^(model\.)?blocks\.", prefix, name): tensor for name, tensor in theirs.items()}
        translation = to_avslowfast(renamed, "x.pyth")
        assert translation.format.name.endswith("detection") == detects and not translation.unknown
        assert list(translation.tensors) == list(state)
        assert all(torch.equal(translation.tensors[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("wrapper", ["model_state_dict", "net", "network", "weights", "params", "state_dict", ""])
@pytest.mark.parametrize("prefix", ["net.", "student.", "encoder.", "module.network."])
def test_weights_are_found_under_usual_names_and_a_prefix_of_all(tmp_path, wrapper, prefix):
    theirs = from_avslowfast(make("MODEL.ARCH", "slow").state_dict(), "pyslowfast")
    state = {f"{prefix}{name}": tensor for name, tensor in theirs.items()}
    torch.save({wrapper: state, "epoch": 3} if wrapper else state, tmp_path / "x.pyth")
    fresh = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow"))
    assert load_weights(fresh, tmp_path / "x.pyth").complete
    assert torch.equal(fresh.head.projection.bias, theirs["head.projection.bias"])


def test_teacher_and_student_are_not_mixed(tmp_path):
    theirs = from_avslowfast(make("MODEL.ARCH", "slow").state_dict(), "pyslowfast")
    state = {f"{who}.{name}": tensor for who in ("student", "teacher") for name, tensor in theirs.items()}
    with pytest.raises(CheckpointError, match="unknown checkpoint format; its first tensor is 'student"):
        load_weights(build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow")), save(state, tmp_path / "x.pyth"))


def test_two_networks_in_one_file_are_not_mixed(tmp_path):
    theirs = from_avslowfast(make("MODEL.ARCH", "slow").state_dict(), "pyslowfast")
    save({**{f"model.{n}": t for n, t in theirs.items()}, **{n: t + 1 for n, t in theirs.items()}}, tmp_path / "x.pyth")
    fresh = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow"))
    report = load_weights(fresh, tmp_path / "x.pyth")
    assert len(report.loaded) == len(theirs) == len(report.unexpected)
    assert torch.equal(fresh.head.projection.bias, theirs["head.projection.bias"] + 1)


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
    places = [[[], []], [[], []], [[6, 13, 20], []], [[], []]]
    deep = ("MODEL.ARCH", "slowfast", "RESNET.DEPTH", 101, "NONLOCAL.LOCATION", places)
    model = make(*deep)
    tensors = {n: t for n, t in model.state_dict().items() if not n.endswith("num_batches_tracked")}
    blobs = {
        "conv1_w": tensors["pathways.slow.pool1.conv.weight"].numpy(),
        "pred_w": tensors["head.projection.weight"].numpy()[..., None, None, None],
    }
    for i in (6, 13, 20):
        for theirs, ours in names.items():
            blobs[f"nonlocal_conv4_{i}_{theirs}_w"] = tensors[f"pathways.slow.res4.nonlocal{i}.{ours}.weight"].numpy()
            blobs[f"nonlocal_conv4_{i}_{theirs}_b"] = tensors[f"pathways.slow.res4.nonlocal{i}.{ours}.bias"].numpy()
        blobs.update(
            {
                f"nonlocal_conv4_{i}_bn_{s}": tensors[f"pathways.slow.res4.nonlocal{i}.bn.{o}"].numpy()
                for s, o in stats.items()
            }
        )
    blobs.update(
        {
            f"t_res4_22_branch2c_bn_subsample_bn_{s}": tensors[f"fast_to_slow.res4.bn.{o}"].numpy()
            for s, o in stats.items()
        }
    )
    blobs["t_res4_22_branch2c_bn_subsample_w"] = tensors["fast_to_slow.res4.conv_f2s.weight"].numpy()
    blobs["res4_22_branch2b_w"] = tensors["pathways.slow.res4.block22.branch2.b.weight"].numpy()
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"blobs": blobs}, protocol=2))
    fresh = build_model(tiny_cfg(*BOTTLENECK, *deep))
    report = load_weights(fresh, tmp_path / "x.pkl")
    assert len(report.loaded) == len(blobs) == 2 + 3 * 12 + 6
    assert not report.unexpected
    assert not report.mismatched
    assert all(torch.equal(fresh.state_dict()[n], tensors[n]) for n in report.loaded)


@pytest.mark.parametrize("depth, arch", [(18, "slow"), (50, "slow"), (50, "slowfast"), (50, "avslowfast")])
def test_a_2d_resnet_is_inflated_so_that_a_clip_of_identical_frames_gives_its_features(tmp_path, depth, arch):
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
    assert report.format.startswith("torchvision")
    assert report.inflated
    assert set(report.mismatched) == {"head.projection.weight", "head.projection.bias"}
    slow = {n for n in model.state_dict() if n.startswith("pathways.slow.")}
    assert slow <= set(report.loaded)
    assert not [n for n in report.missing if n in slow]
    assert bool(report.sliced) == (arch != "slow")
    # An image repeated in time, seen far enough from both ends that the zero padding does not count.
    image = torch.randn(1, 3, 64, 64)
    x = image[:, :, None].repeat(1, 1, 24, 1, 1)
    y = flat.maxpool(flat.relu(flat.bn1(flat.conv1(image))))
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
    assert set(report.loaded) == set(visual.state_dict())
    assert report.sliced == ["head.projection.weight"]
    assert not report.unexpected
    assert report.missing
    assert all(n.startswith(("pathways.audio.", "audio_laterals.", "sync_heads.")) for n in report.missing)
    assert all(torch.equal(model.state_dict()[n], before[n]) for n in report.missing)
    assert "662 tensors" in str(report)
    assert "pathways.audio.res5" in str(report)
    torch.manual_seed(0)
    inputs = {name: torch.randn(shape) for name, shape in input_shapes(cfg, 96, 1).items()}
    with_audio = stage_features(model, inputs)
    masked = stage_features(model, {**inputs, "audio_mask": torch.tensor([False])})
    plain = stage_features(visual, {n: inputs[n] for n in ("slow", "fast")})
    for key in plain:
        assert (masked[key] - plain[key]).abs().max() < 1e-5, key
    assert (with_audio["slow", "res5"] - plain["slow", "res5"]).abs().max() > 1e-3


def test_the_authors_network_takes_slows_channels(tmp_path):
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
    assert set(report.sliced) == {*sliced, "head.projection.weight"}
    assert sliced <= set(report.loaded)
    assert len(report.dropped) == 12
    assert all(n.startswith(("fast_to_slow.pool1.", "fast_to_slow.res2.")) for n in report.dropped)
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
    assert {n for n in model.state_dict() if n.startswith("pathways.slow.")} <= set(report.loaded)
    assert len(report.sliced) == 9
    inputs = inputs_for(model, ("MODEL.ARCH", target))
    if target == "avslowfast":
        inputs["audio_mask"] = torch.tensor([False, False])
    wide, plain = stage_features(model, inputs), stage_features(slow, {"slow": inputs["slow"]})
    # Zeros meet what joins Slow, so its features, and with the classifier's zeros the scores, are those of Slow alone.
    assert all((wide[key] - plain[key]).abs().max() < 1e-5 for key in plain)
    save(model.state_dict(), tmp_path / "wide.pyth")
    again = build_model(tiny_cfg(*BOTTLENECK, "MODEL.ARCH", "slow", "DATA.NUM_FRAMES", 4)).eval()
    report = load_weights(again, tmp_path / "wide.pyth")
    assert not report.fresh
    assert all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), slow.state_dict().values()))


def test_another_class_count_leaves_the_classifier_fresh(tmp_path):
    save(make("MODEL.NUM_CLASSES", 7).state_dict(), tmp_path / "x.pyth")
    model = build_model(tiny_cfg(*BOTTLENECK))
    before = model.head.projection.weight.clone()
    report = load_weights(model, tmp_path / "x.pyth")
    require(report, "shared")
    assert report.mismatched == ["head.projection.weight", "head.projection.bias"]
    assert not report.missing
    assert not report.sliced
    assert torch.equal(before, model.head.projection.weight)
    assert "[7," in str(report)


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
    assert all(word in str(error.value) for word in [*words, "x.pyth"])
    assert "\n" not in str(error.value)
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
