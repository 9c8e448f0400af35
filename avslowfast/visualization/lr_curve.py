"""The picture of a learning-rate range test."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .colours import COLOURS
from .draw import new_figure, save


def draw_range_test(found: Mapping[str, Any], path: str) -> None:
    """Write a figure of the loss over the learning rate, with the suggested rate marked where there is one.

    Args:
        found: Content of an lr_find.json.
        path: File to write.
    """
    rates, smoothed = found["rates"], np.array(found["smoothed"])
    figure = new_figure(7, 3.5)
    axes = figure.subplots()
    axes.plot(rates, found["losses"], color="#bbbbbb", linewidth=1, label="loss of a step")
    axes.plot(rates, smoothed, color=COLOURS[0], label="smoothed")
    suggested = found["suggested_rate"]
    if suggested is not None:
        axes.axvline(suggested, color=COLOURS[1], linestyle="--", label=f"suggested: {suggested:.2g}")
    # A diverging loss would hide where it falls.
    low, high = float(smoothed.min()), float(max(smoothed[0], np.median(smoothed)))
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="learning-rate range test")
    axes.set_ylim(low - 0.25 * (high - low) - 1e-6, high + 1.0 * (high - low) + 1e-6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.legend(frameon=False)
    save(figure, path)
