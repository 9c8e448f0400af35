"""Train a network that a configuration describes, then test it.

Examples:
    avslowfast train SynthAV/AVSLOWFAST_TINY
    avslowfast train SynthAV/AVSLOWFAST_TINY MODEL.ARCH slowfast OUTPUT_DIR output/synthav_slowfast
    avslowfast train my_network.yaml --import my_plugin
    torchrun --nproc_per_node=2 -m avslowfast train SynthAV/AVSLOWFAST_TINY NUM_CPU_PROCESSES 2
    avslowfast train Kinetics/AVSLOWFAST_4x16_R50 --slurm nodes=4 gpus=8 time=1-00 partition=gpu OUTPUT_DIR runs/k400

TRAIN.ENABLE False leaves the training out, TEST.ENABLE False the test. Exit codes: 0 done; 2 a mistake in the
configuration or the data, a process that was lost; 75 stopped by a signal (SIGTERM, SIGINT, SIGUSR1, SIGHUP) with the
state saved: the same command resumes; 130 ended at once by a second Ctrl-C. torchrun ends with 1 in place of 2 and 75.
--slurm submits the command as a job, which is requeued after 75 (docs/CLUSTERS.md).
"""

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .parser import CommandParser

if TYPE_CHECKING:
    from ..config.derived import Cfg
    from ..engine.stop import StopRequest


# Folders in OUTPUT_DIR that a training writes to.
_FOLDERS = ("checkpoints", "tensorboard")


def add_arguments(parser: CommandParser) -> None:
    """A configuration with overrides, and what several machines need."""
    parser.add_configuration()
    parser.add_argument("--opts", action="store_true", help="may stand in front of the overrides")
    parser.add_argument(
        "--init_method",
        metavar="URL",
        help="where several machines meet, e.g. tcp://10.0.0.1:9999; slurm: srun has started this, one task per node, "
        "and says where, how many they are, which one this is, and what GPUs it has",
    )
    parser.add_argument("--shard_id", type=int, help="number of this machine (SHARD_ID)")
    parser.add_argument("--dry-run", action="store_true", help="check everything up to the first step and end")
    parser.add_argument("--num_shards", type=int, help="machines (NUM_SHARDS)")
    parser.add_slurm()


def run(args: argparse.Namespace, fixed: Sequence[object] = ()) -> int:
    """Train and test.

    Args:
        args: The command line.
        fixed: Further keys and values, which the command line cannot change.

    Returns:
        The exit code of the run.
    """
    if args.slurm is not None:
        from .submission import submit_training

        return submit_training(args, fixed)
    return until_stopped(lambda stop: _train_and_test(args, fixed, stop))


def until_stopped(work: "Callable[[StopRequest], int]") -> int:
    """Do what a signal may stop; gives its exit code.

    Args:
        work: Asks the given object whether it shall stop.
    """
    from ..engine.stop import StopRequest
    from ..utils.errors import first_of_machine, StopRequested
    from ..utils.signals import STOPPED

    # Connections that end are lines with C++ frames in torch's log; what matters of them is said in words.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    with StopRequest(speaks=first_of_machine()) as stop:
        try:
            return work(stop)
        except StopRequested:
            stop.say()
            return STOPPED


def checked_configuration(args: argparse.Namespace, fixed: Sequence[object]) -> "Cfg":
    """The configuration of the command line, as far as it can be checked without torch.

    Args:
        args: The command line.
        fixed: Further keys and values.

    Raises:
        UserError: It has a mistake, or nothing can be written where it says.
    """
    from ..config import ConfigError, derived, load_cfg
    from ..config.validate import require_packages, require_work
    from ..utils.files import check_writable, FolderError
    from ..utils.remote import is_remote

    cfg = load_cfg(args.config, [*args.overrides, *fixed], args.imports)
    require_work(cfg)
    require_packages(cfg)
    for key, folder in derived.output_folders(cfg).items():
        if key == "OUTPUT_DIR" and is_remote(folder):
            raise ConfigError(
                f"OUTPUT_DIR is {folder!r}: an address, and a run writes to this machine; choose a local folder, and "
                "set TRAIN.MIRROR to the address to which it is copied"
            )
        check_writable(folder, key)
    for name in _FOLDERS if cfg.TRAIN.ENABLE else ():
        # Somebody else may have made them. They are not tried: a run that is refused changes nothing.
        path = os.path.join(cfg.OUTPUT_DIR, name)
        if os.path.lexists(path) and not (os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)):
            raise FolderError(
                f"OUTPUT_DIR is {cfg.OUTPUT_DIR!r}: nothing can be written to {name} in it; choose another"
            )
    return cfg


def _train_and_test(args: argparse.Namespace, fixed: Sequence[object], stop: "StopRequest") -> int:
    from ..cluster.allocation import FROM_SLURM, read_allocation
    from ..utils.errors import first_of_machine, MISTAKE, UserError

    overrides, meeting = list(fixed), args.init_method
    for key, value in (("SHARD_ID", args.shard_id), ("NUM_SHARDS", args.num_shards)):
        if value is not None:
            overrides += [key, value]
    try:
        if meeting == FROM_SLURM:
            allocation = read_allocation()
            meeting = allocation.meeting
            overrides += allocation.overrides
        # A mistake in the configuration ends here, before torch is imported.
        cfg = checked_configuration(args, overrides)
    except UserError:
        if first_of_machine():
            raise
        return MISTAKE

    from ..engine.launch import launch

    if args.dry_run:
        from ..engine.preflight import check

        return launch(cfg, check, stop, meeting)
    from ..engine.run import run as train_and_test

    return launch(cfg, train_and_test, stop, meeting)
