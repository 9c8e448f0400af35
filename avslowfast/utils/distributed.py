"""Thin layer over torch.distributed that also works in a single process."""

import torch
import torch.distributed as dist
from torch.distributed.nn.functional import all_gather as _all_gather_with_grad
from torch.distributed.nn.functional import all_reduce as _all_reduce_with_grad


def is_distributed():
    """True when several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def world_size(group=None):
    """Number of ranks (in `group`)."""
    return dist.get_world_size(group) if is_distributed() else 1


def rank():
    """This process's number, from 0."""
    return dist.get_rank() if is_distributed() else 0


def is_main():
    """True on the one rank that writes files and prints."""
    return rank() == 0


def barrier():
    """Wait for every rank."""
    if is_distributed():
        dist.barrier()


def all_reduce_sum(x, group=None):
    """Sum of a tensor over ranks; gradients flow back to every rank's tensor."""
    return _all_reduce_with_grad(x, group=group) if is_distributed() else x


def all_gather_batch(x):
    """Tensors [B, ...] of every rank, in rank order, as one [sum of B, ...]; gradients flow back.

    Every rank must hold the same shape.
    """
    if not is_distributed():
        return x
    if x.requires_grad:
        return torch.cat(_all_gather_with_grad(x.contiguous()), dim=0)
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts, dim=0)


def gather_objects(value):
    """A list with every rank's picklable value, in rank order (on every rank)."""
    if not is_distributed():
        return [value]
    values = [None] * world_size()
    dist.all_gather_object(values, value)
    return values
