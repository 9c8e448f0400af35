"""What the networks of an ablation suite show: tables, a verdict on each claim, a figure, a page."""

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..datasets.tables import csv_rows, number
from ..utils.text import write_csv
from .colours import COLOURS
from .draw import new_figure, save

# A suite of configs/ablations.yaml: title, claim, note, metrics, variants, expect.
Suite = Mapping[str, Any]
# One trained network: {"variant": name, "seed", "seconds", metric: number, ...}.
Row = Mapping[str, Any]

# A difference of means below this many standard errors cannot be distinguished from chance.
_SIGNIFICANT = 2.0


class Verdict(NamedTuple):
    """Whether a claim agrees with what was measured.

    Attributes:
        difference: Difference of the means in the claimed direction, points.
        error: Its standard error, points; infinite for a single seed.
        word: "supported", "contradicted", or "inconclusive" where the difference is below two standard errors.
    """

    difference: float
    error: float
    word: str


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of a suite's CSV, numbers as floats.

    Args:
        path: File of `write_rows`.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: It is another file, or something is no number; names the line.
    """
    return [
        {name: text if name == "variant" else number(text, where, name) for name, text in row.items()}
        for row, where in csv_rows(path, ("variant", "seed"))
    ]


def write_rows(path: str | os.PathLike[str], rows: Sequence[Row]) -> None:
    """Write the rows of a suite as a CSV, numbers with six significant digits.

    Args:
        path: File to write.
        rows: At least one; all have the same keys.
    """
    cells = ([f"{v:.6g}" if isinstance(v, float) else v for v in row.values()] for row in rows)
    write_csv(path, [list(rows[0]), *cells])


def by_variant(rows: Sequence[Row], metric: str) -> dict[str, list[float]]:
    """The values of each variant's seeds.

    Args:
        rows: Of a suite.
        metric: Key of the values.
    """
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row["variant"], []).append(row[metric])
    return groups


def verdict(better: Sequence[float], worse: Sequence[float]) -> Verdict:
    """Whether one variant is better than another, judged by the spread over seeds.

    Args:
        better: Values of the variant that is claimed to be better; larger is better.
        worse: Values of the other variant.
    """
    difference = statistics.fmean(better) - statistics.fmean(worse)
    error = float("inf")
    if min(len(better), len(worse)) > 1:
        error = sum(statistics.variance(values) / len(values) for values in (better, worse)) ** 0.5
    if abs(difference) <= _SIGNIFICANT * error:
        return Verdict(difference, error, "inconclusive")
    return Verdict(difference, error, "supported" if difference > 0 else "contradicted")


def draw_suite(suite: Suite, rows: Sequence[Row], path: str | os.PathLike[str]) -> None:
    """Write a figure with one panel per metric: a bar per variant with its standard deviation, a dot per seed.

    Args:
        suite: The suite.
        rows: Its networks.
        path: File to write.
    """
    metrics = suite["metrics"]
    figure = new_figure(5 * len(metrics), 0.6 + 0.5 * len(suite["variants"]))
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axes, metric in zip(panels, metrics):
        groups = by_variant(rows, metric)
        means = [statistics.fmean(values) for values in groups.values()]
        axes.barh(range(len(groups)), means, xerr=list(map(_spread, groups.values())), color=COLOURS[0], capsize=3)
        for i, values in enumerate(groups.values()):
            axes.plot(values, [i] * len(values), "o", color="black", markersize=3)
        axes.set(yticks=range(len(groups)), yticklabels=list(groups), xlabel=f"{metric}, %")
        axes.invert_yaxis()
    figure.suptitle(suite["title"])
    save(figure, path)


def section(name: str, suite: Suite, rows: Sequence[Row], about: str) -> str:
    """The section of a suite on the page, in Markdown.

    Args:
        name: Of the suite; its figure is ablations/NAME.png.
        suite: The suite.
        rows: Its networks.
        about: What it was run with: command, machine, versions, date, duration.
    """
    tables = {metric: by_variant(rows, metric) for metric in suite["metrics"]}
    lines = [f"## {suite['title']}", "", f"**The paper:** {suite['claim']}", "", suite["note"], ""]
    lines += [
        f"| variant | {' | '.join(f'{metric}, mean ± standard deviation' for metric in tables)} | seeds |",
        f"|---|{'---|' * len(tables)}---|",
    ]
    for variant in suite["variants"]:
        cells = [f"{statistics.fmean(table[variant]):.1f} ± {_spread(table[variant]):.1f}" for table in tables.values()]
        lines.append(f"| {variant} | {' | '.join(cells)} | {len(next(iter(tables.values()))[variant])} |")
    lines += ["", f"![{suite['title']}](ablations/{name}.png)", "", "**Measured:**", ""]
    for metric, table in tables.items():
        for better, worse in suite["expect"]:
            difference, error, word = verdict(table[better], table[worse])
            lines.append(
                f'- {metric}: "{better}" above "{worse}" is {word}: '
                f"{difference:+.1f} points, standard error {error:.1f}."
            )
    return "\n".join([*lines, "", about, ""])


def _spread(values: Sequence[float]) -> float:
    """Standard deviation over seeds; 0 for a single one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
