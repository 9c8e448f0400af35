"""Videos from elsewhere than a file: a camera is recorded."""

import sys

import av

from .streams import DecodeError, reason_of


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
        with av.open(device, format=kind) as camera, av.open(path, "w") as out:
            source = camera.streams.video[0]
            stream = out.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = source.width, source.height, "yuv420p"
            first = None
            for frame in camera.decode(video=0):
                now = frame.time or 0.0
                first = now if first is None else first
                if now - first >= seconds:
                    break
                frame.pts = None
                for packet in stream.encode(frame):
                    out.mux(packet)
            for packet in stream.encode(None):
                out.mux(packet)
    except (av.error.FFmpegError, OSError) as error:
        raise DecodeError(f"no camera could be opened ({reason_of(error)})", device) from None
