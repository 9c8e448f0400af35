#!/usr/bin/env python3
"""The main job from nothing: render SynthAV, train and test the tiny AVSlowFast, then the same network without sound and without sight.

Example:
    python tools/quickstart.py

SynthAV's 16 classes are pairs of 4 motions and 4 sounds, so sight alone and sound alone cannot pass 25 %. An interrupted run goes on
where it stopped when the command is given again; `--fresh` starts anew.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

import make_synthav

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ARCHS = (("avslowfast", "sight and sound", 100), ("slowfast", "sight alone", 25), ("audio", "sound alone", 25))


def main():
    """Render, train, test, print the three numbers side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="data/synthav", help="folder for the videos (default: %(default)s)")
    parser.add_argument(
        "--output", default="output", help="folder for checkpoints, logs and results (default: %(default)s)"
    )
    parser.add_argument(
        "--short",
        action="store_true",
        help="a look at the machinery in about a minute: few clips, one epoch, no meaning in the numbers",
    )
    parser.add_argument("--fresh", action="store_true", help="remove earlier output first")
    args = parser.parse_args()
    began = time.time()
    clips, overrides = {"train": 640, "val": 96, "test": 320}, []
    if args.short:
        args.data, args.output = f"{args.data}_short", f"{args.output}/short"
        clips = {"train": 64, "val": 16, "test": 32}
        overrides = ["SOLVER.MAX_EPOCH", "1", "SOLVER.WARMUP_EPOCHS", "0"]
    make_synthav.make(args.data, "pairs", clips, 0, os.cpu_count())
    rows = []
    for arch, senses, ceiling in ARCHS:
        folder = os.path.join(args.output, f"synthav_{arch}")
        if args.fresh:
            shutil.rmtree(folder, ignore_errors=True)
        command = [
            sys.executable,
            os.path.join(ROOT, "tools/run_net.py"),
            "--cfg",
            os.path.join(ROOT, "configs/SynthAV/AVSLOWFAST_TINY.yaml"),
            "MODEL.ARCH",
            arch,
            "DATA.PATH_TO_DATA_DIR",
            args.data,
            "OUTPUT_DIR",
            folder,
            *overrides,
        ]
        code = subprocess.run(command).returncode
        if code:
            sys.exit(code)
        with open(os.path.join(folder, "results.json")) as f:
            results = json.load(f)
        rows.append((arch, senses, ceiling, results))
    print(
        f"\nSynthAV pairs, {clips['train']} training and {clips['test']} test clips, {time.time() - began:.0f} s in all"
    )
    print(f"{'architecture':<14}{'senses':<18}{'test top-1 %':>14}{'ceiling %':>11}{'M params':>10}{'GFLOPs':>9}")
    for arch, senses, ceiling, results in rows:
        print(
            f"{arch:<14}{senses:<18}{results['top1']:>14.1f}{ceiling:>11}{results['parameters_m']:>10.2f}{results['gflops']:>9.3f}"
        )


if __name__ == "__main__":
    main()
