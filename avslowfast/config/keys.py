"""A configuration key: its default, what it takes and what it means, in one row."""

from dataclasses import dataclass
from typing import Any

from .errors import ConfigError
from .ranges import Range, shown, UnfitError
from .reading import Scalar


@dataclass(frozen=True)
class Key:
    """A row of the table of keys.

    Attributes:
        name: Dotted name, e.g. "MODEL.ARCH".
        default: Its value where nothing sets it.
        range: What it takes.
        comment: What it means, with its unit.
        inert: Nothing reads it: it is accepted because PySlowFast's or the authors' files set it.
    """

    name: str
    default: Any
    range: Range
    comment: str
    inert: bool = False

    def read(self, given: Any, where: str = "") -> Any:
        """The value that was given.

        Args:
            given: As `Range.read` takes it.
            where: Where it was given, for the message; "" says nothing of it.

        Raises:
            ConfigError: The key does not take it; the message names key, value, range and remedy.
        """
        try:
            return self.range.read(given)
        except UnfitError as error:
            remedy = error.remedy or f"use for example {shown(self.default)} ({self.summary})"
            said = (
                f"{self.name} is {shown(Scalar(given) if isinstance(given, str) else given)}: {error.problem}; {remedy}"
            )
            raise ConfigError(f"{where}: {said}" if where else said, self.name) from None

    @property
    def summary(self) -> str:
        """The first sentence of the comment."""
        return self.comment.split(". ")[0].rstrip(".:")


def key(name: str, default: Any, takes: Range, comment: str, inert: bool = False) -> Key:
    """A row of the table; see `Key`."""
    return Key(name, default, takes, comment, inert)
