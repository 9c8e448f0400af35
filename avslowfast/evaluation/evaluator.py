"""One evaluation loop: validation while training and multi-view testing."""

import os
import time
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from ..checkpoint import load_content, read_checkpoint, require, states
from ..config import ConfigError
from ..utils import distributed
from ..utils.errors import UserError
from ..utils.logging import get_logger

logger = get_logger(__name__)


class TooManyFailures(UserError, RuntimeError):
    """More files failed than DATA.MAX_FAILED_FRACTION allows."""


@dataclass
class Evaluation:
    """What an evaluation found.

    Attributes:
        scores: float32 [N, K] per video in the data set's order (NaN for a failed one); a dict of such for a multi-head model; for boxes
            a list of [boxes, K] (None for a failed key frame); [N, views, ...] for a task that does not join views.
        labels: [N] or [N, K]; for boxes [N, 0]. paths: N files.
        failed: [{"path", "reason"}].
        metrics: {"top1": ..., ...}, as the data set's protocol gives them.
        views: clips per video. seconds: duration of the loop.
    """

    scores: object
    labels: np.ndarray
    paths: list
    failed: list
    metrics: dict = field(default_factory=dict)
    views: int = 1
    seconds: float = 0.0


def load_for_test(cfg, model):
    """Load the weights to test into a model: TEST.CHECKPOINT_FILE_PATH, else this run's newest (or best) state, else the start weights.

    Returns:
        (path, class names or None).
    """
    path, content = cfg.TEST.CHECKPOINT_FILE_PATH, None
    if not path and cfg.TEST.USE_BEST and os.path.isfile(states.best_path(cfg.OUTPUT_DIR)):
        path = states.best_path(cfg.OUTPUT_DIR)
    if not path:
        path, content = states.load_newest(cfg.OUTPUT_DIR, lambda s: states.mismatch(model, s))
    path = path or cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not path:
        raise ConfigError(
            f"OUTPUT_DIR is {cfg.OUTPUT_DIR!r}: no checkpoint in it to test; train first, or set TEST.CHECKPOINT_FILE_PATH"
        )
    path = states.resolve(path)
    content = content or read_checkpoint(path)
    require(load_content(model, content, path), _required(cfg, model))
    return path, content.get("class_names") if isinstance(content, dict) else None


def _required(cfg, model):
    """What of a checkpoint a task depends on; see `checkpoint.require`."""
    if cfg.TASK in ("classification", "detection"):
        return "all"
    # Without labels no classifier is needed, but for synchronisation what is compared.
    parts = (
        ("pathways", "fast_to_slow")
        if cfg.TASK == "probe"
        else ("pathways", "fast_to_slow", "audio_laterals", "sync_heads")
    )
    return ",".join(f"{part}." for part in parts if len(getattr(model, part)))


@torch.no_grad()
def evaluate(model, loader, task, protocol, *, max_clips, ensemble="sum", max_failed=1.0, autocast=None, desc="test"):
    """Run a model over a data set, each video once over all ranks, and join the scores of a video's views.

    Args:
        model: the network; it is left in the mode it came in. protocol: how the data set is scored (`protocols.Protocol`).
        max_clips: clips per forward pass of this rank.
        ensemble: sum (the mean of the views' scores) | max.
        max_failed: share of unreadable videos above which the run stops.
        autocast: context for the forward pass, or None.

    Returns:
        An `Evaluation`, the same on every rank.

    Raises:
        TooManyFailures: names the first files and reasons.
    """
    began, was_training = time.time(), model.training
    model.eval()
    rows, failed, views = {}, [], 1
    bar = tqdm(loader, desc=desc, disable=None if distributed.is_main() else True, leave=False)
    try:
        for batch in bar:
            failed += batch["failed"]
            labels = {int(i): label.numpy() for i, label in zip(batch["index"], batch["label"])}
            scores = {}
            if len(batch["clip_index"]):
                with autocast() if autocast else torch.no_grad():
                    scores = task.scores(model, batch, max_clips)
            for index, path in zip(batch["index"].tolist(), batch["path"]):
                mine = batch["clip_index"] == index
                views = max(views, int(mine.sum()))
                rows[index] = (
                    path,
                    labels[index],
                    _join(scores, mine, ensemble if task.joins_views else "none") if mine.any() else None,
                )
    finally:
        model.train(was_training)
    gathered = distributed.gather_objects((rows, failed, views))
    rows = {index: row for part, _, _ in gathered for index, row in part.items()}
    failed = sorted(item for _, part, _ in gathered for item in part)
    result = _collect(rows, failed, max(v for _, _, v in gathered))
    result.metrics = protocol.measure(result.scores, result.labels)
    result.seconds = time.time() - began
    _report_failures(result, max_failed)
    return result


