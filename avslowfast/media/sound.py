"""Audio of a span of a file: mono samples at any rate, placed by the presentation clock."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from numpy.typing import NDArray

from .base import MediaReader
from .extent import is_raw_audio, stream_info
from .storage import open_input
from .streams import (
    best_audio,
    best_video,
    decode_streams,
    DecodeError,
    decoding,
    path_text,
    PathLike,
    seek,
    StreamInfo,
    time_unit,
)

# Seconds decoded around a span, so that codecs and the resampler have settled (Opus needs 80 ms).
_MARGIN = 0.12
# How far before an instant a seek aims, seconds, one after the other until something before it is reached.
_SEEK_BACK = (0.0, 2.0, 10.0, 60.0)
# Seconds of packets that are decoded before an instant where there is no seek, so that the codec has settled.
_LEAD = 1.0
# What begins later than this after the wanted instant may be the work of a seek that went too far, seconds.
_LATE = 0.05
# Samples that are mixed to mono together: half a minute at 48 kHz.
_BLOCK = 30 * 48000
# Power of the mean of channels, relative to the loudest one, below which they cancel each other out.
_CANCELLED = 1e-4
# With more damage than this share of it, a span counts as one without audio.
_MAX_LOST = 0.5
# No device records more samples per second, Hz; a damaged header may say anything.
_MAX_RATE = 1_000_000


@dataclass(frozen=True, eq=False)
class AudioSamples:
    """The audio of a span; unpacks as `samples, has_audio`.

    Attributes:
        samples: float32 [N] in [-1, 1], mono; silence where the file has no audio.
        sample_rate: Samples per second, Hz.
        start: Presentation time of the first sample, seconds.
        has_audio: Whether the file has audio anywhere in the span; False where most of it is damaged.
        lost: Share of the file's audio in the span that is damaged, 0 to 1; it is silent.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    start: float
    has_audio: bool
    lost: float = 0.0

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
        audio: Where the stream lies on the presentation clock.
        channels: Number of channels at the beginning.
        damaged: Packets so far that could not be decoded.

    Raises:
        DecodeError: The stream is empty.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, path: str) -> None:
        self.audio = stream_info(container, stream, path)
        self.channels, self.damaged = stream.codec_context.layout.nb_channels, 0
        self._container, self._stream, self._path = container, stream, path
        self._own_container: InputContainer | None = None
        self._seekable = not is_raw_audio(container, stream)
        self._number = container.streams.audio.index(stream)

    def opened_again(self) -> "AudioTrack":
        """The same track with a file of its own, so that it is read independently of what else is in this one."""
        track = AudioTrack(self._container, self._stream, self._path)
        track._open_own()
        return track

    def close(self) -> None:
        """Close what the track has opened itself."""
        if self._own_container:
            self._own_container.close()

    def read_audio(self, start: float, duration: float, sample_rate: int) -> AudioSamples:
        """See `SoundReader.read_audio`."""
        result = silence(start, duration, sample_rate)
        if start >= self.audio.end or start + duration <= self.audio.start:
            return result
        damaged_before, run, written = self.damaged, None, 0
        with decoding(self._path):
            for time, frame in self.iter_frames(start - _MARGIN, start + duration + _MARGIN):
                if run is None or not run.is_followed_by(time, frame.sample_rate):
                    written += run.finish() if run else 0
                    run = _Run(result, time, frame.sample_rate)
                run.add(frame)
            written += run.finish() if run else 0
        expected = min(start + duration, self.audio.end) - max(start, self.audio.start)
        lost = max(1.0 - written / sample_rate / expected, 0.0) if self.damaged > damaged_before else 0.0
        return replace(result, has_audio=written > 0 and lost <= _MAX_LOST, lost=lost)

    def iter_frames(self, begin: float, end: float) -> Iterator[tuple[float, av.AudioFrame]]:
        """The decoded frames that overlap a span, as stored.

        Args:
            begin: Presentation time, seconds.
            end: Presentation time, seconds.

        Yields:
            (presentation time in seconds, frame). Channels and rate may change.
        """
        expected: float | None = None
        for frame in self._frames_from(begin):
            if not 0 < frame.sample_rate <= _MAX_RATE:
                raise DecodeError(f"its audio has {frame.sample_rate} samples per second, which cannot be", self._path)
            time = self._time(frame, expected)
            expected = time + frame.samples / frame.sample_rate
            if time >= end:
                return
            if expected > begin and not frame.is_corrupt:
                yield time, frame

    def _time(self, frame: av.AudioFrame, expected: float | None) -> float:
        """Presentation time of a frame, seconds; without a time stamp it follows the one before."""
        if frame.pts is None:
            return self.audio.start if expected is None else expected
        base = time_unit(frame)
        return frame.pts * base.numerator / base.denominator

    def _frames_from(self, begin: float) -> Iterator[av.AudioFrame]:
        """Decoded frames from the one at an instant on, or from a little earlier."""
        if not self._seekable:
            self._open_own()
            return self._decode(begin, begin - _LEAD)
        earliest = max(begin, self.audio.start) + _LATE
        for back in _SEEK_BACK:
            target = max(begin - back, self.audio.start)
            seek(self._container, self._stream, target)
            frames = self._decode(begin)
            first = next(frames, None)
            if first is not None and self._time(first, None) <= earliest:
                return itertools.chain([first], frames)
            if target <= self.audio.start:
                break
        # A search for the beginning may end behind it.
        self._open_own()
        return self._decode(begin)

    def _open_own(self) -> None:
        self.close()
        self._container = self._own_container = open_input(self._path)
        self._stream = self._container.streams.audio[self._number]

    def _decode(self, begin: float, passed_over: float = -math.inf) -> Iterator[av.AudioFrame]:
        """Frames from the current position; packets before an instant (seconds) are passed over undecoded."""

        def time_of(packet: Packet) -> float | None:
            return None if packet.pts is None else float(packet.pts * time_unit(self._stream))

        def count(packet: Packet | None) -> None:
            time = None if packet is None else time_of(packet)
            # What is damaged before the span is nothing that was asked for.
            self.damaged += time is None or time >= begin

        def is_wanted(packet: Packet) -> bool:
            time = time_of(packet)
            return time is None or time >= passed_over

        streams = (self._stream,)
        for _, frame in decode_streams(self._container, streams, self._path, count, is_wanted, most_in_a_row=None):
            assert isinstance(frame, av.AudioFrame)
            yield frame


