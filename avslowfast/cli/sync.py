"""Estimate how far a video's audio is from its frames.

Example:
    avslowfast sync data/synthav_bounces/test/000000.mp4 --weights output/synthav_sync --plot sync.png

WEIGHTS is a network trained with synchronisation (TASK sync or pretrain, or a classifier with SLOWFAST.AVS_FLAG): a
run's OUTPUT_DIR or a checkpoint. A positive offset means that the audio is late. Exit codes: 0 done; 2 a mistake, or
a file that cannot be read.
"""

import argparse
import os

from .parser import CommandParser, load_model, UsageError


def add_arguments(parser: CommandParser) -> None:
    """Videos, a network, the offsets that are tried."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files with audio")
    parser.add_weights()
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
        help="plot of the distances over shifts; of several videos each gets its number before the ending",
    )


def run(args: argparse.Namespace) -> int:
    """Estimate the offset of each file; print, and draw where asked to."""
    if not 0 < args.step <= args.max_shift:
        raise UsageError(
            f"--step {args.step} and --max-shift {args.max_shift} make no range; use for example 0.04 and 1.5"
        )
    from ..inference.offset import estimate_offset

    model, _ = load_model(args)
    for number, video in enumerate(args.videos):
        estimate = estimate_offset(model, video, args.max_shift, args.step, args.stages)
        direction = "late" if estimate.seconds > 0 else "early"
        print(
            f"{video}: the audio is {1000 * abs(estimate.seconds):.0f} ms {direction} "
            f"(confidence {estimate.confidence:.3f}, {estimate.clips} clips)"
        )
        if args.plot:
            from ..visualization.draw import draw_offset

            path = args.plot if len(args.videos) == 1 else f"_{number}.".join(args.plot.rsplit(".", 1))
            draw_offset(estimate.shifts, estimate.curves, estimate.seconds, os.path.basename(video), path)
    return 0
