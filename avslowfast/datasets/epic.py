"""EPIC-Kitchens-55 and -100: segments of long videos, by time stamps, with a verb and a noun.

See arXiv 1804.02748 and 2006.13256. Frame numbers of the label files are not used: frame rates differ between videos.
"""

import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..config import ConfigError
from ..utils.remote import is_file
from .base import Listing, Record, Source
from .tables import check_distinct, check_span, csv_rows, field, PathLike, shown, whole_number

SIZES = {"epic55": {"verb": 125, "noun": 352}, "epic100": {"verb": 97, "noun": 300}}
HEADS = ("verb", "noun")
# EPIC-Kitchens-55 has no validation list; the usual one is the last of its kitchens.
_LOCAL_VAL = frozenset(f"P{number:02d}" for number in range(26, 32))


@dataclass(frozen=True)
class _Part:
    """A part of an edition: its label files, which of their participants belong to the part, whether it has labels."""

    files: tuple[str, ...]
    has: Callable[[str], bool] = lambda participant: True
    labelled: bool = True


@dataclass(frozen=True)
class _Edition:
    """How the label files of an edition are called, and what they leave to choose.

    Attributes:
        name: As in DATASETS.
        title: For messages.
        id_column: Column with a segment's id.
        video: Naming of the videos.
        names_file: Naming of the class lists.
        names_columns: Columns of the ids and of the names in these lists.
        train: Parts that DATA.TRAIN_PART chooses from, the default first.
        test: Parts that DATA.TEST_PART chooses from, the default, which serves validation, first.
    """

    name: str
    title: str
    id_column: str
    video: str
    names_file: str
    names_columns: tuple[str, str]
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
        if chosen and chosen not in parts:
            raise ConfigError(f"{key} is {chosen!r}: {self.title} has {', '.join(parts)}; use one of them")
        return parts[default if split == "val" else chosen or default]


_LABELS_55 = ("EPIC_train_action_labels.csv",)
_TRAIN_100, _VALIDATION_100 = ("EPIC_100_train.csv",), ("EPIC_100_validation.csv",)
_EPIC55 = _Edition(
    "epic55",
    "EPIC-Kitchens-55",
    "uid",
    "{participant}/{video}.MP4",
    "EPIC_{head}_classes.csv",
    ("{head}_id", "class_key"),
    {"local": _Part(_LABELS_55, lambda participant: participant not in _LOCAL_VAL), "all": _Part(_LABELS_55)},
    {
        "local": _Part(_LABELS_55, lambda participant: participant in _LOCAL_VAL),
        "s1": _Part(("EPIC_test_s1_timestamps.csv",), labelled=False),
        "s2": _Part(("EPIC_test_s2_timestamps.csv",), labelled=False),
    },
)
_EPIC100 = _Edition(
    "epic100",
    "EPIC-Kitchens-100",
    "narration_id",
    "{participant}/videos/{video}.MP4",
    "EPIC_100_{head}_classes.csv",
    ("id", "key"),
    {"train": _Part(_TRAIN_100), "trainval": _Part(_TRAIN_100 + _VALIDATION_100)},
    {"validation": _Part(_VALIDATION_100), "test": _Part(("EPIC_100_test_timestamps.csv",), labelled=False)},
)


_EDITIONS = {edition.name: edition for edition in (_EPIC55, _EPIC100)}


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
    """EPIC-Kitchens-100: training and validation lists, or both to train on; the test list has no labels.

    Arguments as for `read_55`.
    """
    return _read(_EPIC100, source, split)


