"""Name -> class tables, from which configuration builds things."""

import difflib

from .errors import UserError


class UnknownName(UserError, ValueError):
    """A name that no entry has; the message lists those there are."""


class Registry:
    """A named table of classes or functions.

    Use as `@PATHWAYS.register("audio")`; look up with `PATHWAYS["audio"]`.
    """

    def __init__(self, name):
        self.name = name
        self._entries = {}

    def register(self, key):
        """Decorator that stores a class under `key`; a second one under the same key is a ValueError."""

        def add(entry):
            if key in self._entries:
                raise ValueError(f"{self.name} already has an entry '{key}' ({self._entries[key]!r}); choose another name")
            self._entries[key] = entry
            return entry

        return add

    def __getitem__(self, key):
        if key not in self._entries:
            near = difflib.get_close_matches(str(key), self._entries, n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ";"
            raise UnknownName(f"{self.name} has no entry '{key}'{hint} known: {', '.join(sorted(self._entries))}")
        return self._entries[key]

    def __contains__(self, key):
        return key in self._entries

    def __iter__(self):
        return iter(self._entries)
