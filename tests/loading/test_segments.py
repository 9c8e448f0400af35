"""Segments of long videos, frame folders, audio files: frames and audio come from the segment's span."""

import numpy as np
import pytest
from helpers.lists import clip_dataset
from helpers.videos import LONG_FPS as FPS

from avslowfast.datasets import Record
from avslowfast.loading import SampleKey


def seconds_seen(clip):
    """The second of the video that each frame shows, by its grey level."""
    return np.round((clip.float().mean(dim=(0, 2, 3)).numpy() - 20) / 10)


def pitch_bin(spectrogram):
    return spectrogram[0].mean(dim=0).argmax().item()


def records_of(folder, span):
    return {
        "video": Record(str(folder / "x.mp4"), 0, span=span),
        "video, separate audio": Record(str(folder / "silent.mp4"), 0, span=span, audio_path=str(folder / "x.wav")),
        "frames, separate audio": Record(
            str(folder / "frames"), 0, span=span, audio_path=str(folder / "x.wav"), frame_rate=FPS
        ),
    }


@pytest.mark.parametrize("kind", ["video", "video, separate audio", "frames, separate audio"])
def test_frames_and_audio_come_from_the_segment(long_video, kind):
    bins = {}
    for at in (4.0, 12.0):
        sample = clip_dataset([records_of(long_video, (at, at + 2.0))[kind]])[0]
        assert set(seconds_seen(sample["fast"])) <= {at, at + 1}
        assert bool(sample["audio_mask"])
        bins[at] = pitch_bin(sample["audio"])
    assert bins[4.0] < bins[12.0]
    reference = clip_dataset([records_of(long_video, (4.0, 6.0))["video"]])[0]
    sample = clip_dataset([records_of(long_video, (4.0, 6.0))[kind]])[0]
    assert (sample["fast"].float() - reference["fast"].float()).abs().mean() < 3
    assert abs(pitch_bin(sample["audio"]) - pitch_bin(reference["audio"])) <= 1


@pytest.mark.parametrize("kind", ["video", "frames, separate audio"])
def test_a_short_segment_repeats_its_last_frame_and_never_shows_the_next_one(long_video, kind):
    record = records_of(long_video, (7.1, 7.5))[kind]
    for split in ("train", "val", "test"):
        sample = clip_dataset([record], split)[SampleKey(0, 0, 0)]
        clips = sample["fast"] if split == "test" else sample["fast"][None]
        assert all(set(seconds_seen(clip)) == {7.0} for clip in clips)


def test_test_views_lie_in_the_segment(long_video):
    sample = clip_dataset([records_of(long_video, (3.0, 9.0))["video"]], "test", "TEST.NUM_ENSEMBLE_VIEWS", 4)[0]
    seen = [seconds_seen(clip) for clip in sample["fast"]]
    assert seen[0].min() == 3
    assert seen[-1].max() == 8
    assert all((s >= 3).all() and (s <= 8).all() for s in seen)


def test_a_segment_after_the_end_fails_by_name(long_video):
    sample = clip_dataset([records_of(long_video, (25.0, 27.0))["video"]], "val")[0]
    assert "25.00-27.00 s lies after its end at 20.00 s" in sample["failure"]


def test_frames_without_audio_are_silent(long_video):
    sample = clip_dataset([Record(str(long_video / "frames"), 0, frame_rate=FPS)])[0]
    assert not sample["audio_mask"]
    assert sample["fast"].shape == (3, 8, 48, 48)
