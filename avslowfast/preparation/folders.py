"""A folder of videos or sounds by class -> list files that the data set "kinetics" reads.

Which files there are, which of them can be read, and how they are split.
"""

import contextlib
import hashlib
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import av
import numpy as np
from tqdm import tqdm

from ..media import DecodeError, VideoReader
from ..media.files import is_sound, is_video, PassedOver, walk_files
from ..media.sound import SoundReader
from ..media.storage import open_input
from ..media.streams import best_audio, best_video, StreamInfo, time_unit
from ..utils.errors import UserError
from ..utils.seeding import generator
from ..utils.text import counted, write_csv, write_lines
from .pool import Lost, lost_before, run_each

SPLITS = ("train", "val", "test")
# Seconds that one file may take: a few places of it are read, or all of it.
TIMEOUT, FULL_TIMEOUT = 60.0, 3600.0
# Share of a video's length that is near its end; seconds of audio that are read at a time.
_NEAR_END, _AUDIO_SECONDS = 0.05, 2.0
# Flag of FFmpeg's formats that store no index, in which seeking lands at guessed time stamps.
_NO_INDEX = 0x100
# The split whose videos a list holds where its split has none.
_SUBSTITUTES = {"val": "train", "test": "val"}


class FolderError(UserError, ValueError):
    """A folder from which no lists can be made; the message says why and what it should look like."""


