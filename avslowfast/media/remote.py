"""Objects at a URL, by fsspec: what is there, and ranges of its bytes, with retries."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from ..utils.remote import filesystem, RemoteError, retried
from .streams import DecodeError

T = TypeVar("T")

_HTTP = ("http://", "https://")
# What file systems call that which changes when an object changes.
_FACTS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "Last-Modified", "mtime", "updated", "created")


class UnreachableError(DecodeError):
    """A server that does not answer as it should, as opposed to an object that is not there."""


@dataclass
class Traffic:
    """What this process has asked of servers, for benchmarks and tests.

    Attributes:
        requests: Look-ups and ranges, tries that failed included.
        bytes: Of the ranges.
    """

    requests: int = 0
    bytes: int = 0


traffic = Traffic()


@dataclass(eq=False)
class RemoteObject:
    """An object as it was when it was looked up.

    Attributes:
        url: Its address.
        size: Bytes.
        version: What changes when the object changes: its size, ETag, time.
        file: fsspec's file, for ranges; None where its server gives it whole alone.
        whole: All of it, loaded.
    """

    url: str
    size: int
    version: str
    file: Any
    whole: BinaryIO | None = None

    def read(self, start: int, stop: int, path: str, retries: int) -> bytes:
        """A range of its bytes.

        Args:
            start: First byte.
            stop: Behind the last byte.
            path: What they are, for messages.
            retries: See `look_up`.

        Raises:
            UnreachableError: The server does not answer.
            DecodeError: It is not there any more, has changed, or may not be read.
        """
        return _asked(path, retries, lambda: self._read(start, stop))

    def _read(self, start: int, stop: int) -> bytes:
        if self.file is not None:
            traffic.requests += 1
            try:
                self.file.seek(start)
                data: bytes = self.file.read(stop - start)
                traffic.bytes += len(data)
            except ValueError as error:
                # What fsspec says of a server that gives objects whole alone.
                if "range requests" not in str(error):
                    raise
                self.file = None
        if self.file is None:
            self.whole = self.whole or _fetch(self.url)
            data = os.pread(self.whole.fileno(), stop - start, start)
        if len(data) != stop - start:
            raise OSError(f"{len(data)} of {stop - start} bytes came")
        return data


def look_up(url: str, retries: int) -> RemoteObject:
    """An object as it is now.

    Args:
        url: Its address.
        retries: Further tries where the server does not answer as it should.

    Raises:
        UnreachableError: The server does not answer.
        DecodeError: There is no such object, or it may not be read.
    """
    return _asked(url, retries, lambda: _opened(url))


def entries(url: str, retries: int) -> list[str]:
    """Addresses of the files and, with "/" at their end, of the folders in a folder; [] where there is none.

    Args:
        url: The folder.
        retries: See `look_up`.

    Raises:
        UnreachableError: The server does not answer.
        DecodeError: It may not be listed.
    """

    def ask() -> list[str]:
        system, path = filesystem(url)
        try:
            found = system.ls(path, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        # An object is a listing of itself.
        inside = [entry for entry in found if entry["name"].rstrip("/") != path.rstrip("/")]
        return sorted(
            system.unstrip_protocol(entry["name"].rstrip("/")) + ("/" if entry["type"] == "directory" else "")
            for entry in inside
        )

    return _asked(url, retries, ask)


def is_folder(url: str, retries: int) -> bool:
    """Whether there are objects below an address, see `entries`; there are none below one of http."""
    return not url.startswith(_HTTP) and bool(entries(url, retries))


def find(url: str, retries: int) -> list[str]:
    """Addresses of all files below an address, in order, see `entries`."""

    def ask() -> list[str]:
        system, path = filesystem(url)
        return sorted(system.unstrip_protocol(name) for name in system.find(path))

    return _asked(url, retries, ask)


def _asked(path: str, retries: int, action: Callable[[], T]) -> T:
    try:
        return retried(action, path, attempts=retries + 1)
    except RemoteError as error:
        kind = UnreachableError if error.unreachable else DecodeError
        raise kind(str(error).partition(": ")[2], path) from None


def _opened(url: str) -> RemoteObject:
    system, path = filesystem(url)
    traffic.requests += 1
    file = None
    if url.startswith(_HTTP):
        info = system.info(path)
        if info.get("size") and info.get("partial", True):
            file = system.open(path, "rb", cache_type="none", size=info["size"])
    else:
        # S3's file knows what it looked up, and reads ranges of that version alone.
        file = system.open(path, "rb", cache_type="none")
        info = getattr(file, "details", None) or system.info(path)
    version = repr([info.get("size"), *(str(info.get(fact)) for fact in _FACTS)])
    if info.get("size") is not None:
        return RemoteObject(url, info["size"], version, file)
    # Its server says no more about it.
    whole = _fetch(url)
    return RemoteObject(url, os.fstat(whole.fileno()).st_size, version, file, whole)


def _fetch(url: str) -> BinaryIO:
    """An object whole, in a file without a name."""
    system, path = filesystem(url)
    traffic.requests += 1
    with tempfile.NamedTemporaryFile() as named:
        system.get_file(path, named.name)
        file = open(named.name, "rb")  # noqa: SIM115  (it stays open)
    traffic.bytes += os.fstat(file.fileno()).st_size
    return file
