"""Weights that cannot be right, and networks that this project does not have: named in one line, or counted."""

import itertools
import logging
import re

import pytest
import torch
from helpers import keys, tiny_cfg
from helpers.checkpoints import BOTTLENECK, make
from torchvision import models

import avslowfast
from avslowfast.checkpoint import CheckpointError, from_avslowfast, load_content, load_weights, require
from avslowfast.checkpoint.convert import convert
from avslowfast.models import build_model

SLOW = ("MODEL.ARCH", "slow")


@pytest.fixture(scope="module")
def state():
    """The weights of a small Slow network."""
    return make(*SLOW).state_dict()


@pytest.fixture
def log(caplog, monkeypatch):
    """What the package logs."""
    monkeypatch.setattr(logging.getLogger("avslowfast"), "propagate", True)
    return caplog


@pytest.fixture(scope="module")
def slow():
    """A network for tests that do not change it."""
    return network()


def network():
    return build_model(tiny_cfg(*BOTTLENECK, *SLOW))


def loaded(path, content):
    torch.save(content, path)
    return load_weights(network(), path)


FIRST = "pathways.slow.pool1.conv.weight"


@pytest.mark.parametrize(
    "change, kind",
    [
        (lambda t: t.long(), "int64"),
        (lambda t: t.to(torch.int8), "int8"),
        (lambda t: t.to(torch.uint8), "uint8"),
        (lambda t: t > 0, "bool"),
        (lambda t: t.to(torch.complex64), "complex64"),
    ],
)
def test_numbers_that_are_no_weights_are_refused_by_kind_and_name(tmp_path, state, change, kind):
    with pytest.raises(CheckpointError, match=rf"1 of its tensors are no weights but {kind}, the first {FIRST}"):
        loaded(tmp_path / "x.pyth", {"model_state": {**state, FIRST: change(state[FIRST])}})
    with pytest.raises(CheckpointError, match=rf"1 of its tensors are no weights but {kind}, the first {FIRST}"):
        convert(tmp_path / "x.pyth", tmp_path / "y.pyth", "avslowfast")
    assert not (tmp_path / "y.pyth").exists()


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_every_kind_of_weight_is_taken(tmp_path, state, kind):
    changed = {name: t.to(kind) if t.is_floating_point() else t for name, t in state.items()}
    assert loaded(tmp_path / "x.pyth", {"model_state": changed}).complete


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_counted_with_a_warning(tmp_path, state, value, log):
    broken = {**state, FIRST: state[FIRST] * value, "head.projection.bias": state["head.projection.bias"].clone()}
    broken["head.projection.bias"][3] = value
    report = loaded(tmp_path / "x.pyth", {"model_state": broken})
    assert report.not_finite == [FIRST, "head.projection.bias"]
    assert re.search(r"NaN +2 tensors  \(or infinite values in them", str(report))
    assert log.records[-1].levelname == "WARNING"
    said = convert(tmp_path / "x.pyth", tmp_path / "y.pyth", "pyslowfast")
    assert "NaN or infinite values in 2 tensors" in said


def test_values_that_overflow_in_the_network_count_as_well(tmp_path, state):
    large = {**state, FIRST: torch.full_like(state[FIRST], 1e300, dtype=torch.float64)}
    assert loaded(tmp_path / "x.pyth", {"model_state": large}).not_finite == [FIRST]


@pytest.mark.parametrize(
    "names",
    [5, "abc", [1, 2], {"a": 5}, {1: ["a"]}, [["a"]], torch.zeros(3), {"verb": "a"}, ["only one"], [None] * 16],
)
def test_class_names_that_are_none_are_left_out_with_a_warning(tmp_path, names, log):
    cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 8)
    content = {"model_state": build_model(cfg).state_dict(), "cfg": cfg.dump(), "class_names": names}
    torch.save(content, tmp_path / "x.pyth")
    _, meta = avslowfast.load_model(tmp_path / "x.pyth")
    assert meta.class_names is None
    assert meta.class_name(3) == "class 3"
    assert [r for r in log.records if "left out" in r.getMessage() and "x.pyth" in r.getMessage()]


