"""Score files by the rules of a data set: detections, submissions, scores of a test, results of several folds."""

import difflib
import os
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
from ..datasets.tables import hint, lines_of, shown, whole_number
from ..tasks.scores import names_of_head, ONLY, SavedScores, unwrapped
from ..utils.text import check_regular, parse_json, read_json
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
        max_boxes: Rows of a key frame that count, the best ones, as the official tool has it; 0 counts all rows, on
            every frame, as PySlowFast does.

    Returns:
        {"mAP": 0..1, "per_class": {name: average precision or None}, "key_frames": number of frames that the ground
        truth names and that are not excluded, "detections": rows on frames that are not excluded,
        "detections_on_other_frames": those of them that the ground truth does not name}.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    if max_boxes < 0:
        raise ConfigError(f"--max-boxes is {max_boxes}: give a number of rows, or 0 for all")
    names = ava_files.read_label_map(label_map)
    most = max(ava_files.NUM_CLASSES, *names)
    truth, key_frames = ava_files.read_boxes(groundtruth, most)
    if not len(truth):
        raise ConfigError(f"{groundtruth}: no boxes in it; give the official ground truth")
    boxes = ava_files.read_boxes(detections, most, scores=True).rows
    left_out = ava_files.read_excluded(excluded) if excluded else set()
    values = ava.frame_ap(truth, boxes, list(names), key_frames, left_out, max_boxes=max_boxes)
    mean = ava.mean_ap(values)
    scored = boxes[~boxes.frame.isin(left_out)]
    return {
        "mAP": None if np.isnan(mean) else mean,
        "key_frames": len(key_frames - left_out),
        "detections": len(scored),
        "detections_on_other_frames": int((~scored.frame.isin(key_frames)).sum()),
        "per_class": {names[i]: value for i, value in values.items()},
    }


def score_epic55(annotations: str, submission: str) -> dict[str, float]:
    """Accuracies of a submission on the local validation kitchens; many-shot figures where the official lists are.

    Args:
        annotations: Folder with the training CSV, whose kitchens P26 to P31 are scored.
        submission: JSON, or the zip that holds it.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    table = epic_files.read_validation("epic55", annotations)
    sizes = epic_files.count_classes("epic55", annotations)
    verbs, nouns = read_submission(submission, table.name.tolist(), sizes, "0.1")
    labels = _labels(table)
    values = epic.accuracy(verbs, nouns, *labels)
    if epic_files.has_many_shot(annotations):
        many_verbs, many_nouns, many_actions = epic_files.read_many_shot(annotations)
        many = epic.many_shot(verbs, nouns, *labels, many_verbs, many_nouns, many_actions)
        values.update({f"many_shot_{name}": value for name, value in many.items()})
    return values


def score_epic100(annotations: str, submission: str) -> dict[str, float]:
    """Accuracies of a submission on the validation list: all, unseen participants, tail classes.

    Actions are made of the scores of verbs and nouns by the official rule, see `epic.softmax_of_best`.

    Args:
        annotations: Folder with EPIC_100_validation.csv and the lists of unseen participants and tail classes.
        submission: JSON, or the zip that holds it.

    Raises:
        ConfigError: A file is missing or malformed.
    """
    table = epic_files.read_validation("epic100", annotations)
    sizes = epic_files.count_classes("epic100", annotations)
    verb_scores, noun_scores = read_submission(submission, table.name.tolist(), sizes, "0.2")
    unseen, verbs, nouns = epic_files.read_groups_100(annotations)
    unseen_rows = table.participant_id.isin(unseen).to_numpy()
    factors = epic.softmax_of_best(verb_scores), epic.softmax_of_best(noun_scores)
    return epic.challenge_100(verb_scores, noun_scores, *_labels(table), unseen_rows, verbs, nouns, factors)


def _labels(table: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return table.verb_class.to_numpy(), table.noun_class.to_numpy()


def read_submission(
    path: str, segments: Sequence[str], sizes: Mapping[str, int], version: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Verb scores [N, V] and noun scores [N, M] of a submission, checked, in the order of the segments.

    Args:
        path: JSON, or the zip that holds it as test.json.
        segments: N names.
        sizes: {"verb": V, "noun": M}.
        version: See `epic.check_submission`.

    Raises:
        TextError: It cannot be read as JSON.
        ConfigError: It is not a valid submission.
    """
    check_regular(path)
    is_zip = path.lower().endswith(".zip") or zipfile.is_zipfile(path)
    content = parse_json(_unzipped(path), path) if is_zip else read_json(path)
    wrong = epic.check_submission(content, segments, sizes["verb"], sizes["noun"], version)
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


