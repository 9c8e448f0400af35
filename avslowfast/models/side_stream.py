"""Audio beside the pictures on a GPU: the two pathways share nothing until a lateral joins them, so their kernels may run at the same time."""

import contextlib
import functools

import torch


@functools.cache
def _stream(device):
    return torch.cuda.Stream(device)


class SideStream:
    """Work on a CUDA stream beside the current one. Gradients follow: autograd runs each operation backward on the stream of its forward.

    Args:
        inputs: what the work reads, computed on the current stream.
    """

    def __init__(self, *inputs):
        self._side = _stream(inputs[0].device)
        self._side.wait_stream(torch.cuda.current_stream())
        for x in inputs:
            # Its memory may be used anew only when the side stream has read it.
            x.record_stream(self._side)

    def work(self):
        """A context in which kernels go to the side stream."""
        return torch.cuda.stream(self._side)

    def join(self, *outputs):
        """Let the current stream wait until these tensors (or None) are computed."""
        torch.cuda.current_stream().wait_stream(self._side)
        for x in outputs:
            if x is not None:
                x.record_stream(torch.cuda.current_stream())


class InLine:
    """The same in line with everything else: on a CPU, under torch.compile, or where nothing is gained."""

    def work(self):
        """A context that changes nothing."""
        return contextlib.nullcontext()

    def join(self, *outputs):
        """Nothing to wait for."""


def beside(x, wanted):
    """Where work on `x` goes: a `SideStream` if that is wanted and possible, else `InLine`."""
    return SideStream(x) if wanted and x.is_cuda and not torch.compiler.is_compiling() else InLine()