class _Run:
    """Frames of audio that follow each other, on their way to their place in a span.

    Args:
        result: The span, whose samples are written.
        time: Presentation time of the first frame, seconds.
        rate: Of the frames, Hz.
    """

    def __init__(self, result: AudioSamples, time: float, rate: int) -> None:
        self._result, self._time, self._rate = result, time, rate
        self._resampler = Resampler(rate, result.sample_rate)
        self._place = int(round((time - result.start) * result.sample_rate))
        self._samples, self._written = 0, 0
        # From the samples' format to floats, and for which (format, layout).
        self._converter: av.AudioResampler | None = None
        self._converted = ("", "")
        # Frames that are mixed together, [channels, n] each.
        self._held: list[NDArray[np.float32]] = []
        self._held_samples = 0

    def is_followed_by(self, time: float, rate: int) -> bool:
        """Whether a frame at this time, of this rate, continues the run.

        Time stamps are rounded (to a millisecond in Matroska): what comes within that follows directly.
        """
        late = round((time - self._time) * rate) - self._samples
        return rate == self._rate and abs(late) <= 0.002 * rate + 1

    def add(self, frame: av.AudioFrame) -> None:
        """Add the next frame."""
        samples = self._floats(frame)
        if self._held and len(samples) != len(self._held[0]):
            self._mix()
        self._held.append(samples)
        self._samples += samples.shape[1]
        self._held_samples += samples.shape[1]
        if self._held_samples >= _BLOCK:
            self._mix()

    def finish(self) -> int:
        """Write what is left; gives how many samples of the span the run has filled."""
        self._mix()
        self._write(self._resampler.finish())
        return self._written

    def _floats(self, frame: av.AudioFrame) -> NDArray[np.float32]:
        """Samples of a frame in any format, float32 [channels, N]."""
        channels = frame.layout.nb_channels
        if frame.format.name == "fltp" and channels < 8:
            return cast(NDArray[np.float32], frame.to_ndarray())
        # Packed, because PyAV cannot give eight planes as an array. Without a change of rate nothing is held back.
        kind = (frame.format.name, frame.layout.name)
        if self._converter is None or self._converted != kind:
            self._converter = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
            self._converted = kind
        frame.pts = None
        parts = [part.to_ndarray().reshape(-1, channels).T for part in self._converter.resample(frame)]
        return np.concatenate(parts, axis=1) if parts else np.zeros((channels, 0), np.float32)

    def _mix(self) -> None:
        if self._held:
            mono = to_mono(np.concatenate(self._held, axis=1))
            self._held, self._held_samples = [], 0
            self._write(self._resampler.add(mono))

    def _write(self, mono: NDArray[np.float32]) -> None:
        out = self._result.samples
        lo, hi = max(self._place, 0), min(self._place + len(mono), len(out))
        if hi > lo:
            out[lo:hi] = mono[lo - self._place : hi - self._place]
            self._written += hi - lo
        self._place += len(mono)


