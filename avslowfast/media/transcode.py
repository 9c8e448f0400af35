"""A downloaded video as a file that is quick to read: short side 256, one key frame per second, audio in its place.

Both streams keep their presentation times, so audio that begins late begins late in the new file too.
"""

import errno
import heapq
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import cast, Protocol

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..utils.files import replacing
from .pixels import is_plain, Scaler, shown_size
from .sound import AudioTrack
from .streams import DecodeError, file_url, PathLike, reason_of
from .video import VideoReader

# Finer than any frame rate, and the usual clock of mp4 files.
_CLOCK = Fraction(1, 90000)
# Edit lists, which say when each stream begins, count in units of the movie, milliseconds by default.
_PRECISE = {"movie_timescale": "90000"}
# Half of veryfast's time at its quality, some 10 % larger: no look ahead at scaled frames, every second frame a B
# frame, whole macroblocks between frames. x264's tree of macroblocks, which needs the look ahead, also makes another
# file in each run on processors with AVX-512.
_FASTER = "mbtree=0:rc-lookahead=0:b-adapt=0:bframes=1:weightp=0:partitions=i4x4,i8x8"
# The two-loop search of FFmpeg's AAC takes 1.7 times as long and is further from the source in its samples.
_AAC = {"aac_coder": "fast"}
# Most samples per second of a new file.
_MOST_HZ = 48000
# Seconds without audio that count as a gap.
_GAP = 0.02
# A longer gap is not filled with silence, seconds: its time stamps have jumped.
_LONGEST_SILENCE = 60


