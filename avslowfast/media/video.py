"""Frames and audio of spans of a video file, by PyAV.

There is one clock: presentation time in seconds, the streams' start times included. Positions are never fractions of
a stream's length, because the streams of one file differ in start and length.

The frame at an instant is the last one whose time has come: one that is held for long is shown until the next. An
instant less than half a usual frame before the next one counts as rounded, and gets the nearer of the two.
"""

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
import numpy as np
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream
from numpy.typing import NDArray

from . import plan
from .base import MediaReader
from .extent import key_stamps, stream_info, usual_length
from .order import FrameOrder, MAX_REORDER, OutOfOrderError, prepare_packet, Stamps, stamps_of
from .pixels import limit_size, name_picture
from .sound import AudioSamples, AudioTrack, silence, SoundReader
from .storage import open_input
from .streams import (
    best_audio,
    best_video,
    decode_streams,
    DecodeError,
    decoding,
    MAX_PIXELS,
    packets_of,
    path_text,
    PathLike,
    seek,
    StreamInfo,
    time_unit,
)

# Decoding all that lies between two instants that are farther apart than this, in seconds, costs more than a seek.
_SEEK_GAP = 4.0
# How far before an instant a seek aims, in seconds, one after the other until a key frame before it is reached.
_SEEK_BACK = (2.0, 10.0, 60.0)
# Where packets are damaged or end too early, a frame farther away than this from an instant means that frames are
# missing there. Seconds.
_MAX_FRAME_DISTANCE = 1.0
# Pixels that are wider or higher than this are a fault of the header.
_MAX_ASPECT = 8
# Frames after a seek among which a key frame has to be.
_MAX_UNDECODABLE = 300

Shown = tuple[float, av.VideoFrame]
Times = float | NDArray[np.float64]


