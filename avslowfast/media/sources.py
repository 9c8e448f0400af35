"""Videos from elsewhere than a file: a camera is recorded."""

import sys
from fractions import Fraction

import av
from av.container import InputContainer

from .streams import DecodeError, reason_of

# Unit of the times that are written, seconds; every rate of a camera fits.
_CLOCK = Fraction(1, 90000)


def record_camera(path: str, seconds: float) -> None:
    """Record the first camera, without audio.

    Args:
        path: File to write.
        seconds: Length of the recording.

    Raises:
        DecodeError: No camera can be opened.
    """
    formats = {"linux": ("v4l2", "/dev/video0"), "darwin": ("avfoundation", "0"), "win32": ("dshow", "video=0")}
    kind, device = formats.get(sys.platform, formats["linux"])
    try:
        with av.open(device, format=kind) as camera:
            record(camera, path, seconds)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # PyAV tells by a ValueError that FFmpeg was built without a system's cameras.
        raise DecodeError(f"no camera could be opened ({reason_of(error)})", device) from None


def record(camera: InputContainer, path: str, seconds: float) -> None:
    """Write the frames of a source that goes on, each at the time at which the source gave it.

    Args:
        camera: The source; its first video stream is taken.
        path: File to write.
        seconds: Length of the recording, from the first frame.
    """
    with av.open(path, "w") as out:
        source = camera.streams.video[0]
        stream = out.add_stream("libx264", rate=source.average_rate or 30)
        stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = _CLOCK
        first, last = None, -1
        for frame in camera.decode(video=0):
            now = frame.time or 0.0
            first = now if first is None else first
            if now - first >= seconds:
                break
            # A camera's rate varies, and it is seldom the one that it tells.
            last = max(round((now - first) / _CLOCK), last + 1)
            frame.pts, frame.time_base = last, _CLOCK
            for packet in stream.encode(frame):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
