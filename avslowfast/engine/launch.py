"""Processes: torchrun's, or as many as the configuration asks for, spawned here."""

import contextlib
import datetime
import gc
import importlib
import math
import multiprocessing
import os
import re
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnProcess

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ..config import ConfigError
from ..config.derived import Cfg, configured_ranks_per_machine
from ..utils.alive import hushed
from ..utils.errors import first_of_machine, may_pass, MISTAKE, one_line, StopRequested, tell
from ..utils.signals import end_torchrun, end_with_parent, ended_by, how_it_ended, stop_signals_blocked, STOPPED
from .meeting import gather_machines, host_store, join_store, MeetingError, reach, store_of_start
from .peers import Peers
from .places import Address, Place, processes_here
from .spawned import begin, STOPPED_EARLY
from .stop import StopRequest

# What every process runs: gives an exit code.
Workflow = Callable[[Cfg, torch.device, StopRequest], int]

# Seconds that the other ranks have to end after one has failed.
_GRACE = 5.0
# What the errors of exchanges between ranks have in their text.
_EXCHANGE = re.compile(r"gloo|nccl|connection (closed|reset)|process ?group", re.IGNORECASE)
# What to do where torchrun sends its processes to an address where nothing is.
_MASTER_IS_LOST = (
    "check the address and the firewall; where the machine of rank 0 was lost, torchrun finds another one if it is "
    "started with TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in the environment"
)
# NCCL's flight recorder writes what each rank did last when an exchange takes too long.
_FLIGHT_RECORDER = {"TORCH_FR_BUFFER_SIZE": "2000", "TORCH_NCCL_DUMP_ON_TIMEOUT": "1"}


def launch(cfg: Cfg, function: Workflow, stop: StopRequest, init_method: str | None = None) -> int:
    """Call function(cfg, device, stop) in every process of the job.

    Under torchrun this process is one of them. Otherwise NUM_GPUS processes (NUM_CPU_PROCESSES on the CPU) are spawned
    on this machine.

    Args:
        cfg: The configuration.
        function: Importable by name, since spawned processes import it; it may be a `functools.partial` with keywords.
        stop: Of this process; spawned processes have their own.
        init_method: Where the processes of several machines meet, tcp://HOST:PORT; needed with NUM_SHARDS > 1.

    Returns:
        The exit code: the first one of the processes that is not 0.

    Raises:
        ConfigError: The configuration asks for devices or processes that do not exist.
        MeetingError: The processes do not come together.
        StopRequested: The job was stopped before it had something to save.
    """
    if cfg.NUM_GPUS and torch.cuda.device_count() < cfg.NUM_GPUS:
        usable = torch.cuda.device_count()
        raise ConfigError(
            f"NUM_GPUS is {cfg.NUM_GPUS}, but this machine has {usable} usable GPU(s); "
            f"set NUM_GPUS {usable}{'' if usable else ' to run on the CPU'}"
        )
    local = configured_ranks_per_machine(cfg)
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return _under_torchrun(cfg, function, local, stop)
    if local * cfg.NUM_SHARDS == 1:
        return function(cfg, _device(cfg, 0), stop)
    if cfg.NUM_SHARDS > 1 and not init_method:
        raise ConfigError(
            f"NUM_SHARDS is {cfg.NUM_SHARDS}: say where the machines meet with --init_method tcp://HOST:PORT, "
            "or use torchrun"
        )
    address = Address.parse(init_method) if init_method else Address("127.0.0.1", 0)
    return _spawn(cfg, function, local, address, stop)


def _under_torchrun(cfg: Cfg, function: Workflow, local: int, stop: StopRequest) -> int:
    # A torchrun that is killed leaves its processes alone.
    end_with_parent(signal.SIGTERM, os.getppid())
    place = Place.of_torchrun()
    problem = _problem_of_world(cfg, local, processes_here(place.world), place.world)
    if problem:
        if first_of_machine():
            raise ConfigError(problem)
        return MISTAKE
    rank, world, seconds = place.rank, place.world, cfg.DIST.INIT_TIMEOUT
    if rank or os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        reach(place.master, seconds, _MASTER_IS_LOST)
    store = next(rendezvous("env://", rank, world, timeout=datetime.timedelta(seconds=seconds)))[0]
    store = store_of_start(store, rank, world, seconds)
    return _run(cfg, function, place, store, stop)


