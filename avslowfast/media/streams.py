"""The streams of a media file: opening, where they lie on the presentation clock, decoding them in order."""

import contextlib
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
from ..utils.errors import UserError, without_credentials

PathLike = str | os.PathLike[str]
Opened = TypeVar("Opened", bound="OpenFile")

# Pixels of the largest frame that is decoded: twice those of an 8K video. The memory of a few such frames has to do.
MAX_PIXELS = 8192 * 8192
# Decoders count lines as multiples of 64 pixels; no frame has more lines than these.
PADDING = 64 * 65536
# Packets in a row that may fail before the file counts as unreadable.
_MAX_BAD_PACKETS = 50
# Assumed for a stream without a stored rate, Hz.
DEFAULT_RATE = 25.0
# FFmpeg's flag of formats without time stamps.
_NO_STAMPS = 0x80


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
        return without_credentials(f"{self.path}: {self.reason}" if self.path else self.reason)

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


def has_no_stamps(container: InputContainer) -> bool:
    """Whether a file is a raw stream, whose frames can only be counted."""
    return bool(container.format.flags & _NO_STAMPS)


def frame_rate(stream: VideoStream) -> float:
    """Frames per second of a video stream, Hz; for a variable frame rate the mean."""
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return rate if rate > 0 else DEFAULT_RATE
