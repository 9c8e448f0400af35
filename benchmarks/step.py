"""Training steps: how long they take, what they compute, how the cost grows."""

import json
import multiprocessing
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from avslowfast.config import load_cfg
from avslowfast.config.derived import Cfg
from avslowfast.engine.optim import build_optimizer
from avslowfast.engine.trainer import autocast_context, compiled, place_model
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.models.complexity import count_gflops
from avslowfast.tasks.build import build_task
from avslowfast.utils.accelerators import peak_flops_of
from avslowfast.utils.memory import keep_freed_memory

from . import baselines
from .measure import collect, in_new_process, Row, seconds_of, spread

# Steps of a process that do not count: allocator and optimiser settle.
_WARM_UP = 3
# Operators that bring values from the device to the host, and so wait for it.
_SYNCHRONISES = ("_local_scalar_dense", "nonzero", "is_nonzero", "item")


class CountSynchronisations(TorchDispatchMode):
    """Counts operators that make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in _SYNCHRONISES:
            self.names.append(name)
        return func(*args, **(kwargs or {}))


class Stepper:
    """A network with its optimiser and a random batch, ready to take training steps as the trainer does.

    Args:
        cfg: The configuration.
        device: Where the network goes.
        batch: Clips.
        compile_it: Compile the network.
    """

    def __init__(self, cfg: Cfg, device: torch.device, batch: int, compile_it: bool = False) -> None:
        self.cfg, self.device, self.batch = cfg, device, batch
        self.model = place_model(cfg, build_model(cfg), device).train()
        self.run: torch.nn.Module = compiled(self.model, device) if compile_it else self.model
        self.task, self.optimizer = build_task(cfg, device), build_optimizer(cfg, self.model)
        self.autocast, _ = autocast_context(cfg, device)
        torch.manual_seed(0)
        shapes = input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE, batch)
        self.inputs = {name: torch.randn(shape, device=device) for name, shape in shapes.items()}
        labels = torch.randint(0, cfg.MODEL.NUM_CLASSES, (batch,), device=device)
        self.data = {**self.inputs, "label": labels}

    def step(self, drop: bool) -> None:
        """Take one step; `drop` leaves the audio pathway out."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            drop_audio = drop if "audio" in self.model.pathways else None
            loss = self.task.losses(self.run, self.data, drop_audio, 0)["loss"]
        loss.backward()
        self.optimizer.step()

    def baseline(self) -> Callable[[], object]:
        """A function that takes a step of the baseline, with a network of its own."""
        network = baselines.network(self.model)
        solver = self.cfg.SOLVER
        optimizer = torch.optim.SGD(
            network.parameters(),
            solver.BASE_LR,
            solver.MOMENTUM,
            weight_decay=solver.WEIGHT_DECAY,
            nesterov=solver.NESTEROV,
        )
        negatives = self.inputs["audio"].roll(1, 0)
        return lambda: baselines.step(network, self.inputs, self.data["label"], optimizer, negatives)


# Steps on the CPU: (which step, whether freed memory is kept, as in training).
_ON_CPU = {
    "with audio": ("audio", True),
    "dropped": ("dropped", True),
    "the baseline": ("baseline", False),
    "the baseline, memory kept": ("baseline", True),
}


