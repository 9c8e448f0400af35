"""Columns of texts: names, paths of files, places in label files."""

import bisect
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .columns import BATCH, Column, Digest, feed_numbers, Indices, join, narrow, offsets_of, Same

# Digits that a number at the end of a place may have: more do not fit into 32 bits.
_DIGITS = 9
# Between the name of a tar file and that of a member of it.
TAR = ".tar#"
# Spreads the bits of a hash before another one is added.
_ODD = 0x1E3779B97F4A7C15


class Buffer(NamedTuple):
    """Texts, one after the other.

    Attributes:
        content: All of them in UTF-8, uint8 [bytes].
        offsets: Where each begins, and where the last one ends [N + 1].
    """

    content: NDArray[np.uint8]
    offsets: NDArray[Any]

    def slice(self, i: int) -> memoryview:
        """Text i, from 0, in UTF-8."""
        return self.content.data[self.offsets.item(i) : self.offsets.item(i + 1)]

    def slices(self) -> Iterator[bytes]:
        """All texts in UTF-8."""
        for first in range(0, len(self.offsets) - 1, BATCH):
            offsets = self.offsets[first : first + BATCH + 1].tolist()
            content, begin = self.content[offsets[0] : offsets[-1]].tobytes(), offsets[0]
            yield from [content[start - begin : stop - begin] for start, stop in zip(offsets, offsets[1:])]


