"""Suites of small networks: planned, trained in processes, measured, written down."""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import yaml
from tqdm import tqdm

from ..config import load_cfg
from ..config.reading import LONGEST_YAML
from ..utils.errors import UserError
from ..utils.text import read_json, read_text, write_text

# What an entry of a file of suites has; overrides may be left out.
_FIELDS: dict[str, dict[str, type]] = {
    "scales": {"jobs_of_one_thread": bool, "overrides": dict, "clips": dict},
    "suites": {
        "title": str,
        "claim": str,
        "note": str,
        "cfg": str,
        "variant": str,
        "metrics": list,
        "overrides": dict,
        "variants": dict,
        "expect": list,
    },
}


class SuiteRunError(UserError, RuntimeError):
    """A training of a suite that failed, or a file of suites that cannot be read; the message says where to look."""


@dataclass(frozen=True)
class Run:
    """One training with its test.

    Attributes:
        folder: Its OUTPUT_DIR.
        command: The words that start it.
    """

    folder: str
    command: list[str]

    @property
    def done_file(self) -> str:
        """A file that exists when the run has ended, with the seconds that it took."""
        return os.path.join(self.folder, "seconds.json")


@dataclass(frozen=True)
class Chain:
    """The runs of one network of a suite; each starts from the weights of the one before it.

    Attributes:
        variant: Name of the variant in its suite.
        seed: Seed of every run.
        runs: In order; the last one is measured.
    """

    variant: str
    seed: int
    runs: list[Run]

    @property
    def folder(self) -> str:
        """OUTPUT_DIR of the run that is measured."""
        return self.runs[-1].folder

    @property
    def done(self) -> bool:
        """Whether all runs have ended."""
        return all(os.path.exists(run.done_file) for run in self.runs)


@dataclass(frozen=True)
class Settings:
    """How large and where.

    Attributes:
        scale: Name of the scale.
        values: Its entry in the file of suites: overrides, clips, jobs_of_one_thread.
        seeds: Seeds of each network, 1 to N.
        output: Folder for the runs.
        data: Folder for the videos.
        plugins: Modules of the user to import.
    """

    scale: str
    values: Mapping[str, Any]
    seeds: int
    output: str
    data: str
    plugins: Sequence[str] = ()

    def videos_of(self, variant: str) -> str:
        """Folder of a variant's videos."""
        return os.path.join(self.data, f"synthav_{variant}" + ("" if self.scale == "small" else f"_{self.scale}"))


def read_spec(path: str) -> dict[str, Any]:
    """A file of suites: {"scales": {name: ...}, "suites": {name: ...}}.

    Raises:
        TextError: The file cannot be read as text.
        SuiteRunError: It is not one of suites; names the suite and the key.
    """
    text = read_text(path)
    if len(text) > LONGEST_YAML:
        raise SuiteRunError(f"{path}: it has {len(text)} characters, which no file of suites has; give another file")
    try:
        spec = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise SuiteRunError(f"{path}: cannot be read ({' '.join(str(error).split())})") from None
    if not isinstance(spec, dict) or not all(spec.get(kind) and isinstance(spec[kind], dict) for kind in _FIELDS):
        raise SuiteRunError(f"{path}: scales or suites are missing; see configs/ablations.yaml for an example")
    for kind, fields in _FIELDS.items():
        for name, entry in spec[kind].items():
            wrong = _wrong(name, entry, fields) or (_wrong_suite(entry) if kind == "suites" else "")
            if wrong:
                raise SuiteRunError(f"{path}: {kind[:-1]} {name!r}: {wrong}; see configs/ablations.yaml for an example")
    return spec


def _wrong(name: Any, entry: Any, fields: Mapping[str, type]) -> str:
    """What is wrong with the form of a suite or a scale; "" for nothing. The name becomes that of files."""
    if not isinstance(name, str) or not re.fullmatch(r"\w[\w.-]*", name):
        return "a name has letters, digits, _, - and ."
    if not isinstance(entry, dict):
        return "it is no mapping"
    for key, kind in fields.items():
        if key not in entry and key != "overrides":
            return f"{key} is missing"
        if key in entry and not isinstance(entry[key], kind):
            return f"{key} is {entry[key]!r}, of another kind than {kind.__name__}"
    unknown = [str(key) for key in entry if key not in fields]
    return f"unknown key {unknown[0]}" if unknown else ""


