"""Which videos form a batch. The order depends on (seed, epoch) alone: not on ranks, workers or an interruption."""

import functools
from typing import NamedTuple

from torch.utils.data import Sampler

from ..utils.seeding import generator


class SampleKey(NamedTuple):
    """What a sampler asks a data set for: a video, and where in which epoch it stands."""

    index: int
    epoch: int
    position: int


@functools.lru_cache(maxsize=2)
def epoch_order(seed, epoch, length):
    """The permutation of 0 .. length - 1 in which an epoch visits the videos."""
    return generator(seed, epoch, "order").permutation(length)


class TrainBatchSampler(Sampler):
    """Batches of one rank. The global batch is cut into one run of neighbours a rank, so that it is the same for any number of ranks.

    The last videos of an epoch that fill no whole batch wait for the next epoch (the order is new each time).

    Args:
        length: number of videos. batch: clips per rank and batch. rank, world: this rank and their number. seed: of the order.
    """

    def __init__(self, length, batch, rank=0, world=1, seed=0):
        self.length, self.batch, self.rank, self.world, self.seed = length, batch, rank, world, seed
        self.epoch, self.start = 0, 0

    def __len__(self):
        return self.length // (self.batch * self.world)

    def set_epoch(self, epoch, start=0):
        """Iterate over `epoch`, from batch number `start` on."""
        self.epoch, self.start = epoch, start

    def __iter__(self):
        order = epoch_order(self.seed, self.epoch, self.length)
        for number in range(self.start, len(self)):
            first = (number * self.world + self.rank) * self.batch
            yield [SampleKey(int(order[p]), self.epoch, p) for p in range(first, first + self.batch)]


class EvalSampler(Sampler):
    """Every video exactly once over all ranks: no duplicates that would have to be taken out again."""

    def __init__(self, length, rank=0, world=1):
        self.indices = range(rank, length, world)

    def __len__(self):
        return len(self.indices)

    def __iter__(self):
        return iter(self.indices)
