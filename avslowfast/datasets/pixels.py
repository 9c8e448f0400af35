"""Decoded frames -> RGB pixels, scaled while they are converted (FFmpeg's swscale)."""

from dataclasses import dataclass

import numpy as np
from av.video.reformatter import VideoReformatter

# Planes of FFmpeg's planar format stand in the order G, B, R.
_RGB_PLANES = (2, 0, 1)


@dataclass(frozen=True)
class Geometry:
    """What to do with each picture: scale to `size` (height, width), then keep `crop` (top, left, height, width; None: all)."""

    size: tuple
    crop: tuple | None = None

    @property
    def shape(self):
        """(height, width) of what is left."""
        return tuple(self.crop[2:]) if self.crop else tuple(self.size)


class Scaler:
    """Scales and converts the frames of one file to one size: setting it up costs more than a frame."""

    def __init__(self):
        self._reformatter = VideoReformatter()

    def write(self, frame, geometry, out_CHW):
        """Write the pixels of a frame, as shown, into uint8 [3, *geometry.shape] of any strides."""
        turns = round(frame.rotation / 90) % 4
        height, width = geometry.size[::-1] if turns % 2 else geometry.size
        top, left, rows, columns = geometry.crop or (0, 0, *geometry.size)
        for channel, plane in enumerate(self._planes(frame, height, width)):
            out_CHW[channel] = np.rot90(plane, turns)[top : top + rows, left : left + columns]

    def picture(self, frame, size):
        """The pixels of a whole frame, as shown: uint8 [height, width, 3]."""
        out = np.empty((*size, 3), np.uint8)
        self.write(frame, Geometry(size), out.transpose(2, 0, 1))
        return out

    def _planes(self, frame, height, width):
        """R, G and B [height, width], not rotated."""
        if (frame.height, frame.width) == (height, width):
            # What does not scale has a fast way of its own, whose planar kind leaves the last columns of odd widths unwritten.
            return self._reformatter.reformat(frame, format="rgb24").to_ndarray().transpose(2, 0, 1)
        # Planar: twice as fast as packed pixels, and right to half a grey level, where packed ones are up to 2 too dark on average.
        planar = self._reformatter.reformat(frame, width, height, "gbrp", interpolation="BILINEAR")
        planes = [planar.planes[i] for i in _RGB_PLANES]
        return [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:height, :width] for plane in planes]


class ClipMaker:
    """Collects the frames of one clip.

    Args:
        count: frames that will be added. geometry: called once with the (height, width) of the pictures as shown; gives a `Geometry`.
            None keeps them as they are.
    """

    def __init__(self, count, geometry=None):
        self._count, self._choose = count, geometry
        self._scaler, self._geometry, self._pixels = Scaler(), None, None
        self._added, self._last = 0, None

    def add(self, frame, key):
        """Add a frame; one with the same `key` as the one before is not converted again."""
        if self._pixels is None:
            shown = (frame.width, frame.height) if frame.rotation % 180 else (frame.height, frame.width)
            self._geometry = self._choose(*shown) if self._choose else Geometry(shown)
            self._pixels = np.empty((3, self._count, *self._geometry.shape), np.uint8)
        if self._added and key == self._last:
            self._pixels[:, self._added] = self._pixels[:, self._added - 1]
        else:
            self._scaler.write(frame, self._geometry, self._pixels[:, self._added])
        self._added, self._last = self._added + 1, key

    @property
    def frames(self):
        """uint8 [count, H, W, 3]; channels come first in memory."""
        return self._pixels.transpose(1, 2, 3, 0)
