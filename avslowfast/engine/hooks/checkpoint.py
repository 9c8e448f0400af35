"""When the state of a training is saved."""

from collections.abc import Callable, Sequence

from ...checkpoint.states import StateNotSavedError
from ...utils.logging import get_logger
from ..state import TrainState
from .base import Hook

logger = get_logger(__name__)


class CheckpointHook(Hook):
    """Saves every few epochs or seconds, before and after an evaluation, at the end, and when a stop is asked for.

    An epoch is saved before it is evaluated, so that an evaluation that fails loses nothing, and once more afterwards,
    with what the evaluation has changed.

    Args:
        save: Saves the state on every rank together and gives its path.
        clock: Seconds, the same on every rank.
        periods: Epochs between two states; several periods add up.
        seconds: Seconds between two states; 0 means never.
    """

    def __init__(
        self,
        save: Callable[[TrainState], str],
        clock: Callable[[], float],
        *,
        periods: Sequence[int],
        seconds: float,
    ) -> None:
        self.save, self.clock = save, clock
        self.periods, self.seconds = tuple(periods), seconds
        self._last_save = 0.0
        self._has_saved = False
        self._newest = 0

    def before_train(self, state: TrainState) -> None:
        """Starts the clock; what a training resumes from is saved already."""
        self._last_save, self._newest = self.clock(), state.global_iteration
        self._has_saved = state.global_iteration > 0

    def after_step(self, state: TrainState) -> None:
        """Saves where the seconds ask for it; the end of an epoch decides for itself."""
        if self._is_overdue() and not state.epoch_complete:
            self._save(state)

    def after_epoch(self, state: TrainState) -> None:
        """Saves where anything asks for it."""
        if self._is_overdue() or state.evaluation_due or any(map(state.ends_period, self.periods)):
            self._save(state)

    def after_evaluation(self, state: TrainState) -> None:
        """Saves the epoch with its statistics and its best value."""
        self._save(state)

    def after_train(self, state: TrainState) -> None:
        """Saves the steps that a stop would lose."""
        if state.stop and state.global_iteration != self._newest:
            self._save(state)

    def _is_overdue(self) -> bool:
        return bool(self.seconds) and self.clock() - self._last_save > self.seconds

    def _save(self, state: TrainState) -> None:
        """Save; where that fails, an earlier state is whole and training continues, the next save tries again.

        Raises:
            StateNotSavedError: There is no earlier state, or no next save.
        """
        try:
            self.save(state)
        except StateNotSavedError as error:
            if state.stop or state.finished or not self._has_saved:
                raise
            logger.warning("%s. Training continues; the next state is tried as usual", error)
        else:
            self._has_saved = True
            self._newest = state.global_iteration
        self._last_save = self.clock()
