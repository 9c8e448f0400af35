"""Make list files from a folder of videos by class.

Example:
    avslowfast lists my_videos --out my_lists

The folder holds one folder per class: my_videos/CLASS/*.mp4 (or my_videos/{train,val,test}/CLASS/*.mp4, whose splits
are kept). Every file is opened; those that cannot be read are left out and named in unreadable.csv. Writes train.csv,
val.csv, test.csv and classes.txt. Exit codes: 0 done; 2 a mistake, or nothing to train on.
"""

import argparse
import os
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .parser import CommandParser, training_command, UsageError

if TYPE_CHECKING:
    from ..preparation.folders import Video


def add_arguments(parser: CommandParser) -> None:
    """A folder, where the lists go, how the videos are split."""
    parser.add_argument("folder", help="folder with one folder per class")
    parser.add_argument("--out", required=True, help="folder for the lists")
    parser.add_argument(
        "--val", type=float, default=0.1, help="share of each class for validation (default: %(default)s)"
    )
    parser.add_argument(
        "--test", type=float, default=0.2, help="share of each class for the test (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="processes that open files (default: one per core)"
    )


def run(args: argparse.Namespace) -> int:
    """Look at the files, split them, write the lists, say what there is."""
    if args.val < 0 or args.test < 0 or args.val + args.test >= 1:
        raise UsageError(
            f"--val {args.val} and --test {args.test} leave nothing to train on; use shares such as 0.1 and 0.2"
        )
    from ..preparation import folders

    names, videos, others = folders.find_videos(args.folder)
    folders.probe(videos, args.jobs)
    folders.split_videos(videos, args.val, args.test, args.seed)
    _print_files(videos, others)
    filled = folders.write_lists(args.out, names, videos)
    print(_table(names, videos, folders.SPLITS))
    for split, other in filled.items():
        if split != other:
            print(
                f"note: no videos for {split}; {split}.csv holds those of {other}, "
                "so its figures say nothing about new videos"
            )
    print(
        f"\nLists are in {args.out}. Next, for example:\n  {training_command(args, 'OwnVideos/AVSLOWFAST_TINY')} "
        f"DATA.PATH_TO_DATA_DIR {args.out} MODEL.NUM_CLASSES {len(names)}"
    )
    return 0


def _print_files(videos: "Sequence[Video]", others: Sequence[str]) -> None:
    """How many files, lengths, audio, and what is left out."""
    good = [video for video in videos if not video.reason]
    print(f"{len(videos)} videos, {len(good)} of them readable")
    if good:
        seconds = sorted(video.seconds for video in good)
        silent = sum(not video.sound for video in good)
        print(
            f"length {seconds[0]:.1f} to {seconds[-1]:.1f} s, median {statistics.median(seconds):.1f} s; "
            f"{silent} without audio"
        )
    for video in [video for video in videos if video.reason][:20]:
        print(f"left out: {video.path}: {video.reason}")
    if others:
        print(f"left out: {len(others)} files that are no videos by their names, the first {others[0]}")


def _table(names: Sequence[str], videos: "Sequence[Video]", splits: Sequence[str]) -> str:
    """Videos of each class in each split, as lines."""
    width = max(map(len, [*names, "class"]))
    lines = [f"{'class':<{width}}" + "".join(f"{split:>7}" for split in splits)]
    for label, name in enumerate(names):
        of_class = [video for video in videos if video.label == label and not video.reason]
        counts = [sum(video.split == split for video in of_class) for split in splits]
        note = "" if counts[0] else "   nothing to train on"
        lines.append(f"{name:<{width}}" + "".join(f"{count:>7}" for count in counts) + note)
    return "\n".join(lines)
