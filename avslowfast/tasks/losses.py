"""Losses of labels, chosen by MODEL.LOSS_FUNC."""

import functools
from collections.abc import Callable

import torch
from torch.nn import functional as F

# A loss of logits and labels; weights of classes [K] where they count differently.
Criterion = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


def cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None, *, smoothing: float = 0.0
) -> torch.Tensor:
    """Cross entropy; the mean over the batch, whatever the weights, so that parts of a batch add up to the whole.

    Args:
        logits: [B, K].
        labels: Class ids [B], or distributions [B, K] where labels are mixed.
        weights: How much a clip of each class counts, [K]; None is 1.
        smoothing: Share of each label that is spread over all classes.
    """
    if weights is None:
        return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
    losses = F.cross_entropy(logits.float(), labels, label_smoothing=smoothing, reduction="none")
    of_clip = weights[labels] if labels.dim() == 1 else labels @ weights
    return (losses * of_clip).mean()


def binary_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Binary cross entropy of logits [B, K] with several labels per clip or box, [B, K] of 0 and 1, without weights."""
    return F.binary_cross_entropy_with_logits(logits.float(), labels.float())


def criterion_named(name: str, smoothing: float = 0.0) -> Criterion:
    """The loss that MODEL.LOSS_FUNC names.

    Args:
        name: The value of the key.
        smoothing: See `cross_entropy`.
    """
    return binary_cross_entropy if name.startswith("bce") else functools.partial(cross_entropy, smoothing=smoothing)
