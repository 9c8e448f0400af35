"""Audiovisual synchronisation: heads at several depths and their contrastive loss (arXiv 2001.08740).

The margin loss is that of arXiv 1807.00230. Legend: B clips of this rank, M hard negatives, T time steps, D dimension
of the comparison.
"""

from dataclasses import dataclass

import torch
from torch import nn, Tensor
from torch.nn import functional as F

from ..utils import distributed
from .laterals.base import AudioEncoder
from .laterals.fast_to_slow import FastToSlow

MARGIN = 0.99


def _distance(a: Tensor, b: Tensor) -> Tensor:
    """Euclidean distance along the last axis, with a finite gradient at zero."""
    return (a - b).square().sum(dim=-1).clamp_min(1e-12).sqrt()


def contrastive_loss(reference: Tensor, positive: Tensor, negative: Tensor, valid: Tensor) -> Tensor:
    """L = [sum |r - p|^2 + sum max(margin - |r - n|, 0)^2] / (2 N + 1e-8) over the N valid clips of all ranks.

    Args:
        reference: [B, D] visual embeddings, or [B, T, D] for a comparison at each time step, whose terms are averaged
            over T.
        positive: Audio embeddings of the same clips, of the same shape.
        negative: Audio embeddings of each clip's negative, of the same shape.
        valid: [B] bool.

    Returns:
        A scalar. Its mean over ranks is the loss of the global batch, so the gradient that data-parallel training
        averages does not depend on how many ranks share the batch.
    """
    pull = (reference - positive).square().sum(dim=-1)
    push = (MARGIN - _distance(reference, negative)).clamp_min(0).square()
    both = (pull + push).flatten(1).mean(dim=1) if pull.dim() > 1 else pull + push
    total = torch.where(valid, both, torch.zeros_like(both)).sum()
    count = valid.sum().to(total.dtype)
    if distributed.is_distributed():
        count = distributed.all_reduce_sum(count)
    return total * distributed.world_size() / (2 * count + 1e-8)


@dataclass(frozen=True)
class Negatives:
    """Which audio each clip is contrasted with, and which pairs count.

    Attributes:
        num_clips: B.
        hard_index: [M] clip of each hard negative, whose features have the rows B .. B + M; None without any.
        valid: [B] bool.
    """

    num_clips: int
    hard_index: Tensor | None
    valid: Tensor

    def select(self, embedded: Tensor) -> Tensor:
        """The embedding of each clip's negative.

        An easy negative is the next clip's audio (of the next rank, after the last): it has been computed already.

        Args:
            embedded: [B + M, ...] embeddings of the clips' audio and of the hard negatives.

        Returns:
            [B, ...].
        """
        negative = _next_clips(embedded[: self.num_clips])
        if self.hard_index is not None:
            negative = negative.index_copy(0, self.hard_index, embedded[self.num_clips :])
        return negative


def _next_clips(x: Tensor) -> Tensor:
    """Row i + 1 of the global batch for each row i of this rank; the last rank's last row gets the first one."""
    all_rows = distributed.all_gather_batch(x)
    start = distributed.rank() * len(x)
    index = torch.arange(start + 1, start + 1 + len(x), device=x.device) % len(all_rows)
    return all_rows.index_select(0, index)


def pair_up(
    audio: Tensor,
    audio_mask: Tensor | None = None,
    hard: Tensor | None = None,
    hard_index: Tensor | None = None,
    var_thresh: float = 0.01,
    duplicate_thresh: float = 0.99999,
) -> Negatives:
    """Choose each clip's negative and say which pairs count.

    A pair counts if both clips have audio, both spectrograms have a variance above `var_thresh`, and their cosine
    similarity is below `duplicate_thresh`. With a single clip in the global batch no easy negative exists, so only hard
    ones count.

    Args:
        audio: [B, 1, T, F] spectrograms in synchrony.
        audio_mask: [B] bool, False for a clip without audio; None: every clip has audio.
        hard: [M, 1, T, F] hard negatives, or None.
        hard_index: [M] their clips; None: one for each clip, in order.
        var_thresh: A spectrogram of less variance does not count.
        duplicate_thresh: A pair of spectrograms of higher cosine similarity does not count.
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
        varied = (flat.var(dim=1) > var_thresh) & (other.var(dim=1) > var_thresh)
        different = F.cosine_similarity(flat, other, dim=1) < duplicate_thresh
        valid = mask & other_mask & varied & different
    return Negatives(b, hard_index if hard is not None else None, valid)


class SyncHead(nn.Module):
    """Brings visual and audio features of one stage into a common space, where they are compared.

    Args:
        dim_visual: Channels of the visual features.
        dim_audio: Channels of the encoded audio.
        dim_proj: D.
        join_fast: An F->S lateral for the visual features, where the stage has none.
        encoder: An audio encoder, where the stage has no audio lateral whose encoding could be used.
        pool: "mean" compares averages over the whole clip (as the paper's authors do); "time" compares at each time
            step.
    """

    def __init__(
        self,
        dim_visual: int,
        dim_audio: int,
        dim_proj: int,
        join_fast: FastToSlow | None = None,
        encoder: AudioEncoder | None = None,
        pool: str = "mean",
    ) -> None:
        super().__init__()
        self.join_fast = join_fast
        self.encoder = encoder
        self.pool = pool
        self.ref_fc = nn.Linear(dim_visual, dim_proj)
        self.query_fc = nn.Linear(dim_audio, dim_proj)

    def embed_visual(self, x_BCTHW: Tensor) -> Tensor:
        """Visual features -> [B, 1, D], or [B, T, D] with pool "time"; of length 0.5, so that distances lie in 0..1."""
        return self._embed(self.ref_fc, x_BCTHW.mean(dim=(3, 4)))

    def embed_audio(self, x_BCT: Tensor) -> Tensor:
        """Encoded audio -> the same."""
        return self._embed(self.query_fc, x_BCT)

    def _embed(self, layer: nn.Linear, x_BCT: Tensor) -> Tensor:
        x_BTC = x_BCT.mean(dim=2, keepdim=True).transpose(1, 2) if self.pool == "mean" else x_BCT.transpose(1, 2)
        return 0.5 * F.normalize(layer(x_BTC).float(), dim=-1)

    def forward(
        self, x_visual: Tensor, x_fast: Tensor | None, x_audio: Tensor, encoded: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Embed both modalities.

        Args:
            x_visual: [B, C, T, H, W] features of the pathway that audio is compared with.
            x_fast: [B, C', T', H, W] Fast's features, used where this head has an F->S lateral.
            x_audio: [N, C'', T'', F] audio features, used where this head has an encoder.
            encoded: [N, dim_audio, T] what the stage's audio lateral encoded, used otherwise.

        Returns:
            Visual and audio embeddings [B, T, D], [N, T, D]; T is 1 with pool "mean".
        """
        if self.join_fast is not None:
            x_visual = self.join_fast(x_visual, x_fast)
        if self.encoder is not None:
            encoded = self.encoder(x_audio)
        if encoded is None:
            raise ValueError(
                "a synchronisation head without an encoder needs the audio that the stage's lateral encoded"
            )
        return self.embed_visual(x_visual), self.embed_audio(encoded)


def sync_loss(visual: Tensor, audio: Tensor, negatives: Negatives) -> Tensor:
    """Synchronisation loss of one stage, a scalar.

    Args:
        visual: [B, T, D] embeddings.
        audio: [B + M, T, D] embeddings, hard negatives behind the clips.
        negatives: The negative of each clip.
    """
    return contrastive_loss(visual, audio[: negatives.num_clips], negatives.select(audio), negatives.valid)
