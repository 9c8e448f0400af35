"""Batch normalisation in four kinds: plain, split (sub-BN), synchronised over ranks, frozen."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from ..utils import distributed


class _SubBatchNormMixin:
    """Normalises each of `num_splits` parts of the batch on its own (multigrid training, arXiv 1912.00998, section 3.4).

    Weights and running statistics are those of a plain batch norm, so checkpoints are interchangeable.
    """

    num_splits = 1

    def forward(self, x):
        """x: [B, C, ...], B a multiple of `num_splits`; returns the same shape."""
        if not self.training:
            return super().forward(x)
        if len(x) % self.num_splits:
            raise ValueError(
                f"a batch of {len(x)} does not split into BN.NUM_SPLITS {self.num_splits} parts; change one of them"
            )
        with torch.no_grad():
            # What testing will normalise by is the statistics of the batch as a whole.
            var, mean = torch.var_mean(x, (0, *range(2, x.dim())))
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)
        parts = [
            F.batch_norm(part, None, None, self.weight, self.bias, True, 0.0, self.eps)
            for part in x.chunk(self.num_splits)
        ]
        return torch.cat(parts)


class _FrozenBatchNormMixin:
    """Statistics and affine weights never change; `train()` leaves the layer in eval mode."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.eval()
        self.requires_grad_(False)

    def train(self, mode=True):
        return super().train(False)


class CpuSyncBatchNorm(nn.BatchNorm3d):
    """Statistics over the batches of all ranks in `process_group`, for tensors of any dimension.

    torch's own layer exists for GPUs alone, and its data-parallel wrapper refuses that layer on a CPU.
    """

    def __init__(self, channels, eps, momentum, process_group=None):
        super().__init__(channels, eps, momentum)
        self.process_group = process_group

    def forward(self, x):
        """x: [B, C, ...]; returns the same shape."""
        if not self.training or distributed.world_size(self.process_group) == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps
            )
        axes = [0, *range(2, x.dim())]
        count = torch.full((1,), x.numel() / x.shape[1], dtype=x.dtype)
        total = distributed.all_reduce_sum(torch.cat([x.sum(axes), count]), self.process_group)
        n = total[-1]
        mean = total[:-1] / n
        shape = (1, -1) + (1,) * (x.dim() - 2)
        centred = x - mean.view(shape)
        # A second collective, because E[x^2] - E[x]^2 loses the small variances of late layers in float32.
        var = distributed.all_reduce_sum(centred.square().sum(axes), self.process_group) / n
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(var.detach() * n / (n - 1), self.momentum)
        y = centred * torch.rsqrt(var + self.eps).view(shape)
        return y * self.weight.view(shape) + self.bias.view(shape)


_PLAIN = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_SUB = {d: type(f"SubBatchNorm{d}d", (_SubBatchNormMixin, base), {}) for d, base in _PLAIN.items()}
_FROZEN = {d: type(f"FrozenBatchNorm{d}d", (_FrozenBatchNormMixin, base), {}) for d, base in _PLAIN.items()}


@dataclass(frozen=True)
class NormSpec:
    """Makes the normalisation layers of a network.

    Attributes:
        kind: batchnorm | sub_batchnorm | sync_batchnorm | frozen_batchnorm.
        eps: added to the variance.
        momentum: weight of the newest batch in the running statistics.
        num_splits: parts of the batch in sub_batchnorm.
        process_group: ranks that share statistics in sync_batchnorm; None is all.
        on_gpu: the network will run on GPUs (sync_batchnorm has another layer there).
    """

    kind: str = "batchnorm"
    eps: float = 1e-5
    momentum: float = 0.1
    num_splits: int = 1
    process_group: object = None
    on_gpu: bool = False

    def __call__(self, channels, dims):
        """A layer over `channels` of a tensor with `dims` axes of space and time."""
        if self.kind == "sync_batchnorm":
            kind = nn.SyncBatchNorm if self.on_gpu else CpuSyncBatchNorm
            return kind(channels, self.eps, self.momentum, process_group=self.process_group)
        kinds = {"batchnorm": _PLAIN, "sub_batchnorm": _SUB, "frozen_batchnorm": _FROZEN}
        layer = kinds[self.kind][dims](channels, eps=self.eps, momentum=self.momentum)
        if self.kind == "sub_batchnorm":
            layer.num_splits = self.num_splits
        return layer
