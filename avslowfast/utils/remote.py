"""Storage that is no local disk: whole files from elsewhere, kept in a folder of the user, and file systems of fsspec.

http and https need no further package; s3, gs and all others go through fsspec. fsspec reads keys, endpoints and the
like where its users expect them: the vendors' own variables and files, and FSSPEC_<PROTOCOL>_<OPTION>.
"""

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import logging
import os
import random
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, TypeVar

from .errors import UserError, without_credentials
from .logging import get_logger

logger = get_logger(__name__)

T = TypeVar("T")

CACHE_VARIABLE = "AVSLOWFAST_CACHE"
# Tries of what may succeed when it is tried again, and seconds before the second one; doubled from try to try.
ATTEMPTS, PAUSE = 4, 0.5
# Seconds that a server may take to answer.
_TIMEOUT = 60
_BLOCK = 1 << 24
_HTTP = ("http://", "https://")
_HASH = re.compile(r"sha256=([0-9a-fA-F]{8,64})")
# Answers of a server after which the same request may succeed: it was slow, or asked to come later.
_LATER = (408, 425, 429)
_PERMANENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError, ValueError)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
# Faults of a program, not of a network.
_FAULTS = (TypeError, AttributeError, NameError, LookupError, AssertionError)
# Tries are counted here; botocore's own would make minutes of the seconds in which a server that is away is told.
_S3 = {"retries": {"total_max_attempts": 1}, "connect_timeout": 10, "read_timeout": _TIMEOUT}
# gcsfs tries six times in half a minute, which cannot be set, and logs the last error with its traceback.
_GOOGLE = ("gs", "gcs")
_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError")


class RemoteError(UserError, OSError):
    """Remote storage that cannot be used; the message names the address, the reason and the remedy.

    Args:
        message: The line.
        unreachable: Whether its server did not answer as it should, as opposed to an answer that says no.
    """

    def __init__(self, message: str, unreachable: bool = False) -> None:
        super().__init__(message)
        self.unreachable = self.may_pass = unreachable


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an address (scheme://...), not a path of this machine."""
    return "://" in os.fspath(path)


def check_address(url: str) -> None:
    """Refuse an address that names nothing, or that nobody can take apart.

    Args:
        url: An address.

    Raises:
        RemoteError: It is such a one.
    """
    try:
        urllib.parse.urlsplit(url)
    except ValueError as error:
        raise RemoteError(f"{without_credentials(url)}: no address ({error}); correct it") from None
    if not url.partition("://")[2].strip("/"):
        raise RemoteError(f"{url}: an address with nothing in it; name a host or a bucket")


def join(folder: str, name: str) -> str:
    """A name in a folder, either of which may be on a server; an address and an absolute path stay as they are."""
    return name if is_remote(name) else os.path.join(folder, name)


def is_file(path: str) -> bool:
    """Whether there is a file of this path, which may be an address.

    Raises:
        RemoteError: Its server does not answer.
        PermissionError: A folder on its way may not be entered, so that nobody can say.
    """
    if not is_remote(path):
        check_reachable(path)
        return os.path.isfile(path)
    system, inner = filesystem(path)
    return retried(lambda: bool(system.isfile(inner)), path)


def check_reachable(path: str | os.PathLike[str]) -> None:
    """Refuse a path whose way leads through a folder that may not be entered: it looks as if nothing were there.

    Args:
        path: Of this machine.

    Raises:
        PermissionError: There is such a folder.
    """
    try:
        os.stat(path)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return


def read(url: str) -> bytes:
    """A small file, whole.

    Raises:
        RemoteError: It is not there, or its server does not answer.
    """
    system, path = filesystem(url)
    return retried(lambda: bytes(system.cat_file(path)), url)


def require_package(package: str, install: str, what: str) -> None:
    """Check that a package that not everybody has is installed, without importing it.

    Args:
        package: The package as it is imported.
        install: What pip has to install.
        what: What asks for it, at the beginning of the message.

    Raises:
        UserError: It is not installed.
    """
    if importlib.util.find_spec(package) is None:
        raise UserError(f"{what} needs the package {package}, which is not installed; pip install '{install}'")


def filesystem(url: str) -> tuple[Any, str]:
    """The file system of an address and the path in it; in a process that was forked it is a new one.

    Args:
        url: An address that fsspec knows (s3://, gs://, http://, file:// ...), or a path of this machine.

    Returns:
        (a `fsspec.AbstractFileSystem`, path).

    Raises:
        RemoteError: No such kind of storage, or its package is not installed.
    """
    import fsspec

    protocol = "file"
    if is_remote(url):
        check_address(url)
        protocol = url.partition("://")[0]
    options: dict[str, Any] = {"use_listings_cache": False}
    if protocol in ("s3", "s3a"):
        options["config_kwargs"] = {**_S3, **fsspec.config.conf.get(protocol, {}).get("config_kwargs", {})}
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url, **options)
    except ImportError as error:
        package = getattr(error.__cause__, "name", None)
        install = "'avslowfast[remote]'" if protocol in ("s3", "s3a", "http", "https") else package
        remedy = (
            f"no package {package}); pip install {install}" if package else f"{_reason(error)}); install what it needs"
        )
        raise RemoteError(f"{without_credentials(url)}: cannot be opened ({remedy}") from None
    except Exception as error:
        raise RemoteError(
            f"{without_credentials(url)}: cannot be opened ({_reason(error)}); use s3://, gs:// or https://"
        ) from None
    if protocol in ("s3", "s3a"):
        found[0].retries = 1
    elif protocol in _GOOGLE:
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    return found


