#!/usr/bin/env python3
"""Write MODEL_ZOO.md: every configuration of the papers' networks, measured, with what has been published for it.

Example:
    python tools/make_model_zoo.py

Parameters and multiply-adds are measured on the networks that the configurations build (two minutes on 2 CPU cores). Published accuracies,
their sources and the released checkpoints that fit come from configs/published.csv.
"""

import argparse
import csv
import os
import sys

from tqdm import tqdm

from avslowfast.config import load_cfg
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.models.complexity import count_gflops, count_parameters

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TITLES = {"Kinetics": "Kinetics-400", "Kinetics600": "Kinetics-600"}
_HEAD = """# Model zoo

Made by `python tools/make_model_zoo.py` from `configs/` and `configs/published.csv`; a test fails when it is stale.

Parameters (millions, synchronisation heads included) and GFLOPs (multiply-adds of one view at the test crop, as fvcore counts them) are measured on the
networks. Accuracies are published ones, of 10 x 3 views, from the source named beside them; **nothing here has been trained on Kinetics by this project
yet**. An empty cell means that no figure has been gathered, or that no released checkpoint is known.

A checkpoint that fits loads with `load_weights`, `TEST.CHECKPOINT_FILE_PATH` or `avslowfast.load_model`, whatever its format; this was tested on the names and
shapes of the formats, not on the released files themselves. "Visual weights" start an audiovisual network
(`TRAIN.CHECKPOINT_FILE_PATH`) whose audio pathway is fresh.
"""
_COLUMNS = (
    "| configuration | M parameters | GFLOPs | top-1 | top-5 | source | checkpoint |\n|---|---|---|---|---|---|---|\n"
)


def published():
    """Rows of configs/published.csv, in order: {"config", "top1", "top5", "source", "checkpoint"}."""
    with open(os.path.join(ROOT, "configs/published.csv"), newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def measure(config):
    """(M parameters, GFLOPs) of a configuration, as the page prints them."""
    cfg = load_cfg(os.path.join(ROOT, "configs", f"{config}.yaml"))
    model = build_model(cfg)
    return (
        f"{count_parameters(model) / 1e6:.2f}",
        f"{count_gflops(model, input_shapes(cfg, cfg.DATA.TEST_CROP_SIZE)):.2f}",
    )


def line(row, size, gflops):
    """One row of a table."""
    folder, name = row["config"].split("/")
    cells = (
        f"[{name}](configs/{folder}/{name}.yaml)",
        size,
        gflops,
        row["top1"],
        row["top5"],
        row["source"],
        row["checkpoint"],
    )
    return "| " + " | ".join(cells) + " |\n"


def page(rows, measured):
    """The whole page; `measured` is {config: (M parameters, GFLOPs)}."""
    text = _HEAD
    for folder, title in _TITLES.items():
        text += f"\n## {title}\n\n{_COLUMNS}"
        text += "".join(line(row, *measured[row["config"]]) for row in rows if row["config"].startswith(folder + "/"))
    return text


def main(argv=None):
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", default=os.path.join(ROOT, "MODEL_ZOO.md"), help="file to write (default: MODEL_ZOO.md of the project)"
    )
    args = parser.parse_args(argv)
    rows = published()
    measured = {row["config"]: measure(row["config"]) for row in tqdm(rows, desc="measuring", disable=None)}
    with open(args.out, "w", encoding="utf-8") as f:
        f.write(page(rows, measured))
    print(f"{args.out}: {len(rows)} configurations")


if __name__ == "__main__":
    sys.exit(main())
