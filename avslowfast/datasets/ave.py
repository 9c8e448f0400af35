"""AVE: audiovisual events in 10-second videos, labelled second by second (arXiv 1803.08842)."""

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset

SECONDS = 10
_HEADER = "Category&VideoID"


@DATASETS.register("ave")
class AVE(VideoDataset):
    """Each second of a video is a segment; outside the event it belongs to the last class, the background. Top-1 accuracy is segment accuracy."""

    multi_label = False

    @classmethod
    def from_source(cls, source, split, settings):
        """Read `{train,val,test}Set.txt`; the classes are those of `Annotations.txt`, in alphabetical order, then the background."""
        names = sorted({row[0] for row in read_annotations(source.file("Annotations.txt"))})
        if source.num_classes != len(names) + 1:
            raise ConfigError(
                f"MODEL.NUM_CLASSES is {source.num_classes}: AVE has {len(names)} classes and the background; set it to {len(names) + 1}"
            )
        ids = {name: i for i, name in enumerate(names)}
        records = []
        for category, video, _, start, stop, where in read_annotations(source.file(f"{split}Set.txt")):
            if category not in ids:
                raise ConfigError(f"{where}: the category {category!r} is not in Annotations.txt")
            path, sound = source.video("{video}.mp4", video=video), source.sound(video=video)
            for second in range(SECONDS):
                label = ids[category] if start <= second < stop else len(names)
                records.append(Record(path, label, where, (second, second + 1), sound, f"{video}:{second}"))
        return cls(records, settings, split, [*names, "background"])


def read_annotations(path):
    """Rows (category, video id, quality, start, stop, file and line) of a label file; seconds from the beginning."""
    rows = []
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.strip()
            if not line or line.startswith(_HEADER):
                continue
            where = f"{path}, line {number}"
            fields = line.rsplit("&", 4)
            try:
                category, video, quality, start, stop = fields
                rows.append((category, video, quality, int(start), int(stop), where))
            except ValueError:
                raise ConfigError(f"{where}: not 'Category&VideoID&Quality&Start&End' but {line!r}") from None
    return rows