def retried(
    action: Callable[[], T], url: str, what: str = "read", attempts: int | None = None, pause: float | None = None
) -> T:
    """Call a function that uses a network, again with growing pauses where that may help.

    Args:
        action: The function.
        url: What it uses, for the message.
        what: What it does, for the message: "read", "downloaded", "written".
        attempts: Tries; None takes `ATTEMPTS`.
        pause: Seconds before the second one; None takes `PAUSE`.

    Raises:
        RemoteError: It has failed for good.
    """
    attempts = 1 if url.partition("://")[0] in _GOOGLE else attempts or ATTEMPTS
    pause = PAUSE if pause is None else pause
    for attempt in range(attempts):
        try:
            return action()
        except (UserError, *_FAULTS):
            raise
        except Exception as raised:
            error = _hidden(raised)
            permanent = _is_permanent(error)
            if attempt + 1 == attempts or permanent:
                tries = "" if permanent or attempts == 1 else f", {attempts} tries"
                reason = f"{_reason(error)}{tries}); {_remedy(error)}"
                raise RemoteError(
                    f"{without_credentials(url)}: cannot be {what} ({reason}", unreachable=not permanent
                ) from error
            # Not with the random numbers that a training repeats.
            time.sleep(pause * 2**attempt * random.SystemRandom().uniform(0.5, 1.0))
    raise AssertionError("no attempt")


