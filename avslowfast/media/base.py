"""The common interface of what gives frames and audio on one clock: videos, folders of frames, files of sound."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .order import OutOfOrderError
from .pixels import ChooseGeometry, ClipMaker, Frames
from .streams import DecodeError, decoding, OpenFile, StreamInfo

if TYPE_CHECKING:
    from .sound import AudioSamples


class MediaReader(OpenFile):
    """An open source of frames and audio; use as a context manager.

    Attributes:
        path: The file, or the folder of frames.
        video: Where the frames lie on the presentation clock, and their rate; None where only sound is read.
        audio: Where the audio lies, None without audio.
        audio_problem: Why the audio that there is cannot be decoded, "" where it can or there is none.
        pixel_aspect: Width of a pixel as shown, divided by its height.
        decoded_frames: Frames decoded so far, for tests and benchmarks.
        damaged: Packets and frames so far that could not be decoded, or only in part.
    """

    path: str
    video: StreamInfo | None = None
    audio: StreamInfo | None = None
    audio_problem: str = ""
    pixel_aspect: Fraction = Fraction(1)
    decoded_frames: int = 0

    @property
    @abstractmethod
    def damaged(self) -> int:
        """See the class."""

    @property
    def extent(self) -> StreamInfo:
        """What clips are cut from: the frames; the sound where only sound is read."""
        stream = self.video or self.audio
        assert stream is not None  # nothing is open that has neither
        return stream

    @property
    def clock(self) -> StreamInfo:
        """What the seconds of label files count along: the frames of a video, the sound of a file without frames."""
        return self.extent

    def shown_frames(self, times: NDArray[np.float64]) -> Iterator[tuple[float, av.VideoFrame]]:
        """The decoded frame that is shown at each instant, not converted, decoding no more than needed.

        It is the last one whose time has come (within half a usual frame, for instants that are rounded); before the
        first frame it is the first.

        Args:
            times: Ascending presentation times, seconds, float64 [T].

        Yields:
            (presentation time, frame) for each of them; instants in one frame give the same object again.

        Raises:
            DecodeError: Nothing could be decoded, or frames are missing around an instant, or only sound is read.
            OutOfOrderError: The file's time stamps are not what they should be; the next call puts them in order.
        """
        raise DecodeError("it is open for its sound alone", self.path)

    def iter_frames(self, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """Every frame in order of presentation, not converted.

        The first one is the last at or before `start`, or a little earlier.

        Args:
            start: Presentation time, seconds.

        Yields:
            (presentation time, frame).

        Raises:
            DecodeError: Only sound is read.
        """
        raise DecodeError("it is open for its sound alone", self.path)

    @abstractmethod
    def read_audio(self, start: float, duration: float, sample_rate: int = 16000) -> "AudioSamples":
        """The audio of a span; see `SoundReader.read_audio`. Silence without audio."""

    def __repr__(self) -> str:
        video = f"video {self.video}, " if self.video else ""
        audio = f"audio {self.audio}" if self.audio else "no audio"
        return f"{type(self).__name__}({self.path!r}, {video}{audio})"

    def read_frames(self, times: ArrayLike, geometry: ChooseGeometry | None = None) -> Frames:
        """The frames that are shown at instants, decoding no more than needed and converting only what is returned.

        Args:
            times: Ascending presentation times, seconds, [T].
            geometry: Called once with the (height, width) of the frames as shown; None keeps the file's size.

        Returns:
            `Frames` of length T, rotation applied.

        Raises:
            DecodeError: Nothing could be decoded, or frames are missing around an instant.
        """
        return self.read_clips([(times, geometry)])[0]

    def read_clips(self, requests: Sequence[tuple[ArrayLike, ChooseGeometry | None]]) -> list[Frames]:
        """Several clips at once, each scaled and cropped in its own way; frames that they share are decoded once.

        Args:
            requests: (times, geometry) of each clip, as for `read_frames`.

        Returns:
            What `read_frames` gives, for each.

        Raises:
            DecodeError: Nothing could be decoded, or frames are missing around an instant.
        """
        wanted = [(np.asarray(times, dtype=np.float64), geometry) for times, geometry in requests]
        if any(np.any(np.diff(times) < 0) for times, _ in wanted):
            raise ValueError("times must ascend")
        maker_of = np.repeat(np.arange(len(wanted)), [len(times) for times, _ in wanted])
        together = np.concatenate([times for times, _ in wanted])
        order = np.argsort(together, kind="stable")
        with decoding(self.path):
            while True:
                makers = [ClipMaker(len(times), geometry, self.pixel_aspect) for times, geometry in wanted]
                try:
                    # The reader first, so that it is asked for its end, where it tells of damage.
                    for (time, frame), number in zip(self.shown_frames(together[order]), maker_of[order]):
                        makers[number].add(frame, time)
                    return [maker.frames for maker in makers]
                except OutOfOrderError:
                    continue
