"""An explanation as one figure: frames and spectrogram with their evidence, and what each modality contributes."""

import os
from collections.abc import Sequence
from typing import Any, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..clips.places import band_frequencies, crop_box, spectrogram_span
from ..inference.explain import Explanation
from ..inference.load import ModelMeta
from ..media import open_media
from .colours import COLOURS
from .draw import new_figure, save
from .evidence import band_of, evidence_colours, frequency_label, overlaid, TICKS
from .media import Pixels
from .text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Layout, inches: width of the frames, of all, of a gap; height of a line of text, of a spectrogram.
_FRAMES, _WIDTH, _GAP, _LINE, _SPECTROGRAM = 10.0, 13.2, 0.1, 0.32, 2.3
# Left sides and widths of the spectrogram, its colour bar, the one with evidence, the bar of evidence, the scores.
_PLAIN, _LEVELS, _EVIDENT, _SHARES, _SCORES = (0.7, 3.4), (4.2, 0.12), (5.9, 4.2), (10.25, 0.15), (11.2, 1.1)
# Frames are drawn in the size of the source up to this width, pixels; letters grow with them.
_WIDEST = 960
_LEAST_DPI = 120
_NAME = 60


def draw_explanation(
    explanation: Explanation,
    meta: ModelMeta,
    path: str,
    title: str = "",
    frames: int = 6,
    video: str | os.PathLike[str] | None = None,
) -> None:
    """Write an explanation as a figure.

    Args:
        explanation: From `explain`.
        meta: Of the network, for the name of the class and for where the clip lies.
        path: File to write.
        title: What stands above the figure, before class and score.
        frames: Number of frames that are shown.
        video: The file of the clip, whose whole frames are then shown, in their own size, with the evidence where the
            network's crop lies (of one crop, in the middle, as `explain` commands take it); None shows the crop alone.

    Raises:
        DecodeError: The file cannot be read.
    """
    drawn, box = _frames_with_evidence(explanation, meta, frames, video)
    height, width = drawn[0][0].shape[:2] if drawn else (0, 1)
    across = max(len(drawn) if height > width else -(-len(drawn) // 2), 1)
    frame_width = _FRAMES / across - _GAP
    frame_height = frame_width * height / width
    rows = -(-len(drawn) // across) if drawn else 0
    page = _Page(_LINE + rows * (frame_height + _LINE) + _GAP + _sound_height(explanation))
    for i, (pixels, seconds) in enumerate(drawn):
        left, top = (i % across) * (frame_width + _GAP) + _GAP, (i // across) * (frame_height + _LINE) + _LINE
        _draw_frame(page.axes((left, frame_width), top, frame_height), pixels, seconds, box)
    low = page.height - _sound_height(explanation) + _GAP
    _draw_spectrogram(page, low, explanation, meta)
    name = shortened(meta.class_name(explanation.class_id), _NAME)
    if explanation.contributions:
        _draw_contributions(page.axes(_SCORES, low, _SPECTROGRAM), explanation, name)
    _draw_bar(page.axes(_SHARES, _LINE if drawn else low, min(rows * frame_height, 3.0) or _SPECTROGRAM))
    words = f"{shortened(title, _NAME)}  {name}: {100 * explanation.score:.0f} %".strip()
    page.figure.text(0.5, 1 - 0.1 / page.height, words, ha="center", va="top", fontsize=12)
    save(page.figure, path, dpi=max(min(width, _WIDEST) / frame_width, _LEAST_DPI))


class _Page:
    """A figure on which places are inches from the top left.

    Args:
        height: Of the figure, inches.
    """

    def __init__(self, height: float) -> None:
        self.height, self.figure = height, new_figure(_WIDTH, height)

    def axes(self, across: tuple[float, float], top: float, height: float) -> "Axes":
        """Axes that begin `across[0]` from the left and are `across[1]` wide."""
        left, width = across
        place = (left / _WIDTH, 1 - (top + height) / self.height, width / _WIDTH, height / self.height)
        return self.figure.add_axes(place)


def _sound_height(explanation: Explanation) -> float:
    return 0.0 if explanation.spectrogram is None else _SPECTROGRAM + 0.6


def _frames_with_evidence(
    explanation: Explanation, meta: ModelMeta, count: int, video: str | os.PathLike[str] | None
) -> tuple[list[tuple[Pixels, float]], Sequence[float] | None]:
    """([(frame with its evidence, its time)], (x1, y1, x2, y2) of the crop where that is not the whole frame)."""
    if explanation.frames is None or explanation.visual is None:
        return [], None
    reader = meta.clip_reader
    chosen = np.linspace(0, len(explanation.frames) - 1, count).round().astype(int)
    times = reader.frame_times(explanation.start)[chosen]
    if video is None:
        pixels, box = explanation.frames[chosen], (0.0, 0.0, *explanation.frames.shape[2:0:-1])
    else:
        with open_media(video, max_pixels=reader.settings.max_pixels) as media:
            pixels = media.read_frames(times).pixels
        box = crop_box(reader.settings, *pixels.shape[1:3])
    shown = [(overlaid(p, explanation.visual[i], box), float(t)) for p, i, t in zip(pixels, chosen, times)]
    return shown, None if video is None else box


def _draw_frame(axes: "Axes", pixels: Pixels, seconds: float, box: Sequence[float] | None) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(pixels, interpolation="antialiased")
    if box is not None:
        left, top, right, bottom = box
        edge: dict[str, Any] = {"fill": False, "edgecolor": "white", "linewidth": 0.8, "linestyle": "--"}
        axes.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, **edge))
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(f"{seconds:.2f} s", labelpad=2)


def _draw_spectrogram(page: _Page, top: float, explanation: Explanation, meta: ModelMeta) -> None:
    """The spectrogram alone on the left, in grey with its evidence on the right."""
    settings = meta.clip_reader.settings
    if explanation.spectrogram is None or settings.audio is None:
        return
    audio = settings.audio
    levels = explanation.spectrogram * audio.front_end.std + audio.front_end.mean
    bands = band_frequencies(audio)
    place = (*spectrogram_span(settings, audio, explanation.start), -0.5, len(bands) - 0.5)
    plain = page.axes(_PLAIN, top, _SPECTROGRAM)
    image = plain.imshow(levels.T, origin="lower", aspect="auto", cmap="magma", extent=place)
    page.figure.colorbar(image, cax=page.axes(_LEVELS, top, _SPECTROGRAM), label="log-mel, natural logarithm")
    _label(plain, bands, audio.sample_rate)
    if explanation.audio is None:
        return
    low, high = float(levels.min()), float(levels.max())
    if low == high:
        plain.set_title("silent", fontsize=10)
    grey = np.repeat((255 * (levels - low) / max(high - low, 1e-6)).astype(np.uint8).T[..., None], 3, axis=2)
    shown = overlaid(grey, explanation.audio.T, (0, 0, grey.shape[1], grey.shape[0]))
    evident = page.axes(_EVIDENT, top, _SPECTROGRAM)
    evident.imshow(shown, origin="lower", aspect="auto", extent=place)
    _label(evident, bands, audio.sample_rate)


def _label(axes: "Axes", bands: NDArray[np.float64], sample_rate: int) -> None:
    """Seconds and Hz on the axes of a spectrogram whose rows are bands."""
    highest = sample_rate / 2
    ticks = [tick for tick in TICKS if bands[0] <= tick <= bands[-1]]
    places = [band_of(tick, len(bands), highest) for tick in ticks]
    axes.set(xlabel="seconds", ylabel="Hz", yticks=places, yticklabels=[frequency_label(tick) for tick in ticks])


def _draw_bar(axes: "Axes") -> None:
    """What the colour of evidence means."""
    from matplotlib.cm import ScalarMappable

    bar: Any = axes.figure.colorbar(ScalarMappable(cmap=evidence_colours()), cax=axes)
    bar.set_label("evidence, share of the largest")


def _draw_contributions(axes: "Axes", explanation: Explanation, name: str) -> None:
    shares = explanation.contributions
    names = [f"{modality}\n{100 * share:.0f} %" for modality, share in shares.items()]
    axes.barh(names, list(shares.values()), color=COLOURS[0])
    axes.set(xlim=(0, 1), xticks=[0, 0.5, 1], xlabel=f"score of {shortened(name, 24)}")
    axes.yaxis.tick_right()
    axes.invert_yaxis()
