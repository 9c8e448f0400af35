"""Sound out of sync: hard and super-hard negatives for training, shifted sound for measuring (arXiv 2001.08740, section 3.4).

All of it is cut from the video's own clock and lies wholly inside its sound: a repeated or padded end would give it away.
"""

import numpy as np

from . import spans as clips

# Ends of streams are known to about a sample.
_SLACK = 1e-3


def training_negative(reader, start, duration, audio, epoch, rng):
    """Samples [N] of the same video's sound from elsewhere, for a share of the clips; None for an easy negative instead.

    A hard negative shares nothing with the clip's own sound and starts at least `audio.min_gap` seconds from it; a super-hard one, where
    these are on, overlaps it. A video too short for the kind that was drawn gives an easy one.

    Args:
        reader: the open video. start, duration: the clip's span of sound, seconds.
        audio: `base.AudioSettings`. epoch: the training's. rng: the clip's generator.
    """
    # Drawn whether used or not, so that a clip's other draws do not depend on the epoch at which hard negatives begin.
    wants, pick = rng.random() >= audio.easy_ratio, rng.spawn(1)[0]
    if not (audio.hard_negatives and wants and epoch >= audio.hard_from_epoch and reader.audio):
        return None
    begin, end = max(reader.audio.start, reader.video.start), reader.audio.end
    nearest = max(duration, audio.min_gap)
    if audio.super_hard_ratio and pick.random() < audio.super_hard_ratio:
        at = clips.shifted_start(start, duration, begin, end, audio.super_hard_gap, nearest, pick)
    else:
        at = clips.shifted_start(start, duration, begin, end, nearest, float("inf"), pick)
    if at is None:
        return None
    samples, heard = reader.read_audio(at, duration, audio.sample_rate)
    return samples if heard else None


def measured_sounds(reader, start, duration, audio, rng):
    """What the synchronisation metrics compare a clip with.

    Returns:
        {"shifts": samples [S, N] at the shifts of `audio.shifts`, "shifts_mask": [S] bool, "hard": samples [N] without overlap, "hard_mask": []};
        what lies outside the file's sound is silence, its mask False.
    """
    rate, count = audio.sample_rate, int(round(duration * audio.sample_rate))
    shifts = np.array(audio.shifts)
    silent = {
        "shifts": np.zeros((len(shifts), count), np.float32),
        "shifts_mask": np.zeros(len(shifts), bool),
        "hard": np.zeros(count, np.float32),
    }
    if not reader.audio:
        return {**silent, "hard_mask": np.array(False)}
    begin, end = reader.audio.start, reader.audio.end
    # One decode for all shifts.
    whole, heard = reader.read_audio(start + shifts[0], duration + shifts[-1] - shifts[0], rate)
    firsts = np.round((shifts - shifts[0]) * rate).astype(int)
    inside = (start + shifts >= begin - _SLACK) & (start + shifts + duration <= end + _SLACK) & heard
    pieces = np.stack(
        [
            np.pad(whole[first : first + count], (0, max(count - len(whole[first : first + count]), 0)))
            for first in firsts
        ]
    )
    at = clips.shifted_start(
        start, duration, max(begin, reader.video.start), end, max(duration, audio.min_gap), float("inf"), rng
    )
    hard, known = (silent["hard"], False) if at is None else reader.read_audio(at, duration, rate)
    return {"shifts": pieces, "shifts_mask": inside, "hard": hard, "hard_mask": np.array(known)}
