"""One call that opens a video file or a folder of frames."""

from .base import MediaReader
from .frame_folder import FrameFolderReader
from .streams import PathLike
from .video import VideoReader


def open_media(
    path: PathLike, audio_path: PathLike = "", frame_rate: float = 0.0, loop_filter: bool = True
) -> MediaReader:
    """Open a video file, or a folder of frames.

    Args:
        path: The file or folder.
        audio_path: Another file with the audio, on the same clock; "" means the video file itself, or no audio for
            a folder of frames.
        frame_rate: Frames per second where `path` is a folder of frames; 0 means a video file.
        loop_filter: See `VideoReader`.

    Raises:
        DecodeError: It cannot be read.
    """
    if frame_rate:
        return FrameFolderReader(path, frame_rate, audio_path)
    return VideoReader(path, audio_path=audio_path, loop_filter=loop_filter)
