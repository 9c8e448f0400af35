"""Non-local attention: the visual block, and the core of the audiovisual lateral.

Sources: arXiv 1711.07971; arXiv 2001.08740.
Legend: B clips, C channels, N queries, M positions, T frames, H W cells.
"""

from collections.abc import Sequence

import torch
from torch import nn, Tensor

from .norm import NormSpec


def attend(query_BCN: Tensor, key_BCM: Tensor, value_BCM: Tensor, kind: str) -> Tensor:
    """What each of N queries gathers from M positions.

    Args:
        query_BCN: [B, C, N].
        key_BCM: [B, C, M].
        value_BCM: [B, C, M].
        kind: dot_product (affinities divided by M) | softmax (scaled by 1 / sqrt(C), softmax over M).

    Returns:
        [B, C, N].
    """
    affinity_BNM = torch.einsum("bcn,bcm->bnm", query_BCN, key_BCM)
    if kind == "softmax":
        affinity_BNM = (affinity_BNM * query_BCN.shape[1] ** -0.5).softmax(dim=2)
    else:
        affinity_BNM = affinity_BNM / affinity_BNM.shape[2]
    return torch.einsum("bnm,bcm->bcn", affinity_BNM, value_BCM)


class NonLocal(nn.Module):
    """x + BN(conv(attention(x))) over all positions.

    The last batch norm starts at zero, so the block starts as the identity.

    Args:
        dim: Channels of the input.
        dim_inner: Channels of queries, keys and values.
        pool: Max pooling (time, height, width) of keys and values.
        kind: How affinities are normalised, see `attend`.
        norm: Makes the batch norm.
        group: Number of groups into which the frames are divided; only frames of one group attend to each other.
    """

    starts_at_zero = ("bn",)

    def __init__(
        self, dim: int, dim_inner: int, pool: Sequence[int], kind: str, norm: NormSpec, group: int = 1
    ) -> None:
        super().__init__()
        self.kind, self.group = kind, group
        self.conv_theta = nn.Conv3d(dim, dim_inner, 1)
        self.conv_phi = nn.Conv3d(dim, dim_inner, 1)
        self.conv_g = nn.Conv3d(dim, dim_inner, 1)
        self.conv_out = nn.Conv3d(dim_inner, dim, 1)
        self.bn = norm(dim, 3)
        t, h, w = pool
        self.pool: nn.Module = nn.MaxPool3d((t, h, w), (t, h, w)) if max(pool) > 1 else nn.Identity()

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """[B, C, T, H, W] -> the same shape."""
        b, c, t, h, w = x_BCTHW.shape
        x = x_BCTHW
        if self.group > 1:
            # Each group of frames becomes a clip.
            x = x.transpose(1, 2).reshape(b * self.group, t // self.group, c, h, w).transpose(1, 2)
        theta = self.conv_theta(x)
        pooled = self.pool(x)
        y = attend(theta.flatten(2), self.conv_phi(pooled).flatten(2), self.conv_g(pooled).flatten(2), self.kind)
        y = self.bn(self.conv_out(y.view_as(theta)))
        x = x + y
        if self.group > 1:
            x = x.transpose(1, 2).reshape(b, t, c, h, w).transpose(1, 2)
        return x
