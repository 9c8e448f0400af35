"""A folder of frames, with a file of sound beside it, read like a video."""

import functools
import os

import av
import numpy as np

from .decode import DecodeError, SoundReader, StreamInfo
from .pixels import FrameSource

_ENDINGS = (".jpg", ".jpeg", ".png")


@functools.lru_cache(maxsize=1024)
def _listed(folder):
    try:
        return tuple(sorted(name for name in os.listdir(folder) if name.lower().endswith(_ENDINGS)))
    except OSError as error:
        raise DecodeError(f"{folder}: cannot be opened ({error.strerror})") from None


class FrameReader(FrameSource):
    """Has what `decode.VideoReader` has, over pictures in the order of their names; the first is shown at second 0.

    Args:
        folder: of jpg or png files. frame_rate: of them, Hz. sound: a file with sound on the same clock, "" for none.

    Raises:
        DecodeError: no such folder, or no pictures in it; a sound file that cannot be read.
    """

    def __init__(self, folder, frame_rate, sound=""):
        self.path = str(folder)
        self.decoded_frames = 0
        self._names = _listed(self.path)
        if not self._names:
            raise DecodeError(f"{self.path}: no pictures in it")
        self._sound = SoundReader(sound) if sound else None
        self.video = StreamInfo(0.0, len(self._names) / frame_rate, frame_rate)
        self.audio = self._sound.audio if self._sound else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the file of the sound."""
        if self._sound:
            self._sound.close()

    def _wanted(self, times):
        # A frame is shown from its own instant to the next one's; the nearest instant counts, as with videos.
        numbers = np.clip(np.round(np.asarray(times) * self.video.rate), 0, len(self._names) - 1).astype(int)
        frame = None
        for i, number in enumerate(numbers):
            if not i or number != numbers[i - 1]:
                frame = self._read(self._names[number])
            yield frame

    def _read(self, name):
        path = os.path.join(self.path, name)
        try:
            with av.open(path) as container:
                self.decoded_frames += 1
                return next(container.decode(video=0))
        except (av.error.FFmpegError, OSError, StopIteration) as error:
            raise DecodeError(f"{path}: cannot be read ({' '.join(str(error).split()) or 'no picture'})") from None

    def read_audio(self, start, duration, sample_rate=16000):
        """See `decode.SoundReader.read_audio`; silence without a file of sound."""
        if self._sound is None:
            return np.zeros(int(round(duration * sample_rate)), np.float32), False
        return self._sound.read_audio(start, duration, sample_rate)
