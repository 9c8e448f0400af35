"""Checkpoint files that are made to do harm; none of them can do more than end the process that reads it."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import torch

ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
FLOAT = b"cnumpy\ndtype\n(U\x02f4I00\nI01\ntR"


def dtype_changed_later():
    """An array of raw bytes whose dtype a later BUILD turns into one with an object field.

    When it is freed, numpy counts down a reference at an address that the file gives; nothing is mapped there.
    """
    out = b"\x80\x02" + b"cnumpy\ndtype\n(U\x02V8I00\nI01\ntRq\x01" + ARRAY + b"q\x02"
    raw = struct.pack("<Q", 0x4141414141414141) * 64
    out += b"(K\x01K\x40\x85h\x01\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    return out + b"h\x01(K\x03U\x01|N(U\x01at}U\x01a(cnumpy\ndtype\n(U\x01OtRK\x00tsK\x08K\x01K\x3ftb0."


def array(state):
    """A pickle of one array with a state of its own; h\\x01 is a float32."""
    return b"\x80\x02" + FLOAT + b"q\x010" + ARRAY + state + b"b."


def torch_file(change, name="data.pkl"):
    """A file of torch with an entry that `change` makes of the right one."""
    right, out = io.BytesIO(), io.BytesIO()
    torch.save({"model_state": {"a": torch.arange(4.0)}}, right)
    with zipfile.ZipFile(right) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            changed = change(data) if entry.filename.endswith("/" + name) else data
            assert not entry.filename.endswith("/" + name) or changed != data
            target.writestr(entry.filename, changed)
    return out.getvalue()


def legacy_file(change=lambda data: data):
    """A file of torch in the format before 1.6."""
    out = io.BytesIO()
    torch.save({"model_state": {"a": torch.arange(4.0)}}, out, _use_new_zipfile_serialization=False)
    return change(out.getvalue())


def squeezed(data):
    """A zip with compressed entries."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    return out.getvalue()