@pytest.mark.parametrize("names", [None, [], [f"c{i}" for i in range(16)], tuple(f"c{i}" for i in range(16))])
def test_class_names_that_are_right_are_kept(tmp_path, names, log):
    cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 8)
    content = {"model_state": build_model(cfg).state_dict(), "cfg": cfg.dump(), "class_names": names}
    torch.save(content, tmp_path / "x.pyth")
    assert avslowfast.load_model(tmp_path / "x.pyth")[1].class_names == (list(names) if names else None)
    assert "left out" not in log.text


def pytorchvideo(stem, conv_b, stages=(1, 2, 3, 4), blocks=(3, 4, 6, 3)):
    """The names and shapes of a network of PyTorchVideo."""
    found = {f"blocks.0.conv.{name}": torch.zeros(shape) for name, shape in stem.items()}
    for stage, count in zip(stages, blocks):
        for i in range(count):
            at = f"blocks.{stage}.res_blocks.{i}.branch2."
            found[at + "conv_a.weight"] = torch.zeros(64, 64, 1, 1, 1)
            found.update({at + f"conv_b.{name}": torch.zeros(shape) for name, shape in conv_b.items()})
            found[at + "conv_c.weight"] = torch.zeros(256, 64, 1, 1, 1)
    return found


STEM = {"weight": (64, 3, 1, 7, 7)}
OTHERS = {
    "X3D of PyTorchVideo": (
        lambda: pytorchvideo(
            {"conv_t.weight": (24, 3, 1, 3, 3), "conv_xy.weight": (24, 1, 5, 1, 1)},
            {"weight": (54, 1, 3, 3, 3)},
            blocks=(3, 5, 11, 7),
        ),
        "an X3D",
    ),
    "X3D of PySlowFast": (
        lambda: {
            "s1.pathway0_stem.conv_xy.weight": torch.zeros(24, 3, 1, 3, 3),
            "s1.pathway0_stem.conv.weight": torch.zeros(24, 1, 5, 1, 1),
            "s2.pathway0_res0.branch2.b.weight": torch.zeros(54, 1, 3, 3, 3),
        },
        "an X3D",
    ),
    "CSN": (lambda: pytorchvideo(STEM, {"weight": (64, 1, 3, 3, 3)}, blocks=(3, 4, 23, 3)), r"\(CSN\)"),
    "CSN of PySlowFast": (
        lambda: {"s2.pathway0_res0.branch2.b.weight": torch.zeros(64, 1, 3, 3, 3)},
        r"\(CSN\)",
    ),
    "R(2+1)D": (
        lambda: pytorchvideo(STEM, {"conv_t.weight": (64, 64, 3, 1, 1), "conv_xy.weight": (64, 64, 1, 3, 3)}),
        r"an R\(2\+1\)D",
    ),
    "C2D": (lambda: pytorchvideo(STEM, {"weight": (64, 64, 1, 3, 3)}, stages=(1, 3, 4, 5)), "a C2D of PyTorchVideo"),
    "I3D": (
        lambda: pytorchvideo({"weight": (64, 3, 5, 7, 7)}, {"weight": (64, 64, 1, 3, 3)}, stages=(1, 3, 4, 5)),
        "an I3D of PyTorchVideo",
    ),
    "acoustic ResNet": (
        lambda: pytorchvideo(
            {"convs.0.weight": (64, 1, 9, 1, 1), "convs.1.weight": (64, 1, 1, 1, 9)},
            {"0.weight": (64, 64, 1, 1, 3), "1.weight": (64, 64, 3, 1, 1)},
        ),
        "a network of audio",
    ),
    "auditory SlowFast": (
        lambda: {
            "s1.pathway0_stem.conv.weight": torch.zeros(64, 1, 1, 7),
            "s1.pathway1_stem.conv.weight": torch.zeros(8, 1, 5, 7),
            "s2.pathway0_res0.branch2.a.weight": torch.zeros(64, 64, 1, 1),
        },
        r"a network of audio \(Auditory SlowFast\)",
    ),
    "auditory Fast": (
        lambda: {"s1.pathway0_stem.conv.weight": torch.zeros(64, 1, 5, 7)},
        r"a network of audio \(Auditory Slow or Fast\)",
    ),
    "AVSlowFast of PyTorchVideo": (
        lambda: {
            "blocks.0.multipathway_blocks.0.conv.weight": torch.zeros(64, 3, 1, 7, 7),
            "blocks.0.multipathway_blocks.2.conv.weight": torch.zeros(32, 3, 9, 1, 1),
        },
        "an AVSlowFast of PyTorchVideo",
    ),
    "I3D of PySlowFast": (lambda: of_pyslowfast(FIRST, 5), "an I3D, whose first convolution spans 5 frames"),
    "C2D of PySlowFast": (lambda: of_pyslowfast("", 1), "a C2D, of which no kernel spans time"),
    "I3D of Caffe2": (lambda: of_caffe2(FIRST, 5), "an I3D, whose first convolution spans 5 frames"),
    "C2D of Caffe2": (lambda: of_caffe2("", 1), "a C2D, of which no kernel spans time"),
    "SE of PySlowFast's names": (
        lambda: {**of_pyslowfast("none"), "s2.pathway0_res0.branch2.se.fc1.weight": torch.zeros(4, 4, 1, 1, 1)},
        "a squeeze-and-excitation network",
    ),
    "SE of PyTorchVideo's names": (
        lambda: {
            **pytorchvideo(STEM, {"weight": (64, 64, 1, 3, 3)}),
            "blocks.1.res_blocks.0.branch2.norm_b.1.block.0.weight": torch.zeros(8, 64, 1, 1, 1),
        },
        "a squeeze-and-excitation network",
    ),
    "SE-ResNet-101": (
        lambda: {**of_torchvision(models.resnet101), "layer1.0.se.fc1.weight": torch.zeros(4, 4, 1, 1)},
        "a squeeze-and-excitation network",
    ),
    "old SE-ResNet": (
        lambda: {
            "layer1.0.conv1.weight": torch.zeros(4, 4, 1, 1),
            "layer1.0.se_module.fc1.weight": torch.zeros(4, 4, 1, 1),
        },
        "a squeeze-and-excitation network",
    ),
    "R3D of torchvision": (lambda: of_torchvision(models.video.r3d_18), "a 3-D ResNet"),
    "MC3 of torchvision": (lambda: of_torchvision(models.video.mc3_18), "a 3-D ResNet"),
    "R(2+1)D of torchvision": (lambda: of_torchvision(models.video.r2plus1d_18), r"an R\(2\+1\)D"),
    "R3D": (
        lambda: {
            "conv1.weight": torch.zeros(64, 3, 7, 7, 7),
            "layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1, 1),
            "layer1.0.conv2.weight": torch.zeros(64, 64, 3, 3, 3),
        },
        "a 3-D ResNet",
    ),
    "MViT of PySlowFast": (
        lambda: {
            "patch_embed.proj.weight": torch.zeros(96, 3, 3, 7, 7),
            "pos_embed_spatial": torch.zeros(1, 3136, 96),
            "blocks.0.attn.pool_q.weight": torch.zeros(96, 1, 3, 3, 3),
            "head.projection.weight": torch.zeros(400, 768),
        },
        "an MViT",
    ),
    "MViT of PyTorchVideo": (
        lambda: {
            "cls_positional_encoding.cls_token": torch.zeros(1, 1, 96),
            "blocks.0.attn.q.weight": torch.zeros(96, 96),
        },
        "an MViT",
    ),
    "TimeSformer": (lambda: {"blocks.0.attn.qkv.weight": torch.zeros(96, 32)}, "a vision transformer"),
    "Swin": (lambda: of_torchvision(models.video.swin3d_t), "a vision transformer"),
    "Inception I3D": (lambda: {"Conv3d_1a_7x7.conv3d.weight": torch.zeros(64, 3, 7, 7, 7)}, "an I3D or S3D"),
}


