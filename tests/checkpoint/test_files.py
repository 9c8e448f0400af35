"""Checkpoint files that are not trusted: nothing in them is executed, and damaged ones are named."""

import collections
import functools
import http.server
import os
import pickle
import re
import struct
import threading

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


DTYPES = [
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"),
    *("complex64", "complex128", "uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"),
]


def everything(dtypes):
    """What a file of torch may hold that is plain."""
    linear = torch.nn.Linear(3, 2)
    marked = torch.nn.Parameter(torch.arange(4.0))
    marked.tag = 3
    base = torch.arange(24.0)
    return {
        "state": linear.state_dict(),
        "parameters": dict(linear.named_parameters()),
        "with an attribute": marked,
        "numbers": {name: torch.tensor([0.0, 1.0, 3.0]).to(getattr(torch, name)) for name in dtypes},
        "views": [base.view(4, 6).t(), base[3:9], base.view(2, 3, 4)[:, :, ::2], torch.ones(1).expand(2, 3)],
        "tied": [base, base],
        "empty": torch.zeros(0, 3),
        "scalar": torch.tensor(3.5),
        "sizes": (torch.Size([1, 2]), torch.float32, collections.Counter({3: 1}), {1, 2}, frozenset([(1, "a")])),
        "values": (
            b"xy",
            bytearray(b"zz"),
            b"",
            1 + 2j,
            None,
            10**30,
            -(10**30),
            -5,
            70000,
            1e-300,
            True,
            (1, (2, {})),
        ),
        "text": "\u00e9\U0001f600\n'\"",
    }


def same(ours, theirs):
    """Assert that two contents are equal, tensors with their strides."""
    if isinstance(theirs, torch.Tensor):
        assert (ours.shape, ours.dtype, ours.stride()) == (theirs.shape, theirs.dtype, theirs.stride())
        assert bytes(ours.contiguous().view(-1).view(torch.uint8).numpy() if ours.numel() else b"") == bytes(
            theirs.detach().contiguous().view(-1).view(torch.uint8).numpy() if theirs.numel() else b""
        )
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs):
            same(a, b)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("old", [False, True])
def test_what_torch_writes_is_read_as_torch_reads_it(tmp_path, protocol, old):
    content = everything(DTYPES[:12] if old else DTYPES)
    torch.save(content, tmp_path / "x.pyth", _use_new_zipfile_serialization=not old, pickle_protocol=protocol)
    same(read_checkpoint(tmp_path / "x.pyth"), torch.load(tmp_path / "x.pyth", weights_only=False))


