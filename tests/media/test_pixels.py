"""Pixels of decoded frames: colours, scale, crop, rotation."""

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from avslowfast.media import Geometry
from avslowfast.media.pixels import ClipMaker, Scaler


@pytest.fixture(scope="module")
def frame():
    """A textured frame with 4:2:0 chroma, as videos have it; its width is no multiple of anything."""
    yy, xx = np.mgrid[0:90, 0:154]
    rgb = np.stack(
        [127 + 100 * np.sin(xx / 9), 127 + 100 * np.sin(yy / 7), 127 + 100 * np.sin((xx + yy) / 13)], 2
    ).astype(np.uint8)
    return VideoReformatter().reformat(av.VideoFrame.from_ndarray(rgb, format="rgb24"), format="yuv420p")


def expected(frame, height, width):
    """The scaled planes of swscale, converted to R, G, B by the formula of BT.601."""
    y, u, v = (
        VideoReformatter()
        .reformat(frame, width, height, "yuv444p", interpolation="BILINEAR")
        .to_ndarray()
        .astype(float)
    )
    y, u, v = (y - 16) * 255 / 219, (u - 128) * 255 / 224, (v - 128) * 255 / 224
    return np.clip(np.stack([y + 1.402 * v, y - 0.344136 * u - 0.714136 * v, y + 1.772 * u], 2), 0, 255)


@pytest.mark.parametrize(
    "size", [(60, 103), (60, 100), (61, 104), (150, 257), (150, 256), (91, 155), (90, 150), (88, 154)]
)
def test_colours_are_right_up_to_the_last_column(frame, size):
    converted = Scaler().convert(frame, size).astype(float)
    wanted = expected(frame, *size)
    assert abs((converted - wanted).mean()) < 0.3 and np.abs(converted - wanted).mean() < 0.8
    assert np.abs(converted - wanted)[:, -8:].mean() < 1.2


def test_what_keeps_its_size_is_complete(frame):
    converted = Scaler().convert(frame, (90, 154)).astype(float)
    assert (
        np.abs(converted - expected(frame, 90, 154)).mean() < 4
        and np.abs(converted - expected(frame, 90, 154))[:, -8:].mean() < 6
    )


def test_a_crop_is_cut_from_the_scaled_frame(frame):
    out = np.empty((3, 20, 30), np.uint8)
    Scaler().write(frame, Geometry((60, 103), (11, 13, 20, 30)), out)
    np.testing.assert_array_equal(out.transpose(1, 2, 0), Scaler().convert(frame, (60, 103))[11:31, 13:43])


def test_a_clip_keeps_channels_first_in_memory_and_converts_a_repeated_frame_once(frame):
    maker = ClipMaker(3, lambda height, width: Geometry((height // 2, width // 2)))
    again = av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
    for added in (frame, frame, again):
        maker.add(added, 0.0)
    assert maker.frames.shape == (3, 45, 77, 3) and maker.frames.pixels.transpose(3, 0, 1, 2).flags.c_contiguous
    np.testing.assert_array_equal(maker.frames[0], maker.frames[1])
    np.testing.assert_array_equal(maker.frames[0], maker.frames[2])
