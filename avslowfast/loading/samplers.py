"""Which videos form a batch. The order depends on (seed, epoch) alone: not on ranks, workers or an interruption."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from ..utils.seeding import generator


class SampleKey(NamedTuple):
    """What a sampler asks a data set for.

    Attributes:
        video: Number of the video in its data set.
        epoch: The training's epoch, from 0.
        position: Place of the video in the epoch's order.
    """

    video: int
    epoch: int
    position: int


@functools.lru_cache(maxsize=2)
def epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.uint32]:
    """The permutation of 0 .. length - 1 in which an epoch visits the videos."""
    return generator(seed, epoch, "order").permutation(length).astype(np.uint32)


class TrainBatchSampler(Sampler[list[SampleKey]]):
    """Batches of one rank.

    The global batch is cut into one run of neighbours per rank, so that it is the same for any number of ranks. The
    last videos of an epoch that fill no whole batch are left out of it; every epoch has an order of its own.

    Args:
        length: Number of videos.
        batch: Videos per rank and batch.
        rank: This rank's number.
        world: Number of ranks.
        seed: Seed of the order.
    """

    def __init__(self, length: int, batch: int, rank: int = 0, world: int = 1, seed: int = 0) -> None:
        self.length, self.batch, self.rank, self.world, self.seed = length, batch, rank, world, seed
        self.epoch, self.start = 0, 0

    def __len__(self) -> int:
        return self.length // (self.batch * self.world)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Iterate over `epoch`, from batch number `start` on."""
        self.epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order = epoch_order(self.seed, self.epoch, self.length)
        for number in range(self.start, len(self)):
            first = (number * self.world + self.rank) * self.batch
            yield [SampleKey(int(order[p]), self.epoch, p) for p in range(first, first + self.batch)]


class EvalSampler(Sampler[int]):
    """Every video exactly once over all ranks: no duplicates that would have to be removed again.

    Args:
        length: Number of videos.
        rank: This rank's number.
        world: Number of ranks.
    """

    def __init__(self, length: int, rank: int = 0, world: int = 1) -> None:
        self.indices = range(rank, length, world)

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)