def test_plain_python_objects_are_read_as_python_reads_them(tmp_path):
    content = everything([])["values"] + ("text 'quoted' \"twice\" \\ \n\t\0", [1.5, float("inf")], {"a": [{}, []]})
    for protocol in range(6):
        (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
        same(read_checkpoint(tmp_path / "x.pkl"), content)


def test_texts_of_python_2_are_read(tmp_path):
    (tmp_path / "x.pkl").write_bytes(b"(dp0\nS'it\\'s \\xe9'\np1\nI01\nsS\"a'b\"\nL12L\ns.")
    assert read_checkpoint(tmp_path / "x.pkl") == {"it's \u00e9": True, "a'b": 12}


def test_one_array_that_is_referred_to_twice_is_one(tmp_path):
    a = np.arange(3.0)
    (tmp_path / "x.pkl").write_bytes(
        pickle.dumps([a, a, np.float32(2), np.arange(4).reshape(2, 2).T, np.zeros((0, 2))])
    )
    b, c, number, turned, empty = read_checkpoint(tmp_path / "x.pkl")
    assert b is c
    assert isinstance(number, np.float32) and number == 2
    assert turned.tolist() == [[0, 2], [1, 3]]
    assert empty.shape == (0, 2)


@pytest.mark.parametrize("kind", ["<f4", ">f8", "f2", "<i8", ">i2", "u1", "i1", "?", "<c8", ">c16", "<u4"])
@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_every_kind_of_number_is_read(tmp_path, kind, protocol):
    content = {"x": np.array([[0, 1], [2, 3], [1, 0]]).astype(kind), "y": np.zeros(1, kind)[0]}
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    result = read_checkpoint(tmp_path / "x.pkl")
    assert result["x"].dtype == content["x"].dtype
    assert result["x"].tolist() == content["x"].tolist()
    assert result["x"].flags.writeable
    assert result["y"] == content["y"]


def test_changed_bytes_are_found_wherever_they_are(tmp_path):
    torch.save({"model_state": {f"x{i}": torch.randn(500) for i in range(20)}}, tmp_path / "x.pyth")
    data = (tmp_path / "x.pyth").read_bytes()
    found = 0
    for place in range(200, len(data) - 64, len(data) // 40):
        changed = data[:place] + bytes(b ^ 0xFF for b in data[place : place + 64]) + data[place + 64 :]
        (tmp_path / "y.pyth").write_bytes(changed)
        try:
            content = read_checkpoint(tmp_path / "y.pyth")
        except CheckpointError as error:
            assert re.search("checksum|data/|damaged", str(error))
            found += 1
        else:
            # What was changed belongs to no tensor: padding, or a note of torch.
            same(content, read_checkpoint(tmp_path / "x.pyth"))
    assert found >= 30


def test_a_file_without_checksums_is_read(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"x": torch.arange(3.0)}, tmp_path / "x.pyth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_checkpoint(tmp_path / "x.pyth")["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda p: None, "no such file; check the path"),
        (lambda p: p.mkdir(), "it is a folder; give a file"),
        (lambda p: os.mkfifo(p), "it is no regular file"),
        (lambda p: p.symlink_to("x.pyth"), "Too many levels of symbolic links"),
        (lambda p: p.symlink_to("none"), "no such file"),
        (lambda p: p.write_bytes(b""), "it is empty"),
        (lambda p: p.write_bytes(bytes(5000)), "byte 0x00 is no opcode"),
        (lambda p: p.write_bytes(b"<!DOCTYPE html><html>404</html>"), "byte 0x3c is no opcode"),
        (lambda p: np.savez(open(p, "wb"), x=np.zeros(3)), "a zip archive of something else than weights"),
        (lambda p: np.save(open(p, "wb"), np.zeros(3)), "an object is missing"),
        (lambda p: torch.jit.save(torch.jit.script(torch.nn.ReLU()), p), "a zip archive of something else"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_checkpoint_is_one_line_without_keys_of_a_configuration(tmp_path, make, words):
    make(tmp_path / "x.pyth")
    with pytest.raises(CheckpointError, match=words) as raised:
        read_checkpoint(tmp_path / "x.pyth")
    assert "\n" not in str(raised.value)
    assert "CHECKPOINT_FILE_PATH" not in str(raised.value)


@pytest.mark.parametrize(
    "address", ["s3://bucket/x.pyth", "gs://bucket/x.pyth", "https:///x", "http://127.0.0.1:9/x.pyth"]
)
def test_an_address_that_cannot_be_opened_is_one_line(tmp_path, monkeypatch, address):
    monkeypatch.setenv("AVSLOWFAST_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match="(cannot be opened|cannot be downloaded)"):
        read_checkpoint(address)
    assert os.listdir(tmp_path) == []


def test_an_address_is_downloaded_once(tmp_path, monkeypatch):
    (tmp_path / "served").mkdir()
    torch.save({"x": torch.arange(3.0)}, tmp_path / "served/x.pyth")
    monkeypatch.setenv("AVSLOWFAST_CACHE", str(tmp_path / "cache"))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/x.pyth?version=2"
        assert read_checkpoint(address)["x"].tolist() == [0, 1, 2]
        with pytest.raises(CheckpointError, match="404"):
            read_checkpoint(address.replace("x.pyth", "y.pyth"))
        server.shutdown()
    assert read_checkpoint(address)["x"].tolist() == [0, 1, 2]
    assert len(os.listdir(tmp_path / "cache")) == 1
