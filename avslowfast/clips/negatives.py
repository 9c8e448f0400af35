"""Audio out of sync: hard and super-hard negatives for training, shifted audio for measuring.

See arXiv 2001.08740.

All of it is cut from the video's clock and lies wholly inside its audio: a repeated or padded end would give it away.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..media import MediaReader
from . import spans
from .settings import AudioSettings

# Ends of streams are known to about a sample, seconds.
_SLACK = 1e-3


def training_negative(
    reader: MediaReader, start: float, duration: float, audio: AudioSettings, epoch: int, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Audio of the same video from another time, for a share of the clips.

    A hard negative shares nothing with the clip's audio and starts at least `audio.min_gap` seconds from it. A
    super-hard one, where these are on, overlaps it. A video too short for the kind that was drawn gives an easy one.

    Args:
        reader: The open video.
        start: Start of the clip's span of audio, seconds.
        duration: Its length, seconds.
        audio: Which negatives are read, and how many.
        epoch: The training's epoch, from 0.
        rng: The clip's generator.

    Returns:
        Samples [N]; None means an easy negative, which another clip of the batch gives.
    """
    # Drawn whether used or not, so that a clip's other draws do not depend on the epoch at which hard negatives begin.
    is_hard, pick = rng.random() >= audio.easy_ratio, rng.spawn(1)[0]
    if not (audio.hard_negatives and is_hard and epoch >= audio.hard_from_epoch and reader.audio):
        return None
    begin, end = max(reader.audio.start, reader.extent.start), reader.audio.end
    nearest = max(duration, audio.min_gap)
    if audio.super_hard_ratio and pick.random() < audio.super_hard_ratio:
        at = spans.shifted_start(start, duration, begin, end, audio.super_hard_gap, nearest, pick)
    else:
        at = spans.shifted_start(start, duration, begin, end, nearest, float("inf"), pick)
    if at is None:
        return None
    samples, has_audio = reader.read_audio(at, duration, audio.sample_rate)
    return samples if has_audio else None


@dataclass(frozen=True)
class MeasuredAudio:
    """What the synchronisation metrics compare a clip with.

    Attributes:
        shifts: Samples at each shift, float32 [S, N].
        shifts_mask: Whether the span lies inside the file's audio, bool [S]; elsewhere the samples are silent.
        hard: Samples that share nothing with the clip's, float32 [N].
        hard_mask: Whether there are such samples, bool [].
    """

    shifts: NDArray[np.float32]
    shifts_mask: NDArray[np.bool_]
    hard: NDArray[np.float32]
    hard_mask: NDArray[np.bool_]


def measured_audio(
    reader: MediaReader, start: float, duration: float, audio: AudioSettings, rng: np.random.Generator
) -> MeasuredAudio:
    """Read shifted and unrelated audio of a clip.

    Args:
        reader: The open video.
        start: Start of the clip's span of audio, seconds.
        duration: Its length, seconds.
        audio: Shifts, sample rate, smallest distance of the unrelated audio.
        rng: Draws where the unrelated audio lies.
    """
    rate, count = audio.sample_rate, int(round(duration * audio.sample_rate))
    shifts = np.array(audio.shifts)
    silence = np.zeros(count, np.float32)
    if not reader.audio:
        return MeasuredAudio(
            np.zeros((len(shifts), count), np.float32), np.zeros(len(shifts), bool), silence, np.array(False)
        )
    begin, end = reader.audio.start, reader.audio.end
    # One decode for all shifts.
    whole, has_audio = reader.read_audio(start + shifts[0], duration + shifts[-1] - shifts[0], rate)
    firsts = np.round((shifts - shifts[0]) * rate).astype(int)
    inside = (start + shifts >= begin - _SLACK) & (start + shifts + duration <= end + _SLACK) & has_audio
    parts = [whole[first : first + count] for first in firsts]
    shifted = np.stack([np.pad(part, (0, max(count - len(part), 0))) for part in parts])
    at = spans.shifted_start(
        start, duration, max(begin, reader.extent.start), end, max(duration, audio.min_gap), float("inf"), rng
    )
    hard, hard_exists = (silence, False) if at is None else reader.read_audio(at, duration, rate)
    return MeasuredAudio(shifted, inside, hard, np.array(hard_exists))
