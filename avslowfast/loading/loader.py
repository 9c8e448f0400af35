"""Batches of a data set in the order of its sampler, read by worker processes or by this one."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import torch
from torch.utils.data import BatchSampler

from ..utils.errors import StopRequested
from .collate import Batch
from .dataset import ClipDataset
from .samplers import TrainBatchSampler
from .workers import Collate, WorkerPool


class ClipLoader:
    """A loader over clips; in training its batch sampler chooses epoch and place.

    Args:
        dataset: The clips.
        batch_sampler: Gives the samples of each batch.
        collate: Makes a batch of samples.
        workers: Processes that read ahead; 0 reads in this one.
        timeout: See `WorkerPool`.
        pin_memory: Put tensors in pinned memory, from which copies to a GPU run beside its computation.
    """

    def __init__(
        self,
        dataset: ClipDataset,
        batch_sampler: TrainBatchSampler | BatchSampler,
        collate: Collate,
        *,
        workers: int = 0,
        timeout: float = 0.0,
        pin_memory: bool = False,
    ) -> None:
        self.dataset, self.batch_sampler, self.collate = dataset, batch_sampler, collate
        # Pinned in a thread of its own when it arrives, long before it is needed.
        self._arrived = partial(_pin, ThreadPoolExecutor(1)) if pin_memory else _as_it_is
        self._pool = WorkerPool(dataset, collate, workers, timeout, self._arrived) if workers else None

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Batch]:
        return self.iterate(lambda: False)

    def iterate(self, stopped: Callable[[], bool]) -> Iterator[Batch]:
        """The batches; a pass over them ends where another one begins.

        Args:
            stopped: Looked at while a batch is waited for, or read: whether to give up.

        Raises:
            StopRequested: `stopped` says so.
            WorkersLostError: Workers are killed again and again.
        """
        if self._pool is None:
            return self._read_here(stopped)
        return self._pool.batches(self.batch_sampler, stopped)

    def _read_here(self, stopped: Callable[[], bool]) -> Iterator[Batch]:
        for keys in self.batch_sampler:
            samples = []
            for key in keys:
                if stopped():
                    raise StopRequested
                samples.append(self.dataset[key])
            yield self._arrived(self.collate(samples))()

    @property
    def epochs(self) -> TrainBatchSampler:
        """The sampler of a training loader.

        Raises:
            TypeError: It is a loader for evaluation.
        """
        if not isinstance(self.batch_sampler, TrainBatchSampler):
            raise TypeError("a loader for evaluation has no epochs")
        return self.batch_sampler


def _as_it_is(batch: Batch) -> Callable[[], Batch]:
    return lambda: batch


def _pin(thread: ThreadPoolExecutor, batch: Batch) -> Callable[[], Batch]:
    return thread.submit(_pinned, batch).result


def _pinned(value: Any) -> Any:
    """A batch, or a part of one, with its tensors in pinned memory."""
    if isinstance(value, torch.Tensor):
        return value.pin_memory()
    if isinstance(value, dict):
        return {name: _pinned(part) for name, part in value.items()}
    return [_pinned(part) for part in value] if isinstance(value, list) else value
