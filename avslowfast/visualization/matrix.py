"""The confusion matrix of any number of classes as a figure: all of them by name, or the most confused ones."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .draw import new_figure
from .text import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Classes whose names fit on the axes of one figure, and characters of a name.
NAMED = 40
_NAME = 32


def draw_named(counts: NDArray[np.int64], names: Sequence[str], chosen: Sequence[int]) -> "Figure":
    """The matrix of some classes with their names on the axes; rows are shares of all videos of a class.

    Args:
        counts: Videos by true and predicted class, [K, K].
        names: Of all K classes.
        chosen: Numbers of the classes, in the order of the axes.
    """
    side = max(3.5, 0.28 * len(chosen) + 2)
    figure = new_figure(side, side)
    axes = figure.subplots()
    axes.imshow(shares(counts)[np.ix_(chosen, chosen)], cmap="Blues", vmin=0, vmax=1)
    labels = _labels([names[i] for i in chosen])
    axes.set(
        xticks=range(len(labels)), yticks=range(len(labels)), yticklabels=labels, xlabel="predicted", ylabel="true"
    )
    axes.set_xticklabels(labels, rotation=90)
    return figure


def _labels(names: Sequence[str]) -> list[str]:
    """Names that fit; those that begin alike keep their ends too."""
    short = [shortened(name, _NAME) for name in names]
    half = _NAME // 2
    return [
        text if short.count(text) == 1 or text == name else shortened(name, half) + name[-half:].lstrip()
        for text, name in zip(short, names)
    ]


def draw_numbered(counts: NDArray[np.int64]) -> "Figure":
    """The matrix of all classes in the order of their numbers; rows are shares of all videos of a class.

    Args:
        counts: Videos by true and predicted class, [K, K].
    """
    figure = new_figure(9, 9)
    axes = figure.subplots()
    # Small shares would not be seen beside those of the diagonal.
    axes.imshow(np.sqrt(shares(counts)), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xlabel="number of the predicted class", ylabel="number of the true class")
    return figure


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
    # Without any mistake the pair is one class twice.
    chosen = list(dict.fromkeys(int(i) for i in np.unravel_index(int(mutual.argmax()), mutual.shape)))
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


def shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of the videos of each true class, [K, K]; rows of classes without videos are 0.

    Args:
        counts: Videos by true and predicted class, [K, K].
    """
    of_class: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return of_class


def _mutual(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    mistakes = mistakes_of(counts)
    return mistakes + mistakes.T
