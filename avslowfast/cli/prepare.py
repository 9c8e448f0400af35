"""Make downloaded videos quick to read, and say what is missing.

Examples:
    avslowfast prepare kinetics400 --annotations k400/annotations --videos k400/downloaded --out data/k400
    avslowfast prepare epic55 --annotations epic55/annotations --videos epic55/videos --out data/epic55
    avslowfast prepare ava --annotations ava/annotations --videos ava/movies --out data/ava --check

NAME: kinetics400, kinetics600, kinetics_sounds, epic55, epic100, charades, ava, ave, vggsound, ucf101, hmdb51.
Annotations are the official label files, unchanged. Videos may have any ending and be in any folder, as long as their
names are those of the labels. Each is written to OUT/videos as H.264 and AAC: short side 256, a key frame every second,
audio at its original times (of AVA's movies only seconds 900 to 1801). An interrupted run resumes when the command is
given again. Missing and unreadable videos, and those of which something was left out, are counted and listed in
OUT/problems.csv. One that crashes the decoder is tried twice, one that takes longer than --timeout once; the next run
tries these again only when they have changed since, with more time, or with --retry. For Kinetics OUT/lists receives
train.csv, val.csv, test.csv and classes.txt.
Exit codes: 0 done; 2 a mistake, or not one video in the folder.
"""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .parser import CommandParser, count_of, seconds, training_command

if TYPE_CHECKING:
    from ..preparation.prepare import Job

NAMES = (
    "kinetics400",
    "kinetics600",
    "kinetics_sounds",
    "epic55",
    "epic100",
    "charades",
    "ava",
    "ave",
    "vggsound",
    "ucf101",
    "hmdb51",
)


def add_arguments(parser: CommandParser) -> None:
    """A data set, its folders, how it is done."""
    parser.add_argument("name", choices=NAMES, metavar="NAME", help="the data set")
    parser.add_argument("--annotations", required=True, metavar="DIR", help="folder of the label files")
    parser.add_argument("--videos", required=True, metavar="DIR", help="folder of the downloaded videos")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--short-side",
        type=count_of(2, 8192),
        default=256,
        metavar="PIXELS",
        help="short side of the prepared videos (default: %(default)s)",
    )
    parser.add_argument(
        "--jobs",
        type=count_of(1, 1024),
        default=os.cpu_count(),
        help="videos prepared at a time (default: one per core)",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=7200.0,
        metavar="SECONDS",
        help="time for one video; one that takes longer is left out and named (default: %(default)g)",
    )
    parser.add_argument(
        "--retry", action="store_true", help="try videos again that crashed the decoder or took too long"
    )
    parser.add_argument("--check", action="store_true", help="say what is there and what is missing; write no video")


def run(args: argparse.Namespace) -> int:
    """Plan, prepare, list, summarise."""
    from ..config import ConfigError
    from ..preparation.plan import DATA_SETS, named_videos, write_lists
    from ..preparation.prepare import find_prepared, plan_jobs, prepare, write_problems

    data_set, prepared = DATA_SETS[args.name], os.path.join(args.out, "videos")
    named = named_videos(args.name, args.annotations, args.videos)
    for note in named.notes:
        print(f"note: {note}")
    jobs = plan_jobs(named.paths, args.videos, prepared)
    if not any(job.source or os.path.isfile(job.out) for job in jobs):
        raise ConfigError(
            f"{args.videos}: not one of the {len(jobs)} videos of {args.name} is in it, "
            f"the first looked for: {jobs[0].wanted}"
        )
    problems = os.path.join(args.out, "problems.csv")
    find_prepared(jobs, problems, args.timeout, args.retry)
    try:
        if not args.check:
            prepare(jobs, prepared, args.short_side, args.name == "ava", args.jobs, args.timeout)
    finally:
        # What a stopped run has found out, the next one need not.
        write_problems(jobs, problems)
    print(_summary(jobs, list(named.paths)))
    if args.check:
        return 0
    annotations = args.annotations
    if data_set.release:
        annotations = os.path.join(args.out, "lists")
        there = [job.name for job in jobs if job.state in ("prepared", "there")]
        if write_lists(annotations, named, there):
            print("note: the test has no labels; test.csv holds the validation videos, as in the literature")
    words = f"DATA.PATH_TO_DATA_DIR {annotations} DATA.PATH_PREFIX {prepared}"
    pattern = f" DATA.VIDEO_FILE '{data_set.video_file}'" if data_set.video_file else ""
    print(f"\nNext, for example:\n  {training_command(args, data_set.config)} {words}{pattern}")
    return 0


def _summary(jobs: "Sequence[Job]", splits: Sequence[str]) -> str:
    """A table of states by split, as lines."""
    from ..preparation.prepare import count_states
    from ..utils.text import counted

    counts = count_states(jobs, [*splits, "all"])
    width = max(map(len, counts))
    lines = [f"{'':<{width}}{'videos':>12}" + "".join(f"{state:>12}" for state in counts["all"])]
    for split, by_state in counts.items():
        lines.append(f"{split:<{width}}" + "".join(f"{n:>12}" for n in (sum(by_state.values()), *by_state.values())))
    damaged = [job for job in jobs if job.damaged_packets]
    if damaged:
        lines.append(
            f"{counted(len(damaged), 'file')} had damaged packets, which were left out; "
            f"the first: {damaged[0].source} ({damaged[0].damaged_packets})"
        )
    silent = [job for job in jobs if job.audio_problem]
    if silent:
        lines.append(
            f"prepared without their audio, which cannot be decoded: {len(silent)}; "
            f"the first: {silent[0].source} ({silent[0].audio_problem})"
        )
    lost = sum(job.lost_before for job in jobs)
    if lost:
        lines.append(
            f"{lost} of the unreadable ones crashed the decoder or took too long in an earlier run; --retry tries again"
        )
    for state in ("missing", "unreadable", "refused"):
        first = next((job for job in jobs if job.state == state), None)
        if first:
            reason = f": {first.reason}" if first.reason else ""
            lines.append(f"{state}: the first is {first.wanted}{reason}; all of them: problems.csv")
    return "\n".join(lines)
