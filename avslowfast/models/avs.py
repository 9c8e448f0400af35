"""Audiovisual synchronisation: heads at several depths and their contrastive loss (arXiv 2001.08740, section 3.4).

The margin loss is that of arXiv 1807.00230. Legend: B clips of this rank, H hard negatives, D dimension of the comparison.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from ..utils import distributed

MARGIN = 0.99


def _distance(a, b):
    """Euclidean distance along the last axis, with a finite gradient at zero."""
    return (a - b).square().sum(dim=-1).clamp_min(1e-12).sqrt()


def contrastive_loss(reference, positive, negative, valid):
    """L = [sum |r - p|^2 + sum max(margin - |r - n|, 0)^2] / (2 N + 1e-8) over the N valid clips of all ranks.

    Args:
        reference, positive, negative: [B, D], or [B, T, D] for a comparison instant by instant, whose terms are averaged over T.
        valid: [B] bool.

    Returns:
        A scalar. Its mean over ranks is the loss of the global batch, so the gradient that data-parallel training averages does not
        depend on how many ranks share the batch.
    """
    pull = (reference - positive).square().sum(dim=-1)
    push = (MARGIN - _distance(reference, negative)).clamp_min(0).square()
    both = (pull + push).flatten(1).mean(dim=1) if pull.dim() > 1 else pull + push
    total = torch.where(valid, both, torch.zeros_like(both)).sum()
    count = valid.sum().to(total.dtype)
    if distributed.is_distributed():
        count = distributed.all_reduce_sum(count)
    return total * distributed.world_size() / (2 * count + 1e-8)


@dataclass
class Negatives:
    """Which sound each clip is contrasted with, and which pairs count.

    Attributes:
        num_clips: B.
        hard_index: [H] clip of each hard negative, whose features stand at B .. B + H; None without any.
        valid: [B] bool.
    """

    num_clips: int
    hard_index: torch.Tensor | None
    valid: torch.Tensor

    def select(self, embedded):
        """[B + H, D] embeddings of positives and hard negatives -> [B, D] of each clip's negative.

        An easy negative is the next clip's sound (of the next rank, after the last): computed already, so free.
        """
        negative = _next_clips(embedded[: self.num_clips])
        if self.hard_index is not None:
            negative = negative.index_copy(0, self.hard_index, embedded[self.num_clips :])
        return negative


def _next_clips(x):
    """Row i + 1 of the global batch for each row i of this rank; the last rank's last row gets the first one."""
    everyone = distributed.all_gather_batch(x)
    start = distributed.rank() * len(x)
    index = torch.arange(start + 1, start + 1 + len(x), device=x.device) % len(everyone)
    return everyone.index_select(0, index)


def pair_up(audio, audio_mask=None, hard=None, hard_index=None, var_thresh=0.01, duplicate_thresh=0.99999):
    """Choose each clip's negative and say which pairs count.

    A pair counts if both clips have sound, both spectrograms have a variance above `var_thresh`, and their cosine similarity is
    below `duplicate_thresh`. With a single clip in the global batch no easy negative exists, so only hard ones count.

    Args:
        audio: [B, 1, T, F] spectrograms in sync; audio_mask: [B] bool or None.
        hard: [H, 1, T, F] hard negatives or None; hard_index: [H] their clips (None: one for each clip, in order).
    """
    with torch.no_grad():
        b = len(audio)
        flat = audio.detach().float().flatten(1)
        mask = torch.ones(b, dtype=torch.bool, device=audio.device) if audio_mask is None else audio_mask
        other, other_mask = _next_clips(flat), _next_clips(mask.to(torch.uint8)).bool()
        if b * distributed.world_size() == 1:
            other_mask = torch.zeros_like(other_mask)
        if hard is not None:
            if hard_index is None:
                hard_index = torch.arange(len(hard), device=audio.device)
            other = other.index_copy(0, hard_index, hard.detach().float().flatten(1))
            other_mask = other_mask.index_fill(0, hard_index, True)
        loud = (flat.var(dim=1) > var_thresh) & (other.var(dim=1) > var_thresh)
        different = F.cosine_similarity(flat, other, dim=1) < duplicate_thresh
        valid = mask & other_mask & loud & different
    return Negatives(b, hard_index if hard is not None else None, valid)


class SyncHead(nn.Module):
    """Brings visual and audio features of one stage into a common space, where they are contrasted.

    Args:
        dim_visual, dim_audio: channels of the two.
        dim_proj: D.
        join_fast: an F->S lateral for the visual features, where the stage has none of its own.
        encoder: an audio encoder, where the stage has no audio lateral whose encoding could be used.
        pool: "mean" compares averages over the whole clip (the paper's authors); "time" compares instant by instant.
    """

    def __init__(self, dim_visual, dim_audio, dim_proj, join_fast=None, encoder=None, pool="mean"):
        super().__init__()
        self.join_fast = join_fast
        self.encoder = encoder
        self.pool = pool
        self.ref_fc = nn.Linear(dim_visual, dim_proj)
        self.query_fc = nn.Linear(dim_audio, dim_proj)

    def embed_visual(self, x_BCTHW):
        """Visual features -> [B, 1, D], or [B, T, D] instant by instant; of length 0.5, so that distances lie in 0..1."""
        return self._embed(self.ref_fc, x_BCTHW.mean(dim=(3, 4)))

    def embed_audio(self, x_BCT):
        """Encoded audio -> the same."""
        return self._embed(self.query_fc, x_BCT)

    def _embed(self, layer, x_BCT):
        x_BTC = x_BCT.mean(dim=2, keepdim=True).transpose(1, 2) if self.pool == "mean" else x_BCT.transpose(1, 2)
        return 0.5 * F.normalize(layer(x_BTC).float(), dim=-1)

    def forward(self, x_visual, x_audio):
        """(visual, audio) embeddings [B, T, D], [N, T, D]; x_visual [B, C, T, H, W], x_audio [N, C', T'], as the stage has encoded it."""
        return self.embed_visual(x_visual), self.embed_audio(x_audio)


def sync_loss(visual, audio, negatives):
    """Loss of one stage. visual: [B, T, D]; audio: [B + H, T, D], hard negatives behind the clips (see `Negatives`)."""
    return contrastive_loss(visual, audio[: negatives.num_clips], negatives.select(audio), negatives.valid)
