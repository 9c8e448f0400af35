"""What a logger is, and what it knows of the run that it logs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..datasets.base import ClassNames
from ..evaluation.protocols.base import Evaluation

# Groups of scalars, the part of a name before its slash: means of the last LOG_PERIOD steps, of an epoch, a validation.
STEP, EPOCH, VALIDATION = "train", "epoch", "val"


@dataclass(frozen=True)
class LoggedRun:
    """The run that is logged, at the start of this process.

    Attributes:
        id: Of the run; the same after every resume.
        output_dir: Its folder, absolute.
        configuration: {dotted key: value} of all keys.
        class_names: Of the classes that are validated, see `datasets.base`; None without names.
        step: Optimiser steps behind the state from which it starts; 0 for a new run.
        evaluation_due: The validation at this step is still to come.
    """

    id: str
    output_dir: str
    configuration: Mapping[str, Any] = field(default_factory=dict)
    class_names: ClassNames = None
    step: int = 0
    evaluation_due: bool = False

    def is_past(self, group: str, step: int) -> bool:
        """Whether scalars that are there already belong to what the run resumes from, and do not come again.

        Args:
            group: The part of their names before the slash.
            step: At which they were written.
        """
        if group == VALIDATION and self.evaluation_due:
            return step < self.step
        return step <= self.step and bool(self.step)


class RunLogger:
    """Base of the entries of LOGGERS; does nothing by default. Exists on the main rank alone.

    What fails here does not end a training: the first error of a logger is a warning, all are counted.

    Args:
        options: The configuration node that is called like the logger in capitals; {} where there is none.
        run: What is logged.
    """

    def __init__(self, options: Mapping[str, Any], run: LoggedRun) -> None:
        self.options, self.run = options, run

    def write_scalars(self, scalars: Mapping[str, float], step: int, epoch: float) -> None:
        """Numbers of one group.

        Args:
            scalars: {"train/loss", "train/lr", ...} every LOG_PERIOD steps, {"epoch/loss", ...} at the end of an epoch,
                {"val/top1", ...} at a validation.
            step: Optimiser steps of the whole training.
            epoch: The same in epochs.
        """

    def write_epoch(self, model: nn.Module, paths: Sequence[str], step: int) -> None:
        """An epoch has ended.

        Args:
            model: The network that is trained.
            paths: Files of the clips of the last step.
            step: Optimiser steps of the whole training.
        """

    def write_evaluation(self, result: Evaluation[Any], step: int) -> None:
        """A validation, for what is not a scalar.

        Args:
            result: Its scores, labels and metrics.
            step: Optimiser steps of the whole training.
        """

    def close(self, finished: bool) -> None:
        """The training ends here.

        Args:
            finished: With its last epoch; False for one that was stopped and may be resumed.
        """


def group_of(scalars: Mapping[str, float]) -> str:
    """The group of scalars of one call, e.g. "train"."""
    return next(iter(scalars), "").partition("/")[0]
