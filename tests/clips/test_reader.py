"""A clip reader cuts clips from an open file: training clips, views, clips at given starts, clips around an instant."""

import subprocess
import sys

import pytest
import torch
from helpers import tiny_cfg
from helpers.videos import LONG_FPS

from avslowfast.clips import ClipReader
from avslowfast.loading.build import clip_settings
from avslowfast.media import DecodeError, open_media


@pytest.fixture
def video(long_video):
    with open_media(long_video / "x.mp4") as reader:
        yield reader


def clip_reader(*overrides):
    return ClipReader(clip_settings(tiny_cfg("TEST.NUM_ENSEMBLE_VIEWS", 3, "TEST.NUM_SPATIAL_CROPS", 3, *overrides)))


def seconds_shown(clip):
    """The second of the video that each frame shows, by its grey level; clip: [3, T, H, W]."""
    return ((clip.float().mean(dim=(0, 2, 3)) - 20) / 10).round().tolist()


def test_bounds_are_on_the_presentation_clock(video):
    begin, end = clip_reader().bounds(video)
    assert (begin, end) == (video.video.start, video.video.end)
    assert clip_reader().bounds(video, (3.0, 5.0)) == (begin + 3.0, begin + 5.0)
    assert clip_reader().bounds(video, (19.0, 50.0)) == (begin + 19.0, end)


def test_a_span_after_the_end_is_an_error(video):
    with pytest.raises(DecodeError, match="30.00-31.00 s lies after its end"):
        clip_reader().bounds(video, (30.0, 31.0))


def test_test_views_are_clips_at_even_starts(video, long_video):
    reader = clip_reader()
    views = reader.test_views(video)
    with open_media(long_video / "x.mp4") as other:
        again = reader.clips_at(other, views["start"][::3].tolist(), num_crops=3)
    assert views["fast"].shape == (9, 3, 8, 48, 48)
    assert views["audio"].shape == (3, 1, 64, 40)
    assert views.keys() == again.keys()
    assert all(torch.equal(views[name], again[name]) for name in views)


def test_fewer_views_and_crops_can_be_asked_for(video):
    views = clip_reader().test_views(video, num_views=2, num_crops=1)
    assert len(views["fast"]) == len(views["audio"]) == len(views["start"]) == 2
    assert "audio_index" not in views


def test_the_validation_clip_is_the_middle_one(video):
    reader = clip_reader()
    clip = reader.validation_clip(video, span=(4.0, 8.0))
    middle = video.video.start + 6.0
    assert float(clip["start"]) == pytest.approx(middle - reader.settings.duration / 2)
    assert clip["fast"].shape == (3, 8, 48, 48)
    assert clip["audio_mask"].shape == ()


def test_frames_after_the_end_are_not_shown(video):
    start = video.video.start + 7.3
    clips = clip_reader().clips_at(video, [start], end=start + 0.6)
    assert set(seconds_shown(clips["fast"][0])) == {7.0}
    assert set(seconds_shown(clip_reader().clips_at(video, [start])["fast"][0])) == {7.0, 8.0}


def test_training_clips_say_how_they_were_cut(video):
    first, second = clip_reader("AUG.NUM_SAMPLE", 2).training_clips(video, epoch=1, index=5, span=(2.0, 12.0))
    assert first.span != second.span
    for clip in (first, second):
        assert 2.0 <= clip.span[0] < clip.span[1] <= 12.0
        assert clip.geometry.shape == (48, 48)
        assert float(clip.tensors["start"]) == pytest.approx(video.video.start + clip.span[0])


def test_training_clips_around_an_instant_are_centred(video):
    reader = clip_reader()
    (clip,) = reader.training_clips(video, epoch=0, index=0, instant=10.0)
    assert sum(clip.span) / 2 == pytest.approx(10.0)


def test_a_clip_around_an_instant_has_frames_and_audio_of_it(video, long_video):
    reader = clip_reader()
    clip = reader.clip_around(video, 10.5)
    assert seconds_shown(clip.tensors["fast"])[4] == 10.0
    assert min(clip.geometry.size) == reader.settings.test_crop
    with open_media(long_video / "x.mp4") as other:
        audio = reader.audio_inputs(other, float(clip.tensors["start"]))
    assert torch.equal(clip.tensors["audio"], audio["audio"])


def test_without_an_audio_pathway_audio_is_refused(video):
    with pytest.raises(ValueError, match="no audio pathway"):
        clip_reader("MODEL.ARCH", "slowfast").audio_inputs(video, 0.0)


def test_an_audio_network_reads_no_frames(video):
    clips = clip_reader("MODEL.ARCH", "audio").test_views(video)
    assert clips["audio"].shape == (3, 1, 64, 40)
    assert video.decoded_frames == 0


def test_a_folder_of_frames_is_cut_like_a_video(long_video):
    with open_media(long_video / "frames", long_video / "x.wav", LONG_FPS) as reader:
        clip = clip_reader().validation_clip(reader, span=(4.0, 6.0))
    assert set(seconds_shown(clip["fast"])) <= {4.0, 5.0}
    assert bool(clip["audio_mask"])


def test_arithmetic_on_seconds_needs_no_torch():
    code = "import avslowfast.clips.spans, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
