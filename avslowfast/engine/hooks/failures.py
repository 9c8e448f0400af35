"""What happens to a training whose files cannot be read, or only in part."""

import itertools
from collections.abc import Callable

from ...evaluation.failures import FailurePolicy, report_flaws, write_failed_files
from ...utils import distributed
from ...utils.logging import get_logger
from ...utils.text import counted
from ..state import TrainState
from .base import Hook

logger = get_logger(__name__)


class FailuresHook(Hook):
    """Names the training files that cannot be read, each once; too many of them end the training.

    Ranks put their failures together every few iterations and judge alike, so that a wrong mount shows within minutes.

    Args:
        policy: How many may fail.
        total: Different files of the training list.
        files: Files that a number of steps of the epoch read, over all ranks.
        period: Iterations.
    """

    def __init__(self, policy: FailurePolicy, total: int, files: Callable[[int], int], period: int) -> None:
        self.policy, self.total, self.files, self.period = policy, total, files, period
        self._named: set[str] = set()

    def before_train(self, state: TrainState) -> None:
        """Knows what the run has named before it was interrupted."""
        self._named.update(state.failed)

    def after_step(self, state: TrainState) -> None:
        """Judges what was tried so far.

        Raises:
            TooManyFailuresError: More files failed than may.
        """
        if state.iteration % self.period or state.epoch_complete:
            return
        self._share(state)
        if state.epoch:
            self.policy.check(state.failed, self.total, "training")
        else:
            tried = min(self.files(state.iteration) + len(state.failed), self.total)
            self.policy.check_early(state.failed, tried, self.total, "training")

    def after_epoch(self, state: TrainState) -> None:
        """Counts and judges; tells what was wrong with files that were read.

        Raises:
            TooManyFailuresError: More files failed than may.
        """
        self._share(state)
        if state.failed:
            files = counted(len(state.failed), "unreadable file")
            logger.warning("epoch %d: %s of %d replaced", state.epoch, files, self.total)
        flaws, silent = zip(*distributed.gather_objects((state.flaws, state.silent)))
        report_flaws(list(itertools.chain(*flaws)), sum(silent), f"epoch {state.epoch}")
        self.policy.check(state.failed, self.total, "training")

    def _share(self, state: TrainState) -> None:
        state.share_failures()
        new = {path: reason for path, reason in state.failed.items() if path not in self._named}
        for path, reason in new.items():
            logger.warning("failed, replaced in training: %s (%s)", path, reason)
        self._named.update(new)
        if new and distributed.is_main():
            write_failed_files(self.policy.folder, "train", state.failed)
