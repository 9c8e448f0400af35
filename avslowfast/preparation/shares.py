"""A data set that several machines prepare, each its share: what each has found out, and how that is put together."""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simplejson

from ..utils.errors import UserError
from ..utils.files import paths_in
from ..utils.lock import FolderLock, starts_again
from ..utils.text import counted, listed, open_text, parse_json, write_lines
from .pool import still_lost
from .prepare import Job

# Folder of the shares' records in the folder that is written.
FOLDER = "shares"
_RECORD = "videos.jsonl"
# Seconds for which a task that starts again waits for its former start.
_PATIENCE = 300.0
# What a record says of a video, as `Job` does.
_FIELDS = ("source", "state", "reason", "damaged_packets", "audio_problem", "lost_before")
# Shares that one message names, at most.
_NAMED = 5


class ShareError(UserError, ValueError):
    """Shares that do not fit together, or not all of which are done; the message says which and what to do."""


@dataclass(frozen=True)
class Share:
    """One of the shares into which a data set is divided; the whole of it is 1 of 1.

    Attributes:
        index: From 1.
        count: Number of shares.
    """

    index: int
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def of_share(jobs: Sequence[Job], share: Share) -> list[Job]:
    """The jobs of a share.

    Videos are dealt out in the order of the label files, whatever has been downloaded so far: a share is the same when
    it is given again, the shares differ by one video, and the videos of one person or class, which are alike in
    length and stand together, are spread over all of them. Those of one name are one share's: their download may be
    one file.

    Args:
        jobs: All videos.
        share: Which share.
    """
    places: dict[str, int] = {}
    return [job for job in jobs if places.setdefault(_stem(job), len(places)) % share.count == share.index - 1]


def _stem(job: Job) -> str:
    return os.path.splitext(os.path.basename(job.wanted))[0]


@dataclass(frozen=True)
class Settings:
    """What has to be the same for all shares.

    Attributes:
        name: Of the data set.
        short_side: Of the prepared videos, pixels.
        videos: A digest of the videos that the label files name, in their order.
    """

    name: str
    short_side: int
    videos: str

    @classmethod
    def of(cls, name: str, short_side: int, jobs: Sequence[Job]) -> "Settings":
        """The settings of a run.

        Args:
            name: Of the data set.
            short_side: Of the prepared videos, pixels.
            jobs: All videos.
        """
        names = "\n".join(job.name for job in jobs).encode(errors="surrogatepass")
        return cls(name, short_side, hashlib.sha256(names).hexdigest()[:16])

    def check(self, others: Mapping[str, Any], path: str) -> None:
        """Compare with those of a record.

        Raises:
            ShareError: They differ.
        """
        words = {"name": "data set", "short_side": "--short-side", "videos": "content of the label files"}
        for key, word in words.items():
            if others.get(key) != getattr(self, key):
                difference = "" if key == "videos" else f" ({others.get(key)}, now {getattr(self, key)})"
                raise ShareError(
                    f"{path}: it was begun with another {word}{difference}; "
                    "give the same again, or remove its folder to begin anew"
                )


class ShareRecord:
    """What is known of the videos of a share: a file of JSON lines that grows with every video that is done.

    A killed process loses at most the report of a video that it has just written; that one is prepared once more.

    Args:
        out: Folder that is written.
        share: Which share.
        settings: Of this run.

    Raises:
        ShareError: The record is that of other settings.
    """

    def __init__(self, out: str, share: Share, settings: Settings) -> None:
        self.share, self.settings = share, settings
        self.path = os.path.join(_folder(out, share), _RECORD)
        self.finished, self.written = False, 0.0
        # {name of a video: what is known of it}
        self.entries: dict[str, dict[str, Any]] = {}
        self.begun = os.path.isfile(self.path)
        if self.begun:
            self._read()

    def _read(self) -> None:
        self.written = os.stat(self.path).st_mtime
        # A killed process may have torn the last line.
        with open_text(self.path) as f:
            lines = [parse_json(line, self.path) for line in f if line.endswith("\n")]
        self.settings.check(lines[0] if lines else {}, self.path)
        for line in lines[1:]:
            self.finished = "finished" in line
            if not self.finished:
                self.entries[line["video"]] = line

    def restore(self, jobs: Sequence[Job], timeout: float, retry: bool) -> None:
        """Fill in what an earlier run has found out.

        An interrupted run and those that resume it count as one: what it has prepared is "prepared", not "there".

        Args:
            jobs: Those of the share after `find_prepared`; they are changed in place.
            timeout: Seconds that one video may take.
            retry: Try everything again that is not prepared.
        """
        reasons = {name: entry["reason"] for name, entry in self.entries.items() if entry["state"] == "unreadable"}
        files = {} if retry else {job.name: job.source for job in jobs if job.source is not None}
        lost = still_lost(reasons, self.written, files, timeout)
        for job in jobs:
            entry = self.entries.get(job.name)
            if job.state == "there":
                if entry is None and self.begun and not self.finished and job.source is not None:
                    # Written since the record was begun, by a process that was killed before it could report.
                    job.state = "found"
                elif entry and entry["state"] in ("prepared", "there"):
                    job.reason = entry["reason"]
                    if not self.finished:
                        _apply(entry, job)
            elif job.name in lost and entry:
                _apply(entry, job)
                job.lost_before = self.finished or job.lost_before
            elif entry and job.state == "unreadable":
                # The record is newer than what an older table of problems says.
                job.state, job.reason, job.lost_before = "found", "", False

    def begin(self, jobs: Sequence[Job]) -> None:
        """Write down what is known before the work begins.

        Args:
            jobs: Those of the share.
        """
        header = {"share": str(self.share), **vars(self.settings), "count": len(jobs)}
        settled = [_line(job) for job in jobs if job.state not in ("found", "refused")]
        write_lines(self.path, [simplejson.dumps(header), *settled])

    def add(self, job: Job) -> None:
        """Write down what became of a video."""
        self._append(_line(job))

    def finish(self) -> None:
        """Write down that the share is done."""
        self._append(simplejson.dumps({"finished": True}))

    def _append(self, line: str) -> None:
        with open(self.path, "ab", buffering=0) as f:
            f.write(f"{line}\n".encode())


