"""Means of losses and times, every few iterations, for people and programs."""

import resource
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...utils import distributed
from ...utils.logging import get_logger, log_json_stats
from ..state import TrainState
from .base import Hook
from .ranks import RankReport

logger = get_logger(__name__)

# Receives what is logged, and the state of the training.
StatsReport = Callable[[Mapping[str, Any], TrainState], None]


class LogHook(Hook):
    """Logs the mean losses and times of every `period` iterations, and of the last ones of an epoch.

    Args:
        period: Iterations.
        to_come: Gives {shape of batches: steps to come}; the time that is left is estimated from those of each shape.
        device: Where the network is, for its peak memory.
        reports: Called with what is logged.
        own_seconds: Gives (waiting for data, passes) of this rank since it was last called.
        least_seconds: What a step would take at the peak of the accelerator; None where that is not known.
    """

    def __init__(
        self,
        period: int,
        to_come: Callable[[], Mapping[str, int]],
        device: torch.device,
        reports: Sequence[StatsReport] = (),
        *,
        own_seconds: Callable[[], tuple[float, float]] = lambda: (0.0, 0.0),
        least_seconds: float | None = None,
    ) -> None:
        self.period, self.to_come, self.device = period, to_come, device
        self.reports = tuple(reports)
        self.own_seconds, self.least_seconds = own_seconds, least_seconds
        self._ranks = RankReport()
        self._losses: defaultdict[str, list[Tensor]] = defaultdict(list)
        self._data_seconds = 0.0
        self._steps = self._clips = 0
        # Seconds of a step by shape, where they have been measured.
        self._seconds: dict[str, float] = {}
        self._mark = time.perf_counter()

    def before_train(self, state: TrainState) -> None:
        """Learns the names of all ranks' hosts."""
        self._ranks.meet()

    def before_epoch(self, state: TrainState) -> None:
        """Starts the clock: evaluation and checkpoints between epochs do not count as time of a step."""
        self._restart()
        self.own_seconds()

    def after_step(self, state: TrainState) -> None:
        """Collects; once per period reads the losses back and logs their means."""
        for name, value in state.losses.items():
            self._losses[name].append(value)
        self._data_seconds += state.data_seconds
        self._steps += 1
        self._clips += len(state.paths) * distributed.world_size()
        if state.iteration % self.period == 0 or state.epoch_complete:
            self._log(state)

    def after_epoch(self, state: TrainState) -> None:
        """Logs the boxes of the epoch that lay outside their crops."""
        dropped = sum(distributed.gather_objects(state.dropped_boxes))
        if dropped:
            logger.info("epoch %d: %d boxes lay outside their crops", state.epoch, dropped)

    def _restart(self) -> None:
        self._losses.clear()
        self._data_seconds, self._steps, self._clips = 0.0, 0, 0
        self._mark = time.perf_counter()

    def _log(self, state: TrainState) -> None:
        seconds = (time.perf_counter() - self._mark) / self._steps
        data_seconds = self._data_seconds / self._steps
        self._seconds[state.shape] = seconds
        place = {
            "epoch": f"{state.epoch + 1}/{state.max_epoch}",
            "iter": f"{state.iteration}/{state.iters_per_epoch}",
        }
        losses, own_seconds = self._gather()
        stats = {
            "_type": "train_iter",
            **place,
            **({"shape": state.shape} if state.shape else {}),
            **losses,
            "lr": state.lr,
            "dt": seconds,
            "dt_data": data_seconds,
            "dt_net": seconds - data_seconds,
            "clips_per_s": self._clips / self._steps / seconds,
            "eta": remaining_time(sum(n * self._seconds.get(shape, seconds) for shape, n in self.to_come().items())),
            **peak_memory(self.device),
            **({} if self.least_seconds is None else {"mfu": self.least_seconds / seconds}),
            **self._ranks.slowest(own_seconds),
        }
        log_json_stats(stats, logger)
        if len(own_seconds) > 1:
            self._ranks.log(place, own_seconds, state.rank_failures)
        for report in self.reports:
            report(stats, state)
        self._restart()

    def _gather(self) -> tuple[dict[str, float], list[list[float]]]:
        """Mean losses over all ranks, and each rank's own seconds per step, in one exchange."""
        # DropPathway is the same on every rank, so the names are, and one reduction serves all.
        names, world = sorted(self._losses), distributed.world_size()
        means = torch.stack([torch.stack(self._losses[name]).mean().float() for name in names]) / world
        own = torch.zeros(world, 2)
        own[distributed.rank()] = torch.tensor(self.own_seconds()) / self._steps
        sums = distributed.all_reduce_sum(torch.cat([means, own.flatten().to(means.device)])).cpu()
        return dict(zip(names, sums.tolist())), sums[len(names) :].view(world, 2).tolist()


def remaining_time(seconds: float) -> str:
    """A duration as HH:MM:SS, from a day on in days."""
    return time.strftime("%H:%M:%S", time.gmtime(seconds)) if seconds < 86400 else f"{seconds / 86400:.1f} days"


def peak_memory(device: torch.device) -> dict[str, float]:
    """Peak memory in GB: of this process, and of the GPU where there is one."""
    stats = {"ram_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if device.type == "cuda":
        stats["gpu_gb"] = torch.cuda.max_memory_allocated(device) / 2**30
    return stats
