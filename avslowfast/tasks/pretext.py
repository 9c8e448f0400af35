"""Learning without labels: one or several pretexts at once."""

from functools import partial
from typing import Any

import torch
from torch import nn

from ..config import derived
from ..config.derived import Cfg
from ..config.names import PRETEXTS
from ..models.network import Network
from ..utils import distributed
from ..utils.seeding import generator
from .base import Batch, Losses, network_of, prefixes, Task
from .pretexts import Pretext
from .scores import by_head, Distances


class PretextTask(Task[Distances]):
    """Pretexts in place of labels, which are not read: those that the task names, or PRETRAIN.TASKS.

    Visual features never meet audio here: with nothing to classify, fusion has no purpose, and every stage can be
    compared.

    Args:
        pretexts: By name. Their transforms act one after the other on a batch, which then goes once through the
            network.
        synchronises: One of them learns from the network's synchronisation heads.
        seed: Of the transforms.
        **shared: See `Task`.
    """

    joins_views = False

    def __init__(self, pretexts: dict[str, Pretext], synchronises: bool, seed: int = 0, **shared: Any) -> None:
        super().__init__(**shared)
        self.pretexts = pretexts
        self.seed = seed
        self.idle_in_evaluation = () if synchronises else ("audio_laterals", "sync_heads")

    @classmethod
    def options(cls, cfg: Cfg, device: torch.device) -> dict[str, Any]:
        """See `Task.options`."""
        facts = derived.pretext_facts(cfg)
        return {
            **super().options(cfg, device),
            "pretexts": {
                name: PRETEXTS[name](name, facts[name].outputs, **PRETEXTS[name].options(cfg)) for name in facts
            },
            "synchronises": any(fact.synchronisation for fact in facts.values()),
            "seed": cfg.RNG_SEED,
        }

    def losses(self, model: nn.Module, batch: Batch, drop_audio: bool | None, iteration: int) -> Losses:
        """See `Task.losses`: "loss_PRETEXT" and the synchronisation losses; `drop_audio` has no meaning here."""
        draw = partial(generator, self.seed, iteration, distributed.rank())
        inputs, targets = self.inputs(batch), {}
        for name, pretext in self.pretexts.items():
            inputs, targets[name] = pretext.transform(inputs, draw)
        out = self.forward(model, inputs, True)
        logits = by_head(out.get("logits", {}))
        parts = {
            f"loss_{name}": pretext.loss(logits[name], targets[name])
            for name, pretext in self.pretexts.items()
            if pretext.outputs
        }
        return self.with_total(parts, out["losses"])

    def forward_as_evaluated(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> dict[str, Any]:
        """See `Task.forward_as_evaluated`: visual features never meet audio."""
        return self.forward(model, inputs, True)

    def scores(self, model: nn.Module, batch: Batch, max_clips: int) -> Distances:
        """See `Task.scores`: what each pretext's `score` gives."""
        network, parts = network_of(model), []
        for chunk in self.evaluation_chunks(batch, max_clips):
            inputs, arrays = self.inputs(chunk), {}
            for pretext in self.pretexts.values():
                arrays.update(pretext.score(network, inputs))
            parts.append(Distances.from_tensors(arrays))
        return Distances.concatenate(parts)

    def required_weights(self, network: Network) -> str:
        """See `Task.required_weights`: everything but a classifier."""
        return prefixes(network, ("pathways", "fast_to_slow", "audio_laterals", "sync_heads"))
