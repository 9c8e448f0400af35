"""One process of `step.scaling`: WORLD CONFIG BATCH STEPS [KEY VALUE ...]; the first one prints SECONDS per step."""

import sys
import time

import torch
import torch.distributed as dist

from avslowfast.config import load_cfg
from avslowfast.utils.memory import keep_freed_memory

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
    if world > 1:
        dist.barrier()
    began = time.perf_counter()
    for _ in range(steps):
        stepper.step(False)
    if world > 1:
        dist.barrier()
    if world == 1 or dist.get_rank() == 0:
        print("SECONDS", (time.perf_counter() - began) / steps)


if __name__ == "__main__":
    main(sys.argv[1:])
