"""SynthAV: labels, independence of the splits, impacts that are visible and audible at the same time."""

import numpy as np

from avslowfast.media import VideoReader, write_video
from avslowfast.synthav import class_names, render_clip
from avslowfast.synthav.render import BOUNCE_SECONDS, FPS, SAMPLE_RATE


def test_classes_are_all_pairs_and_balanced(synthav):
    names = class_names("pairs")
    assert len(names) == len(set(names)) == 16
    assert (synthav / "classes.txt").read_text().split() == names
    labels = [int(line.split()[1]) for line in (synthav / "train.csv").read_text().splitlines()]
    assert np.bincount(labels).tolist() == [2] * 16


def test_clips_are_reproducible_and_splits_share_no_draw():
    a, b = render_clip("pairs", 0, "train", 5), render_clip("pairs", 0, "train", 5)
    assert np.array_equal(a.frames, b.frames) and np.array_equal(a.audio, b.audio) and a.label == 5
    for other in (
        render_clip("pairs", 0, "val", 5),
        render_clip("pairs", 0, "test", 5),
        render_clip("pairs", 1, "train", 5),
        render_clip("pairs", 0, "train", 21),
    ):
        assert not np.array_equal(a.frames, other.frames) and not np.array_equal(a.audio, other.audio)


def test_one_modality_alone_does_not_determine_the_pair():
    # For four labels with one motion the frames say nothing about the audio: the draws of both are independent.
    for label in (0, 4, 8, 12):
        clip = render_clip("pairs", 0, "train", label)
        assert clip.frames.dtype == np.uint8 and np.abs(clip.audio).max() <= 1
    slide, bob = (render_clip("pairs", 0, "train", n).centres for n in (0, 4))
    assert np.ptp(slide[:, 0]) > 5 and np.ptp(slide[:, 1]) == 0 and np.ptp(bob[:, 1]) > 5 and np.ptp(bob[:, 0]) == 0


def test_impacts_are_visible_and_audible_at_the_same_time(tmp_path):
    errors = []
    for number in range(6):
        clip = render_clip("bounces", 0, "train", number)
        write_video(tmp_path / f"{number}.mp4", clip.frames, FPS, clip.audio, SAMPLE_RATE)
        with VideoReader(tmp_path / f"{number}.mp4") as reader:
            samples, _ = reader.read_audio(0.0, BOUNCE_SECONDS)
            assert reader.read_frames(np.arange(90) / FPS).shape[0] == 90
        envelope = np.abs(samples)
        for event in clip.events:
            first = int(event * 16000)
            window = envelope[max(first - 320, 0) : first + 640]
            onset = np.flatnonzero(window > 0.5 * window.max())[0] - min(first, 320)
            errors.append(onset / 16000)
            lowest = clip.centres[min(int(round(event * FPS)), 89), 1]
            assert lowest > np.median(clip.centres[:, 1])
    assert len(errors) > 40 and np.abs(errors).max() < 0.020
    assert SAMPLE_RATE == 22050