def _hidden(error: Exception) -> Exception:
    """What a "not found" of fsspec's http hides: it says so of a server that is away, too."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) else None
    return cause if isinstance(cause, Exception) and type(cause).__module__.startswith("aiohttp") else error


def _is_permanent(error: Exception) -> bool:
    """Whether the same request would fail again."""
    status = _status(error)
    if status:
        return 400 <= status < 500 and status not in _LATER
    if isinstance(error, OSError) and error.errno in (*_DISK_FULL, errno.EINVAL):
        return True
    return isinstance(error, _PERMANENT) or type(error).__name__ in (*_CREDENTIALS, "FileExpired")


def _status(error: Exception) -> int:
    """The code of an http answer; 0 for other errors. Both urllib and aiohttp have their own error."""
    status = getattr(error, "status", None) or getattr(error, "code", None)
    return status if isinstance(status, int) else 0


def _remedy(error: Exception) -> str:
    status = _status(error)
    if status in (401, 403) or isinstance(error, PermissionError) or type(error).__name__ in _CREDENTIALS:
        return "check the address and the credentials"
    if status in (404, 410) or isinstance(error, FileNotFoundError | ValueError):
        return "check the address"
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return f"make room, or set {CACHE_VARIABLE} to another folder"
    return "check the address and the network, or copy the file"


def _reason(error: Exception) -> str:
    text = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else None
    code = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
    if isinstance(error, FileNotFoundError) or _status(error) == 404 and not code:
        # The message is the address, or an error of the client with everything that it has sent.
        text = os.strerror(errno.ENOENT)
    if type(error).__name__ == "FileExpired":
        text = "it has changed while it was read"
    return code + (" ".join(without_credentials(str(text or error)).split())[:200] or type(error).__name__)


def cache_folder() -> str:
    """The folder of copies of files from elsewhere: $AVSLOWFAST_CACHE, else avslowfast in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get(CACHE_VARIABLE) or os.path.join(base, "avslowfast")


def without_hash(url: str) -> tuple[str, str]:
    """(address, digits of the SHA-256 that its file has to have) of `https://host/file.pyth#sha256=...`.

    Args:
        url: An address; without such an ending the digits are "".

    Raises:
        RemoteError: The ending says sha256 and has no 8 to 64 hexadecimal digits.
    """
    address, mark, ending = url.rpartition("#")
    if not mark or not ending.lower().startswith("sha256"):
        return url, ""
    match = _HASH.fullmatch(ending)
    if match is None:
        raise RemoteError(f"{url}: {ending!r} is no hash; write #sha256= and its first 8 to 64 hexadecimal digits")
    return address, match[1].lower()


def fetched(url: str) -> str:
    """The copy of a file from elsewhere, downloaded once per machine and kept in `cache_folder`.

    A download that was interrupted is resumed where the server can, and several processes wait for one of them.

    Args:
        url: Its address. With #sha256=<digits> (its first 8 at least) the file is checked, the kept one too.

    Returns:
        The path of the copy.

    Raises:
        RemoteError: It cannot be downloaded, or is not the file with this hash.
    """
    address, wanted = without_hash(url)
    check_address(address)
    name = os.path.basename(urllib.parse.urlparse(address).path) or "file"
    # Servers have files of the same name.
    path = os.path.join(cache_folder(), f"{hashlib.sha256(address.encode()).hexdigest()[:12]}-{name[-100:]}")
    fresh = not os.path.isfile(path)
    if fresh:
        _download(address, path)
    if not wanted:
        return path
    found = sha256_of(path)
    if not fresh and not found.startswith(wanted):
        # The server's file may be another one since the copy was made.
        _download(address, path, other_than=found)
        found = sha256_of(path)
    if not found.startswith(wanted):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
        raise RemoteError(f"{address}: its SHA-256 is {found}, not {wanted}...; check the address and the hash")
    return path


