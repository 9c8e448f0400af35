"""Frames and sound of a span of a video file, by PyAV.

One clock: presentation time in seconds, the streams' own start times included. Positions are never fractions of a stream's length,
because streams of one file differ in start and length.
"""

import contextlib
import functools
import itertools
import os
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

from ..utils.errors import UserError
from .pixels import FrameSource

# Decoding on past this many seconds costs more than a seek.
_SEEK_GAP = 4.0
# Sound decoded around a span, so that codecs and the resampler have settled (Opus needs 80 ms).
_AUDIO_MARGIN = 0.12
# A frame farther away than this from the wanted instant, inside the stream, means that pictures are missing.
_MAX_FRAME_DISTANCE = 1.0
# Packets in a row that may fail before the file counts as unreadable.
_MAX_BAD_PACKETS = 50


class DecodeError(UserError, RuntimeError):
    """A file, or a span of it, that cannot be decoded; the message says which and why."""


@dataclass(frozen=True)
class StreamInfo:
    """Where a stream lies on the presentation clock, in seconds, and its rate in Hz."""

    start: float
    end: float
    rate: float


class SoundReader:
    """An open file with sound; use as a context manager.

    Args:
        path: the file.

    Attributes:
        audio: StreamInfo of the sound, None for a file without.

    Raises:
        DecodeError: no such file, no sound in it, or not a media file.
    """

    def __init__(self, path):
        self._open(path)
        if self._audio is None:
            self._container.close()
            raise DecodeError(f"{self.path}: no sound in it")

    def _open(self, path, pictures=False):
        self.path = str(path)
        self.decoded_frames = 0
        try:
            self._container = av.open(self.path)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise DecodeError(f"{self.path}: cannot be opened ({reason_of(error)})") from None
        try:
            self._video = self._container.streams.best("video") if pictures else None
            self._audio = self._container.streams.best("audio", related=self._video)
            if pictures and self._video is None:
                raise DecodeError(f"{self.path}: no video stream in it")
            self.video, self.audio = (
                stream and _stream_info(self.path, stream) for stream in (self._video, self._audio)
            )
        except (DecodeError, av.error.FFmpegError) as error:
            self._container.close()
            raise error if isinstance(error, DecodeError) else DecodeError(f"{self.path}: {reason_of(error)}") from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file."""
        self._container.close()

    def read_audio(self, start, duration, sample_rate=16000):
        """The sound of a span, mono, at `sample_rate`; silence where the stream has none.

        Args:
            start, duration: the span, seconds on the presentation clock.

        Returns:
            (samples, heard): float32 [round(duration * sample_rate)] in [-1, 1], and whether the file has sound anywhere in the span.

        Raises:
            DecodeError: the file has sound there, but none of it can be decoded.
        """
        count = int(round(duration * sample_rate))
        if self._audio is None or start >= self.audio.end or start + duration <= self.audio.start:
            return np.zeros(count, np.float32), False
        samples, first_time, rate = self._native_sound(start - _AUDIO_MARGIN, start + duration + _AUDIO_MARGIN)
        if samples is None:
            return np.zeros(count, np.float32), False
        mono = _resample(samples.mean(axis=0, dtype=np.float32), rate, sample_rate)
        offset = int(round((first_time - start) * sample_rate))
        out = np.zeros(count, np.float32)
        lo, hi = max(offset, 0), min(offset + len(mono), count)
        if hi <= lo:
            return out, False
        out[lo:hi] = mono[lo - offset : hi - offset]
        return out, True

    def _native_sound(self, begin, end):
        """Samples [channels, N] as stored, the instant of the first, and the rate; placed by their time stamps, gaps silent."""
        stream = self._audio
        self._seek(stream, max(begin, self.audio.start))
        pieces, rate = [], None
        converter = None
        for frame in self._decode(stream):
            time = self._time(frame)
            if time >= end:
                break
            if time + frame.samples / frame.sample_rate <= begin:
                continue
            if rate is None:
                # Any format (packed or planar, integer or float) to float; channels are averaged later, the rate is changed later.
                # Packed, because PyAV cannot give eight planes as an array.
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                direct = frame.format.name == "fltp" and channels < 8
                converter = None if direct else av.AudioResampler(format="flt", layout=frame.layout, rate=rate)
            if frame.sample_rate != rate:
                raise DecodeError(
                    f"{self.path}: the sound changes its rate from {rate} to {frame.sample_rate} Hz at {time:.3f} s"
                )
            frame.pts = None
            if converter is None:
                pieces.append((time, frame.to_ndarray()))
            else:
                pieces += [(time, part.to_ndarray().reshape(-1, channels).T) for part in converter.resample(frame)]
        if not pieces:
            return None, None, None
        first = pieces[0][0]
        last = max(time + part.shape[1] / rate for time, part in pieces)
        out = np.zeros((pieces[0][1].shape[0], int(round((last - first) * rate)) + 1), np.float32)
        cursor, used = 0, 0
        for time, part in pieces:
            at = int(round((time - first) * rate))
            # Time stamps are rounded (to a millisecond in Matroska): what follows within that follows directly.
            at = cursor if abs(at - cursor) <= 0.002 * rate + 1 else max(at, 0)
            part = part[:, : max(out.shape[1] - at, 0)]
            out[:, at : at + part.shape[1]] = part
            cursor = used = at + part.shape[1]
        return out[:, :used], first, rate

    def _time(self, frame):
        base = frame.time_base
        return frame.pts * base.numerator / base.denominator

    def _seek(self, stream, time, whole_file=False):
        # Without an index the demuxer may refuse; decoding then goes on from where it is, which the caller checks.
        with contextlib.suppress(av.error.FFmpegError):
            if whole_file:
                self._container.seek(0, backward=True, any_frame=False)
            else:
                self._container.seek(
                    int(np.floor(time / stream.time_base)), stream=stream, backward=True, any_frame=False
                )

    def _decode(self, stream):
        """Frames of a stream from the current position; damaged packets are passed over, up to a limit."""
        for _, frame in decoded_frames(self._container, (stream,), self.path):
            self.decoded_frames += stream.type == "video"
            yield frame


class VideoReader(FrameSource, SoundReader):
    """An open video file; use as a context manager.

    Args:
        path: the file.
        threads: decoding threads; 1 gives the most clips per core when several workers decode.
        sound: another file that holds the sound, on the same clock; "" is the video file itself.
        loop_filter: False leaves out H.264's deblocking, which is faster; blocks show, and errors grow until the next key frame.

    Attributes:
        video: StreamInfo of the pictures. audio: StreamInfo of the sound, None for a file without.
        decoded_frames: pictures decoded so far (a count for tests and benchmarks).

    Raises:
        DecodeError: no such file, no video in it, or not a media file.
    """

    def __init__(self, path, threads=1, sound="", loop_filter=True):
        self._open(path, pictures=True)
        if not loop_filter:
            self._video.codec_context.options = {"skip_loop_filter": "all"}
        self._video.codec_context.thread_count = threads
        self._video.codec_context.thread_type = "NONE" if threads == 1 else "AUTO"
        self._other = None
        if sound:
            try:
                self._other = SoundReader(sound)
            except DecodeError:
                self.close()
                raise
            self.audio = self._other.audio

    def close(self):
        """Close the file, and that of the sound."""
        super().close()
        if self._other:
            self._other.close()

    def read_audio(self, start, duration, sample_rate=16000):
        """See `SoundReader.read_audio`."""
        return (
            self._other.read_audio(start, duration, sample_rate)
            if self._other
            else super().read_audio(start, duration, sample_rate)
        )

    def _wanted(self, times):
        """The frame nearest to each instant, in order: by plan where the packets tell which are needed, else by decoding all on the way."""
        first = 0
        while first < len(times):
            # Instants with a long gap between them are separate journeys, each with its own seek.
            gaps = np.flatnonzero(np.diff(times[first:]) > _SEEK_GAP)
            last = first + (int(gaps[0]) + 1 if len(gaps) else len(times) - first)
            for frame in self._planned(times[first:last]):
                yield frame
                first += 1
            if first < last:
                yield from (frame for _, frame in self._nearest(times[first:]))
                return

    def _planned(self, times):
        """The frames nearest to instants that lie close together, decoding as little as the codec allows; ends early where the plan fails.

        The packets' time stamps tell which frames are wanted. Groups of pictures without one are not decoded, nor are frames that no other
        frame refers to, unless they are wanted themselves.
        """
        stream = self._video
        packets = self._packets(times)
        if packets is None:
            return
        stamps = np.unique([packet.pts for packet in packets])
        shown = stamps * stream.time_base.numerator / stream.time_base.denominator
        # Of two frames at the same distance the earlier one, as in decoding all on the way.
        right = (
            np.clip(np.searchsorted(shown, times), 1, len(stamps) - 1) if len(stamps) > 1 else np.zeros(len(times), int)
        )
        left = np.maximum(right - 1, 0)
        chosen = np.where(np.abs(shown[left] - times) <= np.abs(shown[right] - times), left, right)
        inside = (times >= self.video.start) & (times <= self.video.end)
        if np.any(inside & (np.abs(shown[chosen] - times) > max(_MAX_FRAME_DISTANCE, 2.0 / self.video.rate))):
            return
        wanted = stamps[chosen]
        yield from self._decode_wanted(packets, wanted.tolist())

    def _packets(self, times):
        """Packets of the pictures from a key frame before the first instant to the last instant, in decoding order; None if they tell no times."""
        stream = self._video
        base = stream.time_base.numerator / stream.time_base.denominator
        for back in (1.5 / self.video.rate, 2.0, 10.0):
            target = max(times[0] - back, self.video.start)
            self._seek(stream, target)
            found = []
            try:
                for packet in self._container.demux(stream):
                    if packet.size == 0:
                        continue
                    if packet.pts is None or packet.dts is None or packet.is_corrupt:
                        return None
                    found.append(packet)
                    # No packet after this one can be shown earlier; one frame more, since the nearest one may be the next.
                    if packet.dts * base > times[-1] + 1.5 / self.video.rate:
                        break
            except av.error.FFmpegError:
                return None
            # The first key frame has to come before what is wanted, as far as the stream reaches back.
            if (
                found
                and found[0].is_keyframe
                and (found[0].pts * base <= max(times[0], self.video.start) + 0.5 / self.video.rate)
            ):
                return found
            if target <= self.video.start:
                return None
        return None

    def _decode_wanted(self, packets, wanted):
        """The frames with these ascending time stamps, one after the other; ends at the first that does not come out."""
        context, known, place = self._video.codec_context, set(wanted), 0
        try:
            for packet in self._needed_packets(packets, known):
                # Decided packet by packet: a frame that nothing refers to is skipped, if it is one, unless it is wanted.
                context.skip_frame = "DEFAULT" if packet is None or packet.pts in known else "NONREF"
                for frame in context.decode(packet):
                    self.decoded_frames += 1
                    if frame.pts not in known:
                        continue
                    while place < len(wanted) and wanted[place] == frame.pts:
                        yield frame
                        place += 1
                    if place == len(wanted) or wanted[place] < frame.pts:
                        return
        except av.error.FFmpegError:
            return
        finally:
            context.skip_frame = "DEFAULT"

    @staticmethod
    def _needed_packets(packets, wanted):
        """Packets of the groups of pictures that hold something wanted, then None, which makes the decoder give what it keeps."""
        groups = []
        for packet in packets:
            if packet.is_keyframe or not groups:
                groups.append([])
            groups[-1].append(packet)
        # Of a group what lies behind the last wanted picture is not needed, in the order of decoding.
        last = [max((i + 1 for i, packet in enumerate(group) if packet.pts in wanted), default=0) for group in groups]
        for i, group in enumerate(groups[1:], 1):
            # Pictures that are shown before their group's key frame may refer to the group before.
            if any(packet.pts in wanted and packet.pts < group[0].pts for packet in group):
                last[i - 1] = len(groups[i - 1])
        yield from (packet for group, count in zip(groups, last) for packet in group[:count])
        yield None

    def _nearest(self, times):
        """(instant, nearest frame) for each instant. Seeks at the start and over long gaps."""
        frames, before, after = None, None, None
        for time in times:
            if frames is None or (time - self._time(after or before) > _SEEK_GAP and after is not None):
                frames = self._frames_from(time)
                before, after = None, next(frames, None)
            while after is not None and self._time(after) < time:
                before, after = after, next(frames, None)
            candidates = [f for f in (before, after) if f is not None]
            if not candidates:
                raise DecodeError(f"{self.path}: no picture could be decoded around {time:.3f} s")
            best = min(candidates, key=lambda f: abs(self._time(f) - time))
            distance = abs(self._time(best) - time)
            inside = self.video.start <= time <= self.video.end
            if inside and distance > max(_MAX_FRAME_DISTANCE, 2.0 / self.video.rate):
                raise DecodeError(
                    f"{self.path}: pictures are missing around {time:.3f} s (the nearest one is {distance:.2f} s away)"
                )
            yield time, best

    def _frames_from(self, time):
        """Decoded frames in order of presentation, from the last one at or before `time` on (or a little earlier)."""
        stream = self._video
        # A frame's worth earlier, since the nearest frame may be the one before; again earlier where an index sends us too far.
        for back in (1.5 / self.video.rate, 2.0, 10.0, None):
            target = self.video.start if back is None else max(time - back, self.video.start)
            self._seek(stream, target)
            frames = self._decode(stream)
            first = next(frames, None)
            at_start = target <= self.video.start
            if first is not None and (at_start or self._time(first) <= time):
                return itertools.chain([first], frames)
            if at_start:
                break
        # Damaged beginning, or a stream that cannot seek: whatever comes from the top of the file.
        self._seek(stream, self.video.start, whole_file=True)
        return self._decode(stream)


def decoded_frames(container, streams, path, on_damage=None):
    """(stream, frame) of streams of an open file, in the file's order; damaged packets are passed over.

    Args:
        on_damage: called without arguments for each damaged packet.

    Raises:
        DecodeError: too many damaged packets in a row.
    """
    in_a_row, packets = 0, container.demux(streams)
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
                raise DecodeError(f"{path}: {in_a_row} damaged packets in a row ({reason_of(error)})") from None
            continue
        yield from ((packet.stream, frame) for frame in frames if frame.pts is not None)


def reason_of(error):
    """What an error of FFmpeg or of the system says, as a phrase."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _resample(mono, rate, wanted):
    """FFmpeg's resampler, over the whole of a mono signal [N]."""
    if rate == wanted:
        return mono
    resampler = av.AudioResampler(format="flt", layout="mono", rate=wanted)
    frame = av.AudioFrame.from_ndarray(mono[None], format="flt", layout="mono")
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    parts = [part.to_ndarray()[0] for f in (frame, None) for part in resampler.resample(f)]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _stream_info(path, stream):
    base = stream.time_base
    start = float(stream.start_time * base) if stream.start_time is not None else 0.0
    if stream.duration:
        length = float(stream.duration * base)
    else:
        tagged = _tagged_duration(stream)
        # Matroska's tag counts from zero, not from the stream's first packet.
        length = tagged - start if tagged is not None else None
    if length is None or length <= 0:
        stat = os.stat(path)
        start, length = _scan(path, (stat.st_mtime_ns, stat.st_size), stream.index)
    if stream.type == "video":
        rate = float(stream.average_rate or stream.guessed_rate or 0)
    else:
        rate = float(stream.codec_context.sample_rate or 0)
    return StreamInfo(start, start + length, rate if rate > 0 else 25.0)


def _tagged_duration(stream):
    text = stream.metadata.get("DURATION")
    if not text:
        return None
    try:
        hours, minutes, seconds = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None


@functools.lru_cache(maxsize=4096)
def _scan(path, stamp, index):
    """Start and length of a stream from its packets' time stamps. Once per file and process: the file is read through for them."""
    first, last = None, None
    with av.open(path) as container:
        stream = container.streams[index]
        # A damaged tail ends the reading: what was read until there is what there is.
        with contextlib.suppress(av.error.FFmpegError):
            for packet in container.demux(stream):
                if packet.pts is None:
                    continue
                begin = float(packet.pts * stream.time_base)
                end = begin + float((packet.duration or 0) * stream.time_base)
                first = begin if first is None else min(first, begin)
                last = end if last is None else max(last, end)
        if first is None:
            raise DecodeError(f"{path}: its {stream.type} stream is empty")
    return first, max(last - first, 0.0)
