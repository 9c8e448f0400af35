"""Training clips in the shapes of multigrid: size, span, scale, and audio that keeps to the frames."""

import numpy as np
import pytest
import torch
from helpers import MULTIGRID, tiny_cfg
from helpers.videos import LONG_FPS

from avslowfast.clips import ClipReader
from avslowfast.config import derived
from avslowfast.loading.build import clip_settings
from avslowfast.media import open_media

# Clips of 3.2 s, of 8, 4 and 2 frames, of 48 and 32 pixels.
KEYS = (
    *MULTIGRID, "MULTIGRID.LONG_CYCLE_FACTORS", [[0.25, 0.67], [0.5, 0.67], [1, 1]], "DATA.SAMPLING_RATE", 12,
    "DATA.AUDIO_FRAME_NUM", 128, "SLOWFAST.AU_ALPHA", 32, "DATA.RANDOM_FLIP", False,
)  # fmt: skip


@pytest.fixture
def video(long_video):
    with open_media(long_video / "x.mp4") as reader:
        yield reader


def cut(*overrides):
    """{shape: its reader of clips} and the reader of the configured shape."""
    cfg = tiny_cfg(*KEYS, *overrides)
    cuts = ClipReader(clip_settings(cfg))
    return {shape: cuts.shaped(shape) for shape in derived.schedule(cfg).shapes}, cuts


def test_clips_have_their_shape_and_a_span_between_its_share_and_all_of_the_configured_one(video):
    shaped, _ = cut()
    assert len(shaped) == 4
    for shape, cuts in shaped.items():
        spans = []
        for index in range(12):
            (clip,) = cuts.training_clips(video, epoch=0, index=index)
            tensors = clip.tensors
            assert tensors["fast"].shape == (3, shape.frames, shape.crop, shape.crop)
            assert tensors["slow"].shape[1] == shape.frames // 2
            assert tensors["audio"].shape == (1, 32 * shape.frames // 2, 40)
            # A smaller crop is of frames that are as much smaller, at the least.
            assert shape.crop <= min(clip.geometry.size) <= 54
            spans.append(clip.span[1] - clip.span[0])
        share = shape.frames / 8
        assert 3.2 * share - 1e-6 <= min(spans) <= max(spans) <= 3.2 + 1e-6
        if share < 1:
            assert max(spans) > 1.5 * min(spans)
            rates = np.array(spans) * 30 / shape.frames
            assert np.allclose(rates, rates.round())


@pytest.mark.parametrize("index", range(3))
def test_audio_keeps_to_the_frames_in_every_shape(video, index):
    """Second n of the video has grey level 10 n + 20 and a tone of its own."""
    shaped, whole = cut()
    bands = [tone(whole, video, second) for second in range(19)]
    for shape, cuts in shaped.items():
        (clip,) = cuts.training_clips(video, epoch=0, index=index)
        begin, seconds = float(clip.tensors["start"]) - video.video.start, clip.span[1] - clip.span[0]
        heard = clip.tensors["audio"][0].argmax(dim=1)
        per_frame = len(heard) // shape.frames
        shown = ((clip.tensors["fast"].float().mean(dim=(0, 2, 3)) - 20) / 10).round()
        compared = 0
        for frame in range(shape.frames):
            at = begin + seconds * frame / shape.frames
            # A spectrogram window is 32 ms long, and a frame is shown for 1 / LONG_FPS.
            if 0.1 < at % 1 < 0.9 and at < 19:
                assert int(shown[frame]) == int(at), (shape, frame)
                assert abs(int(heard[frame * per_frame]) - bands[int(at)]) <= 1, (shape, frame)
                compared += 1
        assert compared
    assert LONG_FPS > 10


def tone(cuts, video, second):
    """The mel band of a second's tone."""
    with torch.no_grad():
        samples, _ = video.read_audio(video.video.start + second + 0.2, 0.6, 16000)
        spectrum = cuts.settings.audio.front_end.log_mel(torch.from_numpy(samples))
    return int(spectrum.mean(dim=-2).argmax())


def test_several_clips_of_a_video_and_clips_around_an_instant_have_rates_of_their_own(video):
    shaped, _ = cut("AUG.NUM_SAMPLE", 4)
    cuts = next(cuts for shape, cuts in shaped.items() if shape.frames == 2)
    clips = cuts.training_clips(video, epoch=0, index=0)
    assert len({round(clip.span[1] - clip.span[0], 6) for clip in clips}) > 1
    for clip in cuts.training_clips(video, epoch=0, index=1, instant=10.0):
        assert sum(clip.span) / 2 == pytest.approx(10.0)


def test_time_masks_keep_their_share(video):
    shaped, whole = cut("SPECAUG.ENABLE", True, "SPECAUG.MAX_TIME", 16)
    assert whole.settings.audio.spec_masks == (2, 16, 10)
    assert {cuts.settings.audio.spec_masks[1] for cuts in shaped.values()} == {4, 8, 16}


def test_the_configured_shape_gives_the_clips_of_a_training_without_multigrid(video, long_video):
    shaped, whole = cut()
    (full,) = (cuts for shape, cuts in shaped.items() if (shape.frames, shape.crop) == (8, 48))
    with open_media(long_video / "x.mp4") as other:
        (a,), (b,) = full.training_clips(video, epoch=3, index=5), whole.training_clips(other, epoch=3, index=5)
    assert all(torch.equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
