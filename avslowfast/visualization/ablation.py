"""What a suite of trained networks shows: tables, a verdict on each claim, a picture, a page."""

import csv
import os
import statistics

import numpy as np

from .draw import COLOURS, plt, save

# Differences of means below so many standard errors are not told from chance.
_SIGNIFICANT = 2.0


def read_rows(path):
    """Rows of a suite's CSV: {"variant", "seed", "seconds", metric: value, ...}, numbers as floats."""
    with open(path, newline="", encoding="utf-8") as f:
        return [{k: v if k == "variant" else float(v) for k, v in row.items()} for row in csv.DictReader(f)]


def write_rows(path, rows):
    """The reverse of `read_rows`."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as f:
        writer = csv.DictWriter(f, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)


def by_variant(rows, metric):
    """{variant: values of its seeds}, in order."""
    groups = {}
    for row in rows:
        groups.setdefault(row["variant"], []).append(row[metric])
    return groups


def verdict(better, worse):
    """(difference of means, its standard error, word): whether values are larger, as far as the seeds tell.

    The word is "holds", "is contradicted", or "is not decided" where the difference is below two standard errors.
    """
    difference = statistics.fmean(better) - statistics.fmean(worse)
    error = (
        float(np.sqrt(sum(statistics.variance(v) / len(v) for v in (better, worse))))
        if min(len(better), len(worse)) > 1
        else float("inf")
    )
    if abs(difference) <= _SIGNIFICANT * error:
        return difference, error, "is not decided"
    return difference, error, "holds" if difference > 0 else "is contradicted"


def draw_suite(suite, rows, path):
    """A bar a variant with the spread of its seeds, a panel a metric."""
    figure, panels = plt.subplots(
        1, len(suite["metrics"]), figsize=(5 * len(suite["metrics"]), 0.6 + 0.5 * len(suite["variants"])), squeeze=False
    )
    for axes, metric in zip(panels[0], suite["metrics"]):
        groups = by_variant(rows, metric)
        means = [statistics.fmean(values) for values in groups.values()]
        spreads = [statistics.stdev(values) if len(values) > 1 else 0.0 for values in groups.values()]
        axes.barh(range(len(groups)), means, xerr=spreads, color=COLOURS[0], capsize=3)
        for i, values in enumerate(groups.values()):
            axes.plot(values, [i] * len(values), "o", color="black", markersize=3)
        axes.set(yticks=range(len(groups)), yticklabels=list(groups), xlabel=f"{metric}, %")
        axes.invert_yaxis()
    figure.suptitle(suite["title"])
    save(figure, path)


def section(name, suite, rows, about):
    """A suite's part of the page, in Markdown. about: what it was run with, in words."""
    lines = [f"## {suite['title']}", "", f"**The paper:** {suite['claim']}", "", suite["note"], ""]
    lines += [
        f"| variant | {' | '.join(f'{metric}, mean ± standard deviation' for metric in suite['metrics'])} | seeds |",
        f"|---|{'---|' * len(suite['metrics'])}---|",
    ]
    tables = {metric: by_variant(rows, metric) for metric in suite["metrics"]}
    for variant in suite["variants"]:
        cells = []
        for table in tables.values():
            values = table[variant]
            cells.append(f"{statistics.fmean(values):.1f} ± {statistics.stdev(values) if len(values) > 1 else 0.0:.1f}")
        lines.append(f"| {variant} | {' | '.join(cells)} | {len(next(iter(tables.values()))[variant])} |")
    lines += ["", f"![{suite['title']}](ablations/{name}.png)", "", "**Measured:**", ""]
    for metric, table in tables.items():
        for better, worse in suite["expect"]:
            difference, error, word = verdict(table[better], table[worse])
            lines.append(
                f'- {metric}: "{better}" above "{worse}" {word}: {difference:+.1f} points, standard error {error:.1f}.'
            )
    return "\n".join([*lines, "", about, ""])
