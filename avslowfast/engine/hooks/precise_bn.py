"""Precise batch norm before each validation."""

from collections.abc import Callable

from ..state import TrainState
from .base import Hook


class PreciseBNHook(Hook):
    """Calls a function that recomputes the running statistics before an evaluation, which uses them.

    Args:
        function: Called with the index of the epoch that has just ended.
    """

    def __init__(self, function: Callable[[int], None]) -> None:
        self.function = function

    def evaluate(self, state: TrainState) -> None:
        """Recomputes."""
        self.function(state.epoch - 1)
