"""Files from elsewhere: a URL is downloaded, a camera recorded."""

import os
import sys
import urllib.parse

import av

from ..utils.errors import UserError
from ..utils.remote import fetch
from .streams import DecodeError, reason_of


def download(url: str, folder: str) -> str:
    """Fetch a file whole, since windows are read at many places and not every server can be read so.

    Args:
        url: Address of the file, http or https.
        folder: Folder to write to.

    Returns:
        The path of the copy.

    Raises:
        DecodeError: It cannot be fetched.
    """
    path = os.path.join(folder, os.path.basename(urllib.parse.urlparse(url).path) or "video")
    try:
        fetch(url, path)
    except UserError as error:
        raise DecodeError(str(error)) from None
    return path


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
