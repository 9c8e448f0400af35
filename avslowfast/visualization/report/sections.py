"""The sections of the page, each as HTML; "" where a run has nothing for it."""

import html
from collections.abc import Sequence
from typing import Any, TYPE_CHECKING

import numpy as np

from ...evaluation.metrics.classification import confusion_matrix, mean_average_precision
from ...tasks.scores import names_of_head, ONLY
from ..colours import class_colour, COLOURS
from ..draw import new_figure
from ..matrix import mistakes_of
from .markup import figures, number, searchable, svg, table
from .run import Run, single_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Metrics at the top of the page, at most; then these facts.
_HEADLINE_METRICS, _HEADLINE_FACTS = 4, ("parameters_m", "gflops", "videos")
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
    names = [name for name in (*headline_metrics(run), *_HEADLINE_FACTS) if _is_number(run.results.get(name))]
    cells = [f"<div><b>{number(run.results[n])}</b>{html.escape(run.metrics[n].title)}</div>" for n in names]
    return f"<div class='big'>{''.join(cells)}</div>"


def headline_metrics(run: Run) -> list[str]:
    """Names of the most important metrics of the results.

    Args:
        run: The run.
    """
    return [name for name in run.results.get("metrics", {}) if _is_number(run.results.get(name))][:_HEADLINE_METRICS]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def training(run: Run) -> str:
    """Losses, learning rate and the metric that chooses the best checkpoint, over epochs."""
    if not run.steps:
        return ""
    names = dict.fromkeys(name for step in run.steps for name in step)
    # Synchronisation losses are much smaller than those of classes: on one scale they would be a line at the bottom.
    groups = {
        "loss": [name for name in names if name == "loss" or name.startswith("loss_")],
        "synchronisation loss": [name for name in names if name.startswith("avs_")],
        "learning rate": ["lr"],
    }
    drawn = [_over_epochs(run, title, group) for title, group in groups.items() if group]
    metric = run.best_metric
    measured = [line for line in run.validations if metric and line.get(metric.name) is not None]
    if metric and measured:
        figure = new_figure(4.6, 3)
        axes = figure.subplots()
        epochs = [int(line["epoch"].split("/")[0]) for line in measured]
        axes.plot(epochs, [line[metric.name] for line in measured], "o-", color=COLOURS[2])
        axes.set(xlabel="epoch", ylabel=f"validation {metric.title}")
        whole_epochs(axes)
        last = number(measured[-1][metric.name])
        drawn.append(svg(figure, f"Validation {metric.title} over epochs, at the end {last}"))
    return figures(drawn)


def _over_epochs(run: Run, title: str, names: Sequence[str]) -> str:
    figure = new_figure(4.6, 3)
    axes = figure.subplots()
    for i, name in enumerate(names):
        logged = [step for step in run.steps if name in step]
        axes.plot(*zip(*[(epochs_of(step), step[name]) for step in logged]), color=class_colour(i), label=name)
    axes.set(xlabel="epoch", ylabel=title)
    if len(names) > 1:
        axes.legend(frameon=False, fontsize=8)
    return svg(figure, f"{title} over epochs: {', '.join(names)}")


def whole_epochs(axes: "Axes") -> None:
    """Ticks at whole numbers along the x axis.

    Args:
        axes: Of epochs.
    """
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def epochs_of(step: dict[str, Any]) -> float:
    """Epochs that were done at a log line.

    Args:
        step: The numbers of the line.
    """
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
    figure = new_figure(4.6, 3)
    axes = figure.subplots()
    for colour, (stage, values) in zip(COLOURS, stages.items()):
        distances = [np.nan if d is None else d for d in values["distance"]]
        axes.plot(values["shifts"], distances, color=colour, label=stage)
    axes.set(xlabel="shift of the audio, s", ylabel="mean distance")
    axes.legend(frameon=False)
    drawn = [svg(figure, f"Mean distance of frames and audio over shifts of the audio, at {', '.join(stages)}")]
    stage, values = next(iter(stages.items()))
    figure = new_figure(4.6, 3)
    axes = figure.subplots()
    for colour, (kind, counts) in zip(COLOURS, values["histogram"].items()):
        axes.stairs(counts, np.linspace(0, 1, len(counts) + 1), color=colour, label=kind.replace("_", " "))
    axes.set(xlabel=f"distance at {stage}", ylabel="clips")
    axes.legend(frameon=False)
    return figures([*drawn, svg(figure, f"Histogram of distances at {stage}: {', '.join(values['histogram'])}")])


def classes(run: Run, table_name: str = "classes") -> str:
    """Accuracy or average precision of each class, the lowest first, with what it is taken for most often.

    Args:
        run: The run.
        table_name: Of the table, different from other tables' of the page.
    """
    name = "per_class_accuracy" if run.results.get("per_class_accuracy") else "per_class_ap"
    values = run.results.get(name) or _average_precisions(run)
    numbers = {name: i for i, name in enumerate(values)}
    known = sorted(((name, v) for name, v in values.items() if v is not None), key=lambda row: row[1])
    counts, mistaken = _mistakes(run)
    rows = [
        (
            html.escape(name),
            f"{v:.1f}",
            f"<span class='bar' style='--share:{v / 100:.3f};background:{class_colour(numbers[name])}'></span>",
            counts.get(name, ""),
            html.escape(mistaken.get(name, "")),
        )
        for name, v in known
    ]
    title = "accuracy, %" if name == "per_class_accuracy" else "average precision, %"
    return searchable(table_name, rows, (1, 3), ("class", title, "", "videos", "taken for"))


def _average_precisions(run: Run) -> dict[str, float | None]:
    """{class: average precision, %} where videos have several labels; None for a class without videos."""
    saved = run.scores
    if saved is None or ONLY not in saved.scores.heads or saved.labels.ndim != 2:
        return {}
    scores, labels = saved.scores.heads[ONLY], saved.labels
    if scores.shape != labels.shape or (labels < 0).any():
        return {}
    names = names_of_head(saved.class_names, ONLY) or [f"class {i}" for i in range(labels.shape[1])]
    return {
        name: mean_average_precision(scores, labels, classes=[i]) if labels[:, i].any() else None
        for i, name in enumerate(names)
    }


def _mistakes(run: Run) -> tuple[dict[str, str], dict[str, str]]:
    """({class: its videos}, {class: what it is taken for most often}); {} where videos have several labels."""
    saved, scored = run.scores, single_label(run)
    if scored is None:
        if saved is None or ONLY not in saved.scores.heads or saved.labels.ndim != 2:
            return {}, {}
        names = names_of_head(saved.class_names, ONLY) or []
        return {name: str(int((saved.labels[:, i] > 0).sum())) for i, name in enumerate(names)}, {}
    scores, labels, names = scored
    counts = confusion_matrix(scores, labels)
    wrong = zip(names, mistakes_of(counts))
    mistaken = {name: f"{names[int(row.argmax())]} ({row.max()})" for name, row in wrong if row.max() > 0}
    return {name: str(count) for name, count in zip(names, counts.sum(axis=1))}, mistaken


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
    # A run may go on where there is another device, or none.
    logged = {name: [step[name] for step in run.steps if _is_number(step.get(name))] for name in _SPEED}
    return table((_SPEED[name], f"{np.median(values):.3g}") for name, values in logged.items() if values)
