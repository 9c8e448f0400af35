"""Metrics that TEST.METRICS adds to those of the protocol.

A metric of a plugin is a function of the same kind with its record:

    @METRICS.register("error", facts=Metric("error", "error rate", "%", "lower"))
    def error(scores: ClassScores, labels: NDArray[np.int64]) -> float: ...
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tasks.scores import ClassScores
from .metrics import classification

# Takes the scores of one classifier (`scores.only` is [N, K]; a row of NaN is a video that failed) and its labels:
# [N] class ids, or [N, K] of 0 and 1 for several labels per video.
ScoreMetric = Callable[[ClassScores, NDArray[Any]], float]


def top1(scores: ClassScores, labels: NDArray[Any]) -> float:
    """Share of the videos whose label has the highest score, in percent."""
    return classification.topk_accuracy(scores.only, labels, 1)


def top5(scores: ClassScores, labels: NDArray[Any]) -> float:
    """Share of the videos whose label is among the five highest scores, in percent."""
    return classification.topk_accuracy(scores.only, labels, 5)


def argmax_accuracy(scores: ClassScores, labels: NDArray[Any]) -> float:
    """As `top1`, but of classes with the same score the first one is the prediction, in percent."""
    return classification.topk_accuracy(scores.only, labels, 1, "argmax")


def mean_class_accuracy(scores: ClassScores, labels: NDArray[Any]) -> float:
    """Unweighted mean of the classes' top-1 accuracy, in percent."""
    return classification.mean_class_accuracy(scores.only, labels)


def mean_average_precision(scores: ClassScores, labels: NDArray[Any]) -> float:
    """Mean average precision in percent, of several labels per video, or of one against the rest."""
    several = labels if labels.ndim == 2 else np.eye(scores.only.shape[1], dtype=int)[labels]
    return classification.mean_average_precision(scores.only, several)
