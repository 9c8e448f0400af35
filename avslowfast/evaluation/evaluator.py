"""One evaluation loop, for validation while training and for testing with several views."""

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from ..tasks.base import Batch, Task
from ..tasks.scores import S
from ..utils import distributed
from ..utils.errors import UserError
from ..utils.logging import get_logger
from .protocols.base import Evaluation, Protocol

__all__ = ["evaluate", "Evaluation", "TooManyFailuresError"]

logger = get_logger(__name__)

# Files that are named in the log, of those that could not be read.
_NAMED = 20

Autocast = Callable[[], contextlib.AbstractContextManager[Any]]


class TooManyFailuresError(UserError, RuntimeError):
    """More files failed than DATA.MAX_FAILED_FRACTION allows."""


@dataclass(frozen=True)
class _Video(Generic[S]):
    """One video: its file, label, and joined scores of one row; None for one that could not be read."""

    path: str
    label: NDArray[Any]
    scores: S | None


@torch.no_grad()
def evaluate(
    model: nn.Module,
    loader: Iterable[Batch],
    task: Task[S],
    protocol: Protocol[S] | None = None,
    *,
    max_clips: int,
    ensemble: str = "sum",
    max_failed: float = 1.0,
    autocast: Autocast = contextlib.nullcontext,
    desc: str = "test",
) -> Evaluation[S]:
    """Run a model over a data set, each video once over all ranks, and measure it by the rules of the data set.

    Args:
        model: The network; it is left in the mode it came in.
        loader: Gives evaluation batches.
        task: Gives the scores of a batch.
        protocol: How the data set is scored; without one there are scores but no metrics.
        max_clips: Clips in a forward pass of this rank (`derived.test_clips_per_pass`).
        ensemble: How the scores of a video's views are joined: sum (their mean) | max.
        max_failed: Share of unreadable videos above which the run stops.
        autocast: Gives the context of the forward pass.
        desc: For the progress bar.

    Returns:
        Scores, labels and metrics, the same on every rank.

    Raises:
        TooManyFailuresError: Names the first files and reasons.
    """
    began, was_training = time.time(), model.training
    model.eval()
    videos: dict[int, _Video[S]] = {}
    failed: list[tuple[int, str, str]] = []
    views = 1
    joining = ensemble if task.joins_views else "none"
    try:
        for batch in tqdm(loader, desc=desc, disable=None if distributed.is_main() else True, leave=False):
            failed += batch["failed"]
            scores = None
            if len(batch["clip_index"]):
                with autocast():
                    scores = task.scores(model, batch, max_clips)
            clip_index = batch["clip_index"].numpy()
            for index, path, label in zip(batch["index"].tolist(), batch["path"], batch["label"]):
                clips = clip_index == index
                views = max(views, int(clips.sum()))
                joined = scores.of_video(clips, joining) if scores is not None and clips.any() else None
                videos[index] = _Video(path, label.numpy(), joined)
    finally:
        model.train(was_training)
    result = _gathered(videos, failed, views)
    if protocol is not None:
        result.metrics = protocol.measure(result.scores, result.labels)
    result.seconds = time.time() - began
    _report_failures(result, max_failed)
    return result


def _gathered(videos: dict[int, _Video[S]], failed: list[tuple[int, str, str]], views: int) -> Evaluation[S]:
    """The videos of every rank in the data set's order."""
    ranks = distributed.gather_objects((videos, failed, views))
    everything = {index: video for part, _, _ in ranks for index, video in part.items()}
    in_order = [everything[index] for index in sorted(everything)]
    failures = [
        {"path": path, "reason": reason} for _, path, reason in sorted(row for _, part, _ in ranks for row in part)
    ]
    known = next((video.scores for video in in_order if video.scores is not None), None)
    if known is None:
        first = failures[0]
        raise TooManyFailuresError(
            f"none of {len(in_order)} videos could be read; the first: {first['path']}: {first['reason']}"
        )
    return Evaluation(
        scores=type(known).stack([video.scores for video in in_order]),
        labels=np.stack([video.label for video in in_order]),
        paths=[video.path for video in in_order],
        failed=failures,
        views=max(count for _, _, count in ranks),
    )


def _report_failures(result: Evaluation[S], max_failed: float) -> None:
    if not result.failed:
        return
    total, count = len(result.paths), len(result.failed)
    for item in result.failed[:_NAMED]:
        logger.warning("failed, scored as wrong: %s (%s)", item["path"], item["reason"])
    logger.warning("%d of %d videos failed (%.2f %%)", count, total, 100 * count / total)
    if count > max_failed * total:
        first = result.failed[0]
        raise TooManyFailuresError(
            f"{count} of {total} videos could not be read, more than DATA.MAX_FAILED_FRACTION {max_failed:g} allows; "
            f"the first: {first['path']} ({first['reason']}). Repair or remove them, or raise the key"
        )
