"""Audio of a span of a file: mono samples at any rate, placed by the presentation clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from .base import MediaReader
from .streams import (
    best_audio,
    best_video,
    closed_on_failure,
    decode_streams,
    DecodeError,
    frame_time,
    open_input,
    path_text,
    PathLike,
    seek,
    stream_info,
    StreamInfo,
)

# Seconds decoded around a span, so that codecs and the resampler have settled (Opus needs 80 ms).
_MARGIN = 0.12
# No device records more samples per second, Hz; a damaged header may say anything.
_MAX_RATE = 1_000_000


@dataclass(frozen=True, eq=False)
class AudioSamples:
    """The audio of a span; unpacks as `samples, has_audio`.

    Attributes:
        samples: float32 [N] in [-1, 1], mono; silence where the file has no audio.
        sample_rate: Samples per second, Hz.
        start: Presentation time of the first sample, seconds.
        has_audio: Whether the file has audio anywhere in the span.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    start: float
    has_audio: bool

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def __iter__(self) -> Iterator[Any]:
        return iter((self.samples, self.has_audio))

    def __repr__(self) -> str:
        what = "" if self.has_audio else ", silence"
        return f"AudioSamples({self.start:.2f}-{self.start + self.duration:.2f} s at {self.sample_rate} Hz{what})"


def silence(start: float, duration: float, sample_rate: int) -> AudioSamples:
    """What `read_audio` gives where a file has no audio."""
    return AudioSamples(np.zeros(int(round(duration * sample_rate)), np.float32), sample_rate, start, False)


