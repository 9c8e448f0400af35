"""Batch normalisation in four kinds: plain, split (sub-BN), synchronised over ranks, frozen."""

from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

import torch
import torch.distributed as dist
from torch import nn, Tensor
from torch.nn import functional as F

from ..utils import distributed

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


def is_batch_norm(module: nn.Module) -> TypeGuard[BatchNorm]:
    """Whether a module is a batch norm of any kind."""
    return isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm))


class _AnyDimBatchNorm(nn.BatchNorm3d):
    """A batch norm of tensors [B, C, ...] of any dimension.

    Weights and running statistics are those of a plain batch norm, so checkpoints are interchangeable.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def by_running_statistics(self, x: Tensor) -> Tensor:
        """Normalise as in testing: [B, C, ...] -> the same shape."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)

    def track(self, mean: Tensor, var: Tensor) -> None:
        """Mix a batch's statistics [C] into the running ones."""
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)


class SubBatchNorm(_AnyDimBatchNorm):
    """Normalises each of `num_splits` parts of the batch by itself (multigrid training, arXiv 1912.00998, section 3.4).

    Args:
        channels: Channels of the tensors.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics.
        num_splits: Parts of the batch.
    """

    def __init__(self, channels: int, eps: float, momentum: float, num_splits: int = 1) -> None:
        super().__init__(channels, eps, momentum)
        self.num_splits = num_splits

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape; in training B is a multiple of `num_splits`.

        Raises:
            ValueError: The batch cannot be split that way.
        """
        if not self.training:
            return self.by_running_statistics(x)
        if len(x) % self.num_splits:
            raise ValueError(
                f"a batch of {len(x)} does not split into BN.NUM_SPLITS {self.num_splits} parts; change one of them"
            )
        with torch.no_grad():
            # Testing normalises by the statistics of the batch as a whole.
            var, mean = torch.var_mean(x, (0, *range(2, x.dim())))
        self.track(mean, var)
        parts = [
            F.batch_norm(part, None, None, self.weight, self.bias, True, 0.0, self.eps)
            for part in x.chunk(self.num_splits)
        ]
        return torch.cat(parts)


class FrozenBatchNorm(_AnyDimBatchNorm):
    """Statistics and affine weights never change; `train()` leaves the layer in eval mode.

    Args:
        channels: Channels of the tensors.
        eps: Added to the variance.
        momentum: Not used; kept so that all kinds are built alike.
    """

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps, momentum)
        self.eval()
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        """The layer stays in eval mode."""
        super().train(False)
        return self

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        return self.by_running_statistics(x)


class CpuSyncBatchNorm(_AnyDimBatchNorm):
    """Statistics over the batches of all ranks in a group.

    torch's layer exists for GPUs alone, and its data-parallel wrapper refuses that layer on a CPU.

    Args:
        channels: Channels of the tensors.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics.
        process_group: Ranks that share statistics; None is all.
    """

    def __init__(
        self, channels: int, eps: float, momentum: float, process_group: dist.ProcessGroup | None = None
    ) -> None:
        super().__init__(channels, eps, momentum)
        self.process_group = process_group

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        if not self.training:
            return self.by_running_statistics(x)
        if distributed.world_size(self.process_group) == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, True, self.momentum, self.eps
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
        self.track(mean.detach(), var.detach() * n / (n - 1))
        y = centred * torch.rsqrt(var + self.eps).view(shape)
        return y * self.weight.view(shape) + self.bias.view(shape)


_PLAIN: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}


@dataclass(frozen=True)
class NormSpec:
    """Makes the batch norms of a network.

    Attributes:
        kind: batchnorm | sub_batchnorm | sync_batchnorm | frozen_batchnorm.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics.
        num_splits: Parts of the batch in sub_batchnorm.
        process_group: Ranks that share statistics in sync_batchnorm; None is all.
        on_gpu: The network will run on GPUs, where sync_batchnorm is another layer.
    """

    kind: str = "batchnorm"
    eps: float = 1e-5
    momentum: float = 0.1
    num_splits: int = 1
    process_group: dist.ProcessGroup | None = None
    on_gpu: bool = False

    def __call__(self, channels: int, dims: int) -> BatchNorm:
        """A batch norm.

        Args:
            channels: Channels of the tensors.
            dims: Their axes of space and time: 1, 2 or 3.
        """
        if self.kind == "sub_batchnorm":
            return SubBatchNorm(channels, self.eps, self.momentum, self.num_splits)
        if self.kind == "frozen_batchnorm":
            return FrozenBatchNorm(channels, self.eps, self.momentum)
        if self.kind == "sync_batchnorm" and self.on_gpu:
            return nn.SyncBatchNorm(channels, self.eps, self.momentum, process_group=self.process_group)
        if self.kind == "sync_batchnorm":
            return CpuSyncBatchNorm(channels, self.eps, self.momentum, self.process_group)
        return _PLAIN[dims](channels, self.eps, self.momentum)
