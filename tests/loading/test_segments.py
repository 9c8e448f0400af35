"""Segments of long videos, frame folders, audio files: frames and audio come from the segment's own span."""

import av
import numpy as np
import pytest
import torch
from helpers.lists import clip_dataset

from avslowfast.datasets import Record
from avslowfast.loading import SampleKey
from avslowfast.media import DecodeError, FrameFolderReader, Geometry, SoundReader, VideoReader, write_video

FPS, RATE = 15, 16000


@pytest.fixture(scope="module")
def long_video(tmp_path_factory):
    """20 s whose second n has grey level 10 n + 20 and a tone of 200 + 100 n Hz; also as frames, audio, silent copy."""
    folder = tmp_path_factory.mktemp("long")
    frames = [np.full((64, 80, 3), 20 + 10 * (i // FPS), np.uint8) for i in range(20 * FPS)]
    t = np.arange(20 * RATE) / RATE
    sound = (0.4 * np.sin(2 * np.pi * np.cumsum(200 + 100 * np.floor(t)) / RATE)).astype(np.float32)
    write_video(folder / "x.mp4", frames, FPS, sound, RATE, gop=FPS, video_start=0.5, audio_start=0.5)
    write_video(folder / "silent.mp4", frames, FPS, gop=FPS)
    with av.open(str(folder / "x.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((sound * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    (folder / "frames").mkdir()
    for i, picture in enumerate(frames):
        with av.open(str(folder / f"frames/{i + 1:06d}.png"), "w") as out:
            stream = out.add_stream("png", rate=1)
            stream.height, stream.width, stream.pix_fmt = 64, 80, "rgb24"
            for packet in (*stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")), *stream.encode(None)):
                out.mux(packet)
    return folder


def seconds_seen(clip):
    """The second of the video that each frame shows, by its grey level."""
    return np.round((clip.float().mean(dim=(0, 2, 3)).numpy() - 20) / 10)


def pitch_bin(spectrogram):
    return spectrogram[0].mean(dim=0).argmax().item()


def records_of(folder, span):
    return {
        "video": Record(str(folder / "x.mp4"), 0, span=span),
        "video, sound apart": Record(str(folder / "silent.mp4"), 0, span=span, audio_path=str(folder / "x.wav")),
        "frames, sound apart": Record(
            str(folder / "frames"), 0, span=span, audio_path=str(folder / "x.wav"), frame_rate=FPS
        ),
    }


@pytest.mark.parametrize("kind", ["video", "video, sound apart", "frames, sound apart"])
def test_pictures_and_sound_come_from_the_segment(long_video, kind):
    found = {}
    for at in (4.0, 12.0):
        sample = clip_dataset([records_of(long_video, (at, at + 2.0))[kind]])[0]
        assert set(seconds_seen(sample["fast"])) <= {at, at + 1} and bool(sample["audio_mask"])
        found[at] = pitch_bin(sample["audio"])
    assert found[4.0] < found[12.0]
    reference = clip_dataset([records_of(long_video, (4.0, 6.0))["video"]])[0]
    sample = clip_dataset([records_of(long_video, (4.0, 6.0))[kind]])[0]
    assert np.abs(sample["fast"].float() - reference["fast"].float()).mean() < 3
    assert abs(pitch_bin(sample["audio"]) - pitch_bin(reference["audio"])) <= 1


@pytest.mark.parametrize("kind", ["video", "frames, sound apart"])
def test_a_short_segment_shows_its_last_picture_on_and_never_the_next(long_video, kind):
    record = records_of(long_video, (7.1, 7.5))[kind]
    for split in ("train", "val", "test"):
        sample = clip_dataset([record], split)[SampleKey(0, 0, 0)]
        clips = sample["fast"] if split == "test" else sample["fast"][None]
        assert all(set(seconds_seen(clip)) == {7.0} for clip in clips)


def test_test_views_lie_in_the_segment(long_video):
    sample = clip_dataset([records_of(long_video, (3.0, 9.0))["video"]], "test", "TEST.NUM_ENSEMBLE_VIEWS", 4)[0]
    seen = [seconds_seen(clip) for clip in sample["fast"]]
    assert seen[0].min() == 3 and seen[-1].max() == 8 and all((s >= 3).all() and (s <= 8).all() for s in seen)


def test_a_segment_after_the_end_fails_by_name(long_video):
    sample = clip_dataset([records_of(long_video, (25.0, 27.0))["video"]], "val")[0]
    assert "25.00-27.00 s lies after its end at 20.00 s" in sample["failure"]


def test_frames_without_sound_are_silent_and_broken_folders_are_named(long_video, tmp_path):
    sample = clip_dataset([Record(str(long_video / "frames"), 0, frame_rate=FPS)])[0]
    assert not sample["audio_mask"] and sample["fast"].shape == (3, 8, 48, 48)
    for path, words in ((tmp_path / "none", "cannot be opened"), (tmp_path, "no frames in it")):
        with pytest.raises(DecodeError, match=words):
            FrameFolderReader(path, 24)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/a.jpg").write_text("no picture")
    with pytest.raises(DecodeError, match="a.jpg: cannot be read"):
        FrameFolderReader(tmp_path / "bad", 24).read_frames([0.0])
    with pytest.raises(DecodeError, match="no audio stream in it"):
        SoundReader(long_video / "silent.mp4")
    with pytest.raises(DecodeError, match="none.wav"):
        VideoReader(long_video / "x.mp4", audio_path=str(tmp_path / "none.wav"))


def test_frames_are_read_once_each(long_video):
    with FrameFolderReader(long_video / "frames", FPS) as reader:
        frames = reader.read_frames([0.0, 0.01, 1.0, 1.0, 2.0])
        assert (
            reader.decoded_frames == 3
            and frames.shape == (5, 64, 80, 3)
            and torch.tensor(frames[:, 0, 0, 0].tolist()).tolist() == [20, 20, 30, 30, 40]
        )


def test_clips_of_a_folder_share_the_frames_that_are_read(long_video):
    with FrameFolderReader(long_video / "frames", FPS) as reader:
        a, b = reader.read_clips([([0.0, 1.0, 2.0], None), ([0.01, 1.0], lambda h, w: Geometry((32, 40)))])
        assert reader.decoded_frames == 3 and a.shape == (3, 64, 80, 3) and b.shape == (2, 32, 40, 3)