def score_file(
    path: str,
    rule: str,
    ties: classification.Ties = "wrong",
    classes: Sequence[str] = (),
    compare: str = "subset",
    head: str = "",
) -> dict[str, Any]:
    """Metrics of a scores.pt; {classifier: metrics} where several are scored.

    Args:
        path: File that a test has written.
        rule: One of `RULES`.
        ties: What topk makes of equal scores.
        classes: Some of the classes, see `chosen_classes`; () for all. topk scores the videos of these classes alone.
            The rules of several labels score all videos, whose order average precision is made of, and take the mean
            over these classes.
        compare: What the score of a video's label has to beat in topk: the scores of these classes (subset) or those of
            all classes (all).
        head: Classifier that is scored, of several; "" for all of them.

    Raises:
        UserError: It cannot be read, or holds something else.
    """
    saved = SavedScores.load(path)
    heads = saved.scores.heads
    if ONLY not in heads and saved.labels.shape[1:] != (len(heads),):
        raise ConfigError(
            f"{path}: its labels, of shape {list(saved.labels.shape)}, are not one for each of the classifiers "
            f"{', '.join(heads)}; test again"
        )
    if head and head not in heads:
        known = f"scores of the classifiers {', '.join(heads)}" if ONLY not in heads else "scores of one classifier"
        raise ConfigError(f"{path}: {known}; --head is {head!r}")
    labels = saved.scores.labels_by_head(saved.labels)
    scored = {head: heads[head]} if head else heads
    for name, scores in scored.items():
        _check_labels(path, labels[name], scores.shape[1], rule)
    if not classes:
        values = {name: _measure(path, scores, labels[name], rule, ties) for name, scores in scored.items()}
        return values[head] if head else unwrapped(values)
    if len(scored) > 1:
        raise ConfigError(f"{path}: scores of the classifiers {', '.join(heads)}; choose that of --classes with --head")
    ((name, scores),) = scored.items()
    least = 2 if rule == "topk" and compare == "subset" else 1
    ids = chosen_classes(classes, names_of_head(saved.class_names, name), scores.shape[1], least)
    if rule != "topk":
        measured = _measure(path, scores, labels[name], rule, ties, ids)
        return {**measured, "classes": len(ids), "videos": len(scores)}
    return _of_classes(path, scores, labels[name], ids, ties, compare)


def _of_classes(
    path: str,
    scores: NDArray[np.float32],
    labels: NDArray[Any],
    ids: Sequence[int],
    ties: classification.Ties,
    compare: str,
) -> dict[str, Any]:
    """Top-k of the videos of some classes."""
    mine = np.isin(labels, ids)
    if not mine.any():
        raise ConfigError(f"{path}: none of its {len(mine)} videos is labelled with one of the {len(ids)} classes")
    if compare == "all":
        values = _measure(path, scores[mine], labels[mine], "topk", ties)
    else:
        # The column of each class among those that are compared.
        columns = np.full(scores.shape[1], -1)
        columns[list(ids)] = np.arange(len(ids))
        values = _measure(path, scores[mine][:, ids], columns[labels[mine]], "topk", ties)
    return {
        **values,
        "classes": len(ids),
        "compared_classes": scores.shape[1] if compare == "all" else len(ids),
        "videos": int(mine.sum()),
        "videos_of_other_classes": int((~mine).sum()),
    }


def chosen_classes(words: Sequence[str], names: Sequence[str] | None, count: int, least: int = 2) -> list[int]:
    """Ids of classes that are named by words, or by the lines of a file where a single word is one.

    Each is the name of a class, or its number (from 0) where no class is called so.

    Args:
        words: Names or numbers, or a file with one per line.
        names: Of all classes; None where they are not known.
        count: Number of all classes.
        least: Classes that there have to be.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: A word is no class, or one that stands before, or there are too few; names file and line, and the
            nearest name of a class.
    """
    known = {name: i for i, name in reversed(list(enumerate(names or ())))}
    is_named = len(words) == 1 and (words[0] in known or words[0].isdigit())
    file = "" if len(words) > 1 or is_named else words[0]
    if file and not os.path.exists(file) and names is not None and not os.path.dirname(file):
        raise ConfigError(f"--classes: {shown(file)} is neither a file nor {_no_class(file, names)}")
    places: dict[int, str] = {}
    for word, where in lines_of(file) if file else ((word, f"--classes, word {i}") for i, word in enumerate(words, 1)):
        if word in known:
            class_id = known[word]
        elif word.isascii() and word.isdigit():
            class_id = whole_number(word, where, "the class", highest=count - 1)
        else:
            raise ConfigError(f"{where}: {shown(word)} is not {_no_class(word, names)}{hint(word, where)}")
        if class_id in places:
            raise ConfigError(f"{where}: the class {shown(word)} stands in {places[class_id]} already; remove one")
        places[class_id] = where.rsplit(", ", 1)[1]
    if len(places) < least:
        raise ConfigError(
            f"{file or '--classes'}: fewer than {least} classes in it; give one per {'line' if file else 'word'}"
        )
    return list(places)


def _no_class(word: str, names: Sequence[str] | None) -> str:
    if names is None:
        return "a number, and the scores have no class names"
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return "a class of the network" + (f"; did you mean {by_lower[near[0]]!r}?" if near else "")


def _measure(
    path: str,
    scores: NDArray[np.float32],
    labels: NDArray[Any],
    rule: str,
    ties: classification.Ties,
    classes: Sequence[int] | None = None,
) -> dict[str, Any]:
    # The official rule of Charades gives -inf to what is not to be found.
    good: NDArray[np.bool_] = np.all(np.isfinite(scores) | (np.isneginf(scores) & (rule != "topk")), axis=1)
    if not good.any():
        raise ConfigError(f"{path}: {len(good)} of {len(good)} scores are not finite (NaN or infinite); test again")
    counts = {} if good.all() else {"videos": len(good), "not_finite": int((~good).sum())}
    scores = np.where(good[:, None], scores, np.nan)
    if rule == "topk":
        return {**classification.summarize(scores, labels, ties=ties), **counts}
    value = classification.mean_average_precision(scores, labels, rule == "charades", classes)
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
    if labels.ndim != 1:
        raise ConfigError(
            f"{path}: its labels, of shape {list(labels.shape)}, are several classes a video; use multilabel"
        )
    if labels.dtype.kind != "i":
        raise ConfigError(f"{path}: its labels are no whole numbers, so they are no class ids; test again")
    if (labels < 0).all():
        raise ConfigError(f"{path}: the test has no labels (all are -1), so there is nothing to score")
    if (labels < 0).any():
        raise ConfigError(f"{path}: {int((labels < 0).sum())} of {len(labels)} videos have no label (-1)")
    if (labels >= classes).any():
        raise ConfigError(f"{path}: the label {labels.max()} is outside 0..{classes - 1}; test again")


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
