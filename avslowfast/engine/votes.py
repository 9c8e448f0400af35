"""What all ranks decide together between two batches: to continue, to stop, or to end because one of them has to."""

import time
from collections.abc import Iterator

import torch

from ..loading.loader import ClipLoader
from ..tasks.base import Batch
from ..utils import distributed
from ..utils.errors import one_line, StopRequested, UserError
from .stop import StopRequest


class RankFailedError(UserError, RuntimeError):
    """Another rank could not get its batch; the message is that of its error."""


class Votes:
    """Gives batches to all ranks at the same pace. A single process decides for itself.

    Ranks agree before each batch: where one is asked to stop all stop, and where one fails to get its batch all end, so
    that none waits for ranks that are gone, and all can save what they have.

    Args:
        stop: Whether this rank is asked to stop.

    Attributes:
        failure: The error of a batch, after which every rank ends; its own on the rank that has it.
        read_seconds: How long this rank has waited for its own batches; whoever reads it may set it back.
    """

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop
        self.failure: Exception | None = None
        self.read_seconds = 0.0
        self._clock = time.monotonic()

    def clock(self) -> float:
        """Seconds on the main rank's clock at the last decision: the same on every rank."""
        return self._clock

    def batches(self, loader: ClipLoader) -> Iterator[Batch]:
        """The batches of this rank. Ranks that have had theirs wait for the others.

        Args:
            loader: Of this rank.

        Raises:
            StopRequested: A rank is asked to stop.
            RankFailedError: Another rank could not get its batch.
        """
        source = loader.iterate(self.stop.requested)
        count = 0
        while True:
            batch, failure = None, None
            began = time.perf_counter()
            try:
                batch = next(source, None)
            except StopRequested:
                # Without a batch this rank votes for the end, below, where all ranks hear of the request.
                pass
            except Exception as error:
                failure = error
            self.read_seconds += time.perf_counter() - began
            if not self._go_on(batch is not None, failure, f"before batch {count + 1} of {len(loader)}"):
                return
            if batch is not None:
                count += 1
                yield batch

    def _go_on(self, has_batch: bool, failure: Exception | None, place: str) -> bool:
        """Whether any rank has a batch.

        Args:
            has_batch: Whether this one has.
            failure: Why this one has none.
            place: Where the work ends if it does.
        """
        number, failed, going = self.stop.number or 0, failure is not None, has_batch
        self._clock = time.monotonic()
        self.stop.rounds += 1
        if distributed.is_distributed():
            votes = torch.tensor(
                [number, failed, going, self._clock if distributed.is_main() else 0.0], dtype=torch.float64
            )
            number, failed, going, self._clock = distributed.all_reduce_max(votes).tolist()
        if failed:
            line = one_line(failure) or repr(failure) if failure else ""
            told = distributed.gather_objects(failure and RankFailedError.like(failure, line))
            self.failure = failure or next(error for error in told if error)
            raise self.failure
        if number:
            self.stop.take(int(number))
            raise StopRequested(place)
        return bool(going)
