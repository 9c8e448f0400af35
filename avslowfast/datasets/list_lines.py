"""Lines `path<separator>label` of list files, thousands at a time.

`parse` takes the lines that nearly all lists consist of. Where a line needs a closer look (a mistake, a comment, spaces
at its ends, signs, letters that may be spaces), it takes none of its block, which is then read line by line.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..utils.remote import join
from .columns import narrow, offsets_of, Same
from .label_columns import LabelColumn, ManyIds, NoLabels, OneId
from .records import Records
from .tables import Block
from .text_columns import Interned, Paths, Places, TAR, Texts

_NEWLINE, _HASH, _COMMA, _SLASH, _ZERO = b"\n#,/0"
# Digits of a label: more may be no class id.
_DIGITS = 9

_BYTES = np.arange(256)
_VISIBLE = (_BYTES > 0x20) & (_BYTES < 0x7F)
# With these a path may begin, and end: neither with a comment's mark, nor with what may be a space. In UTF-8 spaces
# beyond ASCII begin with one of four bytes.
_BEGINS = (_VISIBLE & (_BYTES != _HASH)) | ((_BYTES >= 0x80) & ~np.isin(_BYTES, (0xC2, 0xE1, 0xE2, 0xE3)))

_Positions = NDArray[np.int64]


@dataclass(frozen=True)
class LineForm:
    """What lines of a list file look like.

    Attributes:
        separator: Between path and label; the last one of a line counts.
        prefix: Put in front of each path that is not absolute.
        num_classes: Class ids are below this; None where labels are not needed, and may be missing.
        multi_label: Labels are ids joined by commas.
    """

    separator: str
    prefix: str
    num_classes: int | None
    multi_label: bool = False

    @property
    def is_simple(self) -> bool:
        """Whether no part of a label can be taken for a part of the separator."""
        if not self.separator or any(character.isdigit() for character in self.separator):
            return False
        return not self.joins_labels or self.separator == "," or "," not in self.separator

    @property
    def joins_labels(self) -> bool:
        """Whether what follows a path may be several ids."""
        return self.multi_label or self.num_classes is None


def parse(block: Block, form: LineForm) -> Records | None:
    """The records of a block of lines; None where a line needs a closer look.

    Args:
        block: Whole lines.
        form: What they look like.
    """
    if not form.is_simple:
        return None
    text = np.frombuffer(block.content, np.uint8)
    stops = np.flatnonzero(text == _NEWLINE)
    starts = np.concatenate([[0], stops[:-1] + 1])
    numbers = np.flatnonzero(stops > starts)
    if len(numbers) < len(stops):
        starts, stops = starts[numbers], stops[numbers]
    if not len(starts) or not (_BEGINS[text[starts]].all() and _VISIBLE[text[stops - 1]].all()):
        return None
    # Bytes wrap: what comes before the digits is beyond them, too.
    beyond = (text - np.uint8(_ZERO)) > 9
    if form.joins_labels and form.separator != ",":
        beyond &= text != _COMMA
    label_starts = _after_last(np.flatnonzero(beyond), stops, starts)
    path_stops = label_starts - len(form.separator.encode())
    has_label = (path_stops > starts) & (label_starts < stops)
    for i, byte in enumerate(form.separator.encode()):
        has_label &= text.take(path_stops + i, mode="clip") == byte
    labels: LabelColumn | None = NoLabels(len(starts))
    if form.num_classes is not None:
        labels = _labels(text, label_starts, stops, form) if has_label.all() else None
    elif _may_be_label(text, label_starts, stops, has_label).any():
        labels = None
    path_stops = np.where(has_label, path_stops, stops)
    if labels is None or not _VISIBLE[text[path_stops - 1]].all():
        return None
    places = Places.of_lines(block.path, (numbers + block.first).astype(np.int32))
    paths = _paths(block.content, text, starts, path_stops, form.prefix)
    return None if paths is None else Records(paths, labels, places)


def _after_last(found: _Positions, stops: _Positions, starts: _Positions) -> _Positions:
    """One more than the last of some ascending positions before each stop, or the start where there is none."""
    last = np.searchsorted(found, stops) - 1
    after = np.where(last >= 0, found[np.maximum(last, 0)] + 1, 0) if len(found) else np.zeros_like(stops)
    return np.maximum(after, starts)


def _may_be_label(
    text: NDArray[np.uint8], label_starts: _Positions, stops: _Positions, has_label: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Whether a closer look may find a label after the last separator, or none where one seems to be."""
    beyond_ascii = text[np.maximum(label_starts - 1, 0)] >= 0x80
    return np.where(has_label, text[stops - 1] == _COMMA, (label_starts < stops) & beyond_ascii)


def _labels(text: NDArray[np.uint8], starts: _Positions, stops: _Positions, form: LineForm) -> LabelColumn | None:
    """The labels between some positions; None where one needs a closer look."""
    counts = np.ones(len(starts), np.int64)
    if form.multi_label:
        commas = np.flatnonzero(text == _COMMA)
        lines = np.searchsorted(stops, commas)
        inside = commas >= starts[lines]
        commas, lines = commas[inside], lines[inside]
        counts += np.bincount(lines, minlength=len(starts))
        starts, stops = np.sort(np.concatenate([starts, commas + 1])), np.sort(np.concatenate([stops, commas]))
    digits = stops - starts
    if digits.min() < 1 or digits.max() > _DIGITS:
        return None
    ids = np.zeros(len(starts), np.int64)
    for i in range(digits.max()):
        values = text[np.maximum(stops - 1 - i, 0)].astype(np.int64) - _ZERO
        ids += np.where(digits > i, values * 10**i, 0)
    if form.num_classes is None or ids.max() >= form.num_classes:
        return None
    return ManyIds(narrow(ids), offsets_of(counts)) if form.multi_label else OneId(narrow(ids))


def _paths(content: bytes, text: NDArray[np.uint8], starts: _Positions, stops: _Positions, prefix: str) -> Paths | None:
    """The paths between some positions; None where only some lie in a tar file."""
    archives: Interned | Same[str] = Same("", len(starts))
    if TAR.encode() in content:
        marks = np.array([match.end() - 2 for match in re.finditer(re.escape(TAR.encode()), content)])
        folders = _after_last(marks, stops, starts)
        if (folders == starts).any():
            return None
        archives, starts, prefix = _interned(content, starts, folders, prefix), folders, ""
    names = _after_last(np.flatnonzero(text == _SLASH), stops, starts)
    steps = np.zeros(len(text) + 1, np.int8)
    steps[names] += 1
    steps[stops] -= 1
    kept = np.cumsum(steps[:-1], dtype=np.int8).view(bool)
    return Paths(archives, _interned(content, starts, names, prefix), Texts.of_content(text[kept], stops - names))


def _interned(content: bytes, starts: _Positions, stops: _Positions, prefix: str) -> Interned:
    """The texts between some positions, in a folder."""
    known: dict[bytes, int] = {}
    ids = [known.setdefault(content[a:b], len(known)) for a, b in zip(starts.tolist(), stops.tolist())]
    return Interned(Texts.of(_joined(prefix, folder) for folder in known), narrow(np.array(ids)))


@functools.lru_cache(2**16)
def _joined(prefix: str, folder: bytes) -> str:
    return join(prefix, folder.decode())
