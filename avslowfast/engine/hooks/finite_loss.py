"""The guard against losses that are NaN or infinite."""

import math

from torch import Tensor

from ...utils.errors import UserError
from ..state import TrainState
from .base import Hook


class NonFiniteLossError(UserError, RuntimeError):
    """A loss became NaN or infinite; the message names the iteration, the clips and the losses by part."""


class FiniteLossHook(Hook):
    """Ends the training with iteration, clips and losses by part when a loss is not finite.

    Args:
        period: Iterations whose losses are read together. On a GPU each reading waits for the device.
    """

    def __init__(self, period: int) -> None:
        self.period = period
        self._pending: list[tuple[int, int, dict[str, Tensor], list[str]]] = []

    def after_step(self, state: TrainState) -> None:
        """Keeps the losses; checks them once per period and at the end of the epoch."""
        self._pending.append((state.epoch, state.iteration, state.losses, state.paths))
        if state.iteration % self.period == 0 or state.epoch_complete:
            self.check()

    def check(self) -> None:
        """Read the losses that have not been read yet.

        Raises:
            NonFiniteLossError: For the first iteration whose loss is NaN or infinite.
        """
        for epoch, iteration, losses, paths in self._pending:
            values = {name: float(value) for name, value in losses.items()}
            if not all(math.isfinite(value) for value in values.values()):
                parts = ", ".join(f"{name} {value:g}" for name, value in values.items())
                raise NonFiniteLossError(
                    f"epoch {epoch + 1}, iteration {iteration}: the loss is not finite ({parts}); "
                    f"clips: {', '.join(paths)}. "
                    "Lower SOLVER.BASE_LR, set SOLVER.CLIP_GRAD_L2NORM, or look at these files"
                )
        self._pending.clear()
