"""What the lists of a run hold, before any video is opened: counts, empty and rare classes, duplicates, overlaps."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..datasets.base import ClassNames, Listing
from ..datasets.columns import Column, Indices, Span, Spans
from ..datasets.text_columns import Places
from ..utils.text import aligned, counted, listed

# Fewer training videos than these make a class rare.
RARE = 5
# Names of classes that a line lists.
_LISTED = 5
# Label files that a row of the table names, and letters of a class's name in it.
_FILES = 2
_WIDEST = 24

# Spreads the bits of a hash before another one is added.
_ODD = 0x2545F4914F6CDD1D

# Hashes of what records are of: files, or spans of them.
_Keys = NDArray[np.int64]


@dataclass(frozen=True)
class ClassFacts:
    """How often each class of a classifier occurs in a split.

    Attributes:
        counts: Videos (segments, boxes) of each class, by id; classes without any are missing.
        total: Classes of the classifier.
    """

    counts: Mapping[int, int]
    total: int

    @property
    def empty(self) -> list[int]:
        """Ids of the classes without a video."""
        return [class_id for class_id in range(self.total) if class_id not in self.counts]

    @property
    def smallest(self) -> int | None:
        """Id of the class with the fewest videos, of those with any; None without any."""
        return min(sorted(self.counts), key=self.counts.__getitem__, default=None)

    @property
    def largest(self) -> int | None:
        """Id of the class with the most videos; None without any."""
        return max(sorted(self.counts), key=self.counts.__getitem__, default=None)

    @property
    def rare(self) -> list[int]:
        """Ids of the classes with a video, but fewer than `RARE`."""
        return sorted(class_id for class_id, count in self.counts.items() if count < RARE)


@dataclass(frozen=True)
class SplitFacts:
    """What the list of a split holds.

    Attributes:
        records: Number of its records: videos, segments or key frames.
        files: Number of different video files.
        classes: {classifier: its classes}; the only classifier is called ""; {} without labels, as predicted boxes are.
        lists: Label files that its records come from, in order.
        repeated: Label file and line of each record that stands in the list already.
        contradicted: The same of each record that stands in the list already with another label.
    """

    records: int
    files: int
    classes: Mapping[str, ClassFacts]
    lists: Sequence[str] = ()
    repeated: list[str] = field(default_factory=list)
    contradicted: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Survey:
    """What the lists of a run hold.

    Attributes:
        splits: {split: its facts}.
        shared: {(earlier split, later split): records of the later one that are in the earlier one, too}, where there
            are any.
        class_names: Of the first split that has names.
    """

    splits: Mapping[str, SplitFacts]
    shared: Mapping[tuple[str, str], int]
    class_names: ClassNames = None

    def lines(self, more: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
        """A table with a row per split, then a line for everything that a person may not have meant.

        Args:
            more: {title of a further column: {split: its cell}}.
        """
        return [*self._table(more or {}), *self.notes()]

    def notes(self) -> list[str]:
        """A line for each kind of duplicate, overlap, and empty or rare class."""
        notes = []
        for split, facts in self.splits.items():
            for places, words in (
                (facts.repeated, "a video that is in the list already"),
                (facts.contradicted, "a video that is in the list already with another label: it has two labels"),
            ):
                if places:
                    lines = counted(len(places), "line names", "lines name")
                    notes.append(f"{split}: {lines} {words} (duplicates); the first: {places[0]}")
        for (earlier, later), count in self.shared.items():
            notes.append(f"{later}: {count} of {self.splits[later].records} videos are also in {earlier}")
        for split, facts in self.splits.items():
            for head, classes in facts.classes.items():
                notes += self._class_notes(split, head, classes)
        return notes

    def _class_notes(self, split: str, head: str, classes: ClassFacts) -> Iterator[str]:
        title = f"{split}, {head}" if head else split
        if classes.empty:
            present = classes.total - len(classes.empty)
            names = self._names(head, classes.empty)
            yield f"{title}: {present} of {classes.total} classes have videos; classes without a video: {names}"
        if split == "train" and classes.rare:
            names = self._names(head, classes.rare)
            rare = counted(len(classes.rare), "class has", "classes have")
            yield f"{title}: {rare} fewer than {RARE} videos: {names}"

    def _names(self, head: str, ids: list[int]) -> str:
        known = self.class_names.get(head) if isinstance(self.class_names, dict) else self.class_names
        return listed([known[i] if known is not None and i < len(known) else str(i) for i in ids], _LISTED)

    def _table(self, more: Mapping[str, Mapping[str, str]]) -> list[str]:
        titles = ("records", "files", "classes", "smallest class", "largest class", "rare", "duplicates")
        rows = [["split", *titles, *more, "list"]]
        for split, facts in self.splits.items():
            classes = facts.classes.items()
            cells = (
                f"{facts.records}",
                f"{facts.files}",
                ", ".join(f"{item.total - len(item.empty)} of {item.total}" for _, item in classes),
                ", ".join(self._sized(head, item, item.smallest) for head, item in classes),
                ", ".join(self._sized(head, item, item.largest) for head, item in classes),
                ", ".join(str(len(item.rare)) for _, item in classes),
                f"{len(facts.repeated) + len(facts.contradicted)}",
                *(cell_of.get(split, "") for cell_of in more.values()),
                ", ".join(facts.lists[:_FILES]) + (" ..." if len(facts.lists) > _FILES else ""),
            )
            rows.append([split, *(cell or "none" for cell in cells)])
        return aligned(rows)

    def _sized(self, head: str, classes: ClassFacts, class_id: int | None) -> str:
        if class_id is None:
            return "none"
        name = self._names(head, [class_id])
        return f"{classes.counts[class_id]} ({name if len(name) <= _WIDEST else name[: _WIDEST - 3] + '...'})"


def survey(listings: Mapping[str, Listing], classes: Mapping[str, int]) -> Survey:
    """Look through lists; two million records take a few seconds.

    Args:
        listings: {split: its records}, the training split first.
        classes: {classifier: number of classes}, as `derived.head_classes` gives them.
    """
    splits: dict[str, SplitFacts] = {}
    keys: dict[str, _Keys] = {}
    for split, listing in listings.items():
        splits[split], keys[split] = _facts_of(listing, classes)
    shared = {
        (earlier, later): len(np.intersect1d(keys[earlier], keys[later], assume_unique=True))
        for earlier, later in itertools.combinations(listings, 2)
    }
    names = next((listing.class_names for listing in listings.values() if listing.class_names is not None), None)
    return Survey(splits, {pair: count for pair, count in shared.items() if count}, names)


def _facts_of(listing: Listing, classes: Mapping[str, int]) -> tuple[SplitFacts, _Keys]:
    """The facts of a list, and what its records are of, each once."""
    records = listing.records
    files = records.paths.hashes(_usual)
    keys = _of_spans(files, records.spans)
    # Few records are of something that another one is of; those alone are compared.
    distinct, again, origin = _duplicates(keys)
    # Boxes are arrays, and each key frame has one record.
    other = np.zeros(len(again), bool)
    if listing.labels not in ("boxes", "none"):
        other = records.labels.differ(again, origin)
    facts = SplitFacts(
        len(records),
        len(distinct) if keys is files else len(np.unique(files)),
        _class_facts(listing, classes),
        _lists_of(records.places),
        repeated=[*records.places.take(np.sort(again[~other]))],
        contradicted=[*records.places.take(np.sort(again[other]))],
    )
    return facts, distinct


def _duplicates(keys: _Keys) -> tuple[_Keys, Indices, Indices]:
    """(the different keys in order, the records whose key an earlier record has, and the first record of each)."""
    distinct = np.sort(keys)
    first = np.concatenate([[True], distinct[1:] != distinct[:-1]])[: len(keys)]
    if first.all():
        return distinct, np.zeros(0, np.int64), np.zeros(0, np.int64)
    shared, distinct = np.unique(distinct[~first]), distinct[first]
    chosen = np.flatnonzero(shared[np.searchsorted(shared[:-1], keys)] == keys)
    # Records of one key lie side by side, in their order.
    chosen = chosen[np.argsort(keys[chosen], kind="stable")]
    first = np.concatenate([[True], np.diff(keys[chosen]) != 0])
    return distinct, chosen[~first], chosen[first][np.cumsum(first)[~first] - 1]


def _lists_of(places: Column[str]) -> list[str]:
    """The files of places such as "train.csv, line 7"."""
    if not isinstance(places, Places):
        return []
    table = places.heads.table
    return list(dict.fromkeys(filter(None, (table.value(i).rpartition(", line ")[0] for i in range(len(table))))))


def _usual(path: str) -> str:
    # Most paths are in order.
    return os.path.normpath(path) if "/." in path or "//" in path or path.startswith(".") else path


def _of_spans(files: _Keys, spans: Column[Span | None]) -> _Keys:
    """Hashes of files with spans of them; they have 64 bits: no two of millions are equal by chance."""
    if not isinstance(spans, Spans):
        return files
    starts, stops = np.nan_to_num(spans.seconds.T, nan=-1.0).tolist()
    return files * np.int64(_ODD) + np.fromiter(map(hash, zip(starts, stops)), np.int64, len(files))


def _class_facts(listing: Listing, classes: Mapping[str, int]) -> dict[str, ClassFacts]:
    if listing.labels == "none":
        return {}
    facts = {}
    for head, (name, total) in enumerate(classes.items()):
        ids, rows = listing.records.labels.class_ids(head)
        if listing.labels == "boxes" and not len(ids):
            # Predicted boxes, which have no actions.
            continue
        if listing.labels == "spans":
            # A class counts once for a video, however often it occurs there.
            ids = np.unique(np.stack([rows, ids]), axis=1)[1]
        # A segment without a label has -1.
        found, counts = np.unique(ids[ids != -1], return_counts=True)
        facts[name] = ClassFacts(dict(zip(found.tolist(), counts.tolist())), total)
    return facts
