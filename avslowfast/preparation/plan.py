"""Which videos the label files of a data set name, and how the prepared ones are trained on."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import ConfigError, load_cfg
from ..datasets.kinetics import read_crawled_splits
from ..loading.build import read_listing
from ..utils.errors import UserError
from ..utils.text import write_lines


@dataclass(frozen=True)
class DataSet:
    """Which configuration reads a data set and names its videos.

    Attributes:
        config: Configuration that reads it.
        parts: Overrides of the configuration that together name all of its videos.
        video_file: DATA.VIDEO_FILE of the prepared files where their ending is not that of the labels.
        release: Number of classes of a Kinetics release, whose lists are written; 0 for the others.
    """

    config: str
    parts: Sequence[Sequence[Any]] = ((),)
    video_file: str = ""
    release: int = 0


_FOLDED = tuple(("DATA.FOLD", fold) for fold in (1, 2, 3))
DATA_SETS = {
    "kinetics400": DataSet("Kinetics/AVSLOWFAST_8x8_R50", release=400),
    "kinetics600": DataSet("Kinetics600/AVSLOWFAST_8x8_R50", release=600),
    "kinetics_sounds": DataSet("KineticsSounds/AVSLOWFAST_8x8_R50"),
    "epic55": DataSet(
        "EPIC55/AVSLOWFAST_8x8_R50",
        (("DATA.TRAIN_PART", "all"), ("DATA.TEST_PART", "s1"), ("DATA.TEST_PART", "s2")),
    ),
    "epic100": DataSet("EPIC100/AVSLOWFAST_8x8_R50", ((), ("DATA.TEST_PART", "test"))),
    "charades": DataSet("Charades/AVSLOWFAST_16x8_R50"),
    "ava": DataSet("AVA/AVSLOWFAST_32x2_R50_SHORT"),
    "ave": DataSet("AVE/AVSLOWFAST_8x8_R50"),
    "vggsound": DataSet("VGGSound/AVSLOWFAST_8x8_R50"),
    "ucf101": DataSet("UCF101/AVSLOWFAST_8x8_R50", _FOLDED, "{stem}.mp4"),
    "hmdb51": DataSet("HMDB51/AVSLOWFAST_8x8_R50", _FOLDED, "{name}/{stem}.mp4"),
}


@dataclass(frozen=True)
class NamedVideos:
    """The videos that label files name.

    Attributes:
        paths: {split: paths in the folder of downloaded videos}.
        notes: Label files that were passed over, one line each.
        labels: {split: [(path below the folder, class id)]} of Kinetics; {} for the others.
        class_names: Names in order of the class ids, of Kinetics; [] for the others.
    """

    paths: dict[str, list[str]]
    notes: list[str]
    labels: dict[str, list[tuple[str, int]]]
    class_names: list[str]


def named_videos(name: str, annotations: str, videos: str) -> NamedVideos:
    """The videos that the label files of a data set name; label files that are missing are passed over with a note.

    Args:
        name: One of `DATA_SETS`.
        annotations: Folder of the label files.
        videos: Folder of the downloaded videos.

    Raises:
        ConfigError: Not one label file in the folder.
    """
    data_set = DATA_SETS[name]
    if data_set.release:
        labels, names = read_crawled_splits(annotations, data_set.release)
        paths = {split: [os.path.join(videos, file) for file, _ in rows] for split, rows in labels.items()}
        return NamedVideos(paths, [], labels, names)
    base = ["DATA.PATH_TO_DATA_DIR", annotations, "DATA.PATH_PREFIX", videos]
    if name == "ava":
        base += _ava_lists(annotations)
    paths, notes = {}, []
    for part in data_set.parts:
        cfg = load_cfg(data_set.config, [*base, *part])
        for split in ("train", "test"):
            label = _label(name, split, part, len(data_set.parts))
            try:
                records = read_listing(cfg, split).records
            except UserError as error:
                notes.append(f"not looked at: {label}: {error}")
                continue
            paths.setdefault(label, list(dict.fromkeys(record.path for record in records)))
    if not paths:
        raise ConfigError(
            f"{annotations}: no label files of {name} in it that can be read (DATASETS.md says which); {notes[0]}"
        )
    return NamedVideos(paths, list(dict.fromkeys(notes)), {}, [])


def _label(name: str, split: str, part: Sequence[Any], parts: int) -> str:
    """What a split is called in tables."""
    if split == "test" and part and part[0] == "DATA.TEST_PART":
        return str(part[1])
    return split if parts == 1 or name.startswith("epic") else f"{split} {part[-1]}"


def _ava_lists(annotations: str) -> list[Any]:
    """Overrides that name the label files of the release that is in a folder."""
    release = next((v for v in ("2.2", "2.1") if os.path.isfile(os.path.join(annotations, f"ava_val_v{v}.csv"))), "2.2")
    return [
        "AVA.TRAIN_GT_BOX_LISTS",
        [f"ava_train_v{release}.csv"],
        "AVA.TRAIN_PREDICT_BOX_LISTS",
        [],
        "AVA.TEST_PREDICT_BOX_LISTS",
        [f"ava_val_v{release}.csv"],
        "AVA.GROUNDTRUTH_FILE",
        f"ava_val_v{release}.csv",
    ]


def write_lists(folder: str, named: NamedVideos, prepared: Iterable[str]) -> bool:
    """Write Kinetics' list files of the prepared videos, and classes.txt.

    Args:
        folder: Folder to write to.
        named: What the label files name.
        prepared: Names of the prepared videos, below their folder.

    Returns:
        Whether test.csv holds the validation videos, because the test has no labels.
    """
    labels: Mapping[str, list[tuple[str, int]]] = named.labels
    borrowed = "test" not in labels and "val" in labels
    if borrowed:
        labels = {**labels, "test": labels["val"]}
    there = set(prepared)
    for split, rows in labels.items():
        write_lines(os.path.join(folder, f"{split}.csv"), (f"{file} {label}" for file, label in rows if file in there))
    write_lines(os.path.join(folder, "classes.txt"), named.class_names)
    return borrowed
