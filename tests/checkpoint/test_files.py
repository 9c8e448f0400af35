"""Checkpoint files that are not trusted: nothing in them is executed, and damaged ones are named."""

import collections
import os
import pickle
import struct

import numpy as np
import pytest
import torch
from helpers.checkpoints import make, save
from hypothesis import given, HealthCheck, settings
from hypothesis import strategies as st

from avslowfast.checkpoint import (
    CheckpointError,
    load_weights,
    read_checkpoint,
)


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
        result = read_checkpoint(tmp_path / "x.pkl")
        assert np.array_equal(result["blobs"]["a"], content["blobs"]["a"])
        assert result["blobs"]["b"] == 3
        assert result["set"] == {1, 2}
        assert result["order"]["a"][1][0] == 2.5
        assert np.array_equal(result["big-endian"], [0, 1, 2])


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
        assert "x.pkl" in str(error)
        assert "\n" not in str(error)


def test_damaged_files_are_named(tmp_path):
    save(make("MODEL.ARCH", "slow").state_dict(), tmp_path / "x.pyth")
    data = (tmp_path / "x.pyth").read_bytes()
    for size in (0, 1, 100, len(data) // 2, len(data) - 20):
        (tmp_path / "damaged.pyth").write_bytes(data[:size])
        with pytest.raises(CheckpointError, match="damaged.pyth"):
            read_checkpoint(tmp_path / "damaged.pyth")
    (tmp_path / "number.pkl").write_bytes(pickle.dumps(struct.pack("<d", 1.0)))
    with pytest.raises(CheckpointError, match="no model weights"):
        load_weights(make("MODEL.ARCH", "slow"), tmp_path / "number.pkl")
