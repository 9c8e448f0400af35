"""Top-k accuracy, per-class accuracy and mean average precision. Legend: N videos, K classes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def topk_correct(scores: NDArray[Any], labels: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Whether the label is among the k best classes: [N].

    Args:
        scores: [N, K]; a row that is not finite (NaN: a video that failed) is never correct.
        labels: [N] class ids.
        k: Classes that count.
    """
    valid = np.isfinite(scores).all(axis=1)
    of_label = np.take_along_axis(scores, labels[:, None], axis=1)
    # Classes that tie with the label count as better, so that constant scores earn nothing.
    better = (scores > of_label).sum(axis=1) + (scores == of_label).sum(axis=1) - 1
    correct: NDArray[np.bool_] = valid & (better < k)
    return correct


def topk_accuracy(scores: NDArray[Any], labels: NDArray[Any], k: int) -> float:
    """Share of the videos whose label is among the k best classes, in percent; k counts as K where there are fewer.

    Args:
        scores: See `topk_correct`.
        labels: See `topk_correct`.
        k: Classes that count.
    """
    return 100.0 * float(topk_correct(scores, labels, min(k, scores.shape[1])).mean())


def mean_class_accuracy(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """Unweighted mean of the top-1 accuracy of the classes that have videos, in percent.

    Args:
        scores: See `topk_correct`.
        labels: See `topk_correct`.
    """
    return float(np.nanmean(per_class_accuracy(scores, labels)))


def per_class_accuracy(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Top-1 accuracy of each class in percent [K]; NaN for a class without videos.

    Args:
        scores: See `topk_correct`.
        labels: See `topk_correct`.
    """
    correct = topk_correct(scores, labels, 1)
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


def mean_average_precision(scores: NDArray[Any], labels: NDArray[Any], unlabelled_last: bool = False) -> float:
    """Unweighted mean of the classes' average precision, over classes that have a positive, in percent; NaN without.

    Args:
        scores: [N, K]; NaN counts as the lowest score. The order alone counts, so that infinite scores are allowed.
        labels: [N, K] of 0 and 1.
        unlabelled_last: Videos without any label count as the lowest score too, as in the official scorer of Charades.
    """
    from sklearn.metrics import average_precision_score

    lowest = np.isnan(scores) | (unlabelled_last & ~labels.any(axis=1, keepdims=True))
    scores = np.where(lowest, -np.inf, scores)
    present = np.flatnonzero(labels.any(axis=0))
    if not len(present):
        return float("nan")
    # Places in the order, which is all that counts: the scores themselves may be infinite.
    ranks = {k: np.unique(scores[:, k], return_inverse=True)[1] for k in present}
    return 100.0 * float(np.mean([average_precision_score(labels[:, k], ranks[k]) for k in present]))


def summarize(scores: NDArray[Any], labels: NDArray[Any], multi_label: bool = False) -> dict[str, float]:
    """The usual metrics in percent: {"top1", "top5", "mean_class_accuracy"}, or {"map"} with several labels per video.

    Args:
        scores: [N, K].
        labels: [N] class ids, or [N, K] of 0 and 1.
        multi_label: Videos have several labels.
    """
    if multi_label:
        return {"map": mean_average_precision(scores, labels)}
    return {
        "top1": topk_accuracy(scores, labels, 1),
        "top5": topk_accuracy(scores, labels, 5),
        "mean_class_accuracy": mean_class_accuracy(scores, labels),
    }
