"""Weights that cannot be right, and networks that this project does not have: named in one line, or counted."""

import logging
import re

import pytest
import torch
import torchvision
from helpers import keys, tiny_cfg
from helpers.checkpoints import BOTTLENECK, make

import avslowfast
from avslowfast.checkpoint import CheckpointError, load_weights, require
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
    "C2D": (lambda: pytorchvideo(STEM, {"weight": (64, 64, 1, 3, 3)}, stages=(1, 3, 4, 5)), "a C2D or I3D"),
    "I3D": (
        lambda: pytorchvideo({"weight": (64, 3, 5, 7, 7)}, {"weight": (64, 64, 1, 3, 3)}, stages=(1, 3, 4, 5)),
        "a C2D or I3D",
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
        "a network of audio",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_network_that_this_project_does_not_have_is_named(tmp_path, name):
    make_state, words = OTHERS[name]
    with pytest.raises(CheckpointError, match=f"x.pyth: it is {'.*' if words[0] == chr(92) else ''}{words}") as raised:
        loaded(tmp_path / "x.pyth", {"model_state": make_state()})
    assert "DEPTH" not in str(raised.value)
    assert "does not have such" in str(raised.value)


@pytest.mark.parametrize(
    "extra, words",
    [
        ("layer1.0.se.fc1.weight", "squeeze-and-excitation"),
        ("layer2.1.attention.conv.weight", "another kind; take"),
        ("layer1.0.downsample.2.weight", "another kind; take"),
    ],
)
def test_blocks_of_another_kind_are_a_mismatch_of_what_is_shared(tmp_path, extra, words):
    weights = {**torchvision.models.resnet50().state_dict(), extra: torch.zeros(4, 4, 1, 1)}
    torch.save(weights, tmp_path / "x.pth")
    model = build_model(tiny_cfg(*BOTTLENECK, *SLOW, *keys("RESNET.WIDTH_PER_GROUP 64")))
    report = load_weights(model, tmp_path / "x.pth")
    assert report.foreign == [extra]
    for wanted in ("shared", "all"):
        with pytest.raises(CheckpointError, match=f"1 tensors inside its residual blocks.*{extra}.*{words}"):
            require(report, wanted)
    require(report, "none")


def test_tensors_outside_of_blocks_are_no_mismatch(tmp_path):
    weights = {**torchvision.models.resnet50().state_dict(), "queue": torch.zeros(4), "fc2.weight": torch.zeros(4, 4)}
    torch.save(weights, tmp_path / "x.pth")
    model = build_model(tiny_cfg(*BOTTLENECK, *SLOW, *keys("RESNET.WIDTH_PER_GROUP 64")))
    report = load_weights(model, tmp_path / "x.pth")
    assert report.unknown == ["queue", "fc2.weight"]
    assert report.foreign == []
    require(report, "shared")
