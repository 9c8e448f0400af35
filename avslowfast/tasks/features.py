"""Pooled features of a stage in place of scores: what a linear probe looks at."""

from typing import Any

import torch
from torch import nn

from ..config.derived import Cfg
from ..models.network import Network
from .base import Batch, Losses, network_of, prefixes, Task
from .scores import Features


class FeatureTask(Task[Features]):
    """Pooled features by modality, "visual" and "audio", as far as the network has them; nothing is trained.

    The modalities stay apart: visual features have met no audio.

    Args:
        stage: Whose features are pooled.
        **shared: See `Task`.
    """

    def __init__(self, stage: str, **shared: Any) -> None:
        super().__init__(**shared)
        self.stage = stage

    @classmethod
    def options(cls, cfg: Cfg, device: torch.device) -> dict[str, Any]:
        """See `Task.options`."""
        return {**super().options(cfg, device), "stage": cfg.PROBE.STAGE}

    def losses(self, model: nn.Module, batch: Batch, drop_audio: bool | None, iteration: int) -> Losses:
        """Not defined: the network's weights stay as they are.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a probe leaves the network's weights as they are, so it has no losses")

    def scores(self, model: nn.Module, batch: Batch, max_clips: int) -> Features:
        """See `Task.scores`."""
        network = network_of(model)
        return Features.concatenate(
            [self._by_modality(network, self.inputs(chunk)) for chunk in self.evaluation_chunks(batch, max_clips)]
        )

    def _by_modality(self, network: Network, inputs: dict[str, torch.Tensor]) -> Features:
        pooled = network.pooled_features(inputs, self.stage, fuse=False)
        visual = [pooled[name] for name in ("slow", "fast") if name in pooled]
        modalities = {"visual": torch.cat(visual, dim=1)} if visual else {}
        if "audio" in pooled:
            modalities["audio"] = pooled["audio"]
        return Features.from_tensors(modalities)

    def required_weights(self, network: Network) -> str:
        """See `Task.required_weights`: the pathways and what joins Fast to Slow; no audio lateral, no classifier."""
        return prefixes(network, ("pathways", "fast_to_slow"))
