"""Video and audio files: frames and samples on one clock (seconds).

Usable alone: needs neither torch nor a configuration.

with VideoReader("video.mp4") as reader:
    frames = reader.read_frames([1.0, 1.5, 2.0])        # Frames: pixels [3, H, W, 3], times [3]
    audio = reader.read_audio(1.0, 2.0)                 # AudioSamples: 2 s from second 1 on, mono at 16 kHz
"""

from .base import MediaReader
from .frame_folder import FrameFolderReader
from .opening import open_media
from .pixels import Frames, Geometry
from .sound import AudioSamples, SoundReader
from .streams import DecodeError, StreamInfo
from .transcode import transcode, TranscodeResult
from .video import VideoReader
from .writing import write_video

__all__ = [
    "AudioSamples",
    "DecodeError",
    "FrameFolderReader",
    "Frames",
    "Geometry",
    "MediaReader",
    "SoundReader",
    "StreamInfo",
    "TranscodeResult",
    "VideoReader",
    "open_media",
    "transcode",
    "write_video",
]
