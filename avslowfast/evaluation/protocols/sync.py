"""How well pretexts are learnt: synchronisation at every stage that compares audio and frames, and predictions.

Synchronisation is that of arXiv 2001.08740.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...clips.spans import shift_grid
from ...config import derived
from ...config.derived import Cfg
from ...config.names import Metric
from ...datasets.base import ClassNames
from ...loading.dataset import ClipDataset
from ...tasks.scores import Distances, FloatArray
from ..metrics import sync
from .base import Evaluation, Protocol

_NEGATIVES = ("hard", "easy")


@dataclass(frozen=True)
class _Stage:
    """Distances of the visual embeddings of a stage from audio.

    Attributes:
        in_sync: [clips] from the clip's audio.
        negatives: {"hard", "easy": [clips] from other audio}.
        curve: [S] mean distance at each shift of the audio.
    """

    in_sync: FloatArray
    negatives: dict[str, FloatArray]
    curve: NDArray[np.floating[Any]]


class SyncProtocol(Protocol[Distances]):
    """How well audio in sync is distinguished from other audio, and how many predictions of other pretexts are right.

    For each STAGE: STAGE_hard and STAGE_easy, the share of clips whose audio is nearer than a negative (hard: audio
    of the same video from another time; easy: of another video; chance 50); STAGE_hard_threshold_accuracy and
    STAGE_easy_threshold_accuracy, the share of pairs on the right side of the fixed distance 0.5 (in sync below it,
    negatives not; both kinds weigh the same); STAGE_offset_ms, the shift of the audio at which the mean distance is
    lowest. "sync" is the mean of hard and easy at the deepest stage. PRETEXT_top1 is the share of right predictions
    of a pretext.

    Args:
        shifts: [S] seconds by which the audio was shifted.
        predictions: Pretexts that predict something.
        **shared: See `Protocol`.
    """

    def __init__(self, shifts: Sequence[float], predictions: Sequence[str] = (), **shared: Any) -> None:
        super().__init__(**shared)
        self.shifts = np.array(shifts)
        self.predictions = predictions

    @classmethod
    def declared(cls, cfg: Cfg) -> tuple[Metric, ...]:
        """See `Protocol.declared`."""
        stages = derived.sync_stages(cfg)[::-1]
        metrics = [Metric("sync", "pairs distinguished, deepest stage")] if stages else []
        for stage in stages:
            for kind in _NEGATIVES:
                metrics.append(Metric(f"{stage}_{kind}", f"{stage}, {kind} pairs distinguished"))
                label = f"{stage}, {kind} pairs on the right side of distance 0.5"
                metrics.append(Metric(f"{stage}_{kind}_threshold_accuracy", label))
            metrics.append(Metric(f"{stage}_offset_ms", f"{stage}, offset", "ms", "lower"))
        return (*metrics, *(Metric(f"{name}_top1", f"{name} top-1 accuracy") for name in _predictions(cfg)))

    @classmethod
    def options(cls, cfg: Cfg, dataset: ClipDataset) -> dict[str, Any]:
        """See `Protocol.options`."""
        shifts = shift_grid(cfg.SYNC.MAX_SHIFT, cfg.SYNC.SHIFT_STEP)
        return {"shifts": shifts, "predictions": _predictions(cfg)}

    def compute(self, scores: Distances, labels: NDArray[Any]) -> dict[str, float]:
        """See `Protocol.compute`; the arrays have one row per video, then one per clip. Labels are not read."""
        values: dict[str, float] = {}
        stages = self._stages(scores)
        for name, stage in stages.items():
            for kind, negative in stage.negatives.items():
                values[f"{name}_{kind}"] = sync.pair_accuracy(stage.in_sync, negative)
                values[f"{name}_{kind}_threshold_accuracy"] = sync.threshold_accuracy(stage.in_sync, negative)
            values[f"{name}_offset_ms"] = 1000.0 * sync.offset_estimate(self.shifts, stage.curve)
        if stages:
            deepest = next(iter(stages))
            known = [v for v in (values[f"{deepest}_{kind}"] for kind in _NEGATIVES) if not np.isnan(v)]
            values = {"sync": float(np.mean(known)) if known else float("nan"), **values}
        for name in self.predictions:
            values[f"{name}_top1"] = 100.0 * float(np.nanmean(scores.heads[name]))
        return values

    def _stages(self, scores: Distances) -> dict[str, _Stage]:
        """What each stage's metrics are made of, the deepest stage first."""
        heads, stages = scores.heads, {}
        for name in reversed([name for name in heads if f"{name}_visual" in heads]):
            videos, views = heads[name].shape[:2]
            distances, visual, audio = (
                heads[name + part].reshape(videos * views, *heads[name + part].shape[2:])
                for part in ("", "_visual", "_audio")
            )
            easy = sync.easy_distances(visual, audio, np.repeat(np.arange(videos), views))
            negatives = {"hard": distances[:, 1], "easy": easy}
            stages[name] = _Stage(distances[:, 0], negatives, sync.offset_curve(distances[:, 2:]))
        return stages

    def results(self, result: Evaluation[Distances], names: ClassNames) -> dict[str, Any]:
        """See `Protocol.results`: "synchronisation", by stage histograms of the distances and the curve over shifts."""
        stages = {}
        for name, stage in self._stages(result.scores).items():
            distances = {"in_sync": stage.in_sync, **stage.negatives}
            stages[name] = {
                "histogram": {kind: sync.histogram(values) for kind, values in distances.items()},
                "shifts": [round(s, 6) for s in self.shifts.tolist()],
                "distance": [None if np.isnan(value) else float(value) for value in stage.curve],
            }
        return {"synchronisation": stages} if stages else {}


def _predictions(cfg: Cfg) -> list[str]:
    return [name for name, facts in derived.pretext_facts(cfg).items() if facts.outputs]
