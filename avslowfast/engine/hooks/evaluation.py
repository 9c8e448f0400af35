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
    """Calls a function after some epochs, and keeps the best of its results.

    Args:
        due: Whether it is called after a number of epochs.
        function: Gives the evaluation.
        metric: Chooses the best one.
        reports: Called with each result.
    """

    def __init__(
        self,
        due: Callable[[int], bool],
        function: Callable[[], Evaluation[Any]],
        metric: Metric,
        reports: Sequence[EvaluationReport] = (),
    ) -> None:
        self.due, self.function, self.metric, self.reports = due, function, metric, tuple(reports)

    def before_train(self, state: TrainState) -> None:
        """Forgets a best value of another metric, with which values of this one cannot be compared."""
        if state.best_metric not in ("", self.metric.name):
            logger.warning("the best epoch was chosen by %s; %s chooses it again", state.best_metric, self.metric.name)
            state.best, state.best_epoch, state.stale = None, None, 0
            # After the last epoch nothing else would choose.
            state.evaluation_due = state.evaluation_due or state.finished
        state.best_metric = self.metric.name
        validations = sum(map(self.due, range(1, state.max_epoch + 1)))
        if state.patience > 0 and validations <= state.patience + 1:
            logger.warning(
                "TRAIN.PATIENCE %d cannot end this training: it has %d validations (TRAIN.EVAL_PERIOD)",
                state.patience,
                validations,
            )

    def after_epoch(self, state: TrainState) -> None:
        """Says whether the epoch is to be evaluated."""
        state.evaluation_due = self.due(state.epoch)

    def evaluate(self, state: TrainState) -> None:
        """Evaluates, writes `state.value`, `best`, `best_epoch`, `improved` and `stale`, logs."""
        result = self.function()
        state.value = value = result.value(self.metric)
        state.improved = self.metric.improves(value, state.best)
        # A later epoch that is as good is the best one, but not better.
        state.stale = 0 if state.improved and value != state.best else state.stale + 1
        if state.improved:
            state.best, state.best_epoch = value, state.epoch
        state.evaluation_due = False
        self._log(result, state)
        if state.out_of_patience and state.epoch < state.max_epoch:
            logger.info(
                "training ends after epoch %d of %d: %d validations in a row were not better (TRAIN.PATIENCE)",
                state.epoch,
                state.max_epoch,
                state.stale,
            )
        for report in self.reports:
            report(result, state)

    def _log(self, result: Evaluation[Any], state: TrainState) -> None:
        epoch = f"{state.epoch}/{state.max_epoch}"
        text, name = metrics_text(result.metrics), self.metric.name
        best = "none" if state.best is None else f"{state.best:.2f} at epoch {state.best_epoch}"
        logger.info("epoch %s: validation %s (best %s %s)", epoch, text, name, best)
        stats = {
            "_type": "val_epoch",
            "epoch": epoch,
            **result.metrics,
            "best": state.best,
            "best_metric": name,
            "failed": len(result.failed),
            "not_finite": len(result.not_finite),
            "seconds": result.seconds,
        }
        log_json_stats(stats, logger)
