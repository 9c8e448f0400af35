"""A downloaded video as a file that is quick to read: short side 256, one key frame per second, audio in its place.

Both streams keep their presentation times, so audio that begins late begins late in the new file too.
"""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.frame import Frame
from av.packet import Packet
from av.stream import Stream
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..utils.files import replacing
from .pixels import Scaler, shown_size
from .streams import (
    best_audio,
    best_video,
    decode_streams,
    DecodeError,
    file_url,
    open_input,
    PathLike,
    reason_of,
    time_unit,
)

# Finer than any frame rate, and the usual clock of mp4 files.
_CLOCK = Fraction(1, 90000)
# Seconds without audio that count as a gap.
_GAP = 0.02


@dataclass(frozen=True)
class TranscodeResult:
    """What `transcode` wrote.

    Attributes:
        seconds: Presentation time at which the last frame of the new file ends.
        has_audio: Whether the new file has audio.
        damaged_packets: Packets of the source that could not be decoded.
    """

    seconds: float
    has_audio: bool
    damaged_packets: int


class Painter(Protocol):
    """Changes the frames of a video while it is transcoded."""

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of the new frames, both even, from those of the scaled ones."""
        ...

    def paint(self, pixels: NDArray[np.uint8], seconds: float) -> NDArray[np.uint8]:
        """A new frame, RGB uint8 [H, W, 3], from a scaled one and its time in the new file."""
        ...


def target_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """(height, width) with `short_side` pixels on the short side, both even; smaller frames keep their size."""
    scale = min(short_side / min(height, width), 1.0)
    return max(2 * round(height * scale / 2), 2), max(2 * round(width * scale / 2), 2)


def transcode(
    source: PathLike,
    out: PathLike,
    short_side: int = 256,
    span: tuple[float, float] | None = None,
    crf: float = 23,
    painter: Painter | None = None,
) -> TranscodeResult:
    """Write a video anew as H.264 and AAC in mp4, whole or not at all.

    Args:
        source: File to read.
        out: File to write, through a temporary file in the same folder that is renamed at the end.
        short_side: Pixels; frames are never enlarged. Display rotation is applied.
        span: (start, stop) in seconds on the file's clock, which becomes second 0 of the new file. None keeps all
            frames and their times.
        crf: Quality of x264, lower is better.
        painter: Changes the frames; None keeps them.

    Raises:
        DecodeError: The file cannot be read, or holds no frames there.
        OSError: The new file cannot be written.
    """
    try:
        with (
            replacing(out) as part,
            open_input(str(source)) as container,
            av.open(file_url(part), "w", format="mp4") as target,
        ):
            # The new file is closed, and so complete, before it gets its name.
            return _Transcoder(container, target, str(source), short_side, span, crf, painter).run()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # A full disk, or a folder in which nothing may be written, is no fault of the source.
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(number, os.strerror(number), os.fspath(out)) from None
        if isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError):
            raise
        raise DecodeError(reason_of(error), source) from None


class _Transcoder:
    """One file on its way into another; the arguments are those of `transcode`, with the files open."""

    def __init__(
        self,
        source: InputContainer,
        target: OutputContainer,
        path: str,
        short_side: int,
        span: tuple[float, float] | None,
        crf: float,
        painter: Painter | None,
    ) -> None:
        self.source, self.target, self.path, self.painter = source, target, path, painter
        self.span = span or (-float("inf"), float("inf"))
        # Seconds that are subtracted from every time stamp.
        self.origin = span[0] if span else 0.0
        video = best_video(source)
        if video is None:
            raise DecodeError("no video stream in it", path)
        self.video, self.audio = video, best_audio(source, related=video)
        self.video.thread_type = "AUTO"
        self.scaler, self.rgb = VideoReformatter(), Scaler()
        self.last_key: int | None = None
        self.last_pts: int | None = None
        self.damaged, self.written_frames, self.end = 0, 0, 0.0
        # Both streams have to exist before the first packet is written.
        self.size = self._first_size(short_side)
        self.out_video = self._add_video(crf)
        self.audio_writer = _AudioWriter(target, self.audio) if self.audio is not None else None

    def _first_size(self, short_side: int) -> tuple[int, int]:
        """(height, width) of the scaled frames, from the first one that can be decoded."""
        first = next((frame for _, frame in self._decode(self.video)), None)
        if not isinstance(first, av.VideoFrame):
            raise DecodeError("no frame could be decoded", self.path)
        self.source.seek(0, backward=True)
        return target_size(*shown_size(first), short_side)

    def _add_video(self, crf: float) -> VideoStream:
        # Key frames are asked for by time; the encoder adds none by itself.
        options = {"preset": "veryfast", "crf": str(crf), "forced-idr": "1", "sc_threshold": "0", "threads": "1"}
        stream = self.target.add_stream("libx264", rate=self.video.average_rate or 25, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = self.painter.size(*self.size) if self.painter else self.size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base, stream.codec_context.gop_size = _CLOCK, 1000
        return stream

    def run(self) -> TranscodeResult:
        """See `transcode`."""
        if self.span[0] > 0:
            self.source.seek(int(self.span[0] / time_unit(self.video)), stream=self.video, backward=True)
        for _, frame in self._decode(self.video, *([self.audio] if self.audio is not None else [])):
            time = float((frame.pts or 0) * time_unit(frame))
            is_video = isinstance(frame, av.VideoFrame)
            if is_video and time > self.span[1] + 1:
                break
            if not self.span[0] <= time < self.span[1]:
                continue
            if isinstance(frame, av.VideoFrame):
                self._write_frame(frame, time - self.origin)
            elif isinstance(frame, av.AudioFrame) and self.audio_writer is not None:
                self.audio_writer.write(frame, time - self.origin)
        if not self.written_frames:
            raise DecodeError(f"no frame in it between {self.span[0]:.0f} and {self.span[1]:.0f} s", self.path)
        self._mux(self.out_video.encode(None))
        has_audio = self.audio_writer is not None and self.audio_writer.finish()
        return TranscodeResult(self.end, has_audio, self.damaged)

    def _decode(self, *streams: Stream) -> Iterator[tuple[Stream, Frame]]:
        return decode_streams(self.source, streams, self.path, self._count_damage)

    def _count_damage(self) -> None:
        self.damaged += 1

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            self.target.mux(packet)

    def _write_frame(self, frame: av.VideoFrame, time: float) -> None:
        pts = round(time / _CLOCK)
        if self.last_pts is not None and pts <= self.last_pts:
            # Two frames for one instant; the first has been written.
            return
        if self.painter or frame.rotation:
            pixels = self.rgb.convert(frame, self.size)
            painted = self.painter.paint(pixels, time) if self.painter else pixels
            new = self.scaler.reformat(av.VideoFrame.from_ndarray(painted, format="rgb24"), format="yuv420p")
        else:
            new = self.scaler.reformat(frame, self.size[1], self.size[0], "yuv420p", interpolation="BILINEAR")
        new.pts, new.time_base, self.last_pts = pts, _CLOCK, pts
        second = int(np.floor(time))
        new.pict_type = PictureType.I if second != self.last_key else PictureType.NONE
        self.last_key = second
        self.written_frames += 1
        self.end = time + 1.0 / float(self.video.average_rate or 25)
        self._mux(self.out_video.encode(new))


class _AudioWriter:
    """The AAC stream of a new file, filled from decoded audio frames.

    Args:
        target: The new file.
        source: The audio stream that is read.
    """

    def __init__(self, target: OutputContainer, source: AudioStream) -> None:
        rate = min(source.codec_context.sample_rate or 44100, 48000)
        layout = "stereo" if source.codec_context.layout.nb_channels > 1 else "mono"
        stream = target.add_stream("aac", rate=rate, layout=layout)
        assert isinstance(stream, AudioStream)
        self._target, self._stream = target, stream
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate, frame_size=1024)
        # Number of the next sample at the source's rate; None before the first.
        self._next_sample: int | None = None

    def write(self, frame: av.AudioFrame, time: float) -> None:
        """Write a frame at its time (seconds) in the new file; gaps become silence."""
        rate = frame.sample_rate
        at = round(time * rate)
        expected = at if self._next_sample is None else self._next_sample
        # Time stamps are rounded (to a millisecond in Matroska), which is no gap. A real gap is filled with silence,
        # so that what follows keeps its place.
        if at - expected > _GAP * rate:
            gap = av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=at - expected)
            for plane in gap.planes:
                plane.update(bytes(plane.buffer_size))
            gap.sample_rate = rate
            expected = self._place(gap, expected)
        elif expected - at > _GAP * rate:
            return
        self._place(frame, expected)

    def finish(self) -> bool:
        """Write what the encoder still holds; gives whether there was any audio."""
        if self._next_sample is None:
            return False
        self._resample(None)
        for packet in self._stream.encode(None):
            self._target.mux(packet)
        return True

    def _place(self, frame: av.AudioFrame, at: int) -> int:
        """Write a frame at this sample; gives the number of the next sample."""
        frame.pts, frame.time_base = at, Fraction(1, frame.sample_rate)
        self._next_sample = at + frame.samples
        self._resample(frame)
        return at + frame.samples

    def _resample(self, frame: av.AudioFrame | None) -> None:
        for chunk in self._resampler.resample(frame):
            for packet in self._stream.encode(chunk):
                self._target.mux(packet)