def _line(job: Job) -> str:
    return simplejson.dumps({"video": job.name, **{field: getattr(job, field) for field in _FIELDS}})


def _apply(entry: Mapping[str, Any], job: Job) -> None:
    for name in _FIELDS:
        setattr(job, name, entry[name])


@contextlib.contextmanager
def held(out: str, share: Share, settings: Settings) -> Iterator[ShareRecord]:
    """The record of a share, on which no other process works meanwhile.

    Args:
        out: Folder that is written.
        share: Which share.
        settings: Of this run.

    Raises:
        ShareError: It, or another share, was begun with other settings, or in another division of the data set.
        FolderInUseError: Another process is at work on it.
    """
    folder = _folder(out, share)
    _check_others(out, share, settings)
    os.makedirs(folder, exist_ok=True)
    # A task that Slurm starts again may find the lock of its former start, on another machine, for a while.
    patience = _PATIENCE if starts_again() else 0.0
    with FolderLock(folder, patience, name=f"the record of share {share}", instead="another share"):
        yield ShareRecord(out, share, settings)


def _check_others(out: str, share: Share, settings: Settings) -> None:
    for name in _divisions(out) - {share.count}:
        if share.count > 1:
            there = "a run over all videos that was interrupted" if name == 1 else f"a division into {name} shares"
            raise ShareError(
                f"{os.path.join(out, FOLDER)}: it holds records of {there}, and this is --shard {share}; "
                f"finish that and merge it, or remove this folder"
            )
        for folder in _folders(out):
            with FolderLock(folder, name="the record of a share", instead="another --out"):
                pass
    if share.count > 1:
        for path in filter(os.path.isfile, (os.path.join(folder, _RECORD) for folder in _folders(out))):
            settings.check(_header(path), path)


def _header(path: str) -> Mapping[str, Any]:
    with open_text(path) as f:
        return dict(parse_json(f.readline(), path))


def forget(out: str) -> None:
    """Remove the records of all shares: a run over all videos has been finished, problems.csv says the same."""
    shutil.rmtree(os.path.join(out, FOLDER), ignore_errors=True)


def merge(jobs: Sequence[Job], out: str, settings: Settings) -> float:
    """Fill in what the shares have found out.

    Args:
        jobs: All videos; they are changed in place.
        out: Folder that is written.
        settings: Of this run.

    Returns:
        When the first share was done, by the clock of the file system.

    Raises:
        ShareError: A share is missing, unfinished or prepared otherwise, or its videos are not there.
    """
    folder = os.path.join(out, FOLDER)
    counts = _divisions(out) - {1}
    if len(counts) != 1:
        what = (
            f"shares of {len(counts)} divisions are in it; remove those that do not count"
            if counts
            else ("no share has been prepared; give the command with --shard 1/N to N/N first")
        )
        raise ShareError(f"{folder}: {what}")
    count = counts.pop()
    records = [ShareRecord(out, Share(index, count), settings) for index in range(1, count + 1)]
    undone = [_undone(record) for record in records if not record.finished]
    if undone:
        raise ShareError(f"{folder}: not done: {listed(undone, _NAMED)}; give these shares (again)")
    for record in records:
        lacking = []
        for job in of_share(jobs, record.share):
            if job.state == "refused":
                continue
            _apply(record.entries[job.name], job)
            if job.state in ("prepared", "there") and not os.path.isfile(job.out):
                lacking.append(job.out)
        if lacking:
            raise ShareError(
                f"{lacking[0]}: share {record.share} has prepared it, but it is not there "
                f"({counted(len(lacking), 'file')} of that share); copy them there, or give the share again"
            )
    return min(record.written for record in records)


def _undone(record: ShareRecord) -> str:
    if not record.begun:
        return f"--shard {record.share} (not begun)"
    return f"--shard {record.share} (unfinished, or still at work: {counted(len(record.entries), 'video')} so far)"


def _folder(out: str, share: Share) -> str:
    return os.path.join(out, FOLDER, f"{share.index}-of-{share.count}")


def _folders(out: str) -> list[str]:
    return sorted(path for path in paths_in(os.path.join(out, FOLDER)) if _count(path))


def _divisions(out: str) -> set[int]:
    """Into how many shares the records divide the data set."""
    return {_count(path) for path in _folders(out)}


def _count(path: str) -> int:
    """Number of shares of the division to which a record's folder belongs; 0 for other things."""
    index, _, count = os.path.basename(path).partition("-of-")
    return int(count) if index.isdecimal() and count.isdecimal() and os.path.isdir(path) else 0
