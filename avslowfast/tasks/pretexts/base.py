"""What a pretext is: a transform of the inputs, a classifier on pooled visual features, its loss and its score.

A pretext of a plugin derives from `Pretext`, or from `VariantPretext` where the network has to recognise which of
several variants of a clip it sees, and is registered with `@PRETEXTS.register(name,
facts=PretextFacts(outputs=...))`. The network's pretext head then has a classifier of that name; several pretexts
share the head, each with its classifier.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from ...config.options import TakesOptions
from ...models.network import Network
from ..scores import by_head

# Gives the random generator for a purpose; the same one whenever an iteration is repeated, also after a resume.
Draw = Callable[[str], np.random.Generator]


class Pretext(TakesOptions, ABC):
    """One thing to learn without labels.

    Args:
        name: Under which it is registered; the name of its classifier and of its score.
        outputs: Of its classifier, as its `PretextFacts` say; 0 for a pretext without one.
    """

    def __init__(self, name: str, outputs: int = 0) -> None:
        self.name = name
        self.outputs = outputs

    def transform(self, inputs: dict[str, torch.Tensor], draw: Draw) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Change a training batch. By default it stays as it is.

        Args:
            inputs: The model's inputs; not to be changed in place.
            draw: `draw(self.name)` is a random generator.

        Returns:
            (inputs, targets [B] for `loss`, empty where there is nothing to predict).
        """
        return inputs, torch.empty(0)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The weighted loss of this pretext's classifier, logged as "loss_NAME"; called if it has outputs.

        Args:
            outputs: Logits [B, outputs].
            targets: What `transform` gave.
        """
        raise NotImplementedError(f"the pretext '{self.name}' has {self.outputs} outputs but defines no loss")

    @abstractmethod
    def score(self, network: Network, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What evaluation reports, clip by clip.

        Args:
            network: In testing mode.
            inputs: The model's inputs of B clips, without a transform.

        Returns:
            {name: [B, ...]}. A pretext that predicts something gives {self.name: [B, 1]}, the share of right
            predictions in 0..1, reported as NAME_top1 in percent.
        """


class VariantPretext(Pretext):
    """Recognise which of `outputs` variants of a clip is shown; a derived class says in `vary` what they are.

    Args:
        name: See `Pretext`.
        outputs: Number of variants.
        weight: Of the loss.
    """

    def __init__(self, name: str, outputs: int, weight: float = 1.0) -> None:
        super().__init__(name, outputs)
        self.weight = weight

    @abstractmethod
    def vary(self, clips: torch.Tensor, variants: torch.Tensor) -> torch.Tensor:
        """Each clip as the variant that is asked for.

        Args:
            clips: Frames of one visual pathway, [B, C, T, H, W]; not to be changed in place.
            variants: [B] numbers from 0 to `outputs` - 1.
        """

    def transform(self, inputs: dict[str, torch.Tensor], draw: Draw) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """See `Pretext.transform`: a random variant per clip, the same in every visual pathway."""
        drawn = draw(self.name).integers(self.outputs, size=len(inputs["slow"]))
        variants = torch.from_numpy(drawn).to(inputs["slow"].device)
        return self._varied(inputs, variants), variants

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """See `Pretext.loss`: cross entropy."""
        return self.weight * F.cross_entropy(outputs.float(), targets)

    def score(self, network: Network, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """See `Pretext.score`: the share of the variants of each clip that is recognised."""
        count, device = len(inputs["slow"]), inputs["slow"].device
        right = torch.zeros(count, device=device)
        for number in range(self.outputs):
            variants = torch.full((count,), number, device=device)
            scores = by_head(network(self._varied(inputs, variants), drop_audio=True)["scores"])[self.name]
            right = right + (scores.argmax(dim=1) == variants).float()
        return {self.name: right[:, None] / self.outputs}

    def _varied(self, inputs: dict[str, torch.Tensor], variants: torch.Tensor) -> dict[str, torch.Tensor]:
        visual: dict[str, torch.Tensor] = {
            name: self.vary(inputs[name], variants) for name in ("slow", "fast") if name in inputs
        }
        return {**inputs, **visual}
