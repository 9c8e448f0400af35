"""Frame mean average precision of AVA: PASCAL VOC at IoU 0.5 (arXiv 1705.08421)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_BOX = ["x1", "y1", "x2", "y2"]


def frame_ap(
    groundtruth: pd.DataFrame,
    detections: pd.DataFrame,
    classes: Sequence[int],
    key_frames: Collection[str],
    excluded: Collection[str] = (),
    iou_threshold: float = 0.5,
    max_boxes: int = 50,
) -> dict[int, float | None]:
    """Average precision of each class over key frames.

    A detection is right if, of the true boxes of its frame and class, the one that it overlaps most overlaps by at
    least `iou_threshold` and no detection before it has taken it. The area is that under the precision envelope at
    every recall. Two rules are in use, and `max_boxes` chooses:

    - The official scorer keeps the best 50 rows of a frame, goes through them by falling score, and ignores those on
      frames that the ground truth does not name.
    - PySlowFast's (0) keeps all, goes through them in the order in which they come, and counts them on every frame.

    Args:
        groundtruth: One row per (box, class): frame (any key), class_id, x1, y1, x2, y2 (shares of the frame's size).
        detections: The same with score.
        classes: Ids that are evaluated; other rows are left out first.
        key_frames: Frames that the ground truth names, those without boxes of these classes too.
        excluded: Frames of which nothing counts.
        iou_threshold: Overlap of a right detection, at least.
        max_boxes: Rows of a frame that count, the best ones; 0 for PySlowFast's rule.

    Returns:
        {class id: average precision in 0..1, or None for a class without ground truth}.
    """
    groundtruth, detections = (
        table[table.class_id.isin(classes) & ~table.frame.isin(excluded)].reset_index(drop=True)
        for table in (groundtruth, detections)
    )
    if max_boxes:
        detections = detections[detections.frame.isin(key_frames)]
        order = detections.sort_values("score", ascending=False, kind="stable")
        detections = order.groupby("frame", sort=False).head(max_boxes)
    solid = (detections.x1 < detections.x2) & (detections.y1 < detections.y2)
    detections = detections[solid].reset_index(drop=True)
    right = _matches(groundtruth, detections, iou_threshold)
    totals = groundtruth.class_id.value_counts()
    result: dict[int, float | None] = {}
    for class_id in classes:
        mine = (detections.class_id == class_id).to_numpy()
        total = int(totals.get(class_id, 0))
        result[class_id] = _average_precision(detections.score.to_numpy()[mine], right[mine], total) if total else None
    return result


def mean_ap(per_class: Mapping[Any, float | None]) -> float:
    """Unweighted mean over the classes that have ground truth; NaN without any."""
    values = [value for value in per_class.values() if value is not None]
    return float(np.mean(values)) if values else float("nan")


def _matches(groundtruth: pd.DataFrame, detections: pd.DataFrame, threshold: float) -> NDArray[np.bool_]:
    """Which detections are right: [number of detections]."""
    right = np.zeros(len(detections), bool)
    left = detections.assign(det=np.arange(len(detections)))
    pairs = left.merge(
        groundtruth.assign(truth=np.arange(len(groundtruth))), on=["frame", "class_id"], suffixes=("", "_gt")
    )
    if not len(pairs):
        return right
    a, b = pairs[_BOX].to_numpy(float), pairs[[f"{name}_gt" for name in _BOX]].to_numpy(float)
    width = np.clip(np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0]), 0, None)
    height = np.clip(np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1]), 0, None)
    both = width * height
    area_a, area_b = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (a, b))
    # A detection has an area; that of a true box may be none, or even negative.
    union = np.maximum(area_a + area_b - both, np.finfo(float).tiny)
    pairs = pd.DataFrame({"det": pairs["det"], "truth": pairs["truth"], "iou": both / union})
    # The true box that each detection overlaps most; of equal ones the first.
    best = pairs.loc[pairs.groupby("det").iou.idxmax()]
    right[best[best.iou >= threshold].sort_values("det").drop_duplicates("truth").det.to_numpy()] = True
    return right


def _average_precision(scores: NDArray[np.float64], right: NDArray[np.bool_], total: int) -> float:
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    recall = np.concatenate([[0.0], hits / total, [1.0]])
    precision = np.concatenate([[0.0], hits / np.arange(1, len(hits) + 1), [0.0]])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * envelope[steps]))
