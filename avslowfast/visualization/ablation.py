"""What the networks of an ablation suite show: tables, a verdict on each claim, a figure, a page."""

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TYPE_CHECKING

from ..datasets.tables import csv_rows, number
from ..utils.text import counted, write_csv
from .colours import COLOURS
from .draw import new_figure
from .text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# A suite of configs/ablations.yaml: title, claim, note, metrics, variants, expect.
Suite = Mapping[str, Any]
# One trained network: {"variant": name, "seed", "seconds", metric: number, ...}.
Row = Mapping[str, Any]

# Probability that an interval covers the difference.
_CONFIDENCE = 0.95
# Standard deviation of differences that are the same, points: a CSV has six digits, which round 100 / 320 in two ways.
_SAME = 1e-3
# Layout, inches: width, height of a variant, of what is around the rows of a metric, left and right panels.
_WIDTH, _ROW, _AROUND, _LEFT, _RIGHT = 5.6, 0.4, 0.8, (0.15, 2.5), (2.95, 2.5)
_NAME = 64


class Paired(NamedTuple):
    """Two variants compared seed by seed.

    Attributes:
        difference: Mean difference, points.
        low: Lower end of its 95 % t interval; minus infinity with fewer than two seeds, or where all differences are
            the same, which with few seeds is a coincidence.
        high: Upper end.
        each: Difference of every seed that both have.
    """

    difference: float
    low: float
    high: float
    each: list[float]

    @property
    def verdict(self) -> str:
        """Of a claim that it is above 0: "supported", "contradicted", or "inconclusive" if 0 is in the interval."""
        return "supported" if self.low > 0 else "contradicted" if self.high < 0 else "inconclusive"

    def __str__(self) -> str:
        known = abs(self.low) < float("inf")
        return f"{self.difference:+.1f}" + (f" ({self.low:+.1f} to {self.high:+.1f})" if known else "")


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


def by_variant(rows: Sequence[Row], metric: str) -> dict[str, dict[int, float]]:
    """{variant: {seed: value}}.

    Args:
        rows: Of a suite.
        metric: Key of the values.
    """
    groups: dict[str, dict[int, float]] = {}
    for row in rows:
        groups.setdefault(row["variant"], {})[int(row["seed"])] = row[metric]
    return groups


def paired(values: Mapping[int, float], others: Mapping[int, float]) -> Paired:
    """How much larger the values of one variant are than those of another, by the differences of each seed.

    Args:
        values: {seed: value}.
        others: {seed: value} of the other variant; seeds that only one of them has are left out.
    """
    from scipy.stats import t

    each = [values[seed] - others[seed] for seed in sorted(values.keys() & others.keys())]
    mean = statistics.fmean(each) if each else float("nan")
    spread = statistics.stdev(each) if len(each) > 1 else 0.0
    if spread < _SAME:
        return Paired(mean, -float("inf"), float("inf"), each)
    half = float(t.ppf((1 + _CONFIDENCE) / 2, len(each) - 1)) * spread / len(each) ** 0.5
    return Paired(mean, mean - half, mean + half, each)


def baseline(suite: Suite) -> str:
    """The variant with which the others are compared: the one that changes nothing, else the first.

    Args:
        suite: The suite.
    """
    variants: Mapping[str, Any] = suite["variants"]
    return next((name for name, overrides in variants.items() if not overrides), next(iter(variants)))


