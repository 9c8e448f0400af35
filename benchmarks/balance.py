"""Mean class accuracy on SynthAV with uneven classes, with and without DATA.BALANCE.

Example:
    python -m benchmarks.balance --data data/synthav --out output/balance

Classes are balanced from the start, or for the classifier alone, on the network that was trained without (as in arXiv
1910.09217). The largest class keeps its training videos and the smallest a twentieth of them, the others a geometric
series between; which class gets how many is drawn by the seed, so that no class is always rare. Validation and test
stay even, so that top-1 and mean class accuracy are the same number. A training that is done is not repeated.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict

from .measure import run_program

# {name of a way: (DATA.BALANCE, whether only the classifier of the network of "none" is trained)}.
WAYS = {
    "none": ("none", False),
    "sampling": ("sampling", False),
    "weights": ("weights", False),
    "classifier_none": ("none", True),
    "classifier_sampling": ("sampling", True),
    "classifier_weights": ("weights", True),
}
# Epochs of a classifier alone; nothing else learns, so that there is nothing to synchronise.
_CLASSIFIER = ["SOLVER.MAX_EPOCH", "10", "FINETUNE.FREEZE", "[slow, fast, audio, laterals]"]
_CLASSIFIER += ["SLOWFAST.AVS_FLAG", "[False, False, False, False, False]"]


def write_uneven_lists(data: str, folder: str, ratio: float, seed: int) -> dict[int, int]:
    """Write the lists of an uneven SynthAV.

    Args:
        data: Folder of SynthAV.
        folder: Where the lists go; paths in them are relative to `data`.
        ratio: Videos of the largest class for each of the smallest.
        seed: Draws which class gets how many videos.

    Returns:
        Number of training videos by label.
    """
    by_label: dict[int, list[str]] = defaultdict(list)
    with open(os.path.join(data, "train.csv"), encoding="utf-8") as f:
        for line in f:
            by_label[int(line.split()[-1])].append(line)
    labels = sorted(by_label)
    random.Random(seed).shuffle(labels)
    counts = {
        label: round(len(by_label[label]) * ratio ** (-place / (len(labels) - 1))) for place, label in enumerate(labels)
    }
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "train.csv"), "w", encoding="utf-8") as f:
        f.writelines(line for label in sorted(by_label) for line in by_label[label][: counts[label]])
    for name in ("val.csv", "test.csv", "classes.txt"):
        shutil.copy(os.path.join(data, name), folder)
    return counts


def accuracies(data: str, out: str, way: str, ratio: float, seed: int, epochs: int) -> tuple[float, float]:
    """Train and test once; (mean class accuracy, that of the rarer half of the classes), in percent.

    Args:
        data: Folder of SynthAV.
        out: Folder for lists and runs.
        way: A name in `WAYS`.
        ratio: Videos of the largest class for each of the smallest.
        seed: RNG_SEED; draws the sizes of the classes as well.
        epochs: SOLVER.MAX_EPOCH of a whole network.
    """
    lists, run = os.path.join(out, f"lists_{seed}"), os.path.join(out, f"{way}_{seed}")
    balance, classifier_alone = WAYS[way]
    counts = write_uneven_lists(data, lists, ratio, seed)
    results = os.path.join(run, "results.json")
    if not os.path.exists(results):
        keys = ["DATA.PATH_TO_DATA_DIR", lists, "DATA.PATH_PREFIX", os.path.abspath(data), "DATA.BALANCE", balance]
        keys += ["OUTPUT_DIR", run, "RNG_SEED", str(seed), "TRAIN.EVAL_PERIOD", "10"]
        if not classifier_alone:
            keys += ["SOLVER.MAX_EPOCH", str(epochs)]
        else:
            start = os.path.join(out, f"none_{seed}", "checkpoints", "checkpoint_best.pyth")
            keys += ["TRAIN.CHECKPOINT_FILE_PATH", start, *_CLASSIFIER]
        command = [sys.executable, "-m", "avslowfast", "train", "SynthAV/AVSLOWFAST_TINY", *keys]
        # A training that ends early has said why.
        if code := subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            sys.exit(code)
    with open(results, encoding="utf-8") as f:
        by_class = list(json.load(f)["per_class_accuracy"].values())
    rare = sorted(counts, key=lambda label: counts[label])[: len(counts) // 2]
    return statistics.mean(by_class), statistics.mean(by_class[label] for label in rare)


def main() -> None:
    """Train with every way and seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/synthav", help="folder of SynthAV (default: %(default)s)")
    parser.add_argument("--out", default="output/balance", help="for lists and runs (default: %(default)s)")
    parser.add_argument("--ratio", type=float, default=20, help="largest to smallest class (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="of each training (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way (default: %(default)s)")
    args = parser.parse_args()
    seeds = range(1, args.seeds + 1)
    found = {
        (way, seed): accuracies(args.data, args.out, way, args.ratio, seed, args.epochs)
        for seed in seeds
        for way in WAYS
    }
    print(f"| way | {' | '.join(f'seed {seed}' for seed in seeds)} | mean | rarer half of the classes |")
    print(f"|---|{'---|' * (len(seeds) + 2)}")
    for way in WAYS:
        every, rare = zip(*(found[way, seed] for seed in seeds), strict=True)
        cells = [way, *(f"{value:.1f}" for value in (*every, statistics.mean(every), statistics.mean(rare)))]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    run_program(main)
