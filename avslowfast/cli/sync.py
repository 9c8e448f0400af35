"""Estimate how far a video's audio is from its frames.

Example:
    avslowfast sync data/synthav_bounces/test/000000.mp4 --weights output/synthav_sync --plot sync.png

WEIGHTS is a network trained with synchronisation (TASK sync or pretrain, or a classifier with SLOWFAST.AVS_FLAG): a
run's OUTPUT_DIR or a checkpoint. A positive offset means that the audio is late. The distance of frames and audio is
averaged over clips at each shift of the audio; the offset is where it is lowest. Confidence is by how many standard
deviations that minimum is deeper than when the clips are shifted against each other at random: clips that agree make
it high, however small the distances are. Below 4, or with another minimum as deep, the answer is "cannot tell". Exit
codes: 0 done; 2 a mistake, or a file that cannot be read or has no audio (the others are measured all the same).
"""

import argparse
import dataclasses
import json
import os
import sys
from typing import TYPE_CHECKING

from ..utils.errors import MISTAKE
from .parser import CommandParser, drawn_file, load_model, seconds, UsageError, written_file

if TYPE_CHECKING:
    from ..inference.offset import Offset


def add_arguments(parser: CommandParser) -> None:
    """Videos, a network, the offsets that are tried."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="video files with audio, or folders of them")
    parser.add_weights()
    parser.add_argument(
        "--max-shift",
        type=seconds,
        default=1.5,
        metavar="SECONDS",
        help="largest offset considered (default: %(default)s)",
    )
    parser.add_argument(
        "--step",
        type=seconds,
        default=0.04,
        metavar="SECONDS",
        help="from one shift to the next (default: %(default)s)",
    )
    parser.add_argument(
        "--stages",
        nargs="+",
        help="stages whose distances are averaged, e.g. res4 res5 (default: all that the network compares)",
    )
    parser.add_argument(
        "--csv", type=written_file, metavar="FILE", help="table: path, seconds, confidence, clips, reason, error"
    )
    parser.add_argument("--json", type=written_file, metavar="FILE", help="the same as JSON")
    parser.add_argument(
        "--plot",
        type=drawn_file,
        metavar="FILE",
        help="plot of the distances over shifts; of several videos each gets its number before the ending",
    )


def run(args: argparse.Namespace) -> int:
    """Estimate the offset of each file; print, and draw where asked to."""
    if not 0 < args.step <= args.max_shift:
        raise UsageError(
            f"--step {args.step} and --max-shift {args.max_shift} make no range; use for example 0.04 and 1.5"
        )
    from ..inference.offset import compared_stages, estimate_offset, SyncNotMeasurableError
    from ..inference.scoring import NotFiniteError
    from ..media import DecodeError
    from ..media.files import list_videos
    from ..utils.files import replacing
    from ..utils.text import write_csv

    model, _ = load_model(args)
    compared_stages(model, args.stages)
    videos, rows = list_videos(args.videos), []
    for number, video in enumerate(videos):
        try:
            offset = estimate_offset(model, video, args.max_shift, args.step, args.stages)
        except (DecodeError, NotFiniteError, SyncNotMeasurableError) as error:
            print(f"error: {error}", file=sys.stderr)
            rows.append(Row(video, error=str(error).removeprefix(f"{video}: ")))
            continue
        print(f"{video}: {_words(offset)}")
        rows.append(Row(video, offset.seconds, offset.confidence, offset.clips, offset.reason))
        if args.plot:
            from ..visualization.draw import draw_offset

            path = args.plot if len(videos) == 1 else f"_{number}".join(os.path.splitext(args.plot))
            draw_offset(offset.shifts, offset.curves, offset.seconds, os.path.basename(video), path)
    if args.csv:
        names = [field.name for field in dataclasses.fields(Row)]
        table = [["" if value is None else value for value in dataclasses.astuple(row)] for row in rows]
        write_csv(args.csv, [names, *table])
    if args.json:
        with replacing(args.json) as part, open(part, "w", encoding="utf-8", errors="backslashreplace") as f:
            json.dump([dataclasses.asdict(row) for row in rows], f, indent=1)
    return MISTAKE if any(row.error for row in rows) else 0


@dataclasses.dataclass(frozen=True)
class Row:
    """What the tables say of a video; `seconds` is None where nothing can be told, all are None with an error."""

    path: str
    seconds: float | None = None
    confidence: float | None = None
    clips: int | None = None
    reason: str = ""
    error: str = ""


def _words(offset: "Offset") -> str:
    if offset.seconds is None:
        return f"cannot tell (confidence {offset.confidence:.1f}, {offset.clips} clips): {offset.reason}"
    direction = "late" if offset.seconds > 0 else "early"
    return (
        f"the audio is {1000 * abs(offset.seconds):.0f} ms {direction} "
        f"(confidence {offset.confidence:.1f}, {offset.clips} clips)"
    )
