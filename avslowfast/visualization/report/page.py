"""The page: its sections, in order."""

import html
import os

import yaml

from ...inference.load import load_model
from ...utils.text import write_text
from . import sections
from .clips import best_and_worst
from .confusion import confusion
from .markup import document
from .other_tests import other_tests
from .provenance import provenance
from .run import read_run


def make_report(
    folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None, players: bool = False
) -> str:
    """Write a page about a run.

    Args:
        folder: Its OUTPUT_DIR.
        out: File to write; None is report.html in the folder.
        players: Each clip gets a page to play with, for which the run's network is loaded and looks at the clips anew.

    Returns:
        The path of the page.

    Raises:
        NoRunError: There is neither a log nor a result in the folder.
        UserError: The run's network is needed and cannot be loaded.
    """
    run = read_run(folder)
    model = load_model(folder)[0] if players else None
    listing = html.escape(yaml.safe_dump(run.cfg))
    text = document(
        run.title,
        [
            ("", sections.headline(run)),
            ("Training", sections.training(run)),
            ("Results", sections.results(run)),
            ("Other tests", other_tests(run)),
            ("Synchronisation", sections.synchronisation(run)),
            ("Classes", sections.classes(run)),
            ("Confusion", confusion(run)),
            ("Clips", best_and_worst(run, model)),
            ("Failed files", sections.failed_files(run)),
            ("Left out", sections.notes(run)),
            ("Speed", sections.speed(run)),
            ("Where it comes from", provenance(run)),
            (
                "Configuration",
                f"<details><summary>every key</summary><pre>{listing}</pre></details>" if run.cfg else "",
            ),
        ],
    )
    path = os.fspath(out or os.path.join(folder, "report.html"))
    write_text(path, text)
    return path
