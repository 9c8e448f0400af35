"""Check everything that a training needs before its first step, and train nothing.

Examples:
    avslowfast check SynthAV/AVSLOWFAST_TINY
    avslowfast check --cfg my_network.yaml DATA.PATH_TO_DATA_DIR my_lists

The lists of all splits are read and compared (classes without videos, duplicates, videos of two splits), a sample of
their files is looked for and decoded, one training step and one batch of each other split go through the network, the
free disk is compared with the size of the checkpoints, OUTPUT_DIR with what it holds. Nothing is written. The same as
avslowfast train --dry-run. Exit codes: 0 the run can start; 2 what stands in its way, in one line;
75 stopped by a signal.
"""

import argparse

from . import train
from .parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Those of `train`."""
    train.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Check; gives the exit code."""
    args.dry_run = True
    return train.run(args)
