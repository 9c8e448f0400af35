"""A clip reader cuts clips from an open file: training clips, views, clips at given starts, clips around an instant."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import published, ROOT, tiny_cfg
from helpers.videos import LONG_FPS
from PIL import Image

from avslowfast.clips import ClipReader, spans
from avslowfast.datasets.epic import seconds as seconds_of
from avslowfast.loading.build import clip_settings
from avslowfast.media import DecodeError, open_media

VIEWS = json.loads((ROOT / "tests/golden/views.json").read_text())


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


@pytest.fixture(scope="module")
def frame_list(tmp_path_factory):
    """240 pictures; the grey level of each is its number."""
    folder = tmp_path_factory.mktemp("frames")
    for number in range(240):
        Image.fromarray(np.full((32, 40), number, np.uint8)).save(folder / f"x-{number + 1:06d}.png")
    return folder


@pytest.mark.parametrize("num_frames, rate", [(16, 8), (64, 2)])
def test_a_list_of_frames_is_read_as_pyslowfast_reads_it(frame_list, num_frames, rate):
    """Frame numbers of 10 s of Charades, test views and training clips."""
    case = next(case for case in VIEWS["charades"] if (case["video_frames"], case["num_frames"]) == (240, num_frames))
    keys = ["TRAIN.DATASET", "charades", "TEST.DATASET", "charades", "DATA.NUM_FRAMES", num_frames]
    keys += [
        "DATA.SAMPLING_RATE",
        rate,
        "MODEL.ARCH",
        "slowfast",
        "TEST.NUM_SPATIAL_CROPS",
        1,
        "DATA.MULTI_LABEL",
        True,
    ]
    cfg = tiny_cfg(*keys, "MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid", "DATA.TARGET_FPS", 24,
                   "DATA.USE_OFFSET_SAMPLING", True, "DATA.TEST_CROP_SIZE", 32, "DATA.TRAIN_CROP_SIZE", 32,
                   "DATA.TRAIN_JITTER_SCALES", [32, 32])  # fmt: skip
    cuts = ClipReader(clip_settings(cfg, "test"))

    def numbers(clip):
        return clip.float().mean(dim=(0, 2, 3)).round().int().tolist()

    first, last = (shown[0] for shown in case["train_first_and_last"])
    with cuts.open(frame_list, frame_rate=24.0) as reader:
        for views, expected in case["test"].items():
            assert [numbers(clip) for clip in cuts.test_views(reader, num_views=int(views))["fast"]] == expected
        for index in range(5):
            (clip,) = cuts.training_clips(reader, epoch=0, index=index)
            shown = numbers(clip.tensors["fast"])
            assert first <= shown[0] <= last
            assert shown == list(range(shown[0], shown[0] + num_frames * rate, rate))
            # The classes of a clip are those from its first frame to its last one.
            assert clip.span == pytest.approx((shown[0] / 24, (shown[-1] + 1) / 24))


@pytest.mark.parametrize(
    "case", VIEWS["epic_kitchens_slowfast"], ids=lambda case: "{video_id}-{start_timestamp}".format(**case)
)
def test_instants_are_those_of_the_epic_kitchens_baseline(case):
    """First and last instant of test views and of the earliest and latest training clip, to within two frames."""
    cfg = published.load("epic-kitchens-slowfast", "configs/EPIC-KITCHENS/SLOWFAST_8x8_R50.yaml")
    s = clip_settings(cfg, "test")
    begin, end = seconds_of(case["start_timestamp"]), seconds_of(case["stop_timestamp"])
    views = spans.view_starts(begin, end, s.placed_duration, 10, s.both_ends, step=s.frame_step)
    training = [begin, begin + max(end - begin - s.placed_duration, 0)]
    for starts, expected in ((views, case["test"]), (training, case["train_first_and_last"])):
        for start, numbers in zip(starts, expected, strict=True):
            theirs = (np.array(numbers) - 1) / case["fps"]
            shown = ClipReader(s).frame_times(start, end)
            np.testing.assert_allclose(shown[[0, -1]], theirs[[0, -1]], atol=2 / case["fps"] + 1e-9)
