"""The streams of a media file: opening, where they lie on the presentation clock, decoding them in order."""

import contextlib
import functools
import math
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import TypeVar

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.frame import Frame
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from ..utils.arguments import ArgumentTypeError
from ..utils.errors import UserError

PathLike = str | os.PathLike[str]
Opened = TypeVar("Opened", bound="OpenFile")

# Pixels of the largest frame that is decoded: twice those of an 8K video. The memory of a few such frames has to do.
MAX_PIXELS = 8192 * 8192
# Decoders count lines as multiples of 64 pixels; no frame has more lines than these.
PADDING = 64 * 65536
# Packets in a row that may fail before the file counts as unreadable.
_MAX_BAD_PACKETS = 50
# Assumed for a stream without a stored rate, Hz.
_DEFAULT_RATE = 25.0
# Formats without a header, or with one that does not say where the streams lie: it is guessed from some packets.
_NO_HEADER = frozenset({"mpegts", "mpeg", "asf"})
# Audio without a container: its length, and where a seek leads, are guessed from the bit rate of its first packets.
_RAW_AUDIO = frozenset({"aac", "ac3", "amr", "amrnb", "amrwb", "dts", "dtshd", "eac3", "loas", "mlp", "mp3", "truehd"})
# FFmpeg's flag of formats without time stamps.
_NO_STAMPS = 0x80
# Frames of a lower rate are held, and a higher one is no frame rate, Hz.
_MIN_USUAL_RATE, _MAX_BASE_RATE = 10.0, 60.0
# A rate in a header that differs by more than this share from that of the packets is not believed.
_RATE_DIFFERS = 0.05
# Larger ones are not read whole for it, bytes.
_MAX_SCAN = 256 * 2**20
# Time stamps that go back farther than this, in seconds, begin anew.
BEGINS_ANEW = 1.0


class OpenFile(ABC):
    """Something open that a `with` statement closes."""

    @abstractmethod
    def close(self) -> None:
        """Close the files."""

    def __enter__(self: Opened) -> Opened:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DecodeError(UserError, RuntimeError):
    """A file, or a span of it, that cannot be decoded; the message names the file and the reason.

    Args:
        reason: Why.
        path: The file; "" where the reason names several.
    """

    def __init__(self, reason: str, path: PathLike = "") -> None:
        super().__init__(reason, str(path))
        self.reason, self.path = reason, str(path)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason

    def reason_for(self, path: PathLike) -> str:
        """The reason, for a line that names a file already; another file, such as that of the audio, is named."""
        return self.reason if self.path == str(path) else str(self)


@dataclass(frozen=True)
class StreamInfo:
    """Where a stream lies on the presentation clock.

    Attributes:
        start: Presentation time of its first frame or sample, seconds.
        end: Presentation time at which its last frame or sample ends, seconds.
        rate: Frames or samples per second, Hz; for a variable frame rate the mean.
    """

    start: float
    end: float
    rate: float

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.end - self.start

    def __str__(self) -> str:
        return f"{self.start:.2f}-{self.end:.2f} s at {self.rate:.6g} Hz"


def path_text(path: PathLike) -> str:
    """The path of a file as text.

    Args:
        path: What a person gave.

    Raises:
        ArgumentTypeError: It is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(
            f"a {type(path).__name__} is given in place of the path of a file; give a path (str or Path), one at a time"
        )
    return os.fsdecode(path)


def file_url(path: PathLike) -> str:
    """A path as FFmpeg takes it for a file, whatever its name: 12:30:05.mp4 is one of "protocol" 12 otherwise."""
    return f"file:{os.fsdecode(path)}"


def open_input(path: str, max_pixels: int = MAX_PIXELS) -> InputContainer:
    """Open a media file for reading.

    Args:
        path: The file.
        max_pixels: Larger frames are not decoded, not even to find out what is in the file.

    Raises:
        DecodeError: It does not exist or is not a media file.
    """
    check_kind(path)
    try:
        return av.open(file_url(path), options={"max_pixels": str(max_pixels + PADDING)})
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise DecodeError(f"cannot be opened ({reason_of(error)})", path) from None


def check_kind(path: str) -> None:
    """Check that a path, where it is a local one, is no pipe and no device: reading these may never end.

    Args:
        path: The file.

    Raises:
        DecodeError: It is.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        # FFmpeg says why it cannot be opened, or it is no local path.
        return
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise DecodeError("no regular file (a pipe, socket or device)", path)


@contextlib.contextmanager
def decoding(path: str) -> Iterator[None]:
    """The one boundary of what FFmpeg, PyAV, numpy and the system raise on a file.

    Args:
        path: The file, for the message.

    Raises:
        DecodeError: In place of any error of the block that is not meant for people already.
    """
    try:
        yield
    except UserError:
        raise
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeError(reason_of(error), path) from error
    except Exception as error:
        raise DecodeError(f"cannot be decoded ({type(error).__name__}: {reason_of(error)})", path) from error


