#!/usr/bin/env python3
"""Measure how fast things are; prints a table and JSON. Medians over repeats, after a warm-up; ways that are compared take turns.

Examples:
    python tools/benchmark.py decode --cfg configs/Kinetics/AVSLOWFAST_4x16_R50.yaml
    python tools/benchmark.py loader --cfg configs/Kinetics/AVSLOWFAST_4x16_R50.yaml --against naive
    python tools/benchmark.py memory --cfg configs/Kinetics/AVSLOWFAST_4x16_R50.yaml
    python tools/benchmark.py step --cfg configs/Kinetics/AVSLOWFAST_4x16_R50_AUTHORS.yaml --batch 2
    python tools/benchmark.py profile --cfg configs/Kinetics/AVSLOWFAST_4x16_R50_AUTHORS.yaml --batch 2
    python tools/benchmark.py test --cfg configs/SynthAV/AVSLOWFAST_TINY.yaml --against usual TEST.NUM_ENSEMBLE_VIEWS 10 TEST.NUM_SPATIAL_CROPS 3
    python tools/benchmark.py scaling --cfg configs/SynthAV/AVSLOWFAST_TINY.yaml
    python tools/benchmark.py growth --cfg configs/Kinetics/AVSLOWFAST_8x8_R50.yaml --plot docs/growth.png

decode, loader, memory and test read rendered videos of Kinetics' kind (10 s, 454x256, 30 frames a second, a key frame every 8.3 s, AAC).
step takes the GPU's modes in turn where there is a GPU, profile one step's parts. BENCHMARKS.md holds what was measured.
"""

import argparse
import json
import os
import platform
import sys
from pathlib import Path

import av
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from avslowfast.config import load_cfg
from avslowfast.utils.errors import UserError
from avslowfast.visualization.draw import draw_growth
from benchmarks import data, step
from benchmarks.measure import table
from benchmarks.profile import parts_of_a_step


def main(argv=None):
    """Measure, print, and write JSON where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what",
        choices=["decode", "loader", "memory", "step", "profile", "test", "scaling", "growth"],
        help="what to measure",
    )
    parser.add_argument("--cfg", required=True, metavar="FILE", help="YAML configuration")
    parser.add_argument(
        "--against", choices=["naive", "usual"], help="measure the usual way as well (loader: naive, test: usual)"
    )
    parser.add_argument(
        "--batch", type=int, default=2, help="clips in a step, and in a forward pass of the test (default: %(default)s)"
    )
    parser.add_argument("--repeats", type=int, help="measurements (default: 5; test and growth 3)")
    parser.add_argument("--videos", type=int, help="rendered videos (default: 8; test 2)")
    parser.add_argument(
        "--clips", type=int, default=2000, help="clips over which memory is looked at (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, help="torch's threads (default: as many as it takes; loader and memory 1)"
    )
    parser.add_argument(
        "--data", default="data/benchmark", metavar="DIR", help="folder for the rendered videos (default: %(default)s)"
    )
    parser.add_argument("--plot", metavar="FILE", help="picture of growth")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file")
    parser.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="keys of the configuration and their values")
    args = parser.parse_intermixed_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        rows = measure(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    about = {
        "what": args.what,
        "cfg": args.cfg,
        "overrides": args.overrides,
        "machine": machine(),
        "torch": torch.__version__,
        "av": av.__version__,
        "threads": torch.get_num_threads(),
    }
    print(table(rows, list(dict.fromkeys(key for row in rows for key in row))))
    text = json.dumps({**about, "rows": rows})
    print(text)
    if args.json:
        os.makedirs(os.path.dirname(os.path.abspath(args.json)), exist_ok=True)
        with open(args.json, "w", encoding="utf-8") as f:
            f.write(text + "\n")
    return 0


def measure(args):
    """Rows of what was asked for."""
    gpu = torch.cuda.is_available()
    cfg = load_cfg(args.cfg, [*args.overrides, "NUM_GPUS", 1 if gpu and args.what in ("step", "profile") else 0])
    repeats = args.repeats or 5
    videos = args.videos or 8
    if args.what == "decode":
        return data.decode(cfg, args.data, repeats, videos)
    if args.what == "loader":
        return data.loader(cfg, args.data, repeats, videos, args.against)
    if args.what == "memory":
        return [data.growth(cfg, args.data, args.clips, videos)]
    if args.what == "test":
        return data.test(cfg, args.data, args.repeats or 3, args.videos or 2, args.against, args.batch)
    if args.what == "scaling":
        return step.scaling(args.cfg, args.overrides, args.batch, repeats=args.repeats or 3)
    if args.what == "growth":
        rows = step.growth(args.cfg, args.overrides, args.batch, args.repeats or 3)
        if args.plot:
            draw_growth(rows, args.plot)
        return rows
    if args.what == "profile":
        return parts_of_a_step(cfg, torch.device("cuda" if gpu else "cpu"), args.batch)
    return (
        step.on_gpu(args.cfg, args.overrides, args.batch)
        if gpu
        else step.on_cpu(args.cfg, args.overrides, args.batch, repeats)
    )


def machine():
    """The processor, or the card."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        name = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores"


if __name__ == "__main__":
    sys.exit(main())
