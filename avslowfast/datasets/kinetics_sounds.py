"""Kinetics-Sounds: the classes of Kinetics-400 that can be heard (arXiv 1705.08168), in the lists of 31 and of 32 that are in use."""

import os

from ..config import ConfigError
from .base import DATASETS, Record, VideoDataset
from .kinetics import crawled_file, read_crawled

CLASSES_31 = (
    "blowing nose",
    "blowing out candles",
    "bowling",
    "chopping wood",
    "dribbling basketball",
    "laughing",
    "mowing lawn",
    "playing accordion",
    "playing bagpipes",
    "playing bass guitar",
    "playing clarinet",
    "playing drums",
    "playing guitar",
    "playing harmonica",
    "playing keyboard",
    "playing organ",
    "playing piano",
    "playing saxophone",
    "playing trombone",
    "playing trumpet",
    "playing violin",
    "playing xylophone",
    "ripping paper",
    "shoveling snow",
    "shuffling cards",
    "singing",
    "stomping grapes",
    "tap dancing",
    "tapping guitar",
    "tapping pen",
    "tickling",
)
CLASSES_32 = tuple(sorted((*CLASSES_31, "strumming guitar")))
_LISTS = {31: CLASSES_31, 32: CLASSES_32}


@DATASETS.register("kinetics_sounds")
class KineticsSounds(VideoDataset):
    """Those videos of the crawler's Kinetics CSV whose class is in the list of MODEL.NUM_CLASSES (31 or 32) names, in alphabetical order."""

    multi_label = False

    @classmethod
    def from_source(cls, source, split, settings):
        """Read `kinetics-400_{split}.csv` or `{split}.csv`; without a test list the validation list serves."""
        if source.num_classes not in _LISTS:
            raise ConfigError(
                f"MODEL.NUM_CLASSES is {source.num_classes}: Kinetics-Sounds has lists of 31 and of 32 classes; use one of these"
            )
        names = _LISTS[source.num_classes]
        ids = {name: i for i, name in enumerate(names)}
        tried = ("train",) if split == "train" else ("val",) if split == "val" else ("test", "val")
        path = source.file(*(name for part in tried for name in (f"kinetics-400_{part}.csv", f"{part}.csv")))
        records = []
        for row, where in read_crawled(path):
            if row["label"] in ids:
                file = crawled_file(row)
                records.append(
                    Record(
                        os.path.join(source.prefix or source.folder, file),
                        ids[row["label"]],
                        where,
                        None,
                        "",
                        row["youtube_id"],
                    )
                )
        if not records:
            raise ConfigError(f"{path}: no video of Kinetics-Sounds in it")
        return cls(records, settings, split, list(names))
