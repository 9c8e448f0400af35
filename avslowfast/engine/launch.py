"""Processes: torchrun's, or as many as the configuration asks for, spawned here."""

import os
import signal
import socket
import sys

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from ..config import ConfigError
from ..utils.errors import UserError


def launch(cfg, function, init_method=None):
    """Call function(cfg, device), which gives an exit code, in every process of the job; returns the code.

    Under torchrun this process is one of them. Otherwise NUM_GPUS processes (NUM_CPU_PROCESSES on the CPU) are spawned on this machine.

    Args:
        init_method: where the processes of several machines meet, e.g. tcp://host:port; needed with NUM_SHARDS > 1.

    Raises:
        ConfigError: the configuration asks for devices or processes that are not there.
    """
    gpus = cfg.NUM_GPUS
    if gpus and torch.cuda.device_count() < gpus:
        found = torch.cuda.device_count()
        raise ConfigError(
            f"NUM_GPUS is {gpus}, but this machine has {found} usable GPU(s); set NUM_GPUS {found}{' to run on the CPU' if not found else ''}"
        )
    local = gpus or cfg.NUM_CPU_PROCESSES
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return _under_torchrun(cfg, function, local)
    if local * cfg.NUM_SHARDS == 1:
        return function(cfg, _device(cfg, 0))
    if cfg.NUM_SHARDS > 1 and not init_method:
        raise ConfigError(
            f"NUM_SHARDS is {cfg.NUM_SHARDS}: say where the machines meet with --init_method tcp://HOST:PORT, or use torchrun"
        )
    method = init_method or f"tcp://127.0.0.1:{_free_port()}"
    return _spawn(cfg, function, local, method)


def _under_torchrun(cfg, function, local):
    started = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    key = "NUM_GPUS" if cfg.NUM_GPUS else "NUM_CPU_PROCESSES"
    if started != local or int(os.environ["WORLD_SIZE"]) != local * cfg.NUM_SHARDS:
        raise ConfigError(
            f"{key} is {local} and NUM_SHARDS {cfg.NUM_SHARDS}, but torchrun started {started} process(es) here and "
            f"{os.environ['WORLD_SIZE']} in all; pass {key} {started} NUM_SHARDS {int(os.environ['WORLD_SIZE']) // started}"
        )
    return _run(
        cfg, function, int(os.environ["LOCAL_RANK"]), "env://", int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    )


def _spawn(cfg, function, local, method):
    """Start the processes and wait; their first exit code that is not 0 is ours. Signals are passed on to them."""
    context = mp.spawn(_worker, (local, method, cfg, function), nprocs=local, join=False)

    def pass_on(number, frame):
        for pid in context.pids():
            os.kill(pid, number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        while not context.join():
            continue
        return 0
    except mp.ProcessExitedException as error:
        return error.exit_code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _worker(local_rank, local, method, cfg, function):
    try:
        code = _run(cfg, function, local_rank, method, cfg.SHARD_ID * local + local_rank, local * cfg.NUM_SHARDS)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 2
    if code:
        sys.exit(code)


def _run(cfg, function, local_rank, method, rank, world):
    device = _device(cfg, local_rank)
    backend = cfg.DIST_BACKEND if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=method, rank=rank, world_size=world)
    try:
        return function(cfg, device)
    finally:
        dist.destroy_process_group()


def _device(cfg, local_rank):
    if not cfg.NUM_GPUS:
        return torch.device("cpu")
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
