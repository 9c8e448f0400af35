"""How a training grows from one process to many machines: a model of cost, and a simulation that is checked here.

`python -m benchmarks.scale CONFIG [KEY VALUE ...]` measures 1, 2 and 4 processes and compares them with the simulation.
"""

import argparse
import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avslowfast.utils.seeding import generator

from .measure import Row, table
from .step import scaling


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


def check(path: str, overrides: Sequence[object], batch: int, steps: int, repeats: int, cores: int) -> list[Row]:
    """Measured processes beside the simulation, whose step is that of the one process and whose exchange is zero.

    Args:
        path: Configuration.
        overrides: Keys and values.
        batch: Clips of one process.
        steps: Steps that are timed.
        repeats: Measurements.
        cores: Of this machine.

    Returns:
        Rows {"processes", "measured clips/s", "min", "max", "predicted clips/s", "error %"}.
    """
    measured = scaling(path, list(overrides), batch, steps, repeats, (1, 2, 4))
    rates = Rates(step=batch / measured[0]["clips_per_s"])
    rows = []
    for row in measured:
        cluster = Cluster(1, row["processes"], cores, 0, batch, on_cores=True)
        predicted = cluster.ranks * batch / simulate(cluster, rates)
        rows.append(
            {
                "processes": row["processes"],
                "measured clips/s": row["clips_per_s"],
                "min": row["min"],
                "max": row["max"],
                "predicted clips/s": predicted,
                "error %": 100 * (predicted / row["clips_per_s"] - 1),
            }
        )
    return rows


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("overrides", nargs="*", default=[], metavar="KEY VALUE")
    for name, default in (("batch", 8), ("steps", 8), ("repeats", 3), ("cores", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    print(table(check(args.config, args.overrides, args.batch, args.steps, args.repeats, args.cores)))


if __name__ == "__main__":
    main()
