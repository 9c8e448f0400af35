"""What a key takes: each range reads what was given, refuses what does not fit and says what it expects.

Nothing in a range may end in a traceback later: bounds are chosen so that the code behind a key can work with every
value between them, and an upper bound that surprises has its reason.
"""

import math
import numbers
import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..utils.registry import Registry
from .reading import read_scalar, read_word, Scalar

# Bounds of numbers that have none of their own.
LARGEST_COUNT = 2**31 - 1
LARGEST_NUMBER = 1e9
_LONGEST_TEXT = 4096

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*(_[0-9]+)*|0x[0-9a-fA-F]+)")
_DECIMAL = re.compile(r"[-+]?([0-9]+(_[0-9]+)*(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.?(inf|infinity|nan)", re.IGNORECASE)


class UnfitError(ValueError):
    """A value that is outside of a range.

    Args:
        problem: What is wrong with it.
        remedy: What to do; "" where the range's example is the remedy.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def shown(value: Any, longest: int = 100) -> str:
    """A value in a message: one line of bounded length."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # A whole number of more digits than Python writes, a list in itself.
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= longest else f"{text[: longest - 4]} ..."


class Range:
    """What a key takes."""

    @property
    def what(self) -> str:
        """What it expects, to stand after "it has to be"."""
        raise NotImplementedError

    def read(self, given: Any) -> Any:
        """The value that was given, in the type of this range.

        Args:
            given: A `Scalar`, a list, or a value of Python; a str of Python is a word of the command line.

        Raises:
            UnfitError: It is outside of this range.
        """
        raise NotImplementedError

    def _unfit(self) -> UnfitError:
        return UnfitError(f"it has to be {self.what}")


@dataclass(frozen=True)
class Flag(Range):
    """True or False.

    Attributes:
        refused: Why True is not available; "" where it is.
    """

    refused: str = ""

    @property
    def what(self) -> str:
        """See `Range.what`."""
        return "True or False"

    def read(self, given: Any) -> bool:
        """See `Range.read`."""
        value = given
        if isinstance(given, (str, Scalar)):
            word = str(_word(given).text).lower()
            value = True if word in _TRUE else False if word in _FALSE else given
        if not isinstance(value, bool):
            raise self._unfit()
        if value and self.refused:
            raise UnfitError(self.refused, "set it to False")
        return value


@dataclass(frozen=True)
class Number(Range):
    """A finite number between bounds.

    Attributes:
        low: Smallest value.
        high: Largest value.
        above: `low` itself does not belong to the range.
        below: `high` itself does not belong to the range.
        whole: It is an int.
        odd: Even ones do not belong to the range.
        reason: Why the bounds are so.
    """

    low: float = -LARGEST_NUMBER
    high: float = LARGEST_NUMBER
    above: bool = False
    below: bool = False
    whole: bool = False
    odd: bool = False
    reason: str = ""

    @property
    def what(self) -> str:
        """See `Range.what`."""
        unbounded = (self.low <= -LARGEST_NUMBER, self.high >= LARGEST_NUMBER)
        kind = "number" if not self.whole else "odd whole number" if self.odd else "whole number"
        if all(unbounded):
            return f"a finite {kind}"
        low = f"{'above' if self.above else 'at least'} {self.low:.10g}"
        high = f"{'below' if self.below else 'at most'} {self.high:.10g}"
        if any(unbounded) or self.above or self.below:
            bounds = ", ".join([*([] if unbounded[0] else [low]), *([] if unbounded[1] else [high])])
        else:
            bounds = f"in {self.low:.10g}..{self.high:.10g}"
        reason = f" ({self.reason})" if self.reason else ""
        return f"{'an' if kind[0] == 'o' else 'a'} {kind} {bounds}{reason}"

    def read(self, given: Any) -> float:
        """See `Range.read`."""
        value = _number(given)
        if value is None or not self._has(value):
            raise self._unfit()
        return int(value) if self.whole else float(value)

    def _has(self, value: float) -> bool:
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if self.whole and value != int(value):
            return False
        if value < self.low or value > self.high or (self.above and value == self.low):
            return False
        return not (self.below and value == self.high) and not (self.odd and value % 2 == 0)


