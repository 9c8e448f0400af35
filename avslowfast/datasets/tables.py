"""Reading label files: lines, CSV rows, numbers, each with the place that an error names.

Every text goes through `utils.text`, every number through `whole_number` or `number`: what Python alone would take
(`1_0`, `nan`, `1e400`, `٣`) is refused, with file and line.
"""

import codecs
import csv
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from ..config import ConfigError
from ..utils.text import open_text, read_blocks

# Characters of a value that messages show.
_SHOWN = 60
# Bytes of a block of lines: its arrays stay in a core's cache.
_BLOCK = 2**20

_N = TypeVar("_N", int, float)
PathLike = str | os.PathLike[str]


class Block(NamedTuple):
    """Whole lines of a text file.

    Attributes:
        path: The file.
        first: Number of the first line, from 1.
        content: The lines in UTF-8, each with a newline at its end.
    """

    path: str
    first: int
    content: bytes

    def lines(self) -> Iterator[tuple[str, str]]:
        """See `lines_of`."""
        place = f"{self.path}, line "
        for number, line in enumerate(self.content.decode().split("\n"), self.first):
            line = line.strip()
            if line:
                yield line, f"{place}{number}"


def blocks_of(path: PathLike) -> Iterator[Block]:
    """The lines of a text file, some thousands at a time.

    Args:
        path: The file.

    Raises:
        TextError: The file cannot be read as text.
    """
    first = 1
    for content in read_blocks(path, _BLOCK):
        if first == 1:
            content = content.removeprefix(codecs.BOM_UTF8)
        if b"\r" in content:
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # The last line of a file may have no newline.
        block = Block(os.fspath(path), first, content.removesuffix(b"\n") + b"\n")
        yield block
        first += block.content.count(b"\n")


def lines_of(path: PathLike) -> Iterator[tuple[str, str]]:
    """The lines of a text file that are not empty, stripped, each with "file, line N".

    Args:
        path: The file.

    Raises:
        TextError: The file cannot be read as text.
    """
    for block in blocks_of(path):
        yield from block.lines()


def split_rows(path: PathLike, delimiter: str = ",") -> Iterator[tuple[list[str], str]]:
    """The rows of a CSV file that are not empty, without regard to a header, each with "file, line N".

    Args:
        path: The file.
        delimiter: Between the fields.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: A quote that is never closed, or a field of more than 128 KiB; names file and line.
    """
    with open_text(path) as f:
        rows = csv.reader(f, delimiter=delimiter, strict=True)
        while True:
            # A row with line breaks between quotes is called by its first line.
            where = f"{path}, line {rows.line_num + 1}"
            try:
                row = next(rows, None)
            except csv.Error as error:
                raise ConfigError(f"{where}: no CSV ({error}); check the quotes in this line") from None
            if row is None:
                return
            if any(field.strip() for field in row):
                yield row, where


def csv_rows(path: PathLike, columns: Sequence[str]) -> Iterator[tuple[dict[str, str], str]]:
    """The rows of a CSV file with a header, their fields stripped, each with "file, line N".

    Args:
        path: The file.
        columns: Columns that it must have.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: The file is empty, a column is missing or there twice, or a row has another number of fields than
            the header; names file and line.
    """
    rows = split_rows(path)
    header, where = next(rows, (None, ""))
    if header is None:
        raise ConfigError(f"{path}: the file is empty; it should be the official file, unchanged")
    header = [name.strip() for name in header]
    for column in columns:
        if header.count(column) != 1:
            times = "no column" if column not in header else "more than one column"
            raise ConfigError(f"{where}: {times} '{column}'; it should be the official file, unchanged")
    for row, where in rows:
        if len(row) != len(header):
            raise ConfigError(
                f"{where}: {len(row)} fields, but the header has {len(header)}; "
                "it should be the official file, unchanged"
            )
        yield dict(zip(header, map(str.strip, row))), where


def field(row: Mapping[str, str], column: str, where: str) -> str:
    """A field of a row of `csv_rows` that must not be empty.

    Args:
        row: The row.
        column: Its column.
        where: File and line.

    Raises:
        ConfigError: It is empty, or the column is missing.
    """
    text = row.get(column, "").strip()
    if not text:
        raise ConfigError(f"{where}: the field '{column}' is empty; it should be the official file, unchanged")
    return text


