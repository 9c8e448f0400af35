"""Rules that turn a record's label into a tensor, one for each kind of labels (`Listing.labels`)."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np
import torch

from ..config import ConfigError
from ..datasets.base import BoxLabels, Labels, Record, Records
from ..datasets.tables import check_class_id


class LabelRule(ABC):
    """What a sample's "label" is."""

    @abstractmethod
    def label(self, record: Record, span: tuple[float, float] | None = None) -> torch.Tensor:
        """The label of a record, or of a clip of it.

        Args:
            record: The record.
            span: (start, stop) of a training clip, seconds from the beginning of the video; None for the whole record.
        """

    # Classes of each classifier, and the smallest id.
    sizes: tuple[int, ...] = ()
    lowest = 0

    def check(self, records: Records) -> None:
        """Check that the network has the classes of records.

        Args:
            records: The records.

        Raises:
            ConfigError: A class id is out of range; names file and line of the first one.
        """
        wrong: list[tuple[int, int, int]] = []
        for head, size in enumerate(self.sizes):
            ids, rows = records.labels.class_ids(head)
            outside = np.flatnonzero((ids < self.lowest) | (ids >= size))
            if len(outside):
                wrong.append((int(rows[outside[0]]), int(ids[outside[0]]), size))
        if wrong:
            row, class_id, size = min(wrong)
            check_class_id(class_id, size, records.places[row], self.lowest)


class OneClass(LabelRule):
    """A class id [], or one id per classifier [H]; -1 for none.

    Args:
        sizes: Classes of each classifier.
    """

    lowest = -1

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.sizes = sizes

    def label(self, record: Record, span: tuple[float, float] | None = None) -> torch.Tensor:
        """The id or ids of the record."""
        return torch.tensor(record.label)

    def check(self, records: Records) -> None:
        """See `LabelRule.check`; also that there is an id for each classifier."""
        first = records[0].label if len(records) else ()
        if isinstance(first, tuple) and 0 < len(first) < len(self.sizes):
            raise ConfigError(
                f"{records.places[0]}: the label has {len(first)} class ids, but the network {len(self.sizes)} "
                "classifiers; change MULTI_HEAD.NAMES or the reader"
            )
        super().check(records)


class _ManyClasses(LabelRule):
    """A rule of records with any number of classes.

    Args:
        num_classes: K.
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.sizes = (num_classes,)


class SeveralClasses(_ManyClasses):
    """A vector of 0 and 1 [K] out of a tuple of class ids.

    Args:
        num_classes: K.
    """

    def label(self, record: Record, span: tuple[float, float] | None = None) -> torch.Tensor:
        """All classes of the record."""
        return _vector(record.label, self.num_classes)


class OverlappingSpans(_ManyClasses):
    """A vector of 0 and 1 [K]: the classes whose spans overlap the clip, or all of them for a whole record (Charades).

    Args:
        num_classes: K.
    """

    def label(self, record: Record, span: tuple[float, float] | None = None) -> torch.Tensor:
        """The classes that the clip overlaps."""
        ids = [c for c, start, stop in record.label if span is None or (start < span[1] and stop > span[0])]
        return _vector(ids, self.num_classes)


class Boxes(_ManyClasses):
    """An empty label: boxes have classes, clips have none (AVA). `targets` gives those of the boxes.

    Args:
        num_classes: K.
    """

    def label(self, record: Record, span: tuple[float, float] | None = None) -> torch.Tensor:
        """Nothing, [0]."""
        return torch.zeros(0)

    def targets(self, labels: BoxLabels) -> torch.Tensor:
        """The classes of each box, 0 and 1: [boxes, K]."""
        targets = torch.zeros(len(labels.boxes), self.num_classes)
        for row, ids in enumerate(labels.classes):
            targets[row, [i - 1 for i in ids]] = 1.0
        return targets


class NoLabel(LabelRule):
    """-1 for every record [], or for every classifier [H]: there are no labels, or the task does not look at them.

    Args:
        heads: H, the network's classifiers.
    """

    def __init__(self, heads: int = 1) -> None:
        self.value = torch.tensor(-1) if heads == 1 else torch.full((heads,), -1)

    def label(self, record: Record, span: tuple[float, float] | None = None) -> torch.Tensor:
        """Always the same."""
        return self.value


def label_rule(labels: Labels, sizes: tuple[int, ...]) -> LabelRule:
    """The rule for a kind of labels.

    Args:
        labels: As in `Listing.labels`.
        sizes: Classes of each classifier of the network.
    """
    if labels == "class":
        return OneClass(sizes)
    if labels == "multi":
        return SeveralClasses(sizes[0])
    if labels == "spans":
        return OverlappingSpans(sizes[0])
    return Boxes(sizes[0]) if labels == "boxes" else NoLabel(len(sizes))


def _vector(class_ids: Iterable[int], num_classes: int) -> torch.Tensor:
    vector = torch.zeros(num_classes)
    vector[list(class_ids)] = 1.0
    return vector
