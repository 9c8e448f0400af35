"""Charades: several actions per video, each with its time (arXiv 1604.01753).

Read from the official CSVs, with whole videos, or from PySlowFast's frame lists, with folders of frames at 24 frames
per second.
"""

import csv
import os
from collections.abc import Iterator

from ..config import ConfigError
from .base import csv_rows, lines_of, Listing, Record, Source

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
    if os.path.isfile(official):
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
    for row, where in csv_rows(path, ()):
        try:
            actions = [item.split() for item in row["actions"].split(";") if item.strip()]
            label = tuple((int(name.removeprefix("c")), float(start), float(stop)) for name, start, stop in actions)
        except (KeyError, ValueError):
            raise ConfigError(
                f"{where}: no actions such as 'c092 11.90 21.20'; it should be the official file, unchanged"
            ) from None
        video, audio_path = source.video("{video}.mp4", video=row["id"]), source.audio(video=row["id"])
        records.append(Record(video, label, where, None, audio_path, row["id"]))
    return records


def read_frame_list(path: str, source: Source) -> list[Record]:
    """Records of PySlowFast's frame list.

    Args:
        path: The file: lines `original_vido_id video_id frame_id path labels`, the labels of a frame quoted.
        source: Where the folders of frames lie.

    Raises:
        ConfigError: A line of another form; names file and line.
    """
    videos: dict[str, tuple[str, str, dict[int, list[int]]]] = {}
    with open(path, newline="", encoding="utf-8") as f:
        for number, row in enumerate(csv.reader(f, delimiter=" "), 1):
            if not row or row[0] == "original_vido_id":
                continue
            where = f"{path}, line {number}"
            if len(row) != 5:
                raise ConfigError(
                    f"{where}: {len(row)} fields, not the 5 of a frame list (video, number, frame, path, labels)"
                )
            name, _, frame, file, labels = row
            video = videos.setdefault(name, (os.path.dirname(file), where, {}))
            for label in labels.split(",") if labels else ():
                video[2].setdefault(int(label), []).append(int(frame))
    return [
        Record(
            os.path.join(source.video_folder, folder),
            tuple(span for class_id, numbers in sorted(frames.items()) for span in _runs(class_id, sorted(numbers))),
            where,
            audio_path=source.audio(video=name),
            name=name,
            frame_rate=FRAMES_PER_SECOND,
        )
        for name, (folder, where, frames) in videos.items()
    ]


def _runs(class_id: int, numbers: list[int]) -> Iterator[tuple[int, float, float]]:
    """Spans (class id, start, stop) in seconds of consecutive frame numbers."""
    start = last = numbers[0]
    for number in numbers[1:]:
        if number > last + 1:
            yield class_id, start / FRAMES_PER_SECOND, (last + 1) / FRAMES_PER_SECOND
            start = number
        last = number
    yield class_id, start / FRAMES_PER_SECOND, (last + 1) / FRAMES_PER_SECOND


def _names(source: Source) -> list[str] | None:
    """Names of `Charades_v1_classes.txt`; None without it, or with another number of classes."""
    path = os.path.join(source.folder, "Charades_v1_classes.txt")
    if not os.path.isfile(path):
        return None
    names = [line.split(" ", 1)[1] for line, _ in lines_of(path)]
    return names if len(names) == source.num_classes else None
