"""A checkpoint that the main rank has chosen, on every rank, also where machines do not see the same files."""

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..utils import distributed

_BLOCK = 1 << 24


@dataclass(frozen=True)
class _Place:
    """Which file was chosen, so that a rank that sees a file of this name can tell whether it is the same."""

    path: str
    size: int
    checksum: int

    @classmethod
    def of(cls, path: str) -> "_Place":
        """The place of a file; one that iopath fetches has no size here."""
        if not os.path.isfile(path):
            return cls(path, -1, 0)
        return cls(path, os.path.getsize(path), _checksum(path) if distributed.is_distributed() else 0)

    @property
    def is_here(self) -> bool:
        """Whether this rank sees the same file."""
        return os.path.isfile(self.path) and os.path.getsize(self.path) == self.size and self == _Place.of(self.path)


def _checksum(path: str) -> int:
    value = 0
    with open(path, "rb") as f:
        while block := f.read(_BLOCK):
            value = zlib.crc32(block, value)
    return value


def on_every_rank(choose: Callable[[], tuple[str, Any] | None], read: Callable[[str], Any]) -> tuple[str, Any] | None:
    """What the main rank chooses and reads, on every rank: each reads the file where it sees it, or is sent it.

    Args:
        choose: Called on the main rank; gives (file, content), or None.
        read: Reads the content of a file.

    Raises:
        UserError: What `choose` raises, on every rank.
    """
    chosen: list[tuple[str, Any]] = []

    def chosen_place() -> _Place | None:
        choice = choose()
        chosen.extend([choice] if choice else [])
        return _Place.of(choice[0]) if choice else None

    place = distributed.on_main(chosen_place)
    if place is None:
        return None
    content = chosen[0][1] if chosen else read(place.path) if place.is_here else None
    if any(distributed.gather_objects(content is None)):
        sent = distributed.broadcast_object(content)
        content = sent if content is None else content
    return place.path, content
