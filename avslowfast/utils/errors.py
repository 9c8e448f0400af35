"""Errors that a person can correct, as opposed to faults of the program, and how command lines tell them."""

import builtins
import contextlib
import errno
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

U = TypeVar("U", bound="UserError")

# Set to 1 to see where in the program an error was found.
TRACEBACK_VARIABLE = "AVSLOWFAST_TRACEBACK"
# Exit code of a process that ends with an error told in one line.
MISTAKE = 2
NO_INODES = "no inodes left on the disk: it has too many files"

_LESS_MEMORY = (
    "use smaller batches (TRAIN.BATCH_SIZE, TEST.BATCH_SIZE), smaller or shorter clips, or fewer workers "
    "(DATA_LOADER.NUM_WORKERS)"
)
_LESS_SHARED_MEMORY = (
    "/dev/shm is too small for the loader's workers; enlarge it (docker run --shm-size=8g), or set "
    "DATA_LOADER.NUM_WORKERS 0"
)
_ANOTHER_FOLDER = "choose another folder"
# What to do about an error of the operating system, by its number; the message of the system says what is wrong.
_REMEDIES = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "a part of the path is a file, not a folder; check the path",
    errno.EISDIR: "a file is needed here, not a folder",
    errno.EEXIST: "choose another path, or remove it",
    errno.ENOTEMPTY: "choose another path, or empty it",
    errno.EACCES: "change its permissions, or choose another path",
    errno.EPERM: "change its permissions, or choose another path",
    errno.EROFS: _ANOTHER_FOLDER,
    errno.ENOSPC: f"free some space, or {_ANOTHER_FOLDER}",
    errno.EDQUOT: f"free some space, or {_ANOTHER_FOLDER}",
    errno.EFBIG: f"the file system or `ulimit -f` takes no larger file; {_ANOTHER_FOLDER}",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "a link leads back to itself; remove it",
    errno.EMFILE: "raise the limit (ulimit -n), or use fewer workers (DATA_LOADER.NUM_WORKERS)",
    errno.ENFILE: "close other programs, or use fewer workers (DATA_LOADER.NUM_WORKERS)",
    errno.EIO: "the disk or the network drive does not answer as it should; check it",
    errno.ESTALE: "the network drive was mounted again; start again",
    errno.ENXIO: "give a regular file",
    errno.ETXTBSY: "another program uses the file; choose another path",
    errno.ENOMEM: _LESS_MEMORY,
    errno.EADDRINUSE: "another job uses the port; choose another one (--init_method, or torchrun --rdzv-endpoint)",
    errno.ECONNREFUSED: "nothing listens at the address; check it",
    errno.EPIPE: "the program that reads the output has ended",
}
# Those that stay until a person changes a path or what is there.
_OF_PATHS = {
    errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.EACCES, errno.EPERM, errno.EROFS,
    errno.ENAMETOOLONG, errno.ELOOP, errno.ENXIO,
}  # fmt: skip
# Errors that torch and other libraries raise as RuntimeError and the like: (what their text has, what it means).
_KNOWN = (
    (r"unable to (?:allocate shared memory|mmap \d+ bytes from file|open shared memory object|write to file <.torch_"
     r"|resize file <.torch_)|out of shared memory|Bus error", _LESS_SHARED_MEMORY),
    (r"(?i)EADDRINUSE|address already in use", f"the port is in use; {_REMEDIES[errno.EADDRINUSE]}"),
    (r"(?i)out of memory|can't allocate memory|not enough memory|Cannot allocate memory",
     f"not enough memory; {_LESS_MEMORY}"),
    (r"unexpected pos \d+|PytorchStreamWriter failed|PytorchFileWriter failed",
     f"a file could not be written whole: the disk is full, or it failed; free some space, or {_ANOTHER_FOLDER}"),
)  # fmt: skip
# What torch, safetensors and HDF5 say of a file that they could not write, where they know it with the system's number.
_NOT_WRITTEN = re.compile(
    r"unexpected pos \d+|PytorchStreamWriter failed|PytorchFileWriter failed|\(os error (\d+)\)|errno = (\d+)"
)
# How torch wraps an error of a worker: the text ends with the original one's type and message.
_WRAPPED = re.compile(r"Caught (\w+) in [\s\S]*?\nOriginal Traceback[\s\S]*\n(?:[\w.]+\.)?\1: ([\s\S]*)")
_SYSTEM_ERROR = re.compile(r"\[Errno (\d+)\] (.*?)(?:: '(.*)')?$", re.DOTALL)


