"""A video of the evidence for a class: over the frames of the source and its log-mel, with its sound."""

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..clips.logmel import mel_frequencies
from ..clips.places import crop_box, spectrogram_span
from ..inference.load import ModelMeta
from ..inference.moments import Moment
from ..media import transcode
from ..media.transcode import TranscodeResult
from ..tasks.scores import ONLY
from .colours import class_rgb
from .evidence import band_of, frequency_label, mel_share, overlaid, tinted
from .media import BANDS, Pixels, Spectrogram
from .text import fitted, font_for, letter_size

if TYPE_CHECKING:
    from PIL.Image import Image

# Heights in letters: the line above the frames, the spectrogram, the lines below it; width of its labels in Hz.
_HEAD, _STRIP, _AXIS, _LABELS = 2.0, 7.0, 3.2, 4.0
# Least width in letters, so that there is room for the words.
_LEAST = 26.0
# Seconds of a spectrogram that are shown at a time.
_PAGE = 20.0
# Half of the rate at which `Spectrogram` reads, Hz.
_HIGHEST = 8000.0
# x264's quality; larger than any frame: sources keep their size.
_CRF, _SHORT_SIDE = 18, 100_000
_INK, _PAPER, _SOFT, _NOW = (235, 235, 235), (20, 20, 24), (160, 160, 160), (255, 255, 255)


def write_explanation_video(
    found: Sequence[Moment], meta: ModelMeta, class_id: int, source: str | os.PathLike[str], out: str | os.PathLike[str]
) -> TranscodeResult:
    """Write a copy of a video, in its own size and with its sound, with the evidence for a class over time.

    Args:
        found: From `inference.moments.moments`, with evidence for that class.
        meta: Of the network.
        class_id: The class.
        source: The video.
        out: File to write, .mp4.

    Raises:
        DecodeError: The source cannot be read.
        OSError: The file cannot be written.
    """
    return transcode(source, out, _SHORT_SIDE, crf=_CRF, painter=EvidencePainter(found, meta, class_id, source))


