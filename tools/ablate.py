#!/usr/bin/env python3
"""Train the small networks of a suite over several seeds and write what they show.

Examples:
    python tools/ablate.py modality
    python tools/ablate.py all --seeds 5 --jobs 4
    python tools/ablate.py droppathway --scale large        # on a GPU

Suites (tools/ablations.yaml): modality, fusion, lateral, droppathway, avs, negatives, pretraining. A network that several suites share is
trained once; an interrupted suite goes on when the command is given again. Results go to docs/ablations (CSV, picture), and docs/ABLATIONS.md
is written anew from all suites that have them.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import torch
import yaml
from tqdm import tqdm

from avslowfast.config import load_cfg
from avslowfast.synthav.make import make
from avslowfast.utils.errors import UserError
from avslowfast.visualization.ablation import draw_suite, read_rows, section, write_rows

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_CLIPS = {"hard": [160, 64, 320], "bounces": [640, 96, 320]}


class RunFailed(UserError, RuntimeError):
    """A training ended with an error; the message says where its log is."""


def main(argv=None):
    """Train what is missing, then write CSV, pictures and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="+", metavar="SUITE", help="names, or all")
    parser.add_argument(
        "--spec",
        default=os.path.join(ROOT, "tools/ablations.yaml"),
        metavar="FILE",
        help="suites of your own (default: tools/ablations.yaml)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each network, 1 to N (default: %(default)s)")
    parser.add_argument("--scale", default="small", help="size of networks and data (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="networks trained at a time (default: one a core)"
    )
    parser.add_argument("--output", default="output/ablations", help="folder for the runs (default: %(default)s)")
    parser.add_argument("--data", default="data", help="folder for the videos (default: %(default)s)")
    parser.add_argument("--docs", default=os.path.join(ROOT, "docs"), help="folder for the page (default: docs)")
    args = parser.parse_args(argv)
    with open(args.spec, encoding="utf-8") as f:
        spec = yaml.safe_load(f)
    names = list(spec["suites"]) if "all" in args.suites else args.suites
    for kind, name in [("suites", name) for name in names] + [("scales", args.scale)]:
        if name not in spec[kind]:
            parser.error(f"{args.spec} has no {kind[:-1]} {name!r}; use one of {', '.join(spec[kind])}")
    scale = spec["scales"][args.scale]
    try:
        runs = {name: plan(name, spec["suites"][name], scale, args) for name in names}
        for variant in dict.fromkeys(spec["suites"][name]["variant"] for name in names):
            counts = scale["clips"].get(variant, _CLIPS[variant])
            print(
                make(folder_of(args, variant), variant, dict(zip(("train", "val", "test"), counts)), 0, os.cpu_count())
            )
        chains = {chain[-1]["folder"]: chain for suite in runs.values() for _, _, chain in suite}
        train_all(list(chains.values()), args.jobs, scale["jobs_of_one_thread"])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for name in names:
        suite, folder = spec["suites"][name], os.path.join(args.docs, "ablations")
        rows = [
            {"variant": variant, "seed": seed, **measured(chain, suite["metrics"])}
            for variant, seed, chain in runs[name]
        ]
        write_rows(os.path.join(folder, f"{name}.csv"), rows)
        draw_suite(suite, rows, os.path.join(folder, f"{name}.png"))
        with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as f:
            json.dump(about(name, args, rows), f, indent=1)
    print(f"wrote {write_page(spec, args.docs)}")
    return 0


def folder_of(args, variant):
    """Where a variant's videos lie."""
    return os.path.join(args.data, f"synthav_{variant}" + ("" if args.scale == "small" else f"_{args.scale}"))


def plan(name, suite, scale, args):
    """[(variant, seed, chain)] of a suite; a chain is a list of runs {"folder", "command"} that start from one another."""
    found = []
    for variant, stages in suite["variants"].items():
        for seed in range(1, args.seeds + 1):
            chain = []
            for stage in stages if isinstance(stages, list) else [stages]:
                own = {key: value for key, value in stage.items() if key != "cfg"}
                options = {
                    **suite.get("overrides", {}),
                    **scale["overrides"],
                    **own,
                    "RNG_SEED": seed,
                    "DATA.PATH_TO_DATA_DIR": folder_of(args, suite["variant"]),
                }
                if chain:
                    options["TRAIN.CHECKPOINT_FILE_PATH"] = chain[-1]["folder"]
                cfg_file = os.path.join(ROOT, stage.get("cfg", suite["cfg"]))
                cfg = load_cfg(cfg_file, [word for pair in options.items() for word in pair])
                # Named after everything that it depends on: what two suites share is one run.
                key = hashlib.sha256(cfg.dump().encode()).hexdigest()[:16]
                folder = os.path.join(args.output, args.scale, key)
                words = [word for pair in {**options, "OUTPUT_DIR": folder}.items() for word in (pair[0], str(pair[1]))]
                command = [sys.executable, os.path.join(ROOT, "tools/run_net.py"), "--cfg", cfg_file, *words]
                chain.append({"folder": folder, "command": command})
            found.append((variant, seed, chain))
    return found


