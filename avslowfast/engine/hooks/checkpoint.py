"""When the state of a training is saved."""

import time
from collections.abc import Callable

from ...checkpoint.states import StateNotSavedError
from ...utils import distributed
from ...utils.logging import get_logger
from ..state import TrainState
from .base import Hook

logger = get_logger(__name__)


class CheckpointHook(Hook):
    """Saves every few epochs or seconds, before and after an evaluation, at the end, and when a stop is asked for.

    An epoch is saved before it is evaluated, so that an evaluation that fails loses nothing, and once more afterwards,
    with what the evaluation has changed. Ranks decide together: a stop that any rank asks for stops all; the clock of
    the main rank counts.

    Args:
        save: Saves the state on every rank together and gives its path.
        stop_requested: Whether this rank is asked to stop.
        epochs: Epochs between two states.
        seconds: Seconds between two states; 0 means never.
        vote_period: Iterations between two decisions of several ranks; a single process decides after each one.
    """

    def __init__(
        self,
        save: Callable[[TrainState], str],
        stop_requested: Callable[[], bool],
        *,
        epochs: int,
        seconds: float,
        vote_period: int,
    ) -> None:
        self.save, self.stop_requested = save, stop_requested
        self.epochs, self.seconds, self.vote_period = epochs, seconds, vote_period
        self._last_save = time.monotonic()
        self._has_saved = False

    def after_step(self, state: TrainState) -> None:
        """Saves where seconds or a stop ask for it; the end of an epoch decides for itself."""
        votes = not distributed.is_distributed() or state.iteration % self.vote_period == 0
        if state.epoch_complete or not votes:
            return
        overdue = self._vote(state)
        if state.stop or overdue:
            self._save(state)

    def after_epoch(self, state: TrainState) -> None:
        """Saves where anything asks for it."""
        overdue = self._vote(state)
        if state.stop or overdue or state.evaluation_due or state.ends_period(self.epochs):
            self._save(state)

    def after_evaluation(self, state: TrainState) -> None:
        """Saves the epoch with its statistics and its best value."""
        self._save(state)

    def _vote(self, state: TrainState) -> bool:
        """Sets `state.stop` on every rank; returns whether the main rank's clock asks for a state."""
        overdue = bool(self.seconds) and time.monotonic() - self._last_save > self.seconds
        votes = distributed.gather_objects((self.stop_requested(), overdue))
        state.stop = any(stop for stop, _ in votes)
        return bool(votes[0][1])

    def _save(self, state: TrainState) -> None:
        """Save; where that fails, an earlier state is whole and training goes on, the next save tries again.

        Raises:
            StateNotSavedError: There is no earlier state, or no next save.
        """
        try:
            self.save(state)
        except StateNotSavedError as error:
            if state.stop or state.finished or not self._has_saved:
                raise
            logger.warning("%s. Training goes on; the next state is tried as usual", error)
        else:
            self._has_saved = True
        self._last_save = time.monotonic()
