"""`media` is usable alone: without torch and without a configuration; its results are small typed objects."""

import subprocess
import sys

import numpy as np
import pytest

from avslowfast.media import FrameFolderReader, open_media, SoundReader, VideoReader, write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("alone") / "x.mp4"
    frames = [np.full((48, 64, 3), 10 * i, np.uint8) for i in range(20)]
    write_video(path, frames, 10, np.zeros(32000, np.float32), 16000)
    return path


@pytest.mark.parametrize(
    "module", ["avslowfast.media", "avslowfast.synthav", "avslowfast.preparation.folders", "avslowfast.utils.logging"]
)
def test_the_import_needs_neither_torch_nor_a_configuration(module):
    code = f"import {module}, sys; print(sorted({{'torch', 'avslowfast.config'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"


def test_frames_are_pixels_with_the_times_of_what_is_shown(video):
    with VideoReader(video) as reader:
        frames = reader.read_frames([0.0, 0.52, 1.9])
        decoded = [time for time, _ in reader.iter_frames(0.0)]
    assert np.asarray(frames) is frames.pixels
    assert frames.pixels.transpose(3, 0, 1, 2).flags.c_contiguous
    assert len(frames) == len(list(frames)) == 3
    np.testing.assert_array_equal(frames[1], frames.pixels[1])
    np.testing.assert_allclose(frames.times, [0.0, 0.5, 1.9], atol=1e-6)
    np.testing.assert_allclose(decoded, np.arange(20) / 10, atol=1e-6)


def test_audio_samples_unpack_and_know_their_place(video):
    with SoundReader(video) as reader:
        audio = reader.read_audio(0.5, 0.25, 8000)
    samples, has_audio = audio
    assert samples is audio.samples
    assert has_audio
    assert (audio.start, audio.duration, audio.sample_rate) == (0.5, 0.25, 8000)


def test_what_is_printed_is_short(video):
    with VideoReader(video) as reader:
        assert repr(reader) == f"VideoReader('{video}', video 0.00-2.00 s at 10 Hz, audio {reader.audio})"
        assert repr(reader.read_frames([0.5, 1.0])) == "Frames(2 of 64x48, 0.50-1.00 s)"
        assert repr(reader.read_audio(0.5, 1.0)) == "AudioSamples(0.50-1.50 s at 16000 Hz)"


def test_one_call_opens_files_and_folders_of_frames(video, tmp_path):
    (tmp_path / "000001.jpg").touch()
    with open_media(video) as reader:
        assert isinstance(reader, VideoReader)
    with open_media(tmp_path, frame_rate=10.0) as reader:
        assert isinstance(reader, FrameFolderReader)
        assert repr(reader) == f"FrameFolderReader('{tmp_path}', video 0.00-0.10 s at 10 Hz, no audio)"


def test_audio_needs_its_rate(tmp_path):
    with pytest.raises(ValueError, match="sample_rate"):
        write_video(tmp_path / "x.mp4", np.zeros((2, 32, 32, 3), np.uint8), 10, np.zeros(100))
