"""Conversion between formats: there and back, and what a format has no place for."""

import pytest
import torch
import weights as conformance
from helpers import ROOT, tiny_cfg, VERB_AND_NOUN
from helpers.checkpoints import BOTTLENECK, DETECTION, make, NONLOCAL, PLAIN, save

from avslowfast.checkpoint import (
    CheckpointError,
    from_avslowfast,
    load_weights,
    read_checkpoint,
    to_avslowfast,
)
from avslowfast.checkpoint.convert import convert
from avslowfast.models import build_model

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
    "several classifiers": ("MODEL.ARCH", "slowfast", *VERB_AND_NOUN),
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
    ours = model.state_dict()
    kept = {"class_names": ["a", "b"], "cfg": tiny_cfg(*BOTTLENECK, *NETWORKS[network]).dump(), "epoch": 5}
    torch.save({"model_state": ours, "optimizer_state": {}, **kept}, tmp_path / "ours.pyth")
    words = convert(tmp_path / "ours.pyth", tmp_path / "other.pyth", target)
    assert "left out: optimizer_state" in words
    assert f"{len(ours)} tensors" in words
    convert(tmp_path / "other.pyth", tmp_path / "back.pyth", "avslowfast")
    back = read_checkpoint(tmp_path / "back.pyth")
    assert list(back["model_state"]) == list(ours)
    assert {key: back[key] for key in kept} == kept
    assert all(
        torch.equal(ours[n], back["model_state"][n]) and ours[n].dtype == back["model_state"][n].dtype for n in ours
    )
    # And from the other side.
    convert(tmp_path / "back.pyth", tmp_path / "again.pyth", target)
    first, second = (read_checkpoint(tmp_path / f"{name}.pyth")["model_state"] for name in ("other", "again"))
    assert list(first) == list(second)
    assert all(torch.equal(first[n], second[n]) for n in first)
    # The other project's file fills the network by itself.
    fresh = build_model(tiny_cfg(*BOTTLENECK, *NETWORKS[network]))
    assert load_weights(fresh, tmp_path / "other.pyth").complete
    assert all(torch.equal(a, b) for a, b in zip(fresh.state_dict().values(), ours.values()))


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
        "pyslowfast_ava_slowfast_32x2_r50",
        "epic_slowfast_8x8_r50",
    ],
)
def test_released_names_and_shapes_come_back_from_ours(vector):
    shapes = conformance.load(ROOT / f"tests/golden/{vector}.json")["keys"]
    # One number each, which takes no memory.
    state = {name: torch.tensor(float(i)).expand(shape) for i, (name, shape) in enumerate(shapes.items())}
    result = to_avslowfast(state, vector)
    assert not result.unknown
    assert len(result.tensors) == len(state)
    back = from_avslowfast(
        result.tensors,
        vector.split("_")[0].replace("authors", "pyslowfast").replace("epic", "pyslowfast"),
        "detection" in vector,
    )
    assert list(back) == list(state)
    assert all(torch.equal(back[n], state[n]) for n in state)


@pytest.mark.parametrize(
    "target, network, words",
    [
        ("pytorchvideo", PLAIN, "pathways.audio"),
        ("pytorchvideo", ("MODEL.ARCH", "slowfast", *NONLOCAL), "nonlocal"),
        ("pyslowfast", ("LATERAL.AUDIO", "av_nonlocal"), "audio_laterals.res3"),
        ("pytorchvideo", ("MODEL.ARCH", "slowfast", *VERB_AND_NOUN), "head.projections.verb"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_by_name(tmp_path, target, network, words):
    save(make(*network).state_dict(), tmp_path / "ours.pyth")
    with pytest.raises(CheckpointError, match=f"has no place for .*{words}"):
        convert(tmp_path / "ours.pyth", tmp_path / "out.pyth", target)
    assert not (tmp_path / "out.pyth").exists()
