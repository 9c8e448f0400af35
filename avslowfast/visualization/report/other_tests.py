"""Tests of other splits, lists, views or weights, and probes, that lie in the folder of a run."""

import html
import os

from . import sections
from .markup import number, table
from .run import read_tests, Run


def other_tests(run: Run) -> str:
    """One row per test, then each one's results, classes and failed files; "" where there are none.

    Args:
        run: The run.
    """
    tests = read_tests(run)
    shown = [*([run] if run.results else []), *tests]
    titles = {name: test.metrics[name].title for test in shown for name in sections.headline_metrics(test)}
    rows = [
        (
            html.escape(_name(test, run)),
            html.escape(", ".join(words for words in (tested(test), views(test), _weights(test)) if words)),
            *(number(test.results.get(name, "")) for name in ("videos", *titles)),
        )
        for test in shown
    ]
    headings = ("test", "videos, views, weights", "videos", *map(html.escape, titles.values()))
    details = (
        f"<details><summary>{html.escape(_name(test, run))}</summary>{_details(test, i)}</details>"
        for i, test in enumerate(tests)
    )
    return table(rows, range(2, len(headings)), headings) + "".join(details) if tests else ""


def _name(test: Run, run: Run) -> str:
    return os.path.basename(test.folder) if test is not run else "own test"


def tested(test: Run) -> str:
    """The list or split whose videos were tested; "" where the results do not say.

    Args:
        test: The run, or one of its tests.
    """
    path = test.results.get("list")
    return os.path.basename(str(path)) if path else str(test.results.get("split", ""))


def views(test: Run) -> str:
    """Clips and crops per video; "" where the results do not say.

    Args:
        test: The run, or one of its tests.
    """
    clips, crops = (test.results.get(name) for name in ("temporal_views", "spatial_crops"))
    return f"{clips} x {crops} views" if clips and crops else ""


def _weights(test: Run) -> str:
    return os.path.splitext(os.path.basename(str(test.results.get("checkpoint", ""))))[0]


def _details(test: Run, number_of_test: int) -> str:
    """All that the page shows of one of these tests."""
    classes = sections.classes(test, f"classes_{number_of_test}")
    failed = sections.failed_files(test) if test.results.get("failed") else ""
    return sections.results(test) + classes + failed + sections.notes(test)
