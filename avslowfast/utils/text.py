"""Text files that people write and read: one encoding, with or without a byte order mark; CSV without formulas."""

import csv
import io
import json
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO

from .errors import UserError
from .files import replacing
from .remote import is_remote, read, RemoteError

# How a cell begins that a spreadsheet computes.
_FORMULA = ("=", "+", "-", "@", "\t", "\n")


class TextError(UserError, ValueError):
    """A file that cannot be read as text; the message names the file, the reason and the remedy."""


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Args:
        path: A path, or an address that fsspec opens.

    Raises:
        TextError: The file is missing, is no regular file, is in another encoding or holds no text.
    """
    with open_text(path) as f:
        return f.read()


def open_text(path: str | os.PathLike[str]) -> TextIO:
    """As `read_text`, as a file whose lines can be read one after the other, such as `csv.reader` takes.

    Line ends are kept as they are, as `csv` asks for.

    Args:
        path: A path, or an address that fsspec opens.

    Raises:
        TextError: As `read_text`.
    """
    # Decoded line by line: a string of two million lines would take four times the file's size.
    return io.TextIOWrapper(io.BytesIO(read_bytes(path)), encoding="utf-8-sig", newline="")


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """As `read_text`, without decoding: bytes that are text in UTF-8, with the byte order mark where there is one.

    Args:
        path: A path, or an address that fsspec opens.

    Raises:
        TextError: As `read_text`.
    """
    return b"".join(read_blocks(path, -1))


def read_blocks(path: str | os.PathLike[str], size: int) -> Iterator[bytes]:
    """As `read_bytes`, some whole lines at a time; of a file of this machine no more is in memory.

    Args:
        path: A path, or an address that fsspec opens.
        size: Bytes that a block has at least, unless it is the last one; -1 for all of them in one.

    Raises:
        TextError: As `read_text`.
    """
    path, first = os.fspath(path), 1
    try:
        if not is_remote(path):
            check_regular(path)
        with io.BytesIO(read(path)) if is_remote(path) else open(path, "rb") as f:
            while block := f.read(size) + f.readline():
                _check(block, path, first)
                yield block
                first += block.count(b"\n")
    except RemoteError:
        raise
    except FileNotFoundError:
        raise TextError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise TextError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and its permissions"
        ) from None


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse to read a pipe or a device, which may never end, and a folder; a file that is missing is not refused here.

    Args:
        path: A path of this machine.

    Raises:
        TextError: It is no regular file.
        OSError: The system cannot say.
    """
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        kind = "a folder" if os.path.isdir(path) else "no regular file"
        raise TextError(f"{os.fspath(path)}: it is {kind}; give a text file")


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file.

    Args:
        path: As for `read_text`.

    Raises:
        TextError: As `read_text`; or it is no JSON, or half of it.
    """
    return parse_json(read_text(path), path)


def parse_json(text: str | bytes, path: str | os.PathLike[str]) -> Any:
    """What JSON says.

    Args:
        text: The JSON; bytes are UTF-8.
        path: Its file, for the message.

    Raises:
        TextError: It is no JSON, or half of it, or an object has a key twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        reason = "brackets in brackets" if isinstance(error, RecursionError) else str(error)
        raise TextError(f"{os.fspath(path)}: no JSON, or a torn file ({reason}); give a whole one") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of which Python alone would keep the last of equal keys."""
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in content if keys.count(key) > 1)!r} is there twice")
    return content


def on_one_line(path: str) -> str:
    """A path for people: control characters, a line break among them, stand as escapes.

    Args:
        path: Any path.
    """
    return "".join(repr(c)[1:-1] if unicodedata.category(c) == "Cc" else c for c in path)


def counted(count: int, word: str, plural: str = "") -> str:
    """A number with its word, in the plural where it has to be: 1 file, 2 files.

    Args:
        count: The number.
        word: In the singular; several words where others follow the number too, as in "class has".
        plural: Where an s does not make it.
    """
    return f"{count} {word if count == 1 else plural or f'{word}s'}"


def listed(items: Sequence[object], limit: int = 6) -> str:
    """Items with commas, of many the first ones and how many more there are.

    Args:
        items: What is listed.
        limit: Items that are named, at most.
    """
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(map(str, items[:limit])) + more


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows of a table as lines whose columns are as wide as their longest cell.

    Args:
        rows: Cells, the same number in each.
    """
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def write_lines(path: str | os.PathLike[str], lines: Iterable[str]) -> None:
    """Write a text file, whole or not at all.

    Args:
        path: The file.
        lines: Without line ends.
    """
    with replacing(path) as part, open(part, "w", encoding="utf-8") as f:
        f.writelines(f"{line}\n" for line in lines)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file, whole or not at all; what is no Unicode, such as a file's name, stands as escapes.

    Args:
        path: The file.
        text: Its content.
    """
    with replacing(path) as part, open(part, "w", encoding="utf-8", errors="backslashreplace") as f:
        f.write(text)


def write_csv(path: str | os.PathLike[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file for people, whole or not at all.

    Names of files and classes may begin as a formula does, which a spreadsheet would compute; such cells begin with '.

    Args:
        path: The file.
        rows: Cells; strings are text, unless they are numbers.
    """
    with replacing(path) as part, open(part, "w", newline="", encoding="utf-8", errors="backslashreplace") as f:
        csv.writer(f, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    # A carriage return would end the row for most readers.
    text = value.replace("\r", "\\r")
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check(block: bytes, path: str, first: int) -> None:
    """Check that a block of lines, of which the first one has this number, is text."""
    if first == 1 and block[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise TextError(f"{path}: the encoding is UTF-16, not UTF-8; save it as UTF-8")
    try:
        # ASCII needs no decoding, which would take as much memory again.
        if not block.isascii():
            block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first + block.count(b"\n", 0, error.start)
        raise TextError(
            f"{path}, line {line}: the encoding is not UTF-8 (byte 0x{block[error.start]:02x}), or it "
            "is no text file; save it as UTF-8"
        ) from None
    if b"\0" in block:
        line = first + block.count(b"\n", 0, block.index(b"\0"))
        raise TextError(f"{path}, line {line}: it has a null character, so it is no text file; give a text file")
