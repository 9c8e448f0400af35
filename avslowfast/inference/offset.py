"""The offset between audio and frames of a video, estimated by a network that was trained for synchronisation."""

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..clips import ClipReader
from ..clips.spans import shift_grid
from ..evaluation.metrics.sync import Evidence, offset_curve, offset_estimate, offset_evidence
from ..tasks.pretexts.avs import stage_distances
from ..utils.arguments import ArgumentError, positive, whole
from ..utils.batches import chunks
from ..utils.errors import UserError
from .load import meta_of, network_of
from .scoring import check_finite, device_of, evaluating, network_inputs

# What a claim needs, chosen on SynthAV with networks that cannot know and with clips that have no offset. Fewer clips
# do not reach the confidence even where all agree.
CONFIDENT, AMBIGUOUS, MIN_CLIPS = 4.0, 0.9, 6
# Clips in one forward pass. Each has its audio at all shifts beside it, whose features take hundreds of MB, and a CPU
# gains nothing from more.
_BATCH_ON_CPU, _BATCH = 1, 4
# Shifts to each side, all of which are in memory at once.
_MOST_SHIFTS = 500


class SyncNotMeasurableError(UserError, ValueError):
    """A network or a video for which synchronisation cannot be measured; the message says why."""


@dataclass(frozen=True, eq=False)
class Offset:
    """The offset of a file's audio.

    Attributes:
        seconds: By how much the audio is late (positive) or early (negative); None where the clips do not say.
        confidence: By how many standard deviations the minimum of the mean curve is deeper than without agreement of
            the clips, see `offset_evidence`; below `CONFIDENT` nothing is claimed.
        reason: Why nothing is claimed; "" where `seconds` is.
        lowest: The shift at which the mean curve is lowest, seconds, claimed or not.
        shifts: Shifts of the audio that were compared, seconds, [S].
        curves: {stage: mean distance of frames and audio at each shift, [S]}.
        stages: Stages whose curves were averaged for the estimate.
        clips: Number of clips that were compared.
    """

    seconds: float | None
    confidence: float
    reason: str
    lowest: float
    shifts: NDArray[np.float64]
    curves: dict[str, NDArray[np.float64]]
    stages: tuple[str, ...]
    clips: int

    def __repr__(self) -> str:
        words = f"cannot tell: {self.reason}" if self.seconds is None else f"{1000 * self.seconds:+.0f} ms"
        return f"Offset({words}, confidence {self.confidence:.1f}, {self.clips} clips)"


@torch.no_grad()
def estimate_offset(
    model: nn.Module,
    video: str | os.PathLike[str],
    max_shift: float = 1.5,
    step: float = 0.04,
    stages: Sequence[str] | None = None,
    max_clips: int = 32,
) -> Offset:
    """Estimate the audiovisual offset of a file from clips over its whole length.

    Args:
        model: From `avslowfast.load_model`, trained with synchronisation.
        video: The file.
        max_shift: Largest offset that is considered, seconds.
        step: From one shift to the next, seconds.
        stages: Stages whose distances are averaged; None takes all that the network compares.
        max_clips: Clips of the file, at most.

    Returns:
        An `Offset`; its `seconds` are None where the curve has no clear minimum.

    Raises:
        ArgumentError: A number that makes no sense, or something else than a path.
        SyncNotMeasurableError: The network has no synchronisation heads, or the file has too little audio to compare.
        NotFiniteError: Distances are NaN or infinite where there is audio.
        DecodeError: The file cannot be read.
    """
    max_shift, step, max_clips = positive("max_shift", max_shift), positive("step", step), whole("max_clips", max_clips)
    if step > max_shift:
        raise ArgumentError(f"step is {step}, above max_shift {max_shift}; give for example 0.04 and 1.5")
    if max_shift / step > _MOST_SHIFTS:
        raise ArgumentError(
            f"max_shift is {max_shift:g} and step {step:g}: too many shifts; give for example 1.5 and 0.04"
        )
    settings, network = meta_of(model).clip_reader.settings, network_of(model)
    compared = compared_stages(model, stages)
    shifts = np.array(shift_grid(max_shift, step))
    # A network that compares audio has an audio pathway.
    audio = dataclasses.replace(settings.audio, shifts=tuple(shifts.tolist())) if settings.audio else None
    clip_reader = ClipReader(dataclasses.replace(settings, audio=audio))
    with clip_reader.open(video) as media:
        if media.audio is None:
            raise SyncNotMeasurableError(f"{video}: no audio in the file, so there is no offset")
        # Clips that overlap by half, over the whole length.
        views = int(np.clip(2 * (media.extent.duration - settings.duration) / settings.duration + 1, 1, max_clips))
        clips = clip_reader.test_views(media, num_views=views, num_crops=1)
    batch = _BATCH_ON_CPU if device_of(network).type == "cpu" else _BATCH
    with evaluating(network):
        parts = [stage_distances(network, network_inputs(network, part)) for part in chunks(clips, views, batch)]
    distances = {
        stage: torch.cat([part[stage] for part in parts])[:, 2:].float().cpu().numpy() for stage in network.sync_heads
    }
    curves = {stage: offset_curve(values) for stage, values in distances.items()}
    together = np.mean([distances[stage] for stage in compared], axis=0)
    # Where there is audio at a shift there is a distance.
    check_finite([together[clips["audio_shifts_mask"].numpy()]], "distances", video)
    lowest = offset_estimate(shifts, offset_curve(together))
    if np.isnan(lowest):
        raise SyncNotMeasurableError(f"{video}: too little audio during its frames to compare anything")
    evidence = offset_evidence(shifts, together)
    reason = _why_not_told(evidence, views)
    return Offset(None if reason else lowest, evidence.confidence, reason, lowest, shifts, curves, compared, views)


def _why_not_told(evidence: Evidence, clips: int) -> str:
    """Why the evidence does not suffice; "" where it does."""
    if clips < MIN_CLIPS:
        return f"{clips} clips fit into it, and {MIN_CLIPS} that agree are needed; give a longer file"
    if evidence.confidence < CONFIDENT:
        return (
            f"its clips do not agree on a shift; evidence is a minimum that they share, of confidence {CONFIDENT:g} or "
            "more"
        )
    if evidence.at_the_end:
        return "the best shift is the largest that was tried; look further (--max-shift)"
    if evidence.second > AMBIGUOUS:
        return "another shift fits as well, as with events in a steady rhythm; evidence is a single minimum"
    return ""


def compared_stages(model: nn.Module, wanted: Sequence[str] | None = None) -> tuple[str, ...]:
    """The stages whose distances are averaged.

    Args:
        model: From `avslowfast.load_model`.
        wanted: Their names; None takes all that the network compares.

    Raises:
        SyncNotMeasurableError: The network compares nothing, or not there.
    """
    known = list(network_of(model).sync_heads)
    if not known:
        raise SyncNotMeasurableError(
            "the network compares nothing: it was trained without synchronisation (SLOWFAST.AVS_FLAG)"
        )
    for stage in wanted or ():
        if stage not in known:
            raise SyncNotMeasurableError(f"the network compares at {', '.join(known)}, not at {stage}")
    return tuple(wanted or known)
