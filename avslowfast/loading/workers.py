"""Processes that read batches ahead, watched: one that hangs or dies is replaced, and its batch is read again.

Every worker has a connection of its own, so that the death of one cannot leave a lock behind that others wait for, and
a slate in shared memory that says which file it has in its hands. Samples depend on what is asked for alone, so that a
batch that is read again is the same batch.
"""

import contextlib
import gc
import mmap
import os
import pickle
import signal
import threading
import time
import traceback
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from multiprocessing.reduction import recv_handle, send_handle
from typing import Any, NamedTuple

import torch

from ..utils.errors import one_line, StopRequested, UserError
from ..utils.logging import get_logger
from ..utils.signals import CRASHES, end_with_parent, ended_by, how_it_ended, ignore_stop_signals, stop_signals_blocked
from .collate import Batch
from .dataset import ClipDataset
from .samplers import SampleKey
from .transport import pack, unpack

logger = get_logger(__name__)

Keys = Sequence[int] | Sequence[SampleKey]
Collate = Callable[[list[Any]], Batch]

# Batches that a worker has been asked for and that have not been handed out.
_AHEAD = 2
# Workers that may be killed in one pass over the data; one more, and the machine has too little memory.
_MAX_KILLED = 2
# Hundredths of a second to wait for the end of a killed worker: one that reads from a dead mount may not end.
_PATIENCE = 200
# Seconds between two looks at what else there is: a request to stop, hanging workers, a parent that has ended.
_LOOK = 0.5


class WorkersLostError(UserError, RuntimeError):
    """Loader workers are killed faster than it makes sense to replace them."""

    may_pass = True