@dataclass
class Video:
    """A video or a sound of a class.

    Attributes:
        path: Absolute path of the file.
        label: Class id.
        split: train | val | test; None until it is decided.
        seconds: Length, known after `probe`.
        has_frames: Whether it is a video and no sound, known after `probe`.
        has_audio: Known after `probe`.
        reason: Why the file is left out; "" for one that stays.
    """

    path: str
    label: int
    split: str | None = None
    seconds: float = 0.0
    has_frames: bool = False
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
        videos: Its videos, or sounds.
        other_files: Paths of files that are neither by their names, and of sounds beside videos.
        passed_over: Folders that were not looked into.
        loose: Paths of videos that lie beside the folders of the classes.
    """

    class_names: list[str]
    videos: list[Video]
    other_files: list[str]
    passed_over: list[PassedOver]
    loose: list[str]

    @property
    def readable(self) -> list[Video]:
        """The videos that stay."""
        return [video for video in self.videos if video.readable]

    @property
    def unreadable(self) -> list[Video]:
        """The videos that are left out."""
        return [video for video in self.videos if not video.readable]

    def drop_empty_classes(self) -> list[str]:
        """Remove the classes without a readable video, which no network can learn; gives their names."""
        present = sorted({video.label for video in self.readable})
        empty = [name for label, name in enumerate(self.class_names) if label not in present]
        new = {label: i for i, label in enumerate(present)}
        for video in self.videos:
            # One that is left out is in no list.
            video.label = new.get(video.label, -1)
        self.class_names[:] = [self.class_names[label] for label in present]
        return empty

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


def find_videos(folder: str, sounds: bool = False, out: str = "") -> VideoFolder:
    """Find the videos of a folder by class; where there are none, the sounds.

    Args:
        folder: With FOLDER/CLASS/... or FOLDER/{train,val,test}/CLASS/..., at any depth below a class.
        sounds: Take videos and sounds alike.
        out: Where results are written, which may be in the folder: what lies there is no class and no video of it.

    Raises:
        FolderError: The folder does not exist, or there is no class with a video or a sound in it.
    """
    if not os.path.isdir(folder):
        raise FolderError(f"{folder}: no such folder")
    folders, passed_over = _subfolders(folder, out), list[PassedOver]()
    # Folders of these names are splits only together: a class may be called "test".
    roots: dict[str | None, str] = {None: folder}
    if {"train", "val"} <= set(folders):
        roots = {name: os.path.join(folder, name) for name in SPLITS if name in folders}
        others = sorted(set(folders) - set(SPLITS))
        passed_over += [PassedOver(os.path.join(folder, name), "beside train and val", lost=True) for name in others]
    files = [(path, split, root) for split, root in roots.items() for path in walk_files(root, passed_over, out)]
    skipped = {note.path for note in passed_over}
    names = sorted({name for root in roots.values() for name in _subfolders(root, out)
                    if os.path.join(root, name) not in skipped})  # fmt: skip
    for name in names:
        if name != name.strip() or _unfit(name):
            raise FolderError(f"{folder}: the class {name!r} cannot stand in classes.txt; rename its folder")
    # What .ogg holds is seen when it is opened.
    sounds = sounds or not any(is_video(path) and not is_sound(path) for path, _, _ in files)
    content, labels = VideoFolder(names, [], [], passed_over, []), {name: label for label, name in enumerate(names)}
    for path, split, root in files:
        name, *below = os.path.relpath(path, root).split(os.sep)
        if not (is_video(path) or (sounds and is_sound(path))):
            content.other_files.append(path)
        elif below:
            content.videos.append(Video(os.path.abspath(path), labels[name], split))
        else:
            content.loose.append(path)
    # In order of the classes: the draw of the split is one of places.
    content.videos.sort(key=lambda video: video.label)
    if not content.videos:
        example = os.path.join(folder, "CLASS", "video.mp4")
        there = f"none of its {counted(len(content.loose), 'file')} is in the folder of a class"
        problem = there if content.loose else "no videos or sounds in it"
        raise FolderError(f"{folder}: {problem}; put them into one folder per class, as in {example}")
    return content


def _subfolders(folder: str, without: str) -> list[str]:
    """Names of the folders in a folder, without hidden ones and one of them; "" for none."""
    other = os.path.realpath(without) if without else None
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith(".") and os.path.realpath(entry.path) != other
    )


def probe(
    videos: Sequence[Video],
    jobs: int = 1,
    full: bool = False,
    timeout: float | None = None,
    sounds: bool = False,
    table: str = "",
) -> int:
    """Open each file, read some of it, and fill in its length, what it has and why it cannot be read.

    Args:
        videos: They are changed in place.
        jobs: Number of processes.
        full: Read every frame and all audio; otherwise the first frame, one near the end, and some audio at both.
        timeout: Seconds that one file may take; None is `TIMEOUT`, or `FULL_TIMEOUT`.
        sounds: Read the sound alone.
        table: unreadable.csv of an earlier run, whose lost files are not tried again; "" where all are.

    Returns:
        How many files were not tried again.
    """
    limit = timeout or (FULL_TIMEOUT if full else TIMEOUT)
    lost = lost_before(table, {video.path: video.path for video in videos}, limit)
    for video in videos:
        video.reason = lost.get(video.path, "")
    waiting = [video for video in videos if video.readable]
    results = run_each(_probe, [(video.path, full, sounds) for video in waiting], jobs, limit)
    for number, result in tqdm(results, total=len(waiting), desc="looking at files", disable=None):
        video = waiting[number]
        if isinstance(result, Lost):
            video.reason = result.reason
        else:
            video.seconds, video.has_frames, video.has_audio, video.reason = result
    return len(lost)


def _probe(task: tuple[str, bool, bool]) -> tuple[float, bool, bool, str]:
    """(seconds, has frames, has audio, why the file cannot be read) of (path, all of it is read, the sound alone)."""
    path, full, sounds = task
    unfit = _unfit(path) or ("it is empty" if os.path.isfile(path) and not os.path.getsize(path) else "")
    if unfit:
        return 0.0, False, False, unfit
    try:
        if sounds or not _has_frames(path):
            with SoundReader(path) as sound:
                _read_audio(sound, sound.audio, full)
                return sound.audio.duration, False, True, _why_cut_off(path, sound.audio)
        with VideoReader(path) as reader:
            _read(reader, full)
            return reader.video.duration, True, reader.audio is not None, _why_cut_off(path, reader.video)
    except DecodeError as error:
        return 0.0, False, False, error.reason_for(path)


def _has_frames(path: str) -> bool:
    with open_input(path) as container:
        return best_video(container) is not None


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
    """Read a video, or samples of it: what is cut off or damaged often begins as it should.

    Raises:
        DecodeError: Something cannot be decoded.
    """
    video, near_end = reader.video, _near_end(reader.video)
    if full:
        for _ in reader.shown_frames(np.arange(video.start, near_end, 1 / video.rate)):
            pass
    reader.read_frames([video.start, near_end])
    if reader.audio is not None:
        _read_audio(reader, reader.audio, full)


def _read_audio(reader: VideoReader | SoundReader, audio: StreamInfo, full: bool) -> None:
    starts = [audio.start, max(audio.end - _AUDIO_SECONDS, audio.start)]
    if full:
        starts = [audio.start + i * _AUDIO_SECONDS for i in range(max(math.ceil(audio.duration / _AUDIO_SECONDS), 1))]
    for start in starts:
        reader.read_audio(start, min(_AUDIO_SECONDS, max(audio.duration, 0.1)))


def _near_end(stream: StreamInfo) -> float:
    """An instant at which a whole file has something: lengths in headers are rounded up, the last frame is shown on."""
    return max(stream.end - max(2 / stream.rate, _NEAR_END * stream.duration), stream.start)


def _why_cut_off(path: str, stream: StreamInfo) -> str:
    """Why a file counts as cut off: it promises more than it holds. "" for a whole one.

    A last frame that is shown for long is no such case as long as the audio goes on.

    Args:
        path: The file.
        stream: Where its frames, or its samples, lie according to the file.
    """
    near_end, ends = _near_end(stream), []
    with open_input(path) as container:
        indexed = not container.format.flags & _NO_INDEX
        streams = [found for found in (best_video(container), best_audio(container)[0]) if found is not None]
        # What cannot be sought or read any more is what this is about.
        with contextlib.suppress(av.error.FFmpegError):
            if indexed:
                container.seek(int(near_end * av.time_base))
            for packet in container.demux(streams):
                if packet.pts is not None:
                    ends.append(float((packet.pts + (packet.duration or 0)) * time_unit(packet.stream)))
    # A stream without an index may have no time stamps either; it is read from its beginning.
    if max(ends) >= near_end if ends else not indexed:
        return ""
    found = f"ends after {max(ends) - stream.start:.2f} s" if ends else "has nothing near its end"
    return f"cut off: it promises {stream.duration:.2f} s and {found}"


def lengths(videos: Sequence[Video]) -> Lengths | None:
    """Lengths of the readable videos; None where there are none."""
    seconds = [video.seconds for video in videos if video.readable]
    if not seconds:
        return None
    without_audio = sum(video.readable and not video.has_audio for video in videos)
    return Lengths(min(seconds), statistics.median(seconds), max(seconds), without_audio)


def keep_one_kind(videos: Sequence[Video]) -> str:
    """Leave out the sounds among videos; a list of sounds is one without any video.

    Args:
        videos: Probed; they are changed in place.

    Returns:
        What the rest is: "video" or "sound".
    """
    readable = [video for video in videos if video.readable]
    if not any(video.has_frames for video in readable):
        # Where none can be read, the names say what they were meant to be.
        return "video" if not readable and any(is_video(video.path) for video in videos) else "sound"
    for video in readable:
        if not video.has_frames:
            video.reason = (
                "a sound among videos, without frames (avslowfast lists --sounds takes the sound of all files)"
            )
    return "video"


def find_copies(videos: Sequence[Video]) -> list[list[Video]]:
    """Groups of readable videos that are the same file byte for byte, also by links, in the order of the videos."""
    by_size: dict[int, list[Video]] = {}
    for video in videos:
        if video.readable:
            by_size.setdefault(os.path.getsize(video.path), []).append(video)
    groups: dict[bytes, list[Video]] = {}
    for same_size in by_size.values():
        for video in same_size if len(same_size) > 1 else ():
            groups.setdefault(_digest(video.path), []).append(video)
    return [group for group in groups.values() if len(group) > 1]


def _digest(path: str) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while part := f.read(1 << 20):
            digest.update(part)
    return digest.digest()


def leave_out_copies(videos: Sequence[Video]) -> None:
    """Keep one of each group of copies; none of those that stand in several classes, where one label must be wrong.

    Args:
        videos: Probed; they are changed in place.
    """
    for first, *others in find_copies(videos):
        if any(video.label != first.label for video in others):
            for video, other in zip((first, *others), (others[0], *[first] * len(others))):
                video.reason = f"the same video is in another class: {other.path}; remove the wrong one"
        else:
            for video in others:
                video.reason = f"a copy of {first.path}"


def split_videos(videos: Sequence[Video], val: float, test: float, seed: int) -> None:
    """Assign a split to each readable video that has none.

    Of every class that has enough videos each split with a share receives at least one; smaller classes go into
    training alone.

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
        enough = len(group) > bool(val) + bool(test)
        num_val, num_test = (max(round(share * len(group)), 1) if share and enough else 0 for share in (val, test))
        # Something is left to train on, whatever the shares are rounded to.
        num_val = min(num_val, max(len(group) - 1 - bool(num_test), 0))
        num_test = min(num_test, max(len(group) - 1 - num_val, 0))
        for place, index in enumerate(order):
            group[index].split = "val" if place < num_val else "test" if place < num_val + num_test else "train"


def write_lists(out: str, folder: VideoFolder) -> dict[str, str]:
    """Write train.csv, val.csv, test.csv, classes.txt and, of files and folders that are left out, unreadable.csv.

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
    table = os.path.join(out, "unreadable.csv")
    left_out = [[video.path, video.reason] for video in folder.unreadable]
    left_out += [[note.path, note.reason] for note in folder.passed_over]
    if left_out:
        write_csv(table, [["path", "reason"], *left_out])
    elif os.path.exists(table):
        os.remove(table)
    by_split = {split: [video for video in folder.readable if video.split == split] for split in SPLITS}
    if not by_split["train"]:
        raise FolderError(f"not one readable file to train on; see the reasons above, or all of them in {table}")
    sources: dict[str, str] = {}
    for split in SPLITS:
        sources[split] = split if by_split[split] else sources[_SUBSTITUTES[split]]
        write_lines(
            os.path.join(out, f"{split}.csv"), (f"{video.path} {video.label}" for video in by_split[sources[split]])
        )
    write_lines(os.path.join(out, "classes.txt"), folder.class_names)
    return sources
