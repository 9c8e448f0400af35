"""Decoded frames -> RGB pixels, scaled while they are converted (FFmpeg's swscale)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from .storage import open_file
from .streams import DecodeError, PADDING

# Tag of the colour matrix YCgCo, which swscale does not convert.
_YCGCO = 8
# Planes of FFmpeg's planar format stand in the order G, B, R.
_RGB_PLANES = (2, 0, 1)


@dataclass(frozen=True)
class Geometry:
    """How each frame is scaled and cropped.

    Attributes:
        size: (height, width) to which the whole frame is scaled.
        crop: (top, left, height, width) of what is kept of the scaled frame; None keeps all.
        beside: (top, left) of further crops of the same size, which stand to the right of the first in the result.
    """

    size: tuple[int, int]
    crop: tuple[int, int, int, int] | None = None
    beside: tuple[tuple[int, int], ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of what is kept."""
        rows, columns = self.crop[2:] if self.crop else self.size
        return rows, columns * (1 + len(self.beside))


# Called once for a file with the (height, width) of its frames as shown.
ChooseGeometry = Callable[[int, int], Geometry]


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of a video; its length, index, iteration and `np.asarray` give the pixels.

    Attributes:
        pixels: RGB, uint8 [T, H, W, 3]; channels come first in memory, as networks take them.
        times: Presentation time of each frame that is shown, float64 [T], seconds.
    """

    pixels: NDArray[np.uint8]
    times: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, ...]:
        """[T, H, W, 3]."""
        return self.pixels.shape

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Any) -> NDArray[np.uint8]:
        pixels: NDArray[np.uint8] = self.pixels[index]
        return pixels

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return iter(self.pixels)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy:
            return np.array(self.pixels, dtype=dtype)
        return np.asarray(self.pixels, dtype=dtype)

    def __repr__(self) -> str:
        count, height, width = self.shape[:3]
        span = f", {self.times[0]:.2f}-{self.times[-1]:.2f} s" if count else ""
        return f"Frames({count} of {width}x{height}{span})"


@dataclass(frozen=True)
class Orientation:
    """How the stored pixels lie in the frame as shown: first transposed, then mirrored.

    Attributes:
        transposed: Whether rows are columns.
        upside_down: Whether the order of the rows is turned round then.
        mirrored: Whether the order of the columns is turned round then.
    """

    transposed: bool = False
    upside_down: bool = False
    mirrored: bool = False

    def apply(self, plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A view of [height, width] as shown."""
        shown = plane.T if self.transposed else plane
        return shown[:: -1 if self.upside_down else 1, :: -1 if self.mirrored else 1]


_AS_STORED = Orientation()
# By the angle by which a frame is turned to be shown, degrees, counterclockwise.
_TURNS = {
    90: Orientation(transposed=True, upside_down=True),
    180: Orientation(upside_down=True, mirrored=True),
    270: Orientation(transposed=True, mirrored=True),
}
# By EXIF's tag of the orientation.
_EXIF_TAG = 0x0112
_EXIF = {
    2: Orientation(mirrored=True),
    3: _TURNS[180],
    4: Orientation(upside_down=True),
    5: Orientation(transposed=True),
    6: _TURNS[270],
    7: Orientation(transposed=True, upside_down=True, mirrored=True),
    8: _TURNS[90],
}


def orientation(frame: av.VideoFrame) -> Orientation:
    """How a frame is shown, by its display matrix; any angle counts as the nearest quarter turn."""
    # PyAV's types do not say that a kind of data is a key.
    try:
        data = frame.side_data.get(cast(str, SideDataType.DISPLAYMATRIX))
    except ValueError:
        # A kind that PyAV has no name for lies beside the matrix (a camera's EXIF); it gives the turn alone.
        if not isinstance(frame.opaque, Orientation):
            turn = _TURNS.get(round(frame.rotation / 90) * 90 % 360, _AS_STORED)
            # Several ask; the picture is opened once.
            frame.opaque = _exif_orientation(frame.opaque, turn) if isinstance(frame.opaque, str) else turn
        return frame.opaque
    if data is None:
        return _AS_STORED
    # (x, y) is shown at (a x + c y, b x + d y).
    a, b, _, c, d, *_ = np.frombuffer(cast(memoryview, data), np.int32).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(upside_down=d < 0, mirrored=a < 0)
    return Orientation(transposed=True, upside_down=b < 0, mirrored=c < 0)


def name_picture(frame: av.VideoFrame, path: str) -> av.VideoFrame:
    """Tell a frame from which picture it comes, for `orientation`: of its EXIF, PyAV passes on a part."""
    frame.opaque = path
    return frame