def on_cpu(path: str, overrides: Sequence[Any], batch: int = 2, repeats: int = 5) -> list[Row]:
    """Seconds of a step with audio, of a dropped one, of the mixture that DropPathway makes, and of the baseline.

    Each has a process of its own, since they handle memory differently; they take turns.

    Args:
        path: Configuration.
        overrides: Keys and values.
        batch: Clips.
        repeats: Measurements.

    Returns:
        Rows {"alternative", "seconds", "min", "max", "of_the_baseline"}.
    """
    cfg, context = load_cfg(path, [*overrides, "NUM_GPUS", 0]), multiprocessing.get_context("spawn")
    workers, pipes = [], dict[str, Connection]()
    for name, (kind, keep) in _ON_CPU.items():
        pipes[name], end = context.Pipe()
        arguments = (end, path, overrides, batch, kind, keep, torch.get_num_threads())
        workers.append(context.Process(target=_take_turns, args=arguments, daemon=True))
        workers[-1].start()
        # The other end belongs to the worker alone, so that its death ends the waiting for it.
        end.close()
    times: dict[str, list[float]] = {name: [] for name in pipes}
    for turn in range(_WARM_UP + repeats):
        for name, pipe in pipes.items():
            pipe.send("step")
            seconds = pipe.recv()
            if turn >= _WARM_UP:
                times[name].append(seconds)
    for worker, pipe in zip(workers, pipes.values()):
        pipe.send("stop")
        worker.join()
    statistics = {name: spread(values) for name, values in times.items()}
    rows: list[Row] = [
        {"alternative": name, "seconds": s["median"], "min": s["min"], "max": s["max"]}
        for name, s in statistics.items()
    ]
    rate, baseline = cfg.SLOWFAST.DROPPATHWAY_RATE, rows[2]["seconds"]
    mixed = {key: (1 - rate) * rows[0][key] + rate * rows[1][key] for key in ("seconds", "min", "max")}
    rows.insert(2, {"alternative": f"mean at DropPathway {rate:g}", **mixed})
    for row in rows:
        row["of_the_baseline"] = row["seconds"] / baseline
    return rows


def _take_turns(
    pipe: Connection, path: str, overrides: Sequence[Any], batch: int, kind: str, keep: bool, threads: int
) -> None:
    torch.set_num_threads(threads)
    if keep:
        keep_freed_memory()
    stepper = Stepper(load_cfg(path, [*overrides, "NUM_GPUS", 0]), torch.device("cpu"), batch)
    step = stepper.baseline() if kind == "baseline" else lambda: stepper.step(kind == "dropped")
    while pipe.recv() == "step":
        pipe.send(seconds_of(step, 1, 0)[0])


def on_gpu(path: str, overrides: Sequence[Any], batch: int, repeats: int = 20) -> list[Row]:
    """Clips per second, memory and share of the card's bf16 peak, for each precision, memory format and compiled.

    Args:
        path: Configuration.
        overrides: Keys and values.
        batch: Clips.
        repeats: Measurements.

    Returns:
        Rows {"alternative", "clips_per_s", "seconds", "memory_gb", "share_of_bf16_peak", "times_fp32"}.
    """
    device, rows = torch.device("cuda"), list[Row]()
    peak = peak_flops_of(device, "bfloat16")
    bf16 = ["TRAIN.MIXED_PRECISION", True, "AMP.DTYPE", "bfloat16"]
    last = [*bf16, "TRAIN.CHANNELS_LAST", True]
    alternatives: dict[str, tuple[bool, list[Any], bool]] = {
        "fp32": (False, [], False),
        "TF32": (True, [], False),
        "bf16": (True, bf16, False),
        "bf16 channels-last": (True, last, False),
        "bf16 channels-last, audio stream": (True, [*last, "TRAIN.AUDIO_STREAM", True], False),
        "bf16 channels-last compiled": (True, last, True),
    }
    for name, (tf32, keys, compile_it) in alternatives.items():
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        torch.backends.cudnn.benchmark = True
        cfg = load_cfg(path, [*overrides, "NUM_GPUS", 1, *keys])
        collect()
        stepper = Stepper(cfg, device, batch, compile_it)
        rate = cfg.SLOWFAST.DROPPATHWAY_RATE
        kept, dropped = (_gpu_seconds(stepper, drop, repeats) for drop in (False, True))
        seconds = (1 - rate) * kept + rate * dropped
        flops = 3 * 2e9 * count_gflops(stepper.model, input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE)) * batch
        rows.append(
            {
                "alternative": name,
                "clips_per_s": batch / seconds,
                "seconds": seconds,
                "memory_gb": torch.cuda.max_memory_allocated() / 2**30,
                "share_of_bf16_peak": flops / kept / peak if peak else "",
            }
        )
        del stepper
    for row in rows:
        row["times_fp32"] = row["clips_per_s"] / rows[0]["clips_per_s"]
    return rows


def _gpu_seconds(stepper: Stepper, drop: bool, repeats: int) -> float:
    return spread(seconds_of(lambda: stepper.step(drop), repeats, 5, torch.cuda.synchronize))["median"]


