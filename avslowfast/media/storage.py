"""Where media lie: files, members of tar files, objects at a URL; all of them are read by ranges.

    videos/abc.mp4                              a file, whatever its name
    shards/k400-000123.tar#abseiling/abc.mp4    a member of a tar file
    s3://bucket/k400/abc.mp4                    an object, of any protocol that fsspec knows (s3, gs, http, memory ...)
    s3://bucket/k400-000123.tar#abc.mp4         a member of a tar there
    shards/shards.csv#abseiling/abc.mp4         what `pack` has put into one of its shards, by its name before

A file that exists under the whole name is that file. Bytes of remote objects are kept in blocks in a folder of this
machine, under a key that changes when the object changes.
"""

import functools
import io
import os
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, cast

import av
from av.container import InputContainer

from ..utils.remote import cache_folder, join
from . import remote, tar_index
from .blocks import BlockCache
from .remote import RemoteObject, UnreachableError
from .streams import check_kind, DecodeError, file_url, MAX_PIXELS, PADDING, path_text, PathLike, reason_of
from .tar_index import TarIndex

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FILE = "file://"
# What stands between a tar, or a catalog of shards, and the name of a member.
_CONTAINER = re.compile(r"(?<=\.tar|\.csv)#")
# An object of up to this many blocks is loaded at once: a clip of a short video then costs one request.
_AT_ONCE = 4
# Blocks that an open object keeps in memory.
_KEPT = 8
# Bytes that are read at a time while the headers of a remote tar without an index are looked through.
_SCAN_BLOCK = 16 * 1024


@dataclass(frozen=True)
class StorageSettings:
    """How remote objects are read; one setting for a process, since the cache and the servers are the machine's.

    Attributes:
        cache_dir: Folder of the blocks that were read; "" is `blocks` in the package's folder of downloads.
        cache_size: Bytes of all blocks in it, at most; 0 keeps none.
        block_size: Bytes that are read at a time.
        retries: Further tries where a server does not answer as it should.
        options: {protocol: what fsspec's file system of that protocol takes}.
    """

    cache_dir: str = ""
    cache_size: int = 10 * 2**30
    block_size: int = 2**20
    retries: int = 5
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


_settings = StorageSettings()


def configure(settings: StorageSettings) -> None:
    """Say how remote objects are read from now on in this process, and in those that it forks."""
    global _settings
    _settings = settings
    if settings.options:
        import fsspec

        for protocol, options in settings.options.items():
            fsspec.config.conf.setdefault(protocol, {}).update(options)


@functools.lru_cache(maxsize=4)
def _cache_of(folder: str, size: int) -> BlockCache:
    return BlockCache(folder, size)


def _cache() -> BlockCache | None:
    """The blocks that this machine keeps; None where it keeps none."""
    folder = _settings.cache_dir or os.path.join(cache_folder(), "blocks")
    return _cache_of(folder, _settings.cache_size) if _settings.cache_size else None


@dataclass(frozen=True)
class Place:
    """Bytes that have no file of their own.

    Attributes:
        container: The local tar, or the remote object, that holds them.
        version: What changes when the container changes.
        start: Where they begin in it.
        size: Bytes.
        header: Bytes in front of them that belong to them: a member's header.
        thing: The remote object; None for a local tar.
    """

    container: str
    version: str
    start: int
    size: int
    header: int = 0
    thing: RemoteObject | None = field(default=None, compare=False, repr=False)


def is_remote(path: PathLike) -> bool:
    """Whether a path is the address of something on a server, be it a member of a tar there."""
    text = path_text(path)
    return bool(_URL.match(text)) and not text.startswith(_FILE)


def local_path(path: PathLike) -> str | None:
    """The file or folder of a path; None for what lies in a tar or on a server."""
    text = path_text(path)
    if _URL.match(text):
        if not text.startswith(_FILE):
            return None
        text = text.removeprefix(_FILE)
    container, member = _split(text)
    return None if member is not None and not os.path.exists(text) and os.path.isfile(container) else text


def _split(path: str) -> tuple[str, str | None]:
    """(tar or catalog, member) of a path; the member is None where the path names none."""
    container, *member = _CONTAINER.split(path, maxsplit=1)
    return container, member[0] if member else None


def member_of(path: str) -> str:
    """Name of a member within its tar; the path itself where it names none."""
    member = _split(path)[1]
    return path if member is None else member


def tar_of(path: str) -> Place | None:
    """The tar, or the catalog, of a path that leads into one; None for others.

    Raises:
        DecodeError: The tar is not there, or its server does not answer.
    """
    container, member = _split(path)
    if member is None or local_path(path) is not None:
        return None
    return _known(container) if is_remote(path) and container.endswith(".csv") else _whole(container)