def of_torchvision(build):
    """Names and shapes of the first layers of a network of torchvision."""
    with torch.device("meta"):
        state = build().state_dict()
    return {name: torch.zeros(tensor.shape) for name, tensor in itertools.islice(state.items(), 20)}


def of_pyslowfast(name, length=1, classes=16):
    """PySlowFast's names of a Slow network one of whose kernels (all of them: "") spans other frames."""
    tensors = make(*SLOW, "MODEL.NUM_CLASSES", classes).state_dict()
    for key in [key for key, tensor in tensors.items() if tensor.dim() == 5 and key.startswith(name)]:
        tensors[key] = tensors[key][:, :, :1].repeat(1, 1, length, 1, 1)
    return from_avslowfast(tensors, "pyslowfast")


def of_caffe2(name, length):
    """As `of_pyslowfast`, in Caffe2's names."""
    names = {"stem.conv.weight": "conv1_w", "projection.weight": "pred_w", "projection.bias": "pred_b"}
    blobs = {}
    for key, tensor in of_pyslowfast(name, length).items():
        block = re.fullmatch(r"s(\d)\.pathway0_res(\d+)\.(?:branch1|branch2\.([abc]))\.weight", key)
        if block:
            branch = f"branch2{block[3]}" if block[3] else "branch1"
            blobs[f"res{block[1]}_{block[2]}_{branch}_w"] = tensor
        blobs.update({theirs: tensor for ours, theirs in names.items() if key.endswith(ours)})
    return blobs


