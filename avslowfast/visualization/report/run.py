"""What a run has left in its folder: configuration, log, results, scores."""

import datetime
import json
import os
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ...checkpoint.record import is_of_run
from ...config import parse_cfg
from ...config.names import Metric
from ...evaluation.build import best_metric
from ...evaluation.results import FACTS
from ...tasks.scores import FloatArray, names_of_head, ONLY, SavedScores
from ...utils.errors import UserError
from ...utils.remote import check_reachable
from ...utils.text import counted, read_json, read_text, TextError

# What begins the numbers in a line of the log; a line that a kill has torn may have another one behind it.
_STATS = "json_stats: "
# What begins a line, and what the first line of a start says.
_TIME, _START = (
    re.compile(r"\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\]", re.ASCII),
    re.compile(r": run \S+, start \d+: "),
)
# Seconds that a start needs for its lists, at most.
_READING = 120.0
_FRACTION = re.compile(r"\d+/[1-9]\d*", re.ASCII)


class NoRunError(UserError, ValueError):
    """A folder that no run has written to; the message says what is missing."""


@dataclass(frozen=True)
class Run:
    """A run, as far as it has come.

    Attributes:
        folder: Its OUTPUT_DIR.
        cfg: Every key of its configuration.
        steps: Log lines of the training: losses, learning rate, times.
        validations: Log lines of the validations.
        results: Content of results.json; {} before the test.
        metrics: {name: record} of the metrics and facts in `results`, in their order.
        best_metric: The metric that chooses the best checkpoint; None where the configuration cannot be read.
        scores: Scores of the test's videos, where the run wrote them.
        record: Content of run.json; {} without it.
        seconds: How long it was at work, over all starts; None without a log.
        notes: What could not be read, as a kill leaves it behind.
    """

    folder: str
    cfg: dict[str, Any]
    steps: list[dict[str, Any]]
    validations: list[dict[str, Any]]
    results: dict[str, Any]
    metrics: dict[str, Metric]
    best_metric: Metric | None
    scores: SavedScores | None
    record: dict[str, Any]
    seconds: float | None
    notes: list[str]

    @property
    def title(self) -> str:
        """Architecture and name of the folder."""
        arch = self.results.get("arch") or self.cfg.get("MODEL", {}).get("ARCH", "")
        return f"{arch} · {os.path.basename(os.path.abspath(self.folder))}"


def read_run(folder: str | os.PathLike[str]) -> Run:
    """Read what a run has written.

    Args:
        folder: Its OUTPUT_DIR.

    Raises:
        NoRunError: There is neither a log nor a result in the folder that can be read.
        PermissionError: See `utils.remote.check_reachable`.
    """
    folder, notes = os.fspath(folder), list[str]()
    check_reachable(folder)
    config = _text(folder, "config.yaml", notes)
    log = _text(folder, "stdout.log", notes)
    stats = _stats(log, notes)
    results = _results(folder, notes)
    if not stats and not results:
        found = f" that can be read ({'; '.join(notes)})" if notes else ""
        raise NoRunError(
            f"{folder}: neither results.json nor a log of training steps in it{found}; give the OUTPUT_DIR of a run"
        )
    return Run(
        folder=folder,
        cfg=_cfg(config, folder, notes),
        steps=[line for line in stats if line["_type"] == "train_iter"],
        validations=[line for line in stats if line["_type"] == "val_epoch"],
        results=results,
        metrics=_metrics(results),
        best_metric=_best_metric(config, folder),
        scores=_scores(folder, notes),
        record=_record(folder, notes),
        seconds=_seconds(log),
        notes=notes,
    )


def read_tests(run: Run) -> list[Run]:
    """The tests and probes that lie in a run's folder: other splits, lists, views, weights.

    Args:
        run: The run.

    Returns:
        Runs that differ from it in folder, results, metrics, scores and notes, ordered by folder.
    """
    found = []
    for name in sorted(os.listdir(run.folder)):
        folder = os.path.join(run.folder, name)
        if is_of_run(name) and os.path.isfile(os.path.join(folder, "results.json")):
            notes = list[str]()
            results = _results(folder, notes)
            scores = _scores(folder, notes)
            found.append(
                replace(run, folder=folder, results=results, metrics=_metrics(results), scores=scores, notes=notes)
            )
    return found


def single_label(run: Run) -> tuple[FloatArray, NDArray[np.int64], list[str]] | None:
    """(scores [N, K], labels [N], class names) where one classifier scored videos with one label each; else None.

    Args:
        run: The run.
    """
    saved = run.scores
    scores = None if saved is None else saved.scores.single_label(saved.labels)
    if saved is None or scores is None:
        return None
    names = names_of_head(saved.class_names, ONLY) or [f"class {i}" for i in range(scores.shape[1])]
    return scores, saved.labels, names


def _record(folder: str, notes: list[str]) -> dict[str, Any]:
    """The content of run.json; {} where it is missing or torn, which the notes say."""
    content = _json(os.path.join(folder, "run.json"), notes)
    return content if isinstance(content, dict) else {}


