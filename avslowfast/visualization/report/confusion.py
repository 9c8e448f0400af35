"""The confusion matrix of any number of classes: the whole as an image to zoom into, its most confused part by name."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...evaluation.metrics.classification import confusion_matrix
from ..matrix import clustered, draw_named, mistakes_of, most_confused, NAMED, shares
from .markup import svg, table
from .run import Run, single_label

_LISTED_PAIRS = 10
# Classes whose names can still be read on a telephone; a matrix of more scrolls.
_FITTING = 20


def confusion(run: Run) -> str:
    """The confusion matrix and the pairs that are confused most often; "" where videos have not one label each.

    Args:
        run: The run.
    """
    scored = single_label(run)
    if scored is None:
        return ""
    scores, labels, names = scored
    counts = confusion_matrix(scores, labels)
    if len(names) <= NAMED:
        body = _named(counts, names, range(len(names)))
    else:
        block = most_confused(counts, NAMED)
        body = (
            f"<p>The {len(block)} classes that are confused most with one another, of {len(names)}</p>"
            f"{_named(counts, names, block)}{_whole(counts, names)}"
        )
    return body + _pairs(counts, names)


def _named(counts: NDArray[np.int64], names: Sequence[str], chosen: Sequence[int]) -> str:
    words = f"Confusion matrix of {len(chosen)} classes; the pairs below say in words what it shows"
    return svg(draw_named(counts, names, chosen), words, wide=len(chosen) > _FITTING)


def _whole(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """All classes as an image with a cell per pixel, in clustered order; a slider enlarges it."""
    from PIL import Image

    order = clustered(counts)
    # Small shares would not be seen beside those of the diagonal.
    shades = 255 * (1 - np.sqrt(shares(counts)[np.ix_(order, order)]))
    buffer = io.BytesIO()
    Image.fromarray(shades.astype(np.uint8)).save(buffer, "PNG", optimize=True)
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    rows = html.escape("\n".join(names[i] for i in order))
    return (
        f"<p>All {len(names)} classes: rows are true, columns predicted, alike classes side by side</p>"
        "<label>Zoom <input type='range' min='1' max='12' value='1' step='0.5' data-zooms='matrix'></label>"
        f"<div class='wide matrix'><img id='matrix' src='{source}' style='--side:{len(names)}px' "
        f"alt='Confusion matrix of all {len(names)} classes'></div>"
        f"<details><summary>Order of the rows</summary><pre>{rows}</pre></details>"
    )


def _pairs(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    mistakes = mistakes_of(counts)
    order = np.argsort(-mistakes, axis=None, kind="stable")[:_LISTED_PAIRS]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, mistakes.shape)) if mistakes[i, j]]
    if not pairs:
        return "<p>No mistakes.</p>"
    rows = [(html.escape(names[i]), html.escape(names[j]), str(mistakes[i, j])) for i, j in pairs]
    return "<p>Most confused pairs</p>" + table(rows, numbers=(2,), headings=("class", "predicted", "videos"))
