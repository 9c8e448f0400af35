"""Files that are written whole or not at all, and folders that can be written."""

import contextlib
import glob
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator

from .errors import concerning, UserError
from .remote import is_remote

# What every temporary name has before its ending: what a killed process has left is found by it.
PART = ".part"
_TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.part(\.\w+)?$")


class FolderError(UserError, OSError):
    """A folder in which nothing can be written; the message names what asks for it, the folder and the reason."""


def check_writable(folder: str | os.PathLike[str], name: str) -> None:
    """Make a folder where it is missing, and try to write in it.

    Args:
        folder: The folder.
        name: What asks for it, for the message, e.g. the key OUTPUT_DIR.

    Raises:
        FolderError: It is an address or cannot be made, or nothing can be written there.
    """
    folder = os.fspath(folder)
    if is_remote(folder):
        raise FolderError(f"{name} is {folder!r}: an address; files are written to this machine, choose a local folder")
    trial = os.path.join(folder, f".{secrets.token_hex(4)}{PART}")
    try:
        os.makedirs(folder, exist_ok=True)
        try:
            with open(trial, "xb", buffering=0) as f:
                f.write(bytes(4096))
        finally:
            if os.path.lexists(trial):
                os.remove(trial)
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        problem = f"nothing can be written there ({reason[:1].lower()}{reason[1:]})"
        raise FolderError(f"{name} is {folder!r}: {problem}; choose another folder") from None


def check_replaceable(path: str | os.PathLike[str]) -> None:
    """Refuse a path at which there is something that no file may take the place of: /dev/null is for all processes.

    Args:
        path: A file or folder to write, which need not be there.

    Raises:
        FolderError: The path is empty, or a pipe, a socket or a device is there.
        OSError: The system does not take it for a path.
    """
    path = os.fspath(path)
    if not path:
        raise FolderError("the path of a file to write is empty; name one")
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, ValueError):
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise FolderError(f"{path}: it is a pipe, a socket or a device, which no file replaces; name another file")


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """A temporary file in the folder of a file; what the block writes there becomes the file when it ends well.

    The folder is made where it is missing. When the block fails, the file stays as it was and the temporary one is
    removed. The temporary name is the file's with a number of this writer and ".part" before its ending: several
    processes may write the same file, and a link that somebody has put there is not followed.

    Args:
        path: The file.

    Yields:
        The temporary name, of an empty file.

    Raises:
        FolderError: No file may be there, see `check_replaceable`.
    """
    check_replaceable(path)
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    base, ending = os.path.splitext(os.fspath(path))
    part = f"{base}.{secrets.token_hex(4)}{PART}{ending}"
    with concerning(path, part):
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666))
        try:
            yield part
            os.replace(part, path)
        finally:
            if os.path.lexists(part):
                os.remove(part)


def is_temporary(path: str | os.PathLike[str]) -> bool:
    """Whether a path is called like a temporary file of `replacing` or `check_writable`."""
    return _TEMPORARY.search(os.fspath(path)) is not None


def replaced_by(path: str) -> str:
    """The file that a temporary file of `replacing` becomes; the path itself where it is no temporary one."""
    return _TEMPORARY.sub(r"\1", path)


def sweep(paths: Iterable[str]) -> list[str]:
    """Remove the temporary files among some paths: those that killed processes have left where nobody writes now.

    Args:
        paths: Any paths; what is no temporary file of `replacing` or `check_writable` stays.

    Returns:
        What was removed.
    """
    left = [path for path in paths if is_temporary(path) and os.path.isfile(path) and not os.path.islink(path)]
    removed = []
    for path in left:
        # Another process may have done it, or be the only one that may.
        with contextlib.suppress(OSError):
            os.remove(path)
            removed.append(path)
    return removed


def paths_in(folder: str | os.PathLike[str]) -> list[str]:
    """The paths of what is in a folder; [] where there is none."""
    return [entry.path for entry in os.scandir(folder)] if os.path.isdir(folder) else []


def temporary_of(path: str | os.PathLike[str]) -> list[str]:
    """The temporary files of a file that are there, as `sweep` takes them."""
    base, ending = os.path.splitext(os.fspath(path))
    return glob.glob(f"{glob.escape(base)}.*{PART}{glob.escape(ending)}")
