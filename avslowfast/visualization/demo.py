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
from .text import fitted, font_for, letter_size

# Heights in letters: the spectrogram, a row of a class, the line of times; least width, to have room for words.
_STRIP, _ROW, _AXIS, _LEAST = 5.4, 1.5, 1.4, 32.0
# Largest share of a frame that the list of classes takes of its width and of its height.
_CARD_WIDTH, _CARD_HEIGHT = 0.7, 0.6
# Of the picture of a file without frames, pixels: its width, its letters.
_PICTURE_WIDTH, _PICTURE_LETTER = 1024, 14.0
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
        # A new file shows nothing before its second 0.
        self._origin = min(self._begin, 0.0)
        self._spectrogram = Spectrogram(video)
        self._frame_height = self._frame_width = self._width = self._strip = 0
        self._letter = 0.0
        self._timeline = np.zeros((0, 0, 3), np.uint8)
        # Consecutive frames show the same window.
        self._card = lru_cache(maxsize=1)(self._draw_card)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the annotated frames, both even.

        Args:
            height: Of the frames that will be annotated, pixels.
            width: Of the frames that will be annotated, pixels.
        """
        return self._arrange(height, width, letter_size(height, width))

    def _arrange(self, height: int, width: int, letter: float) -> tuple[int, int]:
        """As `size`, with the size of the letters."""
        self._frame_height, self._frame_width, self._letter = height, width, letter
        self._width, self._strip = max(width, round(_LEAST * letter)), round(_STRIP * letter)
        self._timeline = self._draw_timeline()
        total = height + self._strip + len(self._timeline)
        return total + total % 2, self._width + self._width % 2

    def paint(self, pixels: Pixels, seconds: float) -> Pixels:
        """An annotated frame.

        Args:
            pixels: RGB, [H, W, 3] of the size that `size` was called with.
            seconds: Time of the frame in the new file.
        """
        now = seconds + self._origin
        strip_top, timeline_top = self._frame_height, self._frame_height + self._strip
        height, width = timeline_top + len(self._timeline), self._width
        canvas = np.empty((height + height % 2, width + width % 2, 3), np.uint8)
        canvas[:] = _BACKGROUND
        left = (width - self._frame_width) // 2
        canvas[:strip_top, left : left + self._frame_width] = pixels
        index = int(np.argmin(np.abs(self._middles - now)))
        card = self._card(index)
        h, w = min(len(card), strip_top), min(card.shape[1], width)
        canvas[:h, :w] = (0.25 * canvas[:h, :w] + 0.75 * card[:h, :w]).astype(np.uint8)
        self._draw_strip(canvas[strip_top:timeline_top, :width], now, self._windows[index])
        below = canvas[timeline_top:height, :width]
        below[:] = self._timeline
        cursor = int((now - self._begin) / max(self._end - self._begin, 1e-9) * (width - 1))
        thick = self._thick
        below[:, int(np.clip(cursor, 0, width - thick)) :][:, :thick] = _WHITE
        return canvas

    def write_picture(self, path: str) -> None:
        """Write the spectrogram and the timeline of the whole file as an image, for a file without frames.

        Args:
            path: File to write.
        """
        from PIL import Image

        self._arrange(0, _PICTURE_WIDTH, _PICTURE_LETTER)
        times = np.linspace(self._begin, self._end, self._width)
        Image.fromarray(np.concatenate([self._spectrogram.image(times, 2 * self._strip), self._timeline])).save(path)

    @property
    def _thick(self) -> int:
        """Width of lines, pixels."""
        return max(round(self._letter / 6), 1)

    def _draw_card(self, index: int) -> Pixels:
        """The classes of a window with bars, as many as have room."""
        from PIL import Image, ImageDraw

        letter, row = self._letter, _ROW * self._letter
        rows = top_classes(self._windows[index], self._meta, self._topk)
        rows = rows[: max(int(_CARD_HEIGHT * self._frame_height / row), 1)]
        bar, pad, number = 3.4 * letter, letter / 2, font_for("0", letter)
        left = bar + 3 * pad + number.getlength("100")
        fonts = [font_for(name, letter) for name, _ in rows]
        texts = [fitted(name, font, _CARD_WIDTH * self._width - left - pad) for (name, _), font in zip(rows, fonts)]
        width = left + pad + max(font.getlength(text) for text, font in zip(texts, fonts))
        image = Image.new("RGB", (round(width), round(pad + row * len(rows))), _BACKGROUND)
        draw = ImageDraw.Draw(image)
        for i, ((name, score), text, font) in enumerate(zip(rows, texts, fonts)):
            y = pad / 2 + row * (i + 0.5)
            sides = (y - 0.4 * letter, y + 0.4 * letter)
            draw.rectangle((pad, sides[0], pad + bar * score, sides[1]), fill=self._colours[name])
            draw.rectangle(
                (pad, sides[0], pad + bar, sides[1]), outline=(110, 110, 110), width=max(self._thick // 2, 1)
            )
            # By itself: in scripts from right to left a number before a word would stand behind it.
            draw.text((left - pad, y), f"{100 * score:.0f}", fill=_TEXT, font=number, anchor="rm")
            draw.text((left, y), text, fill=_TEXT, font=font, anchor="lm")
        return np.asarray(image)

    def _draw_strip(self, area: Pixels, now: float, window: Window) -> None:
        """The spectrogram around a time into an area, with lines at the time and at the ends of the window."""
        height, width, thick = *area.shape[:2], self._thick
        if not self._spectrogram.exists:
            area[:] = _text_image("no audio", width, height, self._letter)
            return
        times = now + np.linspace(-_REACH, _REACH, width)
        area[:] = self._spectrogram.image(times, height)
        first, last = (int(np.argmin(np.abs(times - t))) for t in (window.start, window.stop))
        area[:thick, first : last + 1] = area[-thick:, first : last + 1] = _WHITE
        for place in (first, last, width // 2):
            area[:, max(min(place, width - thick), 0) :][:, :thick] = _WHITE

    def _draw_timeline(self) -> Pixels:
        """One row for each of the classes that are best most often, over the whole file."""
        rows, row = self._leading(), _ROW * self._letter
        position = self._begin + np.arange(self._width) / max(self._width - 1, 1) * (self._end - self._begin)
        nearest = np.argmin(np.abs(self._middles[None] - position[:, None]), axis=1)
        height = round(_AXIS * self._letter + row * len(rows))
        pixels = np.full((height, self._width, 3), _BACKGROUND, np.uint8)
        for i, (name, scores) in enumerate(rows.items()):
            level = np.asarray(scores)[nearest][:, None]
            band = np.array(self._colours[name]) * level + np.array(_BACKGROUND) * (1 - level)
            pixels[round(row * i) + self._thick : round(row * (i + 1))] = band.astype(np.uint8)[None]
        return self._label_timeline(pixels, list(rows))

    def _label_timeline(self, pixels: Pixels, names: Sequence[str]) -> Pixels:
        """The timeline with the names of its rows, and the time at its beginning, middle and end."""
        from PIL import Image, ImageDraw

        letter, row, pad = self._letter, _ROW * self._letter, self._letter / 3
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        for i, name in enumerate(names):
            font = font_for(name, letter)
            text, place = fitted(name, font, self._width - 2 * pad), (pad, row * (i + 0.5) + self._thick / 2)
            stroke = max(round(letter / 12), 1)
            draw.text(place, text, _WHITE, font, anchor="lm", stroke_width=stroke, stroke_fill=(0, 0, 0))
        y = row * len(names) + _AXIS * letter / 2
        font = font_for("0", letter)
        for share, anchor in ((0.0, "lm"), (0.5, "mm"), (1.0, "rm")):
            x = pad + share * (self._width - 2 * pad)
            text = _clock(self._begin + share * (self._end - self._begin))
            draw.text((x, y), text, fill=(170, 170, 170), font=font, anchor=anchor)
        return np.asarray(image)

    def _leading(self) -> dict[str, list[float]]:
        """{class: its score in each window} of the classes that are best most often."""
        votes = Counter((head, int(np.argmax(row))) for window in self._windows for head, row in window.scores.items())
        return {
            self._meta.class_label(i, head): [float(window.scores[head][i]) for window in self._windows]
            for (head, i), _ in votes.most_common(_TIMELINE_CLASSES)
        }


def _text_image(text: str, width: int, height: int, letter: float) -> Pixels:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), _BACKGROUND)
    ImageDraw.Draw(image).text((letter, height / 2), text, fill=_GREY, font=font_for(text, letter), anchor="lm")
    return np.asarray(image)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:04.1f}"


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
