"""Render SynthAV: a data set of real video files whose class only visual and audio together determine.

Examples:
    avslowfast synthav --out data/synthav
    avslowfast synthav --variant bounces --out data/synthav_bounces

Variants: pairs (16 classes; each modality determines one half), hard (8 classes, few training clips, audio that is
sometimes wrong), bounces (impacts with clicks), epic (kitchens with verbs and nouns, in the layout of
EPIC-Kitchens-55), charades (overlapping events, in the layout of Charades), ava (movies with boxes of people, in that
of AVA). Writes real video files and the label files of the layout. Running it again renders only what is missing. Exit
codes: 0 done; 2 a mistake.
"""

import argparse
import os

from .parser import CommandParser, count_of, UsageError, written

# The parts of a variant's videos, in the order in which --num-clips takes them.
PARTS = {
    **dict.fromkeys(("pairs", "hard", "bounces"), ("train", "val", "test")),
    "epic": ("train", "val"),
    "charades": ("train", "test"),
    "ava": ("train", "val"),
}


def add_arguments(parser: CommandParser) -> None:
    """A folder, the variant, how many videos."""
    parser.add_argument("--out", type=written, default="data/synthav", help="folder to write (default: %(default)s)")
    parser.add_argument("--variant", default="pairs", choices=list(PARTS), help="kind of clips (default: %(default)s)")
    parser.add_argument(
        "--num-clips",
        type=count_of(0, 10**6),
        nargs="+",
        metavar="N",
        help="videos: TRAIN VAL TEST (pairs, bounces: 640 96 320; hard: 160 64 320), TRAIN VAL (epic: 80 36, of 8 "
        "segments each), TRAIN TEST (charades: 480 160), TRAIN VAL (ava: 40 16)",
    )
    parser.add_argument("--seed", type=count_of(0, 2**31), default=0, help="seed of every draw (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=count_of(1, 1024), default=os.cpu_count(), help="processes (default: one per core)"
    )


def run(args: argparse.Namespace) -> int:
    """Render what is missing."""
    from ..synthav import render_dataset, VARIANTS

    parts = PARTS[args.variant]
    counts = args.num_clips or list(VARIANTS[args.variant].values())
    if len(counts) != len(parts):
        raise UsageError(f"--num-clips takes {len(parts)} numbers for {args.variant}, not {len(counts)}")
    if not any(counts):
        raise UsageError("--num-clips: with 0 videos for every split there is nothing to render; give one or more")
    print(render_dataset(args.out, args.variant, dict(zip(parts, counts)), args.seed, args.jobs))
    return 0
