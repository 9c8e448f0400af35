"""From the folders that a person downloads to videos that are quick to read, and lists of what is there."""

import csv
import os
from concurrent.futures import as_completed, ProcessPoolExecutor
from dataclasses import dataclass, field

from tqdm import tqdm

from ..media import DecodeError, transcode, VideoReader
from ..media.files import is_video

# What AVA looks at of each movie, seconds.
AVA_SPAN = (900.0, 1801.0)


@dataclass
class Job:
    """A video that a data set names.

    Attributes:
        name: its path below the folder of prepared videos. wanted: where the label files say that it lies.
        source: where it was found, None for a missing one. out: where it goes. reason: why it could not be prepared.
        state: prepared | there (an earlier run has prepared it) | missing | unreadable.
    """

    name: str
    wanted: str
    source: str | None
    out: str
    splits: set = field(default_factory=set)
    state: str = "missing"
    reason: str = ""
    damaged: int = 0


def find_files(folder):
    """Media files below a folder by the stem of their names, for videos whose ending or place differs from what the labels say."""
    found = {}
    for base, folders, files in os.walk(folder, followlinks=True):
        folders.sort()
        for name in sorted(files):
            stem, ending = os.path.splitext(name)
            if is_video(name):
                found.setdefault(stem, os.path.join(base, name))
    return found


def plan_jobs(paths, prefix, out):
    """Jobs for the videos that label files name.

    Args:
        paths: {split: paths of its videos}, as the data set's reader gives them. prefix: the folder in which they are looked for.
        out: folder of the prepared videos.
    """
    files, jobs = find_files(prefix), {}
    for split, wanted in paths.items():
        for path in wanted:
            job = jobs.get(path)
            if job is None:
                name = os.path.relpath(path, prefix)
                stem, ending = os.path.splitext(name)
                name = name if ending.lower() == ".mp4" else stem + ".mp4"
                source = path if os.path.isfile(path) else files.get(os.path.splitext(os.path.basename(path))[0])
                job = jobs[path] = Job(name, path, source, os.path.join(out, name))
            job.splits.add(split)
    return list(jobs.values())


def _prepare(source, out, short_side, movie):
    try:
        span = None
        if movie:
            with VideoReader(source) as reader:
                # Movies that are cut to AVA's span already begin where it does.
                span = AVA_SPAN if reader.video.end > AVA_SPAN[1] - AVA_SPAN[0] + 60 else None
        return transcode(source, out, short_side, span).damaged_packets, ""
    except DecodeError as error:
        return 0, str(error)


def prepare(jobs, short_side=256, movies=False, workers=1, dry=False):
    """Prepare what is not there yet, on `workers` processes, with one progress bar; fills in the jobs' states.

    Args:
        movies: keep AVA's span of each file alone. dry: look, write nothing.
    """
    waiting = []
    for job in jobs:
        if os.path.isfile(job.out):
            job.state = "there"
        elif job.source is not None:
            waiting.append(job)
            job.state = "found" if dry else job.state
    if dry:
        return
    with ProcessPoolExecutor(workers) as pool:
        futures = {pool.submit(_prepare, job.source, job.out, short_side, movies): job for job in waiting}
        for future in tqdm(as_completed(futures), total=len(futures), desc="preparing", disable=None):
            job = futures[future]
            job.damaged, job.reason = future.result()
            job.state = "unreadable" if job.reason else "prepared"


def write_problems(jobs, path):
    """A CSV of the missing and unreadable videos; removed where there are none."""
    bad = [job for job in jobs if job.state in ("missing", "unreadable")]
    if not bad:
        if os.path.exists(path):
            os.remove(path)
        return
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as f:
        rows = [[job.wanted, " ".join(sorted(job.splits)), job.state, job.reason] for job in bad]
        csv.writer(f).writerows([["path", "splits", "state", "reason"], *rows])
