"""Where a training stands: the typed object that the trainer and its hooks share."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..loading.flaws import Flaw
from ..utils import distributed


class LossSums:
    """Sums of the losses of an epoch, by part, on the device; a resumed epoch continues those of its state."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Count the losses of a step.

        Args:
            losses: {name: scalar}, the same names on every rank.
        """
        for name, value in losses.items():
            pair = torch.stack([value.detach().double(), torch.ones_like(value, dtype=torch.float64)])
            self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def totals(self) -> dict[str, list[float]]:
        """{name: [sum, steps times ranks]} over all ranks; all have to call it."""
        if not self._sums:
            return {}
        names = sorted(self._sums)
        sums = distributed.all_reduce_sum(torch.stack([self._sums[name] for name in names]))
        return dict(zip(names, sums.tolist()))

    def means(self) -> dict[str, float]:
        """{name: mean over steps and ranks}; all have to call it."""
        return {name: total / count for name, (total, count) in self.totals().items()}

    def restore(self, totals: Mapping[str, Sequence[float]], device: torch.device) -> None:
        """Continue from what `totals` gave.

        Args:
            totals: By name; {} begins anew.
            device: Where losses are.
        """
        share = 1.0 / distributed.world_size()
        pairs = {name: torch.tensor(pair, dtype=torch.float64, device=device) for name, pair in totals.items()}
        self._sums = {name: pair * share for name, pair in pairs.items()}


@dataclass
class TrainState:
    """Progress of a training. The trainer counts; hooks read it, and write the fields named so.

    Attributes:
        epoch_steps: Optimiser steps of each epoch of the whole training.
        epoch: Epochs done; while an epoch runs, the index of this one.
        iteration: Steps done in the current epoch.
        steps: Optimiser steps done in the whole training, whatever the length of its epochs was; the axis of curves.
        lr: The schedule's learning rate in the last step.
        losses: Mean losses of the last step by part, scalar tensors on the device.
        epoch_losses: Their sums in this epoch.
        paths: Files of the clips of the last step.
        shape: Of the batches of this epoch, in words; "" where all epochs have the configured one.
        data_seconds: How long the last step waited for its data.
        failures: (path, reason) of the training files that this rank could not read since `share_failures`.
        read_again: Files of `failed` that this rank has read since `share_failures`.
        failed: {path: reason} of the training files that could not be read when they were tried last, by any rank.
        rank_failures: How many training files each rank could not read since the program was started.
        dropped_boxes: Boxes outside their crops in this epoch, on this rank.
        flaws: Of the files that were read in this epoch, on this rank.
        silent: Clips without audio in this epoch, on this rank, of a network that listens.
        evaluation_due: The epoch that has just ended is still to be evaluated; a resumed training begins with that.
        best: The best validation metric so far; None before the first validation. Written by the evaluation.
        best_epoch: Epochs done when it was reached. Written by the evaluation.
        best_metric: Name of the metric. Written by the evaluation.
        stale: Validations since `best`. Written by the evaluation.
        patience: Such validations after which the training ends; 0 is never.
        value: Of the epoch that has just ended, if it was evaluated. Written and cleared like `improved`.
        improved: The epoch that has just ended set `best`. Written by the evaluation, cleared before each epoch.
        stop: The training ends before its last epoch: all ranks have agreed to stop.
    """

    epoch_steps: Sequence[int]
    epoch: int = 0
    iteration: int = 0
    steps: int = 0
    lr: float = 0.0
    losses: dict[str, Tensor] = field(default_factory=dict)
    epoch_losses: LossSums = field(default_factory=LossSums)
    paths: list[str] = field(default_factory=list)
    shape: str = ""
    data_seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)
    read_again: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    rank_failures: list[int] = field(default_factory=list)
    dropped_boxes: int = 0
    flaws: list[Flaw] = field(default_factory=list)
    silent: int = 0
    evaluation_due: bool = False
    best: float | None = None
    best_epoch: int | None = None
    best_metric: str = ""
    stale: int = 0
    patience: int = 0
    value: float | None = None
    improved: bool = False
    stop: bool = False

    def __post_init__(self) -> None:
        self._before = list(itertools.accumulate(self.epoch_steps, initial=0))

    @property
    def max_epoch(self) -> int:
        """Epochs of the whole training."""
        return len(self.epoch_steps)

    @property
    def iters_per_epoch(self) -> int:
        """Optimiser steps of the current epoch."""
        return self.epoch_steps[min(self.epoch, self.max_epoch - 1)]

    @property
    def global_iteration(self) -> int:
        """Optimiser steps done in the whole training."""
        later = max(self.epoch - self.max_epoch, 0) * self.iters_per_epoch
        return self._before[min(self.epoch, self.max_epoch)] + later + self.iteration

    @property
    def total_iterations(self) -> int:
        """Optimiser steps of the whole training."""
        return self._before[-1]

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or no further one is worth its time."""
        return self.epoch >= self.max_epoch or self.out_of_patience

    @property
    def out_of_patience(self) -> bool:
        """Whether `patience` validations in a row were no better than the best."""
        return 0 < self.patience <= self.stale

    @property
    def epoch_complete(self) -> bool:
        """Whether all steps of the current epoch are done."""
        return self.iteration == self.iters_per_epoch

    def ends_period(self, epochs: int) -> bool:
        """Whether the epoch that has just ended is one of every `epochs`, or the last of the training."""
        return self.epoch % epochs == 0 or self.epoch == self.max_epoch

    def count(
        self,
        failures: list[tuple[str, str]],
        paths: list[str],
        dropped_boxes: int,
        flaws: Sequence[Flaw] = (),
        silent: int = 0,
    ) -> None:
        """Add what a batch reports to the counts.

        Args:
            failures: (path, reason) of files that could not be read.
            paths: Files that were read.
            dropped_boxes: Boxes that lay outside their crops.
            flaws: Of the files that were read.
            silent: Clips without audio.
        """
        self.failures += failures
        self.read_again.update(path for path in paths if path in self.failed)
        self.dropped_boxes += dropped_boxes
        self.flaws += flaws
        self.silent += silent

    def share_failures(self) -> None:
        """Put what the ranks have counted into `failed`, the same on all; all have to call it."""
        parts = distributed.gather_objects((sorted(self.read_again), self.failures))
        for read_again, _ in parts:
            for path in read_again:
                self.failed.pop(path, None)
        before = self.rank_failures or [0] * len(parts)
        self.rank_failures = [count + len(failures) for count, (_, failures) in zip(before, parts, strict=True)]
        for _, failures in parts:
            self.failed.update(failures)
        self.failures, self.read_again = [], set()

    def end_epoch(self) -> None:
        """Count the epoch as done."""
        self.epoch, self.iteration = self.epoch + 1, 0

    def clear_epoch(self) -> None:
        """Forget what belongs to the epoch that has ended."""
        self.dropped_boxes, self.value, self.improved = 0, None, False
        self.flaws, self.silent = [], 0
        self.epoch_losses = LossSums()
