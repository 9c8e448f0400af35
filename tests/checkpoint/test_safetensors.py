"""Files of .safetensors: written by this project and by others, read wherever weights are read."""

import json
import struct

import pytest
import torch
from helpers import tiny_cfg
from helpers.checkpoints import BOTTLENECK, make
from helpers.tools import command
from safetensors.torch import load_file, save_file

import avslowfast
from avslowfast.checkpoint import CheckpointError, from_avslowfast, load_weights, read_checkpoint
from avslowfast.checkpoint.convert import convert
from avslowfast.config import load_cfg
from avslowfast.models import build_model

SLOW = ("MODEL.ARCH", "slow")
NAMES = [f"class é{i}" for i in range(16)]


@pytest.fixture(scope="module")
def model():
    return make(*SLOW)


@pytest.fixture
def ours(tmp_path, model):
    """A checkpoint of this project."""
    about = {"cfg": tiny_cfg(*BOTTLENECK, *SLOW).dump(), "class_names": NAMES, "epoch": 7}
    torch.save({"model_state": model.state_dict(), "optimizer_state": {}, **about}, tmp_path / "x.pyth")
    return tmp_path / "x.pyth"


@pytest.mark.parametrize("target", ["avslowfast", "pyslowfast", "pytorchvideo"])
def test_convert_writes_it_and_reads_it_back_bit_for_bit(tmp_path, ours, model, target):
    assert "optimizer_state" in convert(ours, tmp_path / "x.safetensors", target)
    back = convert(tmp_path / "x.safetensors", tmp_path / "back.pyth", "avslowfast")
    assert "left out" not in back
    a, b = read_checkpoint(ours), read_checkpoint(tmp_path / "back.pyth")
    assert (b["cfg"], b["class_names"], b["epoch"]) == (a["cfg"], NAMES, 7)
    state = model.state_dict()
    assert sorted(b["model_state"]) == sorted(state)
    assert all(torch.equal(b["model_state"][n], state[n]) for n in state)


def test_the_command_writes_it(tmp_path, ours):
    command("convert", ours, tmp_path / "y.safetensors", "--to", "pyslowfast")
    assert "s1.pathway0_stem.conv.weight" in load_file(tmp_path / "y.safetensors")


def test_load_model_finds_configuration_and_names_in_it(tmp_path, ours):
    convert(ours, tmp_path / "y.safetensors", "avslowfast")
    model, meta = avslowfast.load_model(tmp_path / "y.safetensors", device="cpu")
    assert meta.report.complete
    assert meta.class_names == NAMES
    assert meta.cfg.MODEL.ARCH == "slow"


@pytest.mark.parametrize("name", ["x.safetensors", "x.pyth", "X.SAFETENSORS"])
def test_a_plain_file_of_another_project_is_read_whatever_its_name(tmp_path, model, name):
    save_file({n: t.clone() for n, t in model.state_dict().items()}, tmp_path / name)
    fresh = build_model(tiny_cfg(*BOTTLENECK, *SLOW))
    assert load_weights(fresh, tmp_path / name).complete


def test_names_of_pyslowfast_load_from_it_by_the_name_of_the_file(tmp_path):
    cfg = load_cfg("SLOW_8x8_R50", ["RESNET.WIDTH_PER_GROUP", 8])
    theirs = from_avslowfast(build_model(cfg).state_dict(), "pyslowfast")
    for name in ("SLOW_8x8_R50", "slowonly_8x8_r50"):
        save_file({n: t.clone() for n, t in theirs.items()}, tmp_path / f"{name}.safetensors")
        model, meta = avslowfast.load_model(
            tmp_path / f"{name}.safetensors", overrides=["RESNET.WIDTH_PER_GROUP", 8], device="cpu"
        )
        assert meta.report.complete and meta.cfg.MODEL.ARCH == "slow"
        assert torch.equal(model.head.projection.weight, theirs["head.projection.weight"])


def test_tensors_that_share_memory_are_written(tmp_path, model):
    state = dict(model.state_dict())
    state["pathways.slow.res2.block0.branch2.a_bn.weight"] = state["pathways.slow.res2.block0.branch2.b_bn.weight"]
    torch.save({"model_state": state}, tmp_path / "x.pyth")
    convert(tmp_path / "x.pyth", tmp_path / "y.safetensors", "avslowfast")
    assert len(load_file(tmp_path / "y.safetensors")) == len(state)


def written(head, data=bytes(16), length=None):
    head = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(head) if length is None else length) + head + data


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BROKEN = {
    "empty": b"",
    "no header": bytes(8),
    "cut off in the header": written({"a": ENTRY})[:20],
    "cut off in the data": written({"a": ENTRY}, bytes(4)),
    "more data than tensors": written({"a": ENTRY}),
    "a header longer than the file": written({"a": ENTRY}, length=1 << 40),
    "a header of 2^63 bytes": written({"a": ENTRY}, length=(1 << 64) - 1),
    "a header that is no JSON": written(b"{" * 40),
    "a header of 100,000 brackets": written(b'{"a":' * 100_000),
    "a shape of 2^62": written({"a": {**ENTRY, "shape": [1 << 62]}}, bytes(8)),
    "a shape that overflows": written({"a": {**ENTRY, "shape": [1 << 32, 1 << 32]}}, bytes(8)),
    "a negative shape": written({"a": {**ENTRY, "shape": [-2]}}, bytes(8)),
    "offsets beyond the file": written({"a": {**ENTRY, "data_offsets": [0, 1 << 40]}}, bytes(8)),
    "offsets in reverse": written({"a": {**ENTRY, "data_offsets": [8, 0]}}, bytes(8)),
    "two tensors in one place": written({"a": ENTRY, "b": ENTRY}, bytes(8)),
    "an unknown type": written({"a": {**ENTRY, "dtype": "X9"}}, bytes(8)),
    "metadata of numbers": written({"__metadata__": {"cfg": 5}, "a": ENTRY}, bytes(8)),
    "class names that are no JSON": written({"__metadata__": {"class_names": "["}, "a": ENTRY}, bytes(8)),
    "class names of 100,000 brackets": written({"__metadata__": {"class_names": "[" * 100_000}, "a": ENTRY}, bytes(8)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line(tmp_path, name):
    (tmp_path / "x.safetensors").write_bytes(BROKEN[name])
    with pytest.raises(CheckpointError, match=r"x\.safetensors: not a checkpoint, or a damaged one") as raised:
        read_checkpoint(tmp_path / "x.safetensors")
    assert "\n" not in str(raised.value)


def test_whole_numbers_in_it_are_no_weights(tmp_path, model):
    state = {n: t.clone() for n, t in model.state_dict().items()}
    state["head.projection.weight"] = state["head.projection.weight"].to(torch.int8)
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="no weights but int8"):
        load_weights(build_model(tiny_cfg(*BOTTLENECK, *SLOW)), tmp_path / "x.safetensors")