def best_video(container: InputContainer) -> VideoStream | None:
    """The video stream that FFmpeg prefers, None for a file without; a cover picture is none."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    best = container.streams.best("video")
    return best if best in streams else next(iter(streams), None)


def best_audio(container: InputContainer, related: VideoStream | None = None) -> tuple[AudioStream | None, str]:
    """The audio stream that FFmpeg prefers among those that can be decoded.

    Args:
        container: The open file.
        related: Video stream to which the audio should belong.

    Returns:
        (stream, ""), or (None, why there is none), "" for a file without audio.
    """
    streams = container.streams.audio
    # PyAV's types say that there always is a decoder.
    decodable = [stream for stream in streams if getattr(stream, "codec_context", None) is not None]
    if not decodable:
        return None, "no audio that can be decoded (an unknown codec)" if streams else ""
    best = container.streams.best("audio", related=related)
    return (best if isinstance(best, AudioStream) and best in decodable else decodable[0]), ""


def time_unit(source: Stream | Frame) -> Fraction:
    """Unit of the time stamps of a stream or of a decoded frame, seconds."""
    assert source.time_base is not None  # set for every stream that can be decoded, and for frames of `decode_streams`
    return source.time_base


def seek(container: InputContainer, stream: Stream, time: float) -> None:
    """Move to the last key frame at or before an instant, as far as the file has an index.

    Without an index the demuxer may refuse. Decoding then continues from the current position, which the caller checks.

    Args:
        container: The open file.
        stream: The stream whose key frames count.
        time: Presentation time in seconds.
    """
    with contextlib.suppress(av.error.FFmpegError):
        container.seek(int(np.floor(time / time_unit(stream))), stream=stream, backward=True, any_frame=False)


def seek_to_beginning(container: InputContainer) -> None:
    """Move to the beginning of a file; see `seek`."""
    with contextlib.suppress(av.error.FFmpegError):
        container.seek(0, backward=True, any_frame=False)


def packets_of(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """Packets of streams from the current position, in the file's order.

    Args:
        container: The open file.
        *streams: The streams.
    """
    while True:
        try:
            yield from container.demux(*streams)
            return
        except IndexError:
            # A packet of a stream that begins in mid-file, which PyAV does not know.
            continue


def decode_streams(
    container: InputContainer,
    streams: Sequence[Stream],
    path: str,
    on_damage: Callable[[Packet | None], None],
    on_packet: Callable[[Packet], bool] | None = None,
    most_in_a_row: int | None = _MAX_BAD_PACKETS,
) -> Iterator[tuple[Stream, Frame]]:
    """Decode streams from the current position, in the file's order; damaged packets are passed over.

    Args:
        container: The open file.
        streams: The streams to decode.
        path: The file's name, for messages.
        on_damage: Called with each damaged packet; with None where the file itself is damaged, or ends too early.
        on_packet: Called with each packet before it is decoded; False leaves the packet out.
        most_in_a_row: Damaged packets in a row that are passed over; None passes over all.

    Yields:
        (stream, frame).

    Raises:
        DecodeError: Too many damaged packets in a row.
    """
    in_a_row, packets = 0, packets_of(container, *streams)
    while True:
        packet: Packet | None = None
        try:
            packet = next(packets, None)
            if packet is None:
                return
            if packet.size == 0 and packet.pts is not None:
                # The frame before is shown on. To the decoder it would be the end of the stream.
                continue
            if on_packet and not on_packet(packet):
                continue
            frames = packet.decode()
            in_a_row = 0
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            in_a_row += 1
            on_damage(packet)
            if most_in_a_row is not None and in_a_row > most_in_a_row:
                raise DecodeError(f"{in_a_row} damaged packets in a row ({reason_of(error)})", path) from None
            continue
        for frame in frames:
            if isinstance(frame, Frame):
                yield packet.stream, frame


def reason_of(error: Exception) -> str:
    """What an error of FFmpeg or of the system says, as a phrase."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


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
        rate = float(stream.codec_context.sample_rate or _DEFAULT_RATE)
    scan = _scan_of(container, stream, path)
    span = None if scan else _stored_span(container, stream)
    if span is None:
        scan = scan or _scan(path, _stamp_of(path))[stream.index].checked(stream.type, path)
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
    if container.format.name not in _NO_HEADER and not raw or os.stat(path).st_size > _MAX_SCAN:
        return None
    return _scan(path, _stamp_of(path))[stream.index].checked(stream.type, path)


def _stamp_of(path: str) -> tuple[int, int]:
    """(modification time, size), so that a file that changes is read again."""
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size


def has_no_stamps(container: InputContainer) -> bool:
    """Whether a file is a raw stream, whose frames can only be counted."""
    return bool(container.format.flags & _NO_STAMPS)


def frame_rate(stream: VideoStream) -> float:
    """Frames per second of a video stream, Hz; for a variable frame rate the mean."""
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return rate if rate > 0 else _DEFAULT_RATE


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
        self._rate = frame_rate(stream) if isinstance(stream, VideoStream) else float(stream.rate or _DEFAULT_RATE)
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
def _scan(path: str, stamp: tuple[int, int]) -> dict[int, _Scan]:
    """Read the time stamps of all packets of a file's video and audio; kept for each file and process.

    Args:
        path: The file.
        stamp: See `_stamp_of`.

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