class VideoReader(MediaReader):
    """An open video file; use as a context manager.

    Args:
        path: The file.
        threads: Decoding threads; 1 gives the most clips per core when several workers decode.
        audio_path: Another file with the audio, on the same clock; "" means the video file itself.
        loop_filter: False leaves out H.264's deblocking, which is faster; blocks show, and errors grow until the next
            key frame.
        max_pixels: Of the largest frame that is decoded.

    Attributes:
        path: The file.
        video: Where the frames lie on the presentation clock, and their rate.
        audio: Where the audio lies, None for a file without.
        audio_problem: Why the audio that the file has cannot be decoded, "" where it can or there is none.
        decoded_frames: Frames decoded so far, for tests and benchmarks.
        damaged: Packets and frames so far that could not be decoded, or only in part.

    Raises:
        DecodeError: The file does not exist, has no video stream, or is not a media file.
    """

    video: StreamInfo

    def __init__(
        self,
        path: PathLike,
        threads: int = 1,
        audio_path: PathLike = "",
        loop_filter: bool = True,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self.path = path_text(path)
        self._threads, self._loop_filter, self._max_pixels = threads, loop_filter, max_pixels
        self.decoded_frames, self._damaged, self.audio_problem = 0, 0, ""
        self._container = open_input(self.path, self._max_pixels)
        self._audio_file: SoundReader | None = None
        self._track: AudioTrack | None = None
        # The top of some files is reached for sure only by opening them again; the audio goes on in the first.
        self._opened = [self._container]
        try:
            with decoding(self.path):
                self._stream = self._video_stream()
                self.video = stream_info(self._container, self._stream, self.path)
                self._stamps = stamps_of(self._container)
                self._is_picture = self._container.format.name.endswith(("_pipe", "image2"))
                self._key_stamps = key_stamps(self._container, self._stream, self.path)
                # Otherwise all is read from the top.
                self._seekable = self._stamps is not Stamps.NONE and not self._loses_frames()
                self._planned = (
                    self._seekable
                    and self._stamps is Stamps.SHOWN
                    and plan.is_exact(self._container.format.name, self._stream.codec_context.name)
                )
                if audio_path:
                    self._audio_file = SoundReader(audio_path)
                else:
                    audio, self.audio_problem = best_audio(self._container, related=self._stream)
                    self._track = AudioTrack(self._container, audio, self.path) if audio else None
        except BaseException:
            self.close()
            raise
        sound = self._audio_file or self._track
        self.audio = sound.audio if sound else None
        aspect = self._stream.sample_aspect_ratio
        # Nonsense in a header is no shape.
        self.pixel_aspect = aspect if aspect and 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT else Fraction(1)
        # How long a frame is shown that is not held, seconds.
        self._usual_length = usual_length(self._container, self._stream, self.path)
        # How far before an instant the last seek had to aim.
        self._back = 0.0
        # Of one call of `shown_frames`: where the last seek led, seconds; whether seeks lead to the same key frame.
        self._landed, self._one_journey = -np.inf, not self._seekable

    def close(self) -> None:
        """Close the file, and that of the audio."""
        for container in self._opened:
            container.close()
        for sound in (self._audio_file, self._track):
            if sound:
                sound.close()

    @property
    def damaged(self) -> int:
        """See the class."""
        sound = self._audio_file or self._track
        return self._damaged + (sound.damaged if sound else 0)

    def read_audio(self, start: float, duration: float, sample_rate: int = 16000) -> AudioSamples:
        """See `SoundReader.read_audio`; silence for a file without audio."""
        sound = self._audio_file or self._track
        return sound.read_audio(start, duration, sample_rate) if sound else silence(start, duration, sample_rate)

    def shown_frames(self, times: NDArray[np.float64]) -> Iterator[Shown]:
        """See `MediaReader.shown_frames`.

        By plan where that is proven exact and the packets show which frames are needed, else by decoding all frames on
        the way.
        """
        self._landed, self._one_journey = -np.inf, not self._seekable
        try:
            yield from self._shown(times)
        except OutOfOrderError:
            self._distrust_stamps()
            raise

    def _shown(self, times: NDArray[np.float64]) -> Iterator[Shown]:
        first = 0
        while self._planned and first < len(times):
            # Instants with a long gap between them are read in separate passes, each with a seek.
            last = first + 1
            while last < len(times) and not self._worth_seeking(times[last - 1], times[last]):
                last += 1
            for shown in self._shown_by_plan(times[first:last]):
                yield shown
                first += 1
            if first < last:
                break
        yield from self._shown_by_decoding_all(times[first:])

    def iter_frames(self, start: float) -> Iterator[Shown]:
        """See `MediaReader.iter_frames`."""
        given, first, last = 0, -np.inf, -np.inf
        with decoding(self.path):
            while True:
                frames = self._frames_from(start)
                try:
                    # What was given before the stamps turned out to be wrong is not given again.
                    again = (shown for shown in frames if shown[0] >= first)
                    for time, frame in itertools.islice(again, given, None):
                        first = time - 0.5 * self._usual_length if not given else first
                        given, last = given + 1, max(time, last)
                        yield last, frame
                    return
                except OutOfOrderError:
                    self._distrust_stamps()

    def _distrust_stamps(self) -> None:
        """From now on, put the time stamps of frames in order."""
        self._stamps, self._planned = Stamps.UNSORTED, False

    def open_audio(self) -> AudioTrack | None:
        """The audio of the file, opened once more so that it can be read beside the frames; None without.

        The caller closes it.
        """
        if self._track is None:
            return None
        return self._track.opened_again()

    def _video_stream(self) -> VideoStream:
        stream = best_video(self._container)
        if stream is None:
            heard = ", only audio, which networks without frames (MODEL.ARCH audio) use"
            raise DecodeError("no video stream in it" + (heard if self._container.streams.audio else ""), self.path)
        context = stream.codec_context
        # PyAV's types say that there always is one.
        if context is not None:
            if not self._loop_filter:
                context.options = {**context.options, "skip_loop_filter": "all"}
            limit_size(stream, self._max_pixels, self.path)
            context.thread_count = self._threads
            context.thread_type = "NONE" if self._threads == 1 else "AUTO"
        return stream

    def _loses_frames(self) -> bool:
        """Whether frames are left out behind a seek, as MPEG-4's decoder does where they are interlaced."""
        if self._stream.codec_context.name != "mpeg4":
            return False
        _, first = next(decode_streams(self._container, (self._stream,), self.path, lambda packet: None), (None, None))
        return isinstance(first, av.VideoFrame) and first.interlaced_frame

    def _worth_seeking(self, before: float, after: float) -> bool:
        """Whether a key frame is likely to lie between two instants that are far apart."""
        if after - before <= _SEEK_GAP or self._one_journey:
            return False
        index = self._stream.index_entries
        if len(index) > 1:
            number = index.search_timestamp(int(after / time_unit(self._stream)), backward=True, any_frame=False)
            if number >= 0 and index[number].timestamp * time_unit(self._stream) > before:
                return True
            # An index may grow while a file is read; then it tells nothing of what lies ahead.
            return bool(index[len(index) - 1].timestamp * time_unit(self._stream) <= before)
        return True

    def _note_landing(self, time: float) -> None:
        """Remember where a seek led; a second one to the same place means that there are few key frames."""
        self._one_journey = self._one_journey or time <= self._landed
        self._landed = time

    # By plan

    def _shown_by_plan(self, times: NDArray[np.float64]) -> Iterator[Shown]:
        """The frames at instants that lie close together, decoding as little as the codec allows.

        The packets' time stamps show which frames are wanted. Groups of pictures (from one key frame to the next)
        without one are not decoded, nor are frames that no other frame refers to, unless they are wanted themselves.
        Ends early where the plan fails.
        """
        packets = self._read_packets(times)
        if not packets:
            return
        base = time_unit(self._stream)
        stamps = np.array(plan.shown_stamps(packets))
        if not len(stamps):
            return
        shown = stamps * base.numerator / base.denominator
        after = np.minimum(np.maximum(np.searchsorted(shown, times), 1), len(stamps) - 1)
        before = np.maximum(after - 1, 0)
        usual = np.where(
            before > 0, np.minimum(shown[before] - shown[before - 1], self._usual_length), self._usual_length
        )
        chosen = np.where(_is_due(shown[before], shown[after], times, usual), after, before)
        inside = (times >= self.video.start) & (times <= self.video.end)
        if np.any(inside & (np.abs(shown[chosen] - times) > self._max_distance)):
            # Held for long, or missing: decoding tells.
            return
        yield from zip(shown[chosen].tolist(), self._decode_wanted(packets, stamps[chosen].tolist()))

    @property
    def _max_distance(self) -> float:
        return max(_MAX_FRAME_DISTANCE, 2.0 / self.video.rate)

    def _read_packets(self, times: NDArray[np.float64]) -> list[Packet] | None:
        """Video packets from a key frame before the first instant to the last one, in decoding order.

        None if they have no time stamps or are too large to be kept, or no such key frame was reached.
        """
        base = float(time_unit(self._stream))
        frame = 1.0 / self.video.rate
        for back in (1.5 * frame, *_SEEK_BACK):
            target = max(times[0] - back, self.video.start)
            seek(self._container, self._stream, target)
            packets: list[Packet] = []
            size = 0
            try:
                for packet in packets_of(self._container, self._stream):
                    if packet.size == 0:
                        continue
                    if packet.pts is None or packet.dts is None or packet.is_corrupt:
                        return None
                    if not packets and not self._begins_before(packet, max(times[0], self.video.start)):
                        break
                    packets.append(packet)
                    size += packet.size
                    if size > plan.MAX_BYTES:
                        return None
                    # No packet after this one can be shown earlier. One frame more, since the nearest may be the next.
                    if packet.dts * base > times[-1] + 1.5 * frame:
                        break
            except av.error.FFmpegError:
                return None
            if packets:
                self._note_landing(float(packets[0].pts or 0) * base)
                return packets
            if target <= self.video.start:
                return None
        return None

    def _begins_before(self, packet: Packet, time: float) -> bool:
        """Whether a packet is a key frame that is shown at or before an instant, or at the start of the stream."""
        limit = max(time, self.video.start + 0.5 * self._usual_length) + 1e-4
        return packet.is_keyframe and packet.pts is not None and packet.pts * float(time_unit(self._stream)) <= limit

    def _decode_wanted(self, packets: Sequence[Packet], wanted: list[int]) -> Iterator[av.VideoFrame]:
        """The frames with these ascending time stamps; ends at the first that cannot be decoded."""
        context, known, place = self._stream.codec_context, set(wanted), 0
        keys = {packet.pts for packet in packets if packet.is_keyframe}
        try:
            for packet in plan.needed_packets(packets, known):
                # Decided packet by packet: a frame that no other refers to is skipped unless it is wanted.
                context.skip_frame = "DEFAULT" if packet is None or packet.pts in known else "NONREF"
                for frame in context.decode(packet):
                    self.decoded_frames += 1
                    if frame.pts in keys and not _is_whole(frame):
                        self._planned = False
                    if frame.is_corrupt or not self._planned:
                        return
                    if frame.pts is None or frame.pts not in known:
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

    # Straight through

    def _shown_by_decoding_all(self, times: NDArray[np.float64]) -> Iterator[Shown]:
        """The frame at each instant. Seeks at the start and over long gaps."""
        frames: Iterator[Shown] = iter(())
        before: Shown | None = None
        after: Shown | None = None
        damaged_before, lost, usual = 0, 0, self._usual_length
        for time in times:
            if (before is None and after is None) or (after is not None and self._worth_seeking(after[0], time)):
                frames = self._frames_from(time)
                before, after, damaged_before = None, next(frames, None), self._damaged
            while after is not None and (before is None or _is_due(before[0], after[0], time, usual)):
                damaged_before = self._damaged
                usual = self._usual_length if before is None else min(after[0] - before[0], self._usual_length)
                before, after = after, next(frames, None)
            if before is None:
                raise DecodeError(f"no frame could be decoded around {time:.3f} s", self.path)
            damaged = self._damaged > damaged_before
            self._check_near(float(time), before, after, damaged)
            lost += before[1].is_corrupt or bool(damaged and time - before[0] > 1.5 / self.video.rate)
            yield before
        if lost > len(times) / 2:
            raise DecodeError(
                f"{lost} of {len(times)} frames between {times[0]:.2f} and {times[-1]:.2f} s are damaged", self.path
            )

    def _check_near(self, time: float, before: Shown, after: Shown | None, damaged: bool) -> None:
        """Check that a frame is the one that is shown at an instant, and not the last one before missing ones."""
        if not self.video.start <= time <= self.video.end:
            return
        if before[0] > time:
            missing = before[0] - time > self._max_distance
        elif after is None:
            # The last frame is shown for as long as its packet says.
            length = float((before[1].duration or 0) * time_unit(before[1]))
            missing = time - before[0] > max(self._max_distance, length)
        else:
            missing = damaged and time - before[0] > self._max_distance
        if missing:
            raise DecodeError(
                f"frames are missing around {time:.3f} s (the nearest one is {abs(before[0] - time):.2f} s away)",
                self.path,
            )

    def _frames_from(self, time: float) -> Iterator[Shown]:
        """Decoded frames in order of presentation, from the last one at or before `time` (or a little earlier)."""
        frame = 1.0 / self.video.rate
        # Times of frames that are told from the order of decoding are right some frames after a key frame.
        margin = 0.0 if self._stamps is Stamps.SHOWN else (MAX_REORDER + 1) * frame
        if self._seekable:
            # The frame before the nearest one may be wanted, so the seek goes one frame further back.
            for back in (1.5 * frame + margin, *_SEEK_BACK):
                if back < self._back:
                    continue
                target = time - back
                if target <= self.video.start:
                    break
                seek(self._container, self._stream, target)
                frames = self._decode(from_key=True)
                first = next(frames, None)
                if first is not None and first[0] + margin <= time and self._is_key(first[1]):
                    self._back = back
                    self._note_landing(first[0])
                    return itertools.chain([first], frames)
        return self._frames_from_top()

    def _is_key(self, frame: av.VideoFrame) -> bool:
        """Whether the first frame after a seek has the stamp of a key frame in straight reading, if these are known."""
        return self._key_stamps is None or frame.pts in self._key_stamps

    def _frames_from_top(self) -> Iterator[Shown]:
        """Decoded frames from the first one of the file on."""
        if self._planned:
            seek(self._container, self._stream, self.video.start)
            frames = self._decode(from_key=True)
            first = next(frames, None)
            if first is not None and first[0] <= self.video.start + 0.5 * self._usual_length:
                self._note_landing(first[0])
                return itertools.chain([first], frames)
        # A search for the beginning may end behind it.
        self._container = open_input(self.path, self._max_pixels)
        for container in self._opened[1:]:
            container.close()
        self._opened = [self._opened[0], self._container]
        self._stream = self._video_stream()
        self._note_landing(self.video.start)
        return self._decode()

    def _decode(self, from_key: bool = False) -> Iterator[Shown]:
        """Frames from the current position; damaged packets are passed over, up to a limit.

        Args:
            from_key: Whether to leave out what is shown before the first key frame: it may refer to frames that were
                not decoded.
        """
        order = FrameOrder(self._stamps, self._stream, self.path)
        return order.arrange(self._decoded(from_key))

    def _decoded(self, from_key: bool) -> Iterator[av.VideoFrame]:
        left_out = 0
        for _, frame in decode_streams(
            self._container, (self._stream,), self.path, self._count_damage, self._prepare_packet
        ):
            assert isinstance(frame, av.VideoFrame)
            self.decoded_frames += 1
            if self._is_picture:
                name_picture(frame, self.path)
            if from_key and not (frame.key_frame and _is_whole(frame)):
                left_out += 1
                if left_out > _MAX_UNDECODABLE:
                    return
                continue
            from_key = False
            if frame.is_corrupt:
                self._count_damage()
            yield frame

    def _prepare_packet(self, packet: Packet) -> bool:
        prepare_packet(packet, self._stamps)
        return True

    def _count_damage(self, packet: Packet | None = None) -> None:
        self._damaged += 1


def _is_whole(frame: av.VideoFrame) -> bool:
    """Whether a key frame needs no other one: with intra refresh, several frames together make up for one."""
    return frame.pict_type in (PictureType.NONE, PictureType.I)


def _is_due(before: Times, after: Times, time: Times, usual: Times) -> NDArray[np.bool_]:
    """Whether the later one of two neighbouring frames is shown at an instant.

    Args:
        before: Time of the frame before, seconds.
        after: Time of the next frame, seconds.
        time: The instant, seconds; one that is nearer to the next frame than half a usual frame counts as rounded.
        usual: For how long frames there are shown that are not held, seconds.
    """
    early = np.subtract(after, time)
    half_frame = 0.5 * np.minimum(np.subtract(after, before), usual)
    # A thousandth more, since Matroska rounds time stamps to that; the earlier one of two at the same distance.
    due: NDArray[np.bool_] = (early <= 0) | ((early < np.subtract(time, before)) & (early <= half_frame + 1e-3))
    return due
