"""Synchronisation metrics: can sound that belongs to a picture be told from sound that does not, and where does it belong (arXiv 2001.08740, section 3.4)?

Distances are those that the synchronisation loss compares: 0 for the same embedding, 1 for opposite ones. NaN stands for a comparison that
does not exist (a video too short for it, a clip without sound) and counts nowhere.
"""

import numpy as np


def pair_accuracy(positive, negative):
    """Share of the clips whose own sound is nearer than other sound, in percent; chance is 50, ties count half.

    Args:
        positive, negative: [N] distances of the picture from its own sound and from the other.

    Returns:
        A percentage, NaN without any pair.
    """
    both = ~(np.isnan(positive) | np.isnan(negative))
    if not both.any():
        return float("nan")
    p, n = positive[both], negative[both]
    return 100.0 * float(np.mean((p < n) + 0.5 * (p == n)))


def threshold_accuracy(positive, negative, threshold=0.5):
    """Share of the clips told right by a fixed distance, in percent: own sound below it, other sound not; both kinds weigh the same.

    The threshold is the middle of the distances' range, chosen before anything is seen.
    """
    p, n = positive[~np.isnan(positive)], negative[~np.isnan(negative)]
    if not len(p) or not len(n):
        return float("nan")
    return 50.0 * float(np.mean(p < threshold) + np.mean(n >= threshold))


def easy_distances(visual, audio, groups):
    """Distance of each clip's picture from the sound of the next clip of another video, [N].

    Args:
        visual, audio: [N, T, D] embeddings (T = 1 where time is averaged); rows of NaN are clips without sound.
        groups: [N] video of each clip.
    """
    count = len(groups)
    known = ~np.isnan(audio).any(axis=(1, 2))
    other = np.full(count, -1)
    for i in range(count):
        for step in range(1, count):
            j = (i + step) % count
            if known[j] and groups[j] != groups[i]:
                other[i] = j
                break
    found = np.full(count, np.nan)
    rows = np.flatnonzero(other >= 0)
    found[rows] = np.linalg.norm(visual[rows] - audio[other[rows]], axis=2).mean(axis=1)
    return found


def histogram(distances, bins=20):
    """Counts of distances in `bins` equal bins over 0..1, as a list."""
    return np.histogram(distances[~np.isnan(distances)], bins=bins, range=(0.0, 1.0))[0].tolist()


def offset_curve(distances):
    """Mean distance at each shift of the sound, [N, S] -> [S]; NaN where fewer than half as many clips have sound as at the best-known shift.

    At the ends of a file not every clip has every shift, and some clips lie farther from any sound than others; each clip's median is
    therefore taken off before the mean, and the mean of the medians put back.
    """
    known = ~np.isnan(distances)
    rows = known.any(axis=1)
    if not rows.any():
        return np.full(distances.shape[1], np.nan)
    d, known = distances[rows], known[rows]
    medians = np.nanmedian(d, axis=1, keepdims=True)
    counts = known.sum(axis=0)
    total = np.where(known, d - medians, 0.0).sum(axis=0)
    return np.where(2 * counts >= counts.max(), total / np.maximum(counts, 1) + medians.mean(), np.nan)


def offset_estimate(shifts, curve):
    """The shift at which a curve is lowest, refined by the parabola through the lowest point and its neighbours.

    Args:
        shifts: [S] seconds, evenly spaced, ascending. curve: [S] mean distances.

    Returns:
        Seconds by which the sound comes after the picture; NaN where the curve is.
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
