"""Where clips lie in a video: pure arithmetic on seconds and indices.

A clip is a span [start, start + duration) on the video's presentation clock. Frames and audio are both cut from it.
"""

import math

import numpy as np
from numpy.typing import NDArray


def clip_duration(num_frames: int, sampling_rate: int, target_fps: float) -> float:
    """Seconds that a clip covers: `num_frames` frames, `sampling_rate` / `target_fps` seconds apart."""
    return num_frames * sampling_rate / target_fps


def frame_times(start: float, num_frames: int, sampling_rate: int, target_fps: float) -> NDArray[np.float64]:
    """The instants of a clip's frames in seconds, ascending [num_frames]; what is shown at each is read."""
    return start + np.arange(num_frames) * sampling_rate / target_fps


def random_start(
    begin: float, end: float, duration: float, rng: np.random.Generator, around: bool = False, step: float = 0.0
) -> float:
    """Start of a random clip in a span from `begin` to `end`.

    Args:
        begin: Beginning of the span, seconds.
        end: End of the span, seconds.
        duration: Length of a clip, seconds.
        rng: Source of the draw.
        around: A clip longer than the span is placed at random so that the span lies in it; else it starts with it.
        step: Clips begin whole steps after (or, where they are longer than the span, before) `begin`, which `around` is
            taken for; 0 for any instant.
    """
    room = end - begin - duration
    if step:
        steps = _whole_steps(room, step)
        return begin + step * int(rng.integers(min(steps, 0), max(steps, 0), endpoint=True))
    return begin + rng.random() * (room if around else max(room, 0.0))


def _whole_steps(room: float, step: float) -> int:
    """Whole steps in a room that may be negative; what rounding takes from the last one does not count."""
    return math.floor(room / step + 1e-6)


def view_starts(
    begin: float,
    end: float,
    duration: float,
    num_views: int,
    both_ends: bool = True,
    around: bool = False,
    step: float = 0.0,
) -> NDArray[np.float64]:
    """Starts of `num_views` clips spread evenly over a span.

    With `both_ends` the first view begins with the span and the last ends with it; a single one lies in the middle.
    Otherwise view i of n begins after i / n of the room that a clip leaves, as PySlowFast does by default: the end of
    the span is never seen, and a single view begins with it.

    Args:
        begin: Beginning of the span, seconds.
        end: End of the span, seconds.
        duration: Length of a clip, seconds.
        num_views: Number of clips.
        both_ends: Whether the last view ends with the span.
        around: Clips longer than the span have it in their middle; else they start with it.
        step: Clips begin a rounded number of steps after `begin`; 0 for any instant.

    Returns:
        Seconds, ascending [num_views].
    """
    room = end - begin - duration
    if around and room < 0:
        return np.full(num_views, begin + room / 2)
    room = max(room, 0.0)
    if step:
        room = _whole_steps(room, step)
    if both_ends and num_views == 1:
        after = np.array([room / 2])
    else:
        after = np.linspace(0.0, room, num_views, endpoint=both_ends)
    # numpy rounds a half to the even number, as Python and so PySlowFast does.
    return begin + (step * np.round(after) if step else after)


def slow_indices(num_frames: int, alpha: int) -> NDArray[np.int64]:
    """Which of Fast's frames Slow sees: num_frames / alpha, spread as in PySlowFast (both ends included)."""
    return np.linspace(0, num_frames - 1, num_frames // alpha).astype(np.int64)


def audio_span(start: float, duration: float, num_frames: int, window: float, step: float) -> tuple[float, float]:
    """The span of audio that belongs to a clip.

    It is the clip's span. Where that is shorter than `num_frames` spectrogram frames, it is widened evenly on both
    sides, so that no spectrogram frame has to be repeated.

    Args:
        start: Start of the clip, seconds.
        duration: Length of the clip, seconds.
        num_frames: Spectrogram frames of the network's input.
        window: Length of a spectrogram window, seconds.
        step: From one window to the next, seconds.

    Returns:
        (start, length) in seconds.
    """
    need = (num_frames - 1) * step + window
    if duration >= need:
        return start, duration
    return start + (duration - need) / 2, need


def spectrogram_indices(num_available: int, num_frames: int) -> NDArray[np.int64]:
    """Which of the available spectrogram frames are used: `num_frames` at equal steps, as the authors pick them."""
    return np.linspace(0, num_available - 1, num_frames).astype(np.int64)


def shifted_start(
    start: float,
    duration: float,
    begin: float,
    end: float,
    nearest: float,
    farthest: float,
    rng: np.random.Generator,
) -> float | None:
    """Random start of another span of the same video's audio, at a distance from the clip's span.

    Args:
        start: Start of the clip's span of audio, seconds.
        duration: Length of both spans, seconds.
        begin: Beginning of the video's audio, seconds.
        end: End of the video's audio; the span lies inside, so it never continues past the end.
        nearest: Smallest distance between the two starts in either direction, seconds.
        farthest: Largest distance, seconds.
        rng: Source of the draw.

    Returns:
        Seconds, or None where the video has no room for such a span.
    """
    # Possible starts before the clip's, and after it, as ranges.
    ranges = [
        (max(begin, start - farthest), min(start - nearest, end - duration)),
        (max(start + nearest, begin), min(start + farthest, end - duration)),
    ]
    rooms = [max(high - low, 0.0) for low, high in ranges]
    if sum(rooms) <= 0:
        return None
    draw = rng.random() * sum(rooms)
    return ranges[0][0] + draw if draw < rooms[0] else ranges[1][0] + (draw - rooms[0])


def shift_grid(largest: float, step: float) -> tuple[float, ...]:
    """Shifts from -`largest` to `largest` seconds, `step` apart, with 0 among them."""
    count = int(round(largest / step))
    return tuple(i * step for i in range(-count, count + 1))