def done_file(run):
    """A file that exists when a run has ended."""
    return os.path.join(run["folder"], "seconds.json")


def train_all(chains, jobs, one_thread):
    """Train what is not trained yet, several at a time, with one bar."""
    env = {**os.environ, "PYTHONWARNINGS": "ignore", **({"OMP_NUM_THREADS": "1"} if one_thread else {})}
    waiting = [chain for chain in chains if not all(os.path.exists(done_file(run)) for run in chain)]
    print(f"{len(chains)} networks, {len(chains) - len(waiting)} of them trained already")
    # A run that chains share (a pre-training) is trained by the first that comes to it; the others wait.
    locks = {run["folder"]: threading.Lock() for chain in waiting for run in chain}
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(waiting), desc="networks", disable=None) as bar:
        futures = [pool.submit(train_chain, chain, env, locks) for chain in waiting]
        try:
            for future in futures:
                future.result()
                bar.update(1)
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def train_chain(chain, env, locks):
    """Train the runs of a chain that are not trained yet."""
    for run in chain:
        with locks[run["folder"]]:
            if not os.path.exists(done_file(run)):
                train_run(run, env, keep_weights=run is not chain[-1])


def train_run(run, env, keep_weights):
    """Train and test one network in a process of its own; its log is in its folder. Weights that nothing starts from are removed."""
    began = time.time()
    os.makedirs(run["folder"], exist_ok=True)
    log = os.path.join(run["folder"], "output.log")
    with open(log, "w") as f:
        code = subprocess.run(run["command"], env=env, stdout=f, stderr=subprocess.STDOUT).returncode
    if code:
        with open(log) as f:
            last = ([line.strip() for line in f if line.strip()] or [""])[-1]
        raise RunFailed(f"{' '.join(run['command'])}: exit code {code}; the last line of {log}: {last}")
    if not keep_weights:
        shutil.rmtree(os.path.join(run["folder"], "checkpoints"), ignore_errors=True)
    with open(done_file(run), "w") as f:
        json.dump(time.time() - began, f)


def measured(chain, metrics):
    """A chain's metrics, and the seconds that its runs took."""
    seconds = 0.0
    for run in chain:
        with open(done_file(run)) as f:
            seconds += json.load(f)
    with open(os.path.join(chain[-1]["folder"], "results.json")) as f:
        results = json.load(f)
    return {**{metric: float(results[metric]) for metric in metrics}, "seconds": seconds}


def about(name, args, rows):
    """What a suite was run with."""
    machine = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPU ({platform.machine()}, {os.cpu_count()} cores)"
    )
    return {
        "command": f"python tools/ablate.py {name}"
        + (f" --scale {args.scale}" if args.scale != "small" else "")
        + (f" --seeds {args.seeds}" if args.seeds != 3 else ""),
        "machine": machine,
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d"),
        "jobs": args.jobs,
        "minutes": sum(row["seconds"] for row in rows) / 60 / args.jobs,
    }


def write_page(spec, docs):
    """docs/ABLATIONS.md from the suites that have results; gives its path."""
    parts = [
        "# Ablations",
        "",
        "What the paper (arXiv 2001.08740) claims, tried on small networks and SynthAV, and what came out, whether it agrees or not. Made by",
        '`python tools/ablate.py all`. The data were fixed before the suites were run; nothing was tuned to them. "Holds" means a difference of more',
        'than two standard errors in the claimed direction, "is contradicted" one in the other. With three seeds much remains undecided, and networks',
        "this small on rendered videos say little about Kinetics. Times are those of a machine that had other work to do as well.",
        "",
    ]
    for name, suite in spec["suites"].items():
        base = os.path.join(docs, "ablations", name)
        if os.path.exists(f"{base}.json"):
            with open(f"{base}.json", encoding="utf-8") as f:
                a = json.load(f)
            text = (
                f"`{a['command']}`, {a['machine']}, torch {a['torch']}, {a['date']}: about {a['minutes']:.0f} minutes with {a['jobs']} at a time, "
                "what other suites share included."
            )
            parts.append(section(name, suite, read_rows(f"{base}.csv"), text))
    path = os.path.join(docs, "ABLATIONS.md")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(parts))
    return path


if __name__ == "__main__":
    sys.exit(main())
