"""Folders of frames are read like videos."""

import re

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from helpers.videos import LONG_FPS

from avslowfast.media import DecodeError, FrameFolderReader, Geometry, SoundReader, VideoReader


def test_frames_are_read_once_each(long_video):
    with FrameFolderReader(long_video / "frames", LONG_FPS) as reader:
        frames = reader.read_frames([0.0, 0.01, 1.0, 1.0, 2.0])
        assert reader.decoded_frames == 3
    assert frames.shape == (5, 64, 80, 3)
    assert frames.pixels[:, 0, 0, 0].tolist() == [20, 20, 30, 30, 40]


def test_clips_of_a_folder_share_the_frames_that_are_read(long_video):
    with FrameFolderReader(long_video / "frames", LONG_FPS) as reader:
        a, b = reader.read_clips([([0.0, 1.0, 2.0], None), ([0.01, 1.0], lambda h, w: Geometry((32, 40)))])
        assert reader.decoded_frames == 3
    assert a.shape == (3, 64, 80, 3)
    assert b.shape == (2, 32, 40, 3)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DecodeError, match="none: cannot be opened"):
        FrameFolderReader(tmp_path / "none", 24)


def test_a_folder_without_frames_is_named(tmp_path):
    with pytest.raises(DecodeError, match="no frames in it"):
        FrameFolderReader(tmp_path, 24)


def test_a_broken_frame_is_named(tmp_path):
    (tmp_path / "a.jpg").write_text("not an image")
    with pytest.raises(DecodeError, match="a.jpg: cannot be read"):
        FrameFolderReader(tmp_path, 24).read_frames([0.0])


def test_a_missing_audio_file_is_named(long_video, tmp_path):
    with pytest.raises(DecodeError, match="none.wav"):
        VideoReader(long_video / "x.mp4", audio_path=str(tmp_path / "none.wav"))


def test_a_file_without_audio_is_none_for_the_sound_reader(long_video):
    with pytest.raises(DecodeError, match="no audio stream in it"):
        SoundReader(long_video / "silent.mp4")


def fill(folder, names):
    """Write an image under each name, whose grey level is ten times its place."""
    folder.mkdir(exist_ok=True)
    for place, name in enumerate(names):
        PIL.Image.fromarray(np.full((16, 16, 3), 10 * place, np.uint8)).save(folder / name)
    return folder


@pytest.mark.parametrize(
    "pattern",
    ["{}.png", "frame{}.png", "{:06d}.jpg", "img_{:05d}.JPG", "7A_{}_x.png", "v2.{}.jpeg", "a b-{}.bmp", "{}.webp"],
)
def test_frames_come_in_the_order_of_their_numbers(tmp_path, pattern):
    fill(tmp_path / "f", [pattern.format(number) for number in range(12)])
    (tmp_path / "f/._1.png").write_text("of a Mac")
    (tmp_path / "f/notes 1.txt").write_text("notes")
    with FrameFolderReader(tmp_path / "f", 10) as reader:
        assert reader.video.duration == pytest.approx(1.2)
        levels = [frame.to_ndarray(format="gray").mean() for _, frame in reader.iter_frames(0.0)]
    np.testing.assert_allclose(levels, np.arange(12) * 10, atol=2)


def test_zeros_in_front_and_endings_may_differ(tmp_path):
    fill(tmp_path / "f", ["f_1.png", "f_02.jpg", "f_3.png", "f_0010.png"])
    with FrameFolderReader(tmp_path / "f", 10) as reader:
        levels = [frame.to_ndarray(format="gray").mean() for _, frame in reader.iter_frames(0.0)]
    np.testing.assert_allclose(levels, [0, 10, 20, 30], atol=2)


@pytest.mark.parametrize(
    "names, reason",
    [
        (["img_1.jpg", "x_1.jpg", "y_1.jpg"], "3 series of frames in it (img_*, x_*, y_*); keep each in a"),
        (["1.png", "2.png", "cover.png"], "2 series of frames in it (*, names without a number); keep each"),
        (["1_l.png", "1_r.png"], "2 series of frames in it (*_l, *_r)"),
        ([f"cam{i}_1.png" for i in range(9)], "9 series of frames in it (cam0_*, cam1_*, cam2_*, cam3_*, ...)"),
        (["1.jpg", "1.png"], "1.jpg and 1.png have the same number"),
        (["1.png", "01.png"], "01.png and 1.png have the same number"),
    ],
)  # fmt: skip
def test_several_series_are_refused(tmp_path, names, reason):
    fill(tmp_path / "f", names)
    with pytest.raises(DecodeError, match=re.escape(reason)):
        FrameFolderReader(tmp_path / "f", 10)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_photographs_are_shown_as_their_camera_says(tmp_path, ending, turn):
    """EXIF data lie beside the frame; its corners are where PIL shows them."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:24, :32], pixels[:24, 32:], pixels[24:, :32] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    image = PIL.Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x010F], exif[0x0112] = "a camera", turn
    image.save(tmp_path / f"1.{ending}", exif=exif)
    shown = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(tmp_path / f"1.{ending}")).convert("RGB"))
    for reader in (FrameFolderReader(tmp_path, 10), VideoReader(tmp_path / f"1.{ending}")):
        with reader:
            found = np.asarray(reader.read_frames([0.0]))[0]
        assert found.shape == shown.shape
        assert np.abs(found[5::10, 5::10].astype(int) - shown[5::10, 5::10]).mean() < 20
