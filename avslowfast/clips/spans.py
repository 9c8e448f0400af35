"""Where clips lie in a video: pure arithmetic on seconds and indices.

A clip is a span [start, start + duration) on the video's presentation clock. Frames and sound are both cut from it.
"""

import numpy as np


def clip_duration(num_frames, sampling_rate, target_fps):
    """Seconds that a clip covers: `num_frames` frames, `sampling_rate` / `target_fps` seconds apart."""
    return num_frames * sampling_rate / target_fps


def frame_times(start, num_frames, sampling_rate, target_fps):
    """The instants of a clip's frames in seconds, ascending [num_frames]; the frame nearest to each is shown."""
    return start + np.arange(num_frames) * sampling_rate / target_fps


def random_start(begin, end, duration, rng):
    """Start of a random clip in a video that shows pictures from `begin` to `end`; a short video's clip starts at `begin`."""
    return begin + rng.random() * max(end - begin - duration, 0.0)


def view_starts(begin, end, duration, num_views):
    """Starts of `num_views` clips spread evenly over a video: the middle for one, from the first to the last second for more."""
    room = max(end - begin - duration, 0.0)
    if num_views == 1:
        return np.array([begin + room / 2])
    return begin + room * np.arange(num_views) / (num_views - 1)


def slow_indices(num_frames, alpha):
    """Which of the Fast pathway's frames Slow sees: num_frames / alpha of them, spread as PySlowFast does (ends included)."""
    return np.linspace(0, num_frames - 1, num_frames // alpha).astype(np.int64)


def audio_span(start, duration, num_frames, window, step):
    """The span of sound that goes with a clip: (start, seconds).

    It is the clip's own span. Where that is shorter than `num_frames` spectrogram frames, it is widened evenly on both sides, so that no
    frame has to be repeated.

    Args:
        window, step: of the spectrogram, seconds.
    """
    need = (num_frames - 1) * step + window
    if duration >= need:
        return start, duration
    return start + (duration - need) / 2, need


def spectrogram_indices(num_available, num_frames):
    """Which of the available spectrogram frames are used: `num_frames` at equal steps, as the paper's authors pick them."""
    return np.linspace(0, num_available - 1, num_frames).astype(np.int64)


def shifted_start(start, duration, begin, end, nearest, farthest, rng):
    """Start of a span of the same video's sound, at a distance from the clip's own; None where the video has no room for one.

    Args:
        start, duration: the clip's span of sound.
        begin, end: where the video has sound. The span lies inside, so it never runs past the end.
        nearest, farthest: distance between the two starts, seconds, in either direction.
    """
    # Starts before the clip's, and after it, as ranges.
    ranges = [
        (max(begin, start - farthest), min(start - nearest, end - duration)),
        (max(start + nearest, begin), min(start + farthest, end - duration)),
    ]
    rooms = [max(high - low, 0.0) for low, high in ranges]
    if sum(rooms) <= 0:
        return None
    draw = rng.random() * sum(rooms)
    return ranges[0][0] + draw if draw < rooms[0] else ranges[1][0] + (draw - rooms[0])


def shift_grid(largest, step):
    """Shifts from -`largest` to `largest` seconds with 0 among them, as a tuple."""
    count = int(round(largest / step))
    return tuple(i * step for i in range(-count, count + 1))
