"""Tables from a name to a class or function, from which a configuration chooses; open to plugins."""

import difflib
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from .errors import UserError

T = TypeVar("T")


class UnknownNameError(UserError, ValueError):
    """A name that is not in a registry; the message lists those that are."""


class Registry(Generic[T]):
    """A table of named classes or functions.

    Use as `@PATHWAYS.register("audio")`; look up with `PATHWAYS["audio"]`. An entry that comes with the package is
    written as "module:attribute" and imported at its first use, so that a name can be checked without importing torch.

    Args:
        kind: What the entries are, for messages, e.g. "lateral connection".
        builtin: {name: "module:attribute"} of the entries that come with the package, or {name: entry}.
        facts: {name: what has to be known of an entry before it is imported}.
        default_facts: The facts of an entry that is registered without any.
    """

    def __init__(
        self,
        kind: str,
        builtin: Mapping[str, str | T] | None = None,
        facts: Mapping[str, Any] | None = None,
        default_facts: Any = None,
    ) -> None:
        self.kind = kind
        self._entries: dict[str, Any] = dict(builtin or {})
        self._facts: dict[str, Any] = dict(facts or {})
        self._default_facts = default_facts

    def register(self, name: str, facts: Any = None) -> Callable[[T], T]:
        """A decorator that stores a class or function under a name.

        A module that is imported again (in a notebook, or after a failed import) replaces its entries.

        Args:
            name: The new name.
            facts: What has to be known of it before it is imported; None takes the registry's default.

        Raises:
            ValueError: The name is taken.
        """

        def add(entry: T) -> T:
            if name in self._entries and not _is_same_definition(self._entries[name], entry):
                raise ValueError(f"{self.kind} '{name}' exists already ({self._entries[name]!r}); choose another name")
            self._entries[name] = entry
            if facts is not None:
                self._facts[name] = facts
            return entry

        return add

    def facts(self, name: str) -> Any:
        """What is known of an entry without importing it; the registry's default for a name that is not in it."""
        return self._facts.get(name, self._default_facts)

    def check(self, name: str, key: str = "") -> str:
        """Check that a name is in the registry, without importing its entry.

        Args:
            name: The name to look up.
            key: Configuration key that has it as its value, for the message.

        Returns:
            The name.

        Raises:
            UnknownNameError: The name is unknown; the message lists the known ones.
        """
        if name not in self._entries:
            problem, remedy = self.unknown(name)
            what = f"{key} is {name!r}: {problem}" if key else f"{problem} '{name}'"
            raise UnknownNameError(f"{what}; {remedy}")
        return name

    def unknown(self, name: str) -> tuple[str, str]:
        """What to say of a name that is not in the registry.

        Args:
            name: The name.

        Returns:
            (problem, remedy); the remedy proposes a similar name and lists the known ones.
        """
        near = difflib.get_close_matches(str(name), self._entries, n=1, cutoff=0.75)
        hint = f"did you mean '{near[0]}'? " if near else ""
        known = ", ".join(sorted(self._entries))
        return f"unknown {self.kind}", f"{hint}use one of {known}, or name the plugin that registers it in PLUGINS"

    def __getitem__(self, name: str) -> T:
        entry = self._entries[self.check(name)]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self._entries[name] = getattr(importlib.import_module(module), attribute)
        found: T = entry
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Registry({self.kind}: {', '.join(self._entries)})"


def _is_same_definition(old: Any, new: Any) -> bool:
    """Whether two classes or functions come from the same place of the same module."""
    places = [(getattr(entry, "__module__", None), getattr(entry, "__qualname__", None)) for entry in (old, new)]
    return None not in places[0] and places[0] == places[1]
