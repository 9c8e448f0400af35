"""Render SynthAV, train and test the tiny AVSlowFast on it, then the same network with one modality alone.

Examples:
    avslowfast quickstart
    avslowfast quickstart --short

SynthAV's 16 classes are pairs of 4 motions and 4 kinds of audio, so with one modality 25 % are expected at best. An
interrupted run resumes when the command is given again; --fresh starts from the beginning. Exit codes: 0 done; else
that of the training that did not end well (2, 75: see train).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

from .parser import CommandParser, written

_ARCHITECTURES = (
    ("avslowfast", "visual and audio", 100),
    ("slowfast", "visual alone", 25),
    ("audio", "audio alone", 25),
)


def add_arguments(parser: CommandParser) -> None:
    """Folders, and how much of it."""
    parser.add_argument("--data", default="data/synthav", help="folder for the videos (default: %(default)s)")
    parser.add_argument(
        "--output",
        type=written,
        default="output",
        help="folder for checkpoints, logs and results (default: %(default)s)",
    )
    parser.add_argument(
        "--short",
        action="store_true",
        help="try everything in about a minute: few clips, one epoch, no meaning in the numbers",
    )
    parser.add_argument("--fresh", action="store_true", help="remove earlier output first")


def run(args: argparse.Namespace) -> int:
    """Render, train, test, print the three results."""
    from ..synthav import render_dataset, VARIANTS
    from ..utils.alive import hushed

    began, data, output = time.time(), args.data, args.output
    clips, overrides = VARIANTS["pairs"], []
    if args.short:
        data, output = f"{data}_short", f"{output}/short"
        clips = {"train": 64, "val": 16, "test": 32}
        overrides = ["SOLVER.MAX_EPOCH", "1", "SOLVER.WARMUP_EPOCHS", "0"]
    print(render_dataset(data, "pairs", clips, 0, os.cpu_count() or 1))
    rows = []
    for number, (arch, modalities, ceiling) in enumerate(_ARCHITECTURES, 1):
        print(f"\nnetwork {number} of {len(_ARCHITECTURES)}: {arch} ({modalities})", flush=True)
        folder = os.path.join(output, f"synthav_{arch}")
        if args.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        # A process each, as a person would start them one after another.
        command = [sys.executable, "-m", "avslowfast", "train", "SynthAV/AVSLOWFAST_TINY", "MODEL.ARCH", arch]
        command += ["DATA.PATH_TO_DATA_DIR", data, "OUTPUT_DIR", folder, *overrides]
        with hushed():
            code = subprocess.run(command).returncode
        if code:
            return code if code > 0 else 128 - code
        with open(os.path.join(folder, "results.json"), encoding="utf-8") as f:
            results = json.load(f)
        numbers = f"{results['top1']:>14.1f}{ceiling:>11}{results['parameters_m']:>10.2f}{results['gflops']:>9.3f}"
        rows.append(f"{arch:<14}{modalities:<18}{numbers}")
    counts = f"{clips['train']} training and {clips['test']} test clips"
    print(f"\nSynthAV pairs, {counts}, {time.time() - began:.0f} s in all")
    print(f"{'architecture':<14}{'modalities':<18}{'test top-1 %':>14}{'ceiling %':>11}{'M params':>10}{'GFLOPs':>9}")
    print("\n".join(rows))
    chance = 100 * (0.25 * 0.75 / clips["test"]) ** 0.5
    print(
        "ceiling: expected accuracy of a network without mistakes; one modality leaves a choice of four classes to "
        f"chance (standard deviation {chance:.1f} points)"
    )
    return 0
