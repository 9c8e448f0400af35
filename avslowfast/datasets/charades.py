"""Charades: several actions a video, each with its own time (arXiv 1604.01753).

Read from the official CSVs, with whole videos, or from PySlowFast's frame lists, with folders of frames at 24 frames a second.
"""

import csv
import os

import torch

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset

NUM_CLASSES = 157
FRAMES_PER_SECOND = 24.0


@DATASETS.register("charades")
class Charades(VideoDataset):
    """A training clip has the classes that overlap its span; a validation or test video all of its classes.

    A record's label is a tuple of (class, start, stop), in seconds.
    """

    multi_label = True

    @classmethod
    def from_source(cls, source, split, settings):
        """Read `Charades_v1_{train,test}.csv`, or, where they are not, `{train,val}.csv` in PySlowFast's format."""
        official = os.path.join(source.folder, f"Charades_v1_{'train' if split == 'train' else 'test'}.csv")
        if os.path.isfile(official):
            records = read_official(official, source)
        else:
            records = read_frame_list(source.file("train.csv" if split == "train" else "val.csv", what="list"), source)
        for record in records:
            wrong = [c for c, _, _ in record.label if not 0 <= c < source.num_classes]
            if wrong:
                raise ConfigError(
                    f"{record.where}: the class {wrong[0]} is outside 0..{source.num_classes - 1}; Charades has {NUM_CLASSES} (MODEL.NUM_CLASSES)"
                )
        return cls(records, settings, split, _names(source))

    def label(self, index, span=None):
        """See `VideoDataset.label`."""
        vector = torch.zeros(self.settings.num_classes)
        for class_id, start, stop in self.records[index].label:
            if span is None or (start < span[1] and stop > span[0]):
                vector[class_id] = 1.0
        return vector


def read_official(path, source):
    """Records of an official CSV: columns id, ..., actions ("c092 11.90 21.20;c147 0.00 12.60", seconds), length."""
    records = []
    with open(path, newline="", encoding="utf-8") as f:
        for number, row in enumerate(csv.DictReader(f), 2):
            where = f"{path}, line {number}"
            try:
                actions = [item.split() for item in row["actions"].split(";") if item.strip()]
                label = tuple((int(name.removeprefix("c")), float(start), float(stop)) for name, start, stop in actions)
            except (KeyError, ValueError):
                raise ConfigError(
                    f"{where}: no actions such as 'c092 11.90 21.20'; it should be the official file, unchanged"
                ) from None
            records.append(
                Record(
                    source.video("{video}.mp4", video=row["id"]),
                    label,
                    where,
                    None,
                    source.sound(video=row["id"]),
                    row["id"],
                )
            )
    return records


def read_frame_list(path, source):
    """Records of PySlowFast's frame list: lines `original_vido_id video_id frame_id path labels`, the labels of a frame quoted."""
    videos = {}
    with open(path, newline="", encoding="utf-8") as f:
        for number, row in enumerate(csv.reader(f, delimiter=" "), 1):
            if not row or row[0] == "original_vido_id":
                continue
            if len(row) != 5:
                raise ConfigError(
                    f"{path}, line {number}: {len(row)} fields, not the 5 of a frame list (video, number, frame, path, labels)"
                )
            name, _, frame, file, labels = row
            video = videos.setdefault(name, (os.path.dirname(file), f"{path}, line {number}", {}))
            for label in labels.split(",") if labels else ():
                video[2].setdefault(int(label), []).append(int(frame))
    records = []
    for name, (folder, where, frames) in videos.items():
        label = tuple(span for class_id, numbers in sorted(frames.items()) for span in _runs(class_id, sorted(numbers)))
        records.append(
            Record(
                os.path.join(source.prefix or source.folder, folder),
                label,
                where,
                None,
                source.sound(video=name),
                name,
                FRAMES_PER_SECOND,
            )
        )
    return records


def _runs(class_id, numbers):
    """Spans (class, start, stop) in seconds of frames in a row."""
    start = last = numbers[0]
    for number in [*numbers[1:], None]:
        if number is not None and number <= last + 1:
            last = number
            continue
        yield class_id, start / FRAMES_PER_SECOND, (last + 1) / FRAMES_PER_SECOND
        start = last = number


def _names(source):
    path = os.path.join(source.folder, "Charades_v1_classes.txt")
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8") as f:
        names = [line.strip().split(" ", 1)[1] for line in f if line.strip()]
    return names if len(names) == source.num_classes else None
