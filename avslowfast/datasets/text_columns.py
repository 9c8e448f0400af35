"""Columns of texts: names, paths of files, places in label files."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .columns import BATCH, Column, Digest, feed_numbers, Indices, joined_offsets, narrow, offsets_of

# Digits that a number at the end of a place may have: more do not fit into 32 bits.
_DIGITS = 9
# Spreads the bits of a hash before another one is added.
_ODD = 0x1E3779B97F4A7C15


class Texts(Column[str]):
    """Texts, one after the other in one buffer.

    Args:
        content: All of them in UTF-8, uint8 [bytes].
        offsets: Where each begins, and where the last one ends [N + 1].
    """

    def __init__(self, content: NDArray[np.uint8], offsets: NDArray[Any]) -> None:
        self.content, self.offsets = content, offsets
        self._view = content.data

    def __reduce__(self) -> tuple[Any, ...]:
        return Texts, (self.content, self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def value(self, i: int) -> str:
        """See `Column.value`."""
        return str(self._view[self.offsets.item(i) : self.offsets.item(i + 1)], "utf-8", "surrogatepass")

    def slices(self) -> Iterator[bytes]:
        """All texts in UTF-8."""
        for first in range(0, len(self), BATCH):
            offsets = self.offsets[first : first + BATCH + 1].tolist()
            content, begin = self.content[offsets[0] : offsets[-1]].tobytes(), offsets[0]
            yield from [content[start - begin : stop - begin] for start, stop in zip(offsets, offsets[1:])]

    def take(self, indices: Indices) -> "Texts":
        """See `Column.take`."""
        starts, stops = self.offsets[indices].tolist(), self.offsets[indices + 1].tolist()
        return self.of_slices([self._view[start:stop] for start, stop in zip(starts, stops)])

    @classmethod
    def of(cls, values: Iterable[str]) -> "Texts":
        """See `Column.of`."""
        return cls.of_slices([text.encode("utf-8", "surrogatepass") for text in values])

    @classmethod
    def of_slices(cls, slices: Sequence[bytes | memoryview]) -> "Texts":
        """Texts that are encoded already."""
        return cls(np.frombuffer(b"".join(slices), np.uint8), offsets_of([len(part) for part in slices]))

    @classmethod
    def join(cls, parts: Sequence["Texts"]) -> "Texts":
        """See `Column.join`."""
        return cls(np.concatenate([part.content for part in parts]), joined_offsets([part.offsets for part in parts]))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.content.nbytes + self.offsets.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        digest.update(self.content.data)
        feed_numbers(digest, self.offsets)


class Interned(Column[str]):
    """Texts of which many are equal.

    Args:
        table: The different ones, in order of their first record.
        ids: Which one each record has [N].
    """

    def __init__(self, table: Texts, ids: NDArray[Any]) -> None:
        self.table, self.ids = table, ids

    def __len__(self) -> int:
        return len(self.ids)

    def value(self, i: int) -> str:
        """See `Column.value`."""
        return self.table.value(self.ids.item(i))

    def take(self, indices: Indices) -> "Interned":
        """See `Column.take`."""
        used, first, ids = np.unique(self.ids[indices], return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return Interned(self.table.take(used[order]), narrow(rank[ids]))

    @classmethod
    def of(cls, values: Iterable[str]) -> "Interned":
        """See `Column.of`."""
        known: dict[str, int] = {}
        ids = [known.setdefault(text, len(known)) for text in values]
        return cls(Texts.of(known), narrow(np.array(ids, np.int64)))

    @classmethod
    def join(cls, parts: Sequence["Interned"]) -> "Interned":
        """See `Column.join`."""
        known: dict[bytes, int] = {}
        tables = [[known.setdefault(text, len(known)) for text in part.table.slices()] for part in parts]
        ids = [narrow(np.array(table, np.int64))[part.ids] for table, part in zip(tables, parts)]
        return cls(Texts.of_slices(list(known)), np.concatenate(ids))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.table.nbytes + self.ids.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        self.table.feed(digest)
        feed_numbers(digest, self.ids)


class Paths(Column[str]):
    """Paths of files: many lie in one folder, names differ.

    Args:
        folders: What stands before a name: "" or a text that ends with a slash.
        names: What follows.
    """

    def __init__(self, folders: Interned, names: Texts) -> None:
        self.folders, self.names = folders, names

    def __len__(self) -> int:
        return len(self.names)

    def value(self, i: int) -> str:
        """See `Column.value`."""
        return self.folders.value(i) + self.names.value(i)

    def take(self, indices: Indices) -> "Paths":
        """See `Column.take`."""
        return Paths(self.folders.take(indices), self.names.take(indices))

    @classmethod
    def of(cls, values: Iterable[str]) -> "Paths":
        """See `Column.of`."""
        folders, names = [], []
        for path in values:
            folder, slash, name = path.rpartition("/")
            folders.append(folder + slash)
            names.append(name)
        return cls(Interned.of(folders), Texts.of(names))

    @classmethod
    def join(cls, parts: Sequence["Paths"]) -> "Paths":
        """See `Column.join`."""
        return cls(Interned.join([part.folders for part in parts]), Texts.join([part.names for part in parts]))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.folders.nbytes + self.names.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`; paths count from the folder that all of them share."""
        table = list(self.folders.table)
        start = os.path.commonprefix([min(table), max(table)]).rfind("/") + 1 if table else 0
        Interned(Texts.of([folder[start:] for folder in table]), self.folders.ids).feed(digest)
        self.names.feed(digest)

    def count_distinct(self) -> int:
        """Number of different paths."""
        return len(np.unique(self.hashes(str)))

    def hashes(self, normal: Callable[[str], str]) -> Indices:
        """A hash of each path [N]; another one in each process, 64 bits.

        Args:
            normal: Gives the usual spelling of a path. It is asked for every folder, not for every path, so that a name
                that is no name of a file (".", "..", "") is looked at on its own.
        """
        table = list(self.folders.table)
        ids = self.folders.ids.astype(np.int64)
        names = np.fromiter(map(hash, self.names.slices()), np.int64, len(self))
        for i in np.flatnonzero(np.diff(self.names.offsets.astype(np.int64)) <= len("..")).tolist():
            if self.names.value(i) in ("", ".", ".."):
                folder, slash, name = normal(self.value(i)).rpartition("/")
                ids[i], names[i] = len(table), hash(name.encode("utf-8", "surrogatepass"))
                table.append(folder + slash)
        # Asked for with a name in it: the usual spelling of a folder alone has no slash at its end.
        usual = [normal(f"{folder}x")[:-1] for folder in table]
        folders = np.array([hash((folder,)) for folder in usual], np.int64)
        # Numbers of 64 bits wrap.
        return names * np.int64(_ODD) + folders[ids]


