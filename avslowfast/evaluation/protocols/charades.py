"""Charades (arXiv 1604.01753)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config import derived
from ...config.derived import Cfg
from ...config.names import Metric
from ..metrics import classification
from .base import of_head
from .classification import ClassificationProtocol, SEVERAL_LABELS


class CharadesProtocol(ClassificationProtocol):
    """Mean average precision by the rule of the official scorer: videos without a label have the lowest score."""

    @classmethod
    def declared(cls, cfg: Cfg) -> tuple[Metric, ...]:
        """See `Protocol.declared`."""
        return tuple(of_head(metric, head) for head in derived.head_classes(cfg) for metric in SEVERAL_LABELS)

    def one(self, scores: NDArray[np.float32], labels: NDArray[Any]) -> dict[str, float]:
        """See `ClassificationProtocol.one`."""
        if (labels < 0).any():
            return {}
        return {"map": classification.mean_average_precision(scores, labels, unlabelled_last=True)}
