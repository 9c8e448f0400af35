"""Copies of a run elsewhere: states, record, logs and results go to an address or a folder while the run continues."""

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import simplejson

from ..utils.errors import UserError, without_credentials
from ..utils.files import is_temporary, PART, replacing
from ..utils.logging import get_logger
from ..utils.remote import check_address, filesystem, is_remote, RemoteError, retried
from ..utils.text import counted
from . import record as records
from .record import is_of_run, parse_record, read_record, RunRecord
from .states import BEST

logger = get_logger(__name__)

# What of a run has been copied where; in OUTPUT_DIR.
LEDGER = "mirror.json"
# Stores in which an object is there when it is whole; elsewhere a file gets its name when it is whole.
_OBJECT_STORES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "oci")
# Seconds before a sync that failed is tried again: at first, doubled each time, and at most.
_PAUSE, _LONGEST_PAUSE = 5.0, 300.0

# (size in bytes, time of change in ns) of a file.
Stamp = tuple[int, int]


class MirrorError(UserError):
    """A mirror that cannot be used; the message names the address, the reason and the remedy."""


class Store:
    """The folder in which copies lie.

    Args:
        url: An address that fsspec can write to, or a folder.

    Raises:
        RemoteError: It is no address.
    """

    def __init__(self, url: str) -> None:
        if is_remote(url):
            check_address(url)
        self.url = url.rstrip("/") or "/"
        self.name = without_credentials(self.url)

    def _open(self, name: str = "") -> tuple[Any, str]:
        system, root = filesystem(self.url if is_remote(self.url) else os.path.abspath(self.url))
        return system, f"{root.rstrip('/')}/{name}" if name else root

    def sizes(self) -> dict[str, int]:
        """{name: bytes} of all files.

        Raises:
            RemoteError: The store does not answer.
        """
        system, root = self._open()
        found = retried(lambda: dict(system.find(root, detail=True)), self.url)
        start = len(root.rstrip("/")) + 1
        return {str(path)[start:]: int(info["size"]) for path, info in found.items()}

    def record(self) -> RunRecord | None:
        """The record of the run whose copies are there; None where there are none.

        Raises:
            RemoteError: The store does not answer.
            MirrorError: There is a file of this name that is no record.
        """
        system, path = self._open(records.RECORD)
        try:
            # Not `exists`, which of some stores is False when they do not answer.
            text = retried(lambda: bytes(system.cat_file(path)), self.url)
        except RemoteError as error:
            if isinstance(error.__cause__, FileNotFoundError) and not error.unreachable:
                return None
            raise
        try:
            return parse_record(simplejson.loads(text))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problem = f"{records.RECORD} is damaged ({type(error).__name__})"
            raise MirrorError(f"{self.name}: {problem}; choose another address, or remove the file") from None

    def put(self, source: str, name: str) -> None:
        """Copy a file; under its name it is there whole or not at all.

        Args:
            source: The file.
            name: Its name in the store.

        Raises:
            RemoteError: It cannot be written.
        """
        system, path = self._open(name)
        retried(lambda: self._put(system, source, path), self.url, "written")

    def _put(self, system: Any, source: str, path: str) -> None:
        if self.url.partition("://")[0] in _OBJECT_STORES:
            system.put_file(source, path)
            return
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        part = f"{path}.{secrets.token_hex(4)}{PART}"
        try:
            system.put_file(source, part)
            system.mv(part, path)
        finally:
            with contextlib.suppress(Exception):
                system.rm_file(part)

    def get(self, name: str, target: str) -> None:
        """Copy a file back, whole or not at all.

        Args:
            name: Its name in the store.
            target: The file.

        Raises:
            RemoteError: It cannot be read.
        """
        system, path = self._open(name)
        with replacing(target) as part:
            retried(lambda: system.get_file(path, part), self.url)

    def remove(self, name: str) -> None:
        """Remove a file, which need not be there.

        Raises:
            RemoteError: It cannot be removed.
        """
        system, path = self._open(name)
        with contextlib.suppress(FileNotFoundError):
            retried(lambda: system.rm_file(path) if system.exists(path) else None, self.url, "removed")


