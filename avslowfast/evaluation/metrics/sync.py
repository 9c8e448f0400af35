"""Synchronisation: is audio in sync distinguished from other audio, and at which shift (arXiv 2001.08740)?

Distances are those that the synchronisation loss compares: 0 for the same embedding, 1 for opposite ones. NaN stands
for a comparison that does not exist (a video too short for it, a clip without audio) and counts nowhere. Legend: N
clips, S shifts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The middle of the distances' range, chosen before any result was seen.
THRESHOLD = 0.5
# Seconds from which on another minimum of a curve is another offset.
APART = 0.2

Array = NDArray[np.floating[Any]]


def pair_accuracy(positive: Array, negative: Array) -> float:
    """Share of the clips whose audio in sync is nearer than other audio, in percent; chance is 50, ties count half.

    Args:
        positive: [N] distances of the visual embedding from the audio in sync.
        negative: [N] distances from the other audio.

    Returns:
        A percentage, NaN without any pair.
    """
    both = ~(np.isnan(positive) | np.isnan(negative))
    if not both.any():
        return float("nan")
    p, n = positive[both], negative[both]
    return 100.0 * float(np.mean((p < n) + 0.5 * (p == n)))


def threshold_accuracy(positive: Array, negative: Array, threshold: float = THRESHOLD) -> float:
    """Share of distances on the right side of a fixed one, in percent: in sync below it, negatives not.

    Both kinds weigh the same.

    Args:
        positive: See `pair_accuracy`.
        negative: See `pair_accuracy`.
        threshold: The fixed distance.
    """
    p, n = positive[~np.isnan(positive)], negative[~np.isnan(negative)]
    if not len(p) or not len(n):
        return float("nan")
    return 50.0 * float(np.mean(p < threshold) + np.mean(n >= threshold))


def easy_distances(visual: Array, audio: Array, groups: NDArray[Any]) -> NDArray[np.float64]:
    """Distance of each clip's visual embedding from the audio of the next clip of another video, [N].

    Args:
        visual: [N, T, D] embeddings (T = 1 where time is averaged).
        audio: The same of audio; rows of NaN are clips without audio.
        groups: [N] video of each clip.
    """
    count = len(groups)
    known: NDArray[np.bool_] = np.logical_not(np.isnan(audio).any(axis=(1, 2)))
    other = np.full(count, -1)
    for i in range(count):
        for step in range(1, count):
            j = (i + step) % count
            if known[j] and groups[j] != groups[i]:
                other[i] = j
                break
    distances = np.full(count, np.nan)
    rows = np.flatnonzero(other >= 0)
    distances[rows] = np.linalg.norm(visual[rows] - audio[other[rows]], axis=2).mean(axis=1)
    return distances


def histogram(distances: Array, bins: int = 20) -> list[int]:
    """Counts of distances in equal bins over 0..1."""
    counts: list[int] = np.histogram(distances[~np.isnan(distances)], bins=bins, range=(0.0, 1.0))[0].tolist()
    return counts


def offset_curve(distances: Array) -> NDArray[np.float64]:
    """Mean distance at each shift of the audio, [N, S] -> [S].

    NaN where fewer than half as many clips have audio as at the best-known shift. At the ends of a file not every
    clip has every shift, and some clips lie farther from any audio than others. Each clip's median is therefore
    subtracted before the mean, and the mean of the medians added again.

    Args:
        distances: NaN where a clip has no audio at a shift.
    """
    rows = ~np.isnan(distances).all(axis=1)
    if not rows.any():
        return np.full(distances.shape[1], np.nan)
    d = distances[rows]
    known = ~np.isnan(d)
    medians = np.nanmedian(d, axis=1, keepdims=True)
    counts = known.sum(axis=0)
    total = np.where(known, d - medians, 0.0).sum(axis=0)
    curve: NDArray[np.float64] = np.where(
        2 * counts >= counts.max(), total / np.maximum(counts, 1) + medians.mean(), np.nan
    )
    return curve


@dataclass(frozen=True)
class Evidence:
    """Whether a curve of distances over shifts has a clear minimum.

    Attributes:
        confidence: By how many standard deviations its minimum is deeper than those of curves whose clips do not agree.
        second: Depth of the next lowest minimum, as a share of that of the lowest; 1 is another one of the same depth.
        at_the_end: Whether the lowest point is the first or the last one, so that the minimum may lie outside.
    """

    confidence: float
    second: float
    at_the_end: bool


def offset_evidence(shifts: Sequence[float] | NDArray[np.float64], distances: Array, draws: int = 500) -> Evidence:
    """How clear the minimum of the curve of `offset_curve` is, compared with clips that do not agree on a shift.

    Each clip's curve is moved against the others by a random number of shifts, its ends joined, and the depth of the
    mean curve is taken: its median less its minimum. What the clips have in common is lost by that, all else is kept.

    Args:
        shifts: [S] seconds, evenly spaced, ascending.
        distances: [N, S], NaN where a clip has no audio at a shift.
        draws: Number of random moves of all clips.
    """
    shifts, rng, curve = np.asarray(shifts), np.random.default_rng(0), offset_curve(distances)
    known = np.flatnonzero(~np.isnan(curve))
    if not len(known):
        return Evidence(0.0, 1.0, at_the_end=True)
    clips, count = distances.shape
    moves = (np.arange(count) + rng.integers(count, size=(draws, clips, 1))) % count
    moved = np.array([_depth(offset_curve(np.take_along_axis(distances, move, 1))) for move in moves])
    low, depth, spread = int(np.nanargmin(curve)), _depth(curve), float(moved.std())
    others = curve[(np.abs(shifts - shifts[low]) >= APART) & ~np.isnan(curve)]
    second = float(np.nanmedian(curve) - others.min()) if len(others) else 0.0
    return Evidence(
        float(depth - moved.mean()) / spread if spread > 0 else 0.0,
        second / depth if depth > 0 else 1.0,
        at_the_end=low in (known[0], known[-1]),
    )


def _depth(curve: Array) -> float:
    return float(np.nanmedian(curve) - np.nanmin(curve))


def offset_estimate(shifts: Sequence[float] | NDArray[np.float64], curve: Array) -> float:
    """The shift at which a curve is lowest, refined by the parabola through the lowest point and its neighbours.

    Args:
        shifts: [S] seconds, evenly spaced, ascending.
        curve: [S] mean distances.

    Returns:
        Seconds by which the audio comes after the frames; NaN where the curve is.
    """
    if np.isnan(curve).all():
        return float("nan")
    low = int(np.nanargmin(curve))
    if low in (0, len(curve) - 1) or np.isnan(curve[[low - 1, low + 1]]).any():
        return float(shifts[low])
    before, at, after = curve[low - 1 : low + 2]
    bend = before - 2 * at + after
    step = shifts[low + 1] - shifts[low]
    return float(shifts[low] + (0.5 * (before - after) / bend if bend > 0 else 0.0) * step)
