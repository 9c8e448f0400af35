"""The records of a list: a sequence of `Record`, of which each field is a column."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from ..config import ConfigError
from .columns import BATCH, Column, Indices, join, Numbers, Same, Span, Spans
from .label_columns import COLUMNS, FORMS, LabelColumn, Labels, OneId
from .tables import shown
from .text_columns import Interned, Paths, Places, Texts


class Record(NamedTuple):
    """A video of a data set, or a segment of one.

    Attributes:
        path: The file, or a folder of frames.
        label: What its listing's `labels` says. "class": a class id, or a tuple with one id per classifier; -1 for
            none. "multi": a tuple of class ids. "spans": a tuple of (class id, start, stop), seconds from the beginning
            of the video. "boxes": a `BoxLabels`. "none": is not looked at.
        where: Label file and line, for messages.
        span: (start, stop) of the segment, seconds from the beginning of the video; None is all of it. A key frame has
            start = stop.
        audio_path: Another file that holds the audio, on the same clock; "" means the video itself.
        name: The data set's id of the segment.
        frame_rate: Frames per second, where `path` is a folder of frames.
        group: What the data set sorts its segments by, such as EPIC-Kitchens' participant.
    """

    path: str
    label: Any = 0
    where: str = ""
    span: Span | None = None
    audio_path: str = ""
    name: str = ""
    frame_rate: float = 0.0
    group: str = ""


class Records(Sequence[Record]):
    """Records whose fields lie in columns; indexing and iterating give a `Record`.

    Args:
        paths: `Record.path` of all.
        labels: `Record.label` of all.
        places: `Record.where` of all.
        spans: `Record.span` of all; the other columns likewise. None means that every record has the default.
        audio_paths: Paths of audio files.
        names: Ids of segments.
        frame_rates: Frames per second.
        groups: Groups.
    """

    def __init__(
        self,
        paths: Paths,
        labels: LabelColumn,
        places: Column[str],
        spans: Column[Span | None] | None = None,
        audio_paths: Column[str] | None = None,
        names: Column[str] | None = None,
        frame_rates: Column[float] | None = None,
        groups: Column[str] | None = None,
    ) -> None:
        count = len(paths)
        self.paths, self.labels, self.places = paths, labels, places
        self.spans: Column[Span | None] = Same(None, count) if spans is None else spans
        self.audio_paths: Column[str] = Same("", count) if audio_paths is None else audio_paths
        self.names: Column[str] = Same("", count) if names is None else names
        self.frame_rates: Column[float] = Same(0.0, count) if frame_rates is None else frame_rates
        self.groups: Column[str] = Same("", count) if groups is None else groups

    @property
    def columns(self) -> tuple[Column[Any], ...]:
        """The columns, in the order of `Record`."""
        return (
            self.paths,
            self.labels,
            self.places,
            self.spans,
            self.audio_paths,
            self.names,
            self.frame_rates,
            self.groups,
        )

    @classmethod
    def of(cls, records: Iterable[Record], labels: Labels) -> "Records":
        """Records in columns.

        Args:
            records: Any number; of an iterator a few thousand are in memory at a time.
            labels: What their labels are.

        Raises:
            ConfigError: A label is something else; names the record.
        """
        iterator = iter(records)
        batches = iter(lambda: list(itertools.islice(iterator, BATCH)), [])
        return cls.join([_in_columns(batch, labels) for batch in batches] or [_in_columns([], labels)])

    @classmethod
    def join(cls, parts: Sequence["Records"]) -> "Records":
        """Records of the same kind of labels, one after the other.

        Raises:
            ConfigError: Labels are a class id in some and a tuple in others.
        """
        forms = {part.labels.ids.shape[1:] for part in parts if isinstance(part.labels, OneId) and len(part)}
        if len(forms) > 1:
            raise ConfigError(f"the labels of records differ in form; give each {FORMS['class']}")
        return _of_columns(map(join, zip(*(part.columns for part in parts))))

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> "Records": ...
    def __getitem__(self, index: int | slice) -> "Record | Records":
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        i = range(len(self))[index]
        return Record(*[column.value(i) for column in self.columns])

    def __iter__(self) -> Iterator[Record]:
        return map(self.__getitem__, range(len(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(a == b for a, b in zip(self, other))

    def __repr__(self) -> str:
        return f"Records({len(self)}, {self.nbytes} bytes)"

    def take(self, indices: Indices) -> "Records":
        """Some of the records, in an order of one's own.

        Args:
            indices: Their numbers, from 0 [M].
        """
        return _of_columns(column.take(indices) for column in self.columns)

    @property
    def nbytes(self) -> int:
        """Bytes of memory of all columns."""
        return sum(column.nbytes for column in self.columns)

    def fingerprint(self) -> str:
        """A hash of files, segments and labels in their order; paths count from the folder that all of them share."""
        digest = hashlib.sha256()
        for column in (self.paths, self.names, self.spans, self.labels):
            digest.update(f"{type(column).__name__} {len(column)}".encode())
            column.feed(digest)
        return digest.hexdigest()[:32]


def _of_columns(columns: Iterable[Any]) -> Records:
    return Records(*columns)


def _in_columns(batch: Sequence[Record], labels: Labels) -> Records:
    if not batch:
        return Records(Paths.of([]), COLUMNS[labels].of([]), Places.of([]))
    paths, values, places, spans, audio_paths, names, frame_rates, groups = zip(*batch)
    return Records(
        Paths.of(paths),
        _label_column(batch, values, labels),
        Places.of(places),
        Spans.of(spans) if any(span is not None for span in spans) else None,
        Paths.of(audio_paths) if any(audio_paths) else None,
        Texts.of(names) if any(names) else None,
        Numbers.of(frame_rates) if any(frame_rates) else None,
        Interned.of(groups) if any(groups) else None,
    )


def _label_column(batch: Sequence[Record], values: Sequence[Any], labels: Labels) -> LabelColumn:
    kind = COLUMNS[labels]
    try:
        column = kind.of(values)
    except (TypeError, ValueError, AttributeError, OverflowError):
        wrong = next(record for record in batch if not _fits(kind, values[0], record.label))
        raise ConfigError(
            f"{wrong.where or wrong.path}: the label {shown(wrong.label)} is not {FORMS[labels]} (labels {labels!r})"
        ) from None
    return column


def _fits(kind: type[LabelColumn], first: Any, label: Any) -> bool:
    """Whether a label can stand in one column with the first one."""
    try:
        kind.of([label])
        kind.of([first, label])
    except (TypeError, ValueError, AttributeError, OverflowError):
        return False
    return True
