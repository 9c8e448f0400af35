"""Top-k, mean class accuracy and mean average precision."""

import numpy as np
import pytest

from avslowfast.evaluation.metrics import classification

SCORES = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [np.nan] * 3, [1 / 3] * 3])
LABELS = np.array([0, 2, 2, 0, 1])


@pytest.mark.parametrize("k, correct", [(1, [True, False, True, False, False]), (2, [True, True, True, False, False])])
def test_a_failed_video_and_constant_scores_are_never_correct(k, correct):
    assert classification.topk_correct(SCORES, LABELS, k).tolist() == correct


def test_accuracy_per_class():
    np.testing.assert_allclose(classification.per_class_accuracy(SCORES, LABELS), [50, 0, 50])


def test_accuracy_counts_failed_videos():
    assert classification.summarize(SCORES, LABELS)["top1"] == pytest.approx(40)


def test_perfect_scores_have_a_mean_average_precision_of_100():
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    perfect = truth + 0.01 * np.arange(9).reshape(3, 3)
    assert classification.mean_average_precision(perfect, truth) == pytest.approx(100)
