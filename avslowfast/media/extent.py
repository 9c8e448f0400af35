"""Where the streams of a file lie on the presentation clock: by what it stores or, where it guesses, by its packets."""

import contextlib
import functools
import math
from dataclasses import dataclass

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from .storage import open_input, stamp_of
from .streams import DecodeError, DEFAULT_RATE, frame_rate, has_no_stamps, packets_of, StreamInfo, time_unit

# Formats without a header, or with one that does not say where the streams lie: it is guessed from some packets.
_NO_HEADER = frozenset({"mpegts", "mpeg", "asf"})
# Audio without a container: its length, and where a seek leads, are guessed from the bit rate of its first packets.
_RAW_AUDIO = frozenset({"aac", "ac3", "amr", "amrnb", "amrwb", "dts", "dtshd", "eac3", "loas", "mlp", "mp3", "truehd"})
# Frames of a lower rate are held, and a higher one is no frame rate, Hz.
_MIN_USUAL_RATE, _MAX_BASE_RATE = 10.0, 60.0
# A rate in a header that differs by more than this share from that of the packets is not believed.
_RATE_DIFFERS = 0.05
# Larger ones are not read whole for it, bytes.
_MAX_SCAN = 256 * 2**20
# Time stamps that go back farther than this, in seconds, begin anew.
BEGINS_ANEW = 1.0


def stream_info(container: InputContainer, stream: VideoStream | AudioStream, path: str) -> StreamInfo:
    """Where a stream lies, from what the file stores or, where that cannot be relied on, from its packets.

    Args:
        container: The open file.
        stream: One of its streams.
        path: The file.

    Raises:
        DecodeError: The stream is empty, or of an unknown codec.
    """
    # PyAV's types say that there always is one.
    if getattr(stream, "codec_context", None) is None:
        raise DecodeError(f"nothing decodes its {stream.type} stream (an unknown codec)", path)
    if isinstance(stream, VideoStream):
        rate = frame_rate(stream)
    else:
        rate = float(stream.codec_context.sample_rate or DEFAULT_RATE)
    scan = _scan_of(container, stream, path)
    span = None if scan else _stored_span(container, stream)
    if span is None:
        scan = scan or _scan(path, stamp_of(path, container))[stream.index].checked(stream.type, path)
        span = scan.start, scan.end
        if isinstance(stream, VideoStream) and abs(scan.rate - rate) > _RATE_DIFFERS * rate:
            # Fields counted as frames, for example.
            rate = scan.rate
    return StreamInfo(*span, rate)


def key_stamps(container: InputContainer, stream: VideoStream, path: str) -> frozenset[int] | None:
    """Time stamps of all key frames of a file without a header, None for others and for very large ones.

    After a seek in such a file the demuxer may guess time stamps wrongly.
    """
    scan = _scan_of(container, stream, path)
    return scan.key_stamps if scan else None


def usual_length(container: InputContainer, stream: VideoStream, path: str) -> float:
    """For how long a frame of a video is shown that is not held, seconds; the mean says little of that."""
    scan = _scan_of(container, stream, path)
    if scan:
        return scan.usual_length
    rate, base = frame_rate(stream), float(stream.base_rate or 0)
    # The base rate is the one of which all time stamps are multiples, or, where there is none, nonsense.
    return 1 / (base if rate <= base <= _MAX_BASE_RATE else max(rate, _MIN_USUAL_RATE))


def is_raw_audio(container: InputContainer, stream: AudioStream) -> bool:
    """Whether a file is audio without a container, in which only reading from the top tells where a packet lies."""
    # An MP3 file whose header counts its frames begins behind its priming.
    return container.format.name in _RAW_AUDIO and not (container.format.name == "mp3" and stream.start_time)


def _scan_of(container: InputContainer, stream: VideoStream | AudioStream, path: str) -> "_Scan | None":
    """What the packets of a stream tell, None where what the file stores is relied on."""
    raw = isinstance(stream, AudioStream) and is_raw_audio(container, stream)
    if container.format.name not in _NO_HEADER and not raw:
        return None
    stamp = stamp_of(path, container)
    return None if stamp[1] > _MAX_SCAN else _scan(path, stamp)[stream.index].checked(stream.type, path)


def _stored_span(container: InputContainer, stream: Stream) -> tuple[float, float] | None:
    """(start, end) of a stream as the file stores them, seconds; None where it does not, or what cannot be."""
    base = time_unit(stream)
    if stream.start_time is None:
        return None
    start = float(stream.start_time * base)
    if stream.duration:
        end = start + float(stream.duration * base)
    else:
        # Matroska's tag counts from zero, not from the stream's first packet.
        tagged = _tagged_duration(stream)
        if tagged is None:
            return None
        end = tagged
        if container.duration:
            # A tag may be left over from a file that was longer.
            end = min(end, max(container.start_time or 0, 0) / av.time_base + container.duration / av.time_base)
    return (start, end) if end > start else None