class Places(Column[str]):
    """Places such as "train.csv, line 7".

    Args:
        heads: What stands before the number.
        numbers: The numbers [N]; -1 for a place without one.
    """

    def __init__(self, heads: Interned, numbers: NDArray[np.int32] | range) -> None:
        self.heads, self.numbers = heads, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def value(self, i: int) -> str:
        """See `Column.value`."""
        number = int(self.numbers[i])
        return self.heads.value(i) if number < 0 else f"{self.heads.value(i)}{number}"

    def take(self, indices: Indices) -> "Places":
        """See `Column.take`."""
        return Places(self.heads.take(indices), _run_of(np.asarray(self.numbers, np.int32)[indices]))

    @classmethod
    def of(cls, values: Iterable[str]) -> "Places":
        """See `Column.of`."""
        heads, numbers = [], []
        for place in values:
            head = place.rstrip("0123456789")
            digits = place[len(head) :]
            is_number = 0 < len(digits) <= _DIGITS and str(int(digits)) == digits
            heads.append(head if is_number else place)
            numbers.append(int(digits) if is_number else -1)
        return cls(Interned.of(heads), _run_of(np.array(numbers, np.int32)))

    @classmethod
    def of_lines(cls, path: str, numbers: NDArray[np.int32]) -> "Places":
        """Lines of a file, as `tables.lines_of` calls them."""
        head = Texts.of([f"{path}, line "] if len(numbers) else [])
        return cls(Interned(head, np.zeros(len(numbers), np.int16)), _run_of(numbers))

    @classmethod
    def join(cls, parts: Sequence["Places"]) -> "Places":
        """See `Column.join`."""
        runs = [part.numbers for part in parts if len(part.numbers)]
        numbers: NDArray[np.int32] | range
        if all(isinstance(run, range) for run in runs) and all(a[-1] + 1 == b[0] for a, b in zip(runs, runs[1:])):
            numbers = range(runs[0][0], runs[-1][-1] + 1) if runs else range(0)
        else:
            numbers = np.concatenate([np.asarray(run, np.int32) for run in runs])
        return cls(Interned.join([part.heads for part in parts]), numbers)

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.heads.nbytes + (0 if isinstance(self.numbers, range) else self.numbers.nbytes)

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        self.heads.feed(digest)
        feed_numbers(digest, np.asarray(self.numbers, np.int32))


def _run_of(numbers: NDArray[np.int32]) -> NDArray[np.int32] | range:
    """Numbers that follow one another as a range."""
    follow = len(numbers) and numbers[0] >= 0 and bool((np.diff(numbers) == 1).all())
    return range(int(numbers[0]), int(numbers[-1]) + 1) if follow else numbers
