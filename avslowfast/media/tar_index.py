"""Where the members of a tar file lie: read from an index beside it, or from the headers of the tar."""

import array
import csv
import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from .streams import DecodeError

# Columns of an index file, which `avslowfast pack` writes beside each shard.
COLUMNS = ("member", "offset", "size", "crc32")
# Bytes of a header, to whose multiples members are filled up; bytes of a record, of which tar files consist.
BLOCK, RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE
# Of each member: where its name ends among the names, where its content begins, bytes of its content.
_FIELDS = 3

Member = tuple[str, int, int]


class TarIndex:
    """Members of a tar by name, in one string of bytes: some 50 of them for each member.

    Args:
        packed: What `packed` gave, or what `pack_index` gives.
    """

    def __init__(self, packed: bytes) -> None:
        self.packed = packed
        numbers = array.array("q")
        numbers.frombytes(packed[:8])
        self._count = numbers[0]
        self._names = 8 + 8 * _FIELDS * self._count
        self._table = memoryview(packed)[8 : self._names].cast("q")

    def __len__(self) -> int:
        return int(self._count)

    def find(self, name: str) -> tuple[int, int] | None:
        """(offset, size) of a member's content, bytes; None without such a member."""
        wanted = _encoded(name)
        place = self._place(wanted)
        if place == self._count or self._name(place) != wanted:
            return None
        return self._table[_FIELDS * place + 1], self._table[_FIELDS * place + 2]

    def below(self, folder: str) -> Iterator[str]:
        """Names of the members in a folder and the folders below it, in order; "" is the whole tar."""
        prefix = _encoded(folder) + b"/" if folder.strip("/") else b""
        for place in range(self._place(prefix), self._count):
            name = self._name(place)
            if not name.startswith(prefix):
                return
            yield name.decode("utf-8", "surrogateescape")

    def _name(self, place: int) -> bytes:
        start = self._table[_FIELDS * (place - 1)] if place else 0
        return self.packed[self._names + start : self._names + self._table[_FIELDS * place]]

    def _place(self, wanted: bytes) -> int:
        """Number of the first member whose name is not before this one."""
        low, high = 0, int(self._count)
        while low < high:
            middle = (low + high) // 2
            if self._name(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low


def _encoded(name: str) -> bytes:
    return name.removeprefix("./").strip("/").encode("utf-8", "surrogateescape")


def pack_index(members: Iterable[Member]) -> bytes:
    """The members of a tar in the form that `TarIndex` reads; the last one of a name counts, as when a tar is unpacked.

    Args:
        members: (name, offset, size) of each.
    """
    by_name = {_encoded(name): (offset, size) for name, offset, size in members}
    names = sorted(by_name)
    table, end = array.array("q", [len(names)]), 0
    for name in names:
        end += len(name)
        table.extend((end, *by_name[name]))
    return table.tobytes() + b"".join(names)


def scan_headers(file: BinaryIO, path: str) -> list[Member]:
    """The files in a tar, by its headers; their contents are passed over.

    Args:
        file: The tar.
        path: Its name, for messages.

    Raises:
        DecodeError: It is no tar, or a compressed one, or ends too early.
    """
    members: dict[str, Member] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if info.isreg() and not info.issparse():
                    members[info.name] = info.name, info.offset_data, info.size
                elif info.islnk() and info.linkname in members:
                    members[info.name] = info.name, *members[info.linkname][1:]
                # It keeps all of them otherwise, a kilobyte for each.
                vars(tar)["members"] = []
    except tarfile.TarError as error:
        raise DecodeError(f"its tar cannot be read ({error}); copy or pack it again, uncompressed", path) from None
    return list(members.values())


def read_index(text: str, tar_size: int) -> list[Member] | None:
    """The members by an index file, None where it is no index of this tar.

    Args:
        text: The file, see `COLUMNS`.
        tar_size: Bytes of the tar.
    """
    rows = csv.reader(io.StringIO(text))
    try:
        if tuple(next(rows, ())) != COLUMNS:
            return None
        members = [(name, int(offset), int(size)) for name, offset, size, _ in rows]
    except ValueError:
        return None
    end = max((offset + size for _, offset, size in members), default=0)
    return members if tar_size == whole_size(end) else None


def beside(tar: str) -> str:
    """Name of the index file of a tar."""
    address, found, query = tar.partition("?")
    return f"{address.removesuffix('.tar')}.index.csv{found}{query}"


def whole_size(end: int) -> int:
    """Bytes of a tar whose last member ends at a byte: filled up, with an end mark of two empty blocks."""
    return -(-(-(-end // BLOCK) * BLOCK + 2 * BLOCK) // RECORD) * RECORD


def fits_header(header: bytes, size: int) -> bool:
    """Whether the header in front of a member says that it has these bytes.

    Args:
        header: The 512 bytes.
        size: Bytes of the member.
    """
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").size == size
    except tarfile.TarError:
        return False
