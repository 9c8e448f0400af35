"""What happens to a training whose files cannot be read."""

from ...evaluation.evaluator import TooManyFailuresError
from ...utils import distributed
from ...utils.logging import get_logger
from ..state import TrainState
from .base import Hook

logger = get_logger(__name__)


class FailuresHook(Hook):
    """Names the training files of an epoch that could not be read; too many of them end the training.

    Args:
        total: Files of the training list.
        max_fraction: Share of them that may fail.
    """

    def __init__(self, total: int, max_fraction: float) -> None:
        self.total, self.max_fraction = total, max_fraction

    def after_epoch(self, state: TrainState) -> None:
        """Counts over all ranks.

        Raises:
            TooManyFailuresError: More files failed than may.
        """
        failed = dict(item for failures in distributed.gather_objects(state.failures) for item in failures)
        if not failed:
            return
        for path, reason in failed.items():
            logger.warning("failed, replaced in training: %s (%s)", path, reason)
        logger.warning("epoch %d: %d unreadable file(s) of %d replaced", state.epoch, len(failed), self.total)
        if len(failed) > self.max_fraction * self.total:
            raise TooManyFailuresError(
                f"{len(failed)} of {self.total} training files could not be read, more than "
                f"DATA.MAX_FAILED_FRACTION {self.max_fraction:g} allows; "
                f"the first: {next(iter(failed.values()))}. Repair or remove them, or raise the key"
            )
