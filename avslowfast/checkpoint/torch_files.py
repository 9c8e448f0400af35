"""Files of `torch.save`, in its zip format and in the one before 1.6, read without torch's own unpickler.

Bytes of tensors are read only where the file has them, are compared with the checksums of the zip, and a tensor's shape
and strides have to lie inside them.
"""

import math
import struct
import sys
import zipfile
import zlib
from abc import ABC, abstractmethod
from io import BytesIO
from typing import Any, BinaryIO

import torch

from .plain_objects import NAMES
from .unpickling import BoundedFile, DamagedError, in_words, RefusedError, StandIn, Unpickler

# What a zip begins with.
ZIP = b"PK\x03\x04"
# torch.save's number in its format before 1.6, as pickled at the head of the file.
LEGACY = b"l\xfc\x9cF\xf9 j\xa8P\x19"

_LOCAL_HEADER = struct.Struct("<4s22xHH")


class _Storages(ABC):
    """The bytes of tensors, by key; each is read once."""

    def __init__(self) -> None:
        self._data: dict[str, torch.Tensor] = {}

    def get(self, key: str, count: int, item: int) -> torch.Tensor:
        """uint8 [count x item]: the bytes of a storage.

        Args:
            key: Of the storage.
            count: Its numbers.
            item: Bytes of a number.

        Raises:
            DamagedError: The file has not as many, or others than its checksum says.
        """
        if key not in self._data:
            self._data[key] = self._make(key, count, item)
        if len(self._data[key]) != count * item:
            raise DamagedError(f"tensors do not agree on the size of {in_words(key)}")
        return self._data[key]

    @abstractmethod
    def _make(self, key: str, count: int, item: int) -> torch.Tensor: ...


def _memory(data: torch.Tensor) -> memoryview:
    """The bytes of a uint8 tensor, to be filled."""
    array: Any = data.numpy()
    return memoryview(array)