def _exif_orientation(path: str, default: Orientation) -> Orientation:
    """How a picture is shown by its EXIF; another one where it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with open_file(path) as file, Image.open(file) as image:
            return _EXIF.get(image.getexif().get(_EXIF_TAG, 1), _AS_STORED)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return default


def is_plain(frame: av.VideoFrame) -> bool:
    """Whether swscale alone brings a frame into the form in which it is shown."""
    return orientation(frame) == _AS_STORED and frame.colorspace != _YCGCO


class Scaler:
    """Scales and converts the frames of one file to one size: preparing the conversion costs more than a frame."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def write(self, frame: av.VideoFrame, geometry: Geometry, out_CHW: NDArray[np.uint8]) -> None:
        """Write the pixels of a frame, rotated and mirrored as shown.

        Args:
            frame: A decoded frame.
            geometry: How it is scaled and cropped.
            out_CHW: uint8 [3, *geometry.shape] of any strides, filled with R, G and B.
        """
        turned = orientation(frame)
        height, width = geometry.size[::-1] if turned.transposed else geometry.size
        top, left, rows, columns = geometry.crop or (0, 0, *geometry.size)
        for channel, plane in enumerate(self._planes(frame, height, width)):
            shown = turned.apply(plane)
            for place, (y, x) in enumerate(((top, left), *geometry.beside)):
                out_CHW[channel, :, place * columns : (place + 1) * columns] = shown[y : y + rows, x : x + columns]

    def convert(self, frame: av.VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        """The pixels of a whole frame, rotated and mirrored as shown.

        Args:
            frame: A decoded frame.
            size: (height, width) of the result.

        Returns:
            RGB, uint8 [height, width, 3].
        """
        out = np.empty((*size, 3), np.uint8)
        self.write(frame, Geometry(size), out.transpose(2, 0, 1))
        return out

    def _planes(self, frame: av.VideoFrame, height: int, width: int) -> list[NDArray[np.uint8]]:
        """R, G and B [height, width], as stored."""
        if frame.colorspace == _YCGCO:
            return self._from_ycgco(frame, height, width)
        if (frame.height, frame.width) == (height, width):
            # Without scaling swscale takes a fast path, whose planar variant leaves the last columns of odd widths
            # unwritten.
            return list(self._reformatter.reformat(frame, format="rgb24").to_ndarray().transpose(2, 0, 1))
        # Planar conversion is twice as fast as packed, and right to half a grey level; packed pixels are up to 2 levels
        # too dark on average.
        planar = self._reformatter.reformat(frame, width, height, "gbrp", interpolation="BILINEAR")
        planes = [planar.planes[i] for i in _RGB_PLANES]
        # Planes support the buffer protocol, which PyAV's type stubs do not say.
        return [
            np.frombuffer(cast(memoryview, plane), np.uint8).reshape(-1, plane.line_size)[:height, :width]
            for plane in planes
        ]

    def _from_ycgco(self, frame: av.VideoFrame, height: int, width: int) -> list[NDArray[np.uint8]]:
        """R, G and B of a frame in YCgCo."""
        # One matrix to the same one: the planes are scaled, and spread to the full range.
        same = Colorspace.ITU709
        planes = self._reformatter.reformat(
            frame,
            width,
            height,
            "yuv444p",
            src_colorspace=same,
            dst_colorspace=same,
            dst_color_range=ColorRange.JPEG,
            interpolation="BILINEAR",
        ).to_ndarray()
        y, cg, co = planes.astype(np.int16)
        cg, co = cg - 128, co - 128
        return [np.clip(plane, 0, 255).astype(np.uint8) for plane in (y - cg + co, y + cg, y - cg - co)]


def limit_size(stream: VideoStream, max_pixels: int, path: str) -> None:
    """Refuse frames that are too large, by the header and, where it does not say the truth, in the decoder.

    Args:
        stream: Of a file that `open_input` has opened with the same limit.
        max_pixels: Of the largest frame that is decoded.
        path: The file's name, for the message.

    Raises:
        DecodeError: The frames are larger.
    """
    context = stream.codec_context
    # PyAV's types say that there always is one.
    if context is None:
        return
    limit = f"more than the {max_pixels} pixels of DATA.MAX_PIXELS"
    if not context.width * context.height:
        # The codec was asked for its first frame, and did not give it.
        raise DecodeError(f"cannot be read, or its frames have {limit}", path)
    if context.width * context.height > max_pixels:
        raise DecodeError(f"its frames of {context.width} x {context.height} have {limit}", path)
    context.options = {**context.options, "max_pixels": str(max_pixels + PADDING)}


def shown_size(frame: av.VideoFrame, pixel_aspect: Fraction = Fraction(1)) -> tuple[int, int]:
    """(height, width) of a frame as shown: rotated, its pixels square.

    Args:
        frame: A decoded frame.
        pixel_aspect: Width of a stored pixel as shown, divided by its height.
    """
    height, width = frame.height, max(round(frame.width * pixel_aspect), 1)
    return (width, height) if orientation(frame).transposed else (height, width)


class ClipMaker:
    """Collects the frames of one clip.

    Args:
        count: Number of frames that will be added.
        geometry: Chooses how they are scaled and cropped; None keeps them as they are shown.
        pixel_aspect: Width of a stored pixel as shown, divided by its height.
    """

    def __init__(
        self, count: int, geometry: ChooseGeometry | None = None, pixel_aspect: Fraction = Fraction(1)
    ) -> None:
        self._count, self._choose, self._pixel_aspect = count, geometry, pixel_aspect
        self._scaler = Scaler()
        self._geometry, self._pixels = Geometry((0, 0)), np.empty((3, 0, 0, 0), np.uint8)
        self._times: list[float] = []
        self._last: av.VideoFrame | None = None

    def add(self, frame: av.VideoFrame, time: float) -> None:
        """Add a frame; one that is added again right after itself is not converted again.

        Args:
            frame: A decoded frame.
            time: Its presentation time, seconds.
        """
        place = len(self._times)
        if not place:
            shown = shown_size(frame, self._pixel_aspect)
            self._geometry = self._choose(*shown) if self._choose else Geometry(shown)
            self._pixels = np.empty((3, self._count, *self._geometry.shape), np.uint8)
        if frame is self._last:
            self._pixels[:, place] = self._pixels[:, place - 1]
        else:
            self._scaler.write(frame, self._geometry, self._pixels[:, place])
        self._times.append(time)
        self._last = frame

    @property
    def frames(self) -> Frames:
        """The clip; its pixels are not copied."""
        return Frames(self._pixels.transpose(1, 2, 3, 0), np.array(self._times, np.float64))
