"""Batches on their way to the device while the one before is computed with."""

import torch


def one_ahead(items, send, receive):
    """Pass items on in order; each is sent before the one ahead of it is handed out.

    Args:
        send: called with an item, starts its journey. receive: called with what `send` gave, when it is handed out.
    """
    waiting = None
    for item in items:
        sent = send(item)
        if waiting is not None:
            yield receive(waiting)
        waiting = sent
    if waiting is not None:
        yield receive(waiting)


def prefetched(batches, device):
    """Batches (dicts) with their tensors on a GPU, copied on a stream of its own, one batch ahead; on a CPU as they are.

    Copies run beside the computation where the batches lie in pinned memory (DATA_LOADER.PIN_MEMORY).
    """
    if device.type != "cuda":
        return iter(batches)
    stream = torch.cuda.Stream(device)

    def send(batch):
        with torch.cuda.stream(stream):
            moved = {
                name: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
                for name, value in batch.items()
            }
            return moved, stream.record_event()

    def receive(sent):
        batch, arrived = sent
        current = torch.cuda.current_stream(device)
        current.wait_event(arrived)
        for value in batch.values():
            if isinstance(value, torch.Tensor):
                # Their memory belongs to the copying stream, which must not use it anew before the step has read it.
                value.record_stream(current)
        return batch

    return one_ahead(batches, send, receive)