class _Zip(_Storages):
    """The entries of a zip, which torch stores as they are."""

    def __init__(self, f: BinaryIO, size: int) -> None:
        super().__init__()
        self._f = BoundedFile(f, size)
        self._raw = f
        entries = zipfile.ZipFile(f).infolist()
        self._entries = {entry.filename: entry for entry in entries}
        pickles = [name for name in self._entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if not pickles or pickles[0].replace("data.pkl", "constants.pkl") in self._entries:
            raise DamagedError("a zip archive of something else than weights")
        self._folder = pickles[0].removesuffix("data.pkl")
        packed = next(
            (entry for entry in entries if entry.compress_type or entry.file_size != entry.compress_size), None
        )
        if packed is not None:
            raise DamagedError(f"its entry {in_words(packed.filename)} is compressed, which torch never does")
        if sum(entry.file_size for entry in entries) > size:
            raise DamagedError("its entries are larger than the file itself")
        if self._folder + "byteorder" in self._entries and bytes(self.read("byteorder")) != sys.byteorder.encode():
            raise DamagedError("it was written on a machine with the other byte order")

    def read(self, name: str) -> bytearray:
        """The bytes of a small entry."""
        entry = self._entry(name)
        buffer = bytearray(entry.file_size)
        self._fill(entry, memoryview(buffer))
        return buffer

    def _make(self, key: str, count: int, item: int) -> torch.Tensor:
        entry, size = self._entry(f"data/{key}"), count * item
        if entry.file_size != size:
            raise DamagedError(f"a tensor of {size} bytes has {entry.file_size} in the file")
        data = torch.empty(size, dtype=torch.uint8)
        self._fill(entry, _memory(data))
        return data

    def _entry(self, name: str) -> zipfile.ZipInfo:
        if self._folder + name not in self._entries:
            raise DamagedError(f"its entry {in_words(name)} is missing")
        return self._entries[self._folder + name]

    def _fill(self, entry: zipfile.ZipInfo, buffer: memoryview) -> None:
        self._raw.seek(entry.header_offset)
        mark, name, extra = _LOCAL_HEADER.unpack(self._f.read(_LOCAL_HEADER.size))
        if mark != ZIP:
            raise DamagedError(f"its entry {in_words(entry.filename)} is not where it should be")
        self._raw.seek(name + extra, 1)
        self._f.read_into(buffer)
        # A file may be written without checksums (torch.serialization.set_crc32_options).
        if entry.CRC and zlib.crc32(buffer) != entry.CRC:
            raise DamagedError(f"the checksum of its entry {in_words(entry.filename)} does not agree")


class _Promised(_Storages):
    """Storages of the format before 1.6: their bytes follow after the pickle that describes their tensors."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size
        self._counts: dict[str, int] = {}

    def _make(self, key: str, count: int, item: int) -> torch.Tensor:
        self._left -= count * item
        if self._left < 0:
            raise DamagedError("its tensors are larger than the file itself")
        self._counts[key] = count
        return torch.zeros(count * item, dtype=torch.uint8)

    def fill(self, f: BoundedFile, keys: Any) -> None:
        """Read the bytes of all storages, in the order of their keys."""
        if not isinstance(keys, list) or set(map(str, keys)) != set(self._data):
            raise DamagedError("its list of tensors is not that of its tensors")
        for key in map(str, keys):
            if int.from_bytes(f.read(8), "little") != self._counts[key]:
                raise DamagedError(f"tensors do not agree on the size of {in_words(key)}")
            f.read_into(_memory(self._data[key]))


class _StorageKind:
    """A type of storage: the kind of its numbers."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype


class _Storage:
    """Bytes and the kind of number that they are."""

    def __init__(self, data: torch.Tensor, dtype: torch.dtype) -> None:
        self.data, self.dtype = data, dtype


class _TorchUnpickler(Unpickler):
    """The machine that makes tensors as well."""

    def __init__(self, f: Any, size: int, storages: _Storages) -> None:
        super().__init__(f, size, _NAMES)
        self._storages, self._size = storages, size

    def persistent(self, pid: Any) -> _Storage:
        """The storage that a pickle refers to."""
        if not isinstance(pid, tuple) or len(pid) < 5 or not isinstance(pid[1], _StorageKind):
            raise RefusedError("something else than a tensor outside of its pickle")
        _, kind, key, _, count = pid[:5]
        if type(count) is not int or count < 0:
            raise DamagedError("a storage without a size")
        if len(pid) > 5 and pid[5] is not None:
            raise RefusedError("a storage that is part of another one")
        return _Storage(self._storages.get(str(key), count, kind.dtype.itemsize), kind.dtype)

    def tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, dtype: torch.dtype | None) -> torch.Tensor:
        """A tensor inside a storage.

        Args:
            storage: What a persistent id gave.
            offset: Its first number.
            shape: Its shape.
            strides: Its strides, in numbers.
            dtype: Kind of its numbers; None is the storage's.
        """
        if not isinstance(storage, _Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
            raise RefusedError("a tensor made of something else than a storage")
        numbers = (offset, *shape, *strides)
        if any(type(n) is not int or n < 0 for n in numbers) or len(shape) != len(strides) or len(shape) > 64:
            raise DamagedError("a tensor's shape is no list of sizes")
        dtype = dtype or storage.dtype
        have, count = len(storage.data) // dtype.itemsize, math.prod(shape)
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides))
        if count and (last >= have or count * dtype.itemsize > self._size):
            raise DamagedError(f"a tensor of shape {list(shape)} lies outside of its {len(storage.data)} bytes")
        if not count:
            return torch.empty(shape, dtype=dtype)
        flat = storage.data[: have * dtype.itemsize].view(dtype)
        return torch.as_strided(flat, shape, strides, offset)


def read_zip(f: BinaryIO, size: int) -> Any:
    """The content of a file of `torch.save`.

    Args:
        f: The open file.
        size: Its bytes.

    Raises:
        DamagedError: It is another kind of zip, or a damaged one.
        RefusedError: It asks for more than tensors and plain containers.
    """
    archive = _Zip(f, size)
    return _TorchUnpickler(BytesIO(archive.read("data.pkl")), size, archive).load()


