"""A pickle machine that builds numbers, texts and plain containers, and calls nothing that a file names.

A name stands for what a table says, else the file is refused. Opcodes that make objects of classes are not there at
all, and no object is much larger than the file.
"""

import pickle
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

# {(module, name): what it stands for}
Names = Mapping[tuple[str, str], Any]

# What a pickle may make of its own bytes, in sizes of the file; texts that become bytes, then arrays, are three.
_ROOM = 4
_SMALL = 1 << 16
_KEYS = (str, bytes, int, float, bool, type(None))


class RefusedError(Exception):
    """What a pickle asked for and did not get; the message names it."""


class DamagedError(Exception):
    """A file that says two things about itself, or one that cannot be; the message says what."""


class BoundedFile:
    """A file that is not asked for more than it has: reading what a hostile length says would take that much memory.

    Args:
        f: The open file.
        size: Its bytes.

    Attributes:
        size: Its bytes.
    """

    def __init__(self, f: BinaryIO, size: int) -> None:
        self._f, self.size = f, size

    def read(self, count: int) -> bytes:
        """As of a file."""
        if count > _SMALL and count > self.size - self._f.tell():
            raise EOFError("it ends too early")
        return self._f.read(count)

    def readline(self) -> bytes:
        """As of a file."""
        return self._f.readline()

    def read_into(self, buffer: memoryview) -> None:
        """Fill a buffer.

        Args:
            buffer: Writable bytes.

        Raises:
            EOFError: The file has not as many.
        """
        if self._f.readinto(buffer) != len(buffer):  # type: ignore[attr-defined]  # files and BytesIO have it
            raise EOFError("it ends too early")


class StandIn:
    """What a name in a pickle stands for: a function of this project, called by REDUCE with the machine in front.

    Args:
        make: The function.
    """

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


class Builder(ABC):
    """What stands for an object whose content comes later, by BUILD."""

    @abstractmethod
    def set_state(self, machine: "Unpickler", state: Any) -> None:
        """Take the content.

        Args:
            machine: The machine.
            state: What the file gives.

        Raises:
            RefusedError: It is not what plain objects have.
        """

    @property
    @abstractmethod
    def built(self) -> Any:
        """The object; this one as long as there is none."""


