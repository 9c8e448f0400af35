"""F->S, the lateral of SlowFast networks (arXiv 1812.03982)."""

import torch
from torch import nn, Tensor

from ..blocks import conv
from ..norm import NormSpec


class FastToSlow(nn.Module):
    """A time-strided convolution of Fast's features, concatenated to Slow's.

    Args:
        dim_fast: Fast's channels; `ratio` times as many come out.
        ratio: Channels of the lateral over Fast's channels.
        kernel: Temporal kernel, frames.
        alpha: Temporal stride, Fast's frames per Slow frame.
        norm: Makes the batch norm.
        inplace: Apply ReLU in place.

    Attributes:
        dim_out: Channels that are added to Slow's.
    """

    def __init__(
        self, dim_fast: int, ratio: int, kernel: int, alpha: int, norm: NormSpec, inplace: bool = True
    ) -> None:
        super().__init__()
        self.dim_out = dim_fast * ratio
        self.conv_f2s = conv(3, dim_fast, self.dim_out, (kernel, 1, 1), (alpha, 1, 1))
        self.bn = norm(self.dim_out, 3)
        self.relu = nn.ReLU(inplace)

    def forward(self, x_slow: Tensor, x_fast: Tensor) -> Tensor:
        """[B, C, T/alpha, H, W] and [B, D, T, H, W] -> [B, C + ratio D, T/alpha, H, W]."""
        return torch.cat([x_slow, self.relu(self.bn(self.conv_f2s(x_fast)))], dim=1)
