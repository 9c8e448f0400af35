"""Kinetics-Sounds: the classes of Kinetics-400 that can be heard (arXiv 1705.08168).

Lists of 31 and of 32 classes are in use.
"""

from ..config import ConfigError
from ..utils.remote import join
from .base import Listing, Record, Source
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


def read(source: Source, split: str) -> Listing:
    """Those videos of the crawler's Kinetics CSV whose class is in the list of MODEL.NUM_CLASSES (31 or 32) names.

    Class ids follow the alphabet. The file is `kinetics-400_{split}.csv` or `{split}.csv`; without a test list the
    validation list serves.

    Args:
        source: Where the label files lie.
        split: train | val | test.

    Raises:
        ConfigError: The file does not exist, or no list has so many classes.
    """
    if source.num_classes not in _LISTS:
        raise ConfigError(
            f"MODEL.NUM_CLASSES is {source.num_classes}: Kinetics-Sounds has lists of 31 and of 32 classes; "
            "use one of these"
        )
    names = _LISTS[source.num_classes]
    ids = {name: i for i, name in enumerate(names)}
    splits = {"train": ("train",), "val": ("val",), "test": ("test", "val")}[split]
    path = source.split_file(*(name for part in splits for name in (f"kinetics-400_{part}.csv", f"{part}.csv")))
    records = [
        Record(
            join(source.video_folder, crawled_file(row, where)),
            ids[row["label"]],
            where,
            name=row["youtube_id"],
        )
        for row, where in read_crawled(path)
        if row["label"] in ids
    ]
    if not records:
        raise ConfigError(f"{path}: no video of Kinetics-Sounds in it")
    return Listing(records, list(names))
