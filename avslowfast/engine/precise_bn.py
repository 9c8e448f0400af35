"""Precise batch norm: running statistics recomputed with fixed weights (arXiv 2105.07576)."""

from collections.abc import Iterable
from typing import Any

import torch
from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats
from torch import nn

from ..models.norm import SubBatchNorm
from ..tasks.base import Inputs, Task
from ..utils import distributed


class _AsEvaluated(nn.Module):
    """A network that runs as evaluation runs it."""

    def __init__(self, model: nn.Module, task: Task[Any]) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, inputs: Inputs) -> dict[str, Any]:
        return self.task.forward_as_evaluated(self.model, inputs)


def precise_bn(model: nn.Module, task: Task[Any], batches: Iterable[Inputs], num_batches: int) -> None:
    """Replace running statistics by averages over batches and ranks; weights and random state stay.

    Args:
        model: The network, in training mode.
        task: Runs it as evaluation does.
        batches: Inputs of the network, at least `num_batches` of them.
        num_batches: Batches to average over.
    """
    # What evaluation does not run keeps its statistics.
    idle = [getattr(model, name) for name in task.idle_in_evaluation]
    for part in idle:
        part.eval()
    layers = get_bn_modules(model)
    if not layers:
        return
    buffers = [(layer.running_mean, layer.running_var) for layer in layers]
    with torch.random.fork_rng(devices=[layers[0].weight.device] if layers[0].weight.is_cuda else []):
        update_bn_stats(_AsEvaluated(model, task), batches, num_batches)
    for part in idle:
        part.train()
    for layer, old in zip(layers, buffers):
        for name, buffer in zip(("running_mean", "running_var"), old):
            # fvcore puts new tensors in place of the buffers; data-parallel wrappers keep references to the old ones.
            new = getattr(layer, name)
            buffer.copy_(distributed.all_reduce_sum(new.contiguous()) / distributed.world_size())
            setattr(layer, name, buffer)
        if isinstance(layer, SubBatchNorm):
            layer.forget_splits()
