"""Processes: torchrun's, or as many as the configuration asks for, spawned here."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import torch
import torch.distributed as dist
from torch.multiprocessing.spawn import ProcessExitedException, spawn

from ..config import ConfigError, import_plugins
from ..config.derived import Cfg, configured_ranks_per_machine
from ..utils.errors import tell

# What every process runs: gives an exit code.
Workflow = Callable[[Cfg, torch.device], int]


def launch(cfg: Cfg, function: Workflow, init_method: str | None = None) -> int:
    """Call function(cfg, device) in every process of the job.

    Under torchrun this process is one of them. Otherwise NUM_GPUS processes (NUM_CPU_PROCESSES on the CPU) are spawned
    on this machine.

    Args:
        cfg: The configuration.
        function: Importable by name, since spawned processes import it.
        init_method: Where the processes of several machines meet, e.g. tcp://host:port; needed with NUM_SHARDS > 1.

    Returns:
        The exit code: the first one of the processes that is not 0.

    Raises:
        ConfigError: The configuration asks for devices or processes that do not exist.
    """
    if cfg.NUM_GPUS and torch.cuda.device_count() < cfg.NUM_GPUS:
        usable = torch.cuda.device_count()
        raise ConfigError(
            f"NUM_GPUS is {cfg.NUM_GPUS}, but this machine has {usable} usable GPU(s); "
            f"set NUM_GPUS {usable}{'' if usable else ' to run on the CPU'}"
        )
    local = configured_ranks_per_machine(cfg)
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return _under_torchrun(cfg, function, local)
    if local * cfg.NUM_SHARDS == 1:
        return function(cfg, _device(cfg, 0))
    if cfg.NUM_SHARDS > 1 and not init_method:
        raise ConfigError(
            f"NUM_SHARDS is {cfg.NUM_SHARDS}: say where the machines meet with --init_method tcp://HOST:PORT, "
            "or use torchrun"
        )
    return _spawn(cfg, function, local, init_method or f"tcp://127.0.0.1:{_free_port()}")


def _under_torchrun(cfg: Cfg, function: Workflow, local: int) -> int:
    started, world = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), int(os.environ["WORLD_SIZE"])
    if started != local or world != local * cfg.NUM_SHARDS:
        key = "NUM_GPUS" if cfg.NUM_GPUS else "NUM_CPU_PROCESSES"
        raise ConfigError(
            f"{key} is {local} and NUM_SHARDS {cfg.NUM_SHARDS}, but torchrun started {started} process(es) here and "
            f"{world} in all; pass {key} {started} NUM_SHARDS {world // started}"
        )
    return _run(cfg, function, int(os.environ["LOCAL_RANK"]), "env://", int(os.environ["RANK"]), world)


def _spawn(cfg: Cfg, function: Workflow, local: int, method: str) -> int:
    """Start the processes and wait. Signals are passed on to them."""
    context = spawn(_worker, (local, method, cfg, function), nprocs=local, join=False)

    def pass_on(number: int, frame: FrameType | None) -> None:
        for pid in context.pids():
            os.kill(pid, number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not context.join():
            continue
        return 0
    except ProcessExitedException as error:
        return int(error.exit_code)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _worker(local_rank: int, local: int, method: str, cfg: Cfg, function: Workflow) -> None:
    try:
        # A spawned process knows the package's registry entries alone.
        import_plugins(cfg)
        code = _run(cfg, function, local_rank, method, cfg.SHARD_ID * local + local_rank, local * cfg.NUM_SHARDS)
    except Exception as error:
        if not tell(error):
            raise
        code = 2
    if code:
        sys.exit(code)


def _run(cfg: Cfg, function: Workflow, local_rank: int, method: str, rank: int, world: int) -> int:
    device = _device(cfg, local_rank)
    backend = cfg.DIST_BACKEND if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=method, rank=rank, world_size=world)
    try:
        return function(cfg, device)
    finally:
        dist.destroy_process_group()


def _device(cfg: Cfg, local_rank: int) -> torch.device:
    if not cfg.NUM_GPUS:
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
