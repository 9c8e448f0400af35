"""Thin layer over torch.distributed that also works in a single process."""

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from .errors import UserError

T = TypeVar("T")

# Gives the context in which features of ranks are exchanged.
_context: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext


def watch_exchanges(context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Run each exchange of features between ranks in a context, which may time it.

    Args:
        context: Gives it.
    """
    global _context
    _context = context


def watched() -> AbstractContextManager[Any]:
    """The context of an exchange of features; none in a compiled graph, which has no room for a clock."""
    return contextlib.nullcontext() if torch.compiler.is_compiling() else _context()


class _Sum(torch.autograd.Function):
    """The sum over ranks; its gradient is the sum of all ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
        ctx.group = group
        total = x.clone(memory_format=torch.contiguous_format)
        with watched():
            dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Sum.apply(gradient, ctx.group), None


class _Gather(torch.autograd.Function):
    """All ranks' tensors; the gradient of each is the sum of what all ranks have for it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(world_size())]
        with watched():
            dist.all_gather(parts, x.contiguous())
        return torch.cat(parts, dim=0)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        with watched():
            dist.all_reduce(total)
        return total.chunk(world_size(), dim=0)[rank()]


def is_distributed() -> bool:
    """True when several processes train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def world_size(group: dist.ProcessGroup | None = None) -> int:
    """Number of ranks.

    Args:
        group: Count those of this group; None means all.
    """
    return dist.get_world_size(group) if is_distributed() else 1


def rank() -> int:
    """This process's number among all, from 0."""
    return dist.get_rank() if is_distributed() else 0


def is_main() -> bool:
    """True on the one rank that writes files and prints."""
    return rank() == 0


def neighbours(size: int) -> dist.ProcessGroup | None:
    """The group of `size` ranks in a row that this rank is in. Called on every rank, in the same order of sizes.

    Args:
        size: A divisor of the number of ranks.

    Returns:
        None in a single process.
    """
    return _neighbours(dist.group.WORLD, size) if is_distributed() else None


@functools.lru_cache
def _neighbours(world: dist.ProcessGroup, size: int) -> dist.ProcessGroup:
    mine: dist.ProcessGroup = world if size == world.size() else dist.new_subgroups(size)[0]
    return mine


def barrier() -> None:
    """Wait for every rank, not for GPUs."""
    all_reduce_max(torch.zeros(1))


def all_reduce_sum(x: torch.Tensor, group: dist.ProcessGroup | None = None) -> torch.Tensor:
    """Sum of a tensor over ranks; gradients flow back to every rank's tensor.

    Args:
        x: The tensor of this rank, of the same shape on all.
        group: Ranks that take part; None means all.
    """
    return _Sum.apply(x, group) if is_distributed() else x


def all_reduce_max(x: torch.Tensor) -> torch.Tensor:
    """The largest value over ranks of each element; on the CPU, without waiting for GPUs.

    Args:
        x: A tensor on the CPU, of the same shape on all ranks; it is changed.
    """
    if is_distributed():
        dist.all_reduce(x, op=dist.ReduceOp.MAX)
    return x


def all_gather_batch(x: torch.Tensor) -> torch.Tensor:
    """Tensors of every rank, concatenated in rank order; gradients flow back.

    Args:
        x: The tensor [B, ...] of this rank, of the same shape on all.

    Returns:
        [ranks x B, ...].
    """
    if not is_distributed():
        return x
    return _Gather.apply(x)


def gather_objects(value: T) -> list[T]:
    """Every rank's value, in rank order, on every rank.

    Args:
        value: Anything that can be pickled.
    """
    if not is_distributed():
        return [value]
    values = [value] * world_size()
    dist.all_gather_object(values, value)
    return values


def broadcast_object(value: T, source: int = 0) -> T:
    """A rank's value, of the main one by default, on every rank.

    Args:
        value: Anything that can be pickled; what other ranks give is not looked at.
        source: The rank.
    """
    if not is_distributed():
        return value
    values: list[Any] = [value if rank() == source else None]
    dist.broadcast_object_list(values, src=source)
    result: T = values[0]
    return result


def on_main(function: Callable[[], T]) -> T:
    """Call a function on the main rank; its result or its error reaches every rank, so that none is left waiting.

    Args:
        function: Gives anything that can be pickled.

    Raises:
        UserError: On the other ranks, where the function raises anything on the main one.
    """
    if not is_distributed():
        return function()
    outcome: tuple[Any, UserError | None] = (None, None)
    caught: Exception | None = None
    if is_main():
        try:
            outcome = (function(), None)
        except Exception as error:
            caught, outcome = error, (None, UserError.like(error))
    result, failure = broadcast_object(outcome)
    if caught is not None:
        raise caught
    if failure is not None:
        raise failure
    found: T = result
    return found
