"""Processes that work through files, watched: a file that ends or stops its process is named, and the rest goes on."""

import contextlib
import csv
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from ..utils.signals import (
    end_with_parent,
    how_it_ended,
    ignore_stop_signals,
    stop_signals_blocked,
    unblock_stop_signals,
)
from ..utils.text import open_text

Item = TypeVar("Item")
Result = TypeVar("Result")

# How the reasons begin that `Lost` has, by which the next run knows such files.
_CRASHED, _TOO_LONG, _NO_MEMORY = "crashed the decoder", "took longer than", "needs more memory than there is"
# Seconds between two looks at processes that do not answer, and to wait for the end of one that was killed.
_LOOK, _PATIENCE = 0.2, 2.0


@dataclass(frozen=True)
class Lost:
    """In place of the result for a file whose process ended or did not answer.

    Attributes:
        reason: Why, for people.
    """

    reason: str

    @property
    def worth_another_try(self) -> bool:
        """Whether the other files, or somebody else, may be to blame: memory is shared, and a process can be killed."""
        return not self.reason.startswith(_TOO_LONG)


class _Worker(Generic[Item, Result]):
    """A process that works on one item at a time.

    Args:
        function: What it does.
    """

    def __init__(self, function: Callable[[Item], Result]) -> None:
        # Forked: a spawned process would import everything again.
        context = multiprocessing.get_context("fork")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(function, theirs, os.getpid()), daemon=True)
        with stop_signals_blocked():
            self.process.start()
        theirs.close()
        self.index: int | None = None
        self._began = 0.0

    def give(self, index: int, item: Item) -> None:
        """Let it work on an item; `index` is None again when that is done."""
        self.index, self._began = index, time.monotonic()
        # A process that has died since its last answer is found by `outcome`.
        with contextlib.suppress(OSError):
            self.connection.send(item)

    def outcome(self, timeout: float) -> tuple[Any] | Lost | None:
        """(result,) or (exception,) of its item; `Lost`, after which it is no more; None while it works."""
        try:
            if self.connection.poll():
                return (self.connection.recv(),)
        except (EOFError, OSError):
            self.process.join(_PATIENCE)
        if not self.process.is_alive():
            return Lost(f"{_CRASHED}: the process {how_it_ended(self.process.exitcode)}")
        if time.monotonic() - self._began > timeout:
            self.end()
            return Lost(f"{_TOO_LONG} {timeout:g} s (--timeout)")
        return None

    def end(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join(_PATIENCE)
        self.connection.close()


def run_each(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    timeout: float,
    clean: Callable[[Item], None] = lambda item: None,
) -> Iterator[tuple[int, Result | Lost]]:
    """Call a function for each item in processes of their own.

    An item whose process crashes is tried once more when all others are done, alone.

    Args:
        function: Is given an item.
        items: Can be sent between processes, and so can results.
        workers: Number of processes.
        timeout: Seconds after which a process that works on one item is ended.
        clean: Is given each item whose process has ended or was ended before it was done, to remove what it has left.

    Yields:
        (number of the item, its result), in the order in which they come.

    Raises:
        Exception: Whatever the function raises, but for a lack of memory, which counts as lost.
    """
    again: list[int] = []
    for index, result in _run(function, enumerate(items), workers, timeout, clean):
        if isinstance(result, Lost) and result.worth_another_try:
            again.append(index)
            continue
        yield index, result
    for index in again:
        yield from _run(function, [(index, items[index])], 1, timeout, clean)


def _run(
    function: Callable[[Item], Result],
    items: Iterable[tuple[int, Item]],
    workers: int,
    timeout: float,
    clean: Callable[[Item], None],
) -> Iterator[tuple[int, Result | Lost]]:
    """As `run_each`, of numbered items, each of which is tried once."""
    waiting = iter(items)
    pool: list[_Worker[Item, Result]] = []
    at_work: dict[int, Item] = {}

    def give(worker: _Worker[Item, Result], index: int, item: Item) -> None:
        at_work[index] = item
        worker.give(index, item)

    try:
        for index, item in _first(waiting, workers):
            pool.append(_Worker(function))
            give(pool[-1], index, item)
        while pool:
            wait([thing for worker in pool for thing in (worker.connection, worker.process.sentinel)], _LOOK)
            for place, worker in reversed(list(enumerate(pool))):
                outcome = worker.outcome(timeout)
                if outcome is None or worker.index is None:
                    continue
                done, following = worker.index, next(waiting, None)
                if isinstance(outcome, Lost):
                    clean(at_work[done])
                del at_work[done]
                if isinstance(outcome, Lost) and following is not None:
                    worker = pool[place] = _Worker(function)
                if following is not None:
                    give(worker, *following)
                else:
                    pool.pop(place).end()
                value = outcome if isinstance(outcome, Lost) else outcome[0]
                if isinstance(value, Exception):
                    raise value
                yield done, value
    finally:
        for worker in pool:
            worker.end()
        for item in at_work.values():
            clean(item)


def _first(items: Iterator[tuple[int, Item]], count: int) -> Iterator[tuple[int, Item]]:
    for _ in range(count):
        item = next(items, None)
        if item is None:
            return
        yield item


def _work(function: Callable[[Any], Any], connection: Connection, parent: int) -> None:
    """What a process does."""
    # A signal to the group is the parent's to answer; however it ends, this process ends, too.
    ignore_stop_signals()
    unblock_stop_signals()
    end_with_parent(signal.SIGKILL, parent)
    while True:
        try:
            item = connection.recv()
        except (EOFError, OSError):
            return
        try:
            result = function(item)
        except MemoryError:
            result = Lost(_NO_MEMORY)
        except Exception as error:
            result = error
        connection.send(result)


def lost_before(table: str, files: Mapping[str, str], timeout: float) -> dict[str, str]:
    """Files that an earlier run has lost and that would be lost again: {path in the table: reason}.

    Not among them are files that have been changed, moved or replaced since, and those to which more time is given.

    Args:
        table: The CSV that the run has written, with columns "path" and "reason"; it need not be there.
        files: {path in the table: the file} of this run.
        timeout: Seconds that a file may take in this run.
    """
    rows = rows_of(table)
    reasons = {path: reason for path, _, reason in rows}
    return still_lost(reasons, os.stat(table).st_mtime, files, timeout) if rows else {}


def still_lost(reasons: Mapping[str, str], written: float, files: Mapping[str, str], timeout: float) -> dict[str, str]:
    """As `lost_before`, of reasons that an earlier run has given in another way.

    Args:
        reasons: {path: why it could not be used}.
        written: When they were written, by the clock of their file system.
        files: As for `lost_before`.
        timeout: As for `lost_before`.
    """
    return {
        path: reason
        for path, reason in reasons.items()
        if path in files and _is_final(reason, timeout) and not _changed_since(files[path], written)
    }


def rows_of(table: str) -> list[tuple[str, str, str]]:
    """(path, state, reason) of a CSV with such columns, "" for what a row does not have; none where it is not there."""
    if not os.path.isfile(table):
        return []
    with open_text(table) as f:
        return [(row.get("path") or "", row.get("state") or "", row.get("reason") or "") for row in csv.DictReader(f)]


def _is_final(reason: str, timeout: float) -> bool:
    """Whether a reason of an earlier run is that of a `Lost` that another try does not change."""
    limit = re.match(rf"{_TOO_LONG} ([\d.e+]+) s", reason)
    return reason.startswith((_CRASHED, _NO_MEMORY)) or (limit is not None and float(limit[1]) >= timeout)


def _changed_since(path: str, instant: float) -> bool:
    # Downloads may carry the time of their upload; the time at which a file came to its place is that of its inode.
    try:
        return os.stat(path).st_ctime >= instant
    except OSError:
        return True
