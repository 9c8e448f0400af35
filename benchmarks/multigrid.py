"""Time to an accuracy with and without multigrid training, on SynthAV.

Example:
    python -m benchmarks.multigrid --data data/synthav --target 97.8

Each training has a process of its own with one thread, which reads its clips itself: seconds are those that the
process computes (user and system), reading included and validation left out, so that other load on the machine hardly
counts. The accuracy is that of the validation clips, which are looked at after every epoch, in the configured shape.
"""

import argparse
import json
import statistics
import tempfile
import time
from typing import Any

import torch

from avslowfast.config import load_cfg
from avslowfast.engine.hooks.base import Hook
from avslowfast.engine.hooks.build import build_hooks
from avslowfast.engine.preflight import build_datasets
from avslowfast.engine.run_folder import RunData, RunFolder
from avslowfast.engine.state import TrainState
from avslowfast.engine.trainer import Trainer

from .measure import processes, run_program

_STEPWISE = ["SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.STEPS", [0, 5], "SOLVER.LRS", [1, 0.1]]
_SHORT = ["MULTIGRID.SHORT_CYCLE", True, "MULTIGRID.SHORT_CYCLE_FACTORS", [0.67]]
_LONG = [*_STEPWISE, "MULTIGRID.LONG_CYCLE", True, "MULTIGRID.LONG_CYCLE_FACTORS", [[0.5, 0.67], [1, 1]]]
# {recipe: what it changes in the configuration}.
RECIPES: dict[str, list[Any]] = {
    "plain (the quickstart)": [],
    "plain, 5 epochs": ["SOLVER.MAX_EPOCH", 5],
    "short cycle": [*_SHORT, "MULTIGRID.EPOCH_FACTOR", 1.0],
    "long cycle": _LONG,
    "both cycles": [*_LONG, *_SHORT],
}


class Clock(Hook):
    """Steps, clips and seconds of a training, and where they stood at each validation.

    Args:
        rows: Receives a dictionary per validation.
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows
        self._clips, self._seconds, self._mark = 0, 0.0, 0.0

    def before_epoch(self, state: TrainState) -> None:
        """Starts the clock."""
        self._mark = time.process_time()

    def after_step(self, state: TrainState) -> None:
        """Counts clips; stops the clock at the end of the epoch, before anything is saved or validated."""
        self._clips += len(state.paths)
        if state.epoch_complete:
            self._seconds += time.process_time() - self._mark

    def after_evaluation(self, state: TrainState) -> None:
        """Notes where the training stands."""
        steps = state.global_iteration
        self.rows.append({"steps": steps, "clips": self._clips, "seconds": self._seconds, "best": state.best})


def train(recipe: str, seed: int, data: str) -> list[dict[str, Any]]:
    """Train once; a row per validation: steps, clips, seconds, best top-1 so far.

    Args:
        recipe: A name in `RECIPES`.
        seed: RNG_SEED.
        data: Folder of SynthAV.
    """
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        keys = ["DATA.PATH_TO_DATA_DIR", data, "OUTPUT_DIR", folder, "RNG_SEED", seed, "DATA_LOADER.NUM_WORKERS", 0]
        keys += ["TEST.ENABLE", False, "TRAIN.EVAL_PERIOD", 1, "MULTIGRID.EVAL_FREQ", 100, "TRAIN.CHECKPOINT_KEEP", 1]
        cfg, device = load_cfg("SynthAV/AVSLOWFAST_TINY", [*keys, *RECIPES[recipe]]), torch.device("cpu")
        datasets = build_datasets(cfg)
        records = RunData.of(datasets)
        trainer = Trainer(cfg, device, datasets["train"])
        run = RunFolder.open(cfg, records, RunFolder.plan(cfg, records), device)
        trainer.identity = {"run_id": run.record.id, "data": run.record.data}
        trainer.hooks = [Clock(rows), *build_hooks(cfg, trainer, run, datasets["val"])]
        trainer.train()
    return rows


def main() -> None:
    """Train every recipe with every seed and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/synthav", help="folder of SynthAV (default: %(default)s)")
    parser.add_argument("--target", type=float, default=97.8, help="validation top-1, percent (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each recipe (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="trainings at a time (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write all rows to a file")
    args = parser.parse_args()
    with processes(args.processes, "spawn") as pool:
        runs = {
            (recipe, seed): pool.submit(train, recipe, seed, args.data)
            for seed in range(1, args.seeds + 1)
            for recipe in RECIPES
        }
    rows = {recipe: [runs[recipe, seed].result() for seed in range(1, args.seeds + 1)] for recipe in RECIPES}
    print("| recipe | steps | clips | CPU s | best top-1 | reached | steps until then | clips | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for recipe, trainings in rows.items():
        ends = [training[-1] for training in trainings]
        hits = [next((row for row in training if row["best"] >= args.target), None) for training in trainings]
        reached = [row for row in hits if row is not None]
        cells = [recipe, *(_text(ends, name) for name in ("steps", "clips", "seconds", "best"))]
        cells += [f"{len(reached)} of {len(hits)}", *(_text(reached, name) for name in ("steps", "clips", "seconds"))]
        print(f"| {' | '.join(cells)} |")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)


def _text(rows: list[dict[str, Any]], name: str) -> str:
    """Mean of a column with its smallest and largest value."""
    values = [row[name] for row in rows]
    if not values:
        return ""
    digits = 1 if name == "best" else 0
    mean = f"{statistics.mean(values):.{digits}f}"
    if min(values) == max(values):
        return mean
    return f"{mean} ({min(values):.{digits}f} - {max(values):.{digits}f})"


if __name__ == "__main__":
    run_program(main)
