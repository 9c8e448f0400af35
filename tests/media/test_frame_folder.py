"""Folders of frames are read like videos."""

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
