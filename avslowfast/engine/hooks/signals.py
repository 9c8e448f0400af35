"""Signals that ask a training to stop."""

import signal
from types import FrameType

from ..state import TrainState
from .base import Hook

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignalHook(Hook):
    """Catches SIGTERM and SIGINT while training: the iteration is finished, the state saved, then the training ends."""

    def __init__(self) -> None:
        self._received: int | None = None

    def before_train(self, state: TrainState) -> None:
        """Catches the signals."""
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def after_train(self, state: TrainState) -> None:
        """Gives the signals back to the system."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)

    def requested(self) -> bool:
        """Whether a signal has reached this process."""
        return self._received is not None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        # A second Ctrl-C ends at once.
        signal.signal(number, signal.SIG_DFL)
