"""Training steps: how long they take, what they compute, how the cost grows."""

import multiprocessing
import os
import resource
import subprocess
import sys

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from avslowfast.config import load_cfg
from avslowfast.engine.optim import build_optimizer
from avslowfast.engine.trainer import autocast_context, compiled, place_model
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.models.complexity import count_gflops
from avslowfast.tasks.build import build_task
from avslowfast.utils.memory import keep_freed_memory

from . import baselines
from .measure import collect, in_own_process, seconds_of, spread

# Dense bf16 matrix operations a second of cards, from their makers' data sheets.
BF16_PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
# Steps of a process that do not count: allocator and optimiser settle.
_WARM_UP = 3
# What leaves the device for the host, and so waits for it.
_SYNCHRONISES = ("_local_scalar_dense", "nonzero", "is_nonzero", "item")


class CountSynchronisations(TorchDispatchMode):
    """Counts operators that make the host wait for the device."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in _SYNCHRONISES:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


class Stepper:
    """A network with its optimiser and a random batch, ready to take training steps as the trainer does.

    Args:
        cfg: the configuration. device: where to. batch: clips. compile_it: torch.compile the network.
    """

    def __init__(self, cfg, device, batch, compile_it=False):
        self.cfg, self.device, self.batch = cfg, device, batch
        self.model = place_model(cfg, build_model(cfg), device).train()
        self.run = compiled(self.model, device) if compile_it else self.model
        self.task, self.optimizer = build_task(cfg, device), build_optimizer(cfg, self.model)
        self.autocast, _ = autocast_context(cfg, device)
        torch.manual_seed(0)
        self.inputs = {
            name: torch.randn(shape, device=device)
            for name, shape in input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE, batch).items()
        }
        self.data = {**self.inputs, "label": torch.randint(0, cfg.MODEL.NUM_CLASSES, (batch,), device=device)}

    def step(self, drop):
        """One step; `drop` leaves the audio pathway out."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss = self.task.losses(self.run, self.data, drop if "audio" in self.model.pathways else None, 0)["loss"]
        loss.backward()
        self.optimizer.step()

    def usual(self):
        """A function that takes a step as `baselines.usual_step` does, with a network of its own."""
        network = baselines.usual_network(self.model)
        solver = self.cfg.SOLVER
        optimizer = torch.optim.SGD(
            network.parameters(),
            solver.BASE_LR,
            solver.MOMENTUM,
            weight_decay=solver.WEIGHT_DECAY,
            nesterov=solver.NESTEROV,
        )
        negatives = self.inputs["audio"].roll(1, 0)
        return lambda: baselines.usual_step(network, self.inputs, self.data["label"], optimizer, negatives)


# Ways of taking a step on the CPU: (which step, whether freed memory is kept, as in training).
_ON_CPU = {
    "with audio": ("kept", True),
    "dropped": ("dropped", True),
    "the usual way": ("usual", False),
    "the usual way, memory kept": ("usual", True),
}


def on_cpu(path, overrides, batch=2, repeats=5):
    """Seconds of a step with audio, of a dropped one, of the mixture that DropPathway makes, and of the usual implementation.

    Each has a process of its own, since they keep memory differently; they take turns.

    Returns:
        Rows {"way", "seconds", "min", "max", "of_the_usual"}.
    """
    cfg, context = load_cfg(path, [*overrides, "NUM_GPUS", 0]), multiprocessing.get_context("spawn")
    workers, pipes = [], {}
    for way, (kind, keep) in _ON_CPU.items():
        pipes[way], theirs = context.Pipe()
        workers.append(
            context.Process(
                target=_take_turns,
                args=(theirs, path, overrides, batch, kind, keep, torch.get_num_threads()),
                daemon=True,
            )
        )
        workers[-1].start()
        # The other end is the worker's alone, so that its death ends the waiting for it.
        theirs.close()
    times = {way: [] for way in pipes}
    for turn in range(_WARM_UP + repeats):
        for way, pipe in pipes.items():
            pipe.send("step")
            seconds = pipe.recv()
            if turn >= _WARM_UP:
                times[way].append(seconds)
    for worker, pipe in zip(workers, pipes.values()):
        pipe.send("stop")
        worker.join()
    rows = [
        {"way": way, "seconds": s["median"], "min": s["min"], "max": s["max"]}
        for way, s in ((w, spread(t)) for w, t in times.items())
    ]
    rate, usual = cfg.SLOWFAST.DROPPATHWAY_RATE, rows[2]["seconds"]
    mixed = {key: (1 - rate) * rows[0][key] + rate * rows[1][key] for key in ("seconds", "min", "max")}
    rows.insert(2, {"way": f"mean at DropPathway {rate:g}", **mixed})
    for row in rows:
        row["of_the_usual"] = row["seconds"] / usual
    return rows


def _take_turns(pipe, path, overrides, batch, kind, keep, threads):
    torch.set_num_threads(threads)
    if keep:
        keep_freed_memory()
    stepper = Stepper(load_cfg(path, [*overrides, "NUM_GPUS", 0]), torch.device("cpu"), batch)
    step = stepper.usual() if kind == "usual" else lambda: stepper.step(kind == "dropped")
    while pipe.recv() == "step":
        pipe.send(seconds_of(step, 1, 0)[0])


