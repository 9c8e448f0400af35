"""What the names in plain pickles stand for: containers, and the arrays and numbers of numpy.

What numpy's own pickles call is replaced by functions of this project: numpy sees an array only when its kind, its
shape and the number of its bytes are known to agree.
"""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .unpickling import as_key, Builder, DamagedError, in_words, RefusedError, StandIn, Unpickler

_DTYPE = re.compile(r"([<>|=]?)(b1|[iu][1248]|f[248]|c8|c16)")
_ENCODINGS = ("latin1", "latin-1")


class _Kind(Builder):
    """A numeric type of numpy in words, such as "f4", with its byte order; never a dtype."""

    def __init__(self, code: str, order: str) -> None:
        self.code, self.order = code, order

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return int(self.code[1:])

    def set_state(self, machine: Unpickler, state: Any) -> None:
        """The state that numpy's dtypes have; of a plain type only the byte order says anything."""
        version, order, *rest = state if isinstance(state, tuple) and len(state) >= 2 else (None, None)
        plain = all(value is None or (type(value) is int and value in (-1, 0)) for value in rest)
        if type(version) is not int or order not in ("<", ">", "|", "=") or not plain:
            raise RefusedError("a numpy.dtype with fields, a shape or metadata")
        self.order = order

    @property
    def built(self) -> "_Kind":
        """Itself."""
        return self

    def array(self, data: Any, shape: Any, fortran: bool) -> NDArray[Any]:
        """An array of its own memory, once kind, shape and number of bytes agree."""
        content = _as_bytes(data)
        if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape) or len(shape) > 32:
            raise RefusedError("a numpy.ndarray without a plain shape")
        if math.prod(shape) * self.size != len(content):
            raise DamagedError(f"an array of shape {shape} of {self.code} has {len(content)} bytes")
        numbers = np.frombuffer(content, self.order + self.code)
        return numbers.reshape(shape, order="F" if fortran else "C").copy(order="K")


class _Array(Builder):
    """What `_reconstruct` gives: an array that BUILD will make."""

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None

    def set_state(self, machine: Unpickler, state: Any) -> None:
        """The state that numpy's arrays have: version, shape, type, order of the axes, bytes."""
        if self.array is not None or not isinstance(state, tuple) or len(state) != 5 or type(state[0]) is not int:
            raise RefusedError("a numpy.ndarray of an unknown kind")
        _, shape, kind, fortran, data = state
        self.array = _array(machine, kind, data, shape, bool(fortran))

    @property
    def built(self) -> Any:
        """The array."""
        return self if self.array is None else self.array


def _array(machine: Unpickler, kind: Any, data: Any, shape: Any, fortran: bool) -> NDArray[Any]:
    """An array, once it is known to be one of numbers."""
    if not isinstance(kind, _Kind):
        raise RefusedError("a numpy.ndarray of something else than numbers")
    if isinstance(data, (str, bytes, bytearray)):
        machine.spend(2 * len(data))
    return kind.array(data, shape, fortran)


def _as_bytes(value: Any) -> bytes:
    # Python 2 had one type for texts and bytes.
    if isinstance(value, str):
        return value.encode("latin1")
    if not isinstance(value, (bytes, bytearray)):
        raise RefusedError(f"bytes made of {in_words(type(value).__name__)}")
    return bytes(value)


def _encode(machine: Unpickler, text: Any, encoding: Any = None) -> bytes:
    """What pickles of protocol 2 use `_codecs.encode` for, and nothing else of it."""
    if encoding not in _ENCODINGS or not isinstance(text, str):
        raise RefusedError(f"_codecs.encode with {in_words(str(encoding))}")
    machine.spend(len(text))
    return text.encode("latin1")


def _byte_array(machine: Unpickler, value: Any = b"", encoding: Any = "latin1") -> bytearray:
    """A bytearray of bytes, never of a number."""
    if not isinstance(value, (str, bytes, bytearray)) or encoding not in _ENCODINGS:
        raise RefusedError(f"a bytearray made of {in_words(type(value).__name__)}")
    machine.spend(len(value))
    return bytearray(_as_bytes(value))


def _no_bytes(machine: Unpickler) -> bytes:
    """Protocol 2 has no opcode for bytes without content."""
    return b""


def _set(machine: Unpickler, values: Any = ()) -> set[Any]:
    return set(map(as_key, _sequence(machine, values)))


def _frozenset(machine: Unpickler, values: Any = ()) -> frozenset[Any]:
    return frozenset(map(as_key, _sequence(machine, values)))


def _mapping(machine: Unpickler, items: Any = ()) -> dict[Any, Any]:
    """An OrderedDict or a Counter as a dict, of a dict or of pairs."""
    if isinstance(items, dict):
        items = list(items.items())
    pairs = [_sequence(machine, pair) for pair in _sequence(machine, items)]
    if any(len(pair) != 2 for pair in pairs):
        raise DamagedError("a pair of a mapping has not two parts")
    return {as_key(key): value for key, value in pairs}


def _sequence(machine: Unpickler, values: Any) -> Any:
    """A list or a tuple whose items go into another container."""
    if not isinstance(values, (list, tuple)):
        raise RefusedError(f"a container made of {in_words(type(values).__name__)}")
    machine.spend(8 * len(values))
    return values


def _complex(machine: Unpickler, real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise RefusedError("a complex number made of something else than two numbers")
    return complex(real, imaginary)


def _dtype(machine: Unpickler, code: Any, align: Any = False, copy: Any = False) -> _Kind:
    match = _DTYPE.fullmatch(code) if isinstance(code, str) else None
    if match is None:
        raise RefusedError(f"numpy.dtype {in_words(str(code))}, which is no plain number")
    return _Kind(match[2], match[1] or "=")


def _reconstruct(machine: Unpickler, kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise RefusedError("an array of a class of its own")
    return _Array()


def _scalar(machine: Unpickler, kind: Any, data: Any) -> Any:
    return _array(machine, kind, data, (), False)[()]


def _from_buffer(machine: Unpickler, data: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    return _array(machine, kind, data, shape, order == "F")


# numpy.ndarray itself, which a pickle names and never calls.
_NDARRAY = object()
_BUILTINS: dict[str, Callable[..., Any]] = {
    "set": _set,
    "frozenset": _frozenset,
    "bytearray": _byte_array,
    "bytes": _no_bytes,
    "complex": _complex,
}
# What the names in a pickle of plain objects stand for.
NAMES: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): StandIn(_mapping),
    ("collections", "Counter"): StandIn(_mapping),
    ("_codecs", "encode"): StandIn(_encode),
    **{(module, name): StandIn(make) for module in ("builtins", "__builtin__") for name, make in _BUILTINS.items()},
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): StandIn(_dtype),
    ("numpy._core.multiarray", "_reconstruct"): StandIn(_reconstruct),
    ("numpy._core.multiarray", "scalar"): StandIn(_scalar),
    ("numpy._core.numeric", "_frombuffer"): StandIn(_from_buffer),
}
