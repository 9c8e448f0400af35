"""One run per folder: a lock that a killed process cannot leave behind."""

import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import simplejson

from .errors import UserError
from .logging import get_logger

logger = get_logger(__name__)

LOCK = "run.lock"
# A lock that was taken on another machine counts for this long after its last sign of life. Locks of one file system
# reach all machines on most clusters, but not on all.
_SIGN_OF_LIFE = 30.0
_STALE = 4 * _SIGN_OF_LIFE


class FolderInUseError(UserError, RuntimeError):
    """Another run writes into the folder; the message names its machine and process.

    Args:
        message: The line.
        may_pass: Whether only a record speaks for that run, whose machine may be lost.
    """

    def __init__(self, message: str, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class FolderLock:
    """Holds a folder for this process; a context manager.

    The system gives the lock back when the process ends, however it ends.

    Args:
        folder: The folder; it exists.
        patience: Seconds in which a process that holds it may end: after the loss of a machine, torchrun or
            Slurm start this process while an earlier one of the same job may still save, or its lock outlive it on a
            network drive.
        name: What names it, for the message.
        instead: What a person can choose in its place, for the message.

    Raises:
        FolderInUseError: Another process holds it.
    """

    def __init__(
        self, folder: str, patience: float = 0.0, name: str = "OUTPUT_DIR", instead: str = "another folder"
    ) -> None:
        self._name, self._instead = name, instead
        self.path = os.path.join(folder, LOCK)
        self._file = self._wait(folder, min(patience, _STALE + _SIGN_OF_LIFE))
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._show_life, daemon=True, name="run lock")
        self._thread.start()

    def __enter__(self) -> "FolderLock":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """Give the folder back; the file is removed."""
        if self._released.is_set():
            return
        self._released.set()
        with contextlib.suppress(OSError):
            os.remove(self.path)
        os.close(self._file)

    def _wait(self, folder: str, patience: float) -> int:
        end, told = time.monotonic() + patience, False
        while True:
            try:
                return self._acquire(folder)
            except FolderInUseError as error:
                if time.monotonic() >= end:
                    raise
                if not told:
                    logger.warning("%s; waiting for up to %.0f s", error, patience)
                told = True
                time.sleep(0.5)

    def _acquire(self, folder: str) -> int:
        while True:
            if os.path.islink(self.path):
                raise FolderInUseError(f"{self.path}: it is a link, which is no lock of a run; remove it")
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            try:
                try:
                    # Record locks, which belong to the process: loader workers do not inherit them.
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise FolderInUseError(self._in_use(folder, _holder(file))) from None
                except OSError:
                    logger.warning("%s: this file system has no locks; the record in the file alone counts", self.path)
                if not _is_file_of(file, self.path):
                    # Its holder has just removed it.
                    os.close(file)
                    continue
                self._check_holder(folder, file)
                content = simplejson.dumps({"host": socket.gethostname(), "pid": os.getpid(), **batch_job()})
                os.ftruncate(file, 0)
                os.pwrite(file, content.encode(), 0)
                return file
            except BaseException:
                with contextlib.suppress(OSError):
                    os.close(file)
                raise

    def _check_holder(self, folder: str, file: int) -> None:
        """What a lock that the system gave says of an earlier holder."""
        holder = _holder(file)
        if not holder:
            return
        age = _now_of(folder) - os.fstat(file).st_mtime
        alive = age < _STALE and holder.get("host") != socket.gethostname() and not is_restart_of(holder)
        if alive:
            ends = f"; if that machine is gone, the lock ends in {_STALE - age:.0f} s"
            raise FolderInUseError(self._in_use(folder, holder) + ends, may_pass=True)
        logger.info("the lock of process %s on %s is stale: that run has ended", holder.get("pid"), holder.get("host"))

    def _in_use(self, folder: str, holder: dict[str, Any]) -> str:
        where = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
        return (
            f"{self._name} is {folder!r}: another run is using it ({where}); "
            f"wait for its end, or choose {self._instead}"
        )

    def _show_life(self) -> None:
        while not self._released.wait(_SIGN_OF_LIFE):
            with contextlib.suppress(OSError):
                os.utime(self._file)


def batch_job() -> dict[str, str]:
    """The batch job of this process and how often it was restarted, by which a restart knows what is its own; or {}."""
    job = os.environ.get("SLURM_JOB_ID")
    return {"job": job, "restart": os.environ.get("SLURM_RESTART_COUNT", "0")} if job else {}


def is_restart_of(holder: Mapping[str, Any]) -> bool:
    """Whether this process belongs to a later start of the same batch job.

    Args:
        holder: Has what `batch_job` said in the earlier process.
    """
    job = batch_job()
    return bool(job) and job["job"] == holder.get("job") and job["restart"] != holder.get("restart")


def starts_again() -> bool:
    """Whether a job of this process was started before: what an earlier start has left may not have ended yet."""
    return "TORCHELASTIC_RUN_ID" in os.environ or batch_job().get("restart", "0") != "0"


def _holder(file: int) -> dict[str, Any]:
    try:
        content = simplejson.loads(os.pread(file, 4096, 0) or b"{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _is_file_of(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _now_of(folder: str) -> float:
    """The time by the clock of the folder's file system, which may not be this machine's."""
    path = os.path.join(folder, f".{LOCK}.{os.getpid()}")
    with open(path, "w"):
        pass
    try:
        return os.stat(path).st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            os.remove(path)
