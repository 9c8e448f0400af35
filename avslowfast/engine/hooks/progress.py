"""The progress bar."""

from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from ...utils import distributed
from ..state import TrainState
from .base import Hook


class ProgressHook(Hook):
    """A bar over the iterations of the whole training, on the main rank of a terminal.

    Args:
        total: Iterations; None takes those of the training.
    """

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self._bar: Any = None

    def before_train(self, state: TrainState) -> None:
        """Starts the bar where the training stands."""
        self._bar = tqdm(
            total=self.total or state.total_iterations,
            initial=state.global_iteration,
            desc="train",
            unit="it",
            disable=None if distributed.is_main() else True,
        )

    def after_step(self, state: TrainState) -> None:
        """Moves the bar."""
        self._bar.update(1)

    def show(self, stats: Mapping[str, Any], state: TrainState) -> None:
        """Put loss and learning rate behind the bar.

        Args:
            stats: What the log says of the last iterations.
            state: Of the training.
        """
        self._bar.set_postfix(loss=f"{stats['loss']:.3f}", lr=f"{stats['lr']:.2g}")

    def after_train(self, state: TrainState) -> None:
        """Closes the bar."""
        self._bar.close()
