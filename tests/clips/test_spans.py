"""Clip arithmetic, by properties."""

import json

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given
from hypothesis import strategies as st

from avslowfast.clips import spans as clips

seconds = st.floats(0.1, 50)


@given(begin=st.floats(-5, 100), length=seconds, duration=seconds, seed=st.integers(0, 2**31))
def test_random_clips_lie_inside_or_start_at_the_beginning(begin, length, duration, seed):
    start = clips.random_start(begin, begin + length, duration, np.random.default_rng(seed))
    assert start >= begin
    assert start + duration <= begin + length + 1e-6 or start == begin


@given(begin=st.floats(-5, 100), length=seconds, more=seconds, seed=st.integers(0, 2**31), views=st.integers(1, 12))
def test_clips_longer_than_a_sound_lie_around_it(begin, length, more, seed, views):
    start = clips.random_start(begin, begin + length, length + more, np.random.default_rng(seed), around=True)
    assert begin - more - 1e-6 <= start <= begin
    starts = clips.view_starts(begin, begin + length, length + more, views, bool(seed % 2), around=True)
    np.testing.assert_allclose(starts, np.full(views, begin - more / 2), atol=1e-6)


@given(begin=st.floats(-5, 100), length=seconds, duration=seconds, views=st.integers(1, 12))
def test_views_spread_over_the_video(begin, length, duration, views):
    starts = clips.view_starts(begin, begin + length, duration, views)
    assert len(starts) == views
    assert (np.diff(starts) >= -1e-9).all()
    room = max(length - duration, 0)
    assert starts[0] >= begin - 1e-6
    assert starts[-1] <= begin + room + 1e-6
    assert abs((starts[0] - begin) - (begin + room - starts[-1])) < 1e-6


@given(start=st.floats(0, 20), duration=st.floats(0.2, 5), frames=st.sampled_from([64, 128]))
def test_the_span_of_audio_has_the_clips_middle_and_enough_frames(start, duration, frames):
    at, length = clips.audio_span(start, duration, frames, 0.032, 0.016)
    assert abs((at + length / 2) - (start + duration / 2)) < 1e-9
    assert length >= max(duration, (frames - 1) * 0.016 + 0.032) - 1e-9


@given(
    start=st.floats(0, 10),
    duration=st.floats(0.3, 3),
    begin=st.floats(0, 2),
    length=st.floats(1, 20),
    gap=st.floats(0, 4),
    seed=st.integers(0, 2**31),
)
def test_hard_negatives_share_nothing_with_the_clip_and_stay_inside(start, duration, begin, length, gap, seed):
    end = begin + length
    at = clips.shifted_start(start, duration, begin, end, max(duration, gap), float("inf"), np.random.default_rng(seed))
    candidates = np.linspace(begin, end - duration, 200) if length > duration + 1e-6 else np.array([])
    if at is None:
        assert not (np.abs(candidates - start) > max(duration, gap) + 1e-6).any()
    else:
        assert begin - 1e-9 <= at
        assert at + duration <= end + 1e-9
        assert abs(at - start) >= max(duration, gap) - 1e-9


def test_frames_and_slow_indices():
    assert clips.clip_duration(32, 2, 30) == 64 / 30
    np.testing.assert_allclose(clips.frame_times(1.0, 4, 2, 30), 1 + np.arange(4) / 15)
    assert clips.slow_indices(32, 8).tolist() == [0, 10, 20, 31]


# A video of 10 s and clips of 32 x 2 frames at 30 Hz, which leave 7.867 s.
@pytest.mark.parametrize(
    "views, both_ends, starts",
    [
        (1, True, [3.9333]),
        (1, False, [0.0]),
        (3, True, [0.0, 3.9333, 7.8667]),
        (3, False, [0.0, 2.6222, 5.2444]),
        (10, True, [0.8741 * i for i in range(10)]),
        (10, False, [0.78667 * i for i in range(10)]),
    ],
)
def test_views_begin_by_the_rule_that_is_asked_for(views, both_ends, starts):
    found = clips.view_starts(5.0, 15.0, 64 / 30, views, both_ends)
    np.testing.assert_allclose(found, 5 + np.array(starts), atol=1e-3)


@given(begin=st.floats(-5, 100), length=seconds, views=st.integers(1, 12))
def test_views_of_a_video_shorter_than_a_clip_begin_with_it(begin, length, views):
    for both_ends in (True, False):
        assert clips.view_starts(begin, begin + length, length + 1, views, both_ends).tolist() == [begin] * views


VIEWS = json.loads((ROOT / "tests/golden/views.json").read_text())


@pytest.mark.parametrize(
    "key, both_ends, frames_off",
    # The reference counts frames, and rounds down before it multiplies with `both_ends`.
    [("offset_false", False, lambda views: 0.5), ("offset_true", True, lambda views: max(views - 1, 1))],
)
def test_views_begin_where_pyslowfast_puts_them(key, both_ends, frames_off):
    assert len(VIEWS["pyslowfast"]) == 225
    for case in VIEWS["pyslowfast"]:
        duration, views, frame = (
            clips.clip_duration(case["num_frames"], case["sampling_rate"], 30),
            case["views"],
            1 / case["fps"],
        )
        found = clips.view_starts(0.0, case["frames"] * frame, duration, views, both_ends)
        np.testing.assert_allclose(found, case[key], atol=frames_off(views) * frame + 1e-9, err_msg=f"{case} {key}")


@pytest.mark.parametrize("case", VIEWS["charades"], ids=lambda case: "{video_frames}-{num_frames}".format(**case))
def test_frames_are_those_of_pyslowfasts_frame_lists(case):
    """Frame numbers of test views and of the earliest and latest training clip, at 24 frames a second."""
    step, length, frames, rate = 1 / 24, case["video_frames"], case["num_frames"], case["sampling_rate"]

    def numbers(starts):
        times = np.array([clips.frame_times(start, frames, rate, 24) for start in starts])
        return np.clip(np.round(times * 24), 0, length - 1).astype(int).tolist()

    placed = ((frames - 1) * rate + 1) * step
    for views, expected in case["test"].items():
        assert numbers(clips.view_starts(0.0, length * step, placed, int(views), step=step)) == expected
    rng = np.random.default_rng(1)
    starts = [clips.random_start(0.0, length * step, placed, rng, step=step) for _ in range(20_000)]
    assert numbers([min(starts), max(starts)]) == case["train_first_and_last"]
