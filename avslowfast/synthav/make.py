"""Render a variant of SynthAV into a folder, with the label files of its layout."""

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from ..utils.errors import UserError
from . import layouts, render

# {variant: {part: videos}}, what is rendered where nothing else is asked for.
VARIANTS: dict[str, dict[str, int]] = {
    "pairs": {"train": 640, "val": 96, "test": 320},
    "hard": {"train": 160, "val": 64, "test": 320},
    "bounces": {"train": 640, "val": 96, "test": 320},
    "epic": {"train": 80, "val": 36},
    "charades": {"train": 480, "test": 160},
    "ava": {"train": 40, "val": 16},
}


class SynthAVError(UserError, ValueError):
    """A folder that cannot take a variant of SynthAV; the message says why."""


def make(out: str, variant: str, num_clips: Mapping[str, int], seed: int = 0, jobs: int = 1) -> str:
    """Render what is missing in a folder and write the label files.

    Args:
        out: The folder.
        variant: One of `VARIANTS`.
        num_clips: {part: videos}, with the parts that the variant has.
        seed: Seed of every draw.
        jobs: Processes.

    Returns:
        One line that says what the folder holds and how long it took.

    Raises:
        SynthAVError: The folder holds clips of another variant or seed.
    """
    began = time.time()
    os.makedirs(out, exist_ok=True)
    _stamp(out, {"variant": variant, "seed": seed})

    def rendered(function: Callable[[Any], Any], work: Sequence[Any]) -> list[Any]:
        # Processes are forked: a spawned one would import everything again.
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            results = pool.imap(function, work, chunksize=2)
            return list(tqdm(results, total=len(work), desc=f"SynthAV {variant}", disable=None))

    if variant == "epic":
        rows = rendered(layouts.write_epic_video, layouts.plan_epic(out, seed, num_clips["train"], num_clips["val"]))
        what = f"{layouts.write_epic_labels(out, rows)} segments of {len(rows)} videos"
    elif variant == "ava":
        rows = rendered(layouts.write_ava_movie, layouts.plan_ava(out, seed, num_clips["train"], num_clips["val"]))
        what = f"{layouts.write_ava_labels(out, rows, num_clips['train'], seed)} boxes in {len(rows)} movies"
    elif variant == "charades":
        plan = layouts.plan_charades(out, seed, num_clips["train"], num_clips["test"])
        rows = rendered(layouts.write_charades_video, plan)
        what = f"{layouts.write_charades_labels(out, rows, num_clips['train'])} videos"
    else:
        what = _make_clips(out, variant, num_clips, seed, rendered)
    return f"{out}: {what}, {time.time() - began:.0f} s"


def _stamp(out: str, settings: dict[str, Any]) -> None:
    """Write down what the folder holds; a folder that holds something else is refused."""
    stamp = os.path.join(out, "synthav.json")
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as f:
            before = json.load(f)
        if before != settings:
            raise SynthAVError(
                f"{out} holds SynthAV {before}, not {settings}; choose another folder, or remove this one"
            )
    with open(stamp, "w", encoding="utf-8") as f:
        json.dump(settings, f)


def _make_clips(
    out: str,
    variant: str,
    num_clips: Mapping[str, int],
    seed: int,
    rendered: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]],
) -> str:
    """Clips with lists in Kinetics' format."""
    for split in num_clips:
        os.makedirs(os.path.join(out, split), exist_ok=True)
    work, lists = render.plan_dataset(out, variant, num_clips, seed)
    fresh = sum(rendered(render.write_clip, work))
    for split, lines in lists.items():
        with open(os.path.join(out, f"{split}.csv"), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
    names = render.class_names(variant)
    with open(os.path.join(out, "classes.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(names) + "\n")
    return f"{len(work)} clips ({fresh} rendered), {len(names)} classes"
