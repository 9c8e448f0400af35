"""Score files by the rules of a data set: detections, submissions, scores of a test, results of several folds."""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..config import ConfigError
from ..datasets import ava as ava_files
from ..datasets import epic as epic_files
from ..tasks.scores import SavedScores, unwrapped
from ..utils.text import parse_json, read_json
from .metrics import ava, classification, epic

# How a scores.pt can be scored: mAP by Charades' rule, plain mAP, top-1 and top-5.
RULES = ("charades", "multilabel", "topk")
# Metrics of which folds have a mean.
_OF_FOLDS = ("top1", "top5", "mean_class_accuracy", "map")
# Bytes of the largest JSON that is read out of a zip; a submission has about 100 MB.
_LARGEST_JSON = 4 * 2**30


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
    if not len(truth):
        raise ConfigError(f"{groundtruth}: no boxes in it; give the official ground truth")
    if max_boxes < 0:
        raise ConfigError(f"--max-boxes is {max_boxes}: give a number of rows, or 0 for all")
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
    verbs, nouns = read_submission(submission, table.name.tolist(), epic_files.count_classes("epic55", annotations))
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
    scores = read_submission(submission, table.name.tolist(), epic_files.count_classes("epic100", annotations))
    unseen, verbs, nouns = epic_files.read_groups_100(annotations)
    unseen_rows = table.participant_id.isin(unseen).to_numpy()
    return epic.challenge_100(*scores, *_labels(table), unseen_rows, verbs, nouns)


def _labels(table: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return table.verb_class.to_numpy(), table.noun_class.to_numpy()


def read_submission(
    path: str, segments: Sequence[str], sizes: Mapping[str, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Verb scores [N, V] and noun scores [N, M] of a submission, checked, in the order of the segments.

    Args:
        path: JSON, or the zip that holds it as test.json.
        segments: N names.
        sizes: {"verb": V, "noun": M}.

    Raises:
        TextError: It cannot be read as JSON.
        ConfigError: It is not a valid submission.
    """
    content = parse_json(_unzipped(path), path) if path.endswith(".zip") else read_json(path)
    wrong = epic.check_submission(content, segments, sizes["verb"], sizes["noun"])
    if wrong:
        raise ConfigError(f"{path}: {wrong[0]}" + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""))
    return epic.scores_of(content, segments)


def _unzipped(path: str) -> bytes:
    """The test.json of a zip."""
    try:
        with zipfile.ZipFile(path) as f:
            size = f.getinfo("test.json").file_size
            if size > _LARGEST_JSON:
                raise ConfigError(f"{path}: its test.json of {size / 2**30:.0f} GiB is no submission")
            return f.read("test.json")
    # A zip may be encrypted, or packed by a method that zipfile does not know.
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ConfigError(f"{path}: not a submission ({' '.join(str(error).split())})") from None


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
    return unwrapped({head: _measure(path, scores, labels[head], rule) for head, scores in saved.scores.heads.items()})


def _measure(path: str, scores: NDArray[np.float32], labels: NDArray[Any], rule: str) -> dict[str, float]:
    # The official rule of Charades gives -inf to what is not to be found.
    good: NDArray[np.bool_] = np.all(np.isfinite(scores) | (np.isneginf(scores) & (rule != "topk")), axis=1)
    if not good.any():
        raise ConfigError(f"{path}: {len(good)} of {len(good)} scores are not finite (NaN or infinite); test again")
    _check_labels(path, labels, scores.shape[1], rule)
    counts = {} if good.all() else {"videos": len(good), "not_finite": int((~good).sum())}
    scores = np.where(good[:, None], scores, np.nan)
    if rule == "topk":
        return {**classification.summarize(scores, labels), **counts}
    value = classification.mean_average_precision(scores, labels, unlabelled_last=rule == "charades")
    return {"map": value, **counts}


def _check_labels(path: str, labels: NDArray[Any], classes: int, rule: str) -> None:
    """Whether labels are of the kind that a rule scores."""
    if rule != "topk":
        if labels.shape != (len(labels), classes) or not np.isin(labels, (0, 1)).all():
            raise ConfigError(
                f"{path}: its labels, of shape {list(labels.shape)}, are not several classes a video, as {rule} needs; "
                "use topk for one class a video"
            )
        return
    if labels.ndim != 1 or labels.dtype.kind != "i":
        raise ConfigError(
            f"{path}: its labels, of shape {list(labels.shape)}, are several classes a video; use multilabel"
        )
    if (labels < 0).all():
        raise ConfigError(f"{path}: the test has no labels (all are -1), so there is nothing to score")
    if (labels < 0).any():
        raise ConfigError(f"{path}: {int((labels < 0).sum())} of {len(labels)} videos have no label (-1)")


def score_folds(paths: Sequence[str]) -> dict[str, float]:
    """Mean over several splits' results of each metric that all of them have (UCF101, HMDB51).

    Args:
        paths: results.json of each split.

    Raises:
        TextError: A file cannot be read as JSON.
        ConfigError: It is no results.json, or has no metric that the others have.
    """
    contents = [_metrics_of(path) for path in paths]
    shared = [key for key in _OF_FOLDS if all(key in content for content in contents)]
    if not shared:
        raise ConfigError(f"{', '.join(paths)}: no metric that all have; metrics of folds are {', '.join(_OF_FOLDS)}")
    return {"folds": len(contents), **{key: float(np.mean([content[key] for content in contents])) for key in shared}}


def _metrics_of(path: str) -> dict[str, float]:
    """Those metrics of a results.json that have a mean over folds."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: not a results.json that a test has written")
    metrics = {key: content[key] for key in _OF_FOLDS if key in content}
    for key, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise ConfigError(f"{path}: {key} is {value!r}, not a finite number; test again")
    return metrics