@dataclass(frozen=True)
class Text(Range):
    """A text, kept as it was given.

    Attributes:
        empty: It may be empty.
        path: It is the name of a file or folder: ~ stands for the home folder.
        pattern: Regular expression of the whole text; "" for any.
        form: How such a text looks.
        fields: It may have names of fields in braces, such as {video}.
    """

    empty: bool = True
    path: bool = False
    pattern: str = ""
    form: str = ""
    fields: bool = False

    @property
    def what(self) -> str:
        """See `Range.what`."""
        kind = self.form or ("a path" if self.path else "a text")
        return kind if self.empty else f"{kind}, not empty"

    def read(self, given: Any) -> str:
        """See `Range.read`."""
        if isinstance(given, os.PathLike) and self.path:
            given = os.fspath(given)
        if isinstance(given, bool) or (isinstance(given, (int, float)) and abs(given) < LARGEST_COUNT):
            given = Scalar(str(given))
        elif given is None:
            given = Scalar("", null=True)
        if not isinstance(given, (str, Scalar)):
            raise self._unfit()
        word = _word(given)
        value = "" if word.null else word.text
        self._check(value)
        return os.path.expanduser(value) if self.path else value

    def _check(self, value: str) -> None:
        if (not value and not self.empty) or (value and self.pattern and not re.fullmatch(self.pattern, value)):
            raise self._unfit()
        if len(value) > _LONGEST_TEXT:
            raise UnfitError(f"it has {len(value)} characters; {_LONGEST_TEXT} are the most", "shorten it")
        if any(character in value for character in "\0\n\r"):
            raise UnfitError("it has a line break or a null character in it", "write it in one line")
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise UnfitError("it has bytes that are no UTF-8", "rename the file or folder") from None
        if self.fields:
            _check_fields(value)


@dataclass(frozen=True)
class Choice(Range):
    """One of a few words or whole numbers.

    Attributes:
        options: All of one type.
    """

    options: tuple[str | int, ...]

    @property
    def what(self) -> str:
        """See `Range.what`."""
        return f"one of {', '.join(map(str, self.options))}"

    def read(self, given: Any) -> str | int:
        """See `Range.read`."""
        if isinstance(self.options[0], int):
            number = _number(given)
            found: list[str | int] = [option for option in self.options if option == number]
        else:
            text = _word(given).text if isinstance(given, (str, Scalar)) else None
            found = [option for option in self.options if option == text]
        if not found:
            raise self._unfit()
        return found[0]


@dataclass(frozen=True)
class Entry(Range):
    """A name of a registry; those of plugins count.

    Attributes:
        registry: The registry.
        empty: It may be empty.
        any_case: Small and capital letters are the same.
        also: Further names that are accepted.
        elsewhere: {name of another project: (what it is, what to do)}, for names that are known and cannot be used.
    """

    registry: Registry[Any]
    empty: bool = False
    any_case: bool = False
    also: tuple[str, ...] = ()
    elsewhere: Mapping[str, tuple[str, str]] | None = None

    @property
    def what(self) -> str:
        """See `Range.what`."""
        return f"the name of a {self.registry.kind}"

    def read(self, given: Any) -> str:
        """See `Range.read`."""
        if not isinstance(given, (str, Scalar)):
            raise self._unfit()
        name = _word(given).text
        asked = name.lower() if self.any_case else name
        if asked in self.registry or asked in self.also or (not name and self.empty):
            return name
        if self.elsewhere and asked in self.elsewhere:
            raise UnfitError(*self.elsewhere[asked])
        raise UnfitError(*self.registry.unknown(name))


@dataclass(frozen=True)
class ListOf(Range):
    """A list.

    Attributes:
        item: What each value of it is.
        shortest: Smallest number of values.
        longest: Largest number of values.
        distinct: No value may stand in it twice.
    """

    item: Range
    shortest: int = 0
    longest: int = 1000
    distinct: bool = False

    @property
    def what(self) -> str:
        """See `Range.what`."""
        if self.shortest == self.longest:
            count = f"{self.shortest} values"
        elif self.longest < 1000:
            count = f"{self.shortest} to {self.longest} values"
        else:
            count = f"{self.shortest} or more values" if self.shortest else "values"
        return f"a list of {count}, each {self.item.what}"

    def read(self, given: Any) -> list[Any]:
        """See `Range.read`."""
        if isinstance(given, (str, Scalar)):
            given = _list(given)
        if not isinstance(given, (list, tuple)) or not self.shortest <= len(given) <= self.longest:
            raise self._unfit()
        values = []
        for number, value in enumerate(given, 1):
            try:
                values.append(self.item.read(value))
            except UnfitError as error:
                raise UnfitError(f"value {number} in it, {shown(value)}: {error.problem}", error.remedy) from None
        if self.distinct:
            twice = [value for number, value in enumerate(values) if value in values[:number]]
            if twice:
                raise UnfitError(f"{shown(twice[0])} stands in it twice", "remove one")
        return values


