"""What a training step's time is spent on, by kind of operation (torch.profiler)."""

import torch
from torch.profiler import profile, ProfilerActivity

from avslowfast.config.derived import Cfg
from avslowfast.utils.memory import keep_freed_memory

from .measure import Row, seconds_of, spread
from .step import Stepper

# Kinds by what the name of an operator or kernel contains; the first that fits counts.
_KINDS = {
    "convolutions, forward": ("mkldnn_convolution", "cudnn_convolution", "fprop", "implicit_gemm", "convolve"),
    "convolutions, backward": ("convolution_backward", "dgrad", "wgrad"),
    "batch norm": ("batch_norm", "bn_fw", "bn_bw", "batchnorm"),
    "max pooling": ("max_pool",),
    "ReLU": ("relu", "threshold", "clamp"),
    "additions": ("aten::add",),
    "copies and concatenations": ("copy", "cat", "contiguous", "memcpy"),
    "optimiser": ("sgd", "adam", "multi_tensor"),
}


def parts_of_a_step(cfg: Cfg, device: torch.device, batch: int = 2, steps: int = 3) -> list[Row]:
    """Where the time of steps with audio goes.

    Args:
        cfg: The configuration.
        device: Where the network is.
        batch: Clips.
        steps: Steps that are profiled.

    Returns:
        Rows {"part", "seconds" per step, "share" of all parts}, largest first; the last row is the step by the clock,
        without the profiler.
    """
    keep_freed_memory()
    stepper = Stepper(cfg, device, batch)
    gpu = device.type == "cuda"
    synchronize = torch.cuda.synchronize if gpu else None
    whole = spread(seconds_of(lambda: stepper.step(False), steps, 5, synchronize))["median"]
    with profile(activities=[ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            stepper.step(False)
        if gpu:
            torch.cuda.synchronize()
    sums = dict.fromkeys([*_KINDS, "everything else"], 0.0)
    for event in profiler.key_averages():
        microseconds = event.self_device_time_total if gpu else event.self_cpu_time_total
        name = event.key.lower()
        kind = next((kind for kind, words in _KINDS.items() if any(word in name for word in words)), "everything else")
        sums[kind] += microseconds / 1e6 / steps
    total = sum(sums.values())
    rows: list[Row] = [
        {"part": kind, "seconds": seconds, "share": seconds / total}
        for kind, seconds in sorted(sums.items(), key=lambda item: -item[1])
    ]
    return [*rows, {"part": "a step by the clock", "seconds": whole, "share": ""}]
