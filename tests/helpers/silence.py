"""How long a command says nothing on a terminal, in seconds that it computes, so that other load does not count."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from dataclasses import dataclass, field

_TICK = os.sysconf("SC_CLK_TCK")
# Seconds between two looks at the terminal.
_STEP = 0.05


@dataclass
class Spoken:
    """What a command said and when.

    Attributes:
        code: Its exit code.
        gaps: [(computed seconds without output, what was said before)], the first is the start.
        text: All of it.
    """

    code: int = 0
    gaps: list = field(default_factory=list)
    text: str = ""

    @property
    def first(self):
        return self.gaps[0][0]

    @property
    def longest(self):
        return max(self.gaps)


def hear_interrupts():
    """In a new process: Ctrl-C ends it, also where the tests run in the background of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def spoken_by(words, until=None, **options):
    """Run a command on a terminal and listen.

    A gap is as long as the process computes that computes most in it; each has one thread (OMP_NUM_THREADS is 1).

    Args:
        words: The command.
        until: Text after which it is interrupted; None waits for its end.
        **options: As of `subprocess.Popen`.
    """
    ours, theirs = pty.openpty()
    # 24 lines of 100 letters: a new terminal has none, so that no bar is drawn.
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 100, 0, 0))
    process = subprocess.Popen(
        words, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=hear_interrupts, **options
    )
    os.close(theirs)
    spoken, silent, last, interrupted = Spoken(), 0.0, times_of(process.pid), False
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        heard = select.select([ours], [], [], _STEP)[0]
        now = times_of(process.pid)
        silent += max((seconds - last.get(pid, 0.0) for pid, seconds in now.items()), default=0.0)
        last = now
        if not heard:
            continue
        try:
            data = os.read(ours, 1 << 16)
        except OSError:
            break
        spoken.gaps.append((silent, spoken.text[-80:]))
        spoken.text += data.decode(errors="replace")
        silent = 0.0
        if until and until in spoken.text and not interrupted:
            interrupted = True
            process.send_signal(signal.SIGINT)
    spoken.gaps.append((silent, spoken.text[-80:]))
    os.close(ours)
    spoken.code = process.wait(30)
    return spoken


def times_of(session):
    """{process: seconds that it has computed} of a session."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                found[int(name)] = (int(fields[11]) + int(fields[12])) / _TICK
    return found