def growth(path: str, overrides: Sequence[Any], batch: int = 2, repeats: int = 3) -> list[Row]:
    """Seconds, memory and GFLOPs of a step over frames, crop, batch and depth, each point in a process of its own.

    Args:
        path: Configuration.
        overrides: Keys and values.
        batch: Clips, where the axis is another one.
        repeats: Measurements.

    Returns:
        Rows {"axis", "value", "seconds", "min", "max", "memory_gb" (peak of the steps), "gflops_forward"}.
    """
    frames = [(n, ["DATA.NUM_FRAMES", n, "DATA.AUDIO_FRAME_NUM", 4 * n], batch) for n in (16, 32, 64)]
    crops = [
        (n, ["DATA.TRAIN_CROP_SIZE", n, "DATA.TRAIN_JITTER_SCALES", [n, n], "DATA.TEST_CROP_SIZE", n], batch)
        for n in (112, 160, 224)
    ]
    axes: dict[str, list[tuple[int, list[Any], int]]] = {
        "frames": frames,
        "crop": crops,
        "batch": [(n, [], n) for n in (1, 2, 4)],
        "depth": [(n, ["RESNET.DEPTH", n], batch) for n in (50, 101)],
    }
    return [
        {
            "axis": axis,
            "value": value,
            **in_new_process("spawn", _point, path, [*overrides, "NUM_GPUS", 0, *keys], clips, repeats),
        }
        for axis, points in axes.items()
        for value, keys, clips in points
    ]


def _point(path: str, overrides: Sequence[Any], clips: int, repeats: int) -> Row:
    cfg = load_cfg(path, overrides)
    keep_freed_memory()
    stepper = Stepper(cfg, torch.device("cpu"), clips)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = spread(seconds_of(lambda: stepper.step(False), repeats, 2))
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    gflops = clips * count_gflops(stepper.model, input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE))
    return {
        "seconds": times["median"],
        "min": times["min"],
        "max": times["max"],
        "memory_gb": memory,
        "gflops_forward": gflops,
    }


def scaling(
    path: str,
    overrides: Sequence[Any],
    batch: int = 4,
    steps: int = 8,
    repeats: int = 3,
    worlds: Sequence[int] = (1, 2),
) -> list[Row]:
    """Clips per second of one process with one thread, and of several with one each; data are random.

    Args:
        path: Configuration.
        overrides: Keys and values.
        batch: Clips of one process.
        steps: Steps that are timed.
        repeats: Measurements.
        worlds: Numbers of processes, the first of which is 1.

    Returns:
        Rows {"processes", "clips_per_s", "min", "max", "times_one"}.
    """
    runs = scaling_runs(path, overrides, batch, steps, repeats, worlds)
    rates = {world: [world * batch / run["seconds"] for run in of_world] for world, of_world in runs.items()}
    statistics = {world: spread(values) for world, values in rates.items()}
    one = statistics[1]["median"]
    return [
        {
            "processes": world,
            "clips_per_s": s["median"],
            "min": s["min"],
            "max": s["max"],
            "times_one": s["median"] / one,
        }
        for world, s in statistics.items()
    ]


def scaling_runs(
    path: str, overrides: Sequence[Any], batch: int, steps: int, repeats: int, worlds: Sequence[int]
) -> dict[int, list[dict[str, float]]]:
    """What processes of `scaling` measure, which take turns.

    Args:
        path: As of `scaling`, like all others.
        overrides: Keys and values.
        batch: Clips of one process.
        steps: Steps that are timed.
        repeats: Measurements.
        worlds: Numbers of processes.

    Returns:
        {number of processes: the figures of each turn, see `scaling_worker`}.
    """
    runs: dict[int, list[dict[str, float]]] = {world: [] for world in worlds}
    for _ in range(repeats):
        for world in worlds:
            launcher = ["torch.distributed.run", f"--nproc_per_node={world}", "--standalone", "-m"] if world > 1 else []
            words = [str(world), path, str(batch), str(steps), *map(str, overrides)]
            command = [sys.executable, "-m", *launcher, "benchmarks.scaling_worker", *words]
            env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
            done = subprocess.run(command, env=env, capture_output=True, text=True)
            figures = [line.split(" ", 1)[1] for line in done.stdout.split("\n") if line.startswith("FIGURES")]
            if not figures:
                raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
            runs[world].append(json.loads(figures[0]))
    return runs
