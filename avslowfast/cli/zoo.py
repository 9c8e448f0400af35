"""Write MODEL_ZOO.md: every configuration of the papers' networks, measured, with what has been published for it.

Example:
    avslowfast zoo

Parameters and multiply-adds are measured on the networks that the configurations build (two minutes on 2 CPU cores).
Published accuracies, their sources and the released checkpoints that fit come from configs/published.csv. Exit codes: 0
done; 2 a mistake.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence

from .parser import CommandParser, written_file

# Folder of configs/: title, {column of configs/published.csv: its heading}.
_SECTIONS = {
    "Kinetics": ("Kinetics-400", {"top1": "top-1", "top5": "top-5"}),
    "Kinetics600": ("Kinetics-600", {"top1": "top-1", "top5": "top-5"}),
    "AVA": ("AVA", {"map": "mAP"}),
    "Charades": ("Charades", {"map": "mAP"}),
    "EPIC100": ("EPIC-Kitchens-100", {}),
}
_HEAD = """# Model zoo

Made by `avslowfast zoo` from `configs/` and `configs/published.csv`; a test fails when it is stale.

Parameters (millions, synchronisation heads included) and GFLOPs (multiply-adds of one view at the test crop, as fvcore
counts them; PyTorchVideo's own figures differ by up to 1 %) are measured on the networks. Accuracies are published
ones, of 10 x 3 views (AVA: one view of each key frame), from the source in their row; **nothing here has been trained
on these data sets by this project yet**. An empty cell means that no figure has been gathered, or that no released
checkpoint is known. Weights that were trained on Kinetics-600 are not proposed for Kinetics-400: the lists of the two
overlap, so videos of the validation may have been trained on.

A checkpoint that fits loads with `load_weights`, `TEST.CHECKPOINT_FILE_PATH` or `avslowfast.load_model`, whatever its
format; this was tested on the names and shapes of the formats, not on the released files themselves. "Visual weights"
start an audiovisual network (`TRAIN.CHECKPOINT_FILE_PATH`) whose audio pathway is fresh.
"""


def add_arguments(parser: CommandParser) -> None:
    """The file to write."""
    parser.add_argument(
        "--out",
        type=written_file,
        metavar="FILE",
        help="file to write (default: MODEL_ZOO.md of the repository, else here)",
    )


def run(args: argparse.Namespace) -> int:
    """Measure and write."""
    from tqdm import tqdm

    from ..utils.text import write_text
    from .checkout import document

    out = args.out or str(document("MODEL_ZOO.md"))
    rows = published()
    measured = {row["config"]: measure(row["config"]) for row in tqdm(rows, desc="measuring", disable=None)}
    write_text(out, page(rows, measured))
    print(f"{out}: {len(rows)} configurations")
    return 0


def published() -> list[dict[str, str]]:
    """Rows of configs/published.csv, in order: "config", "top1", "top5", "map", "source", "checkpoint"."""
    from ..config.zoo import CONFIGS

    with open(CONFIGS / "published.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def measure(config: str) -> tuple[str, str]:
    """(M parameters, GFLOPs) of a configuration, as the page prints them."""
    import torch

    from ..config import derived, load_cfg
    from ..models import build_model
    from ..models.build import input_shapes
    from ..models.complexity import count_gflops, count_parameters

    cfg = load_cfg(config)
    model = build_model(cfg)
    crop = cfg.DATA.TEST_CROP_SIZE
    boxes = torch.tensor([[0.0, 0.0, 0.0, crop, crop]]) if derived.task_facts(cfg).boxes else None
    gflops = count_gflops(model, input_shapes(cfg, crop), boxes)
    return f"{count_parameters(model) / 1e6:.2f}", f"{gflops:.2f}"


def page(rows: Sequence[Mapping[str, str]], measured: Mapping[str, tuple[str, str]]) -> str:
    """The whole page.

    Args:
        rows: Those of `published`.
        measured: {config: (M parameters, GFLOPs)}.
    """
    text = _HEAD
    for folder, (title, figures) in _SECTIONS.items():
        heads = ["configuration", "M parameters", "GFLOPs", *figures.values(), "source", "checkpoint"]
        text += f"\n## {title}\n\n{_line(heads)}{'|---' * len(heads)}|\n"
        for row in rows:
            name = row["config"].removeprefix(folder + "/")
            if name != row["config"]:
                link = f"[{name}](configs/{row['config']}.yaml)"
                shown = [row[column] for column in (*figures, "source", "checkpoint")]
                text += _line([link, *measured[row["config"]], *shown])
    return text


def _line(cells: Sequence[str]) -> str:
    """One row of a table."""
    return "| " + " | ".join(cells) + " |\n"