def sha256_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _make_cache(folder: str) -> None:
    """Make the folder of downloads, whose faults are not the address's.

    Raises:
        RemoteError: It cannot be made or written to.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        reason = "" if os.access(folder, os.W_OK | os.X_OK) else "it is read-only"
    except OSError as error:
        reason = str(error.strerror or error)
    if reason:
        raise RemoteError(
            f"{folder}: downloads cannot be kept there ({reason[:1].lower()}{reason[1:]}); "
            f"set {CACHE_VARIABLE} to another folder"
        )


def _download(url: str, path: str, other_than: str = "") -> None:
    """Download a file unless another process has just done it; a copy with the SHA-256 `other_than` is replaced."""
    if url.startswith(_HTTP) and not urllib.parse.urlparse(url).hostname:
        raise RemoteError(f"{url}: cannot be downloaded (no host in it); check the address")
    _make_cache(os.path.dirname(os.path.abspath(path)))

    def attempt() -> None:
        source = _HttpFile(url) if url.startswith(_HTTP) else _StoredFile(url)
        with contextlib.closing(source):
            # What another version of the file has left is not continued.
            part = f"{path}.{hashlib.sha256(source.tag.encode()).hexdigest()[:8]}.part"
            with _alone(part) as f:
                if not os.path.isfile(path) or (other_than and sha256_of(path) == other_than):
                    _complete(f, source)
                    os.replace(part, path)

    began = time.monotonic()
    retried(attempt, url, "downloaded")
    megabytes = os.path.getsize(path) / 2**20
    logger.info("%s: %.1f MB downloaded in %.1f s to %s", url, megabytes, time.monotonic() - began, path)


@contextlib.contextmanager
def _alone(part: str) -> Iterator[BinaryIO]:
    """A partial file, held by one process at a time; an empty one is removed at the end."""
    while True:
        f = open(part, "a+b")  # noqa: SIM115  (closed below)
        # Some network drives have no locks; then each process downloads, and the last one counts.
        with contextlib.suppress(OSError):
            fcntl.flock(f, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(f.fileno()), os.stat(part)):
                break
        # Its holder has completed it meanwhile.
        f.close()
    with f:
        try:
            yield f
        finally:
            if os.path.isfile(part) and not os.path.getsize(part):
                os.remove(part)


def _complete(f: BinaryIO, source: "_HttpFile | _StoredFile") -> None:
    """Add to a partial file what it lacks."""
    have = f.seek(0, os.SEEK_END) if source.tag else 0
    if source.size is not None and have > source.size:
        have = 0
    f.truncate(have)
    for block in source.blocks(have):
        f.write(block)
    f.flush()
    os.fsync(f.fileno())
    if source.size is not None and f.tell() != source.size:
        raise OSError(f"{f.tell()} of {source.size} bytes came")


class _HttpFile:
    """A file of an http server.

    Args:
        url: Its address.

    Attributes:
        size: Bytes; None where the server does not say.
        tag: Tells versions of the file apart; "" where the server says nothing, so that nothing can be resumed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._answer = urllib.request.urlopen(url, timeout=_TIMEOUT)
        length = self._answer.headers.get("Content-Length")
        self.size = int(length) if length and length.isdigit() else None
        self.tag = self._tag_of(self._answer)

    @staticmethod
    def _tag_of(answer: Any) -> str:
        tag = answer.headers.get("ETag") or ""
        return str(tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified") or "")

    def blocks(self, start: int) -> Iterator[bytes]:
        """The bytes from a position on."""
        if start and start != self.size:
            self.close()
            headers = {"Range": f"bytes={start}-", "If-Range": self.tag}
            request = urllib.request.Request(self._url, headers=headers)
            self._answer = urllib.request.urlopen(request, timeout=_TIMEOUT)
            if self._tag_of(self._answer) != self.tag:
                raise OSError("the file has changed meanwhile")
            if self._answer.status != 206:
                # A server without ranges sends all of it.
                left = start
                while left:
                    left -= len(self._answer.read(min(left, _BLOCK))) or left
        elif start:
            return
        while block := self._answer.read(_BLOCK):
            yield block

    def close(self) -> None:
        """End the connection."""
        self._answer.close()


class _StoredFile:
    """A file of a storage that fsspec opens; the attributes are those of `_HttpFile`.

    Args:
        url: Its address.
    """

    def __init__(self, url: str) -> None:
        self._fs, self._path = filesystem(url)
        # Listings of earlier calls may be out of date.
        self._fs.invalidate_cache()
        info = self._fs.info(self._path)
        if info.get("type") == "directory":
            raise IsADirectoryError(errno.EISDIR, "it is a folder", url)
        self.size: int | None = info.get("size")
        self.tag = str(self._fs.ukey(self._path))

    def blocks(self, start: int) -> Iterator[bytes]:
        """The bytes from a position on."""
        for begin in range(start, self.size or 0, _BLOCK):
            yield self._fs.cat_file(self._path, start=begin, end=min(begin + _BLOCK, self.size or 0))

    def close(self) -> None:
        """Nothing stays open."""
