"""Clips without audio behave as if the audio pathway were dropped, each for itself."""

import torch
from torch import Tensor


def zero_clips_without_audio(x: Tensor, audio_mask: Tensor | None) -> Tensor:
    """Zeros for the clips that have no audio.

    The values are selected, not multiplied: a NaN in the features of such a clip does not survive.

    Args:
        x: [B, ...] features.
        audio_mask: [B] bool, False for a clip without audio; None where every clip has audio.

    Returns:
        A tensor of the shape of `x`.
    """
    if audio_mask is None:
        return x
    return torch.where(audio_mask.view(-1, *[1] * (x.dim() - 1)), x, torch.zeros((), dtype=x.dtype, device=x.device))
