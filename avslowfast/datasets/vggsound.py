"""VGGSound: 10-second clips of 309 kinds of audio whose source can be seen (arXiv 2004.14368)."""

from typing import NamedTuple

from ..config import ConfigError
from .base import Listing, Record, Source
from .tables import shown, split_rows, whole_number


class Row(NamedTuple):
    """A row of vggsound.csv; `start` is the clip's second in the original video."""

    video: str
    start: int
    label: str
    part: str
    where: str


def read(source: Source, split: str) -> Listing:
    """Rows `id,start,label,split` of vggsound.csv; its "test" serves for validation too. Class ids follow the alphabet.

    Of a list of one's own (TEST.LIST), of the same form, all rows are tested.

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
    part, listed = "train" if split == "train" else "test", path
    if source.list_file:
        # The classes are still those of the whole file.
        listed = source.split_file()
        rows = read_rows(listed)
    records = []
    for row in rows:
        if row.part == part or source.list_file:
            if row.label not in ids:
                raise ConfigError(f"{row.where}: the class {shown(row.label)} is not in {path}")
            fields: dict[str, object] = {"video": row.video, "start": row.start}
            video, audio_path = source.video("{video}_{start:06d}.mp4", **fields), source.audio(**fields)
            records.append(Record(video, ids[row.label], row.where, None, audio_path, row.video))
    if not records:
        of_split = "" if source.list_file else f" of the split {part!r}"
        raise ConfigError(f"{listed}: no rows{of_split} in it; it should be the official file, or rows of it")
    return Listing(records, names)


def read_rows(path: str) -> list[Row]:
    """The rows of the label file.

    Raises:
        ConfigError: A row of another form; names file and line.
    """
    rows = []
    for row, where in split_rows(path):
        fields = [text.strip() for text in row]
        if len(fields) != 4 or not fields[0] or not fields[2] or fields[3] not in ("train", "test"):
            raise ConfigError(f"{where}: not 'id,start,label,train|test' but {shown(','.join(row))}")
        start = whole_number(fields[1], where, "the start")
        rows.append(Row(fields[0], start, fields[2], fields[3], where))
    return rows
