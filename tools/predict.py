#!/usr/bin/env python3
"""Say what happens in videos.

Example:
    python tools/predict.py --weights output/synthav_avslowfast data/synthav/test/000000.mp4

WEIGHTS is a run's OUTPUT_DIR, a checkpoint of any supported format, or with --model the weights of that configuration. Names of the
classes come from the checkpoint. Exit codes: 0 done; 2 a mistake, or a file that cannot be read (the others are predicted all the same).
"""

import argparse
import csv
import sys

import avslowfast
from avslowfast.media import DecodeError
from avslowfast.preparation.folders import list_videos
from avslowfast.utils.errors import UserError


def main(argv=None):
    """Predict each file; print and, where asked for, write a CSV."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="OUTPUT_DIR of a run, or a checkpoint")
    parser.add_argument("--model", help="configuration of a checkpoint that holds none, e.g. SLOWFAST_8x8_R50")
    parser.add_argument("--topk", type=int, default=5, help="classes to print (default: %(default)s)")
    parser.add_argument("--views", type=int, help="clips over each video's length (default: the configuration's)")
    parser.add_argument("--csv", help="file for a table: path, rank, class, score")
    parser.add_argument("videos", nargs="+", help="video files, or folders of them")
    args = parser.parse_args(argv)
    try:
        model, _ = (
            avslowfast.load_model(args.model, args.weights) if args.model else avslowfast.load_model(args.weights)
        )
        rows, failed = run(model, list_videos(args.videos), args.topk, args.views)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if args.csv:
        with open(args.csv, "w", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows([["path", "classifier", "rank", "class", "score"], *rows])
    return 2 if failed else 0


def run(model, paths, topk, views):
    """Predict and print: (rows of the table, number of files that could not be read)."""
    rows, failed = [], 0
    for path in paths:
        try:
            result = avslowfast.predict(model, path, topk, views)
        except DecodeError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        print(path)
        for head, best in (result if isinstance(result, dict) else {"": result}).items():
            for rank, (name, _, score) in enumerate(best, 1):
                print(f"  {100 * score:5.1f} %  {head + ': ' if head else ''}{name}")
                rows.append([path, head, rank, name, f"{score:.6g}"])
    return rows, failed


if __name__ == "__main__":
    sys.exit(main())
