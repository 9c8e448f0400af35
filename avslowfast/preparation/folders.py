"""A folder of videos by class -> list files that the data set "kinetics" reads.

Which videos there are, which of them can be read, and how they are split.
"""

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..media import DecodeError, VideoReader
from ..media.files import is_video, walk_files
from ..utils.errors import UserError
from ..utils.seeding import generator
from ..utils.text import write_csv, write_lines
from .pool import Lost, run_each

SPLITS = ("train", "val", "test")
# Seconds that one file may take: a few places of it are read, or all of it.
TIMEOUT, FULL_TIMEOUT = 60.0, 3600.0
# Share of a video's length that is near its end; seconds of audio that are read at a time.
_NEAR_END, _AUDIO_SECONDS = 0.05, 2.0
# The split whose videos a list holds where its split has none.
_SUBSTITUTES = {"val": "train", "test": "val"}


class FolderError(UserError, ValueError):
    """A folder from which no lists can be made; the message says why and what it should look like."""


@dataclass
class Video:
    """A video of a class.

    Attributes:
        path: Absolute path of the file.
        label: Class id.
        split: train | val | test; None until it is decided.
        seconds: Length, known after `probe`.
        has_audio: Known after `probe`.
        reason: Why the file cannot be read; "" for a readable one.
    """

    path: str
    label: int
    split: str | None = None
    seconds: float = 0.0
    has_audio: bool = False
    reason: str = ""

    @property
    def readable(self) -> bool:
        """Whether `probe` could read the file."""
        return not self.reason


@dataclass(frozen=True)
class VideoFolder:
    """What a folder of videos by class holds.

    Attributes:
        class_names: In alphabetical order, which is the order of the class ids.
        videos: Its videos.
        other_files: Paths of files that are no videos by their names.
    """

    class_names: list[str]
    videos: list[Video]
    other_files: list[str]

    @property
    def readable(self) -> list[Video]:
        """The videos that can be read."""
        return [video for video in self.videos if video.readable]

    @property
    def unreadable(self) -> list[Video]:
        """The videos that cannot be read."""
        return [video for video in self.videos if not video.readable]

    def counts(self) -> dict[str, dict[str, int]]:
        """{class name: {split: number of readable videos}}."""
        return {
            name: {
                split: sum(video.label == label and video.split == split for video in self.readable) for split in SPLITS
            }
            for label, name in enumerate(self.class_names)
        }


@dataclass(frozen=True)
class Lengths:
    """Lengths of the readable videos of a folder, in seconds, and how many of these videos have no audio."""

    shortest: float
    median: float
    longest: float
    without_audio: int


def find_videos(folder: str) -> VideoFolder:
    """Find the videos of a folder by class.

    Args:
        folder: With FOLDER/CLASS/... or FOLDER/{train,val,test}/CLASS/..., at any depth below a class.

    Raises:
        FolderError: The folder does not exist, or there is no class with a video in it.
    """
    if not os.path.isdir(folder):
        raise FolderError(f"{folder}: no such folder")
    folders = _subfolders(folder)
    # Folders of these names are splits only together: a class may be called "test".
    roots: dict[str | None, str] = {None: folder}
    if {"train", "val"} <= set(folders):
        roots = {name: os.path.join(folder, name) for name in SPLITS if name in folders}
    names = sorted({name for root in roots.values() for name in _subfolders(root)})
    for name in names:
        if name != name.strip() or _unfit(name):
            raise FolderError(f"{folder}: the class {name!r} cannot stand in classes.txt; rename its folder")
    content = VideoFolder(names, [], [])
    for label, name in enumerate(names):
        for split, root in roots.items():
            for path in walk_files(os.path.join(root, name)):
                if is_video(path):
                    content.videos.append(Video(os.path.abspath(path), label, split))
                else:
                    content.other_files.append(path)
    if not content.videos:
        example = os.path.join(folder, "CLASS", "video.mp4")
        raise FolderError(f"{folder}: no videos in it; put them into one folder per class, as in {example}")
    return content


