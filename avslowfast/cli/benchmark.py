"""Measure how fast things are; prints a table and JSON.

Examples:
    avslowfast benchmark decode Kinetics/AVSLOWFAST_4x16_R50
    avslowfast benchmark loader Kinetics/AVSLOWFAST_4x16_R50 --against baseline --against torchcodec
    avslowfast benchmark storage Kinetics/AVSLOWFAST_4x16_R50
    avslowfast benchmark memory Kinetics/AVSLOWFAST_4x16_R50
    avslowfast benchmark lists Kinetics/AVSLOWFAST_4x16_R50 --lines 2000000
    avslowfast benchmark step Kinetics/AVSLOWFAST_4x16_R50_AUTHORS --batch 2
    avslowfast benchmark profile Kinetics/AVSLOWFAST_4x16_R50_AUTHORS --batch 2
    avslowfast benchmark test SynthAV/AVSLOWFAST_TINY --against baseline TEST.NUM_ENSEMBLE_VIEWS 10
    avslowfast benchmark scaling SynthAV/AVSLOWFAST_TINY
    avslowfast benchmark growth Kinetics/AVSLOWFAST_8x8_R50 --plot docs/growth.png

Medians over repeats, after a warm-up; alternatives that are compared take turns. decode, loader, storage, memory and
test read rendered videos of Kinetics' kind (10 s, 454x256, 30 frames per second, a key frame every 8.3 s, AAC). storage
reads them from files, tar shards and an S3 server on this machine. step measures the GPU's modes where there is a GPU,
profile the parts of one step. BENCHMARKS.md has the measured figures. The command needs a clone of the repository,
whose folder benchmarks/ is not part of the installed package. Exit codes: 0 done; 2 a mistake.
"""

import argparse
import json
import os
import platform
import sys
from typing import Any

from .parser import CommandParser, count_of, drawn_file, UsageError, written_file


def add_arguments(parser: CommandParser) -> None:
    """What to measure, with which configuration."""
    parser.add_argument(
        "what",
        choices=["decode", "loader", "storage", "memory", "lists", "step", "profile", "test", "scaling", "growth"],
        help="what to measure",
    )
    parser.add_configuration()
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        choices=["baseline", "naive", "usual", "torchcodec"],
        help="measure the baseline of loader and test as well (naive and usual are earlier names of it), or "
        "torchcodec for loader; may be given twice",
    )
    parser.add_argument(
        "--batch",
        type=count_of(1, 65536),
        default=2,
        help="clips in a step, and in a forward pass of the test (default: %(default)s)",
    )
    parser.add_argument("--repeats", type=count_of(1, 1000), help="measurements (default: 5; test and growth 3)")
    parser.add_argument("--videos", type=count_of(1, 10_000), help="rendered videos (default: 8; test 2)")
    parser.add_argument(
        "--clips",
        type=count_of(1, 10**7),
        default=2000,
        help="clips over which memory is measured (default: %(default)s)",
    )
    parser.add_argument(
        "--lines", type=count_of(1, 10**8), default=2_000_000, help="lines of the list file (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=count_of(1, 1024), help="torch's threads (default: torch's choice; loader and memory 1)"
    )
    parser.add_argument(
        "--data",
        default="data/benchmark",
        metavar="DIR",
        help="folder for rendered videos and lists (default: %(default)s)",
    )
    parser.add_argument("--plot", type=drawn_file, metavar="FILE", help="plot of growth")
    parser.add_argument("--json", type=written_file, metavar="FILE", help="write the figures to a file")


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write JSON where asked for."""
    from .checkout import checkout

    root = checkout()
    if root is None:
        raise UsageError("benchmark needs a clone of the repository: benchmarks/ is not part of the installed package")
    from ..config import load_cfg

    # Modules of the user are named by a key, so that processes that are started for a measurement import them too.
    args.overrides += ["PLUGINS", args.imports] if args.imports else []
    # A mistake in the configuration ends here, before torch is imported.
    load_cfg(args.config, [*args.overrides, "NUM_GPUS", 0])
    sys.path.insert(0, str(root))

    import av
    import torch

    from benchmarks.measure import table

    from ..utils.text import write_text

    if args.threads:
        torch.set_num_threads(args.threads)
    rows = _measure(args)
    about = {
        "what": args.what,
        "cfg": args.config,
        "overrides": args.overrides,
        "machine": _machine(),
        "torch": torch.__version__,
        "av": av.__version__,
        "threads": torch.get_num_threads(),
    }
    print(table(rows))
    text = json.dumps({**about, "rows": rows})
    print(text)
    if args.json:
        write_text(args.json, text + "\n")
    return 0


def _measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of what was asked for."""
    import torch

    from benchmarks import data, lists, step
    from benchmarks.torchcodec_clips import missing

    from ..config import load_cfg
    from ..visualization.draw import draw_growth

    gpu = torch.cuda.is_available()
    cfg = load_cfg(args.config, [*args.overrides, "NUM_GPUS", int(gpu and args.what in ("step", "profile"))])
    few, many, baseline = args.repeats or 3, args.repeats or 5, bool({*args.against} - {"torchcodec"})
    if args.what == "growth":
        rows = step.growth(args.config, args.overrides, args.batch, few)
        if args.plot:
            draw_growth(rows, args.plot)
        return rows
    if args.what == "profile":
        from benchmarks.profile import parts_of_a_step

        return parts_of_a_step(cfg, torch.device("cuda" if gpu else "cpu"), args.batch)
    if args.what == "storage":
        from benchmarks.storage import storage

        return storage(cfg, args.data, many, args.videos or 8)
    if args.what == "step" and gpu:
        return step.on_gpu(args.config, args.overrides, args.batch)
    torchcodec = "torchcodec" in args.against
    if torchcodec and (reason := missing()):
        raise UsageError(reason)
    measurements = {
        "decode": lambda: data.decode(cfg, args.data, many, args.videos or 8),
        "loader": lambda: data.loader(cfg, args.data, many, args.videos or 8, baseline, torchcodec),
        "memory": lambda: [data.growth(cfg, args.data, args.clips, args.videos or 8)],
        "lists": lambda: lists.lists(args.config, args.overrides, args.data, args.lines),
        "test": lambda: data.test(cfg, args.data, few, args.videos or 2, baseline, args.batch),
        "scaling": lambda: step.scaling(args.config, args.overrides, args.batch, repeats=few),
        "step": lambda: step.on_cpu(args.config, args.overrides, args.batch, many),
    }
    return measurements[args.what]()


def _machine() -> str:
    """The card, or the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        name = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores"
