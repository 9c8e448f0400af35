"""One process of `step.scaling`: WORLD CONFIG BATCH STEPS [KEY VALUE ...]; the first one prints FIGURES as JSON.

"seconds" per step and their "spread" (standard deviation, as a share), bytes of "gradients", seconds of their
"exchange".
"""

import json
import statistics
import sys
import time

import torch
import torch.distributed as dist

from avslowfast.config import load_cfg
from avslowfast.utils.memory import keep_freed_memory

from .measure import seconds_of
from .step import Stepper


def main(words: list[str]) -> None:
    """Take the steps together with the other processes."""
    world, path, batch, steps = int(words[0]), words[1], int(words[2]), int(words[3])
    torch.set_num_threads(1)
    keep_freed_memory()
    if world > 1:
        dist.init_process_group("gloo")
    stepper = Stepper(load_cfg(path, ["NUM_GPUS", 0, *words[4:]]), torch.device("cpu"), batch)
    if world > 1:
        stepper.run = torch.nn.parallel.DistributedDataParallel(
            stepper.model, find_unused_parameters=True, gradient_as_bucket_view=True
        )
    for _ in range(2):
        stepper.step(False)
    times = []
    for _ in range(steps):
        if world > 1:
            dist.barrier()
        began = time.perf_counter()
        stepper.step(False)
        if world > 1:
            dist.barrier()
        times.append(time.perf_counter() - began)
    gradients = torch.zeros(sum(parameter.numel() for parameter in stepper.model.parameters()))
    figures = {"seconds": statistics.fmean(times), "gradients": 4 * gradients.numel(), "exchange": 0.0}
    figures["spread"] = statistics.pstdev(times) / figures["seconds"]
    if world > 1:
        figures["exchange"] = min(seconds_of(lambda: dist.all_reduce(gradients), 5, synchronize=dist.barrier))
    if world == 1 or dist.get_rank() == 0:
        print("FIGURES", json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
