"""Stems, residual blocks and stages, in two dimensions (audio: time, frequency) or three (video: time, height, width).

Sources: ResNet (arXiv 1512.03385), SlowFast (arXiv 1812.03982, table 1), Audiovisual SlowFast (arXiv 2001.08740).
Legend: B clips, C D channels, T time steps, H W pixels or cells, F mel bands.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import nn, Tensor
from torch.nn import functional as F

from ..config.names import TRANSFORMS
from .nonlocal_block import NonLocal
from .norm import is_batch_norm, NormSpec

_CONV: dict[int, Callable[..., nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def conv(
    dims: int,
    dim_in: int,
    dim_out: int,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> nn.Module:
    """A convolution without bias that keeps the size at stride 1.

    Args:
        dims: Axes of space and time.
        dim_in: Channels of the input.
        dim_out: Channels of the output.
        kernel: One number, or one per axis.
        stride: One number, or one per axis.
        dilation: One number, or one per axis.
        groups: Groups of channels that are convolved separately.
    """

    def each(value: int | Sequence[int]) -> tuple[int, ...]:
        return (value,) * dims if isinstance(value, int) else tuple(value)

    kernels, strides, dilations = each(kernel), each(stride), each(dilation)
    padding = tuple(d * (k // 2) for k, d in zip(kernels, dilations))
    return _CONV[dims](dim_in, dim_out, kernels, strides, padding, dilations, groups, bias=False)


class Shortcut(nn.Conv3d):
    """The strided 1x1x1 convolution of a video block's shortcut.

    Args:
        dim_in: Channels of the input.
        dim_out: Channels of the output.
        stride: One number per axis.
    """

    def __init__(self, dim_in: int, dim_out: int, stride: tuple[int, int, int]) -> None:
        super().__init__(dim_in, dim_out, 1, stride, bias=False)

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """[B, C, T, H, W] -> [B, D, T, H / stride, W / stride]."""
        if not self.training or x_BCTHW.device.type != "cpu":
            return super().forward(x_BCTHW)
        # oneDNN's gradient also visits the positions that the stride leaves out: a dense convolution over the rest
        # takes half the time.
        t, h, w = self.stride
        return F.conv3d(x_BCTHW[:, :, ::t, ::h, ::w], self.weight)


class VisualStem(nn.Module):
    """Convolution (t x 7 x 7, stride 1 x 2 x 2), batch norm, ReLU, max pooling.

    Args:
        dim_in: Channels of the frames.
        dim_out: Channels of the output.
        temporal_kernel: t.
        norm: Makes the batch norm.
        inplace: Apply ReLU in place.
    """

    def __init__(self, dim_in: int, dim_out: int, temporal_kernel: int, norm: NormSpec, inplace: bool = True) -> None:
        super().__init__()
        self.conv = conv(3, dim_in, dim_out, (temporal_kernel, 7, 7), (1, 2, 2))
        self.bn = norm(dim_out, 3)
        self.relu = nn.ReLU(inplace)
        self.pool = nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1))

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """[B, C, T, H, W] -> [B, D, T, H/4, W/4]."""
        out: Tensor = self.pool(self.relu(self.bn(self.conv(x_BCTHW))))
        return out


class AudioStem(nn.Module):
    """A 9x1 (time) and a 1x9 (frequency) convolution in parallel, summed, batch norm, ReLU.

    Args:
        dim_in: Channels of the spectrogram.
        dim_out: Channels of the output.
        norm: Makes the batch norm.
        inplace: Apply ReLU in place.
    """

    def __init__(self, dim_in: int, dim_out: int, norm: NormSpec, inplace: bool = True) -> None:
        super().__init__()
        self.conv_t = conv(2, dim_in, dim_out, (9, 1))
        self.conv_f = conv(2, dim_in, dim_out, (1, 9))
        self.bn = norm(dim_out, 2)
        self.relu = nn.ReLU(inplace)

    def forward(self, x_BCTF: Tensor) -> Tensor:
        """[B, C, T, F] -> [B, D, T, F]."""
        out: Tensor = self.relu(self.bn(self.conv_t(x_BCTF) + self.conv_f(x_BCTF)))
        return out


@dataclass(frozen=True)
class BlockSpec:
    """Shape of one residual block.

    Attributes:
        dims: 2 for audio, 3 for video.
        dim_in: Channels of the input.
        dim_out: Channels of the output.
        dim_inner: Channels inside.
        stride: Stride of space (video), or of time and frequency (audio).
        temporal_kernel: Temporal kernel of a video block's first convolution.
        dilation: Dilation of the 3x3 convolution.
        groups: Groups of the 3x3 convolution (ResNeXt).
        stride_1x1: The stride is on the first 1x1 convolution, not on the 3x3 one.
        inplace: Apply ReLU in place.
    """

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

    def kernel(self, first: int, rest: int) -> tuple[int, ...]:
        """Kernel with `first` in time and `rest` in space; audio has no separate time axis in ordinary blocks."""
        return (first, rest, rest) if self.dims == 3 else (rest, rest)

    def strides(self, stride: int) -> tuple[int, ...]:
        """Stride (or dilation) per axis: of space (video) or of time and frequency (audio)."""
        return (1, stride, stride) if self.dims == 3 else (stride, stride)

    def split_stride(self) -> tuple[int, int]:
        """Strides of a bottleneck's first 1x1 and of its 3x3 convolution."""
        return (self.stride, 1) if self.stride_1x1 else (1, self.stride)


