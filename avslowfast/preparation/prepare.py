"""From the folders that a person downloads to videos that are quick to read, and lists of what is missing."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tqdm import tqdm

from ..media import DecodeError, transcode, VideoReader
from ..media.files import is_video, PassedOver, walk_files
from ..utils.files import replaced_by, sweep, temporary_of
from ..utils.text import counted, write_csv
from .pool import Lost, lost_before, rows_of, run_each

# Seconds that one video may take.
TIMEOUT = 7200.0
# What AVA uses of each movie, seconds.
AVA_SPAN = (900.0, 1801.0)
# Seconds by which a movie has to exceed that span to count as a whole movie.
_WHOLE_MOVIE_MARGIN = 60.0

# found: in the downloads, not prepared yet. prepared: by this run. there: by an earlier run. refused: its name leads
# out of the folder of prepared videos, or is another one's.
State = Literal["found", "prepared", "there", "missing", "unreadable", "refused"]
STATES: tuple[State, ...] = ("found", "prepared", "there", "missing", "unreadable", "refused")
_PROBLEMS = ("missing", "unreadable", "refused")
PREPARED = ("prepared", "there")


@dataclass
class Job:
    """A video that a data set names.

    Attributes:
        name: Its path below the folder of prepared videos.
        wanted: Where it is according to the label files.
        source: The downloaded file, None for a missing one.
        out: The prepared file.
        splits: The splits that name it.
        state: See `State`.
        reason: Why it could not be prepared, or what of it was left out.
        damaged_packets: Packets and frames of the source that could not be decoded, or only in part.
        audio_problem: Why the prepared file has no audio although its source has; "" where it has.
        lost_before: Whether an earlier run says so, and the file was not tried again.
    """

    name: str
    wanted: str
    source: str | None
    out: str
    splits: set[str] = field(default_factory=set)
    state: State = "missing"
    reason: str = ""
    damaged_packets: int = 0
    audio_problem: str = ""
    lost_before: bool = False


def find_files(folder: str, notes: list[str] | None = None) -> dict[str, list[str]]:
    """{name without ending: paths} of the videos below a folder.

    For videos whose ending or folder differs from what the labels say.

    Args:
        folder: Folder of the downloads.
        notes: Receives what could not be looked into, in one line.
    """
    files: dict[str, list[str]] = {}
    passed_over: list[PassedOver] = []
    for path in filter(is_video, walk_files(folder, passed_over)):
        files.setdefault(os.path.splitext(os.path.basename(path))[0], []).append(path)
    lost = [item for item in passed_over if item.lost]
    if lost and notes is not None:
        notes.append(f"passed over: {counted(len(lost), 'folder')}; the first: {lost[0].path}: {lost[0].reason}")
    return files


def plan_jobs(
    paths: Mapping[str, Iterable[str]], prefix: str, out: str, search: bool = True, notes: list[str] | None = None
) -> list[Job]:
    """Jobs for the videos that label files name.

    Args:
        paths: {split: paths of its videos}, as the data set's reader gives them.
        prefix: Folder of the downloaded videos, with which these paths begin.
        out: Folder of the prepared videos.
        search: Look for the downloaded files; otherwise all are missing.
        notes: Receives what is doubtful about these files, a line each.
    """
    files = find_files(prefix, notes) if search else {}
    doubtful: list[list[str]] = []
    jobs: dict[str, Job] = {}
    names: dict[str, str] = {}
    for split, wanted in paths.items():
        for path in wanted:
            job = jobs.get(path)
            if job is None:
                name = os.path.relpath(path, prefix)
                stem, ending = os.path.splitext(name)
                name = name if ending.lower() == ".mp4" else stem + ".mp4"
                found = files.get(os.path.splitext(os.path.basename(path))[0], [])
                source = path if search and os.path.isfile(path) else next(iter(found), None)
                if source != path and len(found) > 1:
                    doubtful.append(found)
                job = jobs[path] = Job(name, path, source, os.path.join(out, name))
                job.reason = _why_refused(job, out, names.setdefault(os.path.normpath(name), path))
                job.state = "refused" if job.reason else "missing"
            job.splits.add(split)
    if doubtful and notes is not None:
        first, second = doubtful[0][:2]
        notes.append(
            f"there are several files of {counted(len(doubtful), 'video')}; of the first {first} is taken, not {second}"
        )
    return list(jobs.values())


def _why_refused(job: Job, out: str, first: str) -> str:
    """Why a video is not written by its name in the label files; "" where it is.

    Args:
        job: The video.
        out: Folder of the prepared videos.
        first: The first video whose prepared file has this name.
    """
    folder = os.path.abspath(out)
    if os.path.commonpath([folder, os.path.abspath(job.out)]) != folder:
        return f"its name {job.name!r} leads out of the folder of prepared videos"
    if "\n" in job.name or "\r" in job.name:
        return f"its name {job.name!r} has a line break"
    return "" if first == job.wanted else f"its prepared file would be that of {first}"


def find_prepared(jobs: Sequence[Job], problems: str = "", timeout: float = TIMEOUT, retry: bool = False) -> None:
    """Fill in which videos are there, which were lost by an earlier run, and which have been found.

    Args:
        jobs: They are changed in place.
        problems: What `write_problems` of an earlier run has written.
        timeout: Seconds that one video may take.
        retry: Try everything again that is not prepared.
    """
    sources = {} if retry else {job.wanted: job.source for job in jobs if job.source is not None}
    lost = lost_before(problems, sources, timeout)
    left_out = {path: reason for path, state, reason in rows_of(problems) if state in PREPARED}
    for job in jobs:
        if job.state == "refused":
            continue
        if os.path.isfile(job.out):
            job.state, job.reason = "there", left_out.get(job.wanted, "")
        elif job.wanted in lost:
            job.state, job.reason, job.lost_before = "unreadable", lost[job.wanted], True
        elif job.source is not None:
            job.state = "found"


def prepare(
    jobs: Sequence[Job],
    out: str,
    short_side: int = 256,
    movies: bool = False,
    workers: int = 1,
    timeout: float = TIMEOUT,
    report: Callable[[Job], None] = lambda job: None,
) -> None:
    """Prepare the videos that have been found, with one progress bar, and fill in the jobs' states.

    Args:
        jobs: They are changed in place. No other process works on them; what one that was killed has half written of
            them is removed.
        out: Folder of the prepared videos.
        short_side: Of the prepared videos, pixels.
        movies: Keep only AVA's span of each file.
        workers: Number of processes.
        timeout: Seconds that one video may take.
        report: Is given each job when it is done.
    """
    names = {job.out for job in jobs}
    sweep(path for path in walk_files(out) if replaced_by(path) in names)
    waiting = [job for job in jobs if job.state == "found"]
    # The cores of one video's decoder are those of the other workers.
    threads = 1 if min(workers, len(waiting)) > 1 else 0
    tasks = [(str(job.source), job.out, short_side, movies, threads) for job in waiting]
    results = run_each(_prepare, tasks, workers, timeout, clean=lambda task: _discard(task[1]))
    for number, result in tqdm(results, total=len(tasks), desc="preparing", disable=None):
        job = waiting[number]
        if isinstance(result, Lost):
            job.reason = result.reason
        else:
            job.damaged_packets, job.audio_problem, job.reason = result
        job.state = "unreadable" if job.reason else "prepared"
        job.reason = job.reason or _left_out(job)
        report(job)


def _left_out(job: Job) -> str:
    """What a prepared video lacks of its source, "" where it lacks nothing."""
    damaged = f"{counted(job.damaged_packets, 'damaged packet')} left out" if job.damaged_packets else ""
    silent = f"without its audio: {job.audio_problem}" if job.audio_problem else ""
    return "; ".join(filter(None, (damaged, silent)))


def _discard(out: str) -> None:
    """Remove what a process has left that was to write a file."""
    sweep(temporary_of(out))


def _prepare(task: tuple[str, str, int, bool, int]) -> tuple[int, str, str]:
    """What became of a file.

    Args:
        task: (source, file to write, short side, whether it is a movie, decoding threads).

    Returns:
        (damaged packets, why it has no audio, why it could not be prepared).
    """
    source, out, short_side, movie, threads = task
    try:
        span = None
        if movie:
            with VideoReader(source) as reader:
                # Movies that are cut to AVA's span begin where it does.
                whole = reader.video.end > AVA_SPAN[1] - AVA_SPAN[0] + _WHOLE_MOVIE_MARGIN
                span = AVA_SPAN if whole else None
        done = transcode(source, out, short_side, span, threads=threads)
    except DecodeError as error:
        return 0, "", error.reason_for(source)
    lost = done.frames_read - done.frames_written
    if lost:
        os.remove(out)
        return done.damaged_packets, "", f"{lost} of its {done.frames_read} frames were lost in writing"
    return done.damaged_packets, done.audio_problem, ""


def count_states(jobs: Sequence[Job], splits: Iterable[str]) -> dict[str, dict[State, int]]:
    """Number of videos in each state, of each split.

    Args:
        jobs: All videos.
        splits: The splits to count; "all" counts every video once.

    Returns:
        {split: {state: number}}, without states in which there is no video at all.
    """
    states = [state for state in STATES if any(job.state == state for job in jobs)]
    return {
        split: {
            state: sum(job.state == state and (split == "all" or split in job.splits) for job in jobs)
            for state in states
        }
        for split in splits
    }


def write_problems(jobs: Sequence[Job], path: str, known_since: float | None = None) -> None:
    """Write a CSV of the videos that are not prepared, or not whole; where there are none, an existing one is removed.

    Args:
        jobs: All videos.
        path: The file.
        known_since: The file's time: a video that changes later is another one. None is now.
    """
    bad = [job for job in jobs if job.state in _PROBLEMS or job.state in PREPARED and job.reason]
    if not bad:
        if os.path.exists(path):
            os.remove(path)
        return
    rows = [[job.wanted, " ".join(sorted(job.splits)), job.state, job.reason] for job in bad]
    write_csv(path, [["path", "splits", "state", "reason"], *rows])
    if known_since is not None:
        os.utime(path, (known_since, known_since))
