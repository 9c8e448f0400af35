"""AVE: audiovisual events in 10-second videos, labelled second by second (arXiv 1803.08842)."""

from typing import NamedTuple

from ..config import ConfigError
from .base import Listing, Record, Source
from .tables import hint, lines_of, shown, whole_number

SECONDS = 10
_HEADER = "Category&VideoID"


class Annotation(NamedTuple):
    """A row of a label file; seconds from the beginning of the video."""

    category: str
    video: str
    quality: str
    start: int
    stop: int
    where: str


def read(source: Source, split: str) -> Listing:
    """Each second of a video is a segment; outside the event it belongs to the last class, the background.

    Top-1 accuracy is then segment accuracy. Segments come from `{train,val,test}Set.txt`; the classes are those of
    `Annotations.txt`, in alphabetical order, then the background.

    Args:
        source: Where the label files lie.
        split: train | val | test.

    Raises:
        ConfigError: A file does not exist or has a mistake, or the network has another number of classes.
    """
    index = source.file("Annotations.txt")
    names = sorted({row.category for row in read_annotations(index)})
    if source.num_classes != len(names) + 1:
        raise ConfigError(
            f"MODEL.NUM_CLASSES is {source.num_classes}: {index} has {len(names)} classes, the background is one more; "
            f"set it to {len(names) + 1}"
        )
    ids = {name: i for i, name in enumerate(names)}
    records = []
    for row in read_annotations(source.split_file(f"{split}Set.txt")):
        if row.category not in ids:
            raise ConfigError(f"{row.where}: the category {row.category!r} is not in Annotations.txt")
        path, audio_path = source.video("{video}.mp4", video=row.video), source.audio(video=row.video)
        for second in range(SECONDS):
            label = ids[row.category] if row.start <= second < row.stop else len(names)
            records.append(Record(path, label, row.where, (second, second + 1), audio_path, f"{row.video}:{second}"))
    return Listing(records, [*names, "background"])


def read_annotations(path: str) -> list[Annotation]:
    """The rows of a label file (`Category&VideoID&Quality&Start&End`).

    Raises:
        ConfigError: A row of another form, or no row at all; names file and line.
    """
    rows = []
    for line, where in lines_of(path):
        if line.startswith(_HEADER):
            continue
        fields = line.rsplit("&", 4)
        if len(fields) != 5 or not fields[0] or not fields[1]:
            raise ConfigError(f"{where}: not 'Category&VideoID&Quality&Start&End' but {shown(line)}{hint(line, where)}")
        category, video, quality = fields[:3]
        start = whole_number(fields[3], where, "the start", 0, SECONDS)
        # One of the official events is empty.
        stop = whole_number(fields[4], where, "the end", start, SECONDS)
        rows.append(Annotation(category, video, quality, start, stop, where))
    if not rows:
        raise ConfigError(f"{path}: no videos in it; it should be the official file, unchanged")
    return rows
