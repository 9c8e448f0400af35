"""One or several labels per clip."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..config.derived import Cfg
from ..utils.seeding import generator
from .base import Batch, Losses, network_of, Task
from .losses import Criterion, criterion_named
from .mixing import Mixing
from .scores import by_head, ClassScores


class ClassificationTask(Task[ClassScores]):
    """One or several labels per clip, for one or several classifiers; the network's synchronisation losses are added.

    Args:
        criterion: Loss of logits and labels.
        head_weights: {classifier: weight of its loss} of a network with several.
        mixing: Mixes the clips of a batch and their labels; None leaves them as they are.
        seed: Of the mixing.
        **shared: See `Task`.
    """

    def __init__(
        self,
        criterion: Criterion,
        head_weights: dict[str, float] | None = None,
        mixing: Mixing | None = None,
        seed: int = 0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.criterion = criterion
        self.head_weights = head_weights or {}
        self.mixing = mixing
        self.seed = seed
        self.class_weights: dict[str, torch.Tensor] = {}

    def weight_classes(self, weights: Mapping[str, torch.Tensor]) -> None:
        """See `Task.weight_classes`."""
        self.class_weights = {head: of_class.to(self.device) for head, of_class in weights.items()}

    @classmethod
    def options(cls, cfg: Cfg, device: torch.device) -> dict[str, Any]:
        """See `Task.options`."""
        return {
            **super().options(cfg, device),
            "criterion": criterion_named(cfg.MODEL.LOSS_FUNC, cfg.MODEL.LABEL_SMOOTHING),
            "head_weights": dict(zip(cfg.MULTI_HEAD.NAMES, cfg.MULTI_HEAD.LOSS_WEIGHTS)),
            "mixing": _mixing(cfg) if cfg.MIXUP.ENABLE else None,
            "seed": cfg.RNG_SEED,
        }

    def losses(self, model: nn.Module, batch: Batch, drop_audio: bool | None, iteration: int) -> Losses:
        """See `Task.losses`: "loss_cls", or "loss_CLASSIFIER" for each of several, and the synchronisation losses."""
        inputs = self.inputs(batch)
        labels = batch["label"].to(self.device, non_blocking=True)
        if self.mixing is not None:
            inputs = network_of(model).normalize(inputs)
            inputs, labels = self.mixing(inputs, labels, generator(self.seed, iteration, "mixing"))
        out = self.forward(model, inputs, drop_audio)
        parts = {}
        for column, (head, logits) in enumerate(by_head(out["logits"]).items()):
            if head:
                of_head = self.criterion(logits, labels[:, column], self.class_weights.get(head))
                parts[f"loss_{head}"] = self.head_weights[head] * of_head
            else:
                parts["loss_cls"] = self.criterion(logits, labels, self.class_weights.get(head))
        return self.with_total(parts, out["losses"])

    def scores(self, model: nn.Module, batch: Batch, max_clips: int) -> ClassScores:
        """See `Task.scores`."""
        outputs = [model(self.inputs(chunk))["scores"] for chunk in self.evaluation_chunks(batch, max_clips)]
        return ClassScores.concatenate([ClassScores.from_tensors(scores) for scores in outputs])


def _mixing(cfg: Cfg) -> Mixing:
    m = cfg.MIXUP
    return Mixing(m.ALPHA, m.CUTMIX_ALPHA, m.PROB, m.SWITCH_PROB, m.LABEL_SMOOTH_VALUE, cfg.MODEL.NUM_CLASSES)
