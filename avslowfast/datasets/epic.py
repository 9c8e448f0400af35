"""EPIC-Kitchens-55 and -100: segments of long videos, by time stamps, with a verb and a noun.

See arXiv 1804.02748 and 2006.13256. Frame numbers of the label files are not used: frame rates differ between videos.
"""

import ast
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config import ConfigError
from .base import csv_rows, Listing, Record, Source

SIZES = {"epic55": {"verb": 125, "noun": 352}, "epic100": {"verb": 97, "noun": 300}}
HEADS = ("verb", "noun")
# EPIC-Kitchens-55 has no validation list; the usual one is the last of its kitchens.
_LOCAL_VAL = frozenset(f"P{number:02d}" for number in range(26, 32))


@dataclass(frozen=True)
class _Part:
    """A part of an edition: a label file, and which of its participants belong to the part."""

    file: str
    has: Callable[[str], bool] = lambda participant: True


@dataclass(frozen=True)
class _Edition:
    """How the label files of an edition are called, and what they leave to choose.

    Attributes:
        name: As in DATASETS.
        title: For messages.
        id_column: Column with a segment's id.
        video: Naming of the videos.
        names_file: Naming of the class lists.
        train: Parts that DATA.TRAIN_PART chooses from, the default first.
        test: Parts that DATA.TEST_PART chooses from, the default, which serves validation, first.
    """

    name: str
    title: str
    id_column: str
    video: str
    names_file: str
    train: Mapping[str, _Part]
    test: Mapping[str, _Part]

    def part(self, source: Source, split: str) -> _Part:
        """The part that a split reads.

        Raises:
            ConfigError: There is no part of that name.
        """
        key, chosen, parts = (
            ("DATA.TRAIN_PART", source.train_part, self.train)
            if split == "train"
            else ("DATA.TEST_PART", source.test_part, self.test)
        )
        default = next(iter(parts))
        if len(parts) == 1:
            return parts[default]
        if chosen and chosen not in parts:
            raise ConfigError(f"{key} is {chosen!r}: {self.title} has {', '.join(parts)}; use one of them")
        return parts[default if split == "val" else chosen or default]


_LABELS_55 = "EPIC_train_action_labels.csv"
_EPIC55 = _Edition(
    "epic55",
    "EPIC-Kitchens-55",
    "uid",
    "{participant}/{video}.MP4",
    "EPIC_{head}_classes.csv",
    {"local": _Part(_LABELS_55, lambda participant: participant not in _LOCAL_VAL), "all": _Part(_LABELS_55)},
    {
        "local": _Part(_LABELS_55, lambda participant: participant in _LOCAL_VAL),
        "s1": _Part("EPIC_test_s1_timestamps.csv"),
        "s2": _Part("EPIC_test_s2_timestamps.csv"),
    },
)
_EPIC100 = _Edition(
    "epic100",
    "EPIC-Kitchens-100",
    "narration_id",
    "{participant}/videos/{video}.MP4",
    "EPIC_100_{head}_classes.csv",
    {"train": _Part("EPIC_100_train.csv")},
    {"validation": _Part("EPIC_100_validation.csv"), "test": _Part("EPIC_100_test_timestamps.csv")},
)


def read_55(source: Source, split: str) -> Listing:
    """EPIC-Kitchens-55: 28,472 labelled segments; kitchens P26 to P31 serve for validation unless all are trained on.

    Args:
        source: Where the label files lie; see DATA.TRAIN_PART and DATA.TEST_PART.
        split: train | val | test.

    Returns:
        Segments whose label is one id per classifier, or that of DATA.TARGET with a single one. Unlabelled test
        segments have -1.

    Raises:
        ConfigError: A file does not exist or has a mistake, or a key has an unknown value.
    """
    return _read(_EPIC55, source, split)


def read_100(source: Source, split: str) -> Listing:
    """EPIC-Kitchens-100: training and validation lists; the test list has no labels. Arguments as for `read_55`."""
    return _read(_EPIC100, source, split)


def seconds(text: str) -> float:
    """HH:MM:SS with any number of decimals -> seconds."""
    hours, minutes, rest = str(text).split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


def _read(edition: _Edition, source: Source, split: str) -> Listing:
    part = edition.part(source, split)
    path = source.file(part.file)
    if source.target not in HEADS:
        raise ConfigError(f"DATA.TARGET is {source.target!r}: a segment has a verb and a noun; use one of them")
    sizes = dict(source.classifiers) or {source.target: source.num_classes}
    columns = (edition.id_column, "participant_id", "video_id", "start_timestamp", "stop_timestamp")
    records = [
        _record(edition, source, row, where, sizes)
        for row, where in csv_rows(path, columns)
        if part.has(row["participant_id"])
    ]
    if not records:
        raise ConfigError(f"{path}: no segments in it for {split}")
    names = {head: _names(edition, source, head, size) for head, size in sizes.items()}
    return Listing(records, names if source.classifiers else names[source.target], classifiers=HEADS)


