"""What a task is: it turns a batch into model inputs, named losses (training) and scores (evaluation).

The training and evaluation loops never ask which task they run. Legend: B clips of a batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, cast, Generic

import torch
from torch import nn

from ..clips.logmel import apply_spec_masks
from ..config import ConfigError
from ..config.derived import Cfg
from ..loading.build import audio_front_end
from ..models.network import Network
from ..utils.batches import chunks
from .scores import S

# A collated batch: tensors with a row per clip, and lists and numbers with them (see `loading`).
Batch = dict[str, Any]
# A model's inputs: "slow" [B, 3, T/alpha, H, W], "fast" [B, 3, T, H, W], "audio" [B, 1, T_A, F], "audio_mask" [B]
# bool, ...
Inputs = dict[str, torch.Tensor]
# Scalars by name; "loss" is minimised.
Losses = dict[str, torch.Tensor]

# Inputs whose number of rows differs from batch to batch: a compiled network takes any number in one graph.
_RAGGED = ("audio_hard_negative", "audio_hard_negative_index", "boxes")


def network_of(model: nn.Module) -> Network:
    """The network inside its data-parallel or compiled wrapper; without a wrapper the model itself."""
    return cast(Network, getattr(model, "module", model))


class Task(ABC, Generic[S]):
    """An objective with its losses and scores.

    A task of a plugin derives from this class (or from one of the tasks), says in `options` what it takes from the
    configuration, and is registered with `@TASKS.register(name, facts=TaskFacts(...))`.

    Args:
        device: Where batches go.
        front_end: Turns waveforms [B, N] into log-mel spectrograms; None where batches have spectrograms already.
        compiles: The model is compiled.
        avs_weight: Weight of the network's synchronisation losses in the sum.

    Attributes:
        joins_views: The scores of a video's views are joined; otherwise they stay side by side.
        idle_in_evaluation: Parts of the network that evaluation does not run.
    """

    joins_views: bool = True
    idle_in_evaluation: tuple[str, ...] = ("sync_heads",)

    def __init__(
        self,
        device: torch.device,
        *,
        front_end: nn.Module | None = None,
        compiles: bool = False,
        avs_weight: float = 1.0,
    ) -> None:
        self.device = device
        self.front_end = front_end
        self.compiles = compiles
        self.avs_weight = avs_weight

    @classmethod
    def options(cls, cfg: Cfg, device: torch.device) -> dict[str, Any]:
        """The constructor's arguments that a configuration gives. A task with further arguments extends this."""
        front_end = audio_front_end(cfg).to(device) if cfg.DATA.LOGMEL_ON_DEVICE else None
        return {
            "device": device,
            "front_end": front_end,
            "compiles": cfg.TRAIN.COMPILE,
            "avs_weight": cfg.LATERAL.AVS_WEIGHT,
        }

    def inputs(self, batch: Batch) -> Inputs:
        """The model's inputs out of a collated batch, on the device, where missing spectrograms are computed.

        Args:
            batch: As the loader gives it; unchanged.
        """
        tensors = {k: v.to(self.device, non_blocking=True) for k, v in batch.items() if isinstance(v, torch.Tensor)}
        for name in [name for name in tensors if name.startswith("waveform")]:
            tensors[name.replace("waveform", "audio")] = self._spectrogram(tensors.pop(name))
        if "spec_masks" in tensors:
            tensors["audio"] = apply_spec_masks(tensors["audio"], tensors["spec_masks"])
        return {name: x for name, x in tensors.items() if name in ("slow", "fast") or name.startswith("audio")}

    def _spectrogram(self, waveform: torch.Tensor) -> torch.Tensor:
        if self.front_end is None:
            raise ValueError("the batch has waveforms, but the task has no front end (DATA.LOGMEL_ON_DEVICE is False)")
        spectrogram: torch.Tensor = self.front_end(waveform)
        return spectrogram

    def weight_classes(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Let clips count in the loss by their class (DATA.BALANCE weights).

        Args:
            weights: {classifier: [classes]}.

        Raises:
            ConfigError: The task has no classes.
        """
        raise ConfigError(f"DATA.BALANCE is weights: {type(self).__name__} has no classes to weight; set it to none")

    @abstractmethod
    def losses(self, model: nn.Module, batch: Batch, drop_audio: bool | None, iteration: int) -> Losses:
        """Named scalar losses of a training batch; "loss" is what is minimised.

        Args:
            model: The network, or its wrapper, in training mode.
            batch: A collated training batch.
            drop_audio: This iteration goes without audio; None where the network has no audio pathway to drop.
            iteration: Number of the iteration in the whole training; random numbers depend on it.
        """

    @abstractmethod
    def scores(self, model: nn.Module, batch: Batch, max_clips: int) -> S:
        """Scores of an evaluation batch, one row per clip.

        Args:
            model: The network in testing mode.
            batch: A collated evaluation batch with at least one clip.
            max_clips: Clips in a forward pass, at most.
        """

    def forward(self, model: nn.Module, inputs: Inputs, drop_audio: bool | None) -> dict[str, Any]:
        """Run the model on inputs of `inputs`; the network's outputs (see `Network.forward`)."""
        if self.compiles:
            from torch._dynamo import maybe_mark_dynamic

            for name in _RAGGED:
                if name in inputs:
                    maybe_mark_dynamic(inputs[name], 0)
        outputs: dict[str, Any] = model(inputs, boxes=inputs.get("boxes"), drop_audio=drop_audio)
        return outputs

    def forward_as_evaluated(self, model: nn.Module, inputs: Inputs) -> dict[str, Any]:
        """Run the model as evaluation does, whatever its mode: precise batch norm takes its statistics from this."""
        # Testing always has audio.
        return self.forward(model, inputs, False)

    def required_weights(self, network: Network) -> str:
        """What of a checkpoint the task depends on, as `checkpoint.require` reads it: "all", or prefixes of names."""
        return "all"

    def with_total(self, parts: Losses, sync_losses: Losses) -> Losses:
        """All losses by name, and "loss", their weighted sum.

        Args:
            parts: The task's losses, weighted already.
            sync_losses: Those of the network's synchronisation heads.
        """
        terms = [*parts.values(), *(self.avs_weight * value for value in sync_losses.values())]
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return {"loss": total, **parts, **sync_losses}

    @staticmethod
    def evaluation_chunks(batch: Batch, max_clips: int) -> Iterator[Batch]:
        """An evaluation batch in chunks of at most `max_clips` clips."""
        return chunks(batch, len(batch["clip_index"]), max_clips)


def prefixes(network: Network, parts: tuple[str, ...]) -> str:
    """Those of the network's parts that have weights, as prefixes of tensor names joined by commas."""
    return ",".join(f"{part}." for part in parts if len(getattr(network, part)))
