"""Top-k accuracy, per-class accuracy and mean average precision."""

import numpy as np
from sklearn.metrics import average_precision_score


def topk_correct(scores, labels, k):
    """Whether the label is among the k best classes: bool [N].

    Args:
        scores: [N, K]; a row of NaN (a video that failed) is never correct. labels: [N] class ids.
    """
    valid = ~np.isnan(scores).any(axis=1)
    own = np.take_along_axis(scores, labels[:, None], axis=1)
    # Classes that tie with the label count as better, so that constant scores earn nothing.
    better = (scores > own).sum(axis=1) + (scores == own).sum(axis=1) - 1
    return valid & (better < k)


def per_class_accuracy(scores, labels):
    """Top-1 accuracy of each class in percent [K]; NaN for a class without videos."""
    correct = topk_correct(scores, labels, 1)
    totals = np.bincount(labels, minlength=scores.shape[1]).astype(float)
    hits = np.bincount(labels[correct], minlength=scores.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return 100.0 * hits / totals


def confusion_matrix(scores, labels):
    """How often each class was taken for each: int [K, K], a row a true class; videos that failed are left out."""
    good = ~np.isnan(scores).any(axis=1)
    counts = np.zeros((scores.shape[1], scores.shape[1]), int)
    np.add.at(counts, (labels[good], scores[good].argmax(axis=1)), 1)
    return counts


def mean_average_precision(scores, labels, unlabelled_last=False):
    """Unweighted mean of the classes' average precision, over classes that have a positive, in percent.

    Args:
        scores: [N, K]; a row of NaN counts as the lowest score. labels: [N, K] of 0 and 1.
        unlabelled_last: videos without any label count as the lowest score too, as in the official scorer of Charades.
    """
    lowest = np.isnan(scores) | (unlabelled_last & ~labels.any(axis=1, keepdims=True))
    scores = np.where(lowest, np.nanmin(scores, initial=0.0) - 1.0, scores)
    present = labels.any(axis=0)
    return 100.0 * float(
        np.mean([average_precision_score(labels[:, k], scores[:, k]) for k in np.flatnonzero(present)])
    )


def summarize(scores, labels, multi_label=False):
    """The metrics of a data set: {"top1", "top5", "mean_class_accuracy"} or {"map"}, in percent."""
    if multi_label:
        return {"map": mean_average_precision(scores, labels)}
    k = min(5, scores.shape[1])
    return {
        "top1": 100.0 * float(topk_correct(scores, labels, 1).mean()),
        "top5": 100.0 * float(topk_correct(scores, labels, k).mean()),
        "mean_class_accuracy": float(np.nanmean(per_class_accuracy(scores, labels))),
    }