class _WorkerTraceback(Exception):
    """The traceback of a worker, as cause of the exception that it raised."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class _Task(NamedTuple):
    """A batch to read.

    Attributes:
        number: Of the batch, counted through all passes.
        keys: Its samples.
    """

    number: int
    keys: Keys


class _Slate:
    """What a worker does, in memory that it shares with its parent.

    Attributes:
        record: Number of the record that is read; -1 means none.
        changes: Counts what the worker begins and ends.
        oldest: Written by the parent: batches with lower numbers are not needed any more.
    """

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("q")
        self._cells[0] = -1

    @property
    def record(self) -> int:
        return self._cells[0]

    @property
    def changes(self) -> int:
        return self._cells[1]

    @property
    def oldest(self) -> int:
        return self._cells[2]

    @oldest.setter
    def oldest(self, number: int) -> None:
        self._cells[2] = number

    def write(self, record: int) -> None:
        """The worker begins with a record, or (-1) with something else."""
        self._cells[0] = record
        self._cells[1] += 1


class _Worker:
    """The parent's side of a worker.

    Attributes:
        tasks: What the worker has been asked for and has not answered, in order.
        changes: Of its slate when the parent looked last.
        waited: Seconds that the parent has waited without a change.
    """

    def __init__(self, number: int, dataset: ClipDataset, collate: Collate, first: int) -> None:
        self.number, self.slate = number, _Slate()
        self.slate.oldest = first
        self.tasks: deque[_Task] = deque()
        self.changes, self.waited = -1, 0.0
        self.connection, there = Pipe()
        parent = os.getpid()
        with stop_signals_blocked(), warnings.catch_warnings():
            # Python 3.12 and later warn of locks that other threads hold; a worker uses nothing that they share.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
            if not self.pid:
                _be_worker(self.connection, there, parent, self.slate, dataset, collate)
        there.close()

    def ask(self, task: _Task, unreadable: Mapping[int, str]) -> None:
        """Give it a batch to read; where it has died, the next `answer` says so."""
        self.tasks.append(task)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send((task, dict(unreadable)))

    def answer(self) -> tuple[_Task, Any]:
        """The next answer: (task, batch, or an exception, or None for a batch that was not needed any more).

        Raises:
            EOFError: The worker has died.
        """
        descriptor = -1
        try:
            kind, value = self.connection.recv()
            if kind == "batch":
                descriptor = recv_handle(self.connection)
        except (ConnectionResetError, BrokenPipeError) as error:
            raise EOFError from error
        if kind == "batch":
            try:
                value = unpack(descriptor, value)
            finally:
                os.close(descriptor)
        return self.tasks.popleft(), value

    def look(self, seconds: float) -> None:
        """Note whether it has done something in the last seconds that the parent waited."""
        changes = self.slate.changes
        self.waited = self.waited + seconds if changes == self.changes and self.tasks else 0.0
        self.changes = changes

    def end(self) -> int | None:
        """Kill it where it lives, and forget it.

        Returns:
            Its exit code, as of `signals.how_it_ended`; None where that is unknown.
        """
        self.connection.close()
        with contextlib.suppress(ChildProcessError):
            # One that has died keeps its own exit code: a signal to a dead process does nothing.
            os.kill(self.pid, signal.SIGKILL)
            for _ in range(_PATIENCE):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.01)
        return None


@dataclass
class _Pass:
    """One pass over the data.

    Attributes:
        todo: Samples of the batches that no worker has been asked for yet.
        first: Number of its first batch.
        wanted: Number of the batch that is handed out next.
        answers: What workers gave, by number: functions that give a batch, or raise what reading it raised.
    """

    todo: deque[Keys]
    first: int
    wanted: int
    answers: dict[int, Callable[[], Batch]] = field(default_factory=dict)


class WorkerPool:
    """Worker processes, started when they are first needed and kept until the pool is gone.

    Args:
        dataset: What the workers read.
        collate: Makes a batch of samples.
        count: Number of workers.
        timeout: Seconds after which a worker that does nothing, as one that reads from a dead mount, is replaced and
            its file counts as unreadable; 0 means never.
        arrived: Called with a batch when it arrives; gives a function that is called when the batch is needed.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        collate: Collate,
        count: int,
        timeout: float,
        arrived: Callable[[Batch], Callable[[], Batch]],
    ) -> None:
        self.dataset, self.collate, self.count, self.timeout = dataset, collate, count, timeout
        self.arrived = arrived
        # Reasons by number of the record.
        self._unreadable: dict[int, str] = {}
        # Records in whose reading a worker crashed once.
        self._suspects: set[int] = set()
        self._workers: list[_Worker] = []
        self._next = 0
        self._killed = 0
        weakref.finalize(self, _end_workers, self._workers, os.getpid())

    def batches(self, keys: Iterable[Keys], stopped: Callable[[], bool]) -> Iterator[Batch]:
        """The batches of one pass, in order; a pass that is not finished ends when the next one begins.

        Args:
            keys: Samples of each batch.
            stopped: Looked at while waiting: whether to give up.

        Raises:
            StopRequested: It says so.
            WorkersLostError: Too many workers were killed.
            Exception: What reading a batch raised in a worker.
        """
        now = _Pass(deque(keys), self._next, self._next)
        self._start()
        while now.todo or now.wanted < self._next:
            self._receive(now, 0)
            self._hand_out(now)
            while now.wanted not in now.answers:
                if stopped():
                    raise StopRequested
                self._receive(now, _LOOK)
                self._hand_out(now)
            answer = now.answers.pop(now.wanted)
            now.wanted += 1
            yield answer()

    def _start(self) -> None:
        for worker in self._workers:
            worker.slate.oldest = self._next
        while len(self._workers) < self.count:
            self._add_worker(len(self._workers), self._next)
        self._killed = 0

    def _add_worker(self, number: int, first: int) -> _Worker:
        worker = _Worker(number, self.dataset, self.collate, first)
        self._workers.append(worker)
        return worker

    def _hand_out(self, now: _Pass) -> None:
        """Give workers batches to read, those first that have least to do."""
        while now.todo and self._next - now.wanted < _AHEAD * self.count:
            worker = min(self._workers, key=lambda worker: len(worker.tasks))
            if len(worker.tasks) == _AHEAD:
                return
            worker.ask(_Task(self._next, now.todo.popleft()), self._unreadable)
            self._next += 1

    def _receive(self, now: _Pass, seconds: float) -> None:
        """Take the answers that are there, or wait some seconds for one; see to hanging and dead workers."""
        began = time.monotonic()
        by_connection: dict[Any, _Worker] = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), seconds):
            worker = by_connection[connection]
            try:
                task, value = worker.answer()
            except EOFError:
                self._replace(worker, now, hangs=False)
                continue
            if task.number >= now.first:
                now.answers[task.number] = _raising(value) if isinstance(value, Exception) else self.arrived(value)
        # A process that was suspended itself has not waited longer than it meant to.
        waited = min(time.monotonic() - began, 2 * seconds)
        for worker in list(self._workers):
            worker.look(waited)
            if self.timeout and worker.waited > self.timeout:
                self._replace(worker, now, hangs=True)

    def _replace(self, worker: _Worker, now: _Pass, hangs: bool) -> None:
        """Start another worker in the place of one that hangs or has died; it gets the same tasks."""
        self._workers.remove(worker)
        record, status = worker.slate.record, worker.end()
        path = self.dataset.records[record].path if record >= 0 else ""
        what = f"loader worker {worker.number} (pid {worker.pid})"
        holding = f" with {path} in its hands" if path else ""
        if hangs:
            logger.error("%s did nothing for %g s%s; it is replaced", what, self.timeout, holding)
            if path:
                self._unreadable[record] = f"not read within DATA_LOADER.TIMEOUT {self.timeout:g} s"
        else:
            what = f"{what} {how_it_ended(status)}{holding}"
            self._note_death(record, path, status, what)
            logger.error("%s; it is replaced, and the batch is read again", what)
        other = self._add_worker(worker.number, now.first)
        for task in worker.tasks:
            if task.number >= now.first:
                other.ask(task, self._unreadable)

    def _note_death(self, record: int, path: str, status: int | None, what: str) -> None:
        """A file that crashes its reader twice is unreadable; other deaths are those of the machine, and counted."""
        number = ended_by(status) if status is not None else None
        if path and number in CRASHES:
            if record in self._suspects:
                self._unreadable[record] = f"crashed the process that read it ({number.name})"
            self._suspects.add(record)
            return
        self._killed += 1
        if self._killed > _MAX_KILLED:
            raise WorkersLostError(
                f"{what}; {self._killed} were lost in this pass over the data, so the memory may not suffice: lower "
                f"DATA_LOADER.NUM_WORKERS (now {self.count}) or the batch, or give the job or its container more memory"
            )


