"""Frames and audio of spans of a video file, by PyAV.

There is one clock: presentation time in seconds, the streams' start times included. Positions are never fractions of
a stream's length, because the streams of one file differ in start and length.
"""

import itertools
from collections.abc import Iterator

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from .base import MediaReader
from .sound import AudioSamples, AudioTrack, silence, SoundReader
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
    seek_to_beginning,
    stream_info,
    StreamInfo,
    time_unit,
)

# Decoding all that lies between two instants that are farther apart than this, in seconds, costs more than a seek.
_SEEK_GAP = 4.0
# A frame farther away than this from the wanted instant, inside the stream, means that frames are missing. Seconds.
_MAX_FRAME_DISTANCE = 1.0


class VideoReader(MediaReader):
    """An open video file; use as a context manager.

    Args:
        path: The file.
        threads: Decoding threads; 1 gives the most clips per core when several workers decode.
        audio_path: Another file with the audio, on the same clock; "" means the video file itself.
        loop_filter: False leaves out H.264's deblocking, which is faster; blocks show, and errors grow until the next
            key frame.

    Attributes:
        path: The file.
        video: Where the frames lie on the presentation clock, and their rate.
        audio: Where the audio lies, None for a file without.
        decoded_frames: Frames decoded so far, for tests and benchmarks.

    Raises:
        DecodeError: The file does not exist, has no video stream, or is not a media file.
    """

    video: StreamInfo

    def __init__(self, path: PathLike, threads: int = 1, audio_path: PathLike = "", loop_filter: bool = True) -> None:
        self.path = path_text(path)
        self.decoded_frames = 0
        self._container = open_input(self.path)
        with closed_on_failure(self._container, self.path):
            video = best_video(self._container)
            if video is None:
                raise DecodeError("no video stream in it", self.path)
            self._stream, self.video = video, stream_info(self.path, video)
            audio = best_audio(self._container, related=video)
            self._track = AudioTrack(self._container, audio, self.path) if audio else None
            self._audio_file = SoundReader(audio_path) if audio_path else None
        if self._audio_file:
            self.audio = self._audio_file.audio
        else:
            self.audio = self._track.info if self._track else None
        if not loop_filter:
            video.codec_context.options = {"skip_loop_filter": "all"}
        video.codec_context.thread_count = threads
        video.codec_context.thread_type = "NONE" if threads == 1 else "AUTO"

    def close(self) -> None:
        """Close the file, and that of the audio."""
        self._container.close()
        if self._audio_file:
            self._audio_file.close()

    def read_audio(self, start: float, duration: float, sample_rate: int = 16000) -> AudioSamples:
        """See `SoundReader.read_audio`; silence for a file without audio."""
        if self._audio_file:
            return self._audio_file.read_audio(start, duration, sample_rate)
        return self._track.read(start, duration, sample_rate) if self._track else silence(start, duration, sample_rate)

    def nearest_frames(self, times: NDArray[np.float64]) -> Iterator[tuple[float, av.VideoFrame]]:
        """See `MediaReader.nearest_frames`.

        By plan where the packets show which frames are needed, else by decoding all frames on the way.
        """
        first = 0
        while first < len(times):
            # Instants with a long gap between them are read in separate passes, each with a seek.
            gaps = np.flatnonzero(np.diff(times[first:]) > _SEEK_GAP)
            last = first + (int(gaps[0]) + 1 if len(gaps) else len(times) - first)
            for planned in self._nearest_by_plan(times[first:last]):
                yield planned
                first += 1
            if first < last:
                yield from self._nearest_by_decoding_all(times[first:])
                return

    def iter_frames(self, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """See `MediaReader.iter_frames`."""
        return ((frame_time(frame), frame) for frame in self._frames_from(start))

    def _nearest_by_plan(self, times: NDArray[np.float64]) -> Iterator[tuple[float, av.VideoFrame]]:
        """The frames nearest to instants that lie close together, decoding as little as the codec allows.

        The packets' time stamps show which frames are wanted. Groups of pictures (from one key frame to the next)
        without one are not decoded, nor are frames that no other frame refers to, unless they are wanted themselves.
        Ends early where the plan fails.
        """
        packets = self._read_packets(times)
        if packets is None:
            return
        base = time_unit(self._stream)
        stamps = np.unique([packet.pts for packet in packets])
        shown = stamps * base.numerator / base.denominator
        # Of two frames at the same distance the earlier one, as in decoding all on the way.
        right = (
            np.clip(np.searchsorted(shown, times), 1, len(stamps) - 1) if len(stamps) > 1 else np.zeros(len(times), int)
        )
        left = np.maximum(right - 1, 0)
        chosen = np.where(np.abs(shown[left] - times) <= np.abs(shown[right] - times), left, right)
        inside = (times >= self.video.start) & (times <= self.video.end)
        if np.any(inside & (np.abs(shown[chosen] - times) > self._max_distance)):
            return
        yield from zip(shown[chosen].tolist(), self._decode_wanted(packets, stamps[chosen].tolist()))

    @property
    def _max_distance(self) -> float:
        """Distance in seconds beyond which the nearest frame means that frames are missing."""
        return max(_MAX_FRAME_DISTANCE, 2.0 / self.video.rate)

    def _read_packets(self, times: NDArray[np.float64]) -> list[Packet] | None:
        """Video packets from a key frame before the first instant to the last one, in decoding order.

        None if they have no time stamps, or no such key frame was reached.
        """
        base = float(time_unit(self._stream))
        half_frame = 0.5 / self.video.rate
        for back in (1.5 / self.video.rate, 2.0, 10.0):
            target = max(times[0] - back, self.video.start)
            seek(self._container, self._stream, target)
            packets: list[Packet] = []
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size == 0:
                        continue
                    if packet.pts is None or packet.dts is None or packet.is_corrupt:
                        return None
                    packets.append(packet)
                    # No packet after this one can be shown earlier. One frame more, since the nearest may be the next.
                    if packet.dts * base > times[-1] + 1.5 / self.video.rate:
                        break
            except av.error.FFmpegError:
                return None
            if packets and _begins_before(packets[0], base, max(times[0], self.video.start) + half_frame):
                return packets
            if target <= self.video.start:
                return None
        return None

    def _decode_wanted(self, packets: list[Packet], wanted: list[int]) -> Iterator[av.VideoFrame]:
        """The frames with these ascending time stamps; ends at the first that cannot be decoded."""
        context, known, place = self._stream.codec_context, set(wanted), 0
        try:
            for packet in _needed_packets(packets, known):
                # Decided packet by packet: a frame that no other refers to is skipped unless it is wanted.
                context.skip_frame = "DEFAULT" if packet is None or packet.pts in known else "NONREF"
                for frame in context.decode(packet):
                    self.decoded_frames += 1
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

    def _nearest_by_decoding_all(self, times: NDArray[np.float64]) -> Iterator[tuple[float, av.VideoFrame]]:
        """The nearest frame for each instant. Seeks at the start and over long gaps."""
        frames: Iterator[av.VideoFrame] | None = None
        before: av.VideoFrame | None = None
        after: av.VideoFrame | None = None
        for time in times:
            if frames is None or (after is not None and time - frame_time(after) > _SEEK_GAP):
                frames = self._frames_from(time)
                before, after = None, next(frames, None)
            while after is not None and frame_time(after) < time:
                before, after = after, next(frames, None)
            candidates = [frame for frame in (before, after) if frame is not None]
            if not candidates:
                raise DecodeError(f"no frame could be decoded around {time:.3f} s", self.path)
            distances = [abs(frame_time(frame) - time) for frame in candidates]
            distance = min(distances)
            if self.video.start <= time <= self.video.end and distance > self._max_distance:
                raise DecodeError(
                    f"frames are missing around {time:.3f} s (the nearest one is {distance:.2f} s away)", self.path
                )
            best = candidates[distances.index(distance)]
            yield frame_time(best), best

    def _frames_from(self, time: float) -> Iterator[av.VideoFrame]:
        """Decoded frames in order of presentation, from the last one at or before `time` (or a little earlier)."""
        # The nearest frame may be the one before, so the seek goes one frame further back, and farther where an index
        # leads past the instant.
        for back in (1.5 / self.video.rate, 2.0, 10.0, None):
            target = self.video.start if back is None else max(time - back, self.video.start)
            seek(self._container, self._stream, target)
            frames = self._decode()
            first = next(frames, None)
            at_start = target <= self.video.start
            if first is not None and (at_start or frame_time(first) <= time):
                return itertools.chain([first], frames)
            if at_start:
                break
        # Damaged beginning, or a stream that cannot seek: whatever comes from the top of the file.
        seek_to_beginning(self._container)
        return self._decode()

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Frames from the current position; damaged packets are passed over, up to a limit."""
        for _, frame in decode_streams(self._container, (self._stream,), self.path):
            assert isinstance(frame, av.VideoFrame)
            self.decoded_frames += 1
            yield frame


def _begins_before(packet: Packet, base: float, time: float) -> bool:
    """Whether a packet is a key frame that is shown at or before an instant; `base` is the unit of its time stamps."""
    return packet.is_keyframe and packet.pts is not None and packet.pts * base <= time


def _needed_packets(packets: list[Packet], wanted: set[int]) -> Iterator[Packet | None]:
    """Packets of the groups of pictures that hold a wanted time stamp.

    Then None, which makes the decoder give the frames that it still holds.
    """
    groups: list[list[Packet]] = []
    for packet in packets:
        if packet.is_keyframe or not groups:
            groups.append([])
        groups[-1].append(packet)
    # What comes after the last wanted frame of a group, in decoding order, is not needed.
    last = [max((i + 1 for i, packet in enumerate(group) if packet.pts in wanted), default=0) for group in groups]
    for i, group in enumerate(groups[1:], 1):
        # Frames that are shown before their group's key frame may refer to the group before.
        key = group[0].pts
        if any(p.pts in wanted and p.pts is not None and key is not None and p.pts < key for p in group):
            last[i - 1] = len(groups[i - 1])
    yield from (packet for group, count in zip(groups, last) for packet in group[:count])
    yield None
