"""An explanation as one figure: frames and spectrogram with their evidence, and what each modality contributes."""

from typing import TYPE_CHECKING

import numpy as np

from ..inference.explain import Explanation
from ..inference.load import ModelMeta
from .draw import COLOURS, new_figure, plain_text, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.gridspec import GridSpec


def draw_explanation(explanation: Explanation, meta: ModelMeta, path: str, title: str = "", frames: int = 6) -> None:
    """Write an explanation as a figure.

    Args:
        explanation: From `explain`.
        meta: Of the network, for the name of the class.
        path: File to write.
        title: What stands above the figure, before class and score.
        frames: Number of frames that are shown.
    """
    rows = (explanation.frames is not None) + (explanation.spectrogram is not None)
    figure = new_figure(12, 2.6 * rows + 0.4)
    grid = figure.add_gridspec(rows, frames + 2)
    _draw_frames(figure, grid, explanation, frames)
    _draw_spectrogram(figure, grid, explanation, frames, rows - 1)
    name = meta.class_name(explanation.class_id)
    if explanation.contributions:
        axes = figure.add_subplot(grid[:, frames:])
        axes.barh(list(explanation.contributions), list(explanation.contributions.values()), color=COLOURS[0])
        axes.set(xlim=(0, 1), xlabel=f"score of {name}")
        axes.yaxis.tick_right()
        axes.invert_yaxis()
    figure.suptitle(f"{title}  {name}: {100 * explanation.score:.0f} %".strip())
    with plain_text(figure):
        figure.tight_layout()
    save(figure, path)


def _draw_frames(figure: "Figure", grid: "GridSpec", explanation: Explanation, count: int) -> None:
    if explanation.frames is None or explanation.visual is None:
        return
    for column, i in enumerate(np.linspace(0, len(explanation.frames) - 1, count).astype(int)):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(explanation.frames[i])
        axes.imshow(explanation.visual[i], cmap="inferno", alpha=0.45, vmin=0, vmax=1)
        axes.set(xticks=[], yticks=[], xlabel=f"frame {i}")


def _draw_spectrogram(figure: "Figure", grid: "GridSpec", explanation: Explanation, columns: int, row: int) -> None:
    """The spectrogram alone on the left, in grey with its evidence on the right."""
    if explanation.spectrogram is None:
        return
    plain = figure.add_subplot(grid[row, : columns // 2])
    plain.imshow(explanation.spectrogram.T, origin="lower", aspect="auto", cmap="magma")
    plain.set(xlabel="spectrogram step", ylabel="mel band")
    if explanation.audio is None:
        return
    overlay = figure.add_subplot(grid[row, columns // 2 : columns])
    overlay.imshow(explanation.spectrogram.T, origin="lower", aspect="auto", cmap="gray")
    overlay.imshow(explanation.audio.T, origin="lower", aspect="auto", cmap="inferno", alpha=0.5, vmin=0, vmax=1)
    overlay.set(xlabel="spectrogram step, evidence")