class Transform(nn.Module):
    """The residual branch of a block: what is added to the shortcut. Subclasses stand in TRANSFORMS.

    Args:
        spec: Shape of the block.
        norm: Makes its batch norms.

    Attributes:
        expansion: Output channels over inner channels.
        final_bn: Name of the last batch norm, which may start at zero.
    """

    expansion: ClassVar[int] = 4
    final_bn: ClassVar[str]

    def __init__(self, spec: BlockSpec, norm: NormSpec) -> None:
        super().__init__()
        self.relu = nn.ReLU(spec.inplace)


class Bottleneck(Transform):
    """Tx1x1, 1x3x3, 1x1x1 convolutions.

    Args:
        spec: Shape of the block.
        norm: Makes its batch norms.
    """

    final_bn = "c_bn"

    def __init__(self, spec: BlockSpec, norm: NormSpec) -> None:
        super().__init__(spec, norm)
        dims, inner = spec.dims, spec.dim_inner
        stride_a, stride_b = spec.split_stride()
        self.a = conv(dims, spec.dim_in, inner, spec.kernel(spec.temporal_kernel, 1), spec.strides(stride_a))
        self.a_bn = norm(inner, dims)
        dilation = spec.strides(spec.dilation)
        self.b = conv(dims, inner, inner, spec.kernel(1, 3), spec.strides(stride_b), dilation, spec.groups)
        self.b_bn = norm(inner, dims)
        self.c = conv(dims, inner, spec.dim_out, 1)
        self.c_bn = norm(spec.dim_out, dims)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] or [B, C, T, F] -> the same axes, `dim_out` channels."""
        x = self.relu(self.a_bn(self.a(x)))
        x = self.relu(self.b_bn(self.b(x)))
        out: Tensor = self.c_bn(self.c(x))
        return out


class Basic(Transform):
    """Tx3x3, 1x3x3 convolutions (depth 18 and 34); the block's output has the stage's inner width, as in ResNet.

    Args:
        spec: Shape of the block.
        norm: Makes its batch norms.
    """

    expansion = 1
    final_bn = "b_bn"

    def __init__(self, spec: BlockSpec, norm: NormSpec) -> None:
        super().__init__(spec, norm)
        dims, inner = spec.dims, spec.dim_inner
        self.a = conv(dims, spec.dim_in, inner, spec.kernel(spec.temporal_kernel, 3), spec.strides(spec.stride))
        self.a_bn = norm(inner, dims)
        self.b = conv(dims, inner, spec.dim_out, spec.kernel(1, 3), 1, spec.strides(spec.dilation))
        self.b_bn = norm(spec.dim_out, dims)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] or [B, C, T, F] -> the same axes, `dim_out` channels."""
        x = self.relu(self.a_bn(self.a(x)))
        out: Tensor = self.b_bn(self.b(x))
        return out


