"""Passes what happens on to loggers, on the main rank; see `watching`."""

import os
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from ...config import derived
from ...config.derived import Cfg
from ...config.kinds import values_of
from ...config.names import LOGGERS
from ...datasets.base import ClassNames
from ...evaluation.protocols.base import Evaluation
from ...utils import distributed
from ...utils.errors import one_line
from ...utils.logging import get_logger
from ...utils.text import counted
from ...watching.base import EPOCH, LoggedRun, RunLogger, STEP, VALIDATION
from ..state import TrainState
from .base import Hook

logger = get_logger(__name__)


class LoggersHook(Hook):
    """Passes scalars, epochs and validations on to loggers.

    One that fails is a warning. Until the end of the epoch it is left alone, since a server that does not answer would
    hold up every step; then it is tried again. What it has missed is counted.

    Args:
        loggers: {name: logger} of this rank.
        model: The network that is trained.
    """

    def __init__(self, loggers: Mapping[str, RunLogger], model: nn.Module) -> None:
        self.loggers, self.model = dict(loggers), model
        self._missed: Counter[str] = Counter()
        self._resting: set[str] = set()

    def write_step(self, stats: Mapping[str, Any], state: TrainState) -> None:
        """Pass on what the log says of the last iterations.

        Args:
            stats: Numbers, and a few texts, which are left out.
            state: Of the training.
        """
        self._write(STEP, stats, state)

    def write_evaluation(self, result: Evaluation[Any], state: TrainState) -> None:
        """Pass on a validation.

        Args:
            result: Its metrics, scores and labels.
            state: Of the training.
        """
        more = {"best": state.best, "failed": len(result.failed), "seconds": result.seconds}
        self._write(VALIDATION, {**result.metrics, **more}, state)
        self._each(lambda item: item.write_evaluation(result, state.steps))

    def after_step(self, state: TrainState) -> None:
        """Counts the losses of the step in the means of its epoch."""
        state.epoch_losses.add(state.losses)

    def after_epoch(self, state: TrainState) -> None:
        """Passes on the means of an epoch and its end."""
        self._resting.clear()
        self._write(EPOCH, {**state.epoch_losses.means(), "lr": state.lr}, state)
        self._each(lambda item: item.write_epoch(self.model, state.paths, state.steps))

    def after_train(self, state: TrainState) -> None:
        """Closes the loggers."""
        self._resting.clear()
        self._each(lambda item: item.close(finished=not state.stop))
        for name, count in self._missed.items():
            logger.warning("LOGGERS %s: %s missed", name, counted(count, "write"))

    def _write(self, group: str, values: Mapping[str, Any], state: TrainState) -> None:
        numbers = {n: float(v) for n, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        scalars = {f"{group}/{name}": number for name, number in numbers.items()}
        epoch = state.epoch + state.iteration / state.iters_per_epoch
        self._missed.update(self._resting)
        self._each(lambda item: item.write_scalars(scalars, state.steps, epoch))

    def _each(self, call: Callable[[RunLogger], None]) -> None:
        for name, item in self.loggers.items():
            if name in self._resting:
                continue
            try:
                call(item)
            except Exception as error:
                if not self._missed[name]:
                    logger.warning("LOGGERS %s: %s. Training continues; it is tried again", name, _reason(error))
                self._missed[name] += 1
                self._resting.add(name)


def build_loggers(cfg: Cfg, run_id: str, state: TrainState, class_names: ClassNames = None) -> dict[str, RunLogger]:
    """{name: logger} of those that a configuration names; {} on all ranks but the main one.

    One that cannot start is left out with a warning.

    Args:
        cfg: The configuration.
        run_id: Of the run.
        state: Where the training stands.
        class_names: Of the classes that are validated.
    """
    loggers: dict[str, RunLogger] = {}
    if not distributed.is_main():
        return loggers
    folder, values = os.path.abspath(cfg.OUTPUT_DIR), values_of(cfg)
    run = LoggedRun(run_id, folder, values, class_names, state.steps, state.evaluation_due)
    for name in derived.loggers(cfg):
        try:
            loggers[name] = LOGGERS[name](cfg.get(name.upper(), {}), run)
        except Exception as error:
            logger.warning("LOGGERS %s: %s. Training continues without it", name, _reason(error))
    return loggers


def _reason(error: Exception) -> str:
    return one_line(error) or f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
