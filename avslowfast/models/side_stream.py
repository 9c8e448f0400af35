"""Audio in parallel with the visual pathways on a GPU.

They share nothing until a lateral joins them, so their kernels may overlap.
"""

import functools
from contextlib import AbstractContextManager

import torch
from torch import Tensor


@functools.cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


class SideStream:
    """Work on a second CUDA stream.

    Gradients follow: autograd runs each operation's backward on the stream of its forward.

    Args:
        inputs: What the work reads, computed on the current stream.
    """

    def __init__(self, *inputs: Tensor) -> None:
        self._side = _stream(inputs[0].device)
        self._side.wait_stream(torch.cuda.current_stream())
        for x in inputs:
            # Its memory may be used again only when the side stream has read it.
            x.record_stream(self._side)

    def work(self) -> AbstractContextManager[object]:
        """A context in which kernels go to the side stream."""
        return torch.cuda.stream(self._side)

    def join(self, *outputs: Tensor | None) -> None:
        """Let the current stream wait until these tensors are computed.

        Args:
            outputs: What the current stream is about to read.
        """
        torch.cuda.current_stream().wait_stream(self._side)
        for x in outputs:
            if x is not None:
                x.record_stream(torch.cuda.current_stream())


def side_stream(x: Tensor, wanted: bool) -> SideStream | None:
    """A stream for work on a tensor, if one is wanted and possible: on a GPU, but not under torch.compile.

    Args:
        x: The first input of the work.
        wanted: There is other work that may overlap.
    """
    return SideStream(x) if wanted and x.is_cuda and not torch.compiler.is_compiling() else None