def _whole(path: str) -> Place:
    """All of a file."""
    file = local_path(path)
    if file is None:
        return _object(path)
    check_kind(file)
    try:
        status = os.stat(file)
    except OSError as error:
        raise DecodeError(f"cannot be opened ({reason_of(error)})", file) from None
    return Place(file, f"{status.st_mtime_ns} {status.st_ino} {status.st_size}", 0, status.st_size)


@functools.lru_cache(maxsize=64)
def _known(catalog: str) -> Place:
    """A catalog on a server: it is looked up once in a process, its shards each time."""
    return replace(_object(catalog), thing=None)


def locate(path: str, tar: Place | None = None) -> Place | None:
    """Where the bytes of a path lie; None for a file, which is opened by its name.

    Args:
        path: See the module.
        tar: Its tar, where it has been looked up already.

    Raises:
        DecodeError: There is no such member or object, or its server does not answer.
    """
    tar = tar or tar_of(path)
    if tar is None:
        return None if local_path(path) is not None else _object(path)
    found = _index(tar).find(member_of(path))
    if found is None:
        raise DecodeError("its tar has no such member; check the path", path)
    if found.shard:
        tar = _whole(join(os.path.dirname(tar.container), found.shard))
    return Place(tar.container, tar.version, found.offset, found.size, tar_index.BLOCK, tar.thing)


def _object(url: str) -> Place:
    thing = remote.look_up(url, _settings.retries)
    return Place(url, thing.version, 0, thing.size, 0, thing)


