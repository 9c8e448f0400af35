"""Pages to play with of a run's tested videos, and one page that leads to them."""

import html
import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from torch import nn

from ..inference.load import meta_of
from ..media import DecodeError, open_media
from ..media.files import result_names
from ..utils.text import counted, write_text
from .media import has_frames
from .player import write_player
from .report.markup import document, table
from .report.run import Run, single_label

INDEX = "index.html"
# Windows of one page, at most: further ones lie further apart.
_WINDOWS = {"cpu": 20, "cuda": 80}


@dataclass(frozen=True)
class Shown:
    """A tested video.

    Attributes:
        path: Its file.
        page: The page to play with, which need not be there yet.
        true: Name of its class.
        predicted: Name of the class with the highest score.
        score: This score, 0..1.
    """

    path: str
    page: str
    true: str
    predicted: str
    score: float


def is_current(path: str | os.PathLike[str], folder: str | os.PathLike[str]) -> bool:
    """Whether a file is there and no older than the results of the run in a folder."""
    return os.path.isfile(path) and os.path.getmtime(path) >= os.path.getmtime(os.path.join(folder, "results.json"))


def missing_pages(run: Run, out: str | os.PathLike[str], limit: int) -> int:
    """How many pages `write_gallery` would write.

    Args:
        run: The run, with results and scores.
        out: Folder of the pages.
        limit: Number of videos, at most.
    """
    return sum(not is_current(shown.page, run.folder) for shown in choose_videos(run, out, limit))


def choose_videos(run: Run, out: str | os.PathLike[str], limit: int) -> list[Shown]:
    """Tested videos of a run, of all classes alike: of each the best and the worst scores of the true class in turn.

    Args:
        run: Of a network that classifies videos with one label each.
        out: Folder of the pages.
        limit: Number of videos, at most.
    """
    scored = single_label(run)
    if scored is None or run.scores is None or not run.scores.paths:
        return []
    scores, labels, names = scored
    readable = np.flatnonzero(~np.isnan(scores).any(axis=1))
    rounds: list[tuple[int, int, int]] = []
    for label in np.unique(labels[readable]).tolist():
        of_class = readable[labels[readable] == label]
        ranked = of_class[np.argsort(-scores[of_class, label], kind="stable")].tolist()
        ends = [ranked.pop(0 if turn % 2 == 0 else -1) for turn in range(len(ranked))]
        rounds += [(turn, label, video) for turn, video in enumerate(ends)]
    chosen = [video for _, _, video in sorted(rounds)[:limit]]
    pages = result_names(run.scores.paths)
    return [
        Shown(
            run.scores.paths[i],
            os.path.join(out, f"{pages[i]}.html"),
            names[labels[i]],
            names[int(scores[i].argmax())],
            float(scores[i].max()),
        )
        for i in chosen
    ]


def write_gallery(
    model: nn.Module, run: Run, out: str | os.PathLike[str], limit: int = 12, say: Callable[[str], None] = print
) -> str:
    """Write pages to play with and the page that leads to them; a page that is newer than the results stays.

    Args:
        model: The run's network, from `avslowfast.load_model`.
        run: The run, with results and scores.
        out: Folder to write to.
        limit: Number of videos, at most.
        say: Gets a line about each page.

    Returns:
        The page that leads to the others.
    """
    videos, rows = choose_videos(run, out, limit), []
    for number, shown in enumerate(videos, 1):
        words = f"page {number} of {len(videos)}, {os.path.basename(shown.path)}"
        try:
            if is_current(shown.page, run.folder):
                say(f"{words}: there already")
            else:
                written = write_player(model, shown.path, shown.page, step=_step(model, shown.path))
                say(f"{words}: {written.size / 1e6:.1f} MB")
        except DecodeError as error:
            say(f"{words}: left out: {error.reason_for(shown.path)}")
            continue
        link = quote(os.path.relpath(shown.page, out))
        name = html.escape(os.path.basename(shown.path))
        mark = "" if shown.true == shown.predicted else " (wrong)"
        predicted = f"{html.escape(shown.predicted)}{mark}"
        rows.append(
            [f"<a href='{link}'>{name}</a>", html.escape(shown.true), predicted, f"{100 * shown.score:.0f}&nbsp;%"]
        )
    path = os.path.join(out, INDEX)
    shown_of = f"{counted(len(rows), 'video')} of {len(run.scores.paths) if run.scores else 0} that were tested"
    write_text(
        path,
        document(
            f"{os.path.basename(os.path.abspath(run.folder))}: videos to play with",
            [
                ("", f"<p>{shown_of}. Each page has the video with its sound and what the network makes of it.</p>"),
                ("Videos", table(rows, numbers=(3,), headings=("video", "class", "predicted", "score"))),
            ],
        ),
    )
    return path


def _step(model: nn.Module, path: str) -> float | None:
    """Seconds from one window of a page to the next; None, half a window, where the file is short enough."""
    with open_media(path, frames=has_frames(path)) as reader:
        seconds = reader.extent.duration
    spread = seconds / _WINDOWS[next(model.parameters()).device.type]
    return spread if spread > meta_of(model).clip_reader.settings.duration / 2 else None
