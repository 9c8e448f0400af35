"""What is shown of a file: a strip of frames, its spectrogram, its first seconds of sound."""

import io
import os
from collections.abc import Iterable
from fractions import Fraction
from functools import cache, lru_cache

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import OutputContainer
from numpy.typing import NDArray

from ..clips.logmel import log_mel
from ..media import AudioSamples, DecodeError, Geometry, MediaReader, open_media
from ..utils.logging import get_logger

logger = get_logger(__name__)

Pixels = NDArray[np.uint8]

_RATE = 16000
# Mel bands of a spectrogram, and seconds from one of its rows to the next.
BANDS, _STEP = 80, 0.016
# Rows of a spectrogram that are read at a time (30 s), and from how many such pieces its range is taken.
_ROWS, _PIECES = 1875, 10
# Samples of an analysis window beyond a row's step.
_OVERLAP = 256
# Of sound inside a page: seconds that are read at a time, bits per second.
_SOUND_PIECE, _BIT_RATE = 30.0, 48000


def frame_strip(reader: MediaReader, count: int, height: int) -> Pixels:
    """Frames spread evenly over an open file, in a row.

    Args:
        reader: The open file.
        count: Number of frames.
        height: Of the strip, pixels.

    Returns:
        RGB, [height, W, 3].
    """
    times = reader.extent.start + reader.extent.duration * (np.arange(count) + 0.5) / count
    frames = reader.read_frames(times, lambda h, w: Geometry((height, max(round(w * height / h), 1))))
    return np.concatenate(list(frames.pixels), axis=1)


def has_frames(path: str | os.PathLike[str]) -> bool:
    """Whether a file can be opened for its frames; one of sound cannot."""
    try:
        with open_media(path):
            return True
    except DecodeError:
        return False


def preview(path: str | os.PathLike[str], count: int, height: int, seconds: float) -> tuple[Pixels, AudioSamples]:
    """What a file looks like, and the beginning of its sound.

    Args:
        path: A video; or a file of sound, for which the spectrogram of the beginning stands.
        count: Number of frames.
        height: Of the image, pixels.
        seconds: Length of the beginning, at most.

    Returns:
        (RGB [height, W, 3], samples at 16 kHz).

    Raises:
        DecodeError: The file cannot be read.
    """
    with open_media(path, frames=has_frames(path)) as reader:
        start, length = reader.extent.start, min(seconds, reader.extent.duration)
        audio = reader.read_audio(start, length, _RATE)
        if reader.video is not None:
            return frame_strip(reader, count, height), audio
    times = start + length * np.arange(2 * count * height) / (2 * count * height)
    return Spectrogram(path).image(times, height), audio


class Spectrogram:
    """The log-mel spectrogram of a file of any length, of which only what is shown is read.

    Args:
        path: The file.

    Attributes:
        exists: Whether the file has audio.

    Raises:
        DecodeError: The file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        with open_media(path, frames=False) as reader:
            self._audio = reader.audio
        self.exists = self._audio is not None
        # Frames that follow one another show the same piece, or two that do.
        self._piece = lru_cache(maxsize=2)(self._read_piece)
        self._range = cache(self._find_range)

    def image(self, times: NDArray[np.float64], height: int) -> Pixels:
        """Columns of the spectrogram as colours; brighter is louder, black is outside of the audio.

        Args:
            times: Presentation time of each column, seconds, [W].
            height: Of the image, pixels; high frequencies are on top.

        Returns:
            RGB, [height, W, 3].
        """
        if self._audio is None:
            return np.zeros((height, len(times), 3), np.uint8)
        rows = np.round((times - self._audio.start) / _STEP).astype(int)
        inside = (rows >= 0) & (rows < self._num_rows)
        values = np.full((len(times), BANDS), np.nan, np.float32)
        for number in np.unique(rows[inside] // _ROWS).tolist():
            of_piece = inside & (rows // _ROWS == number)
            values[of_piece] = self._piece(number)[rows[of_piece] % _ROWS]
        low, high = self._range()
        heard = ~np.isnan(values[:, 0])
        shades = np.clip((values[heard] - low) / max(high - low, 1e-6), 0, 1)
        bands = np.linspace(BANDS - 1, 0, height).astype(int)
        pixels = np.zeros((height, len(times), 3), np.uint8)
        pixels[:, heard] = _colours()[(255 * shades).astype(np.uint8)].transpose(1, 0, 2)[bands]
        return pixels

    @property
    def _num_rows(self) -> int:
        assert self._audio is not None  # asked for where there is audio alone
        return max(int(np.ceil(self._audio.duration / _STEP)), 1)

    def _read_piece(self, number: int) -> NDArray[np.float32]:
        """Rows of a piece, natural logarithm, [rows, bands]; NaN where nothing can be read."""
        assert self._audio is not None  # asked for where there is audio alone
        count = min(_ROWS, self._num_rows - number * _ROWS)
        start = self._audio.start + number * _ROWS * _STEP
        try:
            with open_media(self._path, frames=False) as reader:
                audio = reader.read_audio(start, count * _STEP + _OVERLAP / _RATE, _RATE)
        except DecodeError as error:
            logger.warning("not shown: %s", error)
            return np.full((count, BANDS), np.nan, np.float32)
        if not audio.has_audio:
            return np.full((count, BANDS), np.nan, np.float32)
        values: NDArray[np.float32] = log_mel(torch.from_numpy(audio.samples), _RATE).numpy()
        return values

    def _find_range(self) -> tuple[float, float]:
        """Natural logarithms that are black and white, from pieces spread over the file."""
        last = (self._num_rows - 1) // _ROWS
        numbers = np.unique(np.linspace(0, last, _PIECES).astype(int)).tolist()
        values = np.concatenate([piece[~np.isnan(piece)] for piece in map(self._read_piece, numbers)])
        low, high = np.percentile(values, (5, 99.5)) if len(values) else (0.0, 0.0)
        return float(low), float(high)


@cache
def _colours() -> Pixels:
    """RGB of each grey level, [256, 3]."""
    from matplotlib import colormaps

    return (255 * colormaps["magma"](np.arange(256))[:, :3]).astype(np.uint8)


def encoded_sound(path: str | os.PathLike[str]) -> bytes:
    """The sound of a file as browsers play it: AAC in mp4, mono at 16 kHz; its second 0 is the file's beginning.

    Args:
        path: The file, of any length.

    Raises:
        DecodeError: The file cannot be read.
    """
    buffer = io.BytesIO()
    with open_media(path, frames=False) as reader, av.open(buffer, "w", format="mp4") as out:
        start, end = reader.extent.start, reader.extent.end
        pieces = np.arange(start, end, _SOUND_PIECE)
        audio = (reader.read_audio(first, min(_SOUND_PIECE, end - first), _RATE).samples for first in pieces.tolist())
        encode_aac(out, audio)
    return buffer.getvalue()


def encode_aac(out: OutputContainer, pieces: Iterable[NDArray[np.float32]]) -> None:
    """Write mono sound at 16 kHz as AAC.

    Args:
        out: Open container.
        pieces: Samples in -1..1, [N] each, one after the other.
    """
    stream = out.add_stream("aac", rate=_RATE, layout="mono")
    assert isinstance(stream, AudioStream)
    stream.bit_rate = _BIT_RATE
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=_RATE, frame_size=1024)
    done = 0
    for samples in pieces:
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples, np.float32)[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = _RATE, Fraction(1, _RATE), done
        done += len(samples)
        for part in resampler.resample(frame):
            out.mux(stream.encode(part))
    for part in resampler.resample(None):
        out.mux(stream.encode(part))
    out.mux(stream.encode(None))
