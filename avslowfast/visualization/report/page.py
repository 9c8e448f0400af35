"""The page: its sections, in order."""

import html
import os

import yaml

from ...utils.files import replacing
from . import sections
from .clips import best_and_worst
from .markup import document
from .run import read_run


def make_report(folder: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> str:
    """Write a page about a run.

    Args:
        folder: Its OUTPUT_DIR.
        out: File to write; None is report.html in the folder.

    Returns:
        The path of the page.

    Raises:
        NoRunError: There is neither a log nor a result in the folder.
    """
    run = read_run(folder)
    listing = html.escape(yaml.safe_dump(run.cfg))
    text = document(
        run.title,
        [
            ("", sections.headline(run)),
            ("Training", sections.training(run)),
            ("Results", sections.results(run)),
            ("Synchronisation", sections.synchronisation(run)),
            ("Classes", sections.classes(run)),
            ("Confusion", sections.confusion(run)),
            ("Clips", best_and_worst(run)),
            ("Failed files", sections.failed_files(run)),
            ("Left out", sections.notes(run)),
            ("Speed", sections.speed(run)),
            (
                "Configuration",
                f"<details><summary>every key</summary><pre>{listing}</pre></details>" if run.cfg else "",
            ),
        ],
    )
    path = os.fspath(out or os.path.join(folder, "report.html"))
    with replacing(path) as part, open(part, "w", encoding="utf-8", errors="backslashreplace") as f:
        f.write(text)
    return path
