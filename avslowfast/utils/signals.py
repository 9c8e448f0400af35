"""Signals that ask a run to stop, and processes that end with their parent."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

# What people and batch systems send: `kill`, Ctrl-C, a warning before the time limit, a closed terminal.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
# Exit code of a process that Ctrl-C ended (128 + SIGINT).
INTERRUPTED = 130
# Exit code of a run that was asked to stop (EX_TEMPFAIL: try again later); what there was to save has been saved.
STOPPED = 75
# Signals by which the kernel ends a process that made a mistake.
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE)

_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_prctl = ctypes.CDLL(None).prctl


@contextlib.contextmanager
def stop_signals_blocked() -> Iterator[None]:
    """Signals that ask to stop wait until the block is left. Processes that are started in it begin so."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unblock_stop_signals() -> None:
    """Let signals that ask to stop arrive in a process that was started in `stop_signals_blocked`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def ignore_stop_signals() -> None:
    """Leave stopping to the parent process."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end_with_parent(number: signal.Signals, parent: int) -> None:
    """Get a signal when the parent process ends, however it ends.

    Args:
        number: The signal.
        parent: Process id of the parent; where it has ended already, the signal comes at once.
    """
    _prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def end_torchrun() -> None:
    """End the torchrun that started this process, with its other processes, before it starts all of them again.

    It would do so for every exit code but 0. The first process of each machine asks; without restarts that are left
    nothing is asked for.
    """
    texts = [os.environ.get(f"TORCHELASTIC_{name}", "0") for name in ("RESTART_COUNT", "MAX_RESTARTS")]
    count, most = (int(text) if text.isascii() and text.isdigit() else 0 for text in texts)
    if count < most and os.environ.get("LOCAL_RANK") == "0":
        os.kill(os.getppid(), signal.SIGTERM)


def ended_by(status: int) -> signal.Signals | None:
    """The signal that ended a process; None where it ended by itself.

    Args:
        status: Exit code as `subprocess` and `os.waitstatus_to_exitcode` give it.
    """
    return signal.Signals(-status) if status < 0 and -status in {int(s) for s in signal.Signals} else None


def how_it_ended(status: int | None) -> str:
    """The end of a process in words.

    Args:
        status: As of `ended_by`; None means unknown.
    """
    if status is None:
        return "ended"
    number = ended_by(status)
    if number is None:
        return f"ended with exit code {status}"
    return f"was killed by {number.name}" + (" (out of memory?)" if number == signal.SIGKILL else "")