def files_of_run(output_dir: str, record: RunRecord) -> dict[str, str]:
    """{name: path} of what a run has written, in the order in which it is copied.

    The newest state comes first, then the best one, the others from the newest on, the record, and the rest.

    Args:
        output_dir: Folder of the run.
        record: Of the run.
    """
    states = record.files(output_dir)[::-1]
    best = record.best_file(output_dir)
    paths = [*states[:1], *([best] if best else []), *states[1:], os.path.join(output_dir, records.RECORD)]
    for name in sorted(os.listdir(output_dir)):
        path = os.path.join(output_dir, name)
        if name in (records.RECORD, "checkpoints") or not is_of_run(name):
            continue
        if os.path.isfile(path):
            paths.append(path)
        for folder, _, files in os.walk(path):
            paths += [os.path.join(folder, file) for file in sorted(files)]
    return {os.path.relpath(path, output_dir): path for path in paths if not is_temporary(path)}


@dataclass
class Ledger:
    """What of a run has been copied to which store.

    Attributes:
        url: The store.
        run_id: The run.
        files: {name: stamp of the file when it was copied}.
    """

    url: str
    run_id: str
    files: dict[str, Stamp] = field(default_factory=dict)

    @classmethod
    def read(cls, output_dir: str, url: str, run_id: str) -> "Ledger":
        """The ledger in a folder; an empty one for another store or run, or where it cannot be read."""
        # Without it all files are copied again.
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            with open(os.path.join(output_dir, LEDGER), encoding="utf-8") as f:
                content = simplejson.load(f)
            if (content["url"], content["run_id"]) == (url, run_id):
                return cls(url, run_id, {str(n): (int(s), int(t)) for n, (s, t) in content["files"].items()})
        return cls(url, run_id)

    def write(self, output_dir: str) -> None:
        """Write it, whole or not at all."""
        with replacing(os.path.join(output_dir, LEDGER)) as part, open(part, "w", encoding="utf-8") as f:
            simplejson.dump({"url": self.url, "run_id": self.run_id, "files": self.files}, f)


class Mirror:
    """Copies a run in a thread of its own whenever it is asked to; what fails is tried again and counted.

    Args:
        url: An address that fsspec can write to, or a folder.
        output_dir: Folder of the run.
        pause: Seconds before a sync that failed is tried again, doubled each time.

    Attributes:
        copied: Files copied by this process.
        failures: Syncs that failed.
    """

    def __init__(self, url: str, output_dir: str, pause: float = _PAUSE) -> None:
        self.store, self.output_dir, self.pause = Store(url), output_dir, pause
        self.copied = self.failures = 0
        self._ledger: Ledger | None = None
        self._wanted, self._closing = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def want(self) -> None:
        """Ask for a sync; one that is asked for while another runs comes after it."""
        self._wanted.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="mirror", daemon=True)
            self._thread.start()

    def close(self, seconds: float) -> bool:
        """Copy what is missing, and end.

        Args:
            seconds: How long that may take.

        Returns:
            Whether everything was copied.
        """
        if self._thread is None:
            return True
        self._closing.set()
        self._wanted.set()
        self._thread.join(seconds)
        complete = not self._thread.is_alive()
        if complete:
            logger.info("%s: %s copied, %s failed", self.store.name, counted(self.copied, "file"), self.failures)
        else:
            logger.warning(
                "%s: not everything was copied within %g s (TRAIN.MIRROR_WAIT); the next start copies the rest",
                self.store.name,
                seconds,
            )
        return complete

    def _work(self) -> None:
        tries = 0
        while True:
            self._wanted.wait()
            self._wanted.clear()
            is_last = self._closing.is_set()
            try:
                self.sync()
            except Exception as error:
                # A run is not ended by its copies.
                self.failures += 1
                pause = min(self.pause * 2**tries, _LONGEST_PAUSE)
                tries += 1
                text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
                logger.warning("not copied (failure %d, next try in %.0f s): %s", self.failures, pause, text)
                self._wanted.set()
                if self._closing.wait(pause):
                    time.sleep(min(pause, _PAUSE))
                continue
            tries = 0
            if is_last and not self._wanted.is_set():
                return

    def sync(self) -> None:
        """Copy what has changed since it was copied, then remove the copies of states that are gone.

        Raises:
            RemoteError: The store cannot be used.
            MirrorError: It holds another run.
        """
        record = read_record(self.output_dir)
        if record is None:
            return
        theirs = self.store.record()
        if theirs is not None and theirs.id != record.id:
            raise MirrorError(f"{self.store.name} holds the run {theirs.id}, not {record.id}; choose another address")
        if self._ledger is None or self._ledger.run_id != record.id:
            self._ledger = self._checked_ledger(record.id)
        ledger = self._ledger
        files = files_of_run(self.output_dir, record)
        order = list(files)
        if theirs is None:
            # The record first, which says whose place it is; states that it names may be missing.
            order.remove(records.RECORD)
            order.insert(0, records.RECORD)
            ledger.files.pop(records.RECORD, None)
        for name in order:
            self._copy(name, files[name], ledger)
        if theirs is None:
            self._copy(records.RECORD, files[records.RECORD], ledger)
        for name in [n for n in ledger.files if n not in files and n.startswith("checkpoints" + os.sep)]:
            self.store.remove(name)
            del ledger.files[name]
        ledger.write(self.output_dir)

    def _checked_ledger(self, run_id: str) -> Ledger:
        """The ledger, without what the store has lost; what killed processes have left there is removed."""
        ledger = Ledger.read(self.output_dir, self.store.url, run_id)
        sizes = self.store.sizes()
        for name in filter(is_temporary, sizes):
            self.store.remove(name)
        ledger.files = {name: stamp for name, stamp in ledger.files.items() if sizes.get(name) == stamp[0]}
        return ledger

    def _copy(self, name: str, path: str, ledger: Ledger) -> None:
        try:
            found = os.stat(path)
        except OSError:
            # Removed in the meantime, for which another sync is asked.
            return
        stamp = (found.st_size, found.st_mtime_ns)
        if ledger.files.get(name) == stamp:
            return
        try:
            self.store.put(path, name)
        except UserError:
            if os.path.exists(path):
                raise
            return
        ledger.files[name] = stamp
        self.copied += 1
        ledger.write(self.output_dir)


