"""The labels of a list as columns: class ids, several of them, with times, with boxes."""

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .columns import Column, Digest, feed_numbers, Indices, joined_offsets, narrow, offsets_of, positions, Spans

# What a record's `label` is, see `records.Record`.
Labels = Literal["class", "multi", "spans", "boxes", "none"]


class BoxLabels(NamedTuple):
    """The boxes of a key frame.

    Attributes:
        boxes: (x1, y1, x2, y2) as shares of the frame, float32 [K, 4].
        classes: Class ids of each box, from 1 as in AVA.
    """

    boxes: NDArray[np.float32]
    classes: tuple[tuple[int, ...], ...]


class LabelColumn(Column[Any]):
    """The labels of all records, as one of `Labels`."""

    @classmethod
    @abstractmethod
    def of(cls, values: Sequence[Any]) -> "LabelColumn":
        """See `Column.of`."""

    def class_ids(self, head: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """All class ids for a classifier, from 0.

        Args:
            head: Number of the classifier, where labels have one id for each.

        Returns:
            (ids [M], the record of each [M]).
        """
        return np.zeros(0, np.int64), np.zeros(0, np.int64)

    def differ(self, first: Indices, second: Indices) -> NDArray[np.bool_]:
        """Whether the labels of two records are different, for pairs of records [M]."""
        return np.array([self.value(i) != self.value(j) for i, j in zip(first.tolist(), second.tolist())], bool)


class NoLabels(LabelColumn):
    """0 for every record.

    Args:
        size: Number of records.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def value(self, i: int) -> int:
        """See `Column.value`."""
        return 0

    def take(self, indices: Indices) -> "NoLabels":
        """See `Column.take`."""
        return NoLabels(len(indices))

    @classmethod
    def of(cls, values: Sequence[Any]) -> "NoLabels":
        """See `Column.of`."""
        return cls(len(values))

    @classmethod
    def join(cls, parts: Sequence["NoLabels"]) -> "NoLabels":
        """See `Column.join`."""
        return cls(sum(map(len, parts)))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return 0

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""


class OneId(LabelColumn):
    """A class id, or one for each classifier.

    Args:
        ids: [N], or [N, classifiers].
    """

    def __init__(self, ids: NDArray[Any]) -> None:
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def value(self, i: int) -> int | tuple[int, ...]:
        """See `Column.value`."""
        return self.ids.item(i) if self.ids.ndim == 1 else tuple(self.ids[i].tolist())

    def class_ids(self, head: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `LabelColumn.class_ids`."""
        return self.ids if self.ids.ndim == 1 else self.ids[:, head], np.arange(len(self.ids), dtype=np.int32)

    def differ(self, first: Indices, second: Indices) -> NDArray[np.bool_]:
        """See `LabelColumn.differ`."""
        unequal = np.not_equal(self.ids[first], self.ids[second])
        return unequal if unequal.ndim == 1 else np.asarray(unequal.any(axis=1))

    def take(self, indices: Indices) -> "OneId":
        """See `Column.take`."""
        return OneId(self.ids[indices])

    @classmethod
    def of(cls, values: Sequence[Any]) -> "OneId":
        """See `Column.of`."""
        return cls(_whole(values, 2))

    @classmethod
    def join(cls, parts: Sequence["OneId"]) -> "OneId":
        """See `Column.join`."""
        return cls(np.concatenate([part.ids for part in parts]))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.ids.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        feed_numbers(digest, self.ids)


class ManyIds(LabelColumn):
    """Any number of class ids.

    Args:
        ids: Those of all records, one after the other [M].
        offsets: Where those of each record begin [N + 1].
    """

    def __init__(self, ids: NDArray[Any], offsets: NDArray[Any]) -> None:
        self.ids, self.offsets = ids, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def value(self, i: int) -> tuple[Any, ...]:
        """See `Column.value`."""
        return tuple(self.ids[self.offsets[i] : self.offsets[i + 1]].tolist())

    def class_ids(self, head: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `LabelColumn.class_ids`."""
        return self.ids, np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.offsets))

    def take(self, indices: Indices) -> "ManyIds":
        """See `Column.take`."""
        items, offsets = positions(self.offsets, indices)
        return ManyIds(self.ids[items], offsets)

    @classmethod
    def of(cls, values: Sequence[Any]) -> "ManyIds":
        """See `Column.of`."""
        ids = _whole(list(itertools.chain.from_iterable(values)), 1)
        return cls(ids, offsets_of([len(label) for label in values]))

    @classmethod
    def join(cls, parts: Sequence[Any]) -> "ManyIds":
        """See `Column.join`."""
        return cls(np.concatenate([part.ids for part in parts]), joined_offsets([part.offsets for part in parts]))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.ids.nbytes + self.offsets.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        feed_numbers(digest, self.ids)
        feed_numbers(digest, self.offsets)


class TimedIds(ManyIds):
    """Any number of (class id, start, stop).

    Args:
        ids: See `ManyIds`.
        offsets: See `ManyIds`.
        seconds: (start, stop) of each id [M, 2].
    """

    def __init__(self, ids: NDArray[Any], offsets: NDArray[Any], seconds: NDArray[np.float64]) -> None:
        super().__init__(ids, offsets)
        self.seconds = seconds

    def value(self, i: int) -> tuple[Any, ...]:
        """See `Column.value`."""
        part = slice(self.offsets.item(i), self.offsets.item(i + 1))
        return tuple((ident, *span) for ident, span in zip(self.ids[part].tolist(), self.seconds[part].tolist()))

    def take(self, indices: Indices) -> "TimedIds":
        """See `Column.take`."""
        items, offsets = positions(self.offsets, indices)
        return TimedIds(self.ids[items], offsets, self.seconds[items])

    @classmethod
    def of(cls, values: Sequence[Any]) -> "TimedIds":
        """See `Column.of`."""
        ids = ManyIds.of([[class_id for class_id, _, _ in spans] for spans in values])
        return cls(ids.ids, ids.offsets, Spans.of([(t0, t1) for spans in values for _, t0, t1 in spans]).seconds)

    @classmethod
    def join(cls, parts: Sequence["TimedIds"]) -> "TimedIds":
        """See `Column.join`."""
        ids = ManyIds.join(parts)
        return cls(ids.ids, ids.offsets, np.concatenate([part.seconds for part in parts]))

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return super().nbytes + self.seconds.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        super().feed(digest)
        digest.update(self.seconds.tobytes())


class BoxColumn(LabelColumn):
    """The boxes of key frames.

    Args:
        boxes: Those of all key frames, one after the other [M, 4].
        offsets: Where those of each key frame begin [N + 1].
        classes: The class ids of each box, from 1 [M].
    """

    def __init__(self, boxes: NDArray[np.float32], offsets: NDArray[Any], classes: ManyIds) -> None:
        self.boxes, self.offsets, self.classes = boxes, offsets, classes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def value(self, i: int) -> BoxLabels:
        """See `Column.value`."""
        start, stop = self.offsets.item(i), self.offsets.item(i + 1)
        return BoxLabels(self.boxes[start:stop], tuple(map(self.classes.value, range(start, stop))))

    def class_ids(self, head: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """See `LabelColumn.class_ids`."""
        ids, boxes = self.classes.class_ids(head)
        return ids - 1, np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.offsets))[boxes]

    def take(self, indices: Indices) -> "BoxColumn":
        """See `Column.take`."""
        items, offsets = positions(self.offsets, indices)
        return BoxColumn(self.boxes[items], offsets, self.classes.take(items))

    @classmethod
    def of(cls, values: Sequence[BoxLabels]) -> "BoxColumn":
        """See `Column.of`."""
        boxes = [np.asarray(label.boxes, np.float32).reshape(-1, 4) for label in values]
        classes = ManyIds.of([ids for label in values for ids in label.classes])
        return cls(np.concatenate(boxes or [np.zeros((0, 4), np.float32)]), offsets_of([*map(len, boxes)]), classes)

    @classmethod
    def join(cls, parts: Sequence["BoxColumn"]) -> "BoxColumn":
        """See `Column.join`."""
        offsets = joined_offsets([part.offsets for part in parts])
        boxes, classes = np.concatenate([part.boxes for part in parts]), ManyIds.join([part.classes for part in parts])
        return cls(boxes, offsets, classes)

    @property
    def nbytes(self) -> int:
        """See `Column.nbytes`."""
        return self.boxes.nbytes + self.offsets.nbytes + self.classes.nbytes

    def feed(self, digest: Digest) -> None:
        """See `Column.feed`."""
        digest.update(self.boxes.tobytes())
        feed_numbers(digest, self.offsets)
        self.classes.feed(digest)


COLUMNS: dict[Labels, type[LabelColumn]] = {
    "class": OneId,
    "multi": ManyIds,
    "spans": TimedIds,
    "boxes": BoxColumn,
    "none": NoLabels,
}
# What a label is, for the message of one that is not.
FORMS: dict[Labels, str] = {
    "class": "a class id, or a tuple of as many as the other records have",
    "multi": "a tuple of class ids",
    "spans": "a tuple of (class id, start, stop)",
    "boxes": "a BoxLabels with class ids for each box",
}


def _whole(values: Sequence[Any], dimensions: int) -> NDArray[Any]:
    """Whole numbers, or (2 dimensions) equally long tuples of them, as an array.

    Raises:
        ValueError: They are something else.
    """
    numbers = np.asarray(values)
    if numbers.size and (numbers.dtype.kind not in "biu" or numbers.ndim > dimensions):
        raise ValueError
    return narrow(numbers)
