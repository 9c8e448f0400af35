"""Precise batch norm before each validation."""

from collections.abc import Callable

from ..state import TrainState
from .base import Hook


class PreciseBNHook(Hook):
    """Calls a function that recomputes the running statistics, every few epochs and after the last.

    Args:
        period: Epochs; that of the validation, which uses the statistics.
        function: Called with the index of the epoch that has just ended.
    """

    def __init__(self, period: int, function: Callable[[int], None]) -> None:
        self.period, self.function = period, function

    def after_epoch(self, state: TrainState) -> None:
        """Recomputes where it is due."""
        if state.ends_period(self.period):
            self.function(state.epoch - 1)
