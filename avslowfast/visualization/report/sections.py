"""The sections of the page, each as HTML; "" where a run has nothing for it."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...evaluation.metrics.classification import confusion_matrix
from ...tasks.scores import FloatArray, names_of_head, ONLY
from ..draw import COLOURS, new_figure, plain_text
from .markup import number, svg, table
from .run import Run

# Metrics at the top of the page, at most; then these facts.
_HEADLINE_METRICS, _HEADLINE_FACTS = 4, ("parameters_m", "gflops", "videos")
# Confusion matrices of more classes are not drawn, only their largest entries listed.
_DRAWN_CLASSES, _LISTED_PAIRS = 60, 10
# What log lines say of the speed, in the order of the table.
_SPEED = {
    "clips_per_s": "clips per second",
    "dt": "seconds per step",
    "dt_data": "seconds per step spent waiting for data",
    "ram_gb": "memory, GB",
    "gpu_gb": "GPU memory, GB",
}


def headline(run: Run) -> str:
    """The most important numbers, large."""
    if not run.results:
        return "<p>Not tested yet.</p>"
    metrics = [name for name in run.results.get("metrics", {})][:_HEADLINE_METRICS]
    names = [name for name in (*metrics, *_HEADLINE_FACTS) if isinstance(run.results.get(name), int | float)]
    cells = [f"<div><b>{number(run.results[n])}</b>{html.escape(run.metrics[n].title)}</div>" for n in names]
    return f"<div class='big'>{''.join(cells)}</div>"


def training(run: Run) -> str:
    """Losses, learning rate and the metric that chooses the best checkpoint, over epochs."""
    if not run.steps:
        return ""
    metric = run.best_metric if run.validations else None
    figure = new_figure(11, 3)
    panels = figure.subplots(1, 3 if metric else 2)
    names = dict.fromkeys(name for step in run.steps for name in step)
    losses = [name for name in names if name == "loss" or name.startswith(("loss_", "avs_"))]
    for colour, name in zip(COLOURS, losses):
        logged = [step for step in run.steps if name in step]
        panels[0].plot(*zip(*[(_epochs(step), step[name]) for step in logged]), color=colour, label=name)
    panels[0].set(xlabel="epoch", ylabel="loss")
    panels[0].legend(frameon=False, fontsize=8)
    panels[1].plot([_epochs(step) for step in run.steps], [step["lr"] for step in run.steps], color=COLOURS[0])
    panels[1].set(xlabel="epoch", ylabel="learning rate")
    if metric:
        measured = [line for line in run.validations if line.get(metric.name) is not None]
        epochs = [int(line["epoch"].split("/")[0]) for line in measured]
        panels[2].plot(epochs, [line[metric.name] for line in measured], "o-", color=COLOURS[2])
        panels[2].set(xlabel="epoch", ylabel=f"validation {metric.title}")
    with plain_text(figure):
        figure.tight_layout()
    return svg(figure, row=True)


def _epochs(step: dict[str, Any]) -> float:
    """Epochs that were done at a log line."""
    epoch = int(step["epoch"].split("/")[0])
    iteration, per_epoch = map(int, step["iter"].split("/"))
    return epoch - 1 + iteration / per_epoch


def results(run: Run) -> str:
    """Every number and name of results.json."""
    rows = [(name, value) for name, value in run.results.items() if isinstance(value, int | float | str)]
    titles = {name: metric.title for name, metric in run.metrics.items()}
    return table((html.escape(titles.get(name, name)), number(value)) for name, value in rows)


def synchronisation(run: Run) -> str:
    """Distances of audio and frames: their mean over shifts of the audio, and their histogram at the deepest stage."""
    stages = run.results.get("synchronisation")
    if not stages:
        return ""
    figure = new_figure(11, 3)
    curves, histogram = figure.subplots(1, 2)
    for colour, (stage, values) in zip(COLOURS, stages.items()):
        distances = [np.nan if d is None else d for d in values["distance"]]
        curves.plot(values["shifts"], distances, color=colour, label=stage)
    curves.set(xlabel="shift of the audio, s", ylabel="mean distance")
    curves.legend(frameon=False)
    stage, values = next(iter(stages.items()))
    for colour, (kind, counts) in zip(COLOURS, values["histogram"].items()):
        histogram.stairs(counts, np.linspace(0, 1, len(counts) + 1), color=colour, label=kind.replace("_", " "))
    histogram.set(xlabel=f"distance at {stage}", ylabel="clips")
    histogram.legend(frameon=False)
    with plain_text(figure):
        figure.tight_layout()
    return svg(figure, row=True)


def classes(run: Run) -> str:
    """Accuracy or average precision of each class, the lowest first."""
    values = run.results.get("per_class_accuracy") or run.results.get("per_class_ap") or {}
    known = sorted(((name, v) for name, v in values.items() if v is not None), key=lambda row: row[1])
    rows = [
        (html.escape(name), f"{v:.1f}", f"<span class='bar' style='width:calc(var(--w) * {v / 100:.3f})'></span>")
        for name, v in known
    ]
    return table(rows, headings=("class", "%", ""))


def confusion(run: Run) -> str:
    """The confusion matrix and the pairs that are confused most often."""
    scored = single_label(run)
    if scored is None:
        return ""
    scores, labels, names = scored
    counts = confusion_matrix(scores, labels)
    body = _draw_confusion(counts, names) if len(names) <= _DRAWN_CLASSES else ""
    mistakes = counts - np.diag(np.diag(counts))
    order = np.argsort(-mistakes, axis=None)[:_LISTED_PAIRS]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, mistakes.shape)) if mistakes[i, j]]
    if not pairs:
        return body or "<p>No mistakes.</p>"
    rows = [(html.escape(names[i]), html.escape(names[j]), str(mistakes[i, j])) for i, j in pairs]
    return body + "<p>Most confused pairs</p>" + table(rows, numbers=(2,), headings=("class", "predicted", "videos"))


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


def _draw_confusion(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    side = max(3.5, 0.28 * len(names) + 2)
    figure = new_figure(side, side)
    axes = figure.subplots()
    axes.imshow(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(len(names)), yticks=range(len(names)), yticklabels=names, xlabel="predicted", ylabel="true")
    axes.set_xticklabels(names, rotation=90)
    return svg(figure)


def failed_files(run: Run) -> str:
    """Files of the test that could not be read, with the reasons."""
    if not run.results:
        return ""
    failed = run.results.get("failed", [])
    rows = [(html.escape(item["path"]), html.escape(item["reason"])) for item in failed]
    return table(rows, numbers=()) or "<p>None in the test.</p>"


def notes(run: Run) -> str:
    """What of the run could not be read."""
    return table(((html.escape(note),) for note in run.notes), numbers=())


def speed(run: Run) -> str:
    """Medians of the log lines' times and memory."""
    names = [name for name in _SPEED if run.steps and name in run.steps[0]]
    return table((_SPEED[name], f"{np.median([step[name] for step in run.steps]):.3g}") for name in names)
