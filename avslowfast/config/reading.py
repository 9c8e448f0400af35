"""YAML texts and words of the command line into values that have no type yet.

A value is a `Scalar`, or a list of values. YAML is read event by event: what no configuration needs (tags, aliases of
mappings, lists in lists in lists ...) is refused where it stands, before it can grow or recurse.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from .errors import ConfigError

# Far more than any configuration needs.
_DEEPEST = 12
_LARGEST = 10_000
LONGEST_YAML = 1_000_000
_PLAIN_TAGS = tuple(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map"))
_NULLS = ("", "~", "null", "Null", "NULL")
_LOOKS_TYPED = re.compile(r"[-+]?(\d[\d_]*)?\.?\d+([eE][-+]?\d+)?|true|false|yes|no|on|off", re.IGNORECASE)


@dataclass(frozen=True)
class Scalar:
    """A word, as it was written.

    Attributes:
        text: The word without its quotes.
        null: Whether YAML takes it for nothing (a key without a value, ~, null).
    """

    text: str
    null: bool = False

    def __repr__(self) -> str:
        typed = self.text[:1] == "[" and self.text.isprintable() or _LOOKS_TYPED.fullmatch(self.text)
        return self.text if typed else repr(self.text)


@dataclass
class _List:
    """A list that is being read, or that an anchor names."""

    values: list[Any] = field(default_factory=list)
    size: int = 1
    closed: bool = False


# {dotted key: (value, line)} of one YAML text.
Flat = dict[str, tuple[Any, int]]


def read_yaml(text: str, source: str) -> Flat:
    """{dotted key: (value, line)} of a YAML text.

    Args:
        text: The YAML.
        source: Name of the text in errors.

    Raises:
        ConfigError: It is no mapping of keys to values; the message names the source and the line.
    """
    if len(text) > LONGEST_YAML:
        raise ConfigError(f"{source}: it has {len(text)} characters, which no configuration has; give another file")
    return _Reader(text, source).flat()


def read_word(text: str) -> Any:
    """What a word of the command line means to YAML: a `Scalar`, or a list of values.

    A list may also be written with commas alone (1,2) or as a tuple.

    Args:
        text: The word.

    Raises:
        ConfigError: It is a list with a mistake.
    """
    stripped = text.strip()
    if stripped[:1] == "(" and stripped[-1:] == ")":
        stripped = f"[{stripped[1:-1]}]"
    elif stripped[:1] not in ("[", '"', "'") and "," in stripped:
        stripped = f"[{stripped}]"
    return _Reader(stripped, "the list").value() if stripped[:1] == "[" else read_scalar(text)


def read_scalar(text: str) -> Scalar:
    r"""A word of the command line without the quotes around all of it; "\t" is a tab."""
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        # What only looks like a quoted word ("a" and "b") stays as it is.
        with contextlib.suppress(ConfigError):
            value = _Reader(text, "the word").value()
            return value if isinstance(value, Scalar) else Scalar(text)
    return Scalar(text)


class _Reader:
    """Reads the events of one YAML text.

    Args:
        text: The YAML.
        source: Name of the text in errors.
    """

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._events = self._checked(text)
        self._anchors: dict[str, Scalar | _List | None] = {}
        self._count = 0

    def flat(self) -> Flat:
        """See `read_yaml`."""
        flat: Flat = {}
        root = self._first()
        if root is None or (isinstance(root, ScalarEvent) and self._scalar(root).null):
            return flat
        if not isinstance(root, MappingStartEvent):
            raise self._error(root, "it is no configuration; a configuration is a mapping of keys to values")
        self._mapping(root, "", flat, 0)
        self._finish()
        return flat

    def value(self) -> Any:
        """See `read_word`."""
        first = self._first()
        if first is None:
            return Scalar("", null=True)
        value = self._value(first, 0)
        self._finish()
        return value.values if isinstance(value, _List) else value

    def _checked(self, text: str) -> Iterator[Event]:
        """The events; a mistake in the YAML is one line."""
        try:
            yield from yaml.parse(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
            problem = ", ".join(part for part in (error.context, error.problem) if part)
            raise ConfigError(f"{self._source}{line}: not valid YAML: {problem}; correct it") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"{self._source}: not valid YAML: {' '.join(str(error).split())}") from None
        except (ValueError, OverflowError) as error:
            # PyYAML's scanner turns escapes such as "\UFFFFFFFF" into characters that do not exist.
            raise ConfigError(f"{self._source}: not valid YAML: {error}") from None

    def _first(self) -> Event | None:
        """The event after the beginning of the document; None for an empty text."""
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                return next(self._events)
        return None

    def _finish(self) -> None:
        for event in self._events:
            if isinstance(event, DocumentStartEvent):
                raise self._error(event, "a second document; a configuration is one document")

    def _error(self, event: Event, problem: str) -> ConfigError:
        return ConfigError(f"{self._source}, line {event.start_mark.line + 1}: {problem}")

    def _mapping(self, start: MappingStartEvent, prefix: str, flat: Flat, depth: int) -> None:
        self._open(start, depth)
        if start.anchor:
            # Named, so that an alias of it says what it is.
            self._anchors[start.anchor] = None
        for event in self._events:
            if isinstance(event, MappingEndEvent):
                return
            if not isinstance(event, ScalarEvent):
                raise self._error(event, "a key is a name, such as TRAIN")
            key, line = prefix + self._scalar(event).text, event.start_mark.line + 1
            value = next(self._events)
            read: Any
            if isinstance(value, MappingStartEvent):
                before = len(flat)
                self._mapping(value, key + ".", flat, depth + 1)
                if len(flat) > before:
                    continue
                # A group without keys; where a value is expected it is none.
                read = {}
            else:
                read = self._value(value, depth + 1)
            if key in flat:
                raise self._error(event, f"{key} is given twice; the first is on line {flat[key][1]}; remove one")
            flat[key] = (read.values if isinstance(read, _List) else read, line)

    def _value(self, event: Event, depth: int) -> "Scalar | _List":
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if not isinstance(event, SequenceStartEvent):
            raise self._error(event, "a mapping inside a list; a list holds numbers, words or lists")
        self._open(event, depth)
        found = _List()
        if event.anchor:
            self._anchors[event.anchor] = found
        for inner in self._events:
            if isinstance(inner, SequenceEndEvent):
                break
            item = self._value(inner, depth + 1)
            found.size += item.size if isinstance(item, _List) else 1
            if found.size > _LARGEST:
                raise self._error(inner, f"a list of more than {_LARGEST} values; no key takes so many")
            found.values.append(item.values if isinstance(item, _List) else item)
        found.closed = True
        return found

    def _open(self, event: MappingStartEvent | SequenceStartEvent, depth: int) -> None:
        self._check_tag(event, event.tag)
        if depth > _DEEPEST:
            raise self._error(event, f"more than {_DEEPEST} lists or groups inside each other; no key takes that")

    def _scalar(self, event: ScalarEvent) -> Scalar:
        self._check_tag(event, event.tag)
        self._count += 1
        if self._count > _LARGEST:
            raise self._error(event, f"more than {_LARGEST} values; no configuration has so many")
        plain = event.implicit[0] and event.style is None
        scalar = Scalar(event.value, null=plain and event.value in _NULLS)
        if event.anchor:
            self._anchors[event.anchor] = scalar
        return scalar

    def _alias(self, event: AliasEvent) -> "Scalar | _List":
        if event.anchor not in self._anchors:
            raise self._error(event, f"*{event.anchor} names nothing; &{event.anchor} has to stand before it")
        named = self._anchors[event.anchor]
        if named is None:
            raise self._error(event, f"*{event.anchor} repeats a group of keys; write the keys instead")
        if isinstance(named, _List) and not named.closed:
            raise self._error(event, f"*{event.anchor} puts a list into itself; write the values instead")
        return named

    def _check_tag(self, event: Event, tag: str | None) -> None:
        if tag is not None and tag != "!" and tag not in _PLAIN_TAGS:
            raise self._error(event, f"the tag {tag} is not read from a configuration; remove it")
