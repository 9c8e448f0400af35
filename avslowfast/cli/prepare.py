"""Make downloaded videos quick to read, and say what is missing.

Examples:
    avslowfast prepare kinetics400 --annotations k400/annotations --videos k400/downloaded --out data/k400
    avslowfast prepare epic55 --annotations epic55/annotations --videos epic55/videos --out data/epic55
    avslowfast prepare ava --annotations ava/annotations --videos ava/movies --out data/ava --check
    avslowfast prepare kinetics400 --annotations A --videos V --out data/k400 --shard 3/8
    avslowfast prepare kinetics400 --annotations A --videos V --out data/k400 --merge
    avslowfast prepare kinetics400 --annotations A --videos V --out data/k400 --slurm array=8 cpus=16 time=2:00:00

NAME: kinetics400, kinetics600, kinetics_sounds, epic55, epic100, charades, ava, ave, vggsound, ucf101, hmdb51.
Annotations are the official label files, unchanged. Videos may have any ending and be in any folder, as long as their
names are those of the labels. Each is written to OUT/videos as H.264 and AAC: short side 256, a key frame every second,
audio at its original times (of AVA's movies only seconds 900 to 1801). An interrupted run resumes when the command is
given again. Missing and unreadable videos, and those of which something was left out, are counted and listed in
OUT/problems.csv. One that crashes the decoder is tried twice, one that takes longer than --timeout once; the next run
tries these again only when they have changed since, with more time, or with --retry. For Kinetics OUT/lists receives
train.csv, val.csv, test.csv and classes.txt.
Several machines with one OUT: --shard I/N prepares the I-th of N shares (1/N to N/N), --merge puts together what they
have found out, as a single run would have written it. A share that was killed is given again.
Exit codes: 0 done; 2 a mistake, not one video in the folder or prepared, or shares to merge that are not done.
"""

import argparse
import contextlib
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .parser import CommandParser, count_of, seconds, training_command, UsageError, written

if TYPE_CHECKING:
    from ..preparation.plan import NamedVideos
    from ..preparation.prepare import Job
    from ..preparation.shares import Settings, Share

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
    parser.add_argument("--out", type=written, required=True, metavar="DIR", help="folder to write")
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
    several = parser.add_mutually_exclusive_group()
    several.add_argument(
        "--shard", type=_share, metavar="I/N", help="prepare only the I-th of N shares, I from 1 to N, one per machine"
    )
    several.add_argument("--merge", action="store_true", help="write the lists and problems of shares that are done")
    parser.add_slurm()
    parser.add_argument("--dry-run", action="store_true", help="with --slurm: print the batch script and end")


def _share(text: str) -> tuple[int, int]:
    """The type of --shard."""
    number = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    index, count = map(int, number.groups()) if number else (0, 0)
    if not 1 <= index <= count:
        raise argparse.ArgumentTypeError(f"{text!r} is no share I/N with I from 1 to N, such as 1/8 or 8/8")
    return index, count


def run(args: argparse.Namespace) -> int:
    """Plan, prepare or merge, list, summarise."""
    from ..config import ConfigError
    from ..preparation.plan import named_videos
    from ..preparation.prepare import plan_jobs, PREPARED, write_problems
    from ..preparation.shares import merge, Settings, Share

    if args.slurm is not None:
        from .submission import submit_preparation

        return submit_preparation(args)
    if args.dry_run:
        raise UsageError("--dry-run prints what --slurm submits; without it, give --check")
    if args.merge and args.check:
        raise UsageError("--check looks for videos, --merge does not; give one of them")
    named = named_videos(args.name, args.annotations, args.videos)
    notes = list(named.notes)
    jobs = plan_jobs(named.paths, args.videos, os.path.join(args.out, "videos"), not args.merge, notes)
    for note in notes:
        print(f"note: {note}")
    settings = Settings.of(args.name, args.short_side, jobs)
    problems = os.path.join(args.out, "problems.csv")
    if args.merge:
        done = merge(jobs, args.out, settings)
        write_problems(jobs, problems, done)
    else:
        jobs = _prepare(args, jobs, Share(*(args.shard or (1, 1))), settings, problems)
    print(_summary(jobs, list(named.paths), "problems.csv after --merge" if args.shard else "problems.csv"))
    if args.shard and not args.check:
        print(f"\nWhen all {args.shard[1]} shares are done, give the command with --merge in the place of --shard I/N.")
    elif not args.check:
        if not any(job.state in PREPARED for job in jobs):
            raise ConfigError(f"{args.videos}: not one of its videos could be prepared; the reasons: {problems}")
        _list(args, named, jobs)
    return 0


def _prepare(
    args: argparse.Namespace, jobs: "list[Job]", share: "Share", settings: "Settings", problems: str
) -> "list[Job]":
    """Prepare a share; gives its jobs.

    Args:
        args: Of this command.
        jobs: All videos; those of the share are changed in place.
        share: The share; 1 of 1 is all.
        settings: What all shares have in common.
        problems: The table of an earlier run over all videos, which a run over all videos writes anew.
    """
    from ..config import ConfigError
    from ..preparation.prepare import find_prepared, prepare, write_problems
    from ..preparation.shares import forget, held, of_share, ShareRecord

    if not any(job.source or os.path.isfile(job.out) for job in jobs):
        raise ConfigError(
            f"{args.videos}: not one of the {len(jobs)} videos of {args.name} is in it, "
            f"the first looked for: {jobs[0].wanted}"
        )
    jobs, everything = of_share(jobs, share), share.count == 1
    with contextlib.ExitStack() as stack:
        record = ShareRecord(args.out, share, settings)
        if not args.check:
            record = stack.enter_context(held(args.out, share, settings))
        find_prepared(jobs, problems, args.timeout, args.retry)
        record.restore(jobs, args.timeout, args.retry)
        try:
            if not args.check:
                record.begin(jobs)
                videos = os.path.join(args.out, "videos")
                prepare(jobs, videos, args.short_side, args.name == "ava", args.jobs, args.timeout, record.add)
                record.finish()
        finally:
            # What a stopped run has found out, the next one need not.
            if everything:
                write_problems(jobs, problems)
        if everything and not args.check:
            forget(args.out)
    return jobs


def _list(args: argparse.Namespace, named: "NamedVideos", jobs: "Sequence[Job]") -> None:
    """Write the lists of the prepared videos, and say how to train on them."""
    from ..preparation.plan import DATA_SETS, write_lists
    from ..preparation.prepare import PREPARED

    data_set, annotations = DATA_SETS[args.name], args.annotations
    if data_set.release:
        annotations = os.path.join(args.out, "lists")
        there = [job.name for job in jobs if job.state in PREPARED]
        if write_lists(annotations, named, there):
            print("note: the test has no labels; test.csv holds the validation videos, as in the literature")
    words = ["DATA.PATH_TO_DATA_DIR", annotations, "DATA.PATH_PREFIX", os.path.join(args.out, "videos")]
    words += ["DATA.VIDEO_FILE", data_set.video_file] if data_set.video_file else []
    print(f"\nNext, for example:\n  {training_command(args, data_set.config, words)}")


def _summary(jobs: "Sequence[Job]", splits: Sequence[str], table: str) -> str:
    """A table of states by split, as lines; `table` is where all problems stand."""
    from ..preparation.prepare import count_states
    from ..utils.text import counted, on_one_line

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
            lines.append(f"{state}: the first is {on_one_line(first.wanted)}{reason}; all of them: {table}")
    return "\n".join(lines)
