"""Batch normalisation in four kinds: plain, split (sub-BN), synchronised over ranks, frozen; and one that changes."""

from dataclasses import dataclass
from typing import Any, TypeAlias, TypeGuard

import torch
import torch.distributed as dist
from torch import nn, Tensor
from torch.nn import functional as F

from ..config.multigrid import NormParts
from ..utils import distributed

BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


def is_batch_norm(module: nn.Module) -> TypeGuard[BatchNorm]:
    """Whether a module is a batch norm of any kind."""
    return isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm))


class _AnyDimBatchNorm(nn.BatchNorm3d):
    """A batch norm of tensors [B, C, ...] of any dimension.

    It has the weights and running statistics of a plain batch norm, so checkpoints are interchangeable.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def by_running_statistics(self, x: Tensor) -> Tensor:
        """Normalise as in testing: [B, C, ...] -> the same shape."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)

    def over_parts(self, x: Tensor, n: int, mean: Tensor, var: Tensor) -> Tensor:
        """Normalise each of `n` parts of the batch by itself; clip k belongs to part k modulo n.

        Args:
            x: [B, C, ...].
            n: Number of parts.
            mean: Running means of the parts, [n, C], into which those of the batch are mixed.
            var: Their running variances, likewise.
        """
        if len(x) % n:
            # As hard negatives of some clips alone make them.
            y = torch.empty_like(x)
            for i in range(n):
                y[i::n] = F.batch_norm(x[i::n], mean[i], var[i], self.weight, self.bias, True, self.momentum, self.eps)
            return y
        # The channels of `n` clips in a row become those of one clip.
        parts = x.reshape(len(x) // n, n * x.shape[1], *x.shape[2:])
        weight, bias = self.weight.repeat(n), self.bias.repeat(n)
        y = F.batch_norm(parts, mean.view(-1), var.view(-1), weight, bias, True, self.momentum, self.eps)
        return y.reshape(x.shape)

    def over_ranks(self, x: Tensor, group: dist.ProcessGroup | None) -> Tensor:
        """Normalise by the statistics of the batches of all ranks in a group; None is all ranks.

        They are computed in float32 at least.
        """
        axes = [0, *range(2, x.dim())]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = wide.new_full((1,), x.numel() / x.shape[1])
        total = distributed.all_reduce_sum(torch.cat([wide.sum(axes), count]), group)
        n = total[-1]
        mean = total[:-1] / n
        shape = (1, -1) + (1,) * (x.dim() - 2)
        centred = wide - mean.view(shape)
        # A second collective, because E[x^2] - E[x]^2 loses the small variances of late layers in float32.
        var = distributed.all_reduce_sum(centred.square().sum(axes), group) / n
        self.track(mean.detach(), var.detach() * n / (n - 1))
        y = centred * torch.rsqrt(var + self.eps).view(shape)
        return (y * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    def track(self, mean: Tensor, var: Tensor) -> None:
        """Mix a batch's statistics [C] into the running ones."""
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            self.running_var.lerp_(var.to(self.running_var.dtype), self.momentum)


class SubBatchNorm(_AnyDimBatchNorm):
    """Normalises each of `num_splits` parts of the batch by itself (multigrid training, arXiv 1912.00998).

    Clip k belongs to part k modulo `num_splits`, as in PySlowFast. Each part has running statistics of its own; those
    that testing uses are of all parts together: the mean of their means, and the mean of their variances plus the
    variance of their means.

    Args:
        channels: Channels of the tensors.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics.
        num_splits: Parts of the batch.
    """

    split_mean: Tensor
    split_var: Tensor

    def __init__(self, channels: int, eps: float, momentum: float, num_splits: int = 1) -> None:
        super().__init__(channels, eps, momentum)
        self.num_splits = num_splits
        self.register_buffer("split_mean", torch.zeros(num_splits, channels))
        self.register_buffer("split_var", torch.ones(num_splits, channels))
        self.register_load_state_dict_pre_hook(_with_splits)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape; in training B is at least `num_splits`.

        Raises:
            ValueError: There are fewer clips than parts.
        """
        if not self.training:
            return self.by_running_statistics(x)
        if len(x) < self.num_splits:
            raise ValueError(
                f"a batch of {len(x)} does not split into BN.NUM_SPLITS {self.num_splits} parts; change one of them"
            )
        y = self.over_parts(x, self.num_splits, self.split_mean, self.split_var)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            spread, mean = torch.var_mean(self.split_mean, 0, correction=0)
            self.running_mean.copy_(mean)
            self.running_var.copy_(self.split_var.mean(0) + spread)
        return y

    def forget_splits(self) -> None:
        """Give each part the statistics of all, as where these come from a plain batch norm."""
        self.split_mean.copy_(self.running_mean)
        self.split_var.copy_(self.running_var)


def _with_splits(module: SubBatchNorm, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """Complete the state of a plain batch norm that is about to be loaded."""
    for name in ("mean", "var"):
        whole = state.get(f"{prefix}running_{name}")
        if whole is not None:
            state.setdefault(f"{prefix}split_{name}", whole.expand(module.num_splits, -1))


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
        return self.over_ranks(x, self.process_group)


class MultigridBatchNorm(_AnyDimBatchNorm):
    """Takes its statistics over parts of the batch, the batch, or the batches of several ranks, as its shape asks.

    The running statistics are those that a part has on average. It has the weights and statistics of a plain batch norm
    in every shape, so that a training can be resumed by another number of ranks.

    Args:
        channels: Channels of the tensors.
        eps: Added to the variance.
        momentum: Weight of the newest batch in the running statistics.

    Attributes:
        splits: Parts of the batch; fewer where it has fewer clips.
        process_group: Ranks that share statistics; None where none do.
    """

    def __init__(self, channels: int, eps: float, momentum: float) -> None:
        super().__init__(channels, eps, momentum)
        self.splits = 1
        self.process_group: dist.ProcessGroup | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, ...] -> the same shape."""
        if not self.training:
            return self.by_running_statistics(x)
        if self.process_group is not None:
            return self.over_ranks(x, self.process_group)
        n = min(self.splits, len(x))
        mean, var = self.running_mean.repeat(n, 1), self.running_var.repeat(n, 1)
        y = self.over_parts(x, n, mean, var)
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.copy_(mean.mean(0))
            self.running_var.copy_(var.mean(0))
        return y


def set_parts(model: nn.Module, parts: NormParts) -> bool:
    """Adapt the batch norms of a network to a shape of multigrid. Called on every rank.

    Args:
        model: The network.
        parts: Over which clips statistics are taken.

    Returns:
        False for a network without `MultigridBatchNorm`, which stays as it is.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, MultigridBatchNorm)]
    if layers:
        group = distributed.neighbours(parts.sync_devices) if parts.sync_devices > 1 else None
        for layer in layers:
            layer.splits, layer.process_group = parts.splits, group
    return bool(layers)


_PLAIN: dict[int, type[nn.BatchNorm1d] | type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {
    1: nn.BatchNorm1d,
    2: nn.BatchNorm2d,
    3: nn.BatchNorm3d,
}


@dataclass(frozen=True)
class NormSpec:
    """Makes the batch norms of a network.

    Attributes:
        kind: batchnorm | sub_batchnorm | sync_batchnorm | frozen_batchnorm | multigrid (see `MultigridBatchNorm`).
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
        if self.kind == "multigrid":
            return MultigridBatchNorm(channels, self.eps, self.momentum)
        if self.kind == "frozen_batchnorm":
            return FrozenBatchNorm(channels, self.eps, self.momentum)
        if self.kind == "sync_batchnorm" and self.on_gpu:
            return nn.SyncBatchNorm(channels, self.eps, self.momentum, process_group=self.process_group)
        if self.kind == "sync_batchnorm":
            return CpuSyncBatchNorm(channels, self.eps, self.momentum, self.process_group)
        return _PLAIN[dims](channels, self.eps, self.momentum)
