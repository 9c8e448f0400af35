"""Recognise by how many quarter turns a clip's frames are rotated (arXiv 1811.11387)."""

from typing import Any

import torch

from ...config.derived import Cfg
from .base import VariantPretext


def rotated(clips: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Each clip's frames rotated by its number of quarter turns.

    Args:
        clips: [B, C, T, H, W] with H = W.
        turns: [B] of 0..3.
    """
    # Not by indexing, for which the host would wait for the device.
    out = clips
    for number in range(1, 4):
        chosen = (turns == number).view(-1, 1, 1, 1, 1)
        out = torch.where(chosen, torch.rot90(clips, number, dims=(3, 4)), out)
    return out


class RotationPretext(VariantPretext):
    """The variants are 0 to 3 quarter turns. The loss has the weight PRETRAIN.ROTATION_WEIGHT."""

    @classmethod
    def options(cls, cfg: Cfg) -> dict[str, Any]:
        """See `TakesOptions.options`."""
        return {"weight": cfg.PRETRAIN.ROTATION_WEIGHT}

    def vary(self, clips: torch.Tensor, variants: torch.Tensor) -> torch.Tensor:
        """See `VariantPretext.vary`."""
        return rotated(clips, variants)