def read_legacy(f: BinaryIO, size: int) -> Any:
    """The content of a file in the format before torch 1.6: pickles one after the other, then the tensors' bytes.

    Args:
        f: The open file.
        size: Its bytes.

    Raises:
        DamagedError: The file is damaged.
        RefusedError: It asks for more than tensors and plain containers.
    """
    bounded, storages = BoundedFile(f, size), _Promised(size)
    _, _, system, content, keys = (_TorchUnpickler(bounded, size, storages).load() for _ in range(5))
    if not isinstance(system, dict) or system.get("little_endian") != (sys.byteorder == "little"):
        raise DamagedError("it was written on a machine with the other byte order")
    storages.fill(bounded, keys)
    return content


# ---- Stand-ins -----------------------------------------------------------------------------------------------------


def _tensor(machine: _TorchUnpickler, storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> torch.Tensor:
    """`_rebuild_tensor` and `_rebuild_tensor_v2`; the rest says whether a gradient is wanted."""
    return machine.tensor(storage, offset, shape, strides, None)


def _tensor_of_dtype(
    machine: _TorchUnpickler, storage: Any, offset: Any, shape: Any, strides: Any, grad: Any, hooks: Any, dtype: Any,
    *rest: Any,
) -> torch.Tensor:  # fmt: skip
    """`_rebuild_tensor_v3`: the kind of number stands beside the storage."""
    if not isinstance(dtype, torch.dtype):
        raise RefusedError("a tensor without a kind of number")
    return machine.tensor(storage, offset, shape, strides, dtype)


def _parameter(machine: _TorchUnpickler, data: Any, *rest: Any) -> torch.Tensor:
    """A parameter as its tensor."""
    if not isinstance(data, torch.Tensor):
        raise RefusedError("a parameter made of something else than a tensor")
    return data


def _with_attributes(machine: _TorchUnpickler, function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor that has attributes of its own, without them."""
    if not isinstance(function, StandIn) or kind is not _TENSOR or not isinstance(arguments, tuple):
        raise RefusedError("a tensor of a class of its own")
    return function.make(machine, *arguments)


def _size(machine: _TorchUnpickler, sizes: Any = ()) -> Any:
    return sizes


def _device(machine: _TorchUnpickler, kind: Any, index: Any = None) -> str:
    return f"{kind}" if index is None else f"{kind}:{index}"


def _refused(what: str) -> StandIn:
    def refuse(machine: _TorchUnpickler, *arguments: Any) -> None:
        raise RefusedError(what)

    return StandIn(refuse)


_TENSOR = object()
_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
_DTYPES = (
    "float64 float32 float16 bfloat16 float8_e4m3fn float8_e5m2 int64 int32 int16 int8 uint64 uint32 uint16 uint8 bool "
    "complex64 complex128"
)
_NAMES: dict[tuple[str, str], Any] = {
    **NAMES,
    **{(module, name): _StorageKind(dtype) for module in ("torch", "torch.cuda") for name, dtype in _STORAGES.items()},
    ("torch.storage", "UntypedStorage"): _StorageKind(torch.uint8),
    **{("torch", name): getattr(torch, name) for name in _DTYPES.split()},
    ("torch", "Size"): StandIn(_size),
    ("torch", "device"): StandIn(_device),
    ("torch", "Tensor"): _TENSOR,
    ("torch.nn.parameter", "Parameter"): _TENSOR,
    ("torch._utils", "_rebuild_tensor"): StandIn(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): StandIn(_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): StandIn(_tensor_of_dtype),
    ("torch._utils", "_rebuild_parameter"): StandIn(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): StandIn(_parameter),
    ("torch._tensor", "_rebuild_from_type_v2"): StandIn(_with_attributes),
    ("torch._utils", "_rebuild_sparse_tensor"): _refused("a sparse tensor"),
    ("torch.serialization", "_get_layout"): _refused("a sparse tensor"),
    ("torch._utils", "_rebuild_qtensor"): _refused("a quantised tensor"),
    ("torch._utils", "_rebuild_nested_tensor"): _refused("a nested tensor"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): _refused("a tensor without values (device meta)"),
}
