"""How far the sound of a video lies from its pictures, as a network trained for synchronisation sees it."""

import dataclasses
from typing import NamedTuple

import numpy as np
import torch

from ..clips.spans import shift_grid
from ..datasets.base import Record, VideoDataset
from ..evaluation.metrics.sync import offset_curve, offset_estimate
from ..loading.build import clip_settings
from ..media import VideoReader
from ..tasks.pretrain import stage_distances
from ..utils.errors import UserError


class NoSync(UserError, ValueError):
    """A network or a video that cannot tell about synchronisation; the message says why."""


class Offset(NamedTuple):
    """What was found.

    Attributes:
        seconds: by which the sound comes after the picture. confidence: median of the curve less its lowest point; 0 is no evidence.
        shifts: [S] seconds. curves: {stage: [S] mean distances}; the estimate is that of the mean of `stages`.
        stages: those that were joined. clips: number of clips looked at.
    """

    seconds: float
    confidence: float
    shifts: np.ndarray
    curves: dict
    stages: tuple
    clips: int


@torch.no_grad()
def estimate_offset(model, video, max_shift=1.5, step=0.04, stages=None, max_clips=32):
    """Estimate a file's audiovisual offset from clips all over it.

    Args:
        model: from `avslowfast.load_model`, trained with synchronisation.
        video: the file. max_shift: largest offset considered, seconds. step: from one shift to the next.
        stages: whose distances are averaged; None takes all that the network compares.
        max_clips: of the file.

    Returns:
        An `Offset`.

    Raises:
        NoSync: the network has no synchronisation heads, or the file no sound that could be compared.
        DecodeError: the file cannot be read.
    """
    known = list(model.sync_heads)
    if not known:
        raise NoSync("the network compares nothing: it was trained without synchronisation (SLOWFAST.AVS_FLAG)")
    unknown = [stage for stage in stages or () if stage not in known]
    if unknown:
        raise NoSync(f"the network compares at {', '.join(known)}, not at {unknown[0]}")
    settings = clip_settings(model.meta.cfg)
    audio = dataclasses.replace(settings.audio, shifts=shift_grid(max_shift, step))
    with VideoReader(video) as reader:
        if reader.audio is None:
            raise NoSync(f"{video}: no sound in it, so it has no offset")
        length = reader.video.end - reader.video.start
    # Clips that overlap by half, all over the file.
    views = int(np.clip(2 * (length - settings.duration) / settings.duration + 1, 1, max_clips))
    settings = dataclasses.replace(settings, audio=audio, num_views=views, num_crops=1)
    inputs = VideoDataset([Record(str(video), 0)], settings, "test").read_views(0)
    device = next(model.parameters()).device
    parts = []
    for i in range(views):
        found = stage_distances(
            model, {name: value[i : i + 1].to(device) for name, value in inputs.items() if name != "start"}
        )
        parts.append({stage: found[stage][:, 2:].cpu().numpy() for stage in known})
    curves = {stage: offset_curve(np.concatenate([part[stage] for part in parts])) for stage in known}
    joined = tuple(stages or known)
    curve = np.mean([curves[stage] for stage in joined], axis=0)
    seconds = offset_estimate(np.array(audio.shifts), curve)
    if np.isnan(seconds):
        raise NoSync(f"{video}: too little sound beside its pictures to compare anything")
    return Offset(seconds, float(np.nanmedian(curve) - np.nanmin(curve)), np.array(audio.shifts), curves, joined, views)
