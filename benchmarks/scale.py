"""How a training grows from one process to many machines: a model of cost, and a simulation that is checked here.

`python -m benchmarks.scale CONFIG [KEY VALUE ...]` measures 1, 2 and 4 processes and compares them with the simulation,
with `--workers 1 2` trainings with so many loader workers;
`python -m benchmarks.scale` prints time and price of the paper's tables from assumptions that its options replace.
"""

import argparse
import functools
import heapq
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from avslowfast.config import load_cfg
from avslowfast.loading import build_dataset
from avslowfast.loading.samplers import SampleKey
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.models.complexity import count_gflops
from avslowfast.utils.errors import UserError
from avslowfast.utils.seeding import generator

from .measure import cpu_seconds, in_new_process, logged, Row, run_program, spread, table
from .step import scaling_runs


@dataclass(frozen=True)
class Rates:
    """What one process and one core do, as measured.

    Attributes:
        step: Seconds of a training step of one process that shares its core or accelerator with nothing.
        step_spread: Standard deviation of a step, as a share of it.
        clip: CPU seconds of one clip in a loader worker; 0 for data that are there already.
        clip_spread: Standard deviation of a clip, as a share of it.
        gradients: Bytes that are exchanged in a step.
        network: Bytes per second that one machine sends.
        clip_bytes: Bytes that are read for a clip.
    """

    step: float
    step_spread: float = 0.0
    clip: float = 0.0
    clip_spread: float = 0.0
    gradients: float = 0.0
    network: float = 1e9
    clip_bytes: float = 0.0


@dataclass(frozen=True)
class Cluster:
    """What does the work.

    Attributes:
        machines: Number of machines.
        processes: Training processes on each, one per accelerator.
        cores: Of each machine.
        workers: Loader workers of each process.
        batch: Clips in a step of one process.
        on_cores: Whether steps are computed by the cores, which the workers need as well.
        prefetch: Batches that a worker has ready, at most.
    """

    machines: int
    processes: int
    cores: int
    workers: int
    batch: int
    on_cores: bool = False
    prefetch: int = 2

    @property
    def ranks(self) -> int:
        """Training processes of all machines."""
        return self.machines * self.processes


def exchange_seconds(cluster: Cluster, rates: Rates) -> float:
    """Seconds of a ring all-reduce between machines: each sends and receives 2 (n - 1) / n of the gradients."""
    n = cluster.machines if cluster.machines > 1 else cluster.ranks
    return 2 * (n - 1) / n * rates.gradients / rates.network


def slowdown(cluster: Cluster, rates: Rates) -> float:
    """By how much everything that runs on a machine's cores takes longer, because they are fewer than asked for."""
    decoding = rates.clip * cluster.batch
    # A worker asks for a core as long as the step does not wait for it, at most all of the time.
    busy = min(cluster.workers, decoding / rates.step) if rates.step else cluster.workers
    asked = cluster.processes * ((1 if cluster.on_cores else 0) + busy)
    return max(1.0, asked / cluster.cores)


def simulate(cluster: Cluster, rates: Rates, steps: int = 100, seed: int = 0) -> float:
    """Seconds per step: workers make batches, each step takes one of each process and ends with an exchange.

    Args:
        cluster: What does the work.
        rates: How fast.
        steps: Steps that are counted, after a quarter as many that are not.
        seed: Of the variation.
    """
    rng, slow, exchange = generator(seed, "scale"), slowdown(cluster, rates), exchange_seconds(cluster, rates)
    exchange *= slow if cluster.on_cores else 1.0
    warm_up, now = steps // 4, 0.0
    began = 0.0
    step = rates.step * (slow if cluster.on_cores else 1.0)
    # For each process, when each of its workers is free; and when its batches were taken.
    free = [[0.0] * cluster.workers for _ in range(cluster.ranks)]
    taken: list[float] = []
    for number in range(warm_up + steps):
        if number == warm_up:
            began = now
        ends = []
        for workers in free:
            start = now
            if workers and rates.clip:
                ahead = number - cluster.workers * cluster.prefetch
                allowed = taken[ahead] if ahead >= 0 else 0.0
                ready = max(heapq.heappop(workers), allowed) + slow * _batch_seconds(cluster, rates, rng)
                heapq.heappush(workers, ready)
                start = max(now, ready)
            ends.append(start + step * max(0.1, 1 + rates.step_spread * rng.standard_normal()))
        taken.append(now)
        # The slowest ends the step for all.
        now = max(ends) + exchange
    return (now - began) / steps