def _wrong_suite(suite: Mapping[str, Any]) -> str:
    """What is wrong with the content of a suite; "" for nothing."""
    from ..synthav import VARIANTS

    if suite["variant"] not in VARIANTS:
        return f"variant is {suite['variant']!r}; use one of {', '.join(VARIANTS)}"
    if not suite["metrics"] or not all(isinstance(metric, str) for metric in suite["metrics"]):
        return "metrics is no list of names"
    for name, stages in suite["variants"].items():
        if not isinstance(name, str) or not all(
            isinstance(stage, dict) for stage in (stages if isinstance(stages, list) and stages else [stages])
        ):
            return f"variants: {name!r} is no mapping of keys of the configuration, or a list of them"
    for pair in suite["expect"]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(name in suite["variants"] for name in pair):
            return f"expect: {pair!r} is no pair [better, worse] of variants"
    return "" if suite["variants"] else "variants is empty"


def plan(suite: Mapping[str, Any], settings: Settings) -> list[Chain]:
    """The networks of a suite: one chain per variant and seed.

    Args:
        suite: Its entry in the file of suites.
        settings: How large and where.
    """
    chains = []
    for variant, stages in suite["variants"].items():
        for seed in range(1, settings.seeds + 1):
            runs: list[Run] = []
            for stage in stages if isinstance(stages, list) else [stages]:
                runs.append(_plan_run(suite, stage, seed, settings, runs[-1].folder if runs else None))
            chains.append(Chain(variant, seed, runs))
    return chains


def _plan_run(
    suite: Mapping[str, Any], stage: Mapping[str, Any], seed: int, settings: Settings, start: str | None
) -> Run:
    options = {
        **suite.get("overrides", {}),
        **settings.values["overrides"],
        **{key: value for key, value in stage.items() if key != "cfg"},
        "RNG_SEED": seed,
        "DATA.PATH_TO_DATA_DIR": settings.videos_of(suite["variant"]),
    }
    if start:
        options["TRAIN.CHECKPOINT_FILE_PATH"] = start
    name = stage.get("cfg", suite["cfg"])
    cfg = load_cfg(name, [word for pair in options.items() for word in pair], settings.plugins)
    # Named after everything that it depends on: what two suites share is one run.
    key = hashlib.sha256(cfg.dump().encode()).hexdigest()[:16]
    folder = os.path.join(settings.output, settings.scale, key)
    words = [word for pair in {**options, "OUTPUT_DIR": folder}.items() for word in (pair[0], str(pair[1]))]
    plugins = [word for plugin in settings.plugins for word in ("--import", plugin)]
    return Run(folder, [sys.executable, "-m", "avslowfast", "train", name, *plugins, *words])


def render(variants: Iterable[str], settings: Settings) -> None:
    """Render the videos that are missing."""
    from ..synthav import render_dataset, VARIANTS

    for variant in variants:
        sizes = VARIANTS[variant]
        counts = dict(zip(sizes, settings.values["clips"].get(variant, sizes.values())))
        print(render_dataset(settings.videos_of(variant), variant, counts, 0, os.cpu_count() or 1))


def train_all(chains: Sequence[Chain], jobs: int, settings: Settings) -> None:
    """Train what is not trained yet, several at a time, with one bar.

    Raises:
        SuiteRunError: A training failed.
    """
    one_thread = {"OMP_NUM_THREADS": "1"} if settings.values["jobs_of_one_thread"] else {}
    env = {**os.environ, "PYTHONWARNINGS": "ignore", **one_thread}
    networks = {chain.folder: chain for chain in chains}
    waiting = [chain for chain in networks.values() if not chain.done]
    print(f"{len(networks)} networks, {len(networks) - len(waiting)} of them trained already")
    # A run that chains share (a pre-training) is trained by the first that comes to it; the others wait.
    locks = {run.folder: threading.Lock() for chain in waiting for run in chain.runs}
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(waiting), desc="networks", disable=None) as bar:
        futures = [pool.submit(_train_chain, chain, env, locks) for chain in waiting]
        try:
            for future in futures:
                future.result()
                bar.update(1)
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _train_chain(chain: Chain, env: Mapping[str, str], locks: Mapping[str, threading.Lock]) -> None:
    for run in chain.runs:
        with locks[run.folder]:
            if not os.path.exists(run.done_file):
                _train_run(run, env, keep_weights=run is not chain.runs[-1])