def _json(path: str, notes: list[str]) -> Any:
    """The content of a file; {} where it is missing or torn, which the notes say."""
    if not os.path.isfile(path):
        return {}
    try:
        return read_json(path)
    except TextError as error:
        notes.append(str(error))
        return {}


def _seconds(log: str) -> float | None:
    """Seconds at work: from the first to the last line, without the time between a start's end and the next start."""
    times, starts = list[float](), list[int]()
    for line in log.split("\n"):
        found = _TIME.match(line)
        try:
            now = datetime.datetime.strptime(found[1] if found else "", "%Y-%m-%d %H:%M:%S,%f")
        except ValueError:
            continue
        if _START.search(line):
            starts.append(len(times))
        times.append(now.timestamp())
    if not times:
        return None
    gaps = np.diff(times).clip(0)
    for index in starts[1:]:
        # A start has read its lists before the line that names it: it began behind the longest gap shortly before.
        first = int(np.searchsorted(times[:index], times[index] - _READING))
        gaps[max(first - 1, 0) + int(gaps[max(first - 1, 0) : index].argmax())] = 0
    return float(gaps.sum())


def _stats(log: str, notes: list[str]) -> list[dict[str, Any]]:
    """The numbers of a log; lines that a kill has torn are counted in the notes."""
    stats, torn = [], 0
    for line in log.split("\n"):
        for part in line.split(_STATS)[1:]:
            try:
                content = json.loads(part)
            except (ValueError, RecursionError):
                torn += 1
                continue
            if _is_stats(content):
                stats.append(content)
            else:
                torn += 1
    if torn:
        notes.append(f"stdout.log: {counted(torn, 'torn line')} left out")
    return stats


def _is_stats(content: Any) -> bool:
    """Whether a line has what the sections need of its kind."""
    if not isinstance(content, dict) or not isinstance(content.get("_type"), str):
        return False
    places = {"train_iter": ("epoch", "iter"), "val_epoch": ("epoch",)}.get(content["_type"], ())
    return all(_FRACTION.fullmatch(str(content.get(name))) for name in places) and (
        content["_type"] != "train_iter" or isinstance(content.get("lr"), int | float)
    )


def _results(folder: str, notes: list[str]) -> dict[str, Any]:
    """The content of results.json; {} where it is missing or torn, which the notes say."""
    path = os.path.join(folder, "results.json")
    content = _json(path, notes)
    if not isinstance(content, dict) or not _is_known(content):
        notes.append(f"{path}: not the results of a test")
        return {}
    return content


def _is_known(results: dict[str, Any]) -> bool:
    """Whether the parts that sections draw are of the types that a test writes."""
    failed, records, stages = (results.get(k, d) for k, d in (("failed", []), ("metrics", {}), ("synchronisation", {})))
    classes = [results.get(name, {}) for name in ("per_class_accuracy", "per_class_ap")]
    return (
        isinstance(failed, list)
        and all(isinstance(item, dict) and {"path", "reason"} <= item.keys() for item in failed)
        and isinstance(records, dict)
        and all(isinstance(item, dict) and item.keys() <= {"label", "unit", "better"} for item in records.values())
        and isinstance(stages, dict)
        and all(isinstance(v, dict) and {"histogram", "shifts", "distance"} <= v.keys() for v in stages.values())
        and all(isinstance(values, dict) for values in classes)
        and all(value is None or isinstance(value, int | float) for values in classes for value in values.values())
    )


def _cfg(config: str, folder: str, notes: list[str]) -> dict[str, Any]:
    try:
        content = yaml.safe_load(config) or {}
    except (yaml.YAMLError, RecursionError) as error:
        content = str(error).split("\n")[0]
    if isinstance(content, dict):
        return content
    notes.append(f"{os.path.join(folder, 'config.yaml')}: not a configuration ({content})")
    return {}


def _scores(folder: str, notes: list[str]) -> SavedScores | None:
    path = os.path.join(folder, "scores.pt")
    if not os.path.isfile(path):
        return None
    try:
        return SavedScores.load(path)
    except UserError as error:
        notes.append(str(error))
        return None


def _text(folder: str, name: str, notes: list[str]) -> str:
    """Content of a file of the run; "" where it is missing, or no text, which the notes say."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return ""
    try:
        return read_text(path)
    except TextError as error:
        notes.append(str(error))
        return ""


def _metrics(results: dict[str, Any]) -> dict[str, Metric]:
    records = results.get("metrics", {})
    metrics = {name: replace(Metric(name, name), **record) for name, record in records.items()}
    return metrics | {fact.name: fact for fact in FACTS if fact.name in results}


def _best_metric(config: str, folder: str) -> Metric | None:
    if not config:
        return None
    try:
        return best_metric(parse_cfg(config, os.path.join(folder, "config.yaml"), []))
    except UserError:
        # Written by another version, or with plugins that are missing here; the rest of the page does not need it.
        return None