def _raising(error: Exception) -> Callable[[], Batch]:
    def function() -> Batch:
        raise error

    return function


def _end_workers(workers: list[_Worker], owner: int) -> None:
    # A worker has a copy of the list, and must not end the others.
    if os.getpid() == owner:
        for worker in workers:
            worker.end()


def _be_worker(
    mine: Connection, there: Connection, parent: int, slate: _Slate, dataset: ClipDataset, collate: Collate
) -> None:
    """What a forked process does to its end."""
    code = 1
    try:
        mine.close()
        ignore_stop_signals()
        # The kernel sends it when the thread ends that forked: only the main one lives as long as the process.
        if threading.main_thread().ident == threading.get_ident():
            end_with_parent(signal.SIGKILL, parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        # Objects of the parent are left alone, so that their memory stays shared.
        gc.freeze()
        torch.set_num_threads(1)
        dataset.reading = slate.write
        _work(there, parent, slate, dataset, collate)
        code = 0
    except (EOFError, OSError):
        # The parent has ended, or closed the connection.
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _work(connection: Connection, parent: int, slate: _Slate, dataset: ClipDataset, collate: Collate) -> None:
    while os.getppid() == parent:
        if not connection.poll(_LOOK):
            continue
        task, dataset.unreadable = connection.recv()
        try:
            batch = _read(task, slate, dataset, collate)
            descriptor, sizes = pack(batch)
        except Exception as error:
            slate.write(-1)
            connection.send_bytes(_packed_error(error))
            continue
        slate.write(-1)
        connection.send(("batch", sizes))
        send_handle(connection, descriptor, parent)
        os.close(descriptor)


def _read(task: _Task, slate: _Slate, dataset: ClipDataset, collate: Collate) -> Batch | None:
    samples = []
    for key in task.keys:
        if task.number < slate.oldest:
            return None
        samples.append(dataset[key])
    slate.write(-1)
    return collate(samples)


def _packed_error(error: Exception) -> bytes:
    """An exception as a message."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        # One whose arguments are not those of its constructor.
        words = f"{type(error).__name__}: {error}"
        error = UserError.like(error) if isinstance(error, UserError) else RuntimeError(words)
    return pickle.dumps(("error", _Remote(error, text)))


class _Remote:
    """Pickles an exception with its traceback, which exceptions leave behind."""

    def __init__(self, error: Exception, text: str) -> None:
        self.error, self.text = error, text

    def __reduce__(self) -> tuple[Any, ...]:
        return _with_traceback, (self.error, self.text)


def _with_traceback(error: Exception, text: str) -> Exception:
    # What is told in one line needs no traceback.
    error.__cause__ = None if one_line(error) else _WorkerTraceback(text)
    return error
