"""One evaluation loop, for validation while training and for testing with several views."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from ..loading.flaws import Flaw
from ..loading.loader import ClipLoader
from ..tasks.base import Batch, Task
from ..tasks.scores import S
from ..utils import distributed
from .failures import none_read, NothingReadError, report
from .protocols.base import Evaluation, Protocol

__all__ = ["evaluate", "Evaluation"]

Autocast = Callable[[], contextlib.AbstractContextManager[Any]]
Batches = Callable[[ClipLoader], Iterator[Batch]]


@dataclass(frozen=True)
class _Video(Generic[S]):
    """One video: its file, label, and joined scores of one row; None for one that could not be read."""

    path: str
    label: NDArray[Any]
    scores: S | None


@torch.no_grad()
def evaluate(
    model: nn.Module,
    loader: ClipLoader,
    task: Task[S],
    protocol: Protocol[S] | None = None,
    *,
    max_clips: int,
    ensemble: str = "sum",
    autocast: Autocast = contextlib.nullcontext,
    batches: Batches = iter,
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
        autocast: Gives the context of the forward pass.
        batches: Gives the batches of the loader, to all ranks at the same pace where it may end before the last one.
        desc: For the progress bar, and for messages: what is evaluated.

    Returns:
        Scores, labels and metrics, the same on every rank. Files that cannot be read and scores that are not finite
        are counted and named; `FailurePolicy` judges them.

    Raises:
        NothingReadError: Not one file could be read.
    """
    began, was_training = time.time(), model.training
    model.eval()
    videos: dict[int, _Video[S]] = {}
    failed: list[tuple[int, str, str]] = []
    flaws: list[Flaw] = []
    views, silent = 1, 0
    joining = ensemble if task.joins_views else "none"
    try:
        disable = None if distributed.is_main() else True
        for batch in tqdm(batches(loader), total=len(loader), desc=desc, disable=disable, leave=False):
            failed += batch["failed"]
            flaws += batch["flaws"]
            silent += batch["silent"]
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
    result = _gathered(videos, failed, views, desc)
    flaws_of_ranks, silent_of_ranks = zip(*distributed.gather_objects((flaws, silent)))
    result.flaws, result.silent_clips = list(itertools.chain(*flaws_of_ranks)), sum(silent_of_ranks)
    if protocol is not None:
        result.metrics = protocol.measure(result.scores, result.labels)
    result.seconds = time.time() - began
    report(result, desc)
    return result


def _gathered(videos: dict[int, _Video[S]], failed: list[tuple[int, str, str]], views: int, desc: str) -> Evaluation[S]:
    """The videos of every rank in the data set's order."""
    ranks = distributed.gather_objects((videos, failed, views))
    everything = {index: video for part, _, _ in ranks for index, video in part.items()}
    in_order = [everything[index] for index in sorted(everything)]
    failures = sorted(row for _, part, _ in ranks for row in part)
    reasons: dict[str, str] = {}
    for _, path, reason in failures:
        # Segments of a file fail with it; the file is named once.
        reasons.setdefault(path, reason)
    paths = [video.path for video in in_order]
    known = next((video.scores for video in in_order if video.scores is not None), None)
    if known is None:
        raise NothingReadError(none_read(reasons, len(set(paths)), desc), paths, reasons)
    usable = [video.scores if video.scores is not None and video.scores.is_finite else None for video in in_order]
    not_finite = [v.path for v, scores in zip(in_order, usable) if v.scores is not None and scores is None]
    if len(not_finite) + len(failures) == len(usable):
        usable[0] = known.blank()
    return Evaluation(
        scores=type(known).stack(usable),
        labels=np.stack([video.label for video in in_order]),
        paths=paths,
        failed=reasons,
        failed_videos=len(failures),
        not_finite=not_finite,
        views=max(count for _, _, count in ranks),
    )
