"""Where the processes of a job meet: the store of the master machine, and the machines that come to it."""

import contextlib
import datetime
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable

import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store, TCPStore

from ..utils.errors import UserError
from .places import Address

# Seconds between two tries.
_AGAIN = 0.2
_START_IT = "start the machine with SHARD_ID 0, and check the address and the firewall"


class MeetingError(UserError, RuntimeError):
    """Processes do not come together, or one is lost; the message names them."""

    may_pass = True


def host_store(address: Address, seconds: float) -> TCPStore:
    """Open the store, on the master machine.

    Args:
        address: Where; port 0 takes a free one.
        seconds: For each operation.

    Raises:
        MeetingError: The port is taken.
    """
    try:
        return _store(address, seconds, is_master=True)
    except dist.DistNetworkError as error:
        if "EADDRINUSE" not in str(error):
            raise
        raise MeetingError(
            f"{address}: another program of this machine uses port {address.port}; choose another one (--init_method)"
        ) from None


def join_store(address: Address, seconds: float) -> Store:
    """Connect to the master's store.

    Args:
        address: Where.
        seconds: Until when the master has to be there.

    Raises:
        MeetingError: It is not.
    """
    reach(address, seconds)
    joined: list[Store] = []

    def join() -> None:
        with contextlib.suppress(dist.DistError):
            joined.append(_store(address, seconds, is_master=False))

    # Another program that listens there may never answer, and the library would wait for it.
    thread = threading.Thread(target=join, daemon=True)
    thread.start()
    thread.join(seconds)
    if not joined:
        raise MeetingError(f"{address}: what listens there is not the master of this job; check the port")
    return joined[0]


def reach(address: Address, seconds: float, advice: str = _START_IT) -> None:
    """Wait until something listens at an address.

    Args:
        address: Of the master.
        seconds: Until when.
        advice: What to do if nothing does.

    Raises:
        MeetingError: Nothing does.
    """
    problem = ""

    def reachable() -> bool:
        nonlocal problem
        try:
            socket.create_connection((address.host, address.port), timeout=2).close()
        except socket.gaierror:
            problem = f"the host name {address.host!r} is unknown"
        except OSError as error:
            problem = (error.strerror or str(error)).lower()
        else:
            return True
        return False

    if not wait_until(reachable, seconds):
        raise MeetingError(f"{address}: no master there within DIST.INIT_TIMEOUT {seconds:g} s ({problem}); {advice}")


def gather_machines(store: Store, address: Address, number: int, count: int, seconds: float) -> None:
    """Wait until all machines of a job are there.

    Args:
        store: Of the master.
        address: Of the master, for the message.
        number: SHARD_ID of this machine.
        count: NUM_SHARDS.
        seconds: Until when they have to be there.

    Raises:
        MeetingError: Names those that are not.
    """
    keys = [f"machine/{i}" for i in range(count)]
    store.set(keys[number], socket.gethostname())
    if wait_until(lambda: store.check(keys), seconds):
        return
    there = [i for i in range(count) if store.check([keys[i]])]
    hosts = ", ".join(f"SHARD_ID {i} on {store.get(keys[i]).decode()}" for i in there)
    missing = ", ".join(str(i) for i in range(count) if i not in there)
    raise MeetingError(
        f"{address}: {len(there)} of {count} machines came within DIST.INIT_TIMEOUT {seconds:g} s ({hosts}); missing: "
        f"SHARD_ID {missing}. Start it there with the same --init_method and NUM_SHARDS, or lower NUM_SHARDS"
    )


def store_of_start(store: Store, rank: int, world: int, seconds: float) -> Store:
    """The part of a store that only the ranks of this start use.

    A store of torchrun's own outlives its processes, with all that was said in it before a restart, and the machines
    do not count restarts alike. So rank 0 gives the name of this start to each process that has said its own.

    Args:
        store: Of the job.
        rank: This rank.
        world: Number of ranks.
        seconds: Until when all have to be there.

    Raises:
        MeetingError: Names those that are not.
    """
    name = uuid.uuid4().hex
    if rank:
        store.set(f"process/{rank}", name)
        if not wait_until(lambda: store.check([f"start/{name}"]), seconds):
            raise MeetingError(f"rank 0 did not come within DIST.INIT_TIMEOUT {seconds:g} s")
        part = PrefixStore(store.get(f"start/{name}").decode(), store)
        part.set(f"came/{rank}", "")
        return part
    part = PrefixStore(name, store)
    missing = set(range(1, world))

    def all_came() -> bool:
        for other in [i for i in missing if store.check([f"process/{i}"])]:
            store.set(f"start/{store.get(f'process/{other}').decode()}", name)
        missing.difference_update([i for i in missing if part.check([f"came/{i}"])])
        return not missing

    if not wait_until(all_came, seconds):
        raise MeetingError(missing_ranks(missing, world, seconds))
    return part


def missing_ranks(missing: Iterable[int], world: int, seconds: float) -> str:
    """What is said of ranks that do not come.

    Args:
        missing: Those.
        world: Number of ranks.
        seconds: In which they had to come.
    """
    names = [str(i) for i in sorted(missing)]
    return (
        f"{world - len(names)} of {world} ranks came within DIST.INIT_TIMEOUT {seconds:g} s; "
        f"missing: rank {', '.join(names)}"
    )


def wait_until(function: Callable[[], bool], seconds: float) -> bool:
    """Call a function again and again until it gives True. Signals interrupt it.

    Args:
        function: What is waited for.
        seconds: Until when.

    Returns:
        Whether it gave True in time.
    """
    end = time.monotonic() + seconds
    while not function():
        if time.monotonic() > end:
            return False
        time.sleep(_AGAIN)
    return True


def _store(address: Address, seconds: float, is_master: bool) -> TCPStore:
    timeout = datetime.timedelta(seconds=seconds)
    return TCPStore(address.host, address.port, is_master=is_master, wait_for_workers=False, timeout=timeout)
