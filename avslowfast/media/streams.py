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
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from ..utils.arguments import ArgumentTypeError
from ..utils.errors import UserError

PathLike = str | os.PathLike[str]
Opened = TypeVar("Opened", bound="OpenFile")

# Packets in a row that may fail before the file counts as unreadable.
_MAX_BAD_PACKETS = 50
# Assumed for a stream without a stored rate, Hz.
_DEFAULT_RATE = 25.0


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


def open_input(path: str) -> InputContainer:
    """Open a media file for reading.

    Args:
        path: The file.

    Raises:
        DecodeError: It does not exist or is not a media file.
    """
    check_kind(path)
    try:
        return av.open(file_url(path))
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
def closed_on_failure(container: InputContainer, path: str) -> Iterator[None]:
    """Close a file when the block fails.

    Args:
        container: The open file.
        path: Its name, for the message.

    Raises:
        DecodeError: FFmpeg reported an error in the block.
    """
    try:
        yield
    except DecodeError:
        container.close()
        raise
    except av.error.FFmpegError as error:
        container.close()
        raise DecodeError(reason_of(error), path) from None


def best_video(container: InputContainer) -> VideoStream | None:
    """The video stream that FFmpeg prefers, None for a file without; the cover of a sound file is none."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        return None
    return stream


def best_audio(container: InputContainer, related: VideoStream | None = None) -> AudioStream | None:
    """The audio stream that FFmpeg prefers, None for a file without.

    Args:
        container: The open file.
        related: Video stream to which the audio should belong.
    """
    stream = container.streams.best("audio", related=related)
    return stream if isinstance(stream, AudioStream) else None


def time_unit(source: Stream | Frame) -> Fraction:
    """Unit of the time stamps of a stream or of a decoded frame, seconds."""
    assert source.time_base is not None  # set for every stream that can be decoded, and for frames of `decode_streams`
    return source.time_base


def frame_time(frame: Frame) -> float:
    """Presentation time of a frame that `decode_streams` gave, seconds."""
    base = time_unit(frame)
    assert frame.pts is not None  # `decode_streams` passes over frames without a time stamp
    return frame.pts * base.numerator / base.denominator


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


def decode_streams(
    container: InputContainer,
    streams: Sequence[Stream],
    path: str,
    on_damage: Callable[[], None] | None = None,
) -> Iterator[tuple[Stream, Frame]]:
    """Decode streams from the current position, in the file's order; damaged packets are passed over.

    Args:
        container: The open file.
        streams: The streams to decode.
        path: The file's name, for messages.
        on_damage: Called without arguments for each damaged packet.

    Yields:
        (stream, frame); frames without a time stamp are left out.

    Raises:
        DecodeError: Too many damaged packets in a row.
    """
    in_a_row, packets = 0, container.demux(*streams)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
            in_a_row = 0
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            in_a_row += 1
            if on_damage:
                on_damage()
            if in_a_row > _MAX_BAD_PACKETS:
                raise DecodeError(f"{in_a_row} damaged packets in a row ({reason_of(error)})", path) from None
            continue
        for frame in frames:
            if isinstance(frame, Frame) and frame.pts is not None:
                yield packet.stream, frame


def reason_of(error: Exception) -> str:
    """What an error of FFmpeg or of the system says, as a phrase."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def stream_info(path: str, stream: VideoStream | AudioStream) -> StreamInfo:
    """Where a stream lies, from what the file stores or, where it stores nothing, from its packets.

    Args:
        path: The file.
        stream: One of its streams.

    Raises:
        DecodeError: The stream is empty, or of an unknown codec.
    """
    # PyAV's types say that there always is one.
    if getattr(stream, "codec_context", None) is None:
        raise DecodeError(f"nothing decodes its {stream.type} stream (an unknown codec)", path)
    base = time_unit(stream)
    start = float(stream.start_time * base) if stream.start_time is not None else 0.0
    length: float | None
    if stream.duration:
        length = float(stream.duration * base)
    else:
        tagged = _tagged_duration(stream)
        # Matroska's tag counts from zero, not from the stream's first packet.
        length = tagged - start if tagged is not None else None
    if length is None or length <= 0:
        stat = os.stat(path)
        start, length = _scan(path, (stat.st_mtime_ns, stat.st_size), stream.index)
    if isinstance(stream, VideoStream):
        rate = float(stream.average_rate or stream.guessed_rate or 0)
    else:
        rate = float(stream.codec_context.sample_rate or 0)
    return StreamInfo(start, start + length, rate if rate > 0 else _DEFAULT_RATE)


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


@functools.lru_cache(maxsize=4096)
def _scan(path: str, stamp: tuple[int, int], index: int) -> tuple[float, float]:
    """(start, length) of a stream from its packets' time stamps, seconds.

    The whole file is read for them, so the result is kept for each file and process.

    Args:
        path: The file.
        stamp: Its modification time and size, so that a file that changes is read again.
        index: Number of the stream.
    """
    first, last = float("inf"), float("-inf")
    with av.open(file_url(path)) as container:
        stream = container.streams[index]
        base = time_unit(stream)
        # Reading ends at a damaged tail; what was read until then is what there is.
        with contextlib.suppress(av.error.FFmpegError):
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                begin = float(packet.pts * base)
                end = begin + float((packet.duration or 0) * base)
                first, last = min(first, begin), max(last, end)
        if first > last:
            raise DecodeError(f"its {stream.type} stream is empty", path)
    return first, max(last - first, 0.0)
