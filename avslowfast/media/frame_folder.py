"""A folder of frames, with an audio file for them, read like a video."""

import functools
import os
import re
from collections.abc import Iterator

import av
import numpy as np
from numpy.typing import NDArray

from .base import MediaReader
from .pixels import limit_size, name_picture
from .sound import AudioSamples, silence, SoundReader
from .storage import list_folder, open_input, Place, tar_of
from .streams import DecodeError, MAX_PIXELS, path_text, PathLike, StreamInfo

_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm")
# What comes before the last number of a name, that number, what comes after it.
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.DOTALL)
# Series that a message names, at most.
_NAMED = 4


@functools.lru_cache(maxsize=1024)
def _list_frames(folder: str, tar: Place | None = None) -> tuple[str, ...]:
    """Names of the frames of a folder, in order of the last number in them; read once per process.

    Names without any number are in the order of their characters.

    Raises:
        DecodeError: The folder cannot be read, or holds several series, such as img_*, x_* and y_* of optical flow.
    """
    try:
        names = sorted(list_folder(folder, tar))
    except OSError as error:
        raise DecodeError(f"cannot be opened ({error.strerror})", folder) from None
    frames: dict[int, str] = {}
    series: dict[str, None] = {}
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending.lower() not in _ENDINGS or name.startswith("."):
            continue
        numbered = _NUMBERED.fullmatch(stem)
        series["*".join(numbered.group(1, 3)) if numbered else "names without a number"] = None
        number = int(numbered[2]) if numbered else len(frames)
        if number in frames and len(series) == 1:
            raise DecodeError(f"{frames[number]} and {name} have the same number; remove one of them", folder)
        frames[number] = name
    if len(series) > 1:
        shown = ", ".join(list(series)[:_NAMED]) + (", ..." if len(series) > _NAMED else "")
        raise DecodeError(f"{len(series)} series of frames in it ({shown}); keep each in a folder of its own", folder)
    return tuple(frames[number] for number in sorted(frames))


class FrameFolderReader(MediaReader):
    """Frames in the order of the last number in their names; the first is at second 0. Use as a context manager.

    Args:
        folder: Folder of the images of one series.
        frame_rate: Frames per second, Hz.
        audio_path: File with audio on the same clock; "" means no audio.
        max_pixels: Of the largest frame that is decoded.

    Raises:
        DecodeError: The folder does not exist, has no frames or several series in it, or the audio file cannot be read.
    """

    video: StreamInfo

    def __init__(
        self, folder: PathLike, frame_rate: float, audio_path: PathLike = "", max_pixels: int = MAX_PIXELS
    ) -> None:
        self.path, self._max_pixels = path_text(folder), max_pixels
        self.decoded_frames = 0
        self._tar = tar_of(self.path)
        self._names = _list_frames(self.path, self._tar)
        if not self._names:
            raise DecodeError("no frames in it", self.path)
        self._audio_file = SoundReader(audio_path) if audio_path else None
        self.video = StreamInfo(0.0, len(self._names) / frame_rate, frame_rate)
        self.audio = self._audio_file.audio if self._audio_file else None

    @property
    def damaged(self) -> int:
        """See `MediaReader`; a frame that cannot be read is an error."""
        return self._audio_file.damaged if self._audio_file else 0

    def close(self) -> None:
        """Close the audio file."""
        if self._audio_file:
            self._audio_file.close()

    def shown_frames(self, times: NDArray[np.float64]) -> Iterator[tuple[float, av.VideoFrame]]:
        """See `MediaReader.shown_frames`; a frame's instant is its number divided by the frame rate."""
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
            with open_input(path, self._max_pixels, self._tar) as container:
                limit_size(container.streams.video[0], self._max_pixels, path)
                self.decoded_frames += 1
                return name_picture(next(container.decode(video=0)), path)
        except (av.error.FFmpegError, OSError, StopIteration, IndexError) as error:
            raise DecodeError(f"cannot be read ({' '.join(str(error).split()) or 'no frame'})", path) from None
