"""Train the small networks of a suite over several seeds and write what they show.

Examples:
    avslowfast ablate modality
    avslowfast ablate all --seeds 5 --jobs 4
    avslowfast ablate droppathway --scale large

Suites (configs/ablations.yaml): modality, fusion, lateral, droppathway, avs, negatives, pretraining. A network that
several suites share is trained once; an interrupted suite resumes when the command is given again. Results go to
docs/ablations (CSV, plot), and docs/ABLATIONS.md is written again from all suites that have results. The scale "large"
needs a GPU. Exit codes: 0 done; 2 a mistake, or a training that did not end well.
"""

import argparse
import os

from .parser import CommandParser, count_of, UsageError, written


def add_arguments(parser: CommandParser) -> None:
    """Suites, how many seeds, where things go."""
    parser.add_argument("suites", nargs="+", metavar="SUITE", help="names, or all")
    parser.add_argument("--spec", metavar="FILE", help="your suites (default: those that come with the package)")
    parser.add_argument(
        "--seeds", type=count_of(1, 1000), default=3, help="seeds of each network, 1 to N (default: %(default)s)"
    )
    parser.add_argument("--scale", default="small", help="size of networks and data (default: %(default)s)")
    parser.add_argument(
        "--jobs",
        type=count_of(1, 1024),
        default=os.cpu_count(),
        help="networks trained at a time (default: one per core)",
    )
    parser.add_argument(
        "--output", type=written, default="output/ablations", help="folder for the runs (default: %(default)s)"
    )
    parser.add_argument("--data", type=written, default="data", help="folder for the videos (default: %(default)s)")
    parser.add_argument(
        "--docs", type=written, help="folder for the page (default: docs of the repository, else ./docs)"
    )
    parser.add_imports()


def run(args: argparse.Namespace) -> int:
    """Train what is missing, then write CSV, plots and the page."""
    from ..config.zoo import CONFIGS
    from . import ablation_suites as suites
    from .checkout import document

    path = args.spec or str(CONFIGS / "ablations.yaml")
    spec = suites.read_spec(path)
    names = list(spec["suites"]) if "all" in args.suites else args.suites
    for kind, name in [("suites", name) for name in names] + [("scales", args.scale)]:
        if name not in spec[kind]:
            raise UsageError(f"{path} has no {kind[:-1]} {name!r}; use one of {', '.join(spec[kind])}")
    settings = suites.Settings(args.scale, spec["scales"][args.scale], args.seeds, args.output, args.data, args.imports)
    chains = {name: suites.plan(spec["suites"][name], settings) for name in names}
    suites.render(dict.fromkeys(spec["suites"][name]["variant"] for name in names), settings)
    suites.train_all([chain for name in names for chain in chains[name]], args.jobs, settings)
    docs = args.docs or str(document("docs"))
    for name in names:
        suites.write_results(name, spec["suites"][name], chains[name], settings, args.jobs, docs)
    print(f"wrote {suites.write_page(spec, docs)}")
    return 0
