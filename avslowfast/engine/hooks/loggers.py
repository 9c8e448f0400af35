"""Loggers: where a training shows its numbers besides the log, such as TensorBoard."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ...config import derived
from ...config.derived import Cfg
from ...config.names import LOGGERS
from ...evaluation.protocols.base import Evaluation
from ...utils import distributed
from ..state import TrainState
from .base import Hook


class RunLogger:
    """Base of the entries of LOGGERS; does nothing by default. Exists on the main rank alone.

    Args:
        options: The configuration node that is called like the logger in capitals; {} where there is none.
        output_dir: Folder of the run.
    """

    def __init__(self, options: Mapping[str, Any], output_dir: str) -> None:
        self.options, self.output_dir = options, output_dir

    def write_step(self, stats: Mapping[str, Any], iteration: int) -> None:
        """Means of the last iterations.

        Args:
            stats: {"loss", "lr", "dt", ...}: numbers, and a few strings.
            iteration: Of the whole training.
        """

    def write_epoch(self, model: nn.Module, paths: Sequence[str], iteration: int) -> None:
        """An epoch has ended.

        Args:
            model: The network that is trained.
            paths: Files of the clips of the last step.
            iteration: Of the whole training.
        """

    def write_evaluation(self, result: Evaluation[Any], iteration: int) -> None:
        """A validation.

        Args:
            result: Its metrics, scores and labels.
            iteration: Of the whole training.
        """

    def close(self) -> None:
        """The training has ended."""


class LoggersHook(Hook):
    """Passes what happens on to loggers.

    Args:
        loggers: Those of this rank.
        model: The network that is trained.
    """

    def __init__(self, loggers: Sequence[RunLogger], model: nn.Module) -> None:
        self.loggers, self.model = tuple(loggers), model

    def write_step(self, stats: Mapping[str, Any], state: TrainState) -> None:
        """Pass on what the log says of the last iterations.

        Args:
            stats: See `RunLogger.write_step`.
            state: Of the training.
        """
        for item in self.loggers:
            item.write_step(stats, state.global_iteration)

    def write_evaluation(self, result: Evaluation[Any], state: TrainState) -> None:
        """Pass on a validation.

        Args:
            result: See `RunLogger.write_evaluation`.
            state: Of the training.
        """
        for item in self.loggers:
            item.write_evaluation(result, state.global_iteration)

    def after_epoch(self, state: TrainState) -> None:
        """Passes on the end of an epoch."""
        for item in self.loggers:
            item.write_epoch(self.model, state.paths, state.global_iteration)

    def after_train(self, state: TrainState) -> None:
        """Closes the loggers."""
        for item in self.loggers:
            item.close()


def build_loggers(cfg: Cfg) -> list[RunLogger]:
    """The loggers that a configuration names; [] on all ranks but the main one."""
    if not distributed.is_main():
        return []
    names = derived.loggers(cfg)
    loggers: list[RunLogger] = [LOGGERS[name](cfg.get(name.upper(), {}), cfg.OUTPUT_DIR) for name in names]
    return loggers