@dataclass(frozen=True)
class TranscodeResult:
    """What `transcode` wrote.

    Attributes:
        seconds: Presentation time at which the last frame of the new file ends.
        has_audio: Whether the new file has audio.
        damaged_packets: Packets and frames of the source that could not be decoded, or only in part.
        frames_read: Frames of the source, in the span.
        frames_written: Frames of the new file.
        audio_problem: Why the source's audio could not be decoded, "" where it could or there is none.
    """

    seconds: float
    has_audio: bool
    damaged_packets: int
    frames_read: int
    frames_written: int
    audio_problem: str = ""


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
    threads: int = 0,
) -> TranscodeResult:
    """Write a video anew as H.264 and AAC in mp4, whole or not at all.

    Args:
        source: File to read.
        out: File to write, through a temporary file in the same folder that is renamed at the end.
        short_side: Pixels; frames are never enlarged. They come out as they are
            shown: rotated or mirrored, with square pixels.
        span: (start, stop) in seconds on the file's clock, which becomes second 0 of the new file. None keeps all
            frames and their times.
        crf: Quality of x264, lower is better.
        painter: Changes the frames; None keeps them.
        threads: Decoding threads; 0 is one per core, 1 takes the least time of all cores together.

    Raises:
        DecodeError: The file cannot be read, or holds no frames there.
        OSError: The new file cannot be written.
    """
    try:
        with replacing(out) as part, VideoReader(source, threads=threads) as reader:
            # The new file is closed, and so complete, before it gets its name.
            with av.open(file_url(part), "w", format="mp4", options=_PRECISE) as target:
                return _Transcoder(reader, target, short_side, span, crf, painter).run()
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # A full disk, or a folder in which nothing may be written, is no fault of the source.
        number = getattr(error, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(number, os.strerror(number), os.fspath(out)) from None
        if isinstance(error, OSError) and not isinstance(error, av.error.FFmpegError):
            raise
        raise DecodeError(reason_of(error), source) from error


class _Transcoder:
    """One file on its way into another; the arguments are those of `transcode`, with the files open."""

    def __init__(
        self,
        reader: VideoReader,
        target: OutputContainer,
        short_side: int,
        span: tuple[float, float] | None,
        crf: float,
        painter: Painter | None,
    ) -> None:
        self.reader, self.target, self.painter = reader, target, painter
        self.span = span or (-float("inf"), float("inf"))
        self.scaler, self.rgb = VideoReformatter(), Scaler()
        self.last_key: int | None = None
        self.last_pts: int | None = None
        self.read, self.written, self.end = 0, 0, 0.0
        # Both streams have to exist before the first packet is written.
        start, first = next(reader.iter_frames(self.span[0]), (0.0, None))
        if first is None:
            raise DecodeError("no frame could be decoded", reader.path)
        # Seconds that are subtracted from every time stamp; mp4 shows nothing before second 0.
        self.origin = span[0] if span else min(start, 0.0)
        self.size = target_size(*shown_size(first, reader.pixel_aspect), short_side)
        self.out_video = self._add_video(crf, first)
        self.audio = reader.open_audio()
        self.audio_writer = _AudioWriter(target, self.audio) if self.audio else None

    def _add_video(self, crf: float, first: av.VideoFrame) -> VideoStream:
        # Key frames are asked for by time; the encoder adds none by itself.
        options = {"preset": "veryfast", "crf": str(crf), "forced-idr": "1", "sc_threshold": "0", "threads": "1"}
        options["x264-params"] = _FASTER
        rate = Fraction(self.reader.video.rate).limit_denominator(100_000)
        stream = self.target.add_stream("libx264", rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = self.painter.size(*self.size) if self.painter else self.size
        stream.pix_fmt = "yuv420p"
        context, new = stream.codec_context, self._converted(first, 0.0)
        context.time_base, context.gop_size = _CLOCK, 1000
        # Otherwise readers guess the matrix by the size, which is smaller now.
        context.colorspace, context.color_range = new.colorspace, new.color_range
        context.color_primaries, context.color_trc = first.color_primaries, first.color_trc
        return stream

    def run(self) -> TranscodeResult:
        """See `transcode`."""
        begin, end = self.span
        frames = ((time, frame) for time, frame in self.reader.iter_frames(begin) if time >= begin)
        audio = self.audio.iter_frames(begin, end) if self.audio else iter(())
        try:
            for time, frame in _by_time(frames, audio):
                if time >= end:
                    break
                if isinstance(frame, av.VideoFrame):
                    self._write_frame(frame, time - self.origin)
                elif self.audio_writer is not None and time >= begin:
                    self.audio_writer.write(frame, time - self.origin)
            if not self.read:
                raise DecodeError(f"no frame in it between {begin:.0f} and {end:.0f} s", self.reader.path)
            self._mux(self.out_video.encode(None))
            has_audio = self.audio_writer is not None and self.audio_writer.finish()
        finally:
            if self.audio:
                self.audio.close()
        damaged = self.reader.damaged + (self.audio.damaged if self.audio else 0)
        return TranscodeResult(self.end, has_audio, damaged, self.read, self.written, self.reader.audio_problem)

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            self.target.mux(packet)
            self.written += 1

    def _converted(self, frame: av.VideoFrame, time: float) -> av.VideoFrame:
        """The new frame, yuv420p."""
        if self.painter or not is_plain(frame):
            pixels = self.rgb.convert(frame, self.size)
            painted = self.painter.paint(pixels, time) if self.painter else pixels
            return self.scaler.reformat(av.VideoFrame.from_ndarray(painted, format="rgb24"), format="yuv420p")
        return self.scaler.reformat(frame, self.size[1], self.size[0], "yuv420p", interpolation="BILINEAR")

    def _write_frame(self, frame: av.VideoFrame, time: float) -> None:
        self.read += 1
        pts = round(time / _CLOCK)
        if self.last_pts is not None:
            # Two frames for one instant follow each other at once.
            pts = max(pts, self.last_pts + 1)
        new = self._converted(frame, time)
        new.pts, new.time_base, self.last_pts = pts, _CLOCK, pts
        second = int(np.floor(time))
        new.pict_type = PictureType.I if second != self.last_key else PictureType.NONE
        self.last_key = second
        self.end = time + 1.0 / self.reader.video.rate
        self._mux(self.out_video.encode(new))


def _by_time(
    frames: Iterator[tuple[float, av.VideoFrame]], audio: Iterator[tuple[float, av.AudioFrame]]
) -> Iterator[tuple[float, av.VideoFrame | av.AudioFrame]]:
    """Frames of both kinds in the order of their times."""
    return heapq.merge(frames, audio, key=lambda timed: timed[0])


class _AudioWriter:
    """The AAC stream of a new file, filled from decoded audio frames.

    Args:
        target: The new file.
        source: The audio that is read.
    """

    def __init__(self, target: OutputContainer, source: AudioTrack) -> None:
        # The encoder takes some rates alone; old recordings have others, such as 22255 Hz.
        rates = av.Codec("aac", "w").audio_rates or []
        self._rate = min((rate for rate in rates if source.audio.rate <= rate <= _MOST_HZ), default=_MOST_HZ)
        self._layout = "stereo" if source.channels > 1 else "mono"
        stream = target.add_stream("aac", rate=self._rate, layout=self._layout, options=_AAC)
        assert isinstance(stream, AudioStream)
        self._target, self._stream = target, stream
        self._fifo = av.AudioFifo()
        self._resampler: av.AudioResampler | None = None
        # Rate, layout and format of the frames that the resampler takes.
        self._setup: tuple[int, str, str] | None = None
        # Time at which the frames that follow each other began, seconds, and their samples since then.
        self._run_start, self._run_samples = 0.0, 0
        # Number of the next sample for the queue, and of the next one for the encoder; None before the first.
        self._next_in: int | None = None
        self._next_out = 0
        # Samples that are still to be left out.
        self._overlap = 0

    def write(self, frame: av.AudioFrame, time: float) -> None:
        """Write a frame at its time (seconds) in the new file; gaps become silence."""
        rate = frame.sample_rate
        setup = (rate, frame.layout.name, frame.format.name)
        # Time stamps are rounded (to a millisecond in Matroska), which is no gap.
        late = time - self._run_start - self._run_samples / rate
        if self._setup != setup or abs(late) > _GAP:
            self._flush_resampler()
            at = round(time * self._rate)
            if self._next_in is None:
                self._next_in = self._next_out = at
            # What overlaps with what is there already is left out, so that the rest keeps its place.
            self._overlap = max(self._next_in - at, 0)
            self._fill(at - self._next_in)
            self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=self._rate)
            self._setup, self._run_start, self._run_samples = setup, time, 0
        assert self._resampler is not None
        self._run_samples += frame.samples
        frame.pts = None
        self._queue(self._without_overlap(self._resampler.resample(frame)))

    def finish(self) -> bool:
        """Write what is still held; gives whether there was any audio."""
        if self._next_in is None:
            return False
        self._flush_resampler()
        self._encode(partial=True)
        self._mux(self._stream.encode(None))
        return True

    def _without_overlap(self, frames: list[av.AudioFrame]) -> list[av.AudioFrame]:
        kept: list[av.AudioFrame] = []
        for frame in frames:
            left_out = min(self._overlap, frame.samples)
            self._overlap -= left_out
            if not left_out:
                kept.append(frame)
            elif left_out < frame.samples:
                samples = cast(NDArray[np.float32], frame.to_ndarray())[:, left_out:]
                rest = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
                rest.sample_rate = self._rate
                kept.append(rest)
        return kept

    def _flush_resampler(self) -> None:
        if self._resampler is not None:
            self._queue(self._without_overlap(self._resampler.resample(None)))
            self._resampler = None

    def _fill(self, samples: int) -> None:
        """Queue silence, a second at a time, so that what follows keeps its place.

        A very long gap stays one: the last frame before it is filled up, and time goes on behind.
        """
        assert self._next_in is not None
        if samples > _LONGEST_SILENCE * self._rate:
            size = self._stream.codec_context.frame_size or 1024
            first_part = -(self._next_in - self._next_out) % size
            self._fill(first_part)
            self._next_in += samples - first_part
            self._next_out = self._next_in
            return
        for first in range(0, samples, self._rate):
            silent = av.AudioFrame(format="fltp", layout=self._layout, samples=min(self._rate, samples - first))
            for plane in silent.planes:
                plane.update(bytes(plane.buffer_size))
            silent.sample_rate = self._rate
            self._queue([silent])

    def _queue(self, frames: list[av.AudioFrame]) -> None:
        assert self._next_in is not None
        for frame in frames:
            frame.pts, frame.time_base = None, Fraction(1, self._rate)
            self._next_in += frame.samples
            self._fifo.write(frame)
            self._encode()

    def _encode(self, partial: bool = False) -> None:
        """Encode what is queued, in the encoder's own pieces."""
        size = self._stream.codec_context.frame_size or 1024
        for frame in self._fifo.read_many(size, partial):
            frame.pts, frame.time_base = self._next_out, Fraction(1, self._rate)
            self._next_out += frame.samples
            self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Packet]) -> None:
        for packet in packets:
            self._target.mux(packet)