def bomb():
    """A zip whose tensor inflates to 500 MB."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(torch_file(lambda d: d + b"x")), "r") as source:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
            for entry in source.infolist():
                data = bytes(500_000_000) if "/data/" in entry.filename else source.read(entry)
                target.writestr(entry.filename, data)
    return out.getvalue()


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


def calls(function, *args, protocol=2):
    """A pickle of weights that calls something."""
    return pickle.dumps({"model_state": {"x": Calls(function, *args)}}, protocol)


def torch_calls(function, *args, old=False):
    """A file of torch that calls something."""
    out = io.BytesIO()
    torch.save({"model_state": {"x": Calls(function, *args)}}, out, _use_new_zipfile_serialization=not old)
    return out.getvalue()


def number(value):
    return b"J" + struct.pack("<i", value)


def _sized(data, count):
    """torch's pickle with another length of the tensor's only axis."""
    return data.replace(b"K\x00K\x04\x85", b"K\x00" + number(count) + b"\x85")


def _strided(data, stride):
    return data.replace(b"K\x04\x85q", b"K\x04\x85q", 1).replace(b"K\x01\x85", number(stride) + b"\x85")


NESTED = b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"K\x01s."
# {name: (content, what the one line says)}
FILES = {
    "a dtype changed after its array was made": (dtype_changed_later, r"numpy\.dtype V8"),
    "a dtype of objects": (lambda: b"\x80\x02cnumpy\ndtype\n(U\x01OtR.", r"numpy\.dtype O"),
    "a dtype of text": (lambda: b"\x80\x02cnumpy\ndtype\n(U\x02U9tR.", r"numpy\.dtype U9"),
    "a dtype of times": (lambda: b"\x80\x02cnumpy\ndtype\n(U\x02M8tR.", r"numpy\.dtype M8"),
    "a dtype of fields": (lambda: b"\x80\x02cnumpy\ndtype\n(U\x05f4,O4tR.", r"numpy\.dtype f4,O4"),
    "a dtype of a class": (lambda: b"\x80\x02cnumpy\ndtype\n(cnumpy\nndarray\ntR.", r"numpy\.dtype"),
    "a plain dtype that gets fields": (
        lambda: b"\x80\x02" + FLOAT + b"(K\x03U\x01|N(U\x01at}K\x08K\x01K\x3ftb.",
        r"numpy\.dtype with fields",
    ),
    "a plain dtype that gets metadata": (
        lambda: b"\x80\x02" + FLOAT + b"(K\x04U\x01<NNNI-1\nI-1\nK\x00}U\x01aK\x01stb.",
        r"numpy\.dtype with fields, a shape or metadata",
    ),
    "an array with fewer bytes than numbers": (lambda: array(b"(K\x01K\x40\x85h\x01\x89U\x04abcdt"), r"has 4 bytes"),
    "an array with more bytes than numbers": (lambda: array(b"(K\x01K\x01\x85h\x01\x89U\x08abcdefght"), r"has 8 bytes"),
    "an array of negative shape": (lambda: array(b"(K\x01I-1\n\x85h\x01\x89U\x04abcdt"), r"without a plain shape"),
    "an array of two negative axes": (lambda: array(b"(K\x01I-1\nI-1\n\x86h\x01\x89U\x04abcdt"), r"plain shape"),
    "an array of a shape of texts": (lambda: array(b"(K\x01U\x011\x85h\x01\x89U\x04abcdt"), r"plain shape"),
    "an array of objects in a list": (lambda: array(b"(K\x01K\x01\x85h\x01\x89]K\x01at"), r"bytes made of list"),
    "an array without a type": (lambda: array(b"(K\x01K\x01\x85N\x89U\x04abcdt"), r"something else than numbers"),
    "an array that is given a state twice": (
        lambda: array(b"(K\x01K\x01\x85h\x01\x89U\x04abcdtb(K\x01K\x01\x85h\x01\x89U\x04abcdt"),
        r"a state of ndarray",
    ),
    "an array of a subclass": (
        lambda: b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\nK\x00\x85U\x01btR.",
        r"a class of its own",
    ),
    "a memory map": (lambda: b"\x80\x02cnumpy\nmemmap\n(U\x01xtR.", r"numpy\.memmap"),
    "numpy.fromfile": (lambda: calls(np.fromfile, "x"), r"fromfile"),
    "numpy.load": (lambda: calls(np.load, "x"), r"numpy.*load"),
    "ndarray as a call": (lambda: b"\x80\x02cnumpy\nndarray\n(K\x40\x85tR.", r"a call of object"),
    "a number of 500 MB as a bytearray": (
        lambda: b"\x80\x02c__builtin__\nbytearray\nI500000000\n\x85R.",
        r"bytearray made of int",
    ),
    "the same in a file of torch": (
        lambda: torch_file(lambda d: b"\x80\x02c__builtin__\nbytearray\nI500000000\n\x85R."),
        r"bytearray made of int",
    ),
    "bytes of a number": (lambda: b"\x80\x02c__builtin__\nbytes\nI500000000\n\x85R.", r"not a checkpoint"),
    "bytearrays of one text again and again": (
        lambda: b"\x80\x02]X" + struct.pack("<i", 100_000) + b"x" * 100_000 + b"q\x010"
        + b"c__builtin__\nbytearray\nh\x01\x85Ra" * 20_000 + b".",
        r"larger than the file",
    ),
    "sets of one list again and again": (
        lambda: b"\x80\x02](" + b"K\x01" * 50_000 + b"eq\x010]" + b"c__builtin__\nset\nh\x01\x85Ra" * 20_000 + b".",
        r"larger than the file",
    ),
    "arrays of one text again and again": (
        lambda: b"\x80\x02" + FLOAT + b"q\x010T" + struct.pack("<i", 400_000) + b"x" * 400_000 + b"q\x020]"
        + (ARRAY + b"(K\x01" + number(100_000) + b"\x85h\x01\x89h\x02tba") * 5_000 + b".",
        r"larger than the file",
    ),
    "bytes of a length that the file does not have": (
        lambda: b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",
        r"ends too early",
    ),
    "a bytearray of such a length": (lambda: b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b"x.", r"ends too early"),
    "a frame of such a length": (lambda: b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"Na.", r"than a list"),
    "a memo of four billion": (lambda: b"\x80\x02]r\xff\xff\xff\xff.", r"no model weights"),
    "a key of 200,000 tuples in each other": (lambda: NESTED, r"a key that is a tuple"),
    "the same in a set": (lambda: b"\x80\x04\x8f(" + b")" + b"\x85" * 200_000 + b"\x90.", r"a key that is a tuple"),
    "the same in a frozenset": (lambda: b"\x80\x04()" + b"\x85" * 200_000 + b"\x91.", r"a key that is a tuple"),
    "the same as a dict of protocol 0": (lambda: b"()" + b"\x85" * 200_000 + b"K\x01d.", r"a key that is a tuple"),
    "200,000 tuples as a key in a file of torch": (lambda: torch_file(lambda d: NESTED), r"a key that is a tuple"),
    "200,000 lists in each other": (lambda: b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b".", r"no model weights"),
    "a list in itself": (lambda: b"\x80\x02]q\x01h\x01a.", r"no model weights"),
    "a dict in itself": (lambda: b"\x80\x02}q\x01X\x0b\x00\x00\x00model_stateh\x01s.", r"no model weights"),
    "items of an array": (lambda: array(b"(K\x01K\x01\x85h\x01\x89U\x04abcdtb(K\x00K\x01u0N"), r"than a dict"),
    "os.system": (lambda: calls(os.system, "touch ran"), r"(posix|os)\.system"),
    "os.system in a file of torch": (lambda: torch_calls(os.system, "touch ran"), r"(posix|os)\.system"),
    "os.system in the old format": (lambda: torch_calls(os.system, "touch ran", old=True), r"(posix|os)\.system"),
    "eval": (lambda: calls(eval, "open('ran', 'w')"), r"eval"),
    "eval in the old format": (lambda: torch_calls(eval, "open('ran', 'w')", old=True), r"eval"),
    "exec of protocol 0": (lambda: calls(exec, "open('ran', 'w')", protocol=0), r"exec"),
    "exec of protocol 4": (lambda: calls(exec, "open('ran', 'w')", protocol=4), r"exec"),
    "getattr": (lambda: calls(getattr, "x", "y"), r"getattr"),
    "torch.load": (lambda: calls(torch.load, "x"), r"torch\.serialization\.load"),
    "a class of protocol 0": (lambda: b"(cos\nsystem\nX\x01\x00\x00\x00xo.", r"os\.system"),
    "an instance by its name": (lambda: b"(X\x01\x00\x00\x00xios\nsystem\n.", r"the opcode INST"),
    "a new object": (lambda: b"\x80\x02ccollections\nOrderedDict\n)\x81.", r"the opcode NEWOBJ"),
    "an extension": (lambda: b"\x80\x02\x82\x01.", r"the opcode EXT1"),
    "a buffer outside of the file": (lambda: b"\x80\x05\x97.", r"the opcode NEXT_BUFFER"),
    "a thing outside of the file": (lambda: b"\x80\x02K\x01Q.", r"outside of the file"),
    "a codec": (lambda: b"c_codecs\nencode\n(Vabc\nVrot13\ntR.", r"rot13"),
    "a name over two lines": (lambda: b"\x80\x04X\x03\x00\x00\x00a\nbX\x03\x00\x00\x00c\nd\x93.", r"a\\nb\.c\\nd"),
    "a tensor beyond its bytes": (lambda: torch_file(lambda d: _sized(d, 1 << 28)), r"outside of its 16 bytes"),
    "a tensor of negative length": (lambda: torch_file(lambda d: _sized(d, -4)), r"no list of sizes"),
    "a tensor with long strides": (lambda: torch_file(lambda d: _strided(d, 1 << 20)), r"outside of its 16 bytes"),
    "a tensor of a billion numbers on four": (
        lambda: torch_file(lambda d: _sized(_strided(d, 0), 1 << 30)),
        r"outside of its 16 bytes",
    ),
    "a storage of more than its bytes": (
        lambda: torch_file(lambda d: d.replace(b"K\x04tq", number(1 << 20) + b"tq")),
        r"has 16 in the file",
    ),
    "a storage of fewer bytes": (lambda: torch_file(lambda d: d[:8], "data/0"), r"has 8 in the file"),
    "a file of torch without its tensor": (
        lambda: torch_file(lambda d: d.replace(b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x007")),
        r"data/7 is missing",
    ),
    "the other byte order": (lambda: torch_file(lambda d: b"big", "byteorder"), r"other byte order"),
    "compressed entries": (lambda: squeezed(torch_file(lambda d: d + b"x")), r"is compressed"),
    "a zip that inflates to 500 MB": (bomb, r"is compressed"),
    "a zip of something else": (
        lambda: torch_file(lambda d: d + b"x").replace(b"data.pkl", b"data.txt"),
        r"something else",
    ),
    "a changed byte in a tensor": (
        lambda: torch_file(lambda d: d + b"x").replace(np.float32(3).tobytes(), b"\0\0\x41\x40"),
        r"checksum of its entry archive/data/0",
    ),
    "the old format, longer than the file": (
        lambda: legacy_file(lambda d: d.replace(b"K\x04Nt", number(1 << 28) + b"Nt")),
        r"larger than the file",
    ),
    "the old format, cut off": (lambda: legacy_file(lambda d: d[:-8]), r"ends too early"),
    "the old format, another number of numbers": (
        lambda: legacy_file(lambda d: d.replace(struct.pack("<Q", 4), struct.pack("<Q", 3))),
        r"do not agree on the size",
    ),
    "a sparse tensor": (
        lambda: torch_tensor(torch.eye(3).to_sparse()),
        r"a sparse tensor",
    ),
    "a quantised tensor": (
        lambda: torch_tensor(torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)),
        r"quantised tensor|QInt8Storage",
    ),
    "a tensor on no device": (lambda: torch_tensor(torch.zeros(3, device="meta")), r"without values"),
}  # fmt: skip


def torch_tensor(tensor):
    """A file of torch with one tensor."""
    out = io.BytesIO()
    torch.save({"model_state": {"a": tensor}}, out)
    return out.getvalue()
