"""Test a trained network as a configuration says; nothing is trained.

Examples:
    avslowfast test SynthAV/AVSLOWFAST_TINY
    avslowfast test Kinetics/AVSLOWFAST_4x16_R50 TEST.CHECKPOINT_FILE_PATH weights.pyth DATA.PATH_TO_DATA_DIR my_lists
    avslowfast test output/synthav_avslowfast --split val --views 5x1
    avslowfast test output/synthav_avslowfast --list my_videos.csv

A folder is the OUTPUT_DIR of a run, which is tested with its own configuration. Without TEST.CHECKPOINT_FILE_PATH the
run in OUTPUT_DIR is tested. --split tests the videos of another split, --list those of a file in the format of the data
set's own (DATASETS.md), without labels too: then there are scores and no metrics. Each of them has a folder of its own
in OUTPUT_DIR (test_val, list_NAME_...), with other views or weights than the run's own too (test_val_5x1, test_best);
`avslowfast report` shows them all. Exit codes: 0 done; 2 a mistake in the configuration or the data; 75 stopped by a
signal, 130 by a second Ctrl-C: the test starts anew.
"""

import argparse
import os
import re

from . import train
from .parser import CommandParser


def add_arguments(parser: CommandParser) -> None:
    """Those of `train`, and what is tested."""
    train.add_arguments(parser)
    parser.add_argument("--split", choices=["train", "val", "test"], help="split to test (TEST.SPLIT; default: test)")
    parser.add_argument("--list", metavar="FILE", help="videos to test in place of a split's (TEST.LIST)")
    parser.add_argument(
        "--views",
        type=_views,
        metavar="NxM",
        help="clips per video times crops per clip (TEST.NUM_ENSEMBLE_VIEWS, TEST.NUM_SPATIAL_CROPS: 1 or 3)",
    )


def run(args: argparse.Namespace) -> int:
    """Test; gives the exit code of the run."""
    fixed: list[object] = ["TRAIN.ENABLE", False, "TEST.ENABLE", True]
    # A folder that is none of a run is said to be so where configurations are looked for.
    if os.path.isfile(os.path.join(args.config, "config.yaml")):
        args.overrides = ["OUTPUT_DIR", args.config, *args.overrides]
        args.config = os.path.join(args.config, "config.yaml")
    if args.split:
        fixed += ["TEST.SPLIT", args.split]
    if args.list:
        fixed += ["TEST.LIST", args.list]
    if args.views:
        fixed += ["TEST.NUM_ENSEMBLE_VIEWS", args.views[0], "TEST.NUM_SPATIAL_CROPS", args.views[1]]
    return train.run(args, fixed)


def _views(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not CLIPSxCROPS, such as 10x3")
    return int(match[1]), int(match[2])