class AudioTrack:
    """An audio stream of an open file.

    Args:
        container: The open file.
        stream: Its audio stream.
        path: Its name, for messages.

    Attributes:
        info: Where the stream lies on the presentation clock.

    Raises:
        DecodeError: The stream is empty.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, path: str) -> None:
        self.info = stream_info(path, stream)
        self._container, self._stream, self._path = container, stream, path

    def read(self, start: float, duration: float, sample_rate: int) -> AudioSamples:
        """See `SoundReader.read_audio`."""
        nothing = silence(start, duration, sample_rate)
        if start >= self.info.end or start + duration <= self.info.start:
            return nothing
        stored = self._read_stored(start - _MARGIN, start + duration + _MARGIN)
        if stored is None:
            return nothing
        samples, first_time, rate = stored
        mono = resample(samples.mean(axis=0, dtype=np.float32), rate, sample_rate)
        out, count = nothing.samples, len(nothing.samples)
        offset = int(round((first_time - start) * sample_rate))
        lo, hi = max(offset, 0), min(offset + len(mono), count)
        if hi <= lo:
            return nothing
        out[lo:hi] = mono[lo - offset : hi - offset]
        return AudioSamples(out, sample_rate, start, True)

    def _read_stored(self, begin: float, end: float) -> tuple[NDArray[np.float32], float, int] | None:
        """Samples [channels, N] as stored, the time of the first, and the rate; None if there are none.

        They are placed by their time stamps; gaps are silent.
        """
        chunks, rate = self._decode_chunks(begin, end)
        if not chunks:
            return None
        first = chunks[0][0]
        last = max(time + chunk.shape[1] / rate for time, chunk in chunks)
        out = np.zeros((chunks[0][1].shape[0], int(round((last - first) * rate)) + 1), np.float32)
        cursor, used = 0, 0
        for time, chunk in chunks:
            at = int(round((time - first) * rate))
            # Time stamps are rounded (to a millisecond in Matroska): what follows within that follows directly.
            at = cursor if abs(at - cursor) <= 0.002 * rate + 1 else max(at, 0)
            chunk = chunk[:, : max(out.shape[1] - at, 0)]
            out[:, at : at + chunk.shape[1]] = chunk
            cursor = used = at + chunk.shape[1]
        return out[:, :used], first, rate

    def _decode_chunks(self, begin: float, end: float) -> tuple[list[tuple[float, NDArray[Any]]], int]:
        """([(time, samples [channels, n])] of the packets that overlap a span, sample rate)."""
        seek(self._container, self._stream, max(begin, self.info.start))
        chunks: list[tuple[float, NDArray[Any]]] = []
        rate, channels = 0, 0
        setup: tuple[int, int, str] | None = None
        converter: av.AudioResampler | None = None
        for _, frame in decode_streams(self._container, (self._stream,), self._path):
            assert isinstance(frame, av.AudioFrame)
            time = frame_time(frame)
            if time >= end:
                break
            if time + frame.samples / frame.sample_rate <= begin:
                continue
            if setup is None:
                # Any format (packed or planar, integer or float) becomes float. Channels and rate are converted later.
                # Packed, because PyAV cannot give eight planes as an array.
                rate, channels, setup = frame.sample_rate, frame.layout.nb_channels, _setup(frame)
                if not rate <= _MAX_RATE:
                    raise DecodeError(f"its audio has {rate} samples per second, which cannot be", self._path)
                direct = frame.format.name == "fltp" and channels < 8
                converter = None if direct else av.AudioResampler(format="flt", layout=frame.layout, rate=rate)
            if _setup(frame) != setup:
                changes = " to ".join(
                    f"{hz} Hz, {count} channels, {kind}" for hz, count, kind in (setup, _setup(frame))
                )
                raise DecodeError(f"the audio changes from {changes} at {time:.3f} s", self._path)
            frame.pts = None
            if converter is None:
                chunks.append((time, frame.to_ndarray()))
            else:
                chunks += [(time, part.to_ndarray().reshape(-1, channels).T) for part in converter.resample(frame)]
        return chunks, rate


def _setup(frame: av.AudioFrame) -> tuple[int, int, str]:
    """(rate, channels, format) of samples."""
    return frame.sample_rate, frame.layout.nb_channels, frame.format.name


class SoundReader(MediaReader):
    """The sound of a file, be it a file of sound or a video, whose frames are not read; use as a context manager.

    Args:
        path: The file.

    Attributes:
        path: The file.
        audio: Where its audio lies on the presentation clock.

    Raises:
        DecodeError: The file does not exist, has no audio stream, or is not a media file.
    """

    audio: StreamInfo

    def __init__(self, path: PathLike) -> None:
        self.path = path_text(path)
        self._container = open_input(self.path)
        with closed_on_failure(self._container, self.path):
            stream = best_audio(self._container)
            if stream is None:
                raise DecodeError("no audio stream in it", self.path)
            self._track = AudioTrack(self._container, stream, self.path)
            self._frames = self._where_frames_lie()
        self.audio = self._track.info

    def _where_frames_lie(self) -> StreamInfo | None:
        """Where the frames of a video lie; None without frames, or where they cannot be read."""
        stream = best_video(self._container)
        try:
            return stream_info(self.path, stream) if stream is not None else None
        except DecodeError:
            return None

    @property
    def clock(self) -> StreamInfo:
        """See `MediaReader.clock`."""
        return self._frames or self.audio

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def read_audio(self, start: float, duration: float, sample_rate: int = 16000) -> AudioSamples:
        """The audio of a span, mono; silence where the stream has none.

        Args:
            start: Presentation time at which the span begins, seconds.
            duration: Length of the span, seconds.
            sample_rate: Of the result, Hz.

        Returns:
            round(duration * sample_rate) samples.

        Raises:
            DecodeError: The file has audio there, but none of it can be decoded.
        """
        return self._track.read(start, duration, sample_rate)


def resample(mono: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Change the rate of a whole signal with FFmpeg's resampler.

    Args:
        mono: float32 [N].
        rate: Its rate, Hz.
        wanted: The rate of the result, Hz.

    Returns:
        float32 [about N * wanted / rate].
    """
    if rate == wanted:
        return mono
    resampler = av.AudioResampler(format="flt", layout="mono", rate=wanted)
    frame = av.AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    parts = [part.to_ndarray()[0] for f in (frame, None) for part in resampler.resample(f)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