class Texts(Column[str]):
    """Texts in buffers.

    Those of a long list stay in the many in which they were read: memory would hold them twice while they are copied
    into one.

    Args:
        buffers: At least one.
    """

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.buffers = buffers
        # The number of the first text of each buffer, and of all texts.
        self._firsts = [0, *itertools.accumulate(len(buffer.offsets) - 1 for buffer in buffers)]

    def __len__(self) -> int:
        return self._firsts[-1]

    def _slice(self, i: int) -> memoryview:
        k = bisect.bisect_right(self._firsts, i) - 1
        return self.buffers[k].slice(i - self._firsts[k])

    def value(self, i: int) -> str:
        """See `Column.value`."""
        return str(self._slice(i), "utf-8", "surrogatepass")

    def slices(self) -> Iterator[bytes]:
        """All texts in UTF-8."""
        for buffer in self.buffers:
            yield from buffer.slices()

    def lengths(self) -> NDArray[Any]:
        """Bytes of each text [N]."""
        return np.concatenate([np.diff(buffer.offsets) for buffer in self.buffers])

    def take(self, indices: Indices) -> "Texts":
        """See `Column.take`."""
        return self.of_slices([self._slice(i) for i in indices.tolist()])

    @classmethod
    def of(cls, values: Iterable[str]) -> "Texts":
        """See `Column.of`."""
        return cls.of_slices([text.encode("utf-8", "surrogatepass") for text in values])

    @classmethod
    def of_slices(cls, slices: Sequence[bytes | memoryview]) -> "Texts":
        """Texts that are encoded already."""
        return cls.of_content(np.frombuffer(b"".join(slices), np.uint8), [len(part) for part in slices])

    @classmethod
    def of_content(cls, content: NDArray[np.uint8], lengths: Sequence[int] | NDArray[Any]) -> "Texts":
        """Texts that stand one after the other in UTF-8, with the bytes that each has."""
        return cls([Buffer(content, offsets_of(lengths))])

    @classmethod
    def join(cls, parts: Sequence["Texts"]) -> "Texts":
        """See `Column.join`."""
        return cls([buffer for part in parts for buffer in part.buffers])

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return sum(buffer.content.nbytes + buffer.offsets.nbytes for buffer in self.buffers)

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`; what the buffers are makes no difference."""
        for buffer in self.buffers:
            digest.update(buffer.content.data)
        feed_numbers(digest, np.zeros(1, np.int64))
        begin = 0
        for buffer in self.buffers:
            feed_numbers(digest, begin + buffer.offsets[1:].astype(np.int64))
            begin += len(buffer.content)


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
    """Paths of files: many lie in one folder, or in one tar file, in the folders of all of which names differ.

    Args:
        archives: Tar files, "shards/k400-000123.tar", or "".
        folders: What stands before a name: "" or a text that ends with a slash; in a tar file it begins with #.
        names: What follows.
    """

    def __init__(self, archives: "Interned | Same[str]", folders: Interned, names: Texts) -> None:
        self.archives, self.folders, self.names = archives, folders, names

    def __len__(self) -> int:
        return len(self.names)

    def value(self, i: int) -> str:
        """See `Column.value`."""
        return self.archives.value(i) + self.folders.value(i) + self.names.value(i)

    def take(self, indices: Indices) -> "Paths":
        """See `Column.take`."""
        return Paths(self.archives.take(indices), self.folders.take(indices), self.names.take(indices))

    @classmethod
    def of(cls, values: Iterable[str]) -> "Paths":
        """See `Column.of`."""
        parts = [_split(path) for path in values]
        archives, folders, names = zip(*parts) if parts else ((), (), ())
        kept = Interned.of(archives) if any(archives) else Same("", len(parts))
        return cls(kept, Interned.of(folders), Texts.of(names))

    @classmethod
    def join(cls, parts: Sequence["Paths"]) -> "Paths":
        """See `Column.join`."""
        archives = join([part.archives for part in parts])
        assert isinstance(archives, Interned | Same)
        return cls(
            archives,
            Interned.join([part.folders for part in parts]),
            Texts.join([part.names for part in parts]),
        )

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.archives.nbytes + self.folders.nbytes + self.names.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`; paths count from the folder that all of them share, which may lie in a tar file."""
        archives, folders = self._archives(), list(self.folders.table)
        if len(archives) == 1:
            archives, folders = [""], [archives[0] + folder for folder in folders]
        heads = [*filter(None, archives), *(folder for folder in folders if "" in archives and folder[:1] != "#")]
        shared = "".join(os.path.commonprefix(heads).rpartition("/")[:2])
        if isinstance(self.archives, Interned) and len(archives) > 1:
            Interned(Texts.of([text.removeprefix(shared) for text in archives]), self.archives.ids).feed(digest)
        Interned(Texts.of([folder.removeprefix(shared) for folder in folders]), self.folders.ids).feed(digest)
        self.names.feed(digest)

    def _archives(self) -> list[str]:
        """The different texts of `archives`."""
        return list(self.archives.table) if isinstance(self.archives, Interned) else [""]

    def count_distinct(self) -> int:
        """Number of different paths."""
        hashes = np.sort(self.hashes(str))
        return int(np.count_nonzero(hashes[1:] != hashes[:-1])) + min(1, len(hashes))

    def hashes(self, normal: Callable[[str], str]) -> Indices:
        """A hash of each path [N]; another one in each process, 64 bits.

        Args:
            normal: Gives the usual spelling of a path. It is asked for every folder, not for every path, so that a name
                that is no name of a file (".", "..", "") is looked at on its own.
        """
        heads = [self.folders] if isinstance(self.archives, Same) else [self.folders, self.archives]
        hashes = _hashes(self.names, heads, normal)
        for i in np.flatnonzero(self.names.lengths() <= len("..")).tolist():
            if self.names.value(i) in ("", ".", ".."):
                archive, folder, name = _split(normal(self.value(i)))
                hashes[i] = _hashes(Texts.of([name]), [Interned.of([folder]), Interned.of([archive])], str).item()
        return hashes


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
        return Places(self.heads.take(indices), _run_of(_array_of(self.numbers)[indices]))

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
            numbers = np.concatenate([_array_of(run) for run in runs])
        return cls(Interned.join([part.heads for part in parts]), numbers)

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.heads.nbytes + (0 if isinstance(self.numbers, range) else self.numbers.nbytes)

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        self.heads.feed(digest)
        feed_numbers(digest, _array_of(self.numbers))


def _split(path: str) -> tuple[str, str, str]:
    """(archive, folder, name) of a path, see `Paths`."""
    archive, tar, below = path.rpartition(TAR)
    folder, slash, name = below.rpartition("/")
    return archive + tar[:-1], tar[-1:] + folder + slash, name


def _hashes(names: Texts, heads: Sequence[Interned], normal: Callable[[str], str]) -> Indices:
    """A hash of each name with what stands before it, of which the usual spelling counts."""
    hashes = np.fromiter(map(hash, names.slices()), np.int64, len(names))
    for head in heads:
        # Asked for with a name in it: the usual spelling of a folder alone has no slash at its end.
        usual = [normal(f"{text}x")[:-1] for text in head.table]
        # Numbers of 64 bits wrap; in place, of a long list.
        hashes *= np.array([_ODD if text else 1 for text in usual], np.int64)[head.ids]
        hashes += np.array([hash((text,)) if text else 0 for text in usual], np.int64)[head.ids]
    return hashes


def _run_of(numbers: NDArray[np.int32]) -> NDArray[np.int32] | range:
    """Numbers that follow one another as a range."""
    follow = len(numbers) and numbers[0] >= 0 and bool((np.diff(numbers) == 1).all())
    return range(int(numbers[0]), int(numbers[-1]) + 1) if follow else numbers


def _array_of(numbers: NDArray[np.int32] | range) -> NDArray[np.int32]:
    """A range as an array, for which numpy would make a Python object of each number."""
    return np.arange(numbers.start, numbers.stop, dtype=np.int32) if isinstance(numbers, range) else numbers