def restore(store: Store, output_dir: str, usable: Callable[[RunRecord], None]) -> RunRecord | None:
    """Bring a run back from its copies where they are further than the folder. The caller has the folder's lock.

    Args:
        store: Of the copies.
        output_dir: Folder of the run.
        usable: Raises an error if a run is not the one that is asked for.

    Returns:
        The run that was brought back; None if nothing was copied.

    Raises:
        RemoteError: The store does not answer and the folder holds no run.
        MirrorError: The store holds another run.
    """
    mine = read_record(output_dir)
    real = os.path.realpath(output_dir)
    if not is_remote(store.url) and os.path.commonpath([os.path.realpath(store.url), real]) == real:
        raise MirrorError(f"TRAIN.MIRROR is {store.name!r}: it lies in OUTPUT_DIR; choose another folder")
    try:
        theirs = store.record()
        sizes = store.sizes() if theirs is not None else {}
    except UserError as error:
        if mine is None:
            raise
        logger.warning("%s; the run in %s is used as it is", error, output_dir)
        return None
    if theirs is None:
        return None
    if mine is not None and mine.id != theirs.id:
        raise MirrorError(
            f"TRAIN.MIRROR: {store.name} holds the run {theirs.id}, not {mine.id}; choose another address"
        )
    usable(theirs)
    there = [entry for entry in theirs.states if f"checkpoints/{entry.file}" in sizes]
    if not there or (mine is not None and _stands_at(mine, output_dir) >= (there[-1].epoch, there[-1].iteration)):
        return None
    newest = f"checkpoints/{there[-1].file}"
    # In this order an interrupted restoration is begun again: the newest state and the record come last.
    others = [name for name in sizes if name not in (newest, records.RECORD) and _is_copy(name, theirs)]
    for name in [*others, newest, records.RECORD]:
        store.get(name, os.path.join(output_dir, name))
    logger.info("%s: the run %s was brought back, %s", store.name, theirs.id, counted(len(others) + 2, "file"))
    return theirs


def _is_copy(name: str, record: RunRecord) -> bool:
    """Whether a file of a store is one of a run."""
    first, _, rest = name.partition("/")
    if ".." in name.split("/") or is_temporary(name) or not is_of_run(first):
        return False
    return first != "checkpoints" or rest in {BEST, *(entry.file for entry in record.states)}


def _stands_at(record: RunRecord, output_dir: str) -> tuple[int, int]:
    return max(((e.epoch, e.iteration) for e in record.states if os.path.isfile(e.path(output_dir))), default=(-1, -1))


@contextlib.contextmanager
def mirrored(url: str, output_dir: str, wait: float) -> Iterator[Mirror | None]:
    """A mirror of a folder while the block runs; None without an address, as on all ranks but the main one.

    Args:
        url: The store; "" for none.
        output_dir: Folder of the run.
        wait: Seconds that the end waits for what is not copied yet.
    """
    if not url:
        yield None
        return
    mirror = Mirror(url, output_dir)
    try:
        yield mirror
    finally:
        mirror.close(wait)
