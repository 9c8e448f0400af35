"""Clip arithmetic, by properties."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avslowfast.clips import spans as clips

seconds = st.floats(0.1, 50)


@given(begin=st.floats(-5, 100), length=seconds, duration=seconds, seed=st.integers(0, 2**31))
def test_random_clips_lie_inside_or_start_at_the_beginning(begin, length, duration, seed):
    start = clips.random_start(begin, begin + length, duration, np.random.default_rng(seed))
    assert start >= begin
    assert start + duration <= begin + length + 1e-6 or start == begin


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