def _subfolders(folder: str) -> list[str]:
    """Names of the folders in a folder, without hidden ones."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def probe(videos: Sequence[Video], jobs: int = 1, full: bool = False, timeout: float | None = None) -> None:
    """Open each file, read some of it, and fill in its length, its audio and why it cannot be read.

    Args:
        videos: They are changed in place.
        jobs: Number of processes.
        full: Read every frame and all audio; otherwise the first frame, one near the end, and some audio at both.
        timeout: Seconds that one file may take; None is `TIMEOUT`, or `FULL_TIMEOUT`.
    """
    limit = timeout or (FULL_TIMEOUT if full else TIMEOUT)
    results = run_each(_probe, [(video.path, full) for video in videos], jobs, limit)
    for number, result in tqdm(results, total=len(videos), desc="looking at files", disable=None):
        video = videos[number]
        if isinstance(result, Lost):
            video.reason = result.reason
        else:
            video.seconds, video.has_audio, video.reason = result


def _probe(task: tuple[str, bool]) -> tuple[float, bool, str]:
    """(seconds, whether the file has audio, why it cannot be read) of (path, whether all of it is read)."""
    path, full = task
    unfit = _unfit(path)
    if unfit:
        return 0.0, False, unfit
    try:
        with VideoReader(path) as reader:
            _read(reader, full)
            return reader.video.duration, reader.audio is not None, ""
    except DecodeError as error:
        return 0.0, False, error.reason_for(path)


def _unfit(path: str) -> str:
    """Why a path cannot stand in a list, which has one in each line in UTF-8; "" where it can."""
    if "\n" in path or "\r" in path:
        return "its name has a line break; rename it"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not in UTF-8; rename it"
    return ""


def _read(reader: VideoReader, full: bool) -> None:
    """Read a file, or samples of it: what is cut off or damaged often begins as it should.

    Raises:
        DecodeError: Something cannot be decoded.
    """
    video, audio = reader.video, reader.audio
    # Lengths in headers are rounded up, and the last frame is shown for a while.
    near_end = max(video.end - max(2 / video.rate, _NEAR_END * video.duration), video.start)
    if full:
        for _ in reader.nearest_frames(np.arange(video.start, near_end, 1 / video.rate)):
            pass
    reader.read_frames([video.start, near_end])
    if audio is None:
        return
    starts = [audio.start, max(audio.end - _AUDIO_SECONDS, audio.start)]
    if full:
        starts = [audio.start + i * _AUDIO_SECONDS for i in range(max(math.ceil(audio.duration / _AUDIO_SECONDS), 1))]
    for start in starts:
        reader.read_audio(start, min(_AUDIO_SECONDS, max(audio.duration, 0.1)))


def lengths(videos: Sequence[Video]) -> Lengths | None:
    """Lengths of the readable videos; None where there are none."""
    seconds = [video.seconds for video in videos if video.readable]
    if not seconds:
        return None
    without_audio = sum(video.readable and not video.has_audio for video in videos)
    return Lengths(min(seconds), statistics.median(seconds), max(seconds), without_audio)


def split_videos(videos: Sequence[Video], val: float, test: float, seed: int) -> None:
    """Assign a split to each readable video that has none.

    Of every class with three videos or more each split receives at least one; smaller classes go into training alone.

    Args:
        videos: They are changed in place.
        val: Share of each class for validation.
        test: Share of each class for the test.
        seed: Seed of the draw.
    """
    by_class: dict[int, list[Video]] = {}
    for video in videos:
        if video.split is None and video.readable:
            by_class.setdefault(video.label, []).append(video)
    for label, group in by_class.items():
        order = generator(seed, label, "split").permutation(len(group))
        num_val, num_test = (
            max(round(share * len(group)), 1) if share and len(group) >= 3 else 0 for share in (val, test)
        )
        for place, index in enumerate(order):
            group[index].split = "val" if place < num_val else "test" if place < num_val + num_test else "train"


def write_lists(out: str, folder: VideoFolder) -> dict[str, str]:
    """Write train.csv, val.csv, test.csv, classes.txt and, for files that cannot be read, unreadable.csv.

    The list of a split without videos holds those of another one (test: val, val: train), so that training and
    testing always run.

    Args:
        out: Folder to write to.
        folder: The videos, probed and split.

    Returns:
        {split: split whose videos its list holds}.

    Raises:
        FolderError: There is nothing to train on.
    """
    by_split = {split: [video for video in folder.readable if video.split == split] for split in SPLITS}
    if not by_split["train"]:
        raise FolderError("not one readable video to train on; see the reasons above")
    sources: dict[str, str] = {}
    for split in SPLITS:
        sources[split] = split if by_split[split] else sources[_SUBSTITUTES[split]]
        write_lines(
            os.path.join(out, f"{split}.csv"), (f"{video.path} {video.label}" for video in by_split[sources[split]])
        )
    write_lines(os.path.join(out, "classes.txt"), folder.class_names)
    if folder.unreadable:
        rows = [[video.path, video.reason] for video in folder.unreadable]
        write_csv(os.path.join(out, "unreadable.csv"), [["path", "reason"], *rows])
    return sources
