"""EPIC-Kitchens-55 and -100: segments of long videos, by time stamps, with a verb and a noun (arXiv 1804.02748, 2006.13256).

Frame numbers of the label files are not used: the frame rates differ from video to video.
"""

import ast
import os

import pandas as pd

from ..config import ConfigError
from .base import DATASETS, Record, Source, VideoDataset

SIZES = {"epic55": {"verb": 125, "noun": 352}, "epic100": {"verb": 97, "noun": 300}}
# EPIC-Kitchens-55 has no validation list; the usual one is the last of its kitchens.
_LOCAL_VAL = {f"P{number:02d}" for number in range(26, 32)}


def seconds(text):
    """HH:MM:SS with any number of decimals -> seconds."""
    hours, minutes, rest = str(text).split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(rest)


class _EpicKitchens(VideoDataset):
    """Segments; the label is one id a classifier, or that of DATA.TARGET with a single one. Unlabelled test segments have -1."""

    heads = ("verb", "noun")
    multi_label = False
    version = ""
    video_template = ""
    id_column = ""

    @classmethod
    def from_source(cls, source, split, settings):
        """Read the segments of a split; see DATA.TRAIN_PART and DATA.TEST_PART."""
        path, keep = cls._file(source, split)
        table = pd.read_csv(path)
        lacking = [
            c
            for c in (cls.id_column, "participant_id", "video_id", "start_timestamp", "stop_timestamp")
            if c not in table.columns
        ]
        if lacking:
            raise ConfigError(f"{path}: no column '{lacking[0]}'; it should be the official file, unchanged")
        if keep is not None:
            table = table[keep(table.participant_id)]
        heads = tuple(source.heads) if source.heads else (source.target,)
        sizes = source.heads or {source.target: source.num_classes}
        if source.target not in cls.heads:
            raise ConfigError(f"DATA.TARGET is {source.target!r}: a segment has a verb and a noun; use one of them")
        records = [
            cls._record(source, row, f"{path}, line {row.Index + 2}", heads, sizes) for row in table.itertuples()
        ]
        if not records:
            raise ConfigError(f"{path}: no segments in it for {split}")
        names = {head: _names(source, cls.version, head, sizes[head]) for head in heads}
        dataset = cls(records, settings, split, names if source.heads else names[source.target])
        dataset.participants = table.participant_id.tolist()
        return dataset

    @classmethod
    def _record(cls, source, row, where, heads, sizes):
        fields = {"participant": row.participant_id, "video": row.video_id}
        try:
            span = seconds(row.start_timestamp), seconds(row.stop_timestamp)
        except ValueError:
            raise ConfigError(
                f"{where}: no time stamps HH:MM:SS ({row.start_timestamp}, {row.stop_timestamp})"
            ) from None
        ids = [int(getattr(row, f"{head}_class", -1)) for head in heads]
        for head, value in zip(heads, ids):
            if value >= sizes[head]:
                raise ConfigError(
                    f"{where}: {head} {value} is outside 0..{sizes[head] - 1}; {cls.version} has {SIZES[cls.version][head]} classes "
                    "(MULTI_HEAD.NUM_CLASSES, or MODEL.NUM_CLASSES with a single head)"
                )
        label = tuple(ids) if source.heads else ids[0]
        return Record(
            source.video(cls.video_template, **fields),
            label,
            where,
            span,
            source.sound(**fields),
            str(getattr(row, cls.id_column)),
        )