def _problem_of_world(cfg: Cfg, local: int, started: int, world: int) -> str | None:
    """Why the processes that torchrun started cannot do the work; None if they can.

    Args:
        cfg: The configuration.
        local: Processes per machine that it asks for.
        started: Those that torchrun started on this machine.
        world: Those on all machines.
    """
    key, machines = "NUM_GPUS" if cfg.NUM_GPUS else "NUM_CPU_PROCESSES", world // started
    if started != local or world % started or machines > cfg.NUM_SHARDS:
        return (
            f"{key} is {local} and NUM_SHARDS {cfg.NUM_SHARDS}, but torchrun started {started} process(es) here and "
            f"{world} in all; pass {key} {started} NUM_SHARDS {machines}"
        )
    passes = cfg.NUM_SHARDS * cfg.TRAIN.ACCUMULATION_STEPS
    if passes % machines:
        fitting = ", ".join(str(i) for i in range(1, cfg.NUM_SHARDS + 1) if passes % i == 0)
        return (
            f"NUM_SHARDS is {cfg.NUM_SHARDS}: the {passes} passes of a step (x TRAIN.ACCUMULATION_STEPS "
            f"{cfg.TRAIN.ACCUMULATION_STEPS}) do not divide over {machines} machines; run on {fitting}, or set "
            f"TRAIN.ACCUMULATION_STEPS to a multiple of {machines // math.gcd(passes, machines)}"
        )
    return None


def _spawn(cfg: Cfg, function: Workflow, local: int, address: Address, stop: StopRequest) -> int:
    """Start the processes of this machine, wait for them, and say how those ended that could not."""
    seconds = cfg.DIST.INIT_TIMEOUT
    if cfg.SHARD_ID:
        store = join_store(address, seconds)
    else:
        # It lives in this process: no rank needs to live for the others to find out about one another.
        store = host_store(address, seconds)
        address = Address(address.host, store.port)
    gather_machines(store, address, cfg.SHARD_ID, cfg.NUM_SHARDS, seconds)
    context = multiprocessing.get_context("spawn")
    first, world = cfg.SHARD_ID * local, local * cfg.NUM_SHARDS
    places = [Place(first + i, i, world, address, os.getpid()) for i in range(local)]
    # By name: the function itself would be imported before the rank answers signals.
    named, keywords = (function.func, function.keywords) if isinstance(function, partial) else (function, {})
    work = (named.__module__, named.__qualname__, keywords)
    processes = [context.Process(target=begin, args=(cfg, *work, place)) for place in places]
    # A helper, which the first process would start otherwise; signals to all processes of the job leave it alone.
    with stop_signals_blocked():
        resource_tracker.ensure_running()
    with stop.deferred(), hushed():
        # They come with signals blocked, and take them when they can answer.
        with stop_signals_blocked():
            for process in processes:
                process.start()
        ranks = _Ranks(first, processes)
        stop.pass_on = lambda number: ranks.ask_to_stop()
        stop.at_once = ranks.kill
        if stop.requested():
            ranks.ask_to_stop()
        code = ranks.wait()
    if code == STOPPED_EARLY:
        raise StopRequested
    return code


