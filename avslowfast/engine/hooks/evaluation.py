"""Validation between epochs."""

from collections.abc import Callable, Sequence
from typing import Any

from ...config.names import Metric
from ...evaluation.protocols.base import Evaluation
from ...evaluation.results import metrics_text
from ...utils.logging import get_logger, log_json_stats
from ..state import TrainState
from .base import Hook

logger = get_logger(__name__)

# Receives a validation's result, and the state of the training.
EvaluationReport = Callable[[Evaluation[Any], TrainState], None]


class EvalHook(Hook):
    """Calls a function every few epochs and after the last, and keeps the best of its results.

    Args:
        period: Epochs.
        function: Gives the evaluation.
        metric: Chooses the best one.
        reports: Called with each result.
    """

    def __init__(
        self,
        period: int,
        function: Callable[[], Evaluation[Any]],
        metric: Metric,
        reports: Sequence[EvaluationReport] = (),
    ) -> None:
        self.period, self.function, self.metric, self.reports = period, function, metric, tuple(reports)

    def after_epoch(self, state: TrainState) -> None:
        """Evaluates, writes `state.best` and `state.improved`, logs."""
        if not state.ends_period(self.period):
            return
        result = self.function()
        value = result.value(self.metric)
        state.improved = self.metric.improves(value, state.best)
        state.best = value if state.improved else state.best
        self._log(result, state)
        for report in self.reports:
            report(result, state)

    def _log(self, result: Evaluation[Any], state: TrainState) -> None:
        epoch = f"{state.epoch}/{state.max_epoch}"
        text, name = metrics_text(result.metrics), self.metric.name
        logger.info("epoch %s: validation %s (best %s %.2f)", epoch, text, name, state.best)
        stats = {
            "_type": "val_epoch",
            "epoch": epoch,
            **result.metrics,
            "best": state.best,
            "best_metric": name,
            "failed": len(result.failed),
            "seconds": result.seconds,
        }
        log_json_stats(stats, logger)
