"""A training loop of your own over several processes: the project's network, loader and losses in torch's DDP.

    torchrun --standalone --nproc_per_node 2 examples/own_loop.py SynthAV/AVSLOWFAST_TINY data/synthav own_loop.pyth

Prints the loss of each epoch; the last argument is the checkpoint that is written, which `avslowfast predict --weights`
takes. Without torchrun one process trains alone.
"""

import os
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from avslowfast.config import load_cfg
from avslowfast.engine.optim import build_optimizer, lr_at, set_lr
from avslowfast.loading import build_loader
from avslowfast.models import build_model
from avslowfast.tasks.build import build_task

name, data, out, *overrides = sys.argv[1:]
local, ranks = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
gpu = torch.cuda.is_available()
device = torch.device("cuda", local) if gpu else torch.device("cpu")
cfg = load_cfg(name, ["DATA.PATH_TO_DATA_DIR", data, "NUM_GPUS" if gpu else "NUM_CPU_PROCESSES", ranks, *overrides])
if ranks > 1:
    dist.init_process_group("nccl" if gpu else "gloo")

model = build_model(cfg).to(device)
optimizer, loader, task = build_optimizer(cfg, model), build_loader(cfg, "train"), build_task(cfg, device)
# An iteration that drops audio leaves the audio weights without a gradient: DDP has to look for them. All ranks drop
# the same iterations.
parallel = DistributedDataParallel(model, find_unused_parameters=True) if ranks > 1 else model
for epoch in range(cfg.SOLVER.MAX_EPOCH):
    loader.epochs.set_epoch(epoch)
    for i, batch in enumerate(loader):
        set_lr(optimizer, lr_at(cfg, epoch + i / len(loader)))
        # The wrapped network has to be called, not the one inside. With several parts (classifiers, synchronisation)
        # "loss" is their weighted sum.
        losses = task.losses(parallel, batch, None, epoch * len(loader) + i)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    total = losses["loss"].detach()
    if ranks > 1:
        dist.all_reduce(total)
    if local == 0:
        print(f"epoch {epoch + 1}: loss {total.item() / ranks:.4f}", flush=True)

if local == 0:
    # Names without DDP's "module."; with them the file loads as well.
    state = {"model_state": model.state_dict(), "cfg": cfg.dump(), "class_names": loader.dataset.class_names}
    torch.save(state, out)
if ranks > 1:
    dist.destroy_process_group()
