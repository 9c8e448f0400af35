"""Calls in child processes: a crash, a hang or a hunger for memory is seen and ends nothing else."""

import contextlib
import os
import resource
import signal
import sys
import time
import traceback
from dataclasses import dataclass


@dataclass
class Ended:
    """How a child ended: its exit code, or the negative number of a signal; what it printed; megabytes it grew by."""

    code: int
    text: str
    grown_mb: float

    @property
    def error(self):
        """The only line of an error."""
        lines = [line for line in self.text.split("\n") if line.startswith("error: ")]
        assert len(lines) == 1 and "Traceback" not in self.text, self.text
        return lines[0].removeprefix("error: ")


def in_child(folder, function, *args, limit=60):
    """Run function(*args) in a forked child, in a folder; an exception is printed and gives the code 1."""
    log = os.path.join(folder, "child.log")
    pid = os.fork()
    if not pid:
        _child(folder, log, function, args)
    began = time.monotonic()
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > limit:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"it did not end in {limit} s")
        time.sleep(0.005)
    with open(log, errors="replace") as f:
        text = f.read()
    grown = float(open(log + ".grown").read()) if os.path.exists(log + ".grown") else 0.0
    return Ended(os.waitstatus_to_exitcode(status), text, grown)


def _child(folder, log, function, args):
    code = 1
    try:
        os.chdir(folder)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = (open(n, "w", buffering=1, closefd=False) for n in (1, 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with contextlib.suppress(SystemExit):
            code = function(*args) or 0
        with open(log + ".grown", "w") as f:
            f.write(str((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