def to_mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of channels, or the loudest one where they cancel each other out, as stereo of opposite signs does.

    Args:
        samples: float32 [channels, N].

    Returns:
        float32 [N].
    """
    mono: NDArray[np.float32] = samples.mean(axis=0, dtype=np.float32)
    if len(samples) > 1:
        power = np.square(samples).sum(axis=1)
        if np.square(mono).sum() < _CANCELLED * power.max():
            return np.ascontiguousarray(samples[int(power.argmax())])
    return mono


class Resampler:
    """Changes the rate of a signal that comes in pieces, with FFmpeg's resampler.

    Args:
        rate: Of the signal, Hz.
        wanted: Of the result, Hz.
    """

    def __init__(self, rate: int, wanted: int) -> None:
        self._rate = rate
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=wanted) if rate != wanted else None

    def add(self, mono: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next piece, float32 [N]; gives what is ready, float32 [M]."""
        if self._resampler is None or not len(mono):
            return mono
        frame = av.AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
        frame.sample_rate = self._rate
        frame.time_base = Fraction(1, self._rate)
        return self._take(frame)

    def finish(self) -> NDArray[np.float32]:
        """What the resampler still holds, float32 [M]."""
        return self._take(None) if self._resampler else np.zeros(0, np.float32)

    def _take(self, frame: av.AudioFrame | None) -> NDArray[np.float32]:
        assert self._resampler is not None
        parts = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)


class SoundReader(MediaReader):
    """The sound of a file, be it a file of sound or a video, whose frames are not read; use as a context manager.

    Args:
        path: The file.

    Attributes:
        path: The file.
        audio: Where its audio lies on the presentation clock.
        damaged: Packets so far that could not be decoded.

    Raises:
        DecodeError: The file does not exist, has no audio stream, or is not a media file.
    """

    audio: StreamInfo

    def __init__(self, path: PathLike) -> None:
        self.path = path_text(path)
        self._container = open_input(self.path)
        try:
            with decoding(self.path):
                stream, problem = best_audio(self._container)
                if stream is None:
                    raise DecodeError(problem or "no audio stream in it", self.path)
                self._track = AudioTrack(self._container, stream, self.path)
                self._frames = self._where_frames_lie()
        except BaseException:
            self._container.close()
            raise
        self.audio = self._track.audio

    @property
    def damaged(self) -> int:
        """See the class."""
        return self._track.damaged

    def _where_frames_lie(self) -> StreamInfo | None:
        """Where the frames of a video lie; None without frames, or where they cannot be read."""
        stream = best_video(self._container)
        try:
            return stream_info(self._container, stream, self.path) if stream is not None else None
        except DecodeError:
            return None

    @property
    def clock(self) -> StreamInfo:
        """See `MediaReader.clock`."""
        return self._frames or self.audio

    def close(self) -> None:
        """Close the file."""
        self._track.close()
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
            DecodeError: The file cannot be read. Audio that is damaged is silent, and told in the result.
        """
        return self._track.read_audio(start, duration, sample_rate)


def resample(mono: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Change the rate of a whole signal.

    Args:
        mono: float32 [N].
        rate: Its rate, Hz.
        wanted: The rate of the result, Hz.

    Returns:
        float32 [about N * wanted / rate].
    """
    resampler = Resampler(rate, wanted)
    return np.concatenate([resampler.add(mono), resampler.finish()])