def _record(edition: _Edition, source: Source, row: Mapping[str, str], where: str, sizes: Mapping[str, int]) -> Record:
    try:
        span = seconds(row["start_timestamp"]), seconds(row["stop_timestamp"])
    except ValueError:
        raise ConfigError(
            f"{where}: no time stamps HH:MM:SS ({row['start_timestamp']}, {row['stop_timestamp']})"
        ) from None
    ids = [int(row.get(f"{head}_class", -1)) for head in sizes]
    for (head, size), class_id in zip(sizes.items(), ids):
        if class_id >= size:
            raise ConfigError(
                f"{where}: {head} {class_id} is outside 0..{size - 1}; {edition.name} has {SIZES[edition.name][head]} "
                "classes (MULTI_HEAD.NUM_CLASSES, or MODEL.NUM_CLASSES with a single head)"
            )
    fields = {"participant": row["participant_id"], "video": row["video_id"]}
    return Record(
        source.video(edition.video, **fields),
        tuple(ids) if source.classifiers else ids[0],
        where,
        span,
        source.audio(**fields),
        row[edition.id_column],
        group=row["participant_id"],
    )


def _names(edition: _Edition, source: Source, head: str, size: int) -> list[str] | None:
    """Class names from the official list next to the labels; None without it, or with another number of classes."""
    path = os.path.join(source.folder, edition.names_file.format(head=head))
    if not os.path.isfile(path):
        return None
    names = [row.get("class_key", row.get("key", "")) for row, _ in csv_rows(path, ())]
    return names if len(names) == size else None


def read_validation(version: str, folder: str) -> Any:
    """The labelled segments that a local evaluation scores.

    Args:
        version: epic55 | epic100.
        folder: Folder of the label files.

    Returns:
        A pandas table with `name`, `participant_id`, `verb_class`, `noun_class`.

    Raises:
        ConfigError: The label file is not in the folder.
    """
    import pandas as pd

    source, edition = Source(folder), {"epic55": _EPIC55, "epic100": _EPIC100}[version]
    part = edition.part(source, "val")
    table = pd.read_csv(source.file(part.file))
    return table[table.participant_id.map(part.has)].rename(columns={edition.id_column: "name"})


def has_many_shot(folder: str) -> bool:
    """Whether the official many-shot lists are in a folder."""
    return all(
        os.path.isfile(os.path.join(folder, f"EPIC_many_shot_{part}.csv")) for part in ("verbs", "nouns", "actions")
    )


def has_groups_100(folder: str) -> bool:
    """Whether the official lists of unseen participants and tail classes are in a folder."""
    return all(
        os.path.isfile(os.path.join(folder, f"EPIC_100_{part}.csv"))
        for part in ("unseen_participant_ids_validation", "tail_verbs", "tail_nouns")
    )


def read_many_shot(folder: str | os.PathLike[str]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """The many-shot classes of EPIC-Kitchens-55, from the official lists.

    Returns:
        (verbs, nouns, (verb, noun) pairs), as class ids.
    """
    verbs = [int(value) for value in _column(f"{folder}/EPIC_many_shot_verbs.csv", "verb_class")]
    nouns = [int(value) for value in _column(f"{folder}/EPIC_many_shot_nouns.csv", "noun_class")]
    actions = [ast.literal_eval(pair) for pair in _column(f"{folder}/EPIC_many_shot_actions.csv", "action_class")]
    return verbs, nouns, actions


def read_groups_100(folder: str | os.PathLike[str]) -> tuple[list[str], list[int], list[int]]:
    """The groups of EPIC-Kitchens-100's validation that are scored apart, from the official lists.

    Returns:
        (unseen participants, tail verbs, tail nouns).
    """
    return (
        _column(f"{folder}/EPIC_100_unseen_participant_ids_validation.csv", "participant_id"),
        [int(value) for value in _column(f"{folder}/EPIC_100_tail_verbs.csv", "verb")],
        [int(value) for value in _column(f"{folder}/EPIC_100_tail_nouns.csv", "noun")],
    )


def _column(path: str, name: str) -> list[str]:
    return [row[name] for row, _ in csv_rows(path, (name,))]
