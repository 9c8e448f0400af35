"""Which rank keeps the others waiting."""

import socket
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ...utils import distributed
from ...utils.logging import get_logger, log_json_stats

logger = get_logger(__name__)

# A rank is named when its own time is so many times the median.
_SLOW = 1.5


class RankReport:
    """Says what all ranks do with their time, and names a slow one.

    The exchange of gradients makes the steps of all ranks equally long. What differs is the time that each waits for
    its own data and works in its own forward and backward passes.
    """

    def __init__(self) -> None:
        self.hosts = [socket.gethostname()]
        self._named: str | None = None

    def meet(self) -> None:
        """Learn where the ranks are; all have to call it."""
        self.hosts = distributed.gather_objects(socket.gethostname())

    def slowest(self, own_seconds: Sequence[Sequence[float]]) -> dict[str, str]:
        """{"slowest_rank": rank and host} where one takes 1.5 times the median; {} where none does.

        Args:
            own_seconds: (waiting for data, passes) per step of each rank.
        """
        totals = [sum(parts) for parts in own_seconds]
        # Of two ranks the faster one is the measure.
        median, rank = statistics.median_low(totals), totals.index(max(totals))
        if totals[rank] <= _SLOW * median:
            self._named = None
            return {}
        name = f"rank {rank} on {self.hosts[rank]}"
        if name != self._named:
            data, passes = own_seconds[rank]
            logger.warning(
                "%s is slow: %.3g s of its own per step (data %.3g, passes %.3g), median of all ranks %.3g",
                name,
                totals[rank],
                data,
                passes,
                median,
            )
        self._named = name
        return {"slowest_rank": name}

    def log(self, place: Mapping[str, Any], own_seconds: Sequence[Sequence[float]], failures: Sequence[int]) -> None:
        """A line for programs with the figures of each rank.

        Args:
            place: Epoch and iteration.
            own_seconds: (waiting for data, passes) per step of each rank.
            failures: Files that each rank could not read.
        """
        data, passes = ([float(f"{parts[i]:.4g}") for parts in own_seconds] for i in range(2))
        log_json_stats(
            {"_type": "train_ranks", **place, "data": data, "passes": passes, "failures": [*failures]}, logger
        )