def whole_number(text: str, where: str, what: str, lowest: int | None = 0, highest: int | None = None) -> int:
    """A whole number of a label file, in ASCII digits.

    Args:
        text: As it stands in the file; spaces around it do not count.
        where: File and line.
        what: What it is, for the message.
        lowest: Smallest value; None for none.
        highest: Largest value; None for none.

    Raises:
        ConfigError: It is no whole number, or out of range; names file and line.
    """
    value = _parsed(int, text, where, what, "a whole number")
    _check_range(value, text, where, what, lowest, highest)
    return value


def number(text: str, where: str, what: str, lowest: float | None = None, highest: float | None = None) -> float:
    """A finite number of a label file.

    Args:
        text: As it stands in the file; spaces around it do not count.
        where: File and line.
        what: What it is, for the message.
        lowest: Smallest value; None for none.
        highest: Largest value; None for none.

    Raises:
        ConfigError: It is no number, NaN, infinite or out of range; names file and line.
    """
    value = _parsed(float, text, where, what, "a number")
    if not math.isfinite(value):
        raise ConfigError(f"{where}: {what} is {shown(text)}, not a finite number; correct it")
    _check_range(value, text, where, what, lowest, highest)
    return value


def _parsed(kind: type[_N], text: str, where: str, what: str, name: str) -> _N:
    try:
        if "_" in text or not text.isascii():
            raise ValueError
        return kind(text)
    except ValueError:
        raise ConfigError(f"{where}: {what} is {shown(text)}, not {name}; correct it") from None


def _check_range(value: float, text: str, where: str, what: str, lowest: float | None, highest: float | None) -> None:
    if (lowest is not None and value < lowest) or (highest is not None and value > highest):
        raise ConfigError(f"{where}: {what} is {shown(text)}, {_range(lowest, highest)}; correct it")


def is_box(box: Sequence[float]) -> bool:
    """Whether numbers are a box (x1, y1, x2, y2) in shares of a frame's width and height.

    Args:
        box: Four numbers.
    """
    return 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1


def check_span(start: float, stop: float, where: str, may_be_empty: bool = False) -> tuple[float, float]:
    """Check that a span ends after it has begun.

    Args:
        start: Seconds.
        stop: Seconds.
        where: File and line.
        may_be_empty: The stop may be the start.

    Returns:
        (start, stop).

    Raises:
        ConfigError: The stop comes first; names file and line.
    """
    if stop < start or (stop == start and not may_be_empty):
        raise ConfigError(f"{where}: the stop {stop:g} s is not after the start {start:g} s; correct them")
    return start, stop


def check_class_id(class_id: int, num_classes: int, where: str, lowest: int = 0) -> None:
    """Check that a network has a class.

    Args:
        class_id: Id from a label file.
        num_classes: Classes of the network.
        where: File and line of the label.
        lowest: Smallest id; -1 where a segment may have no label.

    Raises:
        ConfigError: The id is outside the range.
    """
    if not lowest <= class_id < num_classes:
        raise ConfigError(
            f"{where}: the class {shown(class_id)} is outside 0..{num_classes - 1}; correct it or set MODEL.NUM_CLASSES"
        )


def check_distinct(names: Iterable[str], where: str, what: str) -> None:
    """Check that names that serve as keys differ.

    Args:
        names: The names, in order of their ids.
        where: The file that has them.
        what: What they are, such as "class".

    Raises:
        ConfigError: Two are equal, or one is empty; names the first.
    """
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if not name:
            raise ConfigError(f"{where}: the {what} {i} has no name; give it one")
        if name in first:
            raise ConfigError(
                f"{where}: the name {shown(name)} stands for the {what} {first[name]} and the {what} {i}; "
                "names serve as keys, so make them distinct"
            )
        first[name] = i


def hint(line: str, where: str) -> str:
    """What a line that is no record probably is, for the end of a message: a comment, a header, or "" for neither.

    Args:
        line: The line.
        where: File and line.
    """
    if line.startswith(("#", "//", ";")):
        return "; is it a comment? Remove the line"
    return "; is it a header? Remove the line" if where.endswith(", line 1") else ""


def shown(value: object) -> str:
    """A value for a message: as `repr` writes it, a long one with its beginning alone."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _range(lowest: float | None, highest: float | None) -> str:
    if lowest is not None and highest is not None:
        return f"outside {lowest}..{highest}"
    return f"below {lowest}" if lowest is not None else f"above {highest}"
