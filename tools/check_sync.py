#!/usr/bin/env python3
"""Estimate how far a video's sound lies from its pictures.

Example:
    python tools/check_sync.py data/synthav_bounces/test/000000.mp4 --weights output/synthav_sync --plot sync.png

WEIGHTS is a network trained with synchronisation (TASK sync or pretrain, or a classifier with SLOWFAST.AVS_FLAG): a run's OUTPUT_DIR or a
checkpoint. A positive offset means that the sound comes late. Exit codes: 0 done; 2 a mistake, or a file that cannot be read.
"""

import argparse
import os
import sys

import avslowfast
from avslowfast.inference.offset import estimate_offset
from avslowfast.utils.errors import UserError
from avslowfast.visualization.draw import draw_offset


def main(argv=None):
    """Estimate the offset of each file; print, and draw where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files with sound")
    parser.add_argument("--weights", required=True, help="OUTPUT_DIR of a run, or a checkpoint")
    parser.add_argument(
        "--max-shift",
        type=float,
        default=1.5,
        metavar="SECONDS",
        help="largest offset considered (default: %(default)s)",
    )
    parser.add_argument(
        "--step", type=float, default=0.04, metavar="SECONDS", help="from one shift to the next (default: %(default)s)"
    )
    parser.add_argument(
        "--stages",
        nargs="+",
        help="stages whose distances are averaged, e.g. res4 res5 (default: all that the network compares)",
    )
    parser.add_argument(
        "--plot",
        metavar="FILE",
        help="picture of the distances over shifts; of several videos each gets its number before the ending",
    )
    args = parser.parse_args(argv)
    if not 0 < args.step <= args.max_shift:
        parser.error(f"--step {args.step} and --max-shift {args.max_shift} make no range; use for example 0.04 and 1.5")
    try:
        model, _ = avslowfast.load_model(args.weights)
        for number, video in enumerate(args.videos):
            found = estimate_offset(model, video, args.max_shift, args.step, args.stages)
            direction = "late" if found.seconds > 0 else "early"
            print(
                f"{video}: the sound is {1000 * abs(found.seconds):.0f} ms {direction} (confidence {found.confidence:.3f}, {found.clips} clips)"
            )
            if args.plot:
                path = args.plot if len(args.videos) == 1 else f"_{number}.".join(args.plot.rsplit(".", 1))
                draw_offset(found.shifts, found.curves, found.seconds, os.path.basename(video), path)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