class RangeFile(io.RawIOBase):
    """The bytes of a place as a file that FFmpeg and Python read from; remote ones in blocks, by way of the cache.

    Args:
        place: Where the bytes lie.
        path: How they are called, for messages; FFmpeg goes by its ending.
        block_size: Bytes that are read at a time from a server; None is that of the settings.

    Raises:
        DecodeError: In reading, too: the bytes are not there any more, or their server does not answer.
    """

    def __init__(self, place: Place, path: str, block_size: int | None = None) -> None:
        super().__init__()
        self.place, self.name = place, path.partition("?")[0] if is_remote(path) else path
        self._path, self._position = path, 0
        # Whether blocks are worth keeping: not those of headers that are read once, for the index.
        self._cache = _cache() if block_size is None else None
        self._block_size = block_size or _settings.block_size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._descriptor = -1
        if place.thing is None:
            self._descriptor = os.open(place.container, os.O_RDONLY | os.O_CLOEXEC)
        if place.header and not tar_index.fits_header(self._bytes(0, place.header), place.size):
            raise DecodeError("the index of its tar is that of another one; pack it again, or remove the index", path)

    def close(self) -> None:
        """See `io.IOBase`."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def tell(self) -> int:
        """See `io.IOBase`."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """See `io.IOBase`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.place.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """See `io.RawIOBase`; no fewer bytes than asked for, save at the end."""
        left = max(self.place.size - self._position, 0)
        size = left if size is None or size < 0 else min(size, left)
        start = self._position + self.place.header
        data = self._bytes(start, start + size)
        self._position += len(data)
        return data

    def readinto(self, buffer: Any) -> int:
        """See `io.RawIOBase`."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _bytes(self, start: int, stop: int) -> bytes:
        """A range, counted from the header on."""
        origin = self.place.start - self.place.header
        if self._descriptor >= 0:
            data = os.pread(self._descriptor, stop - start, origin + start)
            if len(data) < stop - start:
                raise DecodeError("its tar ends too early; copy or pack it again", self._path)
            return data
        if start >= stop:
            return b""
        first, last = start // self._block_size, (stop - 1) // self._block_size
        parts = [self._block(number) for number in range(first, last + 1)]
        offset = first * self._block_size
        data = parts[0] if first == last else b"".join(parts)
        return data[start - offset : stop - offset]

    def _block(self, number: int) -> bytes:
        data = self._blocks.get(number)
        if data is None and self._cache is not None:
            data = self._cache.get(self._key(number))
        if data is None:
            data = self._load(number)
        self._keep(number, data)
        return data

    def _load(self, number: int) -> bytes:
        """Read a block from the server, and with it what follows where all is short."""
        place, block, thing = self.place, self._block_size, self.place.thing
        assert thing is not None  # of a local tar everything is read in place
        origin, whole = place.start - place.header, place.header + place.size
        at_once = _AT_ONCE if whole <= _AT_ONCE * block else 1
        start, stop = number * block, min((number + at_once) * block, whole)
        data = thing.read(origin + start, origin + stop, self._path, _settings.retries)
        for offset in range(0, len(data), block):
            part = data[offset : offset + block]
            self._keep(number + offset // block, part)
            if self._cache is not None:
                self._cache.put(self._key(number + offset // block), part)
        return data[:block]

    def _keep(self, number: int, data: bytes) -> None:
        self._blocks[number] = data
        self._blocks.move_to_end(number)
        if len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)

    def _key(self, number: int) -> str:
        place = self.place
        return f"{place.container} {place.version} {place.start - place.header} {self._block_size} {number}"


@functools.lru_cache(maxsize=256)
def _index(tar: Place) -> TarIndex:
    """Where the members of a tar lie; kept for each process, and for all of them in the cache."""
    key = f"index {tar.container} {tar.version}"
    cache = _cache()
    return TarIndex(cache.mapped(key, lambda: _read_index(tar)) if cache else _read_index(tar))


def _read_index(tar: Place) -> bytes:
    if tar.container.endswith(".csv"):
        with open_file(tar.container) as file:
            return tar_index.pack_index(tar_index.read_catalog(tar_index.decoded(file.read()), tar.container))
    text = _text_of(tar_index.beside(tar.container))
    members = tar_index.read_index(text, tar.size) if text is not None else None
    if members is None:
        with io.BufferedReader(RangeFile(tar, tar.container, _SCAN_BLOCK), _SCAN_BLOCK) as file:
            members = tar_index.scan_headers(file, tar.container)
    return tar_index.pack_index(members)


def _text_of(path: str) -> str | None:
    """A text file that may not be there."""
    try:
        with open_file(path) as file:
            return tar_index.decoded(file.read())
    except UnreachableError:
        raise
    except (DecodeError, OSError):
        # Some servers deny what is not there.
        return None


def open_file(path: str) -> BinaryIO:
    """Open any path for reading.

    Raises:
        DecodeError: It is not there, or its server does not answer.
        OSError: A local file cannot be opened.
    """
    place = locate(path)
    if place is None:
        return open(local_path(path) or path, "rb")
    return cast(BinaryIO, RangeFile(place, path))


def open_input(path: str, max_pixels: int = MAX_PIXELS, tar: Place | None = None) -> InputContainer:
    """Open a media file for reading.

    Args:
        path: See the module.
        max_pixels: Larger frames are not decoded, not even to find out what is in the file.
        tar: Its tar, where it has been looked up already.

    Raises:
        DecodeError: It does not exist or is not a media file.
    """
    place = locate(path, tar)
    file: str | RangeFile
    if place is None:
        local = local_path(path) or path
        check_kind(local)
        file = file_url(local)
    else:
        file = RangeFile(place, path)
    try:
        return av.open(file, mode="r", options={"max_pixels": str(max_pixels + PADDING)})
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DecodeError(f"cannot be opened ({reason_of(error)})", path) from None


def absence(path: str) -> str | None:
    """Why there is no file or folder of this path; None where there is one.

    Raises:
        UnreachableError: Its server does not answer.
    """
    local = local_path(path)
    if local is not None:
        return None if os.path.exists(local) else ""
    try:
        locate(path)
    except UnreachableError:
        raise
    except DecodeError as error:
        return None if is_folder(path) else error.reason
    return None


def size_of(path: str) -> int:
    """Bytes of a file.

    Raises:
        DecodeError: It is not there, or its server does not answer, or it is no file.
    """
    place = locate(path) or _whole(path)
    return place.size


def stamp_of(path: str, container: InputContainer) -> tuple[str, int]:
    """What changes when a file changes, and its bytes.

    Args:
        path: The file.
        container: The file, open.
    """
    file = getattr(container.file, "file", None)
    if isinstance(file, RangeFile):
        return file.place.version, file.place.size
    status = os.stat(local_path(path) or path)
    return str(status.st_mtime_ns), status.st_size


def is_folder(path: PathLike) -> bool:
    """Whether a path is a folder: on a disk, in a tar, or of objects.

    Raises:
        DecodeError: Its server does not answer.
    """
    text = path_text(path)
    local = local_path(text)
    if local is not None:
        return os.path.isdir(local)
    tar = tar_of(text)
    if tar is None:
        return remote.is_folder(text, _settings.retries)
    return next(_index(tar).below(member_of(text)), None) is not None


def list_folder(path: str, tar: Place | None = None) -> list[str]:
    """Names of the files in a folder, in no order.

    Args:
        path: The folder.
        tar: Its tar, where it has been looked up already.

    Raises:
        DecodeError: Its server does not answer.
        OSError: A local folder cannot be read.
    """
    tar = tar or tar_of(path)
    if tar is not None:
        folder = member_of(path).strip("/")
        start = len(folder) + 1 if folder else 0
        return [name[start:] for name in _index(tar).below(folder) if "/" not in name[start:]]
    local = local_path(path)
    if local is not None:
        return os.listdir(local)
    return [os.path.basename(url) for url in remote.entries(path, _settings.retries) if not url.endswith("/")]


def files_below(path: str) -> list[str]:
    """All files in a folder of a tar or of objects and the folders below it, as paths, in order.

    Raises:
        DecodeError: Its server does not answer.
    """
    tar = tar_of(path)
    if tar is None:
        return remote.find(path, _settings.retries)
    container, folder = _split(path)
    return [f"{container}#{name}" for name in _index(tar).below(folder or "")]