class TimeFrequencyV1(Transform):
    """3x1 (time) and 1x3 (frequency) convolutions in parallel, concatenated, then 1x1 (arXiv 2001.08740).

    Args:
        spec: Shape of the block.
        norm: Makes its batch norms.
    """

    final_bn = "out_bn"

    def __init__(self, spec: BlockSpec, norm: NormSpec) -> None:
        super().__init__(spec, norm)
        inner = spec.dim_inner
        self.t = conv(2, spec.dim_in, inner, (3, 1), spec.stride)
        self.t_bn = norm(inner, 2)
        self.f = conv(2, spec.dim_in, inner, (1, 3), spec.stride)
        self.f_bn = norm(inner, 2)
        self.out = conv(2, 2 * inner, spec.dim_out, 1)
        self.out_bn = norm(spec.dim_out, 2)

    def forward(self, x_BCTF: Tensor) -> Tensor:
        """[B, C, T, F] -> [B, D, T / stride, F / stride]."""
        time = self.relu(self.t_bn(self.t(x_BCTF)))
        frequency = self.relu(self.f_bn(self.f(x_BCTF)))
        out: Tensor = self.out_bn(self.out(torch.cat([time, frequency], dim=1)))
        return out


class TimeFrequencyV2(Transform):
    """1x1, then 3x1 (time) and 1x3 (frequency) convolutions in parallel, summed, then 1x1 (the authors' later block).

    Args:
        spec: Shape of the block.
        norm: Makes its batch norms.
    """

    final_bn = "c_bn"

    def __init__(self, spec: BlockSpec, norm: NormSpec) -> None:
        super().__init__(spec, norm)
        inner = spec.dim_inner
        stride_a, stride_b = spec.split_stride()
        self.a = conv(2, spec.dim_in, inner, 1, stride_a)
        self.a_bn = norm(inner, 2)
        self.b_t = conv(2, inner, inner, (3, 1), stride_b)
        self.b_t_bn = norm(inner, 2)
        self.b_f = conv(2, inner, inner, (1, 3), stride_b)
        self.b_f_bn = norm(inner, 2)
        self.c = conv(2, inner, spec.dim_out, 1)
        self.c_bn = norm(spec.dim_out, 2)

    def forward(self, x_BCTF: Tensor) -> Tensor:
        """[B, C, T, F] -> [B, D, T / stride, F / stride]."""
        x = self.relu(self.a_bn(self.a(x_BCTF)))
        x = self.relu(self.b_t_bn(self.b_t(x))) + self.relu(self.b_f_bn(self.b_f(x)))
        out: Tensor = self.c_bn(self.c(x))
        return out


