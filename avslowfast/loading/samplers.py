"""Which videos form a batch. The order depends on (seed, epoch) alone: not on ranks, workers or an interruption.

Nor do the shapes of batches, which differ in multigrid training.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from ..config.multigrid import Schedule, Shape
from ..utils.seeding import generator


class SampleKey(NamedTuple):
    """What a sampler asks a data set for.

    Attributes:
        video: Number of the video in its data set.
        epoch: The training's epoch, from 0.
        position: Place of the video in the epoch's order.
        shape: Of its clips; None is the configured one.
    """

    video: int
    epoch: int
    position: int
    shape: Shape | None = None


class VideoOrder:
    """The order in which epochs visit videos: a permutation, or balanced, where each class comes equally often.

    A balanced epoch is as long, and visits some videos of frequent classes not at all and those of rare ones several
    times; each video of a class comes once before any comes twice.

    Args:
        seed: Seed of the order.
        length: Number of videos.
        classes: The class of each video, [length], by which epochs are balanced; None leaves them as they are.
    """

    def __init__(self, seed: int, length: int, classes: NDArray[np.integer[Any]] | None = None) -> None:
        self.seed, self.length, self._members = seed, length, list[NDArray[np.intp]]()
        if classes is not None:
            order = np.argsort(classes, kind="stable")
            firsts = np.unique(classes[order], return_index=True)[1]
            self._members = np.split(order, firsts[1:])
        self._drawn: dict[int, NDArray[np.uint32]] = {}

    def of(self, epoch: int) -> NDArray[np.uint32]:
        """The numbers of the videos that an epoch visits, in their order, [length]."""
        if epoch not in self._drawn:
            # Loading is ahead of training by part of an epoch: two are in use, at most.
            self._drawn = {**dict([*self._drawn.items()][-1:]), epoch: self._draw(epoch)}
        return self._drawn[epoch]

    def _draw(self, epoch: int) -> NDArray[np.uint32]:
        rng = generator(self.seed, epoch, "order")
        order = rng.permutation(self.length).astype(np.uint32)
        if not self._members:
            return order
        # Which classes have one visit more than the others is drawn as well.
        visits = np.full(len(self._members), self.length // len(self._members))
        visits[rng.permutation(len(visits))[: self.length - visits.sum()]] += 1
        chosen = [
            np.concatenate([rng.permutation(members) for _ in range(-(-count // len(members)))])[:count]
            for members, count in zip(self._members, visits.tolist())
            if count
        ]
        return np.concatenate(chosen)[order].astype(np.uint32)


class TrainBatchSampler(Sampler[list[SampleKey]]):
    """Batches of one rank.

    The global batch is cut into one run of neighbours per rank, so that it is the same for any number of ranks. The
    last videos of an epoch that fill no whole batch are left out of it; every epoch has an order of its own.

    Args:
        order: Of the videos.
        batch: Videos per rank and batch, in the configured shape.
        rank: This rank's number.
        world: Number of ranks.
        schedule: The shapes of batches by epoch; None is one shape.
        accumulate: Batches of a step, which have the same shape.
        limit: Steps of an epoch, at most; 0 takes all.
    """

    def __init__(
        self,
        order: VideoOrder,
        batch: int,
        rank: int = 0,
        world: int = 1,
        schedule: Schedule | None = None,
        accumulate: int = 1,
        limit: int = 0,
    ) -> None:
        self.order, self.length, self.batch, self.rank, self.world = order, order.length, batch, rank, world
        self.limit = limit * accumulate or None
        self.schedule, self.accumulate = schedule, accumulate
        self.epoch, self.start, self.full = 0, 0, False

    def __len__(self) -> int:
        return self.batches(self.epoch)

    def set_epoch(self, epoch: int, start: int = 0, full: bool = False) -> None:
        """Iterate over `epoch`, from batch number `start` on.

        Args:
            epoch: From 0.
            start: From 0.
            full: Give batches in the configured shape, whatever the epoch's is.
        """
        self.epoch, self.start, self.full = epoch, start, full

    def batches(self, epoch: int) -> int:
        """Batches of an epoch, and of each rank: as many as its videos fill, up to the limit."""
        sizes = self._sizes(epoch)
        count = self.length // sum(sizes) * len(sizes)
        count += next(i for i in range(len(sizes)) if self._videos(sizes, count + i + 1) > self.length)
        return count if self.limit is None else min(count, self.limit)

    def videos(self, count: int) -> int:
        """Videos of the epoch's first batches, over all ranks."""
        return self._videos(self._sizes(self.epoch), count)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        order, cycle = self.order.of(self.epoch), self._cycle(self.epoch)
        for number in range(self.start, len(self)):
            shape = cycle[number // self.accumulate % len(cycle)]
            batch = self.batch * (shape.batch if shape else 1)
            first = self.videos(number) + self.rank * batch
            yield [SampleKey(int(order[p]), self.epoch, p, shape) for p in range(first, first + batch)]

    def _cycle(self, epoch: int) -> tuple[Shape | None, ...]:
        """The shapes of the steps of an epoch in turn."""
        if self.full or self.schedule is None or not self.schedule.is_multigrid:
            return (None,)
        return self.schedule.phase(epoch).cycle

    def _sizes(self, epoch: int) -> list[int]:
        """Videos of each batch of a turn of the cycle, over all ranks."""
        factors = (shape.batch if shape else 1 for shape in self._cycle(epoch))
        return [self.batch * self.world * factor for factor in factors for _ in range(self.accumulate)]

    @staticmethod
    def _videos(sizes: list[int], count: int) -> int:
        turns, rest = divmod(count, len(sizes))
        return turns * sum(sizes) + sum(sizes[:rest])


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
