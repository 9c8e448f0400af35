"""Validation between epochs."""

import math
from collections.abc import Callable, Mapping, Sequence

from ...evaluation.evaluator import Evaluation
from ...utils.logging import get_logger, log_json_stats
from ..state import TrainState
from .base import Hook

logger = get_logger(__name__)

# Receives a validation's result, and the state of the training.
EvaluationReport = Callable[[Evaluation, TrainState], None]


class EvalHook(Hook):
    """Calls a function every few epochs and after the last, and keeps the best of its results.

    Args:
        period: Epochs.
        function: Gives the evaluation.
        reports: Called with each result.
    """

    def __init__(
        self, period: int, function: Callable[[], Evaluation], reports: Sequence[EvaluationReport] = ()
    ) -> None:
        self.period, self.function, self.reports = period, function, tuple(reports)

    def after_epoch(self, state: TrainState) -> None:
        """Evaluates, writes `state.best` and `state.improved`, logs."""
        if not state.ends_period(self.period):
            return
        result = self.function()
        value = next(iter(result.metrics.values()))
        state.improved = is_better(value, state.best, "higher")
        state.best = value if state.improved else state.best
        self._log(result, state)
        for report in self.reports:
            report(result, state)

    def _log(self, result: Evaluation, state: TrainState) -> None:
        epoch = f"{state.epoch}/{state.max_epoch}"
        logger.info("epoch %s: validation %s (best %.2f)", epoch, metrics_text(result.metrics), state.best)
        stats = {
            "_type": "val_epoch",
            "epoch": epoch,
            **result.metrics,
            "best": state.best,
            "failed": len(result.failed),
            "seconds": result.seconds,
        }
        log_json_stats(stats, logger)


def is_better(value: float, best: float | None, better: str) -> bool:
    """Whether a metric improves on the best so far; a number always improves on none and on NaN.

    Args:
        value: The new one.
        best: The best so far, or None.
        better: Which values are: "higher" | "lower".
    """
    if best is None or (math.isnan(best) and not math.isnan(value)):
        return True
    return value > best if better == "higher" else value < best


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Metrics in one line for people."""
    return ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
