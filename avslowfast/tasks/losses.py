"""Losses of labels, chosen by MODEL.LOSS_FUNC."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

Criterion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross entropy with target distributions [B, K]; mean over the batch."""
    return torch.sum(-target * F.log_softmax(logits.float(), dim=-1), dim=-1).mean()


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy of logits [B, K] with class ids [B], or with distributions [B, K] where labels are mixed."""
    if labels.dim() == 2:
        return soft_cross_entropy(logits, labels)
    return F.cross_entropy(logits.float(), labels)


def binary_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Binary cross entropy of logits [B, K] with several labels per clip or box, [B, K] of 0 and 1."""
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float())


def criterion_named(name: str) -> Criterion:
    """The loss that MODEL.LOSS_FUNC names."""
    return binary_cross_entropy if name.startswith("bce") else cross_entropy
