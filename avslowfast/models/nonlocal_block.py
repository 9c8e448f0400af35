"""Non-local attention: the visual block (arXiv 1711.07971) and the audiovisual lateral's core (arXiv 2001.08740, section 3.2)."""

import torch
from torch import nn


def attend(query_BCN, key_BCM, value_BCM, kind):
    """What each of N queries gathers from M positions: [B, C, N].

    Args:
        kind: dot_product (affinities divided by M) | softmax (scaled by 1/sqrt(C), softmax over M).
    """
    affinity_BNM = torch.einsum("bcn,bcm->bnm", query_BCN, key_BCM)
    if kind == "softmax":
        affinity_BNM = (affinity_BNM * query_BCN.shape[1] ** -0.5).softmax(dim=2)
    else:
        affinity_BNM = affinity_BNM / affinity_BNM.shape[2]
    return torch.einsum("bnm,bcm->bcn", affinity_BNM, value_BCM)


class NonLocal(nn.Module):
    """x + BN(conv(attention(x))) over all positions; the last batch norm starts at zero, so the block starts as identity.

    Args:
        dim, dim_inner: channels of the input and inside.
        pool: max pooling (time, height, width) of keys and values.
        kind: see `attend`.
        group: the frames are cut into so many groups that attend among themselves.
    """

    def __init__(self, dim, dim_inner, pool, kind, norm, group=1):
        super().__init__()
        self.kind, self.group = kind, group
        self.conv_theta = nn.Conv3d(dim, dim_inner, 1)
        self.conv_phi = nn.Conv3d(dim, dim_inner, 1)
        self.conv_g = nn.Conv3d(dim, dim_inner, 1)
        self.conv_out = nn.Conv3d(dim_inner, dim, 1)
        self.bn = norm(dim, 3)
        self.bn.starts_at_zero = True
        self.pool = nn.MaxPool3d(tuple(pool), tuple(pool)) if any(p > 1 for p in pool) else nn.Identity()

    def forward(self, x_BCTHW):
        """[B, C, T, H, W] -> the same shape."""
        b, c, t, h, w = x_BCTHW.shape
        x = x_BCTHW
        if self.group > 1:
            # Each group of frames becomes a clip of its own.
            x = x.transpose(1, 2).reshape(b * self.group, t // self.group, c, h, w).transpose(1, 2)
        theta = self.conv_theta(x)
        pooled = self.pool(x)
        y = attend(theta.flatten(2), self.conv_phi(pooled).flatten(2), self.conv_g(pooled).flatten(2), self.kind)
        y = self.bn(self.conv_out(y.view_as(theta)))
        x = x + y
        if self.group > 1:
            x = x.transpose(1, 2).reshape(b, t, c, h, w).transpose(1, 2)
        return x
