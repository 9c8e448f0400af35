"""Test a trained network as a configuration says; nothing is trained.

Examples:
    avslowfast test SynthAV/AVSLOWFAST_TINY
    avslowfast test Kinetics/AVSLOWFAST_4x16_R50 TEST.CHECKPOINT_FILE_PATH weights.pyth DATA.PATH_TO_DATA_DIR my_lists

Without TEST.CHECKPOINT_FILE_PATH the run in OUTPUT_DIR is tested. Exit codes: 0 done; 2 a mistake in the
configuration or the data.
"""

import argparse

from . import train
from .parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Those of `train`."""
    train.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Test; gives the exit code of the run."""
    return train.run(args, ["TRAIN.ENABLE", False, "TEST.ENABLE", True])