def on_gpu(path, overrides, batch, repeats=20):
    """Clips a second, memory and share of the card's bf16 peak for fp32, TF32, bf16, with channels-last, compiled.

    Returns:
        Rows {"way", "clips_per_s", "seconds", "memory_gb", "share_of_bf16_peak", "times_fp32"}.
    """
    device, rows = torch.device("cuda"), []
    peak = next((value for name, value in BF16_PEAK.items() if name in torch.cuda.get_device_name()), None)
    bf16 = ["TRAIN.MIXED_PRECISION", True, "AMP.DTYPE", "bfloat16"]
    last = [*bf16, "TRAIN.CHANNELS_LAST", True]
    ways = {
        "fp32": (False, [], False),
        "TF32": (True, [], False),
        "bf16": (True, bf16, False),
        "bf16 channels-last": (True, last, False),
        "bf16 channels-last, audio beside": (True, [*last, "TRAIN.AUDIO_STREAM", True], False),
        "bf16 channels-last compiled": (True, last, True),
    }
    for way, (tf32, keys, compile_it) in ways.items():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        cfg = load_cfg(path, [*overrides, "NUM_GPUS", 1, *keys])
        collect()
        stepper = Stepper(cfg, device, batch, compile_it)
        rate = cfg.SLOWFAST.DROPPATHWAY_RATE
        parts = [
            spread(
                seconds_of(lambda drop=drop, stepper=stepper: stepper.step(drop), repeats, 5, torch.cuda.synchronize)
            )["median"]
            for drop in (False, True)
        ]
        seconds = (1 - rate) * parts[0] + rate * parts[1]
        flops = 3 * 2e9 * count_gflops(stepper.model, input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE)) * batch
        rows.append(
            {
                "way": way,
                "clips_per_s": batch / seconds,
                "seconds": seconds,
                "memory_gb": torch.cuda.max_memory_allocated() / 2**30,
                "share_of_bf16_peak": flops / parts[0] / peak if peak else "",
            }
        )
        del stepper
    for row in rows:
        row["times_fp32"] = row["clips_per_s"] / rows[0]["clips_per_s"]
    return rows


def growth(path, overrides, batch=2, repeats=3):
    """Seconds, memory and GFLOPs of a step over frames, crop, batch and depth, one at a time, each point in a process of its own.

    Returns:
        Rows {"axis", "value", "seconds", "min", "max", "memory_gb" that the steps took at their peak, "gflops_forward"}.
    """
    axes = {
        "frames": [(n, ["DATA.NUM_FRAMES", n, "DATA.AUDIO_FRAME_NUM", 4 * n], batch) for n in (16, 32, 64)],
        "crop": [
            (n, ["DATA.TRAIN_CROP_SIZE", n, "DATA.TRAIN_JITTER_SCALES", [n, n], "DATA.TEST_CROP_SIZE", n], batch)
            for n in (112, 160, 224)
        ],
        "batch": [(n, [], n) for n in (1, 2, 4)],
        "depth": [(n, ["RESNET.DEPTH", n], batch) for n in (50, 101)],
    }
    return [
        {
            "axis": axis,
            "value": value,
            **in_own_process("spawn", _point, path, [*overrides, "NUM_GPUS", 0, *keys], clips, repeats),
        }
        for axis, points in axes.items()
        for value, keys, clips in points
    ]


def _point(path, overrides, clips, repeats):
    cfg = load_cfg(path, overrides)
    keep_freed_memory()
    stepper = Stepper(cfg, torch.device("cpu"), clips)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = spread(seconds_of(lambda: stepper.step(False), repeats, 2))
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    gflops = clips * count_gflops(stepper.model, input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE))
    return {
        "seconds": found["median"],
        "min": found["min"],
        "max": found["max"],
        "memory_gb": memory,
        "gflops_forward": gflops,
    }


_WORKER = """
import sys, time, torch, torch.distributed as dist
from avslowfast.benchmark.step import Stepper
from avslowfast.config import load_cfg
from avslowfast.utils.memory import keep_freed_memory
torch.set_num_threads(1)
keep_freed_memory()
world = int(sys.argv[1])
if world > 1:
    dist.init_process_group("gloo")
stepper = Stepper(load_cfg(sys.argv[2], ["NUM_GPUS", 0, *sys.argv[5:]]), torch.device("cpu"), int(sys.argv[3]))
if world > 1:
    stepper.run = torch.nn.parallel.DistributedDataParallel(stepper.model, find_unused_parameters=True, gradient_as_bucket_view=True)
for _ in range(2):
    stepper.step(False)
if world > 1:
    dist.barrier()
began = time.perf_counter()
for _ in range(int(sys.argv[4])):
    stepper.step(False)
if world > 1:
    dist.barrier()
if world == 1 or dist.get_rank() == 0:
    print("SECONDS", (time.perf_counter() - began) / int(sys.argv[4]))
"""


def scaling(path, overrides, batch=4, steps=8, repeats=3):
    """Clips a second of one process with one thread, and of two with one each, the batch of a process the same; data are random.

    Returns:
        Rows {"processes", "clips_per_s", "min", "max", "times_one"}.
    """
    rates = {1: [], 2: []}
    for _ in range(repeats):
        for world in rates:
            launcher = ["-m", "torch.distributed.run", f"--nproc_per_node={world}", "--standalone"] if world > 1 else []
            script = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"avslowfast_scaling_{os.getpid()}.py")
            with open(script, "w") as f:
                f.write(_WORKER)
            command = [
                sys.executable,
                *launcher,
                script,
                str(world),
                path,
                str(batch),
                str(steps),
                *map(str, overrides),
            ]
            done = subprocess.run(
                command,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
                capture_output=True,
                text=True,
            )
            os.remove(script)
            seconds = [line.split()[1] for line in done.stdout.split("\n") if line.startswith("SECONDS")]
            if not seconds:
                raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
            rates[world].append(world * batch / float(seconds[0]))
    rows = [
        {"processes": world, "clips_per_s": s["median"], "min": s["min"], "max": s["max"]}
        for world, s in ((w, spread(r)) for w, r in rates.items())
    ]
    for row in rows:
        row["times_one"] = row["clips_per_s"] / rows[0]["clips_per_s"]
    return rows
