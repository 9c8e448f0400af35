"""A folder of blocks that were read from remote objects: bounded, and shared by all processes of a machine."""

import contextlib
import fcntl
import hashlib
import mmap
import os
import secrets
import struct
import time
import zlib
from collections.abc import Callable, Iterator

from ..utils.files import is_temporary, PART
from ..utils.logging import get_logger

logger = get_logger(__name__)

# Of the largest size, what is left after blocks were removed to make room.
_KEPT = 0.9
# A half-written block older than this was left by a process that was killed, seconds.
_STALE = 3600
# Behind each block: its checksum.
_TAIL = struct.Struct("<I")


class BlockCache:
    """Blocks of bytes by key; the least recently used ones go first.

    Processes share it through the file system: blocks appear whole under their name, and the sum of their sizes stands
    in a file that is changed under a lock. Where the folder cannot be written, it is left alone with a warning: a cache
    is no reason to fail.

    Args:
        folder: The folder; made when it is first needed.
        limit: Bytes of all blocks together, at most.
    """

    def __init__(self, folder: str, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._broken = False

    def path(self, key: str) -> str:
        """Where the block of a key lies."""
        name = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        return os.path.join(self.folder, name[:2], name)

    def get(self, key: str) -> bytes | None:
        """The block of a key, None where it is not there or damaged."""
        path = self.path(key)
        try:
            with open(path, "rb") as file:
                content = file.read()
            if not _is_whole(content):
                os.unlink(path)
                return None
            os.utime(path)
            return content[: -_TAIL.size]
        except OSError:
            return None

    def put(self, key: str, data: bytes) -> None:
        """Keep a block, unless it is larger than the whole cache."""
        size = len(data) + _TAIL.size
        if self._broken or size > self.limit:
            return
        path = self.path(key)
        part = f"{path}.{secrets.token_hex(4)}{PART}"
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            try:
                with open(part, "wb") as file:
                    file.write(data)
                    file.write(_TAIL.pack(zlib.crc32(data)))
                with self.locked("size"):
                    if not os.path.exists(path):
                        self._reserve(size)
                        os.replace(part, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(part)
        except OSError as error:
            self._broken = True
            logger.warning(
                "%s: nothing more is cached by this process (%s); see STORAGE.CACHE_DIR and STORAGE.CACHE_SIZE",
                self.folder,
                error.strerror or error,
            )

    def mapped(self, key: str, make: Callable[[], bytes]) -> bytes | mmap.mmap:
        """The block of a key, as a file in memory that all processes share.

        Args:
            key: Its key.
            make: Makes the block where it is not there; one process does, and the others wait for that.
        """
        with contextlib.ExitStack() as stack:
            found = self._map(key)
            if found is not None:
                return found
            with contextlib.suppress(OSError):
                os.makedirs(self.folder, mode=0o700, exist_ok=True)
                stack.enter_context(self.locked(f"make-{os.path.basename(self.path(key))[:2]}"))
            found = self._map(key)
            if found is not None:
                return found
            data = make()
            self.put(key, data)
            return self._map(key) or data

    def _map(self, key: str) -> mmap.mmap | None:
        path = self.path(key)
        try:
            with open(path, "rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            if not _is_whole(content):
                os.unlink(path)
                return None
            os.utime(path)
            return content
        except (OSError, ValueError):
            return None

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold a lock of this cache, which other processes wait for; a process that dies lets it go.

        Raises:
            OSError: The folder cannot be written, or has no locks.
        """
        descriptor = os.open(os.path.join(self.folder, f"{name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _reserve(self, size: int) -> None:
        """Count a block that is about to get its name, under the lock; make room where there is none."""
        path = os.path.join(self.folder, "size")
        try:
            with open(path, encoding="ascii") as file:
                total = int(file.read())
        except (OSError, ValueError):
            total = self._make_room(self.limit)
        if total + size > self.limit:
            total = self._make_room(min(int(_KEPT * self.limit), self.limit - size))
        with open(path, "w", encoding="ascii") as file:
            file.write(str(total + size))

    def _make_room(self, wanted: int) -> int:
        """Remove the blocks that were used least recently until no more than these bytes are left; gives how many."""
        blocks, total, now = [], 0, time.time()
        for folder in os.scandir(self.folder):
            if not folder.is_dir() or len(folder.name) != 2:
                continue
            for entry in os.scandir(folder.path):
                # Another process may have removed it.
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    if not is_temporary(entry.path):
                        blocks.append((status.st_mtime_ns, status.st_size, entry.path))
                        total += status.st_size
                    elif now - status.st_mtime > _STALE:
                        os.unlink(entry.path)
        for _, size, path in sorted(blocks):
            if total <= wanted:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= size
        return total


def _is_whole(content: bytes | mmap.mmap) -> bool:
    """Whether a block ends with its checksum."""
    if len(content) < _TAIL.size:
        return False
    with memoryview(content) as view, view[: -_TAIL.size] as data:
        return bool(_TAIL.unpack(view[-_TAIL.size :])[0] == zlib.crc32(data))
