"""Decoded frames in order of presentation, each with its time.

A decoder gives frames in the order in which they are shown. Their time stamps are those of presentation in most
containers; AVI stores only the order of decoding, and raw streams store nothing.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from .extent import BEGINS_ANEW, begins_anew
from .streams import frame_rate, has_no_stamps, time_unit

# No codec shows a frame more than this many frames after one that is decoded later.
MAX_REORDER = 17


class Stamps(Enum):
    """What the time stamps of a stream's packets tell."""

    SHOWN = "when each frame is shown"
    UNSORTED = "when frames are shown, but not always that of their own"
    DECODED = "the order in which the frames are decoded"
    NONE = "nothing"


class OutOfOrderError(Exception):
    """Time stamps that should be those of presentation do not ascend."""


def stamps_of(container: InputContainer) -> Stamps:
    """What the time stamps of the streams of a file tell."""
    if container.format.name == "avi":
        return Stamps.DECODED
    if container.format.name == "mpeg":
        # Few frames are stamped in program streams, and FFmpeg guesses the others, at key frames often wrongly.
        return Stamps.UNSORTED
    return Stamps.NONE if has_no_stamps(container) else Stamps.SHOWN


def prepare_packet(packet: Packet, stamps: Stamps) -> None:
    """Give a packet of video the time stamp from which its frame gets its time.

    Args:
        packet: Packet that is about to be decoded.
        stamps: What the stamps of its stream tell.
    """
    if stamps is Stamps.DECODED and packet.dts is not None:
        # What stands in for a time of presentation in it is guessed anew after each seek.
        packet.pts = packet.dts


class FrameOrder:
    """Gives decoded frames ascending times.

    Where the stamps are not those of presentation, the first frame gets the smallest stamp, the next one the next,
    looking ahead as far as a codec may reorder. Frames without a stamp follow the one before by one frame.

    Args:
        stamps: What the frames' stamps tell. Without any, the frames are counted from the beginning of the file.
        stream: Their stream.
        path: Its file, for messages.
    """

    def __init__(self, stamps: Stamps, stream: VideoStream, path: str) -> None:
        self._stamps, self._path, self._base = stamps, path, time_unit(stream)
        self._length = max(round(1 / frame_rate(stream) / self._base), 1)
        self._ahead = 0 if stamps in (Stamps.SHOWN, Stamps.NONE) else MAX_REORDER
        self._frames: deque[av.VideoFrame] = deque()
        self._waiting: list[int] = []
        self._newest: int | None = None
        self._last: int | None = None

    def arrange(self, frames: Iterable[av.VideoFrame]) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames with their times.

        Args:
            frames: Frames as the decoder gives them.

        Yields:
            (presentation time in seconds, frame).

        Raises:
            OutOfOrderError: The stamps should be those of presentation and are not.
            DecodeError: The stamps begin anew in mid-stream.
        """
        for frame in frames:
            stamp = None if self._stamps is Stamps.NONE else frame.pts
            if stamp is None:
                stamp = self._newest + self._length if self._newest is not None else 0
            self._newest = stamp
            self._frames.append(frame)
            heapq.heappush(self._waiting, stamp)
            if len(self._frames) > self._ahead:
                yield self._oldest()
        while self._frames:
            yield self._oldest()

    def _fill_hole(self, stamp: int) -> None:
        """Where a stamp is missing and a later one is there twice, the frame of the second belongs into the hole."""
        ordered = sorted(self._waiting)
        twice = next((one for one, two in zip(ordered, ordered[1:]) if one == two), None)
        if twice is not None:
            self._waiting.remove(twice)
            self._waiting.append(stamp)
            heapq.heapify(self._waiting)

    def _oldest(self) -> tuple[float, av.VideoFrame]:
        last, base = self._last, self._base
        if last is not None and self._stamps is Stamps.UNSORTED and self._waiting[0] > last + 1.5 * self._length:
            self._fill_hole(last + self._length)
        stamp = heapq.heappop(self._waiting)
        if last is not None and stamp < last:
            if (last - stamp) * base > BEGINS_ANEW:
                raise begins_anew(float(last * base), self._path)
            if self._stamps is Stamps.SHOWN:
                raise OutOfOrderError
        self._last = stamp
        return stamp * base.numerator / base.denominator, self._frames.popleft()
