"""Figures of results, drawn without a screen; matplotlib is imported when a figure is made."""

import contextlib
import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..utils.files import replacing
from ..utils.text import write_text
from .colours import COLOURS
from .text import families_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# No line of data has this colour.
_INK = "#010203"


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure.

    It is made without pyplot, which would keep it alive and change a notebook's backend.

    Args:
        width: Inches.
        height: Inches.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def save(figure: "Figure", path: str | os.PathLike[str], dpi: float = 120) -> None:
    """Write a figure to a file, whole or not at all; its folder is made where it is missing.

    Args:
        figure: The figure.
        path: File to write; its ending chooses the format.
        dpi: Pixels per inch.
    """
    with plain_text(figure), replacing(path) as part:
        figure.savefig(part, dpi=dpi, bbox_inches="tight")


def svg_text(figure: "Figure", outlines: bool = False) -> str:
    """A figure as SVG, whose axes and words have the colour of the text around it (currentColor).

    Args:
        figure: The figure.
        outlines: Letters are shapes, which look the same everywhere; else they are words in the reader's fonts.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    _ink(figure)
    options: dict[Any, Any] = {"svg.fonttype": "path" if outlines else "none", "svg.hashsalt": "avslowfast"}
    with plain_text(figure), rc_context(options), warnings.catch_warnings():
        if not outlines:
            # The reader has the letters of every language, whatever fonts are here.
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue().replace(_INK, "currentColor")
    return text[text.index("<svg") :]


def save_svg(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write a figure as an SVG file that is dark where the reader prefers it.

    Args:
        figure: The figure.
        path: File to write.
    """
    # The darkest of the colours has a lighter one in its place.
    first = COLOURS[0].lower()
    style = f"<style>svg{{color:#1b1b1f;background:#fff;--first:{first}}}@media(prefers-color-scheme:dark)"
    style += f"{{svg{{color:#ececf1;background:#1e2129;--first:{COLOURS[5]}}}}}</style>"
    head, rest = svg_text(figure, outlines=True).replace(first, "var(--first)").split(">", 1)
    write_text(path, f"{head}>{style}{rest}")


def _ink(figure: "Figure") -> None:
    """Axes and words of a figure in a colour that stands for the page's."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_color(_INK)
    for axes in figure.axes:
        axes.tick_params(color=_INK, labelcolor=_INK)
        for spine in axes.spines.values():
            spine.set_edgecolor(_INK)


def pixels_of(figure: "Figure") -> NDArray[np.uint8]:
    """A figure as an image, RGB [H, W, 3].

    Args:
        figure: The figure.
    """
    from PIL import Image

    buffer = io.BytesIO()
    with plain_text(figure):
        figure.savefig(buffer, format="png", dpi=100, bbox_inches="tight")
    return np.asarray(Image.open(buffer).convert("RGB"))


@contextlib.contextmanager
def plain_text(figure: "Figure") -> Iterator[None]:
    """Draw a figure in the block with every text as it stands, in fonts that have its letters: $x$ is no formula."""
    from matplotlib import rc_context
    from matplotlib.text import Text

    texts = [text for text in figure.findobj(Text) if isinstance(text, Text)]
    families = families_for([text.get_text() for text in texts])
    for text in texts:
        text.set_parse_math(False)
        text.set_fontfamily(families)
    with rc_context({"text.parse_math": False}):
        yield


def draw_offset(
    shifts: NDArray[np.float64], curves: Mapping[str, NDArray[np.float64]], offset: float | None, title: str, path: str
) -> None:
    """Write a figure of the mean distance of frames and audio over shifts of the audio, with the estimate marked.

    Args:
        shifts: Seconds, [S].
        curves: {stage: mean distance at each shift, [S]}.
        offset: The estimate, seconds; None without one.
        title: Above the figure.
        path: File to write.
    """
    figure = new_figure(7, 3.5)
    axes = figure.subplots()
    for colour, (stage, curve) in zip(COLOURS, curves.items()):
        axes.plot(1000 * shifts, curve, color=colour, label=stage)
    if offset is not None:
        axes.axvline(1000 * offset, color="black", linewidth=1, linestyle="--")
        axes.annotate(
            f"{1000 * offset:+.0f} ms", (1000 * offset, axes.get_ylim()[1]), textcoords="offset points", xytext=(4, -12)
        )
    axes.set(xlabel="shift of the audio, ms (positive: the audio is late)", ylabel="mean distance", title=title)
    axes.legend(frameon=False)
    save(figure, path)


def draw_growth(rows: Sequence[Mapping[str, Any]], path: str) -> None:
    """Write a figure of the seconds and the memory of a training step, one panel per axis that was varied.

    Args:
        rows: {"axis", "value", "seconds", "memory_gb"} of each measurement.
        path: File to write.
    """
    names = list(dict.fromkeys(row["axis"] for row in rows))
    figure = new_figure(3.2 * len(names), 3)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names):
        measured = [row for row in rows if row["axis"] == name]
        values = [row["value"] for row in measured]
        axes.plot(values, [row["seconds"] for row in measured], "o-", color=COLOURS[0])
        axes.set(xlabel=name, xticks=values, ylim=(0, None))
        right = axes.twinx()
        right.plot(values, [row["memory_gb"] for row in measured], "s--", color=COLOURS[1])
        right.set(ylim=(0, None))
        if axes is panels[0]:
            axes.set_ylabel("seconds per step", color=COLOURS[0])
        if axes is panels[-1]:
            right.set_ylabel("memory, GB", color=COLOURS[1])
    with plain_text(figure):
        figure.tight_layout()
    save(figure, path)
