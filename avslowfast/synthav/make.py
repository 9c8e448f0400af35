"""Render a variant of SynthAV into a folder, with the label files of its layout."""

import functools
import json
import multiprocessing
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from ..utils.errors import UserError
from ..utils.files import replacing
from ..utils.text import read_json
from .ava import AvaMovies
from .charades import Charades
from .clips import Clips
from .kitchens import Kitchens
from .scenes import Job, Labels, Layout

# {variant: {split: number of videos}} that is rendered unless other numbers are given.
VARIANTS: dict[str, dict[str, int]] = {
    "pairs": {"train": 640, "val": 96, "test": 320},
    "hard": {"train": 160, "val": 64, "test": 320},
    "bounces": {"train": 640, "val": 96, "test": 320},
    "epic": {"train": 80, "val": 36},
    "charades": {"train": 480, "test": 160},
    "ava": {"train": 40, "val": 16},
}
_LAYOUTS: dict[str, Layout[Any]] = {
    "pairs": Clips("pairs"),
    "hard": Clips("hard"),
    "bounces": Clips("bounces"),
    "epic": Kitchens(),
    "charades": Charades(),
    "ava": AvaMovies(),
}


class SynthAVError(UserError, ValueError):
    """A folder or a number of videos with which a variant of SynthAV cannot be rendered; the message says why."""


@dataclass(frozen=True)
class RenderSummary:
    """What `render_dataset` has made.

    Attributes:
        folder: Where it is.
        videos: Number of videos.
        rendered: How many of them were written now; the others existed.
        labels: Number of labels: clips, segments, events or boxes.
    """

    folder: str
    videos: int
    rendered: int
    labels: int

    def __str__(self) -> str:
        return f"{self.folder}: {self.videos} videos ({self.rendered} rendered), {self.labels} labels"


def render_dataset(
    folder: str | os.PathLike[str],
    variant: str = "pairs",
    counts: Mapping[str, int] | None = None,
    seed: int = 0,
    processes: int = 1,
) -> RenderSummary:
    """Render the missing videos of a variant and write its label files.

    Args:
        folder: Where to write; made if needed.
        variant: One of `VARIANTS`.
        counts: {split: number of videos}, with the splits of the variant in `VARIANTS`; None takes the numbers there.
        seed: Seed of every draw.
        processes: How many render at a time; 1 renders in this process.

    Raises:
        SynthAVError: The folder holds another variant or seed, or the variant or a split is unknown.
    """
    folder = os.fspath(folder)
    if variant not in VARIANTS:
        raise SynthAVError(f"unknown variant of SynthAV {variant!r}; known: {', '.join(VARIANTS)}")
    counts = dict(VARIANTS[variant] if counts is None else counts)
    unknown = [split for split in counts if split not in VARIANTS[variant]]
    if unknown:
        raise SynthAVError(f"SynthAV {variant} has no split {unknown[0]!r}; known: {', '.join(VARIANTS[variant])}")
    os.makedirs(folder, exist_ok=True)
    _mark(folder, variant, seed)
    layout = _LAYOUTS[variant]
    jobs = layout.jobs(counts)
    work = functools.partial(_write, variant, folder, seed)
    bar = tqdm(_map(work, jobs, processes), total=len(jobs), desc=f"SynthAV {variant}", disable=None)
    results = list(bar)
    labels = layout.write_labels(folder, seed, [labels for _, labels in results])
    return RenderSummary(folder, len(jobs), sum(written for written, _ in results), labels)


def _write(variant: str, folder: str, seed: int, job: Job) -> tuple[bool, Labels[Any]]:
    """Write one video; a function of the module, so that it can be sent to another process."""
    return _LAYOUTS[variant].write(folder, seed, job)


def _map(
    work: "functools.partial[tuple[bool, Labels[Any]]]", jobs: list[Job], processes: int
) -> Iterator[tuple[bool, Labels[Any]]]:
    """Results of the jobs, in order."""
    if processes == 1:
        yield from map(work, jobs)
        return
    # Processes are forked: a spawned one would import everything again.
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap(work, jobs, chunksize=2)


def _mark(folder: str, variant: str, seed: int) -> None:
    """Record what the folder holds; a folder that holds something else is refused."""
    settings = {"variant": variant, "seed": seed}
    path = os.path.join(folder, "synthav.json")
    if os.path.exists(path):
        existing = read_json(path)
        if existing != settings:
            raise SynthAVError(
                f"{folder} holds SynthAV {existing}, not {settings}; choose another folder, or remove this one"
            )
    with replacing(path) as part, open(part, "w", encoding="utf-8") as f:
        json.dump(settings, f)