class ResBlock(nn.Module):
    """ReLU(shortcut + transform); the shortcut is a strided 1x1 convolution where shapes differ.

    Args:
        transform: Kind of the residual branch, an entry of TRANSFORMS.
        spec: Shape of the block.
        norm: Makes its batch norms.
    """

    def __init__(self, transform: str, spec: BlockSpec, norm: NormSpec) -> None:
        super().__init__()
        self.branch1: nn.Module | None = None
        if spec.dim_in != spec.dim_out or spec.stride != 1:
            if spec.dims == 3:
                self.branch1 = Shortcut(spec.dim_in, spec.dim_out, (1, spec.stride, spec.stride))
            else:
                self.branch1 = conv(2, spec.dim_in, spec.dim_out, 1, spec.stride)
            self.branch1_bn = norm(spec.dim_out, spec.dims)
        self.branch2: Transform = TRANSFORMS[transform](spec, norm)
        self.relu = nn.ReLU(spec.inplace)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> [B, D, ...]."""
        shortcut = x if self.branch1 is None else self.branch1_bn(self.branch1(x))
        out: Tensor = self.relu(shortcut + self.branch2(x))
        return out


@dataclass(frozen=True)
class NonLocalSpec:
    """The non-local blocks of one stage.

    Attributes:
        after: Numbers of the residual blocks that one follows; () for none.
        group: Groups of frames that attend among themselves.
        pool: Max pooling (time, height, width) of keys and values.
        kind: dot_product | softmax, see `nonlocal_block.attend`.
    """

    after: tuple[int, ...] = ()
    group: int = 1
    pool: tuple[int, ...] = (1, 2, 2)
    kind: str = "dot_product"


@dataclass(frozen=True)
class StageSpec:
    """One residual stage of one pathway.

    Attributes:
        transform: Kind of its residual branches, an entry of TRANSFORMS.
        num_blocks: Number of its residual blocks.
        block: Shape of the first one; the others have its output as input and stride 1.
        temporal_blocks: The first so many blocks have the temporal kernel of `block`, the others 1.
        nonlocals: Its non-local blocks.
        norm: Makes its batch norms.
    """

    transform: str
    num_blocks: int
    block: BlockSpec
    temporal_blocks: int = 0
    nonlocals: NonLocalSpec = NonLocalSpec()
    norm: NormSpec = field(default_factory=NormSpec)


class ResStage(nn.Module):
    """Residual blocks in a row, some followed by a non-local block; the first has the stage's stride.

    Args:
        spec: The stage.
    """

    def __init__(self, spec: StageSpec) -> None:
        super().__init__()
        first, dim, nonlocals = spec.block, spec.block.dim_out, spec.nonlocals
        self.names: list[str] = []
        for i in range(spec.num_blocks):
            block = first if i == 0 else dataclasses.replace(first, dim_in=dim, stride=1)
            if i >= spec.temporal_blocks:
                block = dataclasses.replace(block, temporal_kernel=1)
            self._append(f"block{i}", ResBlock(spec.transform, block, spec.norm))
            if i in nonlocals.after:
                layer = NonLocal(dim, max(dim // 2, 1), nonlocals.pool, nonlocals.kind, spec.norm, nonlocals.group)
                self._append(f"nonlocal{i}", layer)

    def _append(self, name: str, module: nn.Module) -> None:
        self.add_module(name, module)
        self.names.append(name)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> [B, D, ...]."""
        for name in self.names:
            x = getattr(self, name)(x)
        return x


def init_weights(module: nn.Module, fc_std: float, zero_init_final_bn: bool) -> None:
    """First weights as in PySlowFast: He initialisation (fan out), unit batch norms, small Gaussian classifiers.

    A module whose class has an attribute `starts_at_zero`, a tuple of names, starts with zeros as weights of these
    batch norms.

    Args:
        module: The network; its weights are changed.
        fc_std: Standard deviation of fully connected layers.
        zero_init_final_bn: Start each block's last batch norm at zero (arXiv 1706.02677).
    """
    for m in module.modules():
        if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, std=fc_std)
            nn.init.zeros_(m.bias)
        elif is_batch_norm(m):
            nn.init.ones_(m.weight)
            nn.init.zeros_(m.bias)
    for m in module.modules():
        for name in getattr(m, "starts_at_zero", ()):
            nn.init.zeros_(getattr(m, name).weight)
        if zero_init_final_bn and isinstance(m, ResBlock):
            nn.init.zeros_(getattr(m.branch2, m.branch2.final_bn).weight)
