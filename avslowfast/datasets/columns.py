"""Columns of a list: one array for all records where a Python object each would take ten times the memory.

Nothing is written to them after they have been made, so that forked processes share their memory.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, overload, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Span = tuple[float, float]
Indices = NDArray[np.int64]

# Records that are Python objects at the same time, while columns are made or hashed.
BATCH = 2**14


class Digest(Protocol):
    """A hash of `hashlib`."""

    def update(self, data: Any, /) -> None:
        """Add bytes."""


class Column(Sequence[T], Generic[T]):
    """A field of all records."""

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> "Column[T]": ...
    def __getitem__(self, index: int | slice) -> "T | Column[T]":
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        return self.value(range(len(self))[index])

    @abstractmethod
    def value(self, i: int) -> T:
        """The field of record i, from 0."""

    @abstractmethod
    def take(self, indices: Indices) -> "Column[T]":
        """The fields of some records, in an order of one's own."""

    @classmethod
    @abstractmethod
    def of(cls, values: Sequence[T]) -> "Column[T]":
        """The column of these fields."""

    @classmethod
    @abstractmethod
    def join(cls, parts: Sequence[Any]) -> "Column[T]":
        """Columns of this kind, one after the other."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes of memory."""

    @abstractmethod
    def feed(self, digest: Digest) -> None:
        """Give a hash what tells this column from others of its kind."""


class Same(Column[T]):
    """The same value for every record.

    Args:
        constant: The value.
        size: Number of records.
    """

    def __init__(self, constant: T, size: int) -> None:
        self.constant, self.size = constant, size

    def __len__(self) -> int:
        return self.size

    def value(self, i: int) -> T:
        """See `Column.value`."""
        return self.constant

    def take(self, indices: Indices) -> "Same[T]":
        """See `Column.take`."""
        return Same(self.constant, len(indices))

    @classmethod
    def of(cls, values: Sequence[T]) -> "Same[T]":
        """See `Column.of`."""
        return cls(values[0], len(values))

    @classmethod
    def join(cls, parts: Sequence["Same[T]"]) -> "Same[T]":
        """See `Column.join`."""
        return cls(parts[0].constant, sum(map(len, parts)))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return 0

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        digest.update(repr(self.constant).encode())


class Spans(Column[Span | None]):
    """(start, stop) in seconds, or None.

    Args:
        seconds: [N, 2]; NaN stands for None.
    """

    def __init__(self, seconds: NDArray[np.float64]) -> None:
        self.seconds = seconds

    def __len__(self) -> int:
        return len(self.seconds)

    def value(self, i: int) -> Span | None:
        """See `Column.value`."""
        start, stop = self.seconds[i].tolist()
        return None if start != start else (start, stop)

    def take(self, indices: Indices) -> "Spans":
        """See `Column.take`."""
        return Spans(self.seconds[indices])

    @classmethod
    def of(cls, values: Sequence[Span | None]) -> "Spans":
        """See `Column.of`."""
        none = (np.nan, np.nan)
        return cls(np.array([none if span is None else span for span in values], np.float64).reshape(-1, 2))

    @classmethod
    def join(cls, parts: Sequence["Spans"]) -> "Spans":
        """See `Column.join`."""
        return cls(np.concatenate([part.seconds for part in parts]))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.seconds.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        digest.update(self.seconds.tobytes())


class Numbers(Column[float]):
    """Real numbers.

    Args:
        numbers: [N].
    """

    def __init__(self, numbers: NDArray[np.float64]) -> None:
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def value(self, i: int) -> float:
        """See `Column.value`."""
        return float(self.numbers[i])

    def take(self, indices: Indices) -> "Numbers":
        """See `Column.take`."""
        return Numbers(self.numbers[indices])

    @classmethod
    def of(cls, values: Sequence[float]) -> "Numbers":
        """See `Column.of`."""
        return cls(np.array(values, np.float64))

    @classmethod
    def join(cls, parts: Sequence["Numbers"]) -> "Numbers":
        """See `Column.join`."""
        return cls(np.concatenate([part.numbers for part in parts]))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.numbers.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        digest.update(self.numbers.tobytes())


def join(parts: Sequence[Column[T]]) -> Column[T]:
    """Columns one after the other; those of one value become what the others are."""
    kinds = {type(part) for part in parts if not isinstance(part, Same)}
    kind: type[Column[T]] = kinds.pop() if kinds else Same
    alike = [part if isinstance(part, kind) else kind.of([part.value(0)] * len(part)) for part in parts if len(part)]
    return kind.join(alike) if alike else parts[0]


def narrow(numbers: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers in the fewest bits of 16, 32 and 64 that hold them.

    Raises:
        OverflowError: 64 do not.
    """
    low, high = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    for kind in (np.int16, np.int32, np.int64):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return numbers.astype(kind)
    raise OverflowError


def offsets_of(lengths: Sequence[int] | NDArray[Any]) -> NDArray[Any]:
    """Where parts of these lengths begin, and where the last one ends [N + 1], in 32 bits where they suffice."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets.astype(np.uint32) if offsets[-1] < 2**32 else offsets


def joined_offsets(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The offsets of several columns, one after the other."""
    return offsets_of(np.concatenate([np.diff(part) for part in parts]))


def positions(offsets: NDArray[Any], indices: Indices) -> tuple[Indices, NDArray[Any]]:
    """Where the items of some records lie that have several each.

    Args:
        offsets: Where those of each record begin [N + 1].
        indices: The records [M].

    Returns:
        (positions of their items, offsets of these records [M + 1]).
    """
    starts = offsets[indices].astype(np.int64)
    lengths = offsets[indices + 1].astype(np.int64) - starts
    chosen = offsets_of(lengths)
    return np.repeat(starts - chosen[:-1].astype(np.int64), lengths) + np.arange(lengths.sum()), chosen


def feed_numbers(digest: Digest, numbers: NDArray[Any]) -> None:
    """Give a hash whole numbers, in however many bits they are kept."""
    digest.update(np.ascontiguousarray(numbers, "<i8").data)
