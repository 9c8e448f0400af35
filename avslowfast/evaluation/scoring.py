"""Score files by the rules of a data set: detections, submissions, scores of a test, results of several folds."""

import json
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import ConfigError
from ..datasets import ava as ava_files
from ..datasets import epic as epic_files
from ..tasks.scores import SavedScores, unwrapped
from .metrics import ava, classification, epic

# How a scores.pt can be scored: mAP by Charades' rule, plain mAP, top-1 and top-5.
RULES = ("charades", "multilabel", "topk")
# Metrics of which folds have a mean.
_OF_FOLDS = ("top1", "top5", "mean_class_accuracy", "map")


def score_ava(
    groundtruth: str, detections: str, label_map: str, excluded: str | None = None, max_boxes: int = 50
) -> dict[str, Any]:
    """Frame mAP at IoU 0.5.

    Args:
        groundtruth: CSV of video_id,second,x1,y1,x2,y2,action_id[,person_id].
        detections: CSV of video_id,second,x1,y1,x2,y2,action_id,score.
        label_map: pbtxt with the classes that are evaluated.
        excluded: CSV of key frames that do not count: video_id,second.
        max_boxes: Rows of a key frame that count, the best ones; 0 for all.

    Returns:
        {"mAP": 0..1, "per_class": {name: average precision or None}}.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    names = ava_files.read_label_map(label_map)
    truth, boxes = ava_files.read_boxes(groundtruth), ava_files.read_boxes(detections, scores=True)
    left_out = ava_files.read_excluded(excluded) if excluded else set()
    truth, boxes = (table[~table.frame.isin(left_out)] for table in (truth, boxes))
    values = ava.frame_ap(truth, boxes, list(names), max_boxes=max_boxes)
    mean = ava.mean_ap(values)
    return {"mAP": None if np.isnan(mean) else mean, "per_class": {names[i]: value for i, value in values.items()}}


def score_epic55(annotations: str, submission: str) -> dict[str, float]:
    """Accuracies of a submission on the local validation kitchens; many-shot figures where the official lists are.

    Args:
        annotations: Folder with the training CSV, whose kitchens P26 to P31 are scored.
        submission: JSON, or the zip that holds it.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    table = epic_files.read_validation("epic55", annotations)
    verbs, nouns = read_submission(submission, table.name.tolist())
    labels = _labels(table)
    values = epic.accuracy(verbs, nouns, *labels)
    if epic_files.has_many_shot(annotations):
        many_verbs, many_nouns, many_actions = epic_files.read_many_shot(annotations)
        many = epic.many_shot(verbs, nouns, *labels, many_verbs, many_nouns, many_actions)
        values.update({f"many_shot_{name}": value for name, value in many.items()})
    return values


def score_epic100(annotations: str, submission: str) -> dict[str, float]:
    """Accuracies of a submission on the validation list: all, unseen participants, tail classes.

    Args:
        annotations: Folder with EPIC_100_validation.csv and the lists of unseen participants and tail classes.
        submission: JSON, or the zip that holds it.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    table = epic_files.read_validation("epic100", annotations)
    scores = read_submission(submission, table.name.tolist())
    unseen, verbs, nouns = epic_files.read_groups_100(annotations)
    unseen_rows = table.participant_id.isin(unseen).to_numpy()
    return epic.challenge_100(*scores, *_labels(table), unseen_rows, verbs, nouns)


def _labels(table: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return table.verb_class.to_numpy(), table.noun_class.to_numpy()


def read_submission(path: str, segments: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Verb scores [N, V] and noun scores [N, M] of a submission, checked, in the order of the segments.

    Args:
        path: JSON, or the zip that holds it as test.json.
        segments: N names.

    Raises:
        ConfigError: It cannot be read, or is not a valid submission.
    """
    try:
        if path.endswith(".zip"):
            with zipfile.ZipFile(path) as f:
                content = json.loads(f.read("test.json"))
        else:
            with open(path, encoding="utf-8") as f:
                content = json.load(f)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path}: not a submission ({' '.join(str(error).split())})") from None
    results = content.get("results") if isinstance(content, dict) else None
    first: dict[str, Any] = next(iter(results.values()), {}) if isinstance(results, dict) else {}
    sizes = [len(first.get(part, ())) for part in ("verb", "noun")]
    wrong = epic.check_submission(content, segments, *sizes)
    if wrong:
        raise ConfigError(f"{path}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))
    return epic.scores_of(content, segments)


def score_file(path: str, rule: str) -> dict[str, Any]:
    """Metrics of a scores.pt; {classifier: metrics} for several classifiers.

    Args:
        path: File that a test has written.
        rule: One of `RULES`.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    saved = SavedScores.load(path)
    labels = saved.scores.labels_by_head(saved.labels)
    return unwrapped({head: _measure(scores, labels[head], rule) for head, scores in saved.scores.heads.items()})


def _measure(scores: NDArray[np.float32], labels: NDArray[Any], rule: str) -> dict[str, float]:
    if rule == "topk":
        return classification.summarize(scores, labels)
    value = classification.mean_average_precision(scores, labels, unlabelled_last=rule == "charades")
    return {"map": value}


def score_folds(paths: Sequence[str]) -> dict[str, float]:
    """Mean over several splits' results of each metric that all of them have (UCF101, HMDB51).

    Args:
        paths: results.json of each split.

    Raises:
        ConfigError: A file cannot be read.
    """
    contents = []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as f:
                contents.append(json.load(f))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: not a results.json ({error})") from None
    shared = [key for key in _OF_FOLDS if all(key in content for content in contents)]
    return {"folds": len(contents), **{key: float(np.mean([content[key] for content in contents])) for key in shared}}
