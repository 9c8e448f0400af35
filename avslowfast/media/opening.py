"""One call that opens what clips are cut from: a video file, a folder of frames, a file of sound."""

import contextlib

from .base import MediaReader
from .frame_folder import FrameFolderReader
from .sound import SoundReader
from .streams import DecodeError, MAX_PIXELS, PathLike
from .video import VideoReader


def open_media(
    path: PathLike,
    audio_path: PathLike = "",
    frame_rate: float = 0.0,
    loop_filter: bool = True,
    frames: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> MediaReader:
    """Open a video file, a folder of frames, or the sound of a file.

    Args:
        path: The file or folder.
        audio_path: Another file with the audio, on the same clock; "" means the file itself, or no audio for a folder
            of frames.
        frame_rate: Frames per second where `path` is a folder of frames; 0 means a file.
        loop_filter: See `VideoReader`.
        frames: Whether frames will be read. Without them every file with sound will do; a video without sound is
            opened all the same, since it is silent and no failure.
        max_pixels: Of the largest frame that is decoded.

    Raises:
        DecodeError: It cannot be read.
    """
    if not frames and (audio_path or not frame_rate):
        try:
            return SoundReader(audio_path or path)
        except DecodeError:
            if not audio_path:
                with contextlib.suppress(DecodeError):
                    return VideoReader(path, max_pixels=max_pixels)
            raise
    if frame_rate:
        return FrameFolderReader(path, frame_rate, audio_path, max_pixels)
    return VideoReader(path, audio_path=audio_path, loop_filter=loop_filter, max_pixels=max_pixels)