def _batch_seconds(cluster: Cluster, rates: Rates, rng: np.random.Generator) -> float:
    # The sum of independent clips.
    spread = rates.clip_spread / np.sqrt(cluster.batch)
    return rates.clip * cluster.batch * float(max(0.1, 1 + spread * rng.standard_normal()))


def needs(cluster: Cluster, rates: Rates) -> Row:
    """What a cluster needs so that its accelerators do not wait, of each machine.

    Args:
        cluster: What does the work.
        rates: How fast.

    Returns:
        {"cores per accelerator", "storage MB/s", "exchange ms", "network share" (of a step)}.
    """
    clips = cluster.batch / rates.step
    exchange = exchange_seconds(cluster, rates)
    return {
        "cores per accelerator": clips * rates.clip,
        "storage MB/s": clips * cluster.processes * rates.clip_bytes / 1e6,
        "exchange ms": 1e3 * exchange,
        "network share": exchange / (rates.step + exchange),
    }


def cost(gflops: float, clips: float, epochs: float, sustained: float, price: float) -> Row:
    """Accelerator hours and price of a training.

    Args:
        gflops: Multiply-adds of a clip's forward pass, 1e9.
        clips: Clips of an epoch.
        epochs: Number of epochs.
        sustained: Floating-point operations per second that an accelerator sustains.
        price: Of an accelerator hour.
    """
    # A multiply-add is two operations; the backward pass costs twice the forward pass.
    hours = 6e9 * gflops * clips * epochs / sustained / 3600
    return {"accelerator hours": hours, "price": hours * price}


# Clips that are timed, and steps of a training that are not: its workers begin with empty queues.
_CLIPS, _WARM_UP = 128, 8

# Training clips of an epoch: as the data sets' label files have them (DATASETS.md), Kinetics' as far as it can still be
# downloaded. Those of AVA are 235 movies x 897 seconds, at most; those of Charades its published training videos.
CLIPS = {"Kinetics": 240_000, "Kinetics600": 390_000, "EPIC55": 28_472, "AVA": 210_795, "Charades": 7_985}
# The networks of the paper's tables, each with audio and without.
NETWORKS = (
    "Kinetics/{}SLOWFAST_4x16_R50", "Kinetics/{}SLOWFAST_8x8_R50", "Kinetics/{}SLOWFAST_4x16_R101",
    "Kinetics/{}SLOWFAST_8x8_R101", "Kinetics/{}SLOWFAST_16x8_R101",
    "Kinetics600/{}SLOWFAST_4x16_R50", "Kinetics600/{}SLOWFAST_8x8_R50", "Kinetics600/{}SLOWFAST_4x16_R101",
    "Kinetics600/{}SLOWFAST_8x8_R101", "Kinetics600/{}SLOWFAST_16x8_R101",
    "EPIC55/{}SLOWFAST_4x16_R50", "EPIC55/{}SLOWFAST_8x8_R50", "EPIC55/{}SLOWFAST_8x8_R101",
    "AVA/{}SLOWFAST_4x16_R50_SHORT", "AVA/{}SLOWFAST_32x2_R50_SHORT", "AVA/{}SLOWFAST_32x2_R101_50_50",
    "Charades/{}SLOWFAST_16x8_R50", "Charades/{}SLOWFAST_16x8_R101",
)  # fmt: skip


