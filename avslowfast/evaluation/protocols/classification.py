"""Top-k and mean class accuracy, or mean average precision with several labels per video, for each classifier."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import derived
from ...config.derived import Cfg
from ...config.names import Metric, METRICS
from ...datasets.base import ClassNames
from ...datasets.columns import Same
from ...loading.dataset import ClipDataset
from ...tasks.scores import ClassScores, names_of_head, ONLY, SavedScores
from ..metrics import classification
from ..places import scores_path
from .base import Evaluation, of_head, Protocol

ONE_LABEL: tuple[Metric, ...] = tuple(METRICS.facts(name) for name in ("top1", "top5", "mean_class_accuracy"))
SEVERAL_LABELS: tuple[Metric, ...] = (METRICS.facts("map"),)


class ClassificationProtocol(Protocol[ClassScores]):
    """What most data sets of classes are scored by.

    Args:
        multi_label: Videos have several labels.
        scores_path: Where scores are written, without ending; "" is "scores" in the folder of the results.
        segments: Names of the data set's segments, in order; () where they have none.
        **shared: See `Protocol`.
    """

    def __init__(
        self, multi_label: bool = False, scores_path: str = "", segments: Sequence[str] = (), **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.multi_label = multi_label
        self.scores_path = scores_path
        self.segments = segments

    @classmethod
    def declared(cls, cfg: Cfg) -> tuple[Metric, ...]:
        """See `Protocol.declared`."""
        metrics = SEVERAL_LABELS if cfg.DATA.MULTI_LABEL else ONE_LABEL
        return tuple(of_head(metric, head) for head in derived.head_classes(cfg) for metric in metrics)

    @classmethod
    def options(cls, cfg: Cfg, dataset: ClipDataset) -> dict[str, Any]:
        """See `Protocol.options`."""
        names = dataset.listing.records.names
        return {
            "multi_label": cfg.DATA.MULTI_LABEL,
            "scores_path": scores_path(cfg),
            "segments": () if isinstance(names, Same) else names,
        }

    def compute(self, scores: ClassScores, labels: NDArray[Any]) -> dict[str, float]:
        """See `Protocol.compute`."""
        values: dict[str, float] = {}
        for head, truth in scores.labels_by_head(labels).items():
            prefix = f"{head}_" if head else ""
            values.update({f"{prefix}{name}": value for name, value in self.one(scores.heads[head], truth).items()})
        return values

    def one(self, scores: NDArray[np.float32], labels: NDArray[Any]) -> dict[str, float]:
        """The metrics of one classifier: scores [N, K], labels [N], or [N, K] of 0 and 1 with several per video."""
        if (labels < 0).any():
            return {}
        return classification.summarize(scores, labels, self.multi_label)

    def results(self, result: Evaluation[ClassScores], names: ClassNames) -> dict[str, Any]:
        """See `Protocol.results`: "per_class_accuracy", by name, where videos have one label each."""
        scores = result.scores.single_label(result.labels)
        if scores is None:
            return {}
        values = classification.per_class_accuracy(scores, result.labels)
        keys = names_of_head(names, ONLY) or [str(k) for k in range(len(values))]
        return {"per_class_accuracy": {key: None if np.isnan(v) else float(v) for key, v in zip(keys, values)}}

    def write(self, result: Evaluation[ClassScores], folder: str, names: ClassNames) -> None:
        """See `Protocol.write`: scores as .pt and .csv."""
        saved = SavedScores(result.scores, result.labels, result.paths, names, list(self.segments))
        saved.save(self.scores_path or os.path.join(folder, "scores"))
