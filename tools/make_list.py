#!/usr/bin/env python3
"""Make list files from a folder of videos by class.

Example:
    python tools/make_list.py my_videos --out my_lists

The folder holds a folder a class: my_videos/CLASS/*.mp4 (or my_videos/{train,val,test}/CLASS/*.mp4, whose splits are kept). Every file
is opened; those that cannot be read are left out and named in unreadable.csv. Writes train.csv, val.csv, test.csv and classes.txt.
"""

import argparse
import os
import statistics
import sys

from avslowfast.preparation import folders
from avslowfast.utils.errors import UserError


def main(argv=None):
    """Look at the files, split them, write the lists, say what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="folder with a folder a class")
    parser.add_argument("--out", required=True, help="folder for the lists")
    parser.add_argument(
        "--val", type=float, default=0.1, help="share of each class for validation (default: %(default)s)"
    )
    parser.add_argument(
        "--test", type=float, default=0.2, help="share of each class for the test (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="processes that open files (default: one a core)"
    )
    args = parser.parse_args(argv)
    if args.val < 0 or args.test < 0 or args.val + args.test >= 1:
        parser.error(
            f"--val {args.val} and --test {args.test} leave nothing to train on; use shares such as 0.1 and 0.2"
        )
    try:
        names, videos, others = folders.find_videos(args.folder)
        folders.probe(videos, args.jobs)
        folders.split_videos(videos, args.val, args.test, args.seed)
        report(videos, others)
        filled = folders.write_lists(args.out, names, videos)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(names, videos))
    for split, other in filled.items():
        if split != other:
            print(
                f"note: no videos for {split}; {split}.csv holds those of {other}, so its figures say nothing about new videos"
            )
    print(
        f"\nLists are in {args.out}. Next, for example:\n  python tools/run_net.py --cfg configs/OwnVideos/AVSLOWFAST_TINY.yaml "
        f"DATA.PATH_TO_DATA_DIR {args.out} MODEL.NUM_CLASSES {len(names)}"
    )
    return 0


def report(videos, others):
    """What was found: files, lengths, sound, and what is left out."""
    good = [video for video in videos if not video.reason]
    print(f"{len(videos)} videos, {len(good)} of them readable")
    if good:
        seconds = sorted(video.seconds for video in good)
        silent = sum(not video.sound for video in good)
        print(
            f"length {seconds[0]:.1f} to {seconds[-1]:.1f} s, median {statistics.median(seconds):.1f} s; {silent} without sound"
        )
    for video in [video for video in videos if video.reason][:20]:
        print(f"left out: {video.path}: {video.reason}")
    if others:
        print(f"left out: {len(others)} files that are no videos by their names, the first {others[0]}")


def table(names, videos):
    """Videos of each class in each split, as lines."""
    width = max(map(len, [*names, "class"]))
    lines = [f"{'class':<{width}}" + "".join(f"{split:>7}" for split in folders.SPLITS)]
    for label, name in enumerate(names):
        counts = [
            sum(v.label == label and v.split == split and not v.reason for v in videos) for split in folders.SPLITS
        ]
        lines.append(
            f"{name:<{width}}"
            + "".join(f"{count:>7}" for count in counts)
            + ("" if counts[0] else "   nothing to train on")
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
