"""Top-k accuracy, per-class accuracy and mean average precision. Legend: N videos, K classes."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# What becomes of a label whose score others share: "wrong": those count as better, so that constant scores earn
# nothing; "argmax": the class of the lowest id is taken first, as `argmax` does.
Ties = Literal["wrong", "argmax"]


def topk_correct(scores: NDArray[Any], labels: NDArray[Any], k: int, ties: Ties = "wrong") -> NDArray[np.bool_]:
    """Whether the label is among the k best classes: [N].

    Args:
        scores: [N, K]; a row that is not finite (NaN: a video that failed) is never correct.
        labels: [N] class ids.
        k: Classes that count.
        ties: See `Ties`.
    """
    valid = np.isfinite(scores).all(axis=1)
    of_label = np.take_along_axis(scores, labels[:, None], axis=1)
    rivals = np.arange(scores.shape[1]) != labels[:, None]
    if ties == "argmax":
        rivals = np.arange(scores.shape[1]) < labels[:, None]
    better = ((scores > of_label) | ((scores == of_label) & rivals)).sum(axis=1)
    correct: NDArray[np.bool_] = valid & (better < k)
    return correct


def topk_accuracy(scores: NDArray[Any], labels: NDArray[Any], k: int, ties: Ties = "wrong") -> float:
    """Share of the videos whose label is among the k best classes, in percent; k counts as K where there are fewer.

    Args:
        scores: See `topk_correct`.
        labels: See `topk_correct`.
        k: Classes that count.
        ties: See `Ties`.
    """
    return 100.0 * float(topk_correct(scores, labels, min(k, scores.shape[1]), ties).mean())


def mean_class_accuracy(scores: NDArray[Any], labels: NDArray[Any], ties: Ties = "wrong") -> float:
    """Unweighted mean of the top-1 accuracy of the classes that have videos, in percent.

    Args:
        scores: See `topk_correct`.
        labels: See `topk_correct`.
        ties: See `Ties`.
    """
    return float(np.nanmean(per_class_accuracy(scores, labels, ties)))


def per_class_accuracy(scores: NDArray[Any], labels: NDArray[Any], ties: Ties = "wrong") -> NDArray[np.float64]:
    """Top-1 accuracy of each class in percent [K]; NaN for a class without videos.

    Args:
        scores: See `topk_correct`.
        labels: See `topk_correct`.
        ties: See `Ties`.
    """
    correct = topk_correct(scores, labels, 1, ties)
    totals = np.bincount(labels, minlength=scores.shape[1]).astype(float)
    hits = np.bincount(labels[correct], minlength=scores.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100.0 * hits / totals


def confusion_matrix(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """How often each class was predicted for each: [K, K], one row per true class; videos that failed are left out.

    Args:
        scores: [N, K].
        labels: [N] class ids.
    """
    good = np.isfinite(scores).all(axis=1)
    counts = np.zeros((scores.shape[1], scores.shape[1]), np.int64)
    np.add.at(counts, (labels[good], scores[good].argmax(axis=1)), 1)
    return counts


def mean_average_precision(
    scores: NDArray[Any], labels: NDArray[Any], unlabelled_last: bool = False, classes: Sequence[int] | None = None
) -> float:
    """Unweighted mean of the classes' average precision, over classes that have a positive, in percent; NaN without.

    Args:
        scores: [N, K]; NaN counts as the lowest score. The order alone counts, so that infinite scores are allowed.
        labels: [N, K] of 0 and 1.
        unlabelled_last: Videos without any label count as the lowest score too, as in the official scorer of Charades.
        classes: Ids of those that the mean is over; None for all.
    """
    from sklearn.metrics import average_precision_score

    lowest = np.isnan(scores) | (unlabelled_last & ~labels.any(axis=1, keepdims=True))
    scores = np.where(lowest, -np.inf, scores)
    present = np.flatnonzero(labels.any(axis=0))
    if classes is not None:
        present = present[np.isin(present, classes)]
    if not len(present):
        return float("nan")
    # Places in the order, which is all that counts: the scores themselves may be infinite.
    ranks = {k: np.unique(scores[:, k], return_inverse=True)[1] for k in present}
    return 100.0 * float(np.mean([average_precision_score(labels[:, k], ranks[k]) for k in present]))


def summarize(
    scores: NDArray[Any], labels: NDArray[Any], multi_label: bool = False, ties: Ties = "wrong"
) -> dict[str, float]:
    """The usual metrics in percent: {"top1", "top5", "mean_class_accuracy"}, or {"map"} with several labels per video.

    Args:
        scores: [N, K].
        labels: [N] class ids, or [N, K] of 0 and 1.
        multi_label: Videos have several labels.
        ties: See `Ties`.
    """
    if multi_label:
        return {"map": mean_average_precision(scores, labels)}
    return {
        "top1": topk_accuracy(scores, labels, 1, ties),
        "top5": topk_accuracy(scores, labels, 5, ties),
        "mean_class_accuracy": mean_class_accuracy(scores, labels, ties),
    }