def paper(
    sustained: float, price: float, accelerators: int, clips: Mapping[str, int], clip_seconds: float, cores: float
) -> list[Row]:
    """Time and price of each network of the paper's tables.

    Args:
        sustained: Floating-point operations per second that an accelerator sustains.
        price: Of an accelerator hour.
        accelerators: That train together, without loss.
        clips: {data set: clips of an epoch}.
        clip_seconds: CPU seconds of one clip in a loader worker.
        cores: For each accelerator, which may be too few for it.

    Returns:
        Rows {"network", "GMAC" of a clip, "epochs", "clips" of an epoch, "busy hours" of accelerators that never wait,
        "cores" that each of them needs for that, "hours" and "price" with the cores that it has, hours "by the clock"}.
    """
    rows = []
    for name in (pattern.format(audio) for pattern in NETWORKS for audio in ("", "AV")):
        cfg = load_cfg(name, ["NUM_GPUS", 0, "BN.NORM_TYPE", "batchnorm"])
        boxes = torch.tensor([[0.0, 0.0, 0.0, 64.0, 64.0]]) if name.startswith("AVA") else None
        gflops = count_gflops(build_model(cfg), input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE, 1), boxes)
        number, epochs = clips[name.split("/")[0]], cfg.SOLVER.MAX_EPOCH
        costs = cost(gflops, number, epochs, sustained, price)
        needed = sustained / (6e9 * gflops) * clip_seconds
        waiting = max(1.0, needed / cores)
        rows.append({
            "network": name,
            "GMAC": gflops,
            "epochs": epochs,
            "clips": number,
            "busy hours": costs["accelerator hours"],
            "cores": needed,
            "hours": costs["accelerator hours"] * waiting,
            "price": costs["price"] * waiting,
            "by the clock": costs["accelerator hours"] * waiting / accelerators,
        })  # fmt: skip
    return rows


def check(path: str, overrides: Sequence[object], batch: int, steps: int, repeats: int, cores: int) -> list[Row]:
    """Measured processes beside the simulation.

    It is given the step of one process and its spread, the gradients, and how fast two processes exchange as many
    bytes, all of the same turn; the figures are medians of the turns.

    Args:
        path: Configuration.
        overrides: Keys and values.
        batch: Clips of one process.
        steps: Steps that are timed.
        repeats: Turns.
        cores: Of this machine.

    Returns:
        Rows {"processes", "measured clips/s", "min", "max", "predicted clips/s", "error %", "error min", "error max"}.
    """
    runs = scaling_runs(path, list(overrides), batch, steps, repeats, (1, 2, 4))
    rows = []
    for world, of_world in runs.items():
        measured, predicted = [], []
        for run, one, two in zip(of_world, runs[1], runs[2]):
            rates = Rates(
                step=one["seconds"],
                step_spread=one["spread"],
                gradients=one["gradients"],
                network=one["gradients"] / two["exchange"],
            )
            measured.append(world * batch / run["seconds"])
            predicted.append(world * batch / simulate(Cluster(1, world, cores, 0, batch, on_cores=True), rates))
        rows.append({"processes": world, **_compared(measured, predicted)})
    return rows


def check_training(
    path: str, overrides: Sequence[object], batch: int, steps: int, repeats: int, cores: int, workers: Sequence[int]
) -> list[Row]:
    """Measured trainings of one process with a loader beside the simulation.

    It is given the step of one process on random data, and the CPU seconds of a clip, both with their spread.

    Args:
        path: Configuration.
        overrides: Keys and values, those of the data included.
        batch: Clips in a step.
        steps: Steps on random data that are timed.
        repeats: Turns.
        cores: Of this machine.
        workers: Numbers of loader workers.

    Returns:
        Rows as of `check`, with "workers", "step ms" and "clip ms" as they were given, and "its step ms" as the
        training had them.
    """
    turns = []
    for _ in range(repeats):
        one = scaling_runs(path, overrides, batch, steps, 1, (1,))[1][0]
        clips = in_new_process("spawn", _clip_seconds, path, list(overrides))
        rates = Rates(one["seconds"], one["spread"], statistics.fmean(clips), statistics.pstdev(clips) / np.mean(clips))
        turns.append((rates, {number: _training_steps(path, overrides, batch, number) for number in workers}))
    rows = []
    for number in workers:
        cluster = Cluster(1, 1, cores, number, batch, on_cores=True)
        predicted = [batch / simulate(cluster, rates) for rates, _ in turns]
        measured = [batch / found[number][0] for _, found in turns]
        rows.append({
            "workers": number,
            "step ms": 1e3 * spread([rates.step for rates, _ in turns])["median"],
            "clip ms": 1e3 * spread([rates.clip for rates, _ in turns])["median"],
            "its step ms": 1e3 * spread([found[number][1] for _, found in turns])["median"],
            **_compared(measured, predicted),
        })  # fmt: skip
    return rows


