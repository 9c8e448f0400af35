"""A request to stop: one signal, or several that mean the same.

torch is not imported, so that signals are caught before that takes its seconds.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from ..utils.errors import StopRequested
from ..utils.signals import INTERRUPTED, STOP_SIGNALS, STOPPED, unblock_stop_signals

# Seconds in which further signals belong to the first one: a terminal sends Ctrl-C to each process of a job, and a
# parent passes on what it gets.
_SAME = 1.0


class StopRequest:
    """Catches the signals that ask to stop, while used as a context manager.

    Where nothing can be lost, a signal ends the process at once. (An exception would be raised anywhere, such as in the
    import of a library, which may do anything with it.) Within `deferred` it is noted, and who works there looks at
    `requested` at places where the work can end. A Ctrl-C more than a second after the first signal ends the process
    wherever it is.

    Args:
        speaks: Whether this process says so; of several that a terminal ends together one is enough.
        code: Exit code where nothing can be lost.

    Attributes:
        number: The first signal; None while there is none.
        rounds: How often this rank has agreed with the others to go on.
        pass_on: Called in a thread with the number of the first signal.
        leaving: Called before the process ends where nothing can be lost.
        at_once: Called in a thread before a second Ctrl-C ends the process.
    """

    def __init__(self, speaks: bool = True, code: int = STOPPED) -> None:
        self.speaks, self.code = speaks, code
        self.number: int | None = None
        self.rounds = 0
        self.pass_on: Callable[[int], None] = _nothing
        self.leaving: Callable[[], None] = _nothing
        self.at_once: Callable[[], None] = _nothing
        self._since = 0.0
        self._deferrals = 0
        self._before: dict[int, Any] = {}
        self._ends: tuple[int, int] | None = None

    def __enter__(self) -> "StopRequest":
        # Python lets the main thread alone handle signals.
        if threading.current_thread() is not threading.main_thread():
            return self
        self._ends = os.pipe()
        for end in self._ends:
            os.set_blocking(end, end == self._ends[0])
        # A handler waits for the end of a call into a library, as of an exchange with a rank that hangs; this thread
        # does not.
        threading.Thread(target=self._listen, args=(self._ends[0],), daemon=True, name="signals").start()
        signal.set_wakeup_fd(self._ends[1], warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            # nohup means what it says.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._on_signal)
        unblock_stop_signals()
        return self

    def __exit__(self, *error: object) -> None:
        if self._ends is None:
            return
        for number, handler in self._before.items():
            # The process ends because of one: another does not change its exit code.
            signal.signal(number, signal.SIG_IGN if self.requested() else handler)
        signal.set_wakeup_fd(-1)
        self._before.clear()
        os.close(self._ends[1])
        self._ends = None

    @property
    def name(self) -> str:
        """Of the signal."""
        return "a signal to one of its processes" if self.number is None else signal.Signals(self.number).name

    def requested(self) -> bool:
        """Whether to stop."""
        return self.number is not None

    def take(self, number: int) -> None:
        """Note a signal, be it of this process or of another rank.

        Args:
            number: Of the signal.
        """
        if self.number is None:
            self.number, self._since = number, time.monotonic()

    def say(self) -> None:
        """Tell a person that the process was stopped where there was nothing to save."""
        if self.speaks:
            os.write(2, f"stopped by {self.name}; the same command resumes from what is saved\n".encode())

    def check(self) -> None:
        """Raise `StopRequested` where a stop is requested."""
        if self.requested():
            raise StopRequested

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Signals in the block do not interrupt it, nor what follows one that had any: the process ends.

        Another signal there, such as a parent's to all of its ranks, would change its exit code and say it again.
        """
        self._deferrals += 1
        try:
            self.check()
            yield
        finally:
            if not self.requested():
                self._deferrals -= 1

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.take(number)
        if self._deferrals:
            return
        self.leaving()
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        self.say()
        os._exit(self.code)

    def _listen(self, end: int) -> None:
        """Read the numbers of signals as they arrive."""
        passed_on = False
        while numbers := os.read(end, 1):
            number = numbers[0]
            if number not in STOP_SIGNALS:
                continue
            self.take(number)
            if not passed_on:
                passed_on = True
                self.pass_on(number)
            elif number == signal.SIGINT and time.monotonic() - self._since > _SAME:
                self.at_once()
                if self.speaks:
                    os.write(2, b"ended at once by a second Ctrl-C; what was saved before stays\n")
                os._exit(INTERRUPTED)
        os.close(end)


def _nothing(*args: object) -> None:
    pass
