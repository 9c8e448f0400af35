"""Boxes of detection networks, drawn into the frames of a video."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..inference.boxes import BoxPrediction
from ..inference.load import ModelMeta
from .colours import class_rgb
from .text import fitted, font_for, letter_size

# Boxes are shown this many seconds before and after their instant.
_REACH = 0.5
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)
# From one line to the next, in letters.
_LINE = 1.2


class BoxPainter:
    """Draws boxes and their classes into frames; a painter of `avslowfast.media.transcode`.

    Args:
        predictions: From `classify_boxes`; a frame shows those of the nearest instant, up to half a second away.
        meta: Of the network, for the names of the classes.
        topk: Classes per box, at most.
        threshold: Lowest score of a class that is shown.
    """

    def __init__(
        self, predictions: Sequence[BoxPrediction], meta: ModelMeta, topk: int = 3, threshold: float = 0.3
    ) -> None:
        self._predictions, self._meta, self._topk, self._threshold = predictions, meta, topk, threshold
        self._times = np.array([prediction.seconds for prediction in predictions])

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the frames with boxes: the same.

        Args:
            height: Of the frames, pixels.
            width: Of the frames, pixels.
        """
        return height, width

    def paint(self, pixels: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """A frame with the boxes of the nearest instant.

        Args:
            pixels: RGB, [H, W, 3].
            seconds: Time of the frame.
        """
        from PIL import Image, ImageDraw

        index = int(np.argmin(np.abs(self._times - seconds)))
        if abs(self._times[index] - seconds) > _REACH:
            return pixels
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        height, width = pixels.shape[:2]
        _, boxes, scores = self._predictions[index]
        letter = letter_size(height, width)
        for box, row in zip(boxes, scores):
            x1, y1, x2, y2 = (box * (width, height, width, height)).tolist()
            # The box has the colour of its best class.
            colour = class_rgb(int(np.argmax(row)))
            draw.rectangle((x1, y1, x2, y2), outline=colour, width=max(round(letter / 6), 2))
            best = [i for i in np.argsort(-row)[: self._topk].tolist() if row[i] >= self._threshold]
            for line, i in enumerate(best):
                name = self._meta.class_name(i)
                font = font_for(name, letter)
                place = (x1 + letter / 3, y1 + letter / 4 + _LINE * letter * line)
                text = fitted(f"{100 * row[i]:.0f} {name}", font, width - place[0])
                draw.text(place, text, _WHITE, font, stroke_width=max(round(letter / 6), 1), stroke_fill=_BLACK)
        return np.asarray(image)
