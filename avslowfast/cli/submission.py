"""Commands that are given to Slurm instead of being run: what is asked for, and what a person is told."""

import argparse
import os
import shlex
from collections.abc import Sequence

from ..cluster.allocation import FROM_SLURM
from ..cluster.options import read_options, SlurmOptionError, SlurmRequest
from ..cluster.submit import script, SHARE, submit
from ..utils.files import check_writable

# Keys that follow from what Slurm gives, and how to ask for that.
_GIVEN = {
    "NUM_GPUS": "gpus=N",
    "NUM_CPU_PROCESSES": "cpus=N (with gpus=0)",
    "NUM_SHARDS": "nodes=N",
    "SHARD_ID": "nodes=N",
}


def submit_training(args: argparse.Namespace, fixed: Sequence[object]) -> int:
    """Submit `train` or `test`.

    Args:
        args: The command line.
        fixed: Keys and values that the command sets.

    Returns:
        The exit code.

    Raises:
        UserError: The options or the configuration have a mistake, or the job cannot be submitted.
    """
    from .train import checked_configuration

    request = read_options(args.slurm)
    if request.array:
        raise SlurmOptionError(f"--slurm array={request.array}: {args.command} is one job; prepare takes an array")
    for option in ("init_method", "shard_id", "num_shards"):
        if getattr(args, option) is not None:
            raise SlurmOptionError(f"--{option}: with --slurm it comes from the allocation; leave it out")
    for key in args.overrides[::2]:
        if key in _GIVEN:
            raise SlurmOptionError(f"{key}: with --slurm it comes from the allocation; write --slurm {_GIVEN[key]}")
    cfg = checked_configuration(args, [*fixed, "NUM_SHARDS", request.nodes])
    gpus = int(cfg.NUM_GPUS) if request.gpu_count is None else request.gpu_count
    # A rank on the CPU has a core; one on a GPU has workers besides.
    cpus = request.cpus or (gpus * (1 + int(cfg.DATA_LOADER.NUM_WORKERS)) or int(cfg.NUM_CPU_PROCESSES))
    request = request.with_defaults(str(gpus), cpus)
    checked_configuration(args, [*fixed, *request.overrides])
    return _submit(args, request, [*_command(args), "--init_method", FROM_SLURM], str(cfg.OUTPUT_DIR))


def submit_preparation(args: argparse.Namespace) -> int:
    """Submit `prepare`, with array=N in N tasks that each have a share.

    Args:
        args: The command line.

    Returns:
        The exit code.

    Raises:
        UserError: The options have a mistake, or the job cannot be submitted.
    """
    request = read_options(args.slurm)
    jobs = any(word.startswith("--j") for word in args.words)
    for wrong, line in (
        (request.nodes > 1, f"--slurm nodes={request.nodes}: prepare runs on one node; write array=N for N shares"),
        (request.gpu_count, f"--slurm gpus={request.gpus}: prepare uses none; leave it out"),
        (
            request.array and (args.shard or args.merge),
            "--slurm array=N gives each task its --shard; leave out the other",
        ),
        (not request.cpus and not jobs, "--slurm: write cpus=N, the number of videos that are prepared at a time"),
    ):
        if wrong:
            raise SlurmOptionError(line)
    check_writable(args.out, "--out")
    words = _command(args)
    command = words if jobs else [*words, "--jobs", str(request.cpus)]
    _submit(
        args,
        request.with_defaults("0", args.jobs),
        [*command, "--shard", SHARE] if request.array else command,
        args.out,
    )
    if request.array and not args.dry_run:
        print(f"when all tasks are done: {shlex.join(['avslowfast', *words, '--merge'])}")
    return 0


def _command(args: argparse.Namespace) -> list[str]:
    """What the job runs: the command as it was given, without what concerns the submission."""
    dry = ["--dry-run"[:n] for n in range(3, len("--dry-run") + 1)]
    return [args.command, *(word for word in args.words if word not in dry)]


def _submit(args: argparse.Namespace, request: SlurmRequest, command: Sequence[str], out: str) -> int:
    request = request.named(f"avslowfast-{args.command}")
    folder = os.path.join(out, "slurm")
    if args.dry_run:
        print(script(request, command, folder))
        return 0
    job = submit(request, command, folder)
    print(f"job {job}: {request.says}\nlogs: {os.path.abspath(folder)}/{job}_*_log.out")
    return 0
