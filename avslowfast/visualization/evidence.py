"""Evidence in pictures: one colour, as opaque as there is evidence, none where there is none."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .media import Pixels

if TYPE_CHECKING:
    from matplotlib.colors import ListedColormap

# The colour of evidence, as in the page to play with, and its opacity where evidence is largest.
COLOUR, OPACITY = (0, 240, 255), 0.75
# Labels of frequency axes, Hz.
TICKS = (125, 250, 500, 1000, 2000, 4000, 8000, 16000)


def tinted(pixels: Pixels, evidence: NDArray[np.float32]) -> Pixels:
    """Pixels under the colour of evidence, whose opacity is in proportion to it.

    Args:
        pixels: RGB, [H, W, 3].
        evidence: 0..1, [H, W].
    """
    opacity = OPACITY * np.clip(evidence, 0, 1)[..., None]
    return np.round(pixels + opacity * (np.array(COLOUR, np.float32) - pixels)).astype(np.uint8)


def resized(evidence: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Evidence of cells between which is interpolated.

    Args:
        evidence: [H, W].
        height: Pixels.
        width: Pixels.

    Returns:
        [height, width].
    """
    from PIL import Image

    return np.asarray(Image.fromarray(evidence).resize((width, height), Image.Resampling.BILINEAR))


def overlaid(pixels: Pixels, evidence: NDArray[np.float32], box: Sequence[float]) -> Pixels:
    """A frame with the evidence of its crop, in its place; the rest of the frame stays as it is.

    Args:
        pixels: RGB, [H, W, 3].
        evidence: Of the crop, 0..1, [h, w].
        box: (x1, y1, x2, y2) of the crop, pixels; from `clips.places.crop_box`.
    """
    left, top, right, bottom = (round(side) for side in box)
    canvas = pixels.copy()
    crop = canvas[top:bottom, left:right]
    crop[:] = tinted(crop, resized(evidence, *crop.shape[:2]))
    return canvas


def evidence_colours() -> "ListedColormap":
    """Evidence over grey, for a colour bar."""
    from matplotlib.colors import ListedColormap

    grey = np.full((1, 256, 3), 128, np.uint8)
    return ListedColormap(tinted(grey, np.linspace(0, 1, 256, dtype=np.float32)[None])[0] / 255)


def mel_share(frequency: NDArray[np.float64] | float, highest: float) -> NDArray[np.float64]:
    """Position of frequencies on a mel axis from 0 to a highest one, 0..1.

    Args:
        frequency: Hz.
        highest: Hz.
    """
    share: NDArray[np.float64] = np.log1p(np.asarray(frequency) / 700) / np.log1p(highest / 700)
    return share


def band_of(frequency: float, bands: int, highest: float) -> float:
    """Place of a frequency among the middles of mel bands: 0 is that of the first one.

    Args:
        frequency: Hz.
        bands: Number of bands, which lie at equal steps, the first one a step above 0.
        highest: Where they end, Hz.
    """
    return float(mel_share(frequency, highest)) * (bands + 1) - 1


def frequency_label(frequency: int) -> str:
    """A frequency in few letters, e.g. "500", "4k"."""
    return f"{frequency // 1000}k" if frequency >= 1000 else str(frequency)
