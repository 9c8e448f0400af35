"""Make list files from a folder of videos by class.

Example:
    avslowfast lists my_videos --out my_lists

The folder holds one folder per class: my_videos/CLASS/*.mp4 (or my_videos/{train,val,test}/CLASS/*.mp4, whose splits
are kept). Of every file the first frame, one near the end and some audio are read (with --full all of it); files that
cannot be read are left out and named in unreadable.csv. Writes train.csv,
val.csv, test.csv and classes.txt. Exit codes: 0 done; 2 a mistake, or nothing to train on.
"""

import argparse
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .parser import CommandParser, count_of, seconds, training_command, UsageError

if TYPE_CHECKING:
    from ..preparation.folders import Lengths, VideoFolder


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
    parser.add_argument("--seed", type=count_of(0, 2**31), default=0, help="seed of the split (default: %(default)s)")
    parser.add_argument(
        "--jobs",
        type=count_of(1, 1024),
        default=os.cpu_count(),
        help="processes that open files (default: one per core)",
    )
    parser.add_argument("--full", action="store_true", help="read every frame and all audio of each file")
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="time for one file; one that takes longer is left out and named (default: 60, or 3600 with --full)",
    )


def run(args: argparse.Namespace) -> int:
    """Look at the files, split them, write the lists, say what there is."""
    if not (args.val >= 0 and args.test >= 0 and args.val + args.test < 1):
        raise UsageError(
            f"--val {args.val} and --test {args.test} leave nothing to train on; use shares such as 0.1 and 0.2"
        )
    from ..preparation import folders

    content = folders.find_videos(args.folder)
    folders.probe(content.videos, args.jobs, args.full, args.timeout)
    folders.split_videos(content.videos, args.val, args.test, args.seed)
    _print_files(content, folders.lengths(content.videos))
    sources = folders.write_lists(args.out, content)
    print(_table(content.counts()))
    for split, other in sources.items():
        if split != other:
            print(
                f"note: no videos for {split}; {split}.csv holds those of {other}, "
                "so its figures say nothing about new videos"
            )
    # A folder of its own: another set of videos is another run.
    output = os.path.join("output", os.path.basename(os.path.abspath(args.out)))
    print(
        f"\nLists are in {args.out}. Next, for example:\n  {training_command(args, 'OwnVideos/AVSLOWFAST_TINY')} "
        f"DATA.PATH_TO_DATA_DIR {args.out} MODEL.NUM_CLASSES {len(content.class_names)} OUTPUT_DIR {output}"
    )
    return 0


def _print_files(content: "VideoFolder", lengths: "Lengths | None") -> None:
    """How many files, lengths, audio, and what is left out."""
    total = "1 video" if len(content.videos) == 1 else f"{len(content.videos)} videos"
    print(f"{total}, {len(content.readable)} of them readable")
    if lengths is not None:
        print(
            f"length {lengths.shortest:.1f} to {lengths.longest:.1f} s, median {lengths.median:.1f} s; "
            f"{lengths.without_audio} without audio"
        )
    for video in content.unreadable[:20]:
        print(f"left out: {video.path}: {video.reason}")
    others = content.other_files
    if others:
        kind = "1 file that is no video by its name" if len(others) == 1 else f"{len(others)} files that are no videos"
        print(f"left out: {kind}, the first {others[0]}")


def _table(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Videos of each class in each split, as lines."""
    width = max(map(len, [*counts, "class"]))
    splits = next(iter(counts.values()))
    lines = [f"{'class':<{width}}" + "".join(f"{split:>7}" for split in splits)]
    for name, of_class in counts.items():
        note = "" if of_class["train"] else "   nothing to train on"
        lines.append(f"{name:<{width}}" + "".join(f"{count:>7}" for count in of_class.values()) + note)
    return "\n".join(lines)
