"""An annotated copy of a video: classes with bars, a scrolling log-mel strip, a timeline; the sound stays."""

import csv
import json
import os

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from ..inference.sliding_window import segments, spectrogram_of, top, waveform_of

_STRIP, _ROW, _AXIS = 64, 18, 16
# Seconds of sound that the strip shows to either side of now.
_REACH = 3.0
_STEP = 0.016
_INK, _PAPER = (235, 235, 235), (20, 20, 24)
_HUES = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0))
_LUT = (255 * colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)


class DemoPainter:
    """Paints what a network says onto a video's pictures; see `transcode`'s painter.

    Args:
        windows: of `slide`. meta: the network's. video: the file, whose sound is shown. topk: classes to show.
    """

    def __init__(self, windows, meta, video, topk=5):
        self.windows, self.meta, self.topk = windows, meta, topk
        self.middles = np.array([(w.start + w.stop) / 2 for w in windows])
        self.begin, self.end = windows[0].start, max(w.stop for w in windows)
        samples, self.sound_start = waveform_of(video)
        self.strip = None
        if samples is not None:
            spec = spectrogram_of(samples)
            rows = np.linspace(spec.shape[1] - 1, 0, _STRIP).astype(int)
            self.strip = _LUT[spec.T[rows]]
        self.font = ImageFont.load_default(12)
        self.cards = {}

    def size(self, height, width):
        """(height, width) of the annotated pictures, for pictures of this size."""
        self.shape, self.width = (height, width), max(width, 384)
        self.timeline = self._draw_timeline()
        total = height + _STRIP + len(self.timeline)
        return total + total % 2, self.width + self.width % 2

    def paint(self, pixels, seconds):
        """An annotated picture from RGB pixels [H, W, 3] of the size that `size` was asked about."""
        height, width = self.shape[0] + _STRIP + len(self.timeline), self.width
        canvas = np.empty((height + height % 2, width + width % 2, 3), np.uint8)
        canvas[:] = _PAPER
        left = (width - self.shape[1]) // 2
        canvas[: self.shape[0], left : left + self.shape[1]] = pixels
        index = int(np.argmin(np.abs(self.middles - seconds)))
        card, alpha = self._card(index)
        h, w = min(len(card), self.shape[0]), min(card.shape[1], width)
        part = canvas[:h, :w]
        part[:] = (part * (1 - alpha[:h, :w, None]) + card[:h, :w] * alpha[:h, :w, None]).astype(np.uint8)
        self._paint_strip(canvas[self.shape[0] : self.shape[0] + _STRIP, :width], seconds, self.windows[index])
        below = canvas[self.shape[0] + _STRIP : height, :width]
        below[:] = self.timeline
        cursor = int((seconds - self.begin) / max(self.end - self.begin, 1e-9) * (width - 1))
        below[:, np.clip([cursor, cursor + 1], 0, width - 1)] = (255, 255, 255)
        return canvas

    def _card(self, index):
        """(pixels, opacity) of the classes of a window, with bars."""
        if index not in self.cards:
            rows = top(self.windows[index], self.meta, self.topk)
            width = int(max(150, 78 + max(self.font.getlength(name) for name, _ in rows)))
            image = Image.new("RGB", (width, 6 + _ROW * len(rows)), _PAPER)
            draw = ImageDraw.Draw(image)
            for i, (name, score) in enumerate(rows):
                y = 4 + _ROW * i
                draw.rectangle((6, y + 3, 6 + 40 * score, y + 12), fill=_HUES[i % len(_HUES)])
                draw.rectangle((6, y + 3, 46, y + 12), outline=(110, 110, 110))
                draw.text((50, y), f"{100 * score:3.0f} {name}", fill=_INK, font=self.font)
            self.cards = {index: (np.asarray(image), np.full((image.height, image.width), 0.75))}
        return self.cards[index]

    def _paint_strip(self, area, seconds, window):
        width = area.shape[1]
        times = seconds + np.linspace(-_REACH, _REACH, width)
        if self.strip is None:
            area[:] = np.asarray(self._words("no sound", width, _STRIP))
            return
        columns = np.round((times - self.sound_start) / _STEP).astype(int)
        inside = (columns >= 0) & (columns < self.strip.shape[1])
        area[:] = _PAPER
        area[:, inside] = self.strip[:, columns[inside]]
        edges = [int(np.argmin(np.abs(times - t))) for t in (window.start, window.stop)]
        area[:2, edges[0] : edges[1] + 1] = area[-2:, edges[0] : edges[1] + 1] = (255, 255, 255)
        for edge in (*edges, width // 2):
            area[:, edge] = (255, 255, 255)

    def _words(self, text, width, height):
        image = Image.new("RGB", (width, height), _PAPER)
        ImageDraw.Draw(image).text((8, height // 2 - 8), text, fill=(150, 150, 150), font=self.font)
        return image

    def _draw_timeline(self):
        """A row for each of the classes that are seen most, over the whole file."""
        names = self._leading()
        position = self.begin + np.arange(self.width) / max(self.width - 1, 1) * (self.end - self.begin)
        nearest = np.argmin(np.abs(self.middles[None] - position[:, None]), axis=1)
        pixels = np.full((_AXIS + _ROW * len(names), self.width, 3), _PAPER, np.uint8)
        for row, scores in enumerate(names.values()):
            level = np.asarray(scores)[nearest][:, None]
            band = (np.array(_HUES[row % len(_HUES)]) * level + np.array(_PAPER) * (1 - level)).astype(np.uint8)
            pixels[_ROW * row + 2 : _ROW * (row + 1) - 1] = band[None]
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        for row, name in enumerate(names):
            draw.text(
                (4, _ROW * row + 1), name, fill=(255, 255, 255), font=self.font, stroke_width=1, stroke_fill=(0, 0, 0)
            )
        for share in (0.0, 0.5, 1.0):
            text = _clock(self.begin + share * (self.end - self.begin))
            x = share * (self.width - self.font.getlength(text) - 8) + 4
            draw.text((x, _ROW * len(names) + 1), text, fill=(170, 170, 170), font=self.font)
        return np.asarray(image)

    def _leading(self):
        """{class name: its score in each window} of the classes that lead most often, at most six."""
        votes = {}
        for window in self.windows:
            for head, scores in window.scores.items():
                key = (head, int(np.argmax(scores)))
                votes[key] = votes.get(key, 0) + 1
        chosen = sorted(votes, key=lambda key: -votes[key])[:6]
        return {
            (f"{head}: " if head else "") + self.meta.class_name(i, head): [
                float(w.scores[head][i]) for w in self.windows
            ]
            for head, i in chosen
        }


def _clock(seconds):
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def write_predictions(windows, meta, video, folder, topk=5):
    """predictions.json and predictions.csv (start, end, class, score) of a file's windows into a folder (None: nowhere); gives lines for people."""
    listed = [
        {"start": w.start, "end": w.stop, "classes": [{"class": n, "score": s} for n, s in top(w, meta, topk)]}
        for w in windows
    ]
    runs = segments(windows, meta)
    lines = [f"{_clock(a)} - {_clock(b)}  {100 * s:3.0f} %  {n}" for a, b, n, s in runs]
    if folder is None:
        return lines
    os.makedirs(folder, exist_ok=True)
    content = {
        "video": str(video),
        "windows": listed,
        "segments": [{"start": a, "end": b, "class": n, "score": s} for a, b, n, s in runs],
    }
    with open(os.path.join(folder, "predictions.json"), "w", encoding="utf-8") as f:
        json.dump(content, f, indent=1)
    with open(os.path.join(folder, "predictions.csv"), "w", newline="", encoding="utf-8") as f:
        rows = [
            [f"{w['start']:.3f}", f"{w['end']:.3f}", c["class"], f"{c['score']:.6f}"]
            for w in listed
            for c in w["classes"]
        ]
        csv.writer(f).writerows([["start", "end", "class", "score"], *rows])
    return lines
