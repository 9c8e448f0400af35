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

    def add(self, frame):
        """Add a frame; one that is added again right after itself is not converted again."""
        if self._pixels is None:
            shown = (frame.width, frame.height) if frame.rotation % 180 else (frame.height, frame.width)
            self._geometry = self._choose(*shown) if self._choose else Geometry(shown)
            self._pixels = np.empty((3, self._count, *self._geometry.shape), np.uint8)
        if frame is self._last:
            self._pixels[:, self._added] = self._pixels[:, self._added - 1]
        else:
            self._scaler.write(frame, self._geometry, self._pixels[:, self._added])
        self._added, self._last = self._added + 1, frame

    @property
    def frames(self):
        """uint8 [count, H, W, 3]; channels come first in memory."""
        return self._pixels.transpose(1, 2, 3, 0)


class FrameSource:
    """What gives frames by their instants: a subclass yields the nearest one to each of some ascending instants in `_wanted(times)`."""

    def read_frames(self, times, geometry=None):
        """The frames nearest to the given instants, decoding no more than needed and converting only what is returned.

        Args:
            times: ascending instants, seconds on the presentation clock.
            geometry: called once with the (height, width) of the pictures as shown; gives a `Geometry`. None keeps the file's size.

        Returns:
            RGB pixels, uint8 [len(times), H, W, 3], rotation applied; in memory channels come first, as networks take them.

        Raises:
            DecodeError: nothing could be decoded, or pictures are missing around an instant.
        """
        return self.read_clips([(times, geometry)])[0]

    def read_clips(self, requests):
        """Several clips at once, each of which may be scaled and cropped in its own way; what they share is decoded once.

        Args:
            requests: (times, geometry) of each, as for `read_frames`.

        Returns:
            A list of what `read_frames` gives.
        """
        for times, _ in requests:
            if np.any(np.diff(times) < 0):
                raise ValueError("times must ascend")
        makers = [ClipMaker(len(times), geometry) for times, geometry in requests]
        whose = np.repeat(np.arange(len(requests)), [len(times) for times, _ in requests])
        together = np.concatenate([np.asarray(times, dtype=np.float64) for times, _ in requests])
        order = np.argsort(together, kind="stable")
        for number, frame in zip(whose[order], self._wanted(together[order])):
            makers[number].add(frame)
        return [maker.frames for maker in makers]