def _tagged_duration(stream: Stream) -> float | None:
    """Seconds in Matroska's tag DURATION, None without it."""
    text = stream.metadata.get("DURATION")
    if not text:
        return None
    try:
        hours, minutes, seconds = text.split(":")
        length = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
    return length if math.isfinite(length) else None


@dataclass(frozen=True)
class _Scan:
    """What the packets of a stream tell.

    Attributes:
        start: Presentation time of the first frame or sample, seconds. A video starts with its first key frame: what is
            shown before refers to frames that are not there.
        end: Presentation time at which the last one ends, seconds.
        rate: Frames per second, Hz; of audio, its samples.
        key_stamps: Time stamps of a video's key frames.
        usual_length: For how long a frame is shown that is not held, seconds.
        packets: How many there are.
        begins_anew: Instant at which the time stamps go back, seconds; None where they do not.
    """

    start: float
    end: float
    rate: float
    key_stamps: frozenset[int]
    usual_length: float
    packets: int
    begins_anew: float | None

    def checked(self, kind: str, path: str) -> "_Scan":
        """Itself, if something can be read by it; otherwise a `DecodeError` is raised."""
        if self.begins_anew is not None:
            raise begins_anew(self.begins_anew, path)
        if not self.packets:
            raise DecodeError(f"its {kind} stream is empty", path)
        return self


class _Tally:
    """Gathers what the packets of one stream tell.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: VideoStream | AudioStream) -> None:
        self._is_video, self._base = isinstance(stream, VideoStream), time_unit(stream)
        self._rate = frame_rate(stream) if isinstance(stream, VideoStream) else float(stream.rate or DEFAULT_RATE)
        self._start, self._end, self._newest, self._packets = math.inf, -math.inf, -math.inf, 0
        self._first_key: float | None = None
        self._begins_anew: float | None = None
        self._keys: set[int] = set()
        self._shown: set[int] = set()

    def add(self, packet: Packet) -> None:
        """Count one more packet."""
        self._packets += packet.size > 0
        if packet.pts is None or self._begins_anew is not None:
            return
        time = float(packet.pts * self._base)
        if packet.dts is not None:
            decoded = float(packet.dts * self._base)
            if decoded < self._newest - BEGINS_ANEW:
                self._begins_anew = self._newest
            self._newest = max(self._newest, decoded)
        if self._is_video:
            self._shown.add(packet.pts)
            if packet.is_keyframe:
                self._first_key = time if self._first_key is None else self._first_key
                self._keys.add(packet.pts)
        self._start = min(self._start, time)
        self._end = max(self._end, time + float((packet.duration or 0) * self._base))

    def result(self, has_stamps: bool) -> _Scan:
        """What was gathered; without time stamps, frames are counted."""
        rate, usual = self._rate, 1 / self._rate
        if self._start > self._end or self._is_video and not has_stamps:
            return _Scan(0.0, self._packets / rate, rate, frozenset(), usual, self._packets, self._begins_anew)
        start = self._start if self._first_key is None else self._first_key
        if len(self._shown) > 1:
            gaps = np.diff(sorted(self._shown)) * float(self._base)
            rate, usual = 1 / float(gaps.mean()), float(np.quantile(gaps, 0.25))
        end = max(self._end, start)
        return _Scan(start, end, rate, frozenset(self._keys), usual, self._packets, self._begins_anew)


@functools.lru_cache(maxsize=4096)
def _scan(path: str, stamp: tuple[str, int]) -> dict[int, _Scan]:
    """Read the time stamps of all packets of a file's video and audio; kept for each file and process.

    Args:
        path: The file.
        stamp: See `storage.stamp_of`; a file that changes is read again.

    Returns:
        By number of the stream.
    """
    with open_input(path) as container:
        # PyAV's types say that there always is a decoder.
        known = [stream for stream in container.streams if getattr(stream, "codec_context", None) is not None]
        streams = [stream for stream in known if isinstance(stream, VideoStream | AudioStream)]
        tallies = {stream.index: _Tally(stream) for stream in streams}
        # Reading ends at a damaged tail; what was read until then is what there is.
        with contextlib.suppress(av.error.FFmpegError):
            for packet in packets_of(container, *streams):
                tallies[packet.stream_index].add(packet)
        return {index: tally.result(not has_no_stamps(container)) for index, tally in tallies.items()}


def begins_anew(time: float, path: str) -> DecodeError:
    """The error of a file whose time stamps begin anew at an instant (seconds)."""
    return DecodeError(
        f"its time stamps begin anew at {time:.2f} s (recordings that were joined as they are?); take it apart, or"
        " write it anew with ffmpeg",
        path,
    )
