"""VGGSound: 10-second clips of 309 sounds that can be seen (arXiv 2004.14368)."""

import csv
import os

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset


@DATASETS.register("vggsound")
class VGGSound(VideoDataset):
    """Rows `id,start,label,split` of vggsound.csv; its "test" serves as validation too. Class ids follow the alphabet."""

    multi_label = False

    @classmethod
    def from_source(cls, source, split, settings):
        """Read the rows of a split."""
        path = source.file("vggsound.csv")
        rows = read_rows(path)
        names = sorted({label for _, _, label, _, _ in rows})
        if source.num_classes != len(names):
            raise ConfigError(f"MODEL.NUM_CLASSES is {source.num_classes}: {path} has {len(names)} classes; set it so")
        ids = {name: i for i, name in enumerate(names)}
        wanted = "train" if split == "train" else "test"
        records = [
            Record(
                source.video("{video}_{start:06d}.mp4", video=video, start=start),
                ids[label],
                where,
                None,
                source.sound(video=video, start=start),
                video,
            )
            for video, start, label, part, where in rows
            if part == wanted
        ]
        if not records:
            raise ConfigError(f"{path}: no rows of the split {wanted!r}")
        return cls(records, settings, split, names)


def read_rows(path):
    """Rows (id, start second, label, split, file and line)."""
    rows = []
    with open(path, newline="", encoding="utf-8") as f:
        for number, row in enumerate(csv.reader(f), 1):
            where = f"{os.fspath(path)}, line {number}"
            if len(row) != 4 or not row[1].strip().isdigit() or row[3].strip() not in ("train", "test"):
                raise ConfigError(f"{where}: not 'id,start,label,train|test' but {','.join(row)!r}")
            rows.append((row[0], int(row[1]), row[2].strip(), row[3].strip(), where))
    return rows