class _Ranks:
    """The processes of the ranks of this machine.

    Args:
        first: Rank of the first one.
        processes: Started ones.
    """

    def __init__(self, first: int, processes: list[SpawnProcess]) -> None:
        self.first, self.processes = first, processes
        self._killed = False

    def ask_to_stop(self) -> None:
        """Ask those that live; a request that comes twice counts once."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End those that live."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def wait(self) -> int:
        """Wait for all; where one fails, the others have some seconds to end.

        Returns:
            The exit code of the job.
        """
        deadline = None
        while alive := [process for process in self.processes if process.exitcode is None]:
            connection.wait([process.sentinel for process in alive], timeout=1.0)
            ended = {process.exitcode for process in self.processes} - {None, 0}
            if ended and deadline is None:
                self.ask_to_stop()
                self._say_who_was_killed()
                deadline = time.monotonic() + _GRACE
            # Those that stop may need long to save.
            if deadline and ended - {STOPPED, STOPPED_EARLY} and time.monotonic() > deadline:
                self.kill()
        codes = [process.exitcode or 0 for process in self.processes]
        failed = [code for code in codes if code not in (0, STOPPED, STOPPED_EARLY)]
        if failed:
            return next((code for code in failed if code > 0), MISTAKE)
        return codes[0] if codes[0] else max(codes)

    def _say_who_was_killed(self) -> None:
        for i, process in enumerate(self.processes):
            code = process.exitcode
            if code is not None and ended_by(code) is not None and not self._killed:
                what = f"rank {self.first + i} (pid {process.pid}) {how_it_ended(code)}"
                print(f"error: {what}; the same command resumes from the newest state", file=sys.stderr, flush=True)

    def _signal(self, number: signal.Signals) -> None:
        for process in self.processes:
            if process.exitcode is None and process.pid is not None:
                os.kill(process.pid, number)


def join(cfg: Cfg, function: Workflow, place: Place, stop: StopRequest) -> int:
    """Join the job as a rank that was spawned, and do its work.

    Args:
        cfg: The configuration.
        function: The work.
        place: Of this process.
        stop: Of this process.

    Returns:
        Its exit code.

    Raises:
        MeetingError: The process that keeps the store of the job cannot be reached.
        StopRequested: The job was stopped before it had something to save.
    """
    return _run(cfg, function, place, join_store(place.master, cfg.DIST.INIT_TIMEOUT), stop)


def _run(cfg: Cfg, function: Workflow, place: Place, store: Store, stop: StopRequest) -> int:
    """Join the job as a rank, and do its work."""
    device = _device(cfg, place.local_rank)
    peers = Peers(store, place.rank, place.world, cfg.DIST.TIMEOUT, stop, place.spawner)
    stop.leaving = peers.leave
    try:
        peers.meet(place.master.host, cfg.DIST.INIT_TIMEOUT)
        _connect(cfg, device, place, store)
        code = function(cfg, device, stop)
    except StopRequested:
        peers.leave()
        raise
    except Exception as error:
        if not _tell(error, place, peers, stop):
            raise
        if peers.is_mistake():
            end_torchrun()
        return MISTAKE
    finally:
        _disconnect(device)
    peers.leave()
    return code


def _connect(cfg: Cfg, device: torch.device, place: Place, store: Store) -> None:
    """Connect the ranks: for tensors on the CPU, with which they decide what to do next, and for those on GPUs."""
    # Its functions keep the connections that exist when it is imported, as it would be later, for ever.
    importlib.import_module("torch.distributed.nn.functional")
    backend = "gloo"
    if device.type == "cuda":
        backend = f"cpu:gloo,cuda:{cfg.DIST_BACKEND}"
        traces = os.path.join(os.path.abspath(cfg.OUTPUT_DIR), "nccl_trace_rank_")
        for name, value in {**_FLIGHT_RECORDER, "TORCH_FR_DUMP_TEMP_FILE": traces}.items():
            os.environ.setdefault(name, value)
    dist.init_process_group(
        backend,
        store=PrefixStore("ranks", store),
        rank=place.rank,
        world_size=place.world,
        timeout=datetime.timedelta(seconds=cfg.DIST.TIMEOUT),
    )


def _disconnect(device: torch.device) -> None:
    """End the connections between the ranks, where there are any."""
    # A network that is still there, if only in the hands of a function that failed, keeps their threads alive, and
    # Python must not end under these.
    traceback.clear_frames(sys.exc_info()[2])
    gc.collect()
    # With a GPU's library this waits for ranks that may be gone.
    if dist.is_initialized() and (device.type == "cpu" or sys.exc_info()[0] is None):
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def _tell(error: Exception, place: Place, peers: Peers, stop: StopRequest) -> bool:
    """Tell the error that ends this rank, unless another rank tells it; gives whether it is told, and no bug."""
    if isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and _EXCHANGE.search(str(error))):
        reason = peers.reason()
        if reason is None and stop.requested():
            peers.leave()
            raise StopRequested from error
        if reason == "":
            peers.leave()
            return True
        words, cause = " ".join(str(error).split()), error
        error = MeetingError(
            reason
            or f"rank {place.rank} on {socket.gethostname()} cannot exchange data with the others ({words[:200]}); "
            "check the firewall, and GLOO_SOCKET_IFNAME and NCCL_SOCKET_IFNAME where machines have several networks"
        )
        error.__cause__ = cause
    line = one_line(error)
    # Said before the others hear of the end of this rank: they end then, and whoever has started them ends this one.
    told = line is not None and (peers.is_told_by_main(line) or tell(error))
    peers.leave(line or repr(error), mistake=told and not may_pass(error))
    return told


def _device(cfg: Cfg, local_rank: int) -> torch.device:
    if not cfg.NUM_GPUS:
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)