@DATASETS.register("epic55")
class EpicKitchens55(_EpicKitchens):
    """EPIC-Kitchens-55: 28,472 labelled segments; kitchens P26 to P31 serve as validation unless all are trained on."""

    version = "epic55"
    video_template = "{participant}/{video}.MP4"
    id_column = "uid"

    @staticmethod
    def _file(source, split):
        part = (source.train_part if split == "train" else source.test_part) or "local"
        allowed = ("local", "all") if split == "train" else ("local", "s1", "s2")
        if part not in allowed:
            key = "DATA.TRAIN_PART" if split == "train" else "DATA.TEST_PART"
            raise ConfigError(f"{key} is {part!r}: EPIC-Kitchens-55 has {', '.join(allowed)}; use one of them")
        if split == "test" and part != "local":
            return source.file(f"EPIC_test_{part}_timestamps.csv"), None
        path = source.file("EPIC_train_action_labels.csv")
        if part == "all":
            return path, None
        return path, (lambda who: ~who.isin(_LOCAL_VAL)) if split == "train" else (lambda who: who.isin(_LOCAL_VAL))


@DATASETS.register("epic100")
class EpicKitchens100(_EpicKitchens):
    """EPIC-Kitchens-100: training and validation lists; the test list has no labels."""

    version = "epic100"
    video_template = "{participant}/videos/{video}.MP4"
    id_column = "narration_id"

    @staticmethod
    def _file(source, split):
        if split == "train":
            return source.file("EPIC_100_train.csv"), None
        if split == "test" and source.test_part == "test":
            return source.file("EPIC_100_test_timestamps.csv"), None
        if source.test_part not in ("", "validation", "test"):
            raise ConfigError(
                f"DATA.TEST_PART is {source.test_part!r}: EPIC-Kitchens-100 has validation and test; use one of them"
            )
        return source.file("EPIC_100_validation.csv"), None


def read_validation(version, folder):
    """The labelled segments that a local evaluation scores, as a table with `name`, `participant_id`, `verb_class`, `noun_class`.

    Raises:
        ConfigError: the label file is not in the folder.
    """
    source = Source(folder)
    if version == "epic55":
        table = pd.read_csv(source.file("EPIC_train_action_labels.csv"))
        return table[table.participant_id.isin(_LOCAL_VAL)].rename(columns={"uid": "name"})
    return pd.read_csv(source.file("EPIC_100_validation.csv")).rename(columns={"narration_id": "name"})


def has_many_shot(folder):
    """Whether the official many-shot lists are in a folder."""
    return all(
        os.path.isfile(os.path.join(folder, f"EPIC_many_shot_{part}.csv")) for part in ("verbs", "nouns", "actions")
    )


def has_groups_100(folder):
    """Whether the official lists of unseen participants and tail classes are in a folder."""
    return all(
        os.path.isfile(os.path.join(folder, f"EPIC_100_{part}.csv"))
        for part in ("unseen_participant_ids_validation", "tail_verbs", "tail_nouns")
    )


def read_many_shot(folder):
    """The many-shot classes of EPIC-Kitchens-55: (verbs, nouns, (verb, noun) pairs), from the official lists."""
    verbs = pd.read_csv(f"{folder}/EPIC_many_shot_verbs.csv").verb_class.tolist()
    nouns = pd.read_csv(f"{folder}/EPIC_many_shot_nouns.csv").noun_class.tolist()
    actions = [ast.literal_eval(pair) for pair in pd.read_csv(f"{folder}/EPIC_many_shot_actions.csv").action_class]
    return verbs, nouns, actions


def read_groups_100(folder):
    """(unseen participants, tail verbs, tail nouns) of EPIC-Kitchens-100's validation, from the official lists."""
    unseen = pd.read_csv(f"{folder}/EPIC_100_unseen_participant_ids_validation.csv").participant_id.tolist()
    return (
        unseen,
        pd.read_csv(f"{folder}/EPIC_100_tail_verbs.csv").verb.tolist(),
        pd.read_csv(f"{folder}/EPIC_100_tail_nouns.csv").noun.tolist(),
    )


def _names(source, version, head, size):
    """Class names from the official list beside the labels; None without it, or with another number of classes."""
    try:
        path = source.file(f"EPIC_{head}_classes.csv" if version == "epic55" else f"EPIC_100_{head}_classes.csv")
    except ConfigError:
        return None
    table = pd.read_csv(path)
    names = table["class_key" if "class_key" in table.columns else "key"].tolist()
    return names if len(names) == size else None
