"""VGGSound: 10-second clips of 309 kinds of audio whose source can be seen (arXiv 2004.14368)."""

import csv
import os
from typing import NamedTuple

from ..config import ConfigError
from .base import Listing, Record, Source


class Row(NamedTuple):
    """A row of vggsound.csv; `start` is the clip's second in the original video."""

    video: str
    start: int
    label: str
    part: str
    where: str


def read(source: Source, split: str) -> Listing:
    """Rows `id,start,label,split` of vggsound.csv; its "test" serves for validation too. Class ids follow the alphabet.

    Args:
        source: Where the label file lies.
        split: train | val | test.

    Raises:
        ConfigError: The file does not exist or has a mistake, or the network has another number of classes.
    """
    path = source.file("vggsound.csv")
    rows = read_rows(path)
    names = sorted({row.label for row in rows})
    source.check_classes(len(names), path)
    ids = {name: i for i, name in enumerate(names)}
    part = "train" if split == "train" else "test"
    records = []
    for row in rows:
        if row.part == part:
            fields: dict[str, object] = {"video": row.video, "start": row.start}
            video, audio_path = source.video("{video}_{start:06d}.mp4", **fields), source.audio(**fields)
            records.append(Record(video, ids[row.label], row.where, None, audio_path, row.video))
    if not records:
        raise ConfigError(f"{path}: no rows of the split {part!r}")
    return Listing(records, names)


def read_rows(path: str) -> list[Row]:
    """The rows of the label file.

    Raises:
        ConfigError: A row of another form; names file and line.
    """
    rows = []
    with open(path, newline="", encoding="utf-8") as f:
        for number, row in enumerate(csv.reader(f), 1):
            where = f"{os.fspath(path)}, line {number}"
            if len(row) != 4 or not row[1].strip().isdigit() or row[3].strip() not in ("train", "test"):
                raise ConfigError(f"{where}: not 'id,start,label,train|test' but {','.join(row)!r}")
            rows.append(Row(row[0], int(row[1]), row[2].strip(), row[3].strip(), where))
    return rows
