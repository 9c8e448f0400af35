"""Charades: several actions per video, each with its time (arXiv 1604.01753).

Read from the official CSVs, with whole videos, or from PySlowFast's frame lists, with folders of frames at 24 frames
per second.
"""

import os
import re
from collections.abc import Iterator

from ..config import ConfigError
from ..utils.remote import is_file, join
from .base import Listing, Record, Source
from .tables import check_span, csv_rows, field, hint, lines_of, number, shown, split_rows, whole_number

NUM_CLASSES = 157
FRAMES_PER_SECOND = 24.0


def read(source: Source, split: str) -> Listing:
    """Read `Charades_v1_{train,test}.csv`, or, where they do not exist, `{train,val}.csv` in PySlowFast's format.

    A training clip has the classes that overlap its span; a validation or test video all of its classes.

    Args:
        source: Where the label files lie.
        split: train | val | test.

    Raises:
        ConfigError: No such file, or a mistake in it.
    """
    official = os.path.join(source.folder, f"Charades_v1_{'train' if split == 'train' else 'test'}.csv")
    if source.list_file:
        # The official files are separated by commas, frame lists by spaces.
        listed = source.split_file()
        first = next((line for line, _ in lines_of(listed)), "")
        read_file = read_official if first.startswith("id,") else read_frame_list
        records = read_file(listed, source)
    elif is_file(official):
        records = read_official(official, source)
    else:
        records = read_frame_list(source.file("train.csv" if split == "train" else "val.csv", what="list"), source)
    return Listing(records, _names(source), "spans")


def read_official(path: str, source: Source) -> list[Record]:
    """Records of an official CSV.

    Args:
        path: The file, with the columns id, ..., actions ("c092 11.90 21.20;c147 0.00 12.60", seconds), length.
        source: Where the videos lie.

    Raises:
        ConfigError: Actions of another form; names file and line.
    """
    records = []
    for row, where in csv_rows(path, ("id", "actions")):
        name = field(row, "id", where)
        label = tuple(_action(item, where) for item in row["actions"].split(";") if item.strip())
        video, audio_path = source.video("{video}.mp4", video=name), source.audio(video=name)
        records.append(Record(video, label, where, None, audio_path, name))
    if not records:
        raise ConfigError(f"{path}: no videos in it; it should be the official file, unchanged")
    return records


def _action(text: str, where: str) -> tuple[int, float, float]:
    """(class id, start, stop) of an action of an official CSV."""
    fields = text.split()
    if len(fields) != 3 or not fields[0].startswith("c"):
        raise ConfigError(
            f"{where}: no action such as 'c092 11.90 21.20' but {shown(text)}; "
            "it should be the official file, unchanged"
        )
    class_id = whole_number(fields[0][1:], where, "the class", None)
    start, stop = (number(text, where, what, 0.0) for text, what in zip(fields[1:], ("the start", "the stop")))
    return class_id, *check_span(start, stop, where, may_be_empty=True)


def read_frame_list(path: str, source: Source) -> list[Record]:
    """Records of PySlowFast's frame list.

    Args:
        path: The file: lines `original_vido_id video_id frame_id path labels`, the labels of a frame quoted.
        source: Where the folders of frames lie.

    Raises:
        ConfigError: A line of another form; names file and line.
    """
    videos: dict[str, tuple[str, str, dict[int, list[int]]]] = {}
    for row, where in split_rows(path, delimiter=" "):
        if row[0] == "original_vido_id":
            continue
        if len(row) != 5:
            raise ConfigError(
                f"{where}: {len(row)} fields, not the 5 of a frame list (video, number, frame, path, labels)"
                f"{hint(row[0], where)}"
            )
        name, _, frame, file, labels = row
        frame_number = whole_number(frame, where, "the frame")
        if not name or not file:
            raise ConfigError(f"{where}: the video or the path is empty")
        video = videos.setdefault(name, (os.path.dirname(file), where, {}))
        for label in labels.split(",") if labels else ():
            video[2].setdefault(whole_number(label, where, "the class", None), []).append(frame_number)
    if not videos:
        raise ConfigError(f"{path}: the list is empty")
    return [
        Record(
            join(source.video_folder, folder),
            tuple(span for class_id, numbers in sorted(frames.items()) for span in _runs(class_id, sorted(numbers))),
            where,
            audio_path=source.audio(video=name),
            name=name,
            frame_rate=FRAMES_PER_SECOND,
        )
        for name, (folder, where, frames) in videos.items()
    ]


def _runs(class_id: int, frames: list[int]) -> Iterator[tuple[int, float, float]]:
    """Spans (class id, start, stop) in seconds of consecutive frame numbers."""
    start = last = frames[0]
    for frame in frames[1:]:
        if frame > last + 1:
            yield class_id, start / FRAMES_PER_SECOND, (last + 1) / FRAMES_PER_SECOND
            start = frame
        last = frame
    yield class_id, start / FRAMES_PER_SECOND, (last + 1) / FRAMES_PER_SECOND


def _names(source: Source) -> list[str] | None:
    """Names of `Charades_v1_classes.txt`; None without it."""
    path = os.path.join(source.folder, "Charades_v1_classes.txt")
    if not is_file(path):
        return None
    names: list[str] = []
    for line, where in lines_of(path):
        match = re.fullmatch(r"c(\d+)\s+(\S.*)", line, re.ASCII)
        if match is None or int(match[1]) != len(names):
            raise ConfigError(f"{where}: not 'c{len(names):03d} NAME' but {shown(line)}{hint(line, where)}")
        names.append(match[2])
    return names
