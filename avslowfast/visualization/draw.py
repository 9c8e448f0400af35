"""Pictures of results, drawn without a screen."""

import os

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

# Told apart without colour vision too (Okabe and Ito's palette).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def save(figure, path):
    """Write a figure to a file and forget it."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)


def draw_offset(shifts, curves, offset, title, path):
    """Mean distance of sight and sound over shifts of the sound, with the lowest point marked.

    Args:
        shifts: [S] seconds. curves: {stage: [S]}. offset: the estimate, seconds. path: file to write.
    """
    figure, axes = plt.subplots(figsize=(7, 3.5))
    for colour, (stage, curve) in zip(COLOURS, curves.items()):
        axes.plot([1000 * s for s in shifts], curve, color=colour, label=stage)
    axes.axvline(1000 * offset, color="black", linewidth=1, linestyle="--")
    axes.annotate(
        f"{1000 * offset:+.0f} ms", (1000 * offset, axes.get_ylim()[1]), textcoords="offset points", xytext=(4, -12)
    )
    axes.set(xlabel="shift of the sound, ms (positive: the sound comes late)", ylabel="mean distance", title=title)
    axes.legend(frameon=False)
    save(figure, path)


def draw_growth(rows, path):
    """Seconds and memory of a step over each axis of `benchmark.step.growth`, a panel an axis."""
    names = list(dict.fromkeys(row["axis"] for row in rows))
    figure, panels = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3), squeeze=False)
    for axes, name in zip(panels[0], names):
        mine = [row for row in rows if row["axis"] == name]
        values = [row["value"] for row in mine]
        axes.plot(values, [row["seconds"] for row in mine], "o-", color=COLOURS[0])
        axes.set(xlabel=name, xticks=values, ylim=(0, None))
        other = axes.twinx()
        other.plot(values, [row["memory_gb"] for row in mine], "s--", color=COLOURS[1])
        other.set(ylim=(0, None))
        if axes is panels[0][0]:
            axes.set_ylabel("seconds a step", color=COLOURS[0])
        if axes is panels[0][-1]:
            other.set_ylabel("memory, GB", color=COLOURS[1])
    figure.tight_layout()
    save(figure, path)