# Each behind a prefix of wrappers or none.
WRAPPED = [
    (name, "" if "Caffe2" in name else prefix)
    for name, prefix in zip(OTHERS, itertools.cycle(["", "module.", "model."]))
]


@pytest.mark.parametrize("name, prefix", WRAPPED)
def test_a_network_that_this_project_does_not_have_is_named(slow, name, prefix):
    make_state, words = OTHERS[name]
    with pytest.raises(CheckpointError, match=f"^x.pyth: it is {'.*' if words[0] == chr(92) else ''}{words}") as raised:
        load_content(slow, {"model_state": {prefix + n: t for n, t in make_state().items()}}, "x.pyth")
    assert "DEPTH" not in str(raised.value)
    assert "does not have such" in str(raised.value)


def test_a_2d_network_of_pyslowfast_is_inflated_and_is_no_slow_network(tmp_path):
    torch.save({"model_state": of_pyslowfast("", 1, classes=1000)}, tmp_path / "x.pyth")
    report = load_weights(network(), tmp_path / "x.pyth")
    require(report, "shared")
    assert report.inflated and report.format == "PySlowFast"
    with pytest.raises(
        CheckpointError, match=r"x\.pyth: it is a 2-D network, \d kernels of which were spread over time"
    ):
        require(report, "all")


def test_blocks_with_more_in_them_are_of_another_kind_in_every_format(tmp_path):
    state = make(*SLOW).state_dict()
    state["pathways.slow.res3.block1.branch2.attention.weight"] = torch.zeros(4)
    for name, tensors in {"ours": state, "theirs": from_avslowfast(state, "pyslowfast")}.items():
        torch.save({"model_state": tensors}, tmp_path / name)
        report = load_weights(network(), tmp_path / name)
        assert len(report.foreign) == 1 and report.foreign[0].endswith("branch2.attention.weight")
        with pytest.raises(CheckpointError, match="1 tensors inside its residual blocks have no place"):
            require(report, "shared")


@pytest.mark.parametrize("extra", ["layer2.1.attention.conv.weight", "layer1.0.downsample.2.weight"])
def test_blocks_of_another_kind_are_a_mismatch_of_what_is_shared(tmp_path, extra):
    weights = {**models.resnet50().state_dict(), extra: torch.zeros(4, 4, 1, 1)}
    torch.save(weights, tmp_path / "x.pth")
    model = build_model(tiny_cfg(*BOTTLENECK, *SLOW, *keys("RESNET.WIDTH_PER_GROUP 64")))
    report = load_weights(model, tmp_path / "x.pth")
    assert report.foreign == [extra]
    for wanted in ("shared", "all"):
        with pytest.raises(CheckpointError, match=f"1 tensors inside its residual blocks.*{extra}.*another kind; take"):
            require(report, wanted)
    require(report, "none")


def test_tensors_outside_of_blocks_are_no_mismatch(tmp_path):
    weights = {**models.resnet50().state_dict(), "queue": torch.zeros(4), "fc2.weight": torch.zeros(4, 4)}
    torch.save(weights, tmp_path / "x.pth")
    model = build_model(tiny_cfg(*BOTTLENECK, *SLOW, *keys("RESNET.WIDTH_PER_GROUP 64")))
    report = load_weights(model, tmp_path / "x.pth")
    assert report.unknown == ["queue", "fc2.weight"]
    assert report.foreign == []
    require(report, "shared")
