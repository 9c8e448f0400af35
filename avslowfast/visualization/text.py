"""Letters in pictures: fonts that have the letters of a text, texts that are as long as there is room."""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_ELLIPSIS = "…"
# Comes with matplotlib: Latin, Greek, Cyrillic, Arabic, Hebrew and more, but no Chinese, Japanese or Korean.
_FAMILY = "DejaVu Sans"


def letter_size(height: int, width: int) -> float:
    """Size of letters that can be read in a frame whatever its size, pixels: a thirtieth of the short side, or 11.

    Args:
        height: Of the frame, pixels.
        width: Of the frame, pixels.
    """
    return max(min(height, width) / 30, 11.0)


def shortened(text: str, most: int) -> str:
    """A text with at most so many characters, an ellipsis in place of the rest.

    Args:
        text: One line.
        most: Characters.
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + _ELLIPSIS


def fitted(text: str, font: "FreeTypeFont", width: float) -> str:
    """A text that is at most so wide, an ellipsis in place of the rest; "" where there is no room for one.

    Args:
        text: One line.
        font: In which it will be drawn.
        width: Pixels.
    """
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(shortened(text, middle)) <= width:
            low = middle
        else:
            high = middle - 1
    return shortened(text, low) if low else ""


def font_for(text: str, size: float) -> "FreeTypeFont":
    """A font that has the letters of a text: the plain one, else the one of this machine that has most of them.

    Args:
        text: What will be drawn.
        size: Of the letters, pixels.
    """
    return _font(_covering(frozenset(text))[0], size)


def families_for(texts: Sequence[str]) -> list[str]:
    """Families of fonts for matplotlib, which takes each letter from the first one that has it.

    Args:
        texts: What will be drawn.
    """
    from matplotlib.font_manager import get_font

    letters = frozenset("".join(texts))
    return list(dict.fromkeys([_FAMILY, *(get_font(path).family_name for path in _covering(letters, several=True))]))


@lru_cache(maxsize=64)
def _font(path: str, size: float) -> "FreeTypeFont":
    from PIL import ImageFont

    return ImageFont.truetype(path, size)


@lru_cache(maxsize=4096)
def _covering(letters: frozenset[str], several: bool = False) -> list[str]:
    """Files of fonts: the one that has most of the letters; with `several` as many as it takes for all that can be had.

    Controls and spaces need no glyph.
    """
    from matplotlib.font_manager import findfont

    plain = str(findfont(_FAMILY))
    wanted = {ord(letter) for letter in letters if letter.isprintable() and not letter.isspace()}
    missing = wanted - _glyphs(plain)
    if not missing:
        return [plain]
    if not several:
        return [max([plain, *_others()], key=lambda path: len(wanted & _glyphs(path)))]
    chosen = [plain]
    while missing:
        best = max(_others(), key=lambda path: len(missing & _glyphs(path)), default=plain)
        if not missing & _glyphs(best):
            break
        chosen.append(best)
        missing -= _glyphs(best)
    return chosen


@cache
def _others() -> list[str]:
    """Files of the upright fonts of this machine, without the one of matplotlib's that has a box for every letter."""
    from matplotlib.font_manager import fontManager

    upright = (f for f in fontManager.ttflist if f.style == "normal" and not f.name.startswith("Last Resort"))
    # Of the weights of a family the one that is nearest to the regular one.
    nearest = sorted(upright, key=lambda f: abs((f.weight if isinstance(f.weight, int) else 400) - 400))
    return sorted({str(f.fname) for f in {f.name: f for f in reversed(nearest)}.values()})


@cache
def _glyphs(path: str) -> frozenset[int]:
    """Code points of the letters that a font has."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(get_font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
