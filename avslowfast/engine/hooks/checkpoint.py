"""When the state of a training is saved."""

import time
from collections.abc import Callable

from ...utils import distributed
from ..state import TrainState
from .base import Hook


class CheckpointHook(Hook):
    """Saves every few epochs, every few seconds, after an improvement, at the end, and when a stop is asked for.

    Ranks decide together: a stop that any rank asks for stops all; the clock of the main rank counts.

    Args:
        save: Saves the state on every rank together and gives its path.
        keep_as_best: Keeps the saved state of that path as the best one.
        stop_requested: Whether this rank is asked to stop.
        epochs: Epochs between two states.
        seconds: Seconds between two states; 0 means never.
        vote_period: Iterations between two decisions of several ranks; a single process decides after each one.
    """

    def __init__(
        self,
        save: Callable[[TrainState], str],
        keep_as_best: Callable[[str], None],
        stop_requested: Callable[[], bool],
        *,
        epochs: int,
        seconds: float,
        vote_period: int,
    ) -> None:
        self.save, self.keep_as_best, self.stop_requested = save, keep_as_best, stop_requested
        self.epochs, self.seconds, self.vote_period = epochs, seconds, vote_period
        self._last_save = time.monotonic()

    def after_step(self, state: TrainState) -> None:
        """Saves where seconds or a stop ask for it; the end of an epoch decides for itself."""
        votes = not distributed.is_distributed() or state.iteration % self.vote_period == 0
        if state.epoch_complete or not votes:
            return
        overdue = self._vote(state)
        if state.stop or overdue:
            self._save(state)

    def after_epoch(self, state: TrainState) -> None:
        """Saves where anything asks for it; an improvement is kept as the best state too."""
        overdue = self._vote(state)
        if state.stop or overdue or state.improved or state.ends_period(self.epochs):
            path = self._save(state)
            if state.improved and distributed.is_main():
                self.keep_as_best(path)

    def _vote(self, state: TrainState) -> bool:
        """Sets `state.stop` on every rank; returns whether the main rank's clock asks for a state."""
        overdue = bool(self.seconds) and time.monotonic() - self._last_save > self.seconds
        votes = distributed.gather_objects((self.stop_requested(), overdue))
        state.stop = any(stop for stop, _ in votes)
        return bool(votes[0][1])

    def _save(self, state: TrainState) -> str:
        path = self.save(state)
        self._last_save = time.monotonic()
        return path
