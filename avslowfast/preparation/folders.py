"""A folder of videos by class -> list files (see `kinetics`): which videos there are, which of them can be read, how they are split."""

import csv
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tqdm import tqdm

from ..media import DecodeError, VideoReader
from ..media.files import is_video, walk_files
from ..utils.errors import UserError
from ..utils.seeding import generator

SPLITS = ("train", "val", "test")


class FolderError(UserError, ValueError):
    """A folder from which no lists can be made; the message says why and what it should look like."""


@dataclass
class Video:
    """A file of a class: what probing it found. `reason` says why it cannot be read; then the other fields do not count."""

    path: str
    label: int
    split: str | None = None
    seconds: float = 0.0
    sound: bool = False
    reason: str = ""


def find_videos(folder):
    """Videos in FOLDER/CLASS/... or FOLDER/{train,val,test}/CLASS/..., at any depth below a class.

    Returns:
        (class names in alphabetical order, list of `Video`, files that are not videos).

    Raises:
        FolderError: no such folder, or no class with a video in it.
    """
    if not os.path.isdir(folder):
        raise FolderError(f"{folder}: no such folder")
    folders = _subfolders(folder)
    # Folders of that name are splits only together: a class may be called "test".
    split = {"train", "val"} <= set(folders)
    roots = {name: os.path.join(folder, name) for name in SPLITS if name in folders} if split else {None: folder}
    names = sorted({name for root in roots.values() for name in _subfolders(root)})
    videos, others = [], []
    for label, name in enumerate(names):
        for part, root in roots.items():
            for path in walk_files(os.path.join(root, name)):
                if is_video(path):
                    videos.append(Video(os.path.abspath(path), label, part))
                else:
                    others.append(path)
    if not videos:
        raise FolderError(
            f"{folder}: no videos in it; put them into a folder a class, as in {os.path.join(folder, 'CLASS', 'video.mp4')}"
        )
    return names, videos, others


def _subfolders(folder):
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _probe(path):
    try:
        with VideoReader(path) as reader:
            reader.read_frames([reader.video.start])
            return reader.video.end - reader.video.start, reader.audio is not None, ""
    except DecodeError as error:
        return 0.0, False, str(error)


def probe(videos, jobs=1):
    """Open each file, read its first picture and fill in what there is to know, on `jobs` processes."""
    with ProcessPoolExecutor(jobs) as pool:
        results = pool.map(_probe, [video.path for video in videos], chunksize=4)
        for video, result in zip(videos, tqdm(results, total=len(videos), desc="looking at files", disable=None)):
            video.seconds, video.sound, video.reason = result


def split_videos(videos, val, test, seed):
    """Give each readable video that has none a split: of every class the share `val`, and `test`, at least one where it has three.

    Classes of fewer than three videos go into training alone.
    """
    by_class = {}
    for video in videos:
        if video.split is None and not video.reason:
            by_class.setdefault(video.label, []).append(video)
    for label, group in by_class.items():
        order = generator(seed, label, "split").permutation(len(group))
        shares = [max(round(share * len(group)), 1) if share and len(group) >= 3 else 0 for share in (val, test)]
        for place, index in enumerate(order):
            group[index].split = "val" if place < shares[0] else "test" if place < sum(shares) else "train"


def write_lists(out, names, videos):
    """Write train.csv, val.csv, test.csv, classes.txt and, for files that cannot be read, unreadable.csv into a folder.

    A split without videos is taken from its neighbour (test from val, val from train), so that training and testing always run; returned.

    Returns:
        {split: split whose videos its list holds}.

    Raises:
        FolderError: nothing to train on.
    """
    lists = {split: [v for v in videos if v.split == split and not v.reason] for split in SPLITS}
    if not lists["train"]:
        raise FolderError("not one readable video to train on; see the reasons above")
    os.makedirs(out, exist_ok=True)
    filled = {}
    for split, other in (("train", None), ("val", "train"), ("test", "val")):
        filled[split] = split if lists[split] else filled[other]
        with open(os.path.join(out, f"{split}.csv"), "w", encoding="utf-8") as f:
            f.writelines(f"{video.path} {video.label}\n" for video in lists[filled[split]])
    with open(os.path.join(out, "classes.txt"), "w", encoding="utf-8") as f:
        f.writelines(f"{name}\n" for name in names)
    bad = [video for video in videos if video.reason]
    if bad:
        with open(os.path.join(out, "unreadable.csv"), "w", newline="", encoding="utf-8") as f:
            csv.writer(f).writerows([["path", "reason"], *([video.path, video.reason] for video in bad)])
    return filled