def seconds(text: str) -> float:
    """HH:MM:SS with any number of decimals -> seconds.

    Raises:
        ValueError: It is no time of this form.
    """
    match = re.fullmatch(r"(\d+):([0-5]?\d):([0-5]?\d(?:\.\d*)?)", text.strip(), re.ASCII)
    if match is None:
        raise ValueError(f"not HH:MM:SS but {text!r}")
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _read(edition: _Edition, source: Source, split: str) -> Listing:
    part = edition.part(source, split)
    if source.target not in HEADS:
        raise ConfigError(f"DATA.TARGET is {source.target!r}: a segment has a verb and a noun; use one of them")
    sizes = dict(source.classifiers) or {source.target: source.num_classes}
    columns = [edition.id_column, "participant_id", "video_id", "start_timestamp", "stop_timestamp"]
    if part.labelled and source.labelled and not source.list_file:
        columns += [f"{head}_class" for head in sizes if head in HEADS]
    records: list[Record] = []
    for path in [source.split_file()] if source.list_file else [source.file(file) for file in part.files]:
        rows = [
            (row, where)
            for row, where in csv_rows(path, columns)
            if source.list_file or part.has(field(row, "participant_id", where))
        ]
        if not rows:
            raise ConfigError(f"{path}: no segments in it for {split}")
        records += [_record(edition, source, row, where, sizes) for row, where in rows]
    names = {head: _names(edition, source, head) for head in sizes if head in HEADS}
    return Listing(records, names if source.classifiers else names[source.target], classifiers=HEADS)


def _record(edition: _Edition, source: Source, row: Mapping[str, str], where: str, sizes: Mapping[str, int]) -> Record:
    try:
        start, stop = seconds(row["start_timestamp"]), seconds(row["stop_timestamp"])
    except ValueError:
        raise ConfigError(
            f"{where}: no time stamps HH:MM:SS ({shown(row['start_timestamp'])}, {shown(row['stop_timestamp'])})"
        ) from None
    span = check_span(start, stop, where)
    ids = [_class_id(edition, row, where, head, size) for head, size in sizes.items()]
    fields = {"participant": field(row, "participant_id", where), "video": field(row, "video_id", where)}
    video = source.video(edition.video, **fields)
    return Record(
        video,
        tuple(ids) if source.classifiers else ids[0],
        where,
        span,
        source.audio(**fields),
        field(row, edition.id_column, where),
        _frame_rate(fields["video"]) if not os.path.splitext(video)[1] and _is_folder(video) else 0.0,
        row["participant_id"],
    )


@functools.lru_cache(maxsize=4096)
def _is_folder(path: str) -> bool:
    # Readers of label files run without av; most paths are those of files.
    from ..media.storage import is_folder

    return is_folder(path)


def _frame_rate(video: str) -> float:
    """Frames per second of the official pictures: 60 of EPIC-Kitchens-55's videos (P01_01), 50 of later ones."""
    return 50.0 if len(video.rpartition("_")[2]) == 3 else 60.0


def _class_id(edition: _Edition, row: Mapping[str, str], where: str, head: str, size: int) -> int:
    """The verb or noun of a row; -1 where the file has no labels."""
    text = row.get(f"{head}_class")
    if text is None:
        return -1
    class_id = whole_number(text, where, head, None)
    if not 0 <= class_id < size:
        raise ConfigError(
            f"{where}: {head} {shown(class_id)} is outside 0..{size - 1}; {edition.name} has "
            f"{SIZES[edition.name][head]} classes (MULTI_HEAD.NUM_CLASSES, or MODEL.NUM_CLASSES with a single head)"
        )
    return class_id


def _names(edition: _Edition, source: Source, head: str) -> list[str] | None:
    """Class names from the official list next to the labels; None without it."""
    path = os.path.join(source.folder, edition.names_file.format(head=head))
    return _read_names(edition, path, head) if is_file(path) else None


def _read_names(edition: _Edition, path: str, head: str) -> list[str]:
    """The names of a class list, in order of their ids."""
    id_column, name_column = (column.format(head=head) for column in edition.names_columns)
    names: list[str] = []
    for row, where in csv_rows(path, (id_column, name_column)):
        if whole_number(row[id_column], where, f"the {id_column}") != len(names):
            raise ConfigError(
                f"{where}: the {id_column} is {shown(row[id_column])}, not {len(names)}; it should be the official "
                "file, unchanged"
            )
        names.append(field(row, name_column, where))
    return names


