"""An annotated copy of a video: classes with bars, a scrolling log-mel strip, a timeline; the audio is kept."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ..inference.load import ModelMeta
from ..inference.sliding_window import segments, top_classes, Window
from ..utils.text import write_csv
from .colours import class_rgb
from .media import Pixels, Spectrogram

_STRIP, _ROW, _AXIS = 64, 18, 16
_FONT_SIZE = 12
# Of the picture of a file without frames, pixels.
_PICTURE_WIDTH = 1024
# Seconds of audio that the strip shows before and after the frame.
_REACH = 3.0
# Classes of the timeline, at most.
_TIMELINE_CLASSES = 6
_TEXT, _BACKGROUND, _GREY, _WHITE = (235, 235, 235), (20, 20, 24), (150, 150, 150), (255, 255, 255)


class DemoPainter:
    """Draws what a network recognises into the frames of a video; a painter of `avslowfast.media.transcode`.

    Args:
        windows: From `slide`.
        meta: Of the network.
        video: The file, whose audio is shown.
        topk: Classes that are shown.
    """

    def __init__(
        self, windows: Sequence[Window], meta: ModelMeta, video: str | os.PathLike[str], topk: int = 5
    ) -> None:
        self._windows, self._meta, self._topk = windows, meta, topk
        self._middles = np.array([window.middle for window in windows])
        self._colours = {
            meta.class_label(i, head): class_rgb(i) for head, row in windows[0].scores.items() for i in range(len(row))
        }
        self._begin, self._end = windows[0].start, max(window.stop for window in windows)
        self._spectrogram = Spectrogram(video)
        self._frame_height = self._frame_width = self._width = 0
        self._timeline = np.zeros((0, 0, 3), np.uint8)
        # Consecutive frames show the same window.
        self._card = lru_cache(maxsize=1)(self._draw_card)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the annotated frames, both even.

        Args:
            height: Of the frames that will be annotated, pixels.
            width: Of the frames that will be annotated, pixels.
        """
        self._frame_height, self._frame_width, self._width = height, width, max(width, 384)
        self._timeline = self._draw_timeline()
        total = height + _STRIP + len(self._timeline)
        return total + total % 2, self._width + self._width % 2

    def paint(self, pixels: Pixels, seconds: float) -> Pixels:
        """An annotated frame.

        Args:
            pixels: RGB, [H, W, 3] of the size that `size` was called with.
            seconds: Time of the frame.
        """
        strip_top = self._frame_height
        height, width = strip_top + _STRIP + len(self._timeline), self._width
        canvas = np.empty((height + height % 2, width + width % 2, 3), np.uint8)
        canvas[:] = _BACKGROUND
        left = (width - self._frame_width) // 2
        canvas[:strip_top, left : left + self._frame_width] = pixels
        index = int(np.argmin(np.abs(self._middles - seconds)))
        card = self._card(index)
        h, w = min(len(card), strip_top), min(card.shape[1], width)
        canvas[:h, :w] = (0.25 * canvas[:h, :w] + 0.75 * card[:h, :w]).astype(np.uint8)
        self._draw_strip(canvas[strip_top : strip_top + _STRIP, :width], seconds, self._windows[index])
        below = canvas[strip_top + _STRIP : height, :width]
        below[:] = self._timeline
        cursor = int((seconds - self._begin) / max(self._end - self._begin, 1e-9) * (width - 1))
        below[:, np.clip([cursor, cursor + 1], 0, width - 1)] = _WHITE
        return canvas

    def write_picture(self, path: str) -> None:
        """Write the spectrogram and the timeline of the whole file as an image, for a file without frames.

        Args:
            path: File to write.
        """
        from PIL import Image

        self.size(0, _PICTURE_WIDTH)
        times = np.linspace(self._begin, self._end, self._width)
        Image.fromarray(np.concatenate([self._spectrogram.image(times, 2 * _STRIP), self._timeline])).save(path)

    def _draw_card(self, index: int) -> Pixels:
        """The classes of a window with bars."""
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.load_default(_FONT_SIZE)
        rows = top_classes(self._windows[index], self._meta, self._topk)
        width = int(max(150, 78 + max(font.getlength(name) for name, _ in rows)))
        image = Image.new("RGB", (width, 6 + _ROW * len(rows)), _BACKGROUND)
        draw = ImageDraw.Draw(image)
        for i, (name, score) in enumerate(rows):
            y = 4 + _ROW * i
            draw.rectangle((6, y + 3, 6 + 40 * score, y + 12), fill=self._colours[name])
            draw.rectangle((6, y + 3, 46, y + 12), outline=(110, 110, 110))
            draw.text((50, y), f"{100 * score:3.0f} {name}", fill=_TEXT, font=font)
        return np.asarray(image)

    def _draw_strip(self, area: Pixels, seconds: float, window: Window) -> None:
        """The spectrogram around a time into an area, with lines at the time and at the ends of the window."""
        width = area.shape[1]
        if not self._spectrogram.exists:
            area[:] = _text_image("no audio", width, _STRIP)
            return
        times = seconds + np.linspace(-_REACH, _REACH, width)
        area[:] = self._spectrogram.image(times, _STRIP)
        first, last = (int(np.argmin(np.abs(times - t))) for t in (window.start, window.stop))
        area[:2, first : last + 1] = area[-2:, first : last + 1] = _WHITE
        area[:, [first, last, width // 2]] = _WHITE

    def _draw_timeline(self) -> Pixels:
        """One row for each of the classes that are best most often, over the whole file."""
        rows = self._leading()
        position = self._begin + np.arange(self._width) / max(self._width - 1, 1) * (self._end - self._begin)
        nearest = np.argmin(np.abs(self._middles[None] - position[:, None]), axis=1)
        pixels = np.full((_AXIS + _ROW * len(rows), self._width, 3), _BACKGROUND, np.uint8)
        for row, (name, scores) in enumerate(rows.items()):
            level = np.asarray(scores)[nearest][:, None]
            band = np.array(self._colours[name]) * level + np.array(_BACKGROUND) * (1 - level)
            pixels[_ROW * row + 2 : _ROW * (row + 1) - 1] = band.astype(np.uint8)[None]
        return self._label_timeline(pixels, list(rows))

    def _label_timeline(self, pixels: Pixels, names: Sequence[str]) -> Pixels:
        """The timeline with the names of its rows, and the time at its beginning, middle and end."""
        from PIL import Image, ImageDraw, ImageFont

        font = ImageFont.load_default(_FONT_SIZE)
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        for row, name in enumerate(names):
            draw.text((4, _ROW * row + 1), name, fill=_WHITE, font=font, stroke_width=1, stroke_fill=(0, 0, 0))
        for share in (0.0, 0.5, 1.0):
            text = _clock(self._begin + share * (self._end - self._begin))
            x = share * (self._width - font.getlength(text) - 8) + 4
            draw.text((x, _ROW * len(names) + 1), text, fill=(170, 170, 170), font=font)
        return np.asarray(image)

    def _leading(self) -> dict[str, list[float]]:
        """{class: its score in each window} of the classes that are best most often."""
        votes = Counter((head, int(np.argmax(row))) for window in self._windows for head, row in window.scores.items())
        return {
            self._meta.class_label(i, head): [float(window.scores[head][i]) for window in self._windows]
            for (head, i), _ in votes.most_common(_TIMELINE_CLASSES)
        }


def _text_image(text: str, width: int, height: int) -> Pixels:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (width, height), _BACKGROUND)
    ImageDraw.Draw(image).text((8, height // 2 - 8), text, fill=_GREY, font=ImageFont.load_default(_FONT_SIZE))
    return np.asarray(image)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def write_predictions(
    windows: Sequence[Window],
    meta: ModelMeta,
    video: str | os.PathLike[str],
    folder: str | None,
    topk: int = 5,
) -> list[str]:
    """Write predictions.json and predictions.csv (start, end, class, score) of the windows of a file.

    Args:
        windows: From `slide`.
        meta: Of the network.
        video: The file.
        folder: Where to write; None writes nothing.
        topk: Classes of each window.

    Returns:
        One line per segment, for people.
    """
    rows = [(window, top_classes(window, meta, topk)) for window in windows]
    runs = segments(windows, meta)
    if folder is not None:
        os.makedirs(folder, exist_ok=True)
        content = {
            "video": str(video),
            "windows": [
                {"start": w.start, "end": w.stop, "classes": [{"class": n, "score": s} for n, s in best]}
                for w, best in rows
            ],
            "segments": [{"start": r.start, "end": r.stop, "class": r.name, "score": r.score} for r in runs],
        }
        with open(os.path.join(folder, "predictions.json"), "w", encoding="utf-8") as f:
            json.dump(content, f, indent=1)
        table = [[f"{w.start:.3f}", f"{w.stop:.3f}", n, f"{s:.6f}"] for w, best in rows for n, s in best]
        write_csv(os.path.join(folder, "predictions.csv"), [["start", "end", "class", "score"], *table])
    return [f"{_clock(r.start)} - {_clock(r.stop)}  {100 * r.score:3.0f} %  {r.name}" for r in runs]