def draw_suite(suite: Suite, rows: Sequence[Row]) -> "Figure":
    """A figure of a suite: per metric the values of each variant, and the differences from the baseline.

    Args:
        suite: The suite.
        rows: Its networks.
    """
    metrics, base = suite["metrics"], baseline(suite)
    panel = _ROW * len(suite["variants"]) + _AROUND
    height = panel * len(metrics) + 0.75
    figure = new_figure(_WIDTH, height)
    figure.text(0.02, 1 - 0.1 / height, shortened(suite["title"], 56), va="top", fontsize=11)
    for place, metric in enumerate(metrics):
        groups = by_variant(rows, metric)
        bottom = height - 0.4 - place * panel - (panel - _AROUND)
        left, right = (
            figure.add_axes((x / _WIDTH, bottom / height, wide / _WIDTH, (panel - _AROUND) / height))
            for x, wide in (_LEFT, _RIGHT)
        )
        for i, variant in enumerate(suite["variants"]):
            values = list(groups[variant].values())
            _draw_row(left, i, values, (statistics.fmean(values), _spread(values), _spread(values)))
            name = shortened(variant, _NAME) + (" (baseline)" if variant == base else "")
            left.text(0.0, i - 0.22, name, transform=left.get_yaxis_transform(), fontsize=9, va="center")
            if variant != base:
                found = paired(groups[variant], groups[base])
                known = abs(found.low) < float("inf")
                ends = (found.difference - found.low, found.high - found.difference) if known else (0.0, 0.0)
                _draw_row(right, i, found.each, (found.difference, *ends))
            # Not through the names.
            right.plot([0, 0], [i, i + 0.3], color="#808080", linewidth=1, zorder=0)
        for axes, label in ((left, f"{metric}, %"), (right, f"{metric}: difference, points")):
            axes.set(ylim=(len(suite["variants"]) - 0.3, -0.5), yticks=[])
            axes.set_xlabel(label, fontsize=9)
            axes.tick_params(labelsize=8)
            axes.margins(x=0.08)
            axes.locator_params(axis="x", nbins=5)
            for side in ("left", "right", "top"):
                axes.spines[side].set_visible(False)
    seeds = max(len(values) for values in by_variant(rows, metrics[0]).values())
    words = (
        f"Dots: {counted(seeds, 'seed')}; bars: means, with the standard deviation (left) and the\n"
        "95 % t interval of the difference seed by seed from the baseline (right)."
    )
    figure.text(0.02, 0.1 / height, words, va="bottom", fontsize=8)
    return figure


def _draw_row(axes: "Axes", row: int, values: Sequence[float], summary: tuple[float, float, float]) -> None:
    """The values of a variant, their mean, and a line that reaches so far below and above it."""
    mean, below, above = summary
    if below + above:
        axes.plot([mean - below, mean + above], [row + 0.15] * 2, color=COLOURS[0], linewidth=2, solid_capstyle="butt")
    axes.plot([mean], [row + 0.15], "|", color=COLOURS[0], markersize=12, markeredgewidth=2.5)
    axes.plot(values, [row + 0.15] * len(values), "o", color=COLOURS[1], markersize=4, alpha=0.8)


def section(name: str, suite: Suite, rows: Sequence[Row], about: str) -> str:
    """The section of a suite on the page, in Markdown.

    Args:
        name: Of the suite; its figure is ablations/NAME.svg.
        suite: The suite.
        rows: Its networks.
        about: What it was run with: command, machine, versions, date, duration.
    """
    tables, base = {metric: by_variant(rows, metric) for metric in suite["metrics"]}, baseline(suite)
    heads = [f"{m}, mean ± standard deviation | {m}, difference from {base} (95 % interval)" for m in tables]
    lines = [f"## {suite['title']}", "", f"**The paper:** {suite['claim']}", "", suite["note"], ""]
    lines += [f"| variant | {' | '.join(heads)} | seeds |", f"|---|{'---|---|' * len(tables)}---|"]
    for variant in suite["variants"]:
        cells = []
        for table in tables.values():
            values = list(table[variant].values())
            apart = "" if variant == base else str(paired(table[variant], table[base]))
            cells.append(f"{statistics.fmean(values):.1f} ± {_spread(values):.1f} | {apart}")
        lines.append(f"| {variant} | {' | '.join(cells)} | {len(next(iter(tables.values()))[variant])} |")
    lines += ["", f"![{suite['title']}](ablations/{name}.svg)", "", "**Measured:**", ""]
    for metric, table in tables.items():
        for better, worse in suite["expect"]:
            found = paired(table[better], table[worse])
            lines.append(f'- {metric}: "{better}" above "{worse}" is {found.verdict}: {found} points.')
    return "\n".join([*lines, "", about, ""])


def _spread(values: Sequence[float]) -> float:
    """Standard deviation over seeds; 0 for a single one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
