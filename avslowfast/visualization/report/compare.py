"""Several runs side by side: results, curves, what differs in their configurations, classes, paired differences."""

import html
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...evaluation.metrics.classification import topk_correct
from ...utils.seeding import generator
from ...utils.text import counted, write_text
from ..colours import COLOURS
from ..draw import new_figure
from . import provenance
from .markup import document, figures, number, svg, table
from .other_tests import tested, views
from .run import read_run, Run, single_label
from .sections import epochs_of, whole_epochs

# Resamples of the videos for an interval, and the share of them that it holds.
_RESAMPLES, _SHARE = 2000, 0.95
# Differences of classes that are listed in either direction.
_CLASSES = 10


def make_comparison(folders: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> str:
    """Write a page that compares runs; differences are from the first one.

    Args:
        folders: Their OUTPUT_DIRs.
        out: File to write.

    Returns:
        The path of the page.

    Raises:
        NoRunError: There is neither a log nor a result in a folder.
    """
    runs = [read_run(folder) for folder in folders]
    names = _distinct([os.path.abspath(run.folder) for run in runs])
    text = document(
        " · ".join(names),
        [
            ("Results", _results(runs, names)),
            ("Difference from the first", _paired(runs, names)),
            ("Training", _curves(runs, names)),
            ("Classes", _classes(runs, names)),
            ("What differs in the configurations", _configurations(runs, names)),
            ("Where they come from", _origins(runs, names)),
        ],
    )
    path = os.fspath(out)
    write_text(path, text)
    return path


def _distinct(folders: list[str]) -> list[str]:
    """The last parts of folders, as many as tell them apart; with a number where a folder is there twice."""
    parts, names = [folder.split(os.sep) for folder in folders], []
    for i, own in enumerate(parts):
        count = 1
        while any(other[-count:] == own[-count:] for other in parts if other != own):
            count += 1
        name = os.sep.join(own[-count:])
        names.append(name if parts.count(own) == 1 else f"{name} ({i + 1})")
    return names


def _side_by_side(rows: dict[str, list[str]], names: Sequence[str], first: str = "") -> str:
    """A table with a column for each run."""
    headings = (first, *map(html.escape, names))
    cells = ((html.escape(title), *map(html.escape, values)) for title, values in rows.items())
    return table(cells, numbers=range(1, len(names) + 1), headings=headings)


def _results(runs: Sequence[Run], names: Sequence[str]) -> str:
    titles = {name: metric.title for run in runs for name, metric in run.metrics.items()}
    rows = {
        "videos of": [", ".join(filter(None, (str(run.results.get("dataset", "")), tested(run)))) for run in runs],
        "views": [views(run) for run in runs],
    }
    rows |= {
        title: [number(run.results[name]) if isinstance(run.results.get(name), int | float) else "" for run in runs]
        for name, title in titles.items()
    }
    return _side_by_side({title: values for title, values in rows.items() if any(values)}, names)


def _paired(runs: Sequence[Run], names: Sequence[str]) -> str:
    """The difference in top-1 accuracy on the same videos, with an interval from resampling the videos."""
    first = _correct(runs[0])
    if first is None:
        return ""
    rows = []
    for run, name in zip(runs[1:], names[1:]):
        other = _correct(run)
        shared = [] if other is None else sorted(first.keys() & other.keys())
        if other is None or not shared:
            rows.append((html.escape(name), "", "", "no videos of the same classes in common"))
            continue
        difference = np.array([other[key] - first[key] for key in shared], float) * 100
        low, high = paired_interval(difference)
        on = counted(len(shared), "video") + ("" if _names(run) == _names(runs[0]) else "; the classes are others")
        rows.append((html.escape(name), f"{difference.mean():+.2f}", f"{low:+.2f} to {high:+.2f}", on))
    headings = ("run", "top-1, points", f"{100 * _SHARE:.0f} % interval", "on")
    note = "<p>Of the same videos; an interval that holds 0 leaves open which one is better.</p>"
    return table(rows, numbers=(1, 2), headings=headings) + note if rows else ""


def paired_interval(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Interval of the mean of paired differences, from resampling the pairs (seeded).

    Args:
        differences: One per pair.
    """
    rng = generator(0, 0, "bootstrap")
    chosen = rng.integers(len(differences), size=(_RESAMPLES, len(differences)))
    low, high = np.quantile(differences[chosen].mean(axis=1), [(1 - _SHARE) / 2, (1 + _SHARE) / 2])
    return float(low), float(high)


def _names(run: Run) -> list[str]:
    scored = single_label(run)
    return [] if scored is None else scored[2]


def _correct(run: Run) -> dict[tuple[str, str, int], bool] | None:
    """{(file, class, number among the records of both): whether the best class is right}; None without scores."""
    scored = single_label(run)
    if scored is None or run.scores is None:
        return None
    scores, labels, names = scored
    seen: Counter[tuple[str, str]] = Counter()
    found = {}
    for path, label, right in zip(run.scores.paths, labels, topk_correct(scores, labels, 1).tolist()):
        # Files of other data have the same names.
        file, name = os.path.basename(path), names[label]
        seen[file, name] += 1
        found[file, name, seen[file, name]] = bool(right)
    return found


def _curves(runs: Sequence[Run], names: Sequence[str]) -> str:
    drawn = []
    logged = [(run, name, colour) for run, name, colour in zip(runs, names, COLOURS * len(runs)) if run.steps]
    if logged:
        figure = new_figure(5, 3)
        axes = figure.subplots()
        for run, name, colour in logged:
            points = [(epochs_of(step), step["loss"]) for step in run.steps if "loss" in step]
            axes.plot(*zip(*points), color=colour, label=name)
        axes.set(xlabel="epoch", ylabel="loss")
        axes.legend(frameon=False, fontsize=8)
        drawn.append(svg(figure, "Losses of the runs over epochs"))
    metric = runs[0].best_metric
    judged = [
        item for item in logged if metric and any(line.get(metric.name) is not None for line in item[0].validations)
    ]
    if judged and metric:
        figure = new_figure(5, 3)
        axes = figure.subplots()
        for run, name, colour in judged:
            measured = [line for line in run.validations if line.get(metric.name) is not None]
            points = [(int(line["epoch"].split("/")[0]), line[metric.name]) for line in measured]
            axes.plot(*zip(*points), "o-", color=colour, label=name)
        axes.set(xlabel="epoch", ylabel=f"validation {metric.title}")
        whole_epochs(axes)
        axes.legend(frameon=False, fontsize=8)
        drawn.append(svg(figure, f"Validation {metric.title} of the runs over epochs"))
    return figures(drawn)


def _classes(runs: Sequence[Run], names: Sequence[str]) -> str:
    """The classes whose value differs most from the first run's."""
    values = [_of_classes(run) for run in runs]
    shared = [name for name in values[0] if all(name in of_run for of_run in values)]
    if len(runs) < 2 or not shared:
        return ""
    difference = {name: max((of_run[name] - values[0][name] for of_run in values[1:]), key=abs) for name in shared}
    order = sorted(shared, key=difference.__getitem__)
    chosen = order if len(order) <= 2 * _CLASSES else [*order[:_CLASSES], *order[-_CLASSES:]]
    rows = {name: [f"{of_run[name]:.1f}" for of_run in values] for name in chosen}
    others = len(set().union(*values)) - len(shared)
    note = f"<p>Left out: {others} of the classes, which not all of them have.</p>" if others else ""
    return _side_by_side(rows, names, "class, %") + note


def _of_classes(run: Run) -> dict[str, float]:
    values = run.results.get("per_class_accuracy") or run.results.get("per_class_ap") or {}
    return {name: float(value) for name, value in values.items() if value is not None}


def _configurations(runs: Sequence[Run], names: Sequence[str]) -> str:
    flat = [_flat(run.cfg) for run in runs]
    keys = sorted(set().union(*flat))
    rows = {key: [str(values.get(key, "")) for values in flat] for key in keys}
    return (
        _side_by_side({key: values for key, values in rows.items() if len(set(values)) > 1}, names) or "<p>Nothing.</p>"
    )


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return found


def _origins(runs: Sequence[Run], names: Sequence[str]) -> str:
    facts = [provenance.facts(run) for run in runs]
    titles = dict.fromkeys(title for of_run in facts for title in of_run)
    return _side_by_side({title: [of_run.get(title, "") for of_run in facts] for title in titles}, names)
