"""How long a rank works by itself, where every rank of a job takes the same time for a step."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn, Tensor
from torch.autograd.graph import register_multi_grad_hook

from . import distributed

# A moment: seconds on the CPU, an event in the queue of a GPU.
Mark = float | torch.cuda.Event


class WorkMeter:
    """Times forward and backward passes without the time in which they wait for other ranks.

    A pass begins when the network is called (data-parallel training has sent the statistics by then) and ends when the
    gradients of its first layers are there: what follows is the exchange of gradients. Exchanges of features between
    ranks (`distributed.all_reduce_sum`, `all_gather_batch`) in a pass are subtracted, those within torch's own layers
    (SyncBatchNorm on GPUs) are not. On a GPU the times are those of the GPU.

    Args:
        device: Of the network.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._passes: list[tuple[Mark, Mark]] = []
        self._waits: list[tuple[Mark, Mark]] = []
        self._begin: Mark | None = None
        self._waits_of_pass: list[tuple[Mark, Mark]] = []

    def attach(self, model: nn.Module, firsts: Sequence[Tensor]) -> None:
        """Time the passes of a network, from now on.

        Args:
            model: The network itself, which a data-parallel wrapper calls.
            firsts: Weights whose gradients come last.
        """
        model.register_forward_pre_hook(self._begin_pass)
        register_multi_grad_hook(firsts, self._end_pass, mode="all")
        distributed.watch_exchanges(self._exchange)

    def take(self) -> float:
        """Seconds of the passes since the last call; waits for the GPU."""
        seconds = sum(_seconds(*span) for span in self._passes) - sum(_seconds(*span) for span in self._waits)
        self._passes, self._waits = [], []
        return seconds

    @torch.compiler.disable
    def _begin_pass(self, *given: Any) -> None:
        self._begin, self._waits_of_pass = self._mark(), []

    @torch.compiler.disable
    def _end_pass(self, *given: Any) -> None:
        if self._begin is None:
            return
        self._passes.append((self._begin, self._mark()))
        self._waits += self._waits_of_pass
        self._begin, self._waits_of_pass = None, []

    @contextlib.contextmanager
    def _exchange(self) -> Iterator[None]:
        began = self._mark()
        yield
        # Evaluation exchanges features as well, and has no passes.
        if self._begin is not None:
            self._waits_of_pass.append((began, self._mark()))

    def _mark(self) -> Mark:
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event


def _seconds(begin: Mark, end: Mark) -> float:
    if isinstance(begin, float) and isinstance(end, float):
        return end - begin
    if isinstance(begin, float) or isinstance(end, float):
        raise TypeError("marks of two kinds")
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1000