def _compared(measured: Sequence[float], predicted: Sequence[float]) -> Row:
    """Clips per second of some turns beside those that were predicted for each."""
    errors, found = spread([100 * (p / m - 1) for p, m in zip(predicted, measured)]), spread(list(measured))
    return {
        "measured clips/s": found["median"],
        "min": found["min"],
        "max": found["max"],
        "predicted clips/s": spread(list(predicted))["median"],
        "error %": errors["median"],
        "error min": errors["min"],
        "error max": errors["max"],
    }


def _clip_seconds(path: str, overrides: Sequence[object]) -> list[float]:
    """CPU seconds of each of some training clips, as a loader's worker makes them."""
    torch.set_num_threads(1)
    dataset = build_dataset(load_cfg(path, ["NUM_GPUS", 0, *overrides]), "train")
    keys = [SampleKey(video, 0, video) for video in range(min(_CLIPS, len(dataset)))]
    dataset[keys[0]]
    return [cpu_seconds(functools.partial(dataset.__getitem__, key)) for key in keys]


def _training_steps(path: str, overrides: Sequence[object], batch: int, workers: int) -> list[float]:
    """Seconds from step to step, and those of them that compute, of a training of an epoch without its first steps."""
    keys = ["NUM_GPUS", 0, "TRAIN.BATCH_SIZE", batch, "DATA_LOADER.NUM_WORKERS", workers, "SOLVER.MAX_EPOCH", 1]
    keys += ["SOLVER.WARMUP_EPOCHS", 0, "TRAIN.EVAL_PERIOD", 9, "BN.USE_PRECISE_STATS", False, "LOG_PERIOD", 1]
    keys += ["TEST.ENABLE", False, "LOG_MODEL_INFO", False]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        words = ["train", path, *overrides, *keys, "OUTPUT_DIR", folder]
        command = [sys.executable, "-m", "avslowfast", *map(str, words)]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
    steps = [row for row in map(logged, done.stdout.split("\n")) if row.get("_type") == "train_iter"][_WARM_UP:]
    if not steps:
        why = done.stderr.strip().rpartition("\n")[2] if done.returncode else f"{_WARM_UP} steps are not counted"
        raise UserError(f"{' '.join(command)}: no step was measured ({why}); give a longer list, or a smaller --batch")
    return [statistics.fmean(line[name] for line in steps) for name in ("dt", "dt_net")]


def main() -> None:
    """Measure and compare, or print time and price of the paper's tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", nargs="?", help="configuration whose processes are measured; without it the tables")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY VALUE")
    for name, number in (("batch", 8), ("steps", 8), ("repeats", 3), ("cores", os.cpu_count() or 1)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--workers", type=int, nargs="+", help="loader workers of trainings, measured instead")
    assumed = parser.add_argument_group("assumptions of the tables")
    assumed.add_argument("--tflops", type=float, default=150, help="sustained by an accelerator (default: %(default)s)")
    assumed.add_argument("--price", type=float, default=2, help="of an accelerator hour (default: %(default)s)")
    assumed.add_argument("--accelerators", type=int, default=8, help="that train together (default: %(default)s)")
    assumed.add_argument(
        "--clip-seconds", type=float, default=0.053, help="CPU seconds per clip (default: %(default)s)"
    )
    assumed.add_argument("--cores-each", type=float, default=16, help="cores per accelerator (default: %(default)s)")
    for name, number in CLIPS.items():
        assumed.add_argument(
            f"--{name.lower()}", type=int, default=number, help="clips per epoch (default: %(default)s)"
        )
    args = parser.parse_args()
    measured = args.config, args.overrides, args.batch, args.steps, args.repeats, args.cores
    if args.workers:
        rows = check_training(*measured, args.workers)
    elif args.config:
        rows = check(*measured)
    else:
        clips = {name: getattr(args, name.lower()) for name in CLIPS}
        rows = paper(args.tflops * 1e12, args.price, args.accelerators, clips, args.clip_seconds, args.cores_each)
    print(table(rows))


if __name__ == "__main__":
    run_program(main)
