"""Batches that travel to the device while the one before is computed with."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from ..tasks.base import Batch

Item = TypeVar("Item")
Sent = TypeVar("Sent")
Received = TypeVar("Received")


def one_ahead(
    items: Iterable[Item], send: Callable[[Item], Sent], receive: Callable[[Sent], Received]
) -> Iterator[Received]:
    """Pass items on in order; each is sent before its predecessor is handed out.

    Args:
        items: What is passed on.
        send: Called with an item; starts its transfer.
        receive: Called with what `send` gave, when the item is handed out.
    """
    waiting: list[Sent] = []
    for item in items:
        waiting.append(send(item))
        if len(waiting) > 1:
            yield receive(waiting.pop(0))
    for sent in waiting:
        yield receive(sent)


def prefetched(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Batches with their tensors on a GPU, copied on a separate stream, one batch ahead; on a CPU as they are.

    Copies run in parallel with the computation where the batches lie in pinned memory (DATA_LOADER.PIN_MEMORY).

    Args:
        batches: Dictionaries of tensors and anything else.
        device: Where the tensors go.
    """
    if device.type != "cuda":
        return iter(batches)
    stream = torch.cuda.Stream(device)

    def send(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        with torch.cuda.stream(stream):
            moved = {
                name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
                for name, value in batch.items()
            }
            return moved, stream.record_event()

    def receive(sent: tuple[Batch, torch.cuda.Event]) -> Batch:
        batch, arrived = sent
        current = torch.cuda.current_stream(device)
        current.wait_event(arrived)
        for value in batch.values():
            if isinstance(value, torch.Tensor):
                # The memory belongs to the copying stream, which must not reuse it before the step has read it.
                value.record_stream(current)
        return batch

    return one_ahead(batches, send, receive)