def _join(scores, mine, ensemble):
    if isinstance(scores, list):
        # Boxes: one view a key frame.
        return scores[int(mine.nonzero()[0])].numpy()
    if isinstance(scores, dict):
        return {name: _join(values, mine, ensemble) for name, values in scores.items()}
    values = scores[mine]
    if ensemble == "none":
        return values.numpy()
    return (values.amax(dim=0) if ensemble == "max" else values.mean(dim=0)).numpy()


def _collect(rows, failed, views):
    order = sorted(rows)
    labels = np.stack([rows[i][1] for i in order])
    known = next((rows[i][2] for i in order if rows[i][2] is not None), None)
    if known is None:
        raise TooManyFailures(
            f"not one of {len(order)} videos could be read; the first: {failed[0][1]}: {failed[0][2]}"
        )

    def stack(pick, like):
        blank = np.full_like(like, np.nan)
        return np.stack([blank if rows[i][2] is None else pick(rows[i][2]) for i in order])

    paths, failed = [rows[i][0] for i in order], [{"path": p, "reason": r} for _, p, r in failed]
    if not labels.size:
        return Evaluation([rows[i][2] for i in order], labels, paths, failed, views=views)
    if isinstance(known, dict):
        scores = {name: stack(lambda s, name=name: s[name], value) for name, value in known.items()}
    else:
        scores = stack(lambda s: s, known)
    return Evaluation(scores, labels, paths, failed, views=views)


def _report_failures(result, max_failed):
    if not result.failed:
        return
    total, count = len(result.paths), len(result.failed)
    for item in result.failed[:20]:
        logger.warning("failed, scored as wrong: %s (%s)", item["path"], item["reason"])
    logger.warning("%d of %d videos failed (%.2f %%)", count, total, 100 * count / total)
    if count > max_failed * total:
        first = result.failed[0]
        raise TooManyFailures(
            f"{count} of {total} videos could not be read, more than DATA.MAX_FAILED_FRACTION {max_failed:g} allows; "
            f"the first: {first['path']} ({first['reason']}). Repair or remove them, or raise the key"
        )


def save_scores(result, path, class_names=None):
    """Write per-video scores to `path`.pt (tensors) and `path`.csv (path, label, prediction, a column a class)."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    heads = result.scores if isinstance(result.scores, dict) else {"": result.scores}
    torch.save(
        {
            "scores": {n: torch.from_numpy(s) for n, s in heads.items()}
            if "" not in heads
            else torch.from_numpy(heads[""]),
            "labels": torch.from_numpy(result.labels),
            "paths": result.paths,
            "class_names": class_names,
        },
        f"{path}.pt",
    )
    for name, scores in heads.items():
        own = class_names.get(name) if isinstance(class_names, dict) else class_names
        columns = own or [str(k) for k in range(scores.shape[1])]
        frame = pd.DataFrame(scores, columns=columns)
        best = [columns[int(np.argmax(row))] if not np.isnan(row).any() else "" for row in scores]
        label = result.labels if result.labels.ndim == 1 else [" ".join(map(str, row)) for row in result.labels]
        frame.insert(0, "path", result.paths)
        frame.insert(1, "label", label)
        frame.insert(2, "prediction", best)
        frame.to_csv(f"{path}{'_' + name if name else ''}.csv", index=False, float_format="%.6g")
