"""Tables from a name to an object, from which a configuration builds things; open to a user's own modules."""

import difflib
import importlib
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from .errors import UserError

T = TypeVar("T")


class UnknownNameError(UserError, ValueError):
    """A name that a registry does not hold; the message lists those it holds."""


class Registry(Generic[T]):
    """A table of named classes or functions.

    Use as `@PATHWAYS.register("audio")`; look up with `PATHWAYS["audio"]`. An entry that comes with the package is written as
    "module:attribute" and imported at its first use, so that its name can be checked without importing what it needs.

    Args:
        kind: What the entries are, for messages, e.g. "lateral connection".
        builtin: {name: "module:attribute"} of the entries that come with the package.
        facts: {name: what is to be known of an entry before it is imported}.
        default_facts: Those of an entry that is registered without.
    """

    def __init__(
        self,
        kind: str,
        builtin: dict[str, str] | None = None,
        facts: dict[str, Any] | None = None,
        default_facts: Any = None,
    ) -> None:
        self.kind = kind
        self._entries: dict[str, Any] = dict(builtin or {})
        self._facts: dict[str, Any] = dict(facts or {})
        self._default_facts = default_facts

    def register(self, name: str, facts: Any = None) -> Callable[[T], T]:
        """A decorator that stores an object under a name.

        Args:
            name: The new name.
            facts: What is to be known of it without importing it; None takes the registry's default.

        Raises:
            ValueError: The name is taken.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                raise ValueError(
                    f"there is a {self.kind} '{name}' already ({self._entries[name]!r}); choose another name"
                )
            self._entries[name] = entry
            if facts is not None:
                self._facts[name] = facts
            return entry

        return add

    def facts(self, name: str) -> Any:
        """What is known of an entry without importing it."""
        return self._facts.get(name, self._default_facts)

    def check(self, name: str, key: str = "") -> str:
        """The name itself if it is known; nothing is imported.

        Args:
            name: The name to look up.
            key: Configuration key that holds it, for the message.

        Raises:
            UnknownNameError: It is not known; the message lists the names that are.
        """
        if name not in self._entries:
            near = difflib.get_close_matches(str(name), self._entries, n=1, cutoff=0.75)
            hint = f"did you mean '{near[0]}'? " if near else ""
            where = f"{key} is {name!r}: " if key else ""
            raise UnknownNameError(
                f"{where}unknown {self.kind} '{name}'; {hint}known: {', '.join(sorted(self._entries))}"
            )
        return name

    def __getitem__(self, name: str) -> T:
        entry = self._entries[self.check(name)]
        if isinstance(entry, str):
            module, _, attribute = entry.partition(":")
            entry = self._entries[name] = getattr(importlib.import_module(module), attribute)
        return entry

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Registry({self.kind}: {', '.join(self._entries)})"
