"""Where the members of a tar file, or of many, lie: by an index beside it, or by the headers of the tar.

`avslowfast pack` writes both kinds of index: `k400-train-000123.index.csv` beside each shard, and `shards.csv`, the
catalog of all of them.
"""

import array
import csv
import io
import mmap
import tarfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from .streams import DecodeError

# Columns of the index of a shard, and of a catalog: the file that was packed, and where it is now.
COLUMNS = ("member", "offset", "size", "crc32")
CATALOG = ("file", "shard", "member", "offset", "size")
# Bytes of a header, to whose multiples members are filled up; bytes of a record, of which tar files consist.
BLOCK, RECORD = tarfile.BLOCKSIZE, tarfile.RECORDSIZE
# Numbers in front: of the members, of the bytes of the shards' names. Of each member: where its name ends among the
# names, offset, size, number of its shard.
_HEAD, _FIELDS = 2, 4


class Member(NamedTuple):
    """A file in a tar.

    Attributes:
        name: Its name.
        offset: Where its content begins, bytes.
        size: Bytes of its content.
        shard: Name of the tar, in a catalog; "" in the index of a tar.
    """

    name: str
    offset: int
    size: int
    shard: str = ""


class TarIndex:
    """Members by name, in one string of bytes: some 60 of them for each member.

    Args:
        packed: What `pack_index` gives, in memory or as a file that is mapped.
    """

    def __init__(self, packed: bytes | mmap.mmap) -> None:
        self._packed = packed
        numbers = memoryview(packed)[: 8 * _HEAD].cast("q")
        self._count, shards = int(numbers[0]), int(numbers[1])
        table = 8 * (_HEAD + _FIELDS * self._count)
        self._table = memoryview(packed)[8 * _HEAD : table].cast("q")
        self._shards = packed[table : table + shards].decode("utf-8", "surrogateescape").split("\n")
        self._names = table + shards

    def __len__(self) -> int:
        return self._count

    def find(self, name: str) -> Member | None:
        """The member of this name; None without such a member."""
        wanted = _encoded(name)
        place = self._place(wanted)
        if place == self._count or self._name(place) != wanted:
            return None
        _, offset, size, shard = self._table[_FIELDS * place : _FIELDS * (place + 1)]
        return Member(name, offset, size, self._shards[shard])

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
        return self._packed[self._names + start : self._names + self._table[_FIELDS * place]]

    def _place(self, wanted: bytes) -> int:
        """Number of the first member whose name is not before this one."""
        low, high = 0, self._count
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
        members: Of one tar, or of all tars of a catalog.
    """
    by_name = {_encoded(member.name): member for member in members}
    shards = {shard: number for number, shard in enumerate(sorted({member.shard for member in by_name.values()}))}
    names, listed = sorted(by_name), "\n".join(shards).encode("utf-8", "surrogateescape")
    table, end = array.array("q", [len(names), len(listed)]), 0
    for name in names:
        end += len(name)
        member = by_name[name]
        table.extend((end, member.offset, member.size, shards[member.shard]))
    return b"".join([table.tobytes(), listed, *names])


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
                    members[info.name] = Member(info.name, info.offset_data, info.size)
                elif info.islnk() and info.linkname in members:
                    members[info.name] = members[info.linkname]._replace(name=info.name)
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
        members = [Member(name, int(offset), int(size)) for name, offset, size, _ in rows]
    except ValueError:
        return None
    end = max((member.offset + member.size for member in members), default=0)
    return members if tar_size == whole_size(end) else None


def read_catalog(text: str, path: str) -> Iterator[Member]:
    """The files that a catalog knows, by their names before they were packed.

    Args:
        text: The file, see `CATALOG`.
        path: Its name, for messages.

    Raises:
        DecodeError: It is no catalog.
    """
    rows = csv.reader(io.StringIO(text))
    try:
        if tuple(next(rows, ())) != CATALOG:
            raise ValueError
        for file, shard, _, offset, size in rows:
            yield Member(file, int(offset), int(size), shard)
    except ValueError:
        raise DecodeError("it is no catalog of shards; pack the data set again", path) from None


def decoded(text: bytes) -> str:
    """The text of an index file; names of members may be any bytes."""
    return text.decode("utf-8", "surrogateescape")


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
