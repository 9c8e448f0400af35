"""Find a learning rate: a range test (arXiv 1506.01186) of a training that a configuration describes.

Examples:
    avslowfast lr-find SynthAV/AVSLOWFAST_TINY
    avslowfast lr-find SynthAV/AVSLOWFAST_TINY --steps 60 --from 1e-4 --to 1 TRAIN.BATCH_SIZE 8
    avslowfast lr-find OwnVideos/AVSLOWFAST_8x8_R50 DATA.PATH_TO_DATA_DIR my_lists TRAIN.CHECKPOINT_FILE_PATH sf.pkl

The first steps of that training are made, on its data, batches, precision and optimiser, with a rate that rises by the
same factor in each step, until the smoothed loss is four times its lowest value. Suggested is half the rate at
which it is lowest. OUTPUT_DIR/lr_find gets lr_find.json (rates and losses) and lr_find.png; no weights are saved, and a
run in OUTPUT_DIR is left alone. Exit codes: 0 done; 2 a mistake, too few clips, or a loss that does not fall;
75 stopped by a signal, 130 by a second Ctrl-C: nothing is written.
"""

import argparse
import functools
import os
from typing import Any

from .parser import CommandParser, count_of, UsageError, written


def add_arguments(parser: CommandParser) -> None:
    """A configuration with overrides, and the range."""
    parser.add_configuration()
    parser.add_argument(
        "--from", dest="low", type=_rate, default=1e-5, metavar="RATE", help="first rate (default: %(default)g)"
    )
    parser.add_argument(
        "--to", dest="high", type=_rate, default=10.0, metavar="RATE", help="last rate (default: %(default)g)"
    )
    parser.add_argument(
        "--steps",
        type=count_of(2, 1_000_000),
        default=100,
        help="optimiser steps from one to the other, those of the training at most (default: %(default)s)",
    )
    parser.add_argument("--out", type=written, metavar="DIR", help="folder to write to (default: OUTPUT_DIR/lr_find)")


def run(args: argparse.Namespace) -> int:
    """Make the test, draw its curve, say the rate; gives the exit code."""
    from ..config import ConfigError, derived
    from ..utils.files import check_writable
    from .train import checked_configuration, until_stopped

    if args.low >= args.high:
        raise UsageError(f"--from {args.low:g} --to {args.high:g}: the rate has to rise")
    cfg = checked_configuration(args, ["TRAIN.ENABLE", True, "TEST.ENABLE", False])
    if not derived.task_facts(cfg).trains:
        raise ConfigError(f"TASK is '{derived.task_name(cfg)}': it trains no network, so it has no learning rate")
    out = args.out or os.path.join(cfg.OUTPUT_DIR, "lr_find")
    check_writable(out, "--out")

    from ..engine.launch import launch
    from ..engine.lr_find import lr_find

    workflow = functools.partial(lr_find, low=args.low, high=args.high, steps=args.steps, out=out)
    code = until_stopped(lambda stop: launch(cfg, workflow, stop))
    # Under torchrun this process is one of several.
    if code == 0 and os.environ.get("RANK", "0") == "0":
        _tell(args, out)
    return code


def _tell(args: argparse.Namespace, out: str) -> None:
    from ..engine.lr_find import NoRateError
    from ..utils.text import read_json
    from ..visualization.lr_curve import draw_range_test

    found: dict[str, Any] = read_json(os.path.join(out, "lr_find.json"))
    picture = os.path.join(out, "lr_find.png")
    if found["rates"]:
        draw_range_test(found, picture)
    if found["problem"]:
        raise NoRateError(f"{found['problem']} (the curve: {picture})" if found["rates"] else found["problem"])
    words = " ".join(map(str, found["words"]))
    note = "; the loss still falls at the last rate: use a higher --to" if found["still_falls"] else ""
    print(f"suggested ({found['rule']}): {words}   (the curve: {picture}{note})")


def _rate(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is no learning rate above 0, at most 1000")
    return value
