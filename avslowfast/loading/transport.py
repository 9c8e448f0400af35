"""Objects full of tensors travel between processes through anonymous files in memory.

The receiver maps the file, so that nothing is copied there. Such files need no /dev/shm, which is small in containers,
and end with the processes that use them.
"""

import io
import mmap
import os
import pickle
import tempfile
from collections.abc import Sequence
from typing import Any

import torch

# Tensors begin at multiples of it.
_ALIGNMENT = 64
# Buffers of one system call, at most.
_BUFFERS = 512


class _Pickler(pickle.Pickler):
    """Pickles tensors as arrays, whose memory stays outside the stream."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is torch.Tensor and obj.dtype is not torch.bfloat16:
            return torch.from_numpy, (obj.detach().contiguous().numpy(),)
        return NotImplemented


def pack(content: Any) -> tuple[int, list[int]]:
    """Write an object to an anonymous file.

    Args:
        content: Anything that can be pickled; its tensors are on the CPU.

    Returns:
        (descriptor, which the caller closes; sizes in bytes for `unpack`).

    Raises:
        OSError: The memory does not suffice.
    """
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(content)
    parts = [stream.getbuffer(), *(buffer.raw() for buffer in buffers)]
    descriptor = _anonymous_file()
    try:
        padded: list[memoryview] = []
        for part in parts:
            padded += [part, memoryview(bytes(-part.nbytes % _ALIGNMENT))]
        _write(descriptor, [part for part in padded if part.nbytes])
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, [part.nbytes for part in parts]


def unpack(descriptor: int, sizes: Sequence[int]) -> Any:
    """The object in an anonymous file.

    Args:
        descriptor: Of the file, which may be closed afterwards.
        sizes: What `pack` gave with it.
    """
    memory = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size))
    parts, begin = [], 0
    for size in sizes:
        parts.append(memory[begin : begin + size])
        begin += size + -size % _ALIGNMENT
    return pickle.loads(parts[0], buffers=parts[1:])


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("batch", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as f:
        return os.dup(f.fileno())


def _write(descriptor: int, parts: list[memoryview]) -> None:
    """Write all parts; the system may take fewer bytes at a time than it is given."""
    while parts:
        written = os.writev(descriptor, parts[:_BUFFERS])
        while parts and written >= parts[0].nbytes:
            written -= parts.pop(0).nbytes
        if written:
            parts[0] = parts[0][written:]