# What stands in an address for a user, and behind its path, as in an address that was signed.
_USER, _QUERY = re.compile(r"(\w://)[^/@\s'\"]+@"), re.compile(r"(\w://[^\s'\"?]+)\?[^\s'\")]+?(?=:?(?:[\s'\")]|$))")


class UserError(Exception):
    """An error whose message says in one line what is wrong, where, and what to do.

    Command lines print it without a traceback.

    Attributes:
        may_pass: Whether the same command may succeed when it is started again, without a change by a person.
    """

    may_pass = False

    @classmethod
    def like(cls: type[U], error: BaseException, message: str = "") -> U:
        """What another process raises for an error of this one.

        Args:
            error: Of this process.
            message: In place of the error's.
        """
        other = cls(message or str(error) or type(error).__name__)
        other.may_pass = may_pass(error)
        return other


class StopRequested(BaseException):
    """Work ends here because the process was asked to stop; not an error, so that no handler of errors takes it."""


def first_of_machine() -> bool:
    """Whether this process tells what all of its machine find, before the ranks of a job have met."""
    return os.environ.get("LOCAL_RANK", "0") == "0"


def without_credentials(text: str) -> str:
    """A text whose addresses have no passwords and no signatures: those of a server's messages, and of lists."""
    return _QUERY.sub(r"\1?...", _USER.sub(r"\1***@", text)) if "://" in text else text


def one_line(error: BaseException) -> str | None:
    """What to tell a person about an error that is no fault of the program: what is wrong, where, and what to do.

    An error that a process of the data loader, or another process of the job, raised counts as what it was there.

    Args:
        error: Any error.

    Returns:
        One line, or None for an error that is a fault of the program and deserves its traceback.
    """
    kind, text = _original(error)
    line = _meaning(error, kind, text)
    return None if line is None else without_credentials(_in_one_line(line))


def may_pass(error: BaseException) -> bool:
    """Whether the same command may succeed when it is started again: after a lost process, a full disk.

    Args:
        error: Any error, as in `one_line`.
    """
    kind, text = _original(error)
    if issubclass(kind, UserError):
        return bool(getattr(error, "may_pass", kind.may_pass))
    if issubclass(kind, OSError):
        parsed = _SYSTEM_ERROR.match(text)
        return (getattr(error, "errno", None) or (int(parsed[1]) if parsed else 0)) not in _OF_PATHS
    return not issubclass(kind, UnicodeError | RecursionError)


def tell(error: BaseException) -> bool:
    """Print an error that is no fault of the program as one line on stderr.

    With AVSLOWFAST_TRACEBACK=1 the traceback stands before it.

    Args:
        error: Any error.

    Returns:
        Whether it was printed; an error that was not should be raised again.
    """
    line = one_line(error)
    if line is None:
        return False
    if os.environ.get(TRACEBACK_VARIABLE) == "1":
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):
        # What is left in the buffers has nowhere to go; at its end Python would complain about that.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(f"error: {line}", file=sys.stderr, flush=True)
    return True


@contextlib.contextmanager
def concerning(path: str | os.PathLike[str], part: str | None = None) -> Iterator[None]:
    """Errors of the operating system in the block that name no file, or a temporary one, concern this one.

    Writing to a full disk, for example, fails without a name. Libraries that write by themselves say it in words of
    their own; these become an OSError.

    Args:
        path: The file.
        part: Its temporary name.

    Raises:
        OSError: A library could not write the file.
    """
    try:
        yield
    except Exception as error:
        systems = [cause for cause in _causes(error) if isinstance(cause, OSError) and cause.errno]
        for cause in systems:
            if cause.filename is None or _without_protocol(cause.filename) == part:
                try:
                    cause.filename = os.fspath(path)
                except AttributeError:
                    # Those of PyAV keep theirs.
                    raise OSError(cause.errno, cause.strerror, os.fspath(path)) from error
        failed = None if systems else _NOT_WRITTEN.search(str(error))
        if failed is None:
            raise
        number = int(failed[1] or failed[2] or errno.ENOSPC)
        raise OSError(number, os.strerror(number), os.fspath(path)) from error


