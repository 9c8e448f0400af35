"""AVA (arXiv 1705.08421): frame mean average precision at IoU 0.5."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...config.derived import Cfg
from ...config.names import Metric
from ...datasets import ava as files
from ...datasets.base import ClassNames, Record
from ...loading.dataset import ClipDataset
from ...tasks.scores import BoxScores
from ...utils.logging import get_logger
from ..metrics import ava
from .base import Evaluation, Protocol

logger = get_logger(__name__)


class AvaProtocol(Protocol[BoxScores]):
    """Frame mAP at IoU 0.5 in percent, and detections.csv, which tools/evaluate.py ava reads.

    Args:
        records: Key frames with their boxes.
        label_map: File with the classes that are evaluated.
        groundtruth: File with the true boxes.
        excluded: File with key frames that do not count; "" for none, and it may be missing.
        max_boxes: Rows of a key frame that count, the best ones; 0 counts all.
        part: Of the key frames those are scored on which validation is done while training.
        **shared: See `Protocol`.
    """

    def __init__(
        self,
        records: Sequence[Record],
        label_map: str,
        groundtruth: str,
        excluded: str,
        max_boxes: int,
        part: bool,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.records = records
        self.label_map, self.groundtruth, self.excluded = label_map, groundtruth, excluded
        self.max_boxes = max_boxes
        self.part = part
        # The scores that were measured last, and what came out: `compute` and `results` ask for the same.
        self._measured: tuple[BoxScores, dict[int, float | None]] | None = None

    @classmethod
    def declared(cls, cfg: Cfg) -> tuple[Metric, ...]:
        """See `Protocol.declared`."""
        return (Metric("map", "mAP"),)

    @classmethod
    def options(cls, cfg: Cfg, dataset: ClipDataset) -> dict[str, Any]:
        """See `Protocol.options`."""
        node, folder = cfg.AVA, dataset.listing.info["annotation_dir"]
        return {
            "records": dataset.records,
            "label_map": os.path.join(folder, node.LABEL_MAP_FILE),
            "groundtruth": os.path.join(folder, node.GROUNDTRUTH_FILE),
            "excluded": os.path.join(folder, node.EXCLUSION_FILE) if node.EXCLUSION_FILE else "",
            "max_boxes": node.MAX_BOXES,
            "part": dataset.split == "val" and not node.FULL_TEST_ON_VAL,
        }

    def compute(self, scores: BoxScores, labels: NDArray[Any]) -> dict[str, float]:
        """See `Protocol.compute`."""
        return {"map": 100.0 * ava.mean_ap(self._per_class(scores))}

    def _per_class(self, scores: BoxScores) -> dict[int, float | None]:
        if self._measured is not None and self._measured[0] is scores:
            return self._measured[1]
        classes = list(files.read_label_map(self.label_map))
        truth, key_frames = files.read_boxes(self.groundtruth, max(files.NUM_CLASSES, *classes))
        if self.part:
            key_frames = frozenset(filter(files.is_validation_frame, key_frames))
            truth = truth[truth.frame.isin(key_frames)]
        excluded: set[str] = set()
        if os.path.isfile(self.excluded):
            excluded = files.read_excluded(self.excluded)
        elif self.excluded:
            logger.warning("AVA: %s does not exist; no key frame is excluded from mAP", self.excluded)
        detections = self._detections(scores)
        values = ava.frame_ap(truth, detections, classes, key_frames, excluded, max_boxes=self.max_boxes)
        self._measured = scores, values
        return values

    def _detections(self, scores: BoxScores) -> pd.DataFrame:
        """One row per (box, class)."""
        parts = []
        for record, values in zip(self.records, scores.frames):
            if values is None:
                continue
            # Their six decimals, as they were read: the file that `write` writes gives the same score.
            boxes = record.label.boxes.astype(float).round(6)
            table = pd.DataFrame(boxes.repeat(values.shape[1], axis=0), columns=["x1", "y1", "x2", "y2"])
            classes = np.tile(np.arange(1, values.shape[1] + 1), len(values))
            parts.append(table.assign(class_id=classes, score=values.ravel(), frame=record.name))
        return pd.concat(parts, ignore_index=True)

    def results(self, result: Evaluation[BoxScores], names: ClassNames) -> dict[str, Any]:
        """See `Protocol.results`: "per_class_ap", the average precision of each class by name, in percent."""
        known = files.read_label_map(self.label_map)
        values = self._per_class(result.scores)
        return {"per_class_ap": {known[i]: None if value is None else 100.0 * value for i, value in values.items()}}

    def write(self, result: Evaluation[BoxScores], folder: str, names: ClassNames) -> None:
        """See `Protocol.write`: detections.csv."""
        table = self._detections(result.scores)
        table[["video", "second"]] = table.frame.str.rsplit(",", n=1, expand=True)
        path = os.path.join(folder, "detections.csv")
        columns = ["video", "second", "x1", "y1", "x2", "y2", "class_id", "score"]
        table[columns].to_csv(path, header=False, index=False, float_format="%.9g")
        logger.info("wrote %s", path)