class EvidencePainter:
    """Draws evidence into the frames of a video and under them; a painter of `avslowfast.media.transcode`.

    Evidence of windows that overlap is blended in proportion to how near their middles are.

    Args:
        found: From `inference.moments.moments`.
        meta: Of the network.
        class_id: The class that is explained.
        video: The file.
    """

    def __init__(self, found: Sequence[Moment], meta: ModelMeta, class_id: int, video: str | os.PathLike[str]) -> None:
        self._found, self._meta, self._class_id = found, meta, class_id
        self._settings = meta.clip_reader.settings
        self._begin, self._end = found[0].window.start, max(moment.window.stop for moment in found)
        # A new file shows nothing before its second 0.
        self._origin = min(self._begin, 0.0)
        self._middles = np.array([moment.start + self._settings.duration / 2 for moment in found])
        self._spectrogram = Spectrogram(video)
        self._seconds = min(max(self._end - self._begin, 1e-6), _PAGE)
        self._letter, self._frame, self._width, self._left = 0.0, (0, 0), 0, 0
        self._page = functools.lru_cache(maxsize=1)(self._draw_page)
        self._head = functools.lru_cache(maxsize=1)(self._draw_head)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the new frames, both even.

        Args:
            height: Of the source's frames, pixels.
            width: Of the source's frames, pixels.
        """
        letter = letter_size(height, width)
        self._letter, self._frame = letter, (height, width)
        self._width = _even(max(width, _LEAST * letter))
        self._left = (self._width - width) // 2
        return self._lines()[-1], self._width

    def paint(self, pixels: Pixels, seconds: float) -> Pixels:
        """A frame with its evidence, the score above it, the log-mel with the present position below it.

        Args:
            pixels: RGB, [H, W, 3] of the size that `size` was called with.
            seconds: Time of the frame in the new file.
        """
        now = seconds + self._origin
        head, frame, strip, height = self._lines()
        canvas = np.full((height, self._width, 3), _PAPER, np.uint8)
        canvas[:head] = self._head(int(np.argmin(np.abs(self._middles - now))))
        evidence = self.evidence_at(now)
        if evidence is not None:
            pixels = overlaid(pixels, evidence, crop_box(self._settings, *self._frame))
        canvas[head:frame, self._left : self._left + self._frame[1]] = pixels
        page = max(int((now - self._begin) / self._seconds), 0)
        canvas[frame:height] = self._page(page)
        share = (now - self._begin) / self._seconds - page
        labels, thick = self._labels, max(round(self._letter / 8), 1)
        place = round(labels + np.clip(share, 0, 1) * (self._width - labels - 1))
        canvas[frame:strip, max(place - thick // 2, labels) : place + (thick + 1) // 2] = _NOW
        return canvas

    def evidence_at(self, now: float) -> NDArray[np.float32] | None:
        """Evidence in the frames at a time, 0..1, in the cells of a stage [H, W]; None without any.

        Args:
            now: Presentation time in the source, seconds.
        """
        total: NDArray[np.float32] | None = None
        for moment, weight in zip(self._found, self._weights(np.array([now]))[:, 0].tolist()):
            if moment.visual is None or not weight:
                continue
            times = (now - moment.start) / self._settings.duration * len(moment.visual) - 0.5
            cells = weight * _between(moment.visual, np.array([times]))[0]
            total = cells if total is None else total + cells
        return total

    def _weights(self, times: NDArray[np.float64]) -> NDArray[np.float32]:
        """Share of each window in what is shown at times, [windows, times]."""
        far = np.abs(times[None] - self._middles[:, None])
        near = np.clip(1 - far / (self._settings.duration / 2), 0, None)
        # Before the middle of the first window and behind that of the last there is no other.
        near[far.argmin(axis=0), np.arange(len(times))] += 1e-6
        weights: NDArray[np.float32] = (near / near.sum(axis=0)).astype(np.float32)
        return weights

    @property
    def _labels(self) -> int:
        """Width of the labels in Hz, pixels."""
        return round(_LABELS * self._letter)

    def _lines(self) -> tuple[int, int, int, int]:
        """Where the line of words, the frame, the spectrogram and all of it end, pixels."""
        head = round(_HEAD * self._letter)
        frame = head + self._frame[0]
        strip = frame + round(_STRIP * self._letter)
        return head, frame, strip, _even(strip + _AXIS * self._letter)

    def _draw_head(self, index: int) -> Pixels:
        """The class with its score in a window, and what remains of it without either modality."""
        from PIL import Image, ImageDraw

        moment, letter = self._found[index], self._letter
        scores = {
            "": moment.window.scores,
            "without audio": moment.without_audio,
            "without frames": moment.without_frames,
        }
        shares = [(name, 100 * float(of[ONLY][self._class_id])) for name, of in scores.items() if of is not None]
        rest = ", ".join(f"{name} {share:.0f} %" for name, share in shares[1:])
        image = Image.new("RGB", (self._width, self._lines()[0]), _PAPER)
        draw, pad = ImageDraw.Draw(image), letter / 2
        draw.rectangle((pad, pad, pad + letter, pad + letter), fill=class_rgb(self._class_id))
        small = font_for(rest, 0.8 * letter)
        room = self._width - 2.5 * letter - pad
        name = self._meta.class_name(self._class_id)
        large = font_for(name, letter)
        score = f"  {shares[0][1]:.0f} %"
        aside = small.getlength(rest) + letter if rest else 0.0
        if room - aside < 8 * letter:
            rest, aside = "", 0.0
        words, plain = fitted(name, large, room - aside - large.getlength(score)), font_for(score, letter)
        left, middle = pad + 1.5 * letter, pad + letter / 2
        draw.text((left, middle), words, fill=_INK, font=large, anchor="lm")
        draw.text((left + large.getlength(words), middle), score, fill=_INK, font=plain, anchor="lm")
        draw.text((self._width - pad, middle), rest, fill=_SOFT, font=small, anchor="rm")
        return np.asarray(image)

    def _draw_page(self, page: int) -> Pixels:
        """A stretch of the log-mel with its evidence, its axes, and what the colour means."""
        from PIL import Image, ImageDraw

        _, frame, strip, height = self._lines()
        tall, labels, letter = strip - frame, self._labels, self._letter
        first, wide = self._begin + page * self._seconds, self._width - self._labels
        image = Image.new("RGB", (self._width, height - frame), _PAPER)
        draw, font = ImageDraw.Draw(image), font_for("0", 0.8 * letter)
        if self._spectrogram.exists:
            times = first + (np.arange(wide) + 0.5) / wide * self._seconds
            image.paste(Image.fromarray(self._strip(times, tall)), (labels, 0))
        else:
            draw.text((labels + letter / 2, tall / 2), "no audio", fill=_SOFT, font=font, anchor="lm")
        for tick in (250, 1000, 4000):
            y = (1 - band_of(tick, BANDS, _HIGHEST) / (BANDS - 1)) * (tall - 1)
            draw.text((labels - letter / 2, y), f"{frequency_label(tick)} Hz", fill=_SOFT, font=font, anchor="rm")
            draw.line((labels - letter / 3, y, labels, y), fill=_SOFT)
        # As many ticks as there is room for.
        step = next(s for s in (0.5, 1, 2, 5, 10) if s / self._seconds * wide > 3.5 * letter or s == 10)
        for second in np.arange(np.ceil(first / step) * step, first + self._seconds, step).tolist():
            x = labels + (second - first) / self._seconds * wide
            draw.line((x, tall, x, tall + letter / 3), fill=_SOFT)
            draw.text((x, tall + letter / 3), f"{second:g} s", fill=_SOFT, font=font, anchor="ma")
        self._draw_meaning(image, round(tall + 1.7 * letter))
        return np.asarray(image)

    def _strip(self, times: NDArray[np.float64], tall: int) -> Pixels:
        """The log-mel at times, with its evidence."""
        pixels, audio = self._spectrogram.image(times, tall), self._settings.audio
        if audio is None or any(moment.audio is None for moment in self._found):
            return pixels
        # Mel bands of the strip, from the top, and the frequencies in their middles as shares of the network's axis.
        bands = np.linspace(BANDS - 1, 0, tall)
        frequencies = np.interp(bands, np.arange(BANDS), mel_frequencies(2 * int(_HIGHEST), BANDS)[1:-1])
        heights = mel_share(frequencies, audio.sample_rate / 2)
        evidence = np.zeros((len(times), tall), np.float32)
        for moment, weights in zip(self._found, self._weights(times)):
            shown = np.flatnonzero(weights)
            if moment.audio is None or not len(shown):
                continue
            begin, end = spectrogram_span(self._settings, audio, moment.start)
            shares = (times[shown] - begin) / (end - begin)
            inside = (shares >= 0) & (shares <= 1)
            cells = _between(moment.audio, shares * len(moment.audio) - 0.5)
            cells = _between(cells.T, heights * cells.shape[1] - 0.5).T
            evidence[shown] += (weights[shown] * inside)[:, None] * cells
        return tinted(pixels, evidence.T)

    def _draw_meaning(self, image: "Image", top: int) -> None:
        """What the colour says."""
        from PIL import Image, ImageDraw

        letter, draw = self._letter, ImageDraw.Draw(image)
        left, before, after = float(self._labels), "evidence: none ", " the most of this window"
        font = font_for(before, 0.8 * letter)
        draw.text((left, top), before, fill=_SOFT, font=font)
        left += font.getlength(before)
        bar = np.full((round(0.9 * letter), round(6 * letter), 3), 128, np.uint8)
        levels = np.broadcast_to(np.linspace(0, 1, bar.shape[1], dtype=np.float32), bar.shape[:2])
        image.paste(Image.fromarray(tinted(bar, levels)), (round(left), top))
        left += bar.shape[1]
        draw.text((left, top), fitted(after, font, self._width - left), fill=_SOFT, font=font)


def _between(values: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values along the first axis, interpolated at places between them, [places, ...]; constant beyond the ends."""
    places = np.clip(places, 0, len(values) - 1)
    first = np.minimum(places.astype(int), max(len(values) - 2, 0))
    share = (places - first).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    between: NDArray[np.float32] = (1 - share) * values[first] + share * values[np.minimum(first + 1, len(values) - 1)]
    return between


def _even(length: float) -> int:
    return 2 * -(-round(length) // 2)