@dataclass(frozen=True)
class AnyList(Range):
    """A list of anything, for the keys of a plugin that says no more about them."""

    @property
    def what(self) -> str:
        """See `Range.what`."""
        return "a list"

    def read(self, given: Any) -> list[Any]:
        """See `Range.read`."""
        if isinstance(given, (str, Scalar)):
            given = _list(given)
        if not isinstance(given, (list, tuple)):
            raise self._unfit()
        return [self.read(value) if isinstance(value, (list, tuple)) else _typed(value) for value in given]


def flag(refused: str = "") -> Flag:
    """True or False; see `Flag`."""
    return Flag(refused)


def number(low: float = -LARGEST_NUMBER, high: float = LARGEST_NUMBER, **more: Any) -> Number:
    """A number in low..high; see `Number`."""
    return Number(low, high, **more)


def share(**more: Any) -> Number:
    """A number in 0..1; see `Number`."""
    return Number(0, 1, **more)


def positive(high: float = LARGEST_NUMBER, **more: Any) -> Number:
    """A number above 0; see `Number`."""
    return Number(0, high, above=True, **more)


def whole(low: int = 1, high: int = LARGEST_COUNT, **more: Any) -> Number:
    """A whole number in low..high; see `Number`."""
    return Number(low, high, whole=True, **more)


def text(empty: bool = True, **more: Any) -> Text:
    """A text; see `Text`."""
    return Text(empty, **more)


def path(empty: bool = True) -> Text:
    """The name of a file or folder; see `Text`."""
    return Text(empty, path=True)


def choice(*options: str | int) -> Choice:
    """One of a few values; see `Choice`."""
    return Choice(options)


def entry(registry: Registry[Any], **more: Any) -> Entry:
    """A name of a registry; see `Entry`."""
    return Entry(registry, **more)


def list_of(item: Range, shortest: int = 0, longest: int = 1000, **more: Any) -> ListOf:
    """A list; see `ListOf`."""
    return ListOf(item, shortest, longest, **more)


def per_stage(item: Range, stages: int = 4, pathways: int = 3) -> ListOf:
    """A list of the residual stages, each a list of the pathways; one value stands for all pathways."""
    return ListOf(ListOf(item, 1, pathways), stages, stages)


def range_of(default: Any) -> Range:
    """The widest range of a default's type."""
    if isinstance(default, bool):
        return Flag()
    if isinstance(default, int):
        return Number(-LARGEST_COUNT, LARGEST_COUNT, whole=True)
    if isinstance(default, float):
        return Number()
    return AnyList() if isinstance(default, (list, tuple)) else Text()


def _word(given: str | Scalar) -> Scalar:
    """A word as a scalar; a str is a word of the command line, whose quotes are no part of it."""
    return given if isinstance(given, Scalar) else read_scalar(given)


def _list(given: str | Scalar) -> Any:
    """What a word means where a list is expected."""
    word = given.text if isinstance(given, Scalar) else given
    try:
        return read_word(word)
    except ValueError as error:
        raise UnfitError(f"it is no list ({error})") from None


def _number(given: Any) -> float | None:
    """A number, perhaps not finite; None for anything else."""
    if isinstance(given, (str, Scalar)):
        word = _word(given).text.strip()
        if _INTEGER.fullmatch(word) and len(word) < 300:
            return int(word.replace("_", ""), 16 if "x" in word else 10)
        if _DECIMAL.fullmatch(word) and not re.match(r"[-+]?0[0-9]", word):
            return float(word.replace("_", ""))
        return math.nan if _NOT_FINITE.fullmatch(word) else None
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        return None
    return given if isinstance(given, int) else float(given)


def _typed(given: Any) -> Any:
    """A value without a declared type, as YAML takes it: a number, a boolean or a text."""
    if not isinstance(given, (str, Scalar)):
        return given
    found = _number(given)
    if found is not None and math.isfinite(found):
        return found
    word = _word(given).text
    return word.lower() in _TRUE if word.lower() in _TRUE + _FALSE else word


def _check_fields(value: str) -> None:
    """Names in braces, with a width at most: {video}, {start:06d}."""
    try:
        parts = [part for part in string.Formatter().parse(value) if part[1] is not None]
    except ValueError as error:
        raise UnfitError(f"its braces do not fit ({error})", "write a field as {video}") from None
    for _, name, width, conversion in parts:
        if not (name or "").isidentifier() or conversion or not re.fullmatch(r"0?[0-9]{0,2}[ds]?", width or ""):
            raise UnfitError(f"'{{{name}}}' in it is no name of a field", "write a field as {video} or {start:06d}")
