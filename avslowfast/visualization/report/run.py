"""What a run has left in its folder: configuration, log, results, scores."""

import json
import os
import re
from dataclasses import dataclass, replace
from typing import Any

import yaml

from ...config import parse_cfg
from ...config.names import Metric
from ...evaluation.build import best_metric
from ...evaluation.results import FACTS
from ...tasks.scores import SavedScores
from ...utils.errors import UserError

_STATS = re.compile(r"json_stats: (\{.*\})")


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
    """

    folder: str
    cfg: dict[str, Any]
    steps: list[dict[str, Any]]
    validations: list[dict[str, Any]]
    results: dict[str, Any]
    metrics: dict[str, Metric]
    best_metric: Metric | None
    scores: SavedScores | None

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
        NoRunError: There is neither a log nor a result in the folder.
    """
    folder = os.fspath(folder)
    config = _text(folder, "config.yaml")
    stats = [json.loads(line) for line in _STATS.findall(_text(folder, "stdout.log"))]
    results = json.loads(_text(folder, "results.json") or "{}")
    if not stats and not results:
        raise NoRunError(f"{folder}: neither stdout.log nor results.json in it; give the OUTPUT_DIR of a run")
    scores = os.path.join(folder, "scores.pt")
    return Run(
        folder=folder,
        cfg=yaml.safe_load(config) or {},
        steps=[line for line in stats if line["_type"] == "train_iter"],
        validations=[line for line in stats if line["_type"] == "val_epoch"],
        results=results,
        metrics=_metrics(results),
        best_metric=_best_metric(config, folder),
        scores=SavedScores.load(scores) if os.path.isfile(scores) else None,
    )


def _text(folder: str, name: str) -> str:
    """Content of a file of the run; "" where it is missing."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8") as f:
        return f.read()


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
