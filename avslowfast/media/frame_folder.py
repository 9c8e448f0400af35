"""A folder of frames, with an audio file for them, read like a video."""

import functools
import os
from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

from .base import MediaReader
from .sound import AudioSamples, silence, SoundReader
from .streams import DecodeError, open_input, path_text, PathLike, StreamInfo

_ENDINGS = (".jpg", ".jpeg", ".png")


@functools.lru_cache(maxsize=1024)
def _list_frames(folder: str) -> tuple[str, ...]:
    """Names of the frames of a folder, in order; read once per process."""
    try:
        return tuple(sorted(name for name in os.listdir(folder) if name.lower().endswith(_ENDINGS)))
    except OSError as error:
        raise DecodeError(f"cannot be opened ({error.strerror})", folder) from None


class FrameFolderReader(MediaReader):
    """Frames in the order of their file names; the first is shown at second 0. Use as a context manager.

    Args:
        folder: Folder of jpg or png files.
        frame_rate: Frames per second, Hz.
        audio_path: File with audio on the same clock; "" means no audio.

    Raises:
        DecodeError: The folder does not exist or has no frames in it, or the audio file cannot be read.
    """

    def __init__(self, folder: PathLike, frame_rate: float, audio_path: PathLike = "") -> None:
        self.path = path_text(folder)
        self.decoded_frames = 0
        self._names = _list_frames(self.path)
        if not self._names:
            raise DecodeError("no frames in it", self.path)
        self._audio_file = SoundReader(audio_path) if audio_path else None
        self.video = StreamInfo(0.0, len(self._names) / frame_rate, frame_rate)
        self.audio = self._audio_file.audio if self._audio_file else None

    def close(self) -> None:
        """Close the audio file."""
        if self._audio_file:
            self._audio_file.close()

    def nearest_frames(self, times: NDArray[np.float64]) -> Iterator[tuple[float, av.VideoFrame]]:
        """See `MediaReader.nearest_frames`; a frame's instant is its number divided by the frame rate."""
        numbers = np.clip(np.round(times * self.video.rate), 0, len(self._names) - 1).astype(int).tolist()
        frame, last = None, None
        for number in numbers:
            if frame is None or number != last:
                frame, last = self._read(number), number
            yield number / self.video.rate, frame

    def iter_frames(self, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """See `MediaReader.iter_frames`."""
        for number in range(max(int(start * self.video.rate), 0), len(self._names)):
            yield number / self.video.rate, self._read(number)

    def read_audio(self, start: float, duration: float, sample_rate: int = 16000) -> AudioSamples:
        """See `SoundReader.read_audio`; silence without an audio file."""
        if self._audio_file is None:
            return silence(start, duration, sample_rate)
        return self._audio_file.read_audio(start, duration, sample_rate)

    def _read(self, number: int) -> av.VideoFrame:
        path = os.path.join(self.path, self._names[number])
        try:
            with open_input(path) as container:
                self.decoded_frames += 1
                return next(container.decode(video=0))
        except (av.error.FFmpegError, OSError, StopIteration) as error:
            raise DecodeError(f"cannot be read ({' '.join(str(error).split()) or 'no frame'})", path) from None
