"""Several labels per box, at key frames. Legend: K boxes of a batch."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ..config.derived import Cfg
from ..utils.batches import numbered_boxes
from .base import Batch, Inputs, Losses, Task
from .losses import Criterion, criterion_named
from .scores import BoxScores

_NOT_STACKED = ("boxes", "targets", "index")


class DetectionTask(Task[BoxScores]):
    """Several labels per box; clips may have any number of boxes, also none. Synchronisation losses are added.

    Args:
        criterion: Loss of logits [K, classes] and targets [K, classes].
        **shared: See `Task`.
    """

    def __init__(self, criterion: Criterion, **shared: Any) -> None:
        super().__init__(**shared)
        self.criterion = criterion

    @classmethod
    def options(cls, cfg: Cfg, device: torch.device) -> dict[str, Any]:
        """See `Task.options`."""
        return {**super().options(cfg, device), "criterion": criterion_named(cfg.MODEL.LOSS_FUNC)}

    def inputs(self, batch: Batch) -> Inputs:
        """See `Task.inputs`; with "boxes" [K, 5] (clip of the batch, x1, y1, x2, y2 in input pixels)."""
        inputs = super().inputs(batch)
        if "boxes" in batch:
            inputs["boxes"] = batch["boxes"].to(self.device, non_blocking=True)
        return inputs

    def losses(self, model: nn.Module, batch: Batch, drop_audio: bool | None, iteration: int) -> Losses:
        """See `Task.losses`: "loss_cls" and the synchronisation losses."""
        inputs, targets = self.inputs(batch), batch["targets"].to(self.device, non_blocking=True)
        out = self.forward(model, inputs, drop_audio)
        # Without a box in the batch there is nothing to learn from, and a mean over nothing would be NaN.
        loss = self.criterion(out["logits"], targets, None) if len(targets) else out["logits"].sum() * 0.0
        return self.with_total({"loss_cls": loss}, out["losses"])

    def scores(self, model: nn.Module, batch: Batch, max_clips: int) -> BoxScores:
        """See `Task.scores`; clips of one size go through the network together."""
        frames: list[Any] = []
        for group in _of_one_size(batch["clips"], max_clips):
            inputs = {
                name: torch.stack([clip[name] for clip in group]) for name in group[0] if name not in _NOT_STACKED
            }
            counts = [len(clip["boxes"]) for clip in group]
            boxes = numbered_boxes([clip["boxes"] for clip in group])
            scores = model(self.inputs(inputs), boxes=boxes.to(self.device))["scores"].float().cpu()
            frames += [part.numpy() for part in scores.split(counts)]
        return BoxScores(frames)


def _of_one_size(clips: list[Batch], max_clips: int) -> Iterator[list[Batch]]:
    """Neighbouring clips whose frames have one size, at most `max_clips` at a time: in testing crops differ in size."""
    group: list[Batch] = []
    for clip in clips:
        if group and (len(group) == max_clips or clip["slow"].shape != group[0]["slow"].shape):
            yield group
            group = []
        group.append(clip)
    if group:
        yield group