def count_classes(version: str, folder: str | os.PathLike[str]) -> dict[str, int]:
    """{"verb", "noun": number of classes}: those of the class lists in a folder, or the official ones.

    Args:
        version: epic55 | epic100.
        folder: Folder of the label files.

    Raises:
        ConfigError: A class list has a mistake.
    """
    edition, counts = _EDITIONS[version], dict(SIZES[version])
    for head in HEADS:
        path = os.path.join(folder, edition.names_file.format(head=head))
        if is_file(path):
            counts[head] = len(_read_names(edition, path, head))
    return counts


def read_validation(version: str, folder: str) -> Any:
    """The labelled segments that a local evaluation scores.

    Args:
        version: epic55 | epic100.
        folder: Folder of the label files.

    Returns:
        A pandas table with `name`, `participant_id`, `verb_class`, `noun_class`.

    Raises:
        TextError: The label file is not in the folder.
        ConfigError: It has a mistake.
    """
    import pandas as pd

    edition = _EDITIONS[version]
    part, sizes = edition.part(Source(folder), "val"), count_classes(version, folder)
    path = os.path.join(folder, part.files[0])
    rows = []
    for row, where in csv_rows(path, (edition.id_column, "participant_id", *(f"{head}_class" for head in HEADS))):
        if part.has(field(row, "participant_id", where)):
            classes = {f"{head}_class": _class_id(edition, row, where, head, sizes[head]) for head in HEADS}
            rows.append({**row, **classes, "name": field(row, edition.id_column, where)})
    check_distinct((str(row["name"]) for row in rows), path, "segment")
    if not rows:
        raise ConfigError(f"{path}: no segments in it that are scored; it should be the official file, unchanged")
    return pd.DataFrame(rows).drop(columns=edition.id_column)


def has_many_shot(folder: str) -> bool:
    """Whether the official many-shot lists are in a folder."""
    return all(is_file(os.path.join(folder, f"EPIC_many_shot_{part}.csv")) for part in ("verbs", "nouns", "actions"))


def has_groups_100(folder: str) -> bool:
    """Whether the official lists of unseen participants and tail classes are in a folder."""
    return all(
        is_file(os.path.join(folder, f"EPIC_100_{part}.csv"))
        for part in ("unseen_participant_ids_validation", "tail_verbs", "tail_nouns")
    )


def read_many_shot(folder: str | os.PathLike[str]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """The many-shot classes of EPIC-Kitchens-55, from the official lists.

    Returns:
        (verbs, nouns, (verb, noun) pairs), as class ids.

    Raises:
        ConfigError: A list is missing or has a mistake.
    """
    verbs = _ids(f"{folder}/EPIC_many_shot_verbs.csv", "verb_class")
    nouns = _ids(f"{folder}/EPIC_many_shot_nouns.csv", "noun_class")
    actions = []
    for row, where in csv_rows(f"{folder}/EPIC_many_shot_actions.csv", ("action_class",)):
        match = re.fullmatch(r"\((\d+), ?(\d+)\)", row["action_class"].strip(), re.ASCII)
        if match is None:
            raise ConfigError(f"{where}: the action is {shown(row['action_class'])}, not (verb, noun)")
        actions.append((int(match[1]), int(match[2])))
    return verbs, nouns, actions


def read_groups_100(folder: str | os.PathLike[str]) -> tuple[list[str], list[int], list[int]]:
    """The groups of EPIC-Kitchens-100's validation that are scored apart, from the official lists.

    Returns:
        (unseen participants, tail verbs, tail nouns).

    Raises:
        ConfigError: A list is missing or has a mistake.
    """
    participants = csv_rows(f"{folder}/EPIC_100_unseen_participant_ids_validation.csv", ("participant_id",))
    return (
        [field(row, "participant_id", where) for row, where in participants],
        _ids(f"{folder}/EPIC_100_tail_verbs.csv", "verb"),
        _ids(f"{folder}/EPIC_100_tail_nouns.csv", "noun"),
    )


def _ids(path: PathLike, column: str) -> list[int]:
    """The class ids of a column."""
    return [whole_number(row[column], where, column) for row, where in csv_rows(path, (column,))]
