"""Stems, residual blocks and stages, in two dimensions (audio: time, frequency) or three (video: time, height, width).

Sources: ResNet (arXiv 1512.03385), SlowFast (arXiv 1812.03982, table 1), Audiovisual SlowFast (arXiv 2001.08740, section 3.1).
"""

import functools
from dataclasses import dataclass, field

import torch
from torch import nn
from torch.nn import functional as F

from ..utils.registry import Registry
from .nonlocal_block import NonLocal
from .norm import NormSpec

TRANSFORMS = Registry("TRANSFORMS")

_CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def conv(dims, dim_in, dim_out, kernel, stride=1, dilation=1, groups=1):
    """A convolution without bias that keeps the size at stride 1.

    Args:
        dims: axes of space and time.
        kernel, stride, dilation: one number or one per axis.
    """

    def each(value):
        return tuple(value) if isinstance(value, (tuple, list)) else (value,) * dims

    kernel, stride, dilation = each(kernel), each(stride), each(dilation)
    padding = tuple(d * (k // 2) for k, d in zip(kernel, dilation))
    return _CONV[dims](dim_in, dim_out, kernel, stride, padding, dilation, groups, bias=False)


class Shortcut(nn.Conv3d):
    """The strided 1x1x1 convolution of a video block's shortcut."""

    def __init__(self, dim_in, dim_out, stride):
        super().__init__(dim_in, dim_out, 1, stride, bias=False)

    def forward(self, x_BCTHW):
        """[B, C, T, H, W] -> [B, D, T, H / stride, W / stride]."""
        if not self.training or x_BCTHW.device.type != "cpu":
            return super().forward(x_BCTHW)
        # oneDNN's gradient visits what the stride leaves out as well: a dense convolution over the rest takes half the time.
        t, h, w = self.stride
        return F.conv3d(x_BCTHW[:, :, ::t, ::h, ::w], self.weight)


class VisualStem(nn.Module):
    """Convolution (t x 7 x 7, stride 1 x 2 x 2), normalisation, ReLU, max pooling: [B, C, T, H, W] -> [B, D, T, H/4, W/4]."""

    def __init__(self, dim_in, dim_out, temporal_kernel, norm, inplace=True):
        super().__init__()
        self.conv = conv(3, dim_in, dim_out, (temporal_kernel, 7, 7), (1, 2, 2))
        self.bn = norm(dim_out, 3)
        self.relu = nn.ReLU(inplace)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x_BCTHW):
        return self.pool(self.relu(self.bn(self.conv(x_BCTHW))))


class AudioStem(nn.Module):
    """A 9 x 1 (time) and a 1 x 9 (frequency) convolution, summed, normalisation, ReLU: [B, C, T, F] -> [B, D, T, F]."""

    def __init__(self, dim_in, dim_out, norm, inplace=True):
        super().__init__()
        self.conv_t = conv(2, dim_in, dim_out, (9, 1))
        self.conv_f = conv(2, dim_in, dim_out, (1, 9))
        self.bn = norm(dim_out, 2)
        self.relu = nn.ReLU(inplace)

    def forward(self, x_BCTF):
        return self.relu(self.bn(self.conv_t(x_BCTF) + self.conv_f(x_BCTF)))


@dataclass(frozen=True)
class BlockSpec:
    """Shape of one residual block; `dims` is 2 for audio, 3 for video."""

    dims: int
    dim_in: int
    dim_out: int
    dim_inner: int
    stride: int = 1
    temporal_kernel: int = 1
    dilation: int = 1
    groups: int = 1
    stride_1x1: bool = False
    inplace: bool = True

    def kernel(self, first, rest):
        """Kernel with `first` in time and `rest` in space; audio has no separate time axis in ordinary blocks."""
        return (first, rest, rest) if self.dims == 3 else (rest, rest)

    def strides(self, stride):
        """Stride of space (video) or of time and frequency (audio)."""
        return (1, stride, stride) if self.dims == 3 else (stride, stride)


@TRANSFORMS.register("bottleneck_transform")
class Bottleneck(nn.Module):
    """Tx1x1, 1x3x3, 1x1x1 convolutions."""

    expansion = 4

    def __init__(self, spec, norm):
        super().__init__()
        s1, s3 = (spec.stride, 1) if spec.stride_1x1 else (1, spec.stride)
        self.a = conv(spec.dims, spec.dim_in, spec.dim_inner, spec.kernel(spec.temporal_kernel, 1), spec.strides(s1))
        self.a_bn = norm(spec.dim_inner, spec.dims)
        self.b = conv(
            spec.dims,
            spec.dim_inner,
            spec.dim_inner,
            spec.kernel(1, 3),
            spec.strides(s3),
            spec.strides(spec.dilation),
            spec.groups,
        )
        self.b_bn = norm(spec.dim_inner, spec.dims)
        self.c = conv(spec.dims, spec.dim_inner, spec.dim_out, 1)
        self.c_bn = norm(spec.dim_out, spec.dims)
        self.relu = nn.ReLU(spec.inplace)
        self.final_bn = "c_bn"

    def forward(self, x):
        x = self.relu(self.a_bn(self.a(x)))
        x = self.relu(self.b_bn(self.b(x)))
        return self.c_bn(self.c(x))


@TRANSFORMS.register("basic_transform")
class Basic(nn.Module):
    """Tx3x3, 1x3x3 convolutions (depth 18 and 34); the block's output has the stage's inner width, as in ResNet."""

    expansion = 1

    def __init__(self, spec, norm):
        super().__init__()
        self.a = conv(
            spec.dims, spec.dim_in, spec.dim_inner, spec.kernel(spec.temporal_kernel, 3), spec.strides(spec.stride)
        )
        self.a_bn = norm(spec.dim_inner, spec.dims)
        self.b = conv(spec.dims, spec.dim_inner, spec.dim_out, spec.kernel(1, 3), 1, spec.strides(spec.dilation))
        self.b_bn = norm(spec.dim_out, spec.dims)
        self.relu = nn.ReLU(spec.inplace)
        self.final_bn = "b_bn"

    def forward(self, x):
        x = self.relu(self.a_bn(self.a(x)))
        return self.b_bn(self.b(x))


@TRANSFORMS.register("tf_bottleneck_transform_v1")
class TimeFrequencyV1(nn.Module):
    """3x1 (time) and 1x3 (frequency) convolutions side by side, concatenated, then 1x1 (arXiv 2001.08740, section 3.1)."""

    def __init__(self, spec, norm):
        super().__init__()
        self.t = conv(2, spec.dim_in, spec.dim_inner, (3, 1), spec.stride)
        self.t_bn = norm(spec.dim_inner, 2)
        self.f = conv(2, spec.dim_in, spec.dim_inner, (1, 3), spec.stride)
        self.f_bn = norm(spec.dim_inner, 2)
        self.out = conv(2, 2 * spec.dim_inner, spec.dim_out, 1)
        self.out_bn = norm(spec.dim_out, 2)
        self.relu = nn.ReLU(spec.inplace)
        self.final_bn = "out_bn"

    def forward(self, x_BCTF):
        time = self.relu(self.t_bn(self.t(x_BCTF)))
        freq = self.relu(self.f_bn(self.f(x_BCTF)))
        return self.out_bn(self.out(torch.cat([time, freq], dim=1)))


@TRANSFORMS.register("tf_bottleneck_transform_v2")
class TimeFrequencyV2(nn.Module):
    """1x1, then 3x1 (time) and 1x3 (frequency) convolutions side by side, summed, then 1x1."""

    def __init__(self, spec, norm):
        super().__init__()
        s1, s3 = (spec.stride, 1) if spec.stride_1x1 else (1, spec.stride)
        self.a = conv(2, spec.dim_in, spec.dim_inner, 1, s1)
        self.a_bn = norm(spec.dim_inner, 2)
        self.b_t = conv(2, spec.dim_inner, spec.dim_inner, (3, 1), s3)
        self.b_t_bn = norm(spec.dim_inner, 2)
        self.b_f = conv(2, spec.dim_inner, spec.dim_inner, (1, 3), s3)
        self.b_f_bn = norm(spec.dim_inner, 2)
        self.c = conv(2, spec.dim_inner, spec.dim_out, 1)
        self.c_bn = norm(spec.dim_out, 2)
        self.relu = nn.ReLU(spec.inplace)
        self.final_bn = "c_bn"

    def forward(self, x_BCTF):
        x = self.relu(self.a_bn(self.a(x_BCTF)))
        x = self.relu(self.b_t_bn(self.b_t(x))) + self.relu(self.b_f_bn(self.b_f(x)))
        return self.c_bn(self.c(x))


class ResBlock(nn.Module):
    """ReLU(shortcut + transform); the shortcut is a strided 1x1 convolution where shapes differ."""

    def __init__(self, transform, spec, norm):
        super().__init__()
        if spec.dim_in != spec.dim_out or spec.stride != 1:
            shortcut = Shortcut if spec.dims == 3 else functools.partial(conv, 2, kernel=1)
            self.branch1 = shortcut(spec.dim_in, spec.dim_out, stride=spec.strides(spec.stride))
            self.branch1_bn = norm(spec.dim_out, spec.dims)
        else:
            self.branch1 = None
        self.branch2 = TRANSFORMS[transform](spec, norm)
        self.relu = nn.ReLU(spec.inplace)

    def forward(self, x):
        shortcut = x if self.branch1 is None else self.branch1_bn(self.branch1(x))
        return self.relu(shortcut + self.branch2(x))


@dataclass(frozen=True)
class StageSpec:
    """One residual stage of one pathway.

    Attributes:
        temporal_blocks: the first so many blocks have `temporal_kernel`, the rest 1.
        nonlocal_after: blocks followed by a non-local block; `nonlocal_group`, `nonlocal_pool`, `nonlocal_kind` describe it.
    """

    transform: str
    num_blocks: int
    block: BlockSpec
    temporal_blocks: int = 0
    nonlocal_after: tuple = ()
    nonlocal_group: int = 1
    nonlocal_pool: tuple = (1, 2, 2)
    nonlocal_kind: str = "dot_product"
    norm: NormSpec = field(default_factory=NormSpec)


class ResStage(nn.Module):
    """Residual blocks in a row, some followed by a non-local block; the first has the stage's stride."""

    def __init__(self, spec):
        super().__init__()
        first = spec.block
        self.names = []
        for i in range(spec.num_blocks):
            kernel = first.temporal_kernel if i < spec.temporal_blocks else 1
            changes = {"temporal_kernel": kernel}
            if i > 0:
                changes.update(dim_in=first.dim_out, stride=1)
            self._add(f"block{i}", ResBlock(spec.transform, BlockSpec(**{**first.__dict__, **changes}), spec.norm))
            if i in spec.nonlocal_after:
                layer = NonLocal(
                    first.dim_out,
                    first.dim_out // 2,
                    spec.nonlocal_pool,
                    spec.nonlocal_kind,
                    spec.norm,
                    spec.nonlocal_group,
                )
                self._add(f"nonlocal{i}", layer)

    def _add(self, name, module):
        self.add_module(name, module)
        self.names.append(name)

    def forward(self, x):
        for name in self.names:
            x = getattr(self, name)(x)
        return x


def init_weights(module, fc_std, zero_init_final_bn):
    """First weights as in PySlowFast: He initialisation (fan out), unit batch norms, small Gaussian classifiers.

    Args:
        fc_std: standard deviation of fully connected layers.
        zero_init_final_bn: start each block's last batch norm at zero (arXiv 1706.02677).
    """
    for m in module.modules():
        if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=fc_std)
            nn.init.zeros_(m.bias)
        elif isinstance(m, nn.modules.batchnorm._BatchNorm):
            nn.init.zeros_(m.weight) if getattr(m, "starts_at_zero", False) else nn.init.ones_(m.weight)
            nn.init.zeros_(m.bias)
    if zero_init_final_bn:
        for m in module.modules():
            if isinstance(m, ResBlock):
                nn.init.zeros_(getattr(m.branch2, m.branch2.final_bn).weight)
