"""The other ranks of a job: who they are, whether they live, and which one is to blame when an exchange fails.

An exchange of tensors that fails names no rank. So each rank tells the others through the job's store who it is, and
every second that it lives and how far it is.
"""

import json
import os
import socket
import sys
import threading
import time
from dataclasses import asdict, dataclass

from torch._C._distributed_c10d import PrefixStore, Store

from ..utils.errors import MISTAKE
from .meeting import MeetingError, missing_ranks, wait_until
from .stop import StopRequest

# Seconds between two signs of life.
_BEAT = 1.0
# Seconds in which the reason for a lost connection shows itself.
_PATIENCE = 8.0
# Seconds that the main rank has to say what is wrong before another one says it.
_MAIN_FIRST = 2.0


@dataclass
class _Peer:
    """Another rank as this one sees it.

    Attributes:
        host: Its host name.
        machine: What its process numbers belong to.
        pid: Its process.
        address: Of its host, as the master sees it.
        beat: Its last sign of life.
        rounds: How far it is.
        silent: Seconds since `beat` changed, of those that this process was awake.
    """

    host: str
    machine: str
    pid: int
    address: str
    beat: int = -1
    rounds: int = 0
    silent: float = 0.0


class Peers:
    """Watches the other ranks, in a thread.

    Args:
        store: Of the job.
        rank: This rank.
        world: Number of ranks.
        timeout: Seconds after which a rank without a sign of life is lost.
        stop: Gets the signals that other ranks got.
        spawner: Process that started the ranks of this machine and says how they end; 0 where nobody does.
    """

    def __init__(
        self, store: Store, rank: int, world: int, timeout: float, stop: StopRequest, spawner: int = 0
    ) -> None:
        # A connection of its own: another thread may wait for an answer on the first one.
        self.store = PrefixStore("peers", store.clone())
        self.rank, self.world, self.timeout, self.stop, self.spawner = rank, world, timeout, stop, spawner
        self._peers: dict[int, _Peer] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="peers")
        self._told_stop = False

    def meet(self, master: str, seconds: float) -> None:
        """Wait until all ranks are there, then watch them.

        Args:
            master: Host name of the master.
            seconds: Until when they have to be there.

        Raises:
            MeetingError: Names those that are not.
        """
        me = _Peer(socket.gethostname(), _machine(), os.getpid(), _own_address(master))
        self.store.set(f"rank/{self.rank}", json.dumps(asdict(me)))
        if not wait_until(lambda: self.store.check([f"rank/{i}" for i in range(self.world)]), seconds):
            missing = [i for i in range(self.world) if not self.store.check([f"rank/{i}"])]
            raise MeetingError(missing_ranks(missing, self.world, seconds))
        for i in range(self.world):
            if i != self.rank:
                self._peers[i] = _Peer(**json.loads(self.store.get(f"rank/{i}")))
        self._thread.start()

    def leave(self, line: str = "", mistake: bool = False) -> None:
        """This rank ends.

        Args:
            line: What it says about it.
            mistake: Whether another start would end as well.
        """
        self._over.set()
        try:
            if self.stop.number is not None:
                self._tell_stop()
            if mistake:
                self.store.set("mistake", line)
            self.store.set(f"end/{self.rank}", line)
            if line and not self.rank and not self.spawner:
                # The store may end with this process, and the others look there for what this one says.
                wait_until(lambda: self.store.check([f"end/{i}" for i in range(self.world)]), _MAIN_FIRST)
        except RuntimeError:
            # Who kept the store has ended before.
            pass
        # Where Python ends while a thread is in the library that keeps the store, the process aborts.
        if self._thread.is_alive():
            self._thread.join(2 * _BEAT)

    def is_told_by_main(self, line: str) -> bool:
        """Whether the main rank ends with the same line; then the others need not repeat it.

        Args:
            line: What this rank has to say.
        """
        try:
            told = wait_until(lambda: self.store.check(["end/0"]), _MAIN_FIRST if self.rank else 0)
            return told and self.rank > 0 and self.store.get("end/0").decode() == line
        except RuntimeError:
            return False

    def is_mistake(self) -> bool:
        """Whether a rank has ended with an error with which another start would end as well."""
        try:
            return self.store.check(["mistake"])
        except RuntimeError:
            return False

    def reason(self) -> str | None:
        """Why an exchange with other ranks failed, as one line; "" where others say it.

        Returns:
            None where no rank is known to be lost.
        """
        found: list[str] = []

        def known() -> bool:
            found[:] = self._lost()
            return bool(found) or self.stop.requested()

        wait_until(known, _PATIENCE)
        # Connections of a killed rank are closed before its process is seen as gone: only one that is still there now
        # is merely behind.
        found = found or ([] if self.stop.requested() else self._behind())
        return found[0] if found else None

    def _behind(self) -> list[str]:
        """The first rank that lives and has taken part in fewer decisions than this one."""
        behind = [i for i, peer in self._peers.items() if peer.rounds < self.stop.rounds]
        return [f"{self._name(i)} lives, but is behind the others: it hangs, or its data does" for i in behind[:1]]

    def _lost(self) -> list[str]:
        """What is known about ranks that have ended or give no sign of life, the likeliest cause of others first."""
        try:
            ended = [i for i in self._peers if self.store.check([f"end/{i}"])]
            lines = [self.store.get(f"end/{i}").decode() for i in ended]
        except RuntimeError:
            ended, lines = [], []
        if any(lines):
            return [""]
        gone = [i for i, peer in self._peers.items() if i not in ended and _is_gone(peer)]
        if gone:
            return ["" if self.spawner else f"{self._name(gone[0])} was killed, or crashed"]
        # Its connections are closed before its process is seen as gone, and those of a stopped one stay open.
        silent = [i for i, peer in self._peers.items() if i not in ended and peer.silent > 4 * _BEAT]
        return [self._silence(silent)] if silent else []

    def _name(self, rank: int) -> str:
        peer = self._peers[rank]
        return f"rank {rank} (pid {peer.pid} on {peer.host}, {peer.address})"

    def _silence(self, ranks: list[int]) -> str:
        names = ", ".join(self._name(i) for i in ranks)
        seconds = max(self._peers[i].silent for i in ranks)
        return (
            f"no sign of life from {names} for {seconds:.0f} s: stopped, dead, or cut off from the network "
            f"(DIST.TIMEOUT {self.timeout:g} s)"
        )

    def _watch(self) -> None:
        """Give and read signs of life, pass on signals; end the process when a rank is lost."""
        beat, last = 0, time.monotonic()
        try:
            while not self._over.wait(_BEAT):
                beat += 1
                self.store.set(f"beat/{self.rank}", f"{beat} {self.stop.rounds}")
                now = time.monotonic()
                # A process that was suspended itself has not waited for the others.
                self._listen(min(now - last, 2 * _BEAT))
                last = now
                if self.stop.number is not None:
                    self._tell_stop()
                elif self.store.check(["stop"]):
                    os.kill(os.getpid(), int(self.store.get("stop")))
                self._end_if_lost()
        except RuntimeError:
            # Who kept the store has ended; the connections between the ranks may still do.
            return

    def _tell_stop(self) -> None:
        if not self._told_stop:
            self._told_stop = True
            self.store.set("stop", str(self.stop.number))

    def _listen(self, passed: float) -> None:
        for i, peer in self._peers.items():
            peer.silent += passed
            if not self.store.check([f"beat/{i}"]):
                continue
            beat, rounds = map(int, self.store.get(f"beat/{i}").split())
            if beat != peer.beat:
                peer.beat, peer.rounds, peer.silent = beat, rounds, 0.0

    def _end_if_lost(self) -> None:
        lost = [i for i, peer in self._peers.items() if peer.silent > self.timeout]
        lost = [i for i in lost if not self.store.check([f"end/{i}"])]
        if not lost:
            return
        line = self._silence(lost)
        # The first rank that lives speaks.
        if self.rank == min(i for i in range(self.world) if i not in lost):
            print(f"error: {line}", file=sys.stderr, flush=True)
        self.store.set(f"end/{self.rank}", line)
        # The main thread waits for the lost rank, in a library.
        os._exit(MISTAKE)


def _is_gone(peer: _Peer) -> bool:
    """Whether a process of this machine has ended."""
    if peer.machine != _machine():
        return False
    try:
        with open(f"/proc/{peer.pid}/stat", encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] in ("Z", "X")
    except OSError:
        return True


def _machine() -> str:
    """What process numbers belong to: a boot of a machine, and a container."""
    with open("/proc/sys/kernel/random/boot_id", encoding="utf-8") as f:
        return f.read().strip() + os.readlink("/proc/self/ns/pid")


def _own_address(master: str) -> str:
    """The address of this host from which the master is reached."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            # No packet is sent.
            s.connect((master, 9))
            return str(s.getsockname()[0])
        except OSError:
            return "address unknown"