def system_error(error: BaseException) -> OSError | None:
    """What the operating system said first, where an error comes from that; torch's writer, for example, hides it.

    Args:
        error: Any error.
    """
    systems = [cause for cause in _causes(error) if isinstance(cause, OSError) and cause.errno]
    return systems[-1] if systems else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from or during, and so on."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def _original(error: BaseException) -> tuple[type[BaseException], str]:
    """(type, message) of an error, without what torch puts around that of another process."""
    text, kind = str(error), type(error)
    wrapped = _WRAPPED.match(text)
    if wrapped is None:
        return kind, text
    # torch raises a RuntimeError in place of one whose constructor takes more than a message.
    original = getattr(builtins, wrapped[1], kind)
    return (original if kind is RuntimeError else kind), wrapped[2].strip()


def _meaning(error: BaseException, kind: type[BaseException], text: str) -> str | None:
    if issubclass(kind, UserError):
        return text
    if issubclass(kind, RuntimeError) and "unexpected pos" in text:
        # torch's writer fails once more while it ends the file; what failed first says why.
        first = system_error(error)
        if first is not None:
            return _system_error(first, str(first))
    for known, explain in _EXPLAINED:
        if issubclass(kind, known):
            return explain(error, text)
    if issubclass(kind, RuntimeError):
        return next((f"{meaning} ({_short(text)})" for mark, meaning in _KNOWN if re.search(mark, text)), None)
    return None


def _system_error(error: BaseException, text: str) -> str:
    """An OSError in words. That of another process has lost its number and its path; its text still has them."""
    parsed = _SYSTEM_ERROR.match(text)
    number = getattr(error, "errno", None) or (int(parsed[1]) if parsed else 0)
    what = getattr(error, "strerror", None) or (parsed[2] if parsed else text) or type(error).__name__
    paths = (getattr(error, "filename", None), getattr(error, "filename2", None))
    names = [_without_protocol(path) for path in paths if isinstance(path, str | bytes)]
    names = names or ([parsed[3]] if parsed and parsed[3] else [])
    if number == errno.ENOSPC and names and not has_inodes(names[-1]):
        what, number = NO_INODES, errno.EDQUOT
    remedy = _REMEDIES.get(number)
    where = "".join(f"{name}: " for name in names[-1:])
    return f"{where}{what[:1].lower()}{what[1:]}" + (f"; {remedy}" if remedy else "")


def _without_protocol(path: Any) -> str:
    """The path of a file that PyAV may have been given as an address, see `media.streams.file_url`."""
    return os.fsdecode(path).removeprefix("file:") if isinstance(path, str | bytes) else ""


def has_inodes(path: str) -> bool:
    """Whether the disk of a path has room for another file, as far as it says so.

    Args:
        path: Of a file or folder, which need not be there.
    """
    folder = os.path.abspath(path)
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    try:
        disk = os.statvfs(folder)
    except OSError:
        return True
    return disk.f_files == 0 or disk.f_favail > 0


def _memory(error: BaseException, text: str) -> str:
    return f"not enough memory{f' ({_short(text)})' if text else ''}; {_LESS_MEMORY}"


def _decoding(error: BaseException, text: str) -> str:
    return f"a text is not in UTF-8 ({_short(text)}); save the file as UTF-8"


def _encoding(error: BaseException, text: str) -> str:
    return f"a text cannot be written in this encoding ({_short(text)}); set PYTHONUTF8=1, or rename the file"


def _recursion(error: BaseException, text: str) -> str:
    return "a file or a value is nested too deeply; none of this project's needs more than a few levels"


_EXPLAINED: tuple[tuple[type[BaseException], Callable[[BaseException, str], str]], ...] = (
    (OSError, _system_error),
    (MemoryError, _memory),
    (UnicodeDecodeError, _decoding),
    (UnicodeEncodeError, _encoding),
    (RecursionError, _recursion),
)


def _short(text: str) -> str:
    line = _in_one_line(text)
    return line if len(line) <= 160 else line[:157] + "..."


def _in_one_line(text: Any) -> str:
    return " ".join(str(text).split())
