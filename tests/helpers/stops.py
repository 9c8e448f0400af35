"""Runs that are signalled at chosen moments, and what becomes of them."""

import os
import re
import signal
import subprocess
import time
import uuid
from dataclasses import dataclass

from avslowfast.checkpoint.record import read_record

from . import TINY
from .runs import command, ENV, output_of

TORCHRUN = (
    "-m",
    "torch.distributed.run",
    "--nproc_per_node=2",
    # torchrun passes on no others by itself.
    "--signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGUSR1",
    "--rdzv_backend=c10d",
    "--rdzv_endpoint=localhost:0",
)
# How a job is started: keys, launcher.
SET_UPS = {
    "one": ((), ()),
    "spawned": (("NUM_CPU_PROCESSES", 2), ()),
    "torchrun": (("NUM_CPU_PROCESSES", 2), TORCHRUN),
}


@dataclass
class End:
    """How a job ended after a signal.

    Attributes:
        code: Exit code.
        seconds: From the signal to the end.
        lines: Of stdout and stderr.
        left: Processes of the job that live on.
        saved: (epoch, iteration) of the newest state; None without one.
    """

    code: int
    seconds: float
    text: str
    left: list
    saved: tuple | None

    def count(self, pattern):
        return len(re.findall(pattern, self.text))


class Job:
    """A run in a process group of its own; `set_up` is a name of SET_UPS, or what stands there."""

    def __init__(self, args, *more, set_up="one", config=TINY, log=None, env=()):
        keys, launcher = SET_UPS[set_up] if isinstance(set_up, str) else set_up
        self.folder = str(output_of(args))
        os.makedirs(self.folder, exist_ok=True)
        self.log = str(log or self.folder + ".log")
        # torchrun gives each rank a session of its own, so the group is not all of the job.
        self.mark = uuid.uuid4().hex
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(
                command([*args, *keys], *more, launcher=launcher, config=config),
                env={**ENV, **dict(env), "TEST_JOB": self.mark},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def text(self):
        return open(self.log, errors="replace").read()

    def count(self, pattern):
        return len(re.findall(pattern, self.text()))

    def wait_for(self, pattern, count=1, seconds=240):
        """Until the output has a pattern so many times."""
        self.until(lambda: self.count(pattern) >= count, seconds)

    def until(self, function, seconds=240):
        deadline = time.monotonic() + seconds
        while not function():
            assert self.process.poll() is None, self.text()[-3000:]
            assert time.monotonic() < deadline, self.text()[-3000:]
            time.sleep(0.02)

    def ranks(self):
        """Processes of the ranks: those whose parent is the launcher, and that are no helpers of multiprocessing."""
        return [pid for pid in children(self.pid) if "resource_tracker" not in command_line(pid)]

    def workers(self, rank=None):
        """Loader workers: forked from a rank; of all of them for None."""
        ranks = {self.pid, *self.ranks()} if rank is None else {rank}
        return [worker for rank in ranks for worker in children(rank) if is_fork(worker, rank)]

    def members(self):
        """All living processes of the job."""
        return [pid for pid in pids() if self.mark in environment_of(pid) and state_of(pid) not in "ZX"]

    def signal(self, target, number):
        """Send a signal to: process (of the launcher) | group | rank (the last one)."""
        if target == "group":
            os.killpg(self.pid, number)
        else:
            os.kill(self.pid if target == "process" else self.ranks()[-1], number)

    def end(self, began=None, seconds=120):
        """Wait for the end."""
        began = time.monotonic() if began is None else began
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("still running: " + self.text()[-3000:]) from None
        took = time.monotonic() - began
        deadline = time.monotonic() + 20
        while self.members() and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [(pid, command_line(pid)) for pid in self.members()]
        self.kill()
        record = read_record(self.folder)
        newest = record.states[-1] if record and record.states else None
        saved = (newest.epoch, newest.iteration) if newest else None
        return End(code, took, self.text(), left, saved)

    def kill(self):
        for pid in self.members():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _stat(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return ["X", "0", "0"]


def parent_of(pid):
    return int(_stat(pid)[1])


def state_of(pid):
    return _stat(pid)[0]


def environment_of(pid):
    try:
        return open(f"/proc/{pid}/environ", errors="replace").read()
    except OSError:
        return ""


def children(pid):
    return sorted(other for other in pids() if parent_of(other) == pid)


def command_line(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_fork(pid, parent):
    return command_line(pid) == command_line(parent)


def catches(pid, number):
    """Whether a process has a handler for a signal."""
    try:
        status = open(f"/proc/{pid}/status").read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    mask = int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16)
    return bool(mask >> (number - 1) & 1)


def memory_of(pid):
    """Private dirty memory of a process, MB."""
    text = open(f"/proc/{pid}/smaps_rollup").read()
    return int(re.search(r"Private_Dirty:\s*(\d+)", text)[1]) / 1024
