"""Lateral connections between pathways (arXiv 2001.08740, section 3.2; F->S: arXiv 1812.03982, section 3.4).

An audio lateral has two halves. `encode` turns audio features into a sequence that knows nothing of the picture; the
synchronisation loss compares it with visual features. `fuse` adds it to the visual pathway named by `target`.
"""

import torch
from torch import nn

from ..utils.registry import Registry
from .blocks import conv
from .nonlocal_block import attend

LATERALS = Registry("LATERALS")


def keep_clips_with_sound(x, audio_mask):
    """Zeros for the clips without sound. Selecting, not multiplying: a NaN in a silent clip's features does not survive.

    Args:
        x: [B, ...]; audio_mask: [B] bool or None (every clip has sound).
    """
    if audio_mask is None:
        return x
    return torch.where(audio_mask.view(-1, *[1] * (x.dim() - 1)), x, torch.zeros((), dtype=x.dtype, device=x.device))


class FastToSlow(nn.Module):
    """Time-strided convolution of Fast's features, concatenated to Slow's.

    Args:
        dim_fast: Fast's channels; `ratio` times as many come out.
        kernel: temporal kernel, frames.
        alpha: temporal stride, Fast's frames per Slow frame.
    """

    def __init__(self, dim_fast, ratio, kernel, alpha, norm, inplace=True):
        super().__init__()
        self.dim_out = dim_fast * ratio
        self.conv_f2s = conv(3, dim_fast, self.dim_out, (kernel, 1, 1), (alpha, 1, 1))
        self.bn = norm(self.dim_out, 3)
        self.relu = nn.ReLU(inplace)

    def forward(self, x_slow, x_fast):
        """[B, C, T/alpha, H, W], [B, D, T, H, W] -> [B, C + ratio D, T/alpha, H, W]."""
        return torch.cat([x_slow, self.relu(self.bn(self.conv_f2s(x_fast)))], dim=1)


class AudioEncoder(nn.Module):
    """Mean over frequency, then convolutions over time, the last one strided: [B, C, T, F] -> [B, dim_out, T / stride].

    Args:
        dim_inner: channels between the convolutions.
        kernel: kernel of each convolution, spectrogram steps.
        stride: audio steps per step of the visual pathway that is joined.
        num_convs: convolutions in the row.
    """

    def __init__(self, dim_audio, dim_inner, dim_out, kernel, stride, num_convs, norm, inplace=True):
        super().__init__()
        dims = [dim_audio, *[dim_inner] * (num_convs - 1), dim_out]
        for i in range(num_convs):
            self.add_module(f"conv{i}", conv(1, dims[i], dims[i + 1], kernel, stride if i == num_convs - 1 else 1))
            self.add_module(f"bn{i}", norm(dims[i + 1], 1))
        self.num_convs = num_convs
        self.relu = nn.ReLU(inplace)
        self.dim_out = dim_out

    def forward(self, x_BCTF):
        x = x_BCTF.mean(dim=3)
        for i in range(self.num_convs):
            x = self.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        return x


class _AddedAudio(nn.Module):
    """Audio brought to the time and channels of a visual pathway, added at every position."""

    target = "slow"

    def __init__(self, *, dim_audio, dim_visual, dim_inner, kernel, stride, num_convs, norm, inplace=True, **_):
        super().__init__()
        self.encode = AudioEncoder(dim_audio, dim_inner, dim_visual, kernel, stride, num_convs, norm, inplace)
        self.dim_encoded, self.dim_visual = dim_visual, dim_visual

    def fuse(self, x_visual, encoded, audio_mask=None):
        """[B, C, T, H, W] + [B, C, T] at every position; silent clips stay as they are."""
        if encoded.shape[2] != x_visual.shape[2]:
            raise ValueError(
                f"audio reaches the lateral with {encoded.shape[2]} time steps but {self.target} has {x_visual.shape[2]}: "
                "the spectrogram's length does not go with the number of frames (DATA.AUDIO_FRAME_NUM = SLOWFAST.AU_ALPHA x Slow's frames)"
            )
        return x_visual + keep_clips_with_sound(encoded, audio_mask)[..., None, None]


@LATERALS.register("a2fs")
class AudioToFastSlow(_AddedAudio):
    """A->FS, the paper's default: audio is added to Slow after Fast has joined it."""

    target = "slow"


@LATERALS.register("a2f2s")
class AudioToFastToSlow(_AddedAudio):
    """A->F->S: audio is added to Fast, which then joins Slow."""

    target = "fast"


@LATERALS.register("av_nonlocal")
class AudiovisualNonLocal(nn.Module):
    """Audio steps query the visual positions (T, H, W); what they gather is aligned to Slow's time and added to Slow.

    The last batch norm starts at zero, so that at first the visual pathway is undisturbed.

    Args:
        stride: audio steps per Slow step.
        kind: see `attend`.
    """

    target = "slow"

    def __init__(self, *, dim_audio, dim_visual, stride, norm, kind="softmax", **_):
        super().__init__()
        inner = max(dim_audio // 2, 1)
        self.query = nn.Conv1d(dim_audio, inner, 1)
        self.key = nn.Conv3d(dim_visual, inner, 1)
        self.value = nn.Conv3d(dim_visual, inner, 1)
        self.align = nn.AvgPool1d(stride, stride)
        self.out = nn.Conv1d(inner, dim_visual, 1)
        self.bn = norm(dim_visual, 1)
        self.bn.starts_at_zero = True
        self.pool = nn.MaxPool3d((1, 2, 2), (1, 2, 2), ceil_mode=True)
        self.kind = kind
        self.dim_encoded, self.dim_visual = inner, dim_visual

    def encode(self, x_BCTF):
        """[B, C, T, F] -> queries [B, C/2, T]."""
        return self.query(x_BCTF.mean(dim=3))

    def fuse(self, x_visual, encoded, audio_mask=None):
        """[B, C, T, H, W] and queries [B, D, T_audio] -> [B, C, T, H, W]."""
        pooled = self.pool(x_visual)
        gathered = attend(encoded, self.key(pooled).flatten(2), self.value(pooled).flatten(2), self.kind)
        added = self.bn(self.out(self.align(gathered)))
        return x_visual + keep_clips_with_sound(added, audio_mask)[..., None, None]
