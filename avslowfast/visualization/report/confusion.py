"""The confusion matrix of any number of classes: the whole as an image to zoom into, its most confused part by name."""

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...evaluation.metrics.classification import confusion_matrix
from ..draw import new_figure
from .markup import svg, table
from .run import Run, single_label

# Matrices of more classes are drawn whole as an image without names, and with names the most confused of them.
_NAMED, _LISTED_PAIRS = 40, 10


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
    if len(names) <= _NAMED:
        body = _named(counts, names, range(len(names)))
    else:
        block = most_confused(counts, _NAMED)
        body = (
            f"<p>The {len(block)} classes that are confused most with one another, of {len(names)}</p>"
            f"{_named(counts, names, block)}{_whole(counts, names)}"
        )
    return body + _pairs(counts, names)


def most_confused(counts: NDArray[np.int64], size: int) -> list[int]:
    """Classes that are confused with one another, alike ones side by side.

    Args:
        counts: Videos by true and predicted class, [K, K].
        size: How many classes, at most.

    Returns:
        To the pair that is confused most the class is added, again and again, that is confused most with those that are
        there, or where none is, most with any other.
    """
    mutual = _mutual(counts)
    chosen = [int(i) for i in np.unravel_index(int(mutual.argmax()), mutual.shape)]
    while len(chosen) < min(size, len(counts)):
        towards = mutual[:, chosen].sum(axis=1) + mutual.sum(axis=1) / (mutual.sum() + 1)
        towards[chosen] = -1
        chosen.append(int(towards.argmax()))
    return [chosen[i] for i in clustered(counts[np.ix_(chosen, chosen)])]


def clustered(counts: NDArray[np.int64]) -> list[int]:
    """The classes in an order in which those stand together that are taken for one another.

    Args:
        counts: Videos by true and predicted class, [K, K].
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(counts) < 3:
        return list(range(len(counts)))
    videos = counts.sum(axis=1)
    # The share of two classes' videos that is taken for the other one.
    near = _mutual(counts) / np.maximum(videos[:, None] + videos[None], 1)
    distances = squareform(1 - near, checks=False)
    return [int(i) for i in leaves_list(linkage(distances, "average"))]


def mistakes_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The videos that are taken for another class, [K, K].

    Args:
        counts: Videos by true and predicted class, [K, K].
    """
    return counts - np.diag(np.diag(counts))


def _mutual(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    mistakes = mistakes_of(counts)
    return mistakes + mistakes.T


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def _named(counts: NDArray[np.int64], names: Sequence[str], chosen: Sequence[int]) -> str:
    """The matrix of some classes, with their names; rows are shares of all videos of a class."""
    side = max(3.5, 0.28 * len(chosen) + 2)
    figure = new_figure(side, side)
    axes = figure.subplots()
    axes.imshow(_shares(counts)[np.ix_(chosen, chosen)], cmap="Blues", vmin=0, vmax=1)
    labels = [names[i] for i in chosen]
    axes.set(
        xticks=range(len(labels)), yticks=range(len(labels)), yticklabels=labels, xlabel="predicted", ylabel="true"
    )
    axes.set_xticklabels(labels, rotation=90)
    return svg(
        figure, f"Confusion matrix of {len(labels)} classes; the pairs below say in words what it shows", wide=True
    )


def _whole(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """All classes as an image with a cell per pixel, in clustered order; a slider enlarges it."""
    from PIL import Image

    order = clustered(counts)
    # Small shares would not be seen beside those of the diagonal.
    shades = 255 * (1 - np.sqrt(_shares(counts)[np.ix_(order, order)]))
    buffer = io.BytesIO()
    Image.fromarray(shades.astype(np.uint8)).save(buffer, "PNG", optimize=True)
    source = f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    rows = html.escape("\n".join(names[i] for i in order))
    return (
        f"<p>All {len(names)} classes: rows are true, columns predicted, alike classes side by side; darker is more</p>"
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