def _train_run(run: Run, env: Mapping[str, str], keep_weights: bool) -> None:
    """Train and test one network in a process with a log; weights that nothing starts from are removed."""
    began = time.time()
    os.makedirs(run.folder, exist_ok=True)
    log = os.path.join(run.folder, "output.log")
    with open(log, "w", encoding="utf-8") as f:
        code = subprocess.run(run.command, env=dict(env), stdout=f, stderr=subprocess.STDOUT).returncode
    if code:
        with open(log, encoding="utf-8", errors="replace") as f:
            last = ([line.strip() for line in f if line.strip()] or [""])[-1]
        raise SuiteRunError(f"{' '.join(run.command)}: exit code {code}; the last line of {log}: {last}")
    if not keep_weights:
        shutil.rmtree(os.path.join(run.folder, "checkpoints"), ignore_errors=True)
    write_text(run.done_file, json.dumps(time.time() - began))


def measured(chain: Chain, metrics: Iterable[str]) -> dict[str, float]:
    """A chain's metrics, and "seconds": what its runs took."""
    seconds = 0.0
    for run in chain.runs:
        took = read_json(run.done_file)
        if not isinstance(took, int | float):
            raise SuiteRunError(f"{run.done_file}: not the seconds of a run; remove it, and the run is made again")
        seconds += took
    results = read_json(os.path.join(chain.folder, "results.json"))
    known = results if isinstance(results, dict) else {}
    missing = [metric for metric in metrics if not isinstance(known.get(metric), int | float)]
    if missing:
        raise SuiteRunError(f"{chain.folder}/results.json: no {missing[0]} in it, which the suite's metrics name")
    return {**{metric: float(results[metric]) for metric in metrics}, "seconds": seconds}


def write_results(
    name: str, suite: Mapping[str, Any], chains: Sequence[Chain], settings: Settings, jobs: int, docs: str
) -> None:
    """A suite's CSV, plot and facts (JSON) in the folder `docs`/ablations."""
    from ..visualization.ablation import draw_suite, write_rows
    from ..visualization.draw import save_svg

    rows: list[dict[str, Any]] = [
        {"variant": chain.variant, "seed": chain.seed, **measured(chain, suite["metrics"])} for chain in chains
    ]
    base = os.path.join(docs, "ablations", name)
    write_rows(f"{base}.csv", rows)
    save_svg(draw_suite(suite, rows), f"{base}.svg")
    facts = {
        "command": f"avslowfast ablate {name}"
        + (f" --scale {settings.scale}" if settings.scale != "small" else "")
        + (f" --seeds {settings.seeds}" if settings.seeds != 3 else ""),
        **_machine(),
        "date": time.strftime("%Y-%m-%d"),
        "jobs": jobs,
        "minutes": sum(float(row["seconds"]) for row in rows) / 60 / jobs,
    }
    write_text(f"{base}.json", json.dumps(facts, indent=1))


def _machine() -> dict[str, str]:
    import torch

    gpu = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if gpu else f"CPU ({platform.machine()}, {os.cpu_count()} cores)"
    return {"machine": name, "torch": torch.__version__}


def write_page(spec: Mapping[str, Any], docs: str) -> str:
    """Write ABLATIONS.md into the folder `docs` from the suites that have results; gives its path."""
    from ..visualization.ablation import read_rows, section

    parts = [
        "# Ablations",
        "",
        "What the paper (arXiv 2001.08740) claims, tried on small networks and SynthAV, whatever came out. Made by",
        "`avslowfast ablate all`. The data were fixed before the suites were run; nothing was tuned to them.",
        "Variants are compared seed by seed. The interval of a difference is the 95 % t interval of its mean over the",
        "seeds; a claim is supported where it lies above 0, contradicted where it lies below, else inconclusive, as",
        "without an interval (one seed, or the same difference in all). With three seeds much remains inconclusive,",
        "and networks this small on rendered videos say little about Kinetics.",
        "Suites of different dates were run by different versions of the code: compare variants within a suite.",
        "",
    ]
    for name, suite in spec["suites"].items():
        base = os.path.join(docs, "ablations", name)
        if os.path.exists(f"{base}.json"):
            facts = read_json(f"{base}.json")
            text = (
                f"`{facts['command']}`, {facts['machine']}, torch {facts['torch']}, {facts['date']}: about "
                f"{facts['minutes']:.0f} minutes with {facts['jobs']} at a time, what other suites share included."
            )
            parts.append(section(name, suite, read_rows(f"{base}.csv"), text))
    path = os.path.join(docs, "ABLATIONS.md")
    write_text(path, "\n".join(parts))
    return path
