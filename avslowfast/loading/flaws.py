"""What is wrong with files that are read all the same: damaged parts, audio that nothing decodes."""

from collections.abc import Sequence
from typing import NamedTuple

from ..media import MediaReader
from ..utils.text import counted


class Flaw(NamedTuple):
    """What is wrong with a file, as far as it was read.

    Attributes:
        path: The file.
        damaged: Packets and frames that could not be decoded, or only in part.
        deaf: Why its audio cannot be decoded; "" where it can, or where nothing listens.
    """

    path: str
    damaged: int
    deaf: str = ""


def flaws_of(reader: MediaReader, path: str, listens: bool) -> list[Flaw]:
    """The flaws that were met while clips were read; [] for a file in order.

    Args:
        reader: The open file.
        path: Its name in the list.
        listens: Whether audio is read.
    """
    flaw = Flaw(path, reader.damaged, reader.audio_problem if listens else "")
    return [flaw] if flaw.damaged or flaw.deaf else []


def flaws_text(flaws: Sequence[Flaw]) -> str:
    """Flaws of several files as one line: how many, and the first file of each kind."""
    damaged = {flaw.path: flaw.damaged for flaw in flaws if flaw.damaged}
    deaf = {flaw.path: flaw.deaf for flaw in flaws if flaw.deaf}
    total = sum(flaw.damaged for flaw in flaws)
    texts = []
    if damaged:
        texts.append(
            f"{total} damaged packets or frames in {counted(len(damaged), 'file')}, the first: {next(iter(damaged))}"
        )
    if deaf:
        path, reason = next(iter(deaf.items()))
        texts.append(f"{counted(len(deaf), 'file')} read as silent, the first: {path} ({reason})")
    return "; ".join(texts)