class Unpickler:
    """The machine: numbers, texts, bytes, lists, tuples, dicts, sets, numeric arrays.

    Args:
        f: The file, at the beginning of a pickle; its `read` is not asked for more than the file has.
        size: Bytes of the whole file: what the pickle makes may not be much larger.
        names: {(module, name): what it stands for}.
    """

    def __init__(self, f: BoundedFile | BinaryIO, size: int, names: Names) -> None:
        self._read, self._readline = f.read, f.readline
        self._names = names
        self._room = _ROOM * size + _SMALL
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The object; afterwards the file is behind the pickle.

        Raises:
            RefusedError: It asks for more than plain objects.
            DamagedError: It says two things about itself.
            Exception: Whatever nonsense leads to.
        """
        while True:
            opcode = self.take(1)
            if opcode == pickle.STOP:
                return _built(self.pop())
            operation = _OPERATIONS.get(opcode)
            if operation is None:
                raise _unknown(opcode)
            operation(self)

    def take(self, count: int) -> bytes:
        """The next bytes.

        Args:
            count: How many.

        Raises:
            EOFError: There are fewer.
        """
        data = self._read(count)
        if len(data) != count:
            raise EOFError("it ends too early")
        return data

    def number(self, count: int, signed: bool = False) -> int:
        """The next bytes as a whole number.

        Args:
            count: How many.
            signed: It may be negative.
        """
        return int.from_bytes(self.take(count), "little", signed=signed)

    def line(self) -> bytes:
        """What follows up to the end of the line, without it."""
        line = self._readline()
        if not line.endswith(b"\n"):
            raise EOFError("it ends too early")
        return line[:-1]

    def push(self, value: Any) -> None:
        """Put an object on the stack."""
        self._stack.append(value)

    def pop(self) -> Any:
        """The topmost object, off the stack."""
        if not self._stack:
            raise DamagedError("an object is missing")
        return self._stack.pop()

    def top(self, kind: type) -> Any:
        """The topmost object, where it is of a type; it stays.

        Args:
            kind: The type.

        Raises:
            RefusedError: It is of another one.
        """
        if not self._stack or type(self._stack[-1]) is not kind:
            raise RefusedError(f"items of something else than a {kind.__name__}")
        return self._stack[-1]

    def mark(self) -> None:
        """Begin a group of objects."""
        self._below.append(self._stack)
        self._stack = []

    def group(self) -> list[Any]:
        """The objects since the last mark, off the stack."""
        if not self._below:
            raise DamagedError("a mark is missing")
        objects, self._stack = self._stack, self._below.pop()
        return objects

    def remember(self, place: int) -> None:
        """Keep the topmost object for later.

        Args:
            place: Where.
        """
        if not self._stack:
            raise DamagedError("an object is missing")
        self._memo[place] = self._stack[-1]

    def recall(self, place: int) -> None:
        """Put an object that was kept on the stack.

        Args:
            place: Where it was kept.
        """
        if place not in self._memo:
            raise DamagedError("it refers to an object that it does not have")
        self.push(_built(self._memo[place]))

    def memo_size(self) -> int:
        """Objects that are kept."""
        return len(self._memo)

    def find(self, module: str, name: str) -> Any:
        """What a name stands for.

        Args:
            module: As the file has it.
            name: Likewise.

        Raises:
            RefusedError: It is not one of those that make arrays and containers.
        """
        # numpy 2 moved its core; files have either name.
        known = self._names.get((module.replace("numpy.core", "numpy._core"), name))
        if known is None:
            raise RefusedError(in_words(f"{module}.{name}"))
        return known

    def persistent(self, pid: Any) -> Any:
        """Things outside of the pickle: there are none.

        Args:
            pid: What the pickle calls it.

        Raises:
            RefusedError: Always.
        """
        raise RefusedError("something outside of the file")

    def spend(self, count: int) -> None:
        """Count bytes that an object takes besides those that the file has for it.

        Args:
            count: The bytes.

        Raises:
            DamagedError: Together they are far more than the file.
        """
        self._room -= count
        if self._room < 0:
            raise DamagedError("its objects are larger than the file itself")


# ---- Opcodes -------------------------------------------------------------------------------------------------------


def _unknown(opcode: bytes) -> Exception:
    """The error for an opcode that the machine does not have."""
    name = next((name for name in pickle.__all__ if getattr(pickle, name) == opcode), None)
    return RefusedError(f"the opcode {name}") if name else DamagedError(f"byte 0x{opcode.hex()} is no opcode")


def _reduce(machine: Unpickler) -> None:
    arguments, function = machine.pop(), machine.pop()
    if not isinstance(function, StandIn) or not isinstance(arguments, tuple):
        raise RefusedError(f"a call of {in_words(type(function).__name__)}")
    machine.push(function.make(machine, *arguments))


def _build(machine: Unpickler) -> None:
    state, instance = machine.pop(), machine.pop()
    if isinstance(instance, Builder):
        instance.set_state(machine, state)
    elif type(instance) is not dict or not isinstance(state, dict):
        # torch's state dicts carry their modules' versions as an attribute, which nothing here depends on.
        raise RefusedError(f"a state of {in_words(type(instance).__name__)}")
    machine.push(_built(instance))


def _integer(machine: Unpickler) -> None:
    line = machine.line()
    machine.push({b"00": False, b"01": True}[line] if line in (b"00", b"01") else int(line))


def _old_text(machine: Unpickler) -> None:
    line = machine.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise DamagedError("a text without quotes")
    # As Python's repr wrote it.
    machine.push(line[1:-1].decode("unicode_escape"))


def _proto(machine: Unpickler) -> None:
    if machine.number(1) > pickle.HIGHEST_PROTOCOL:
        raise DamagedError("an unknown version of pickle")


def _tuple_of(count: int) -> Callable[[Unpickler], None]:
    def make(machine: Unpickler) -> None:
        parts = [machine.pop() for _ in range(count)]
        machine.push(tuple(reversed(parts)))

    return make


def _text(size: int) -> Callable[[Unpickler], None]:
    return lambda machine: machine.push(machine.take(machine.number(size)).decode("utf-8", "surrogatepass"))


def _raw(size: int) -> Callable[[Unpickler], None]:
    return lambda machine: machine.push(machine.take(machine.number(size)))


def _latin(size: int) -> Callable[[Unpickler], None]:
    return lambda machine: machine.push(machine.take(machine.number(size)).decode("latin1"))


def _append(machine: Unpickler) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _append_all(machine: Unpickler) -> None:
    values = machine.group()
    machine.top(list).extend(values)


def _set_item(machine: Unpickler) -> None:
    value, key = machine.pop(), machine.pop()
    machine.top(dict)[as_key(key)] = value


def _set_items(machine: Unpickler) -> None:
    items = machine.group()
    machine.top(dict).update(_pairs(items))


def _add_all(machine: Unpickler) -> None:
    values = machine.group()
    machine.top(set).update(map(as_key, values))


def _discard(machine: Unpickler) -> None:
    machine.pop()


def _duplicate(machine: Unpickler) -> None:
    value = machine.pop()
    machine.push(value)
    machine.push(value)


def _name_on_stack(machine: Unpickler) -> None:
    name, module = machine.pop(), machine.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise DamagedError("a name that is no text")
    machine.push(machine.find(module, name))


_OPERATIONS: dict[bytes, Callable[[Unpickler], Any]] = {
    pickle.PROTO: _proto,
    pickle.FRAME: lambda machine: machine.take(8),
    pickle.MARK: Unpickler.mark,
    pickle.POP: _discard,
    pickle.POP_MARK: Unpickler.group,
    pickle.DUP: _duplicate,
    pickle.PUT: lambda machine: machine.remember(int(machine.line())),
    pickle.BINPUT: lambda machine: machine.remember(machine.number(1)),
    pickle.LONG_BINPUT: lambda machine: machine.remember(machine.number(4)),
    pickle.MEMOIZE: lambda machine: machine.remember(machine.memo_size()),
    pickle.GET: lambda machine: machine.recall(int(machine.line())),
    pickle.BINGET: lambda machine: machine.recall(machine.number(1)),
    pickle.LONG_BINGET: lambda machine: machine.recall(machine.number(4)),
    pickle.NONE: lambda machine: machine.push(None),
    pickle.NEWTRUE: lambda machine: machine.push(True),
    pickle.NEWFALSE: lambda machine: machine.push(False),
    pickle.INT: _integer,
    pickle.BININT: lambda machine: machine.push(machine.number(4, signed=True)),
    pickle.BININT1: lambda machine: machine.push(machine.number(1)),
    pickle.BININT2: lambda machine: machine.push(machine.number(2)),
    pickle.LONG: lambda machine: machine.push(int(machine.line().rstrip(b"L"))),
    pickle.LONG1: lambda machine: machine.push(machine.number(machine.number(1), signed=True)),
    pickle.LONG4: lambda machine: machine.push(machine.number(machine.number(4), signed=True)),
    pickle.FLOAT: lambda machine: machine.push(float(machine.line())),
    pickle.BINFLOAT: lambda machine: machine.push(struct.unpack(">d", machine.take(8))[0]),
    pickle.STRING: _old_text,
    pickle.SHORT_BINSTRING: _latin(1),
    pickle.BINSTRING: _latin(4),
    pickle.UNICODE: lambda machine: machine.push(machine.line().decode("raw-unicode-escape")),
    pickle.SHORT_BINUNICODE: _text(1),
    pickle.BINUNICODE: _text(4),
    pickle.BINUNICODE8: _text(8),
    pickle.SHORT_BINBYTES: _raw(1),
    pickle.BINBYTES: _raw(4),
    pickle.BINBYTES8: _raw(8),
    pickle.BYTEARRAY8: lambda machine: machine.push(bytearray(machine.take(machine.number(8)))),
    pickle.EMPTY_LIST: lambda machine: machine.push([]),
    pickle.LIST: lambda machine: machine.push(machine.group()),
    pickle.APPEND: _append,
    pickle.APPENDS: _append_all,
    pickle.EMPTY_TUPLE: lambda machine: machine.push(()),
    pickle.TUPLE: lambda machine: machine.push(tuple(machine.group())),
    pickle.TUPLE1: _tuple_of(1),
    pickle.TUPLE2: _tuple_of(2),
    pickle.TUPLE3: _tuple_of(3),
    pickle.EMPTY_DICT: lambda machine: machine.push({}),
    pickle.DICT: lambda machine: machine.push(dict(_pairs(machine.group()))),
    pickle.SETITEM: _set_item,
    pickle.SETITEMS: _set_items,
    pickle.EMPTY_SET: lambda machine: machine.push(set()),
    pickle.ADDITEMS: _add_all,
    pickle.FROZENSET: lambda machine: machine.push(frozenset(map(as_key, machine.group()))),
    pickle.GLOBAL: lambda machine: machine.push(machine.find(machine.line().decode(), machine.line().decode())),
    pickle.STACK_GLOBAL: _name_on_stack,
    pickle.PERSID: lambda machine: machine.push(machine.persistent(machine.line().decode())),
    pickle.BINPERSID: lambda machine: machine.push(machine.persistent(machine.pop())),
    pickle.REDUCE: _reduce,
    pickle.BUILD: _build,
}


def in_words(text: str) -> str:
    """A name out of a file, fit for one line.

    Args:
        text: The name.
    """
    return text.encode("unicode_escape").decode()[:120]


def _built(value: Any) -> Any:
    """The object itself where a value stands for one."""
    return value.built if isinstance(value, Builder) else value


def as_key(value: Any) -> Any:
    """A key of a dict or a member of a set; deeply nested ones would end the process when they are hashed.

    Args:
        value: The key.

    Raises:
        RefusedError: It is no plain one.
    """
    plain = isinstance(value, _KEYS) or (isinstance(value, tuple) and all(isinstance(part, _KEYS) for part in value))
    if not plain:
        raise RefusedError(f"a key that is a {in_words(type(value).__name__)}")
    return value


def _pairs(items: Any) -> list[tuple[Any, Any]]:
    """(key, value) of keys and values in turn."""
    if len(items) % 2:
        raise DamagedError("a key without a value")
    return [(as_key(items[i]), items[i + 1]) for i in range(0, len(items), 2)]
