"""Mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899): both modalities of a clip share partner and proportion.

Legend: B clips of a batch, K classes.
"""

import numpy as np
import torch
from torch.nn import functional as F

Inputs = dict[str, torch.Tensor]


class Mixing:
    """Mixes each clip of a batch with its mirror image in the batch (first with last, and so on).

    Args:
        mixup_alpha: Parameter of Mixup's Beta distribution; 0 turns Mixup off.
        cutmix_alpha: Parameter of CutMix's Beta distribution; 0 turns CutMix off.
        prob: Share of the batches that are mixed.
        switch_prob: Share of CutMix among these, where both are on.
        smoothing: Label smoothing.
        num_classes: K of the soft labels.
    """

    def __init__(
        self,
        mixup_alpha: float,
        cutmix_alpha: float,
        prob: float,
        switch_prob: float,
        smoothing: float,
        num_classes: int,
    ) -> None:
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.prob, self.switch_prob = prob, switch_prob
        self.smoothing, self.num_classes = smoothing, num_classes

    def soft_labels(self, labels: torch.Tensor, share: float) -> torch.Tensor:
        """[B] class ids -> [B, K] distributions: `share` for the clip's class, the rest for its partner's, smoothed."""
        off = self.smoothing / self.num_classes
        one_hot = F.one_hot(labels, self.num_classes).float() * (1.0 - self.smoothing) + off
        return share * one_hot + (1.0 - share) * one_hot.flip(0)

    def __call__(self, inputs: Inputs, labels: torch.Tensor, rng: np.random.Generator) -> tuple[Inputs, torch.Tensor]:
        """Mix a batch.

        Args:
            inputs: Normalised "slow", "fast", "audio", and "audio_mask"; unchanged.
            labels: [B] class ids; unchanged.
            rng: Decides whether, how and by how much.

        Returns:
            (inputs, soft labels [B, K]). Hard negatives are left out, since the clips that they belong to change.
        """
        if rng.random() >= self.prob:
            return inputs, self.soft_labels(labels, 1.0)
        cut = self.cutmix_alpha > 0 and (self.mixup_alpha <= 0 or rng.random() < self.switch_prob)
        alpha = self.cutmix_alpha if cut else self.mixup_alpha
        share = float(rng.beta(alpha, alpha))
        out = {k: v for k, v in inputs.items() if not k.startswith("audio_hard_negative")}
        if cut:
            share = self._cut(inputs, out, share, rng)
        else:
            for name in ("slow", "fast", "audio"):
                if name in inputs:
                    out[name] = share * inputs[name] + (1.0 - share) * inputs[name].flip(0)
        if "audio_mask" in inputs:
            out["audio_mask"] = inputs["audio_mask"] | inputs["audio_mask"].flip(0)
        return out, self.soft_labels(labels, share)

    def _cut(self, inputs: Inputs, out: Inputs, share: float, rng: np.random.Generator) -> float:
        """A box of the frames and a span of the audio, of the same proportion, come from the partner.

        Returns:
            The share that is kept.
        """
        side = np.sqrt(1.0 - share)
        cy, cx, ct = rng.random(3)
        for name in ("slow", "fast"):
            if name in inputs:
                h, w = inputs[name].shape[-2:]
                y0, y1 = np.clip([round((cy - side / 2) * h), round((cy + side / 2) * h)], 0, h)
                x0, x1 = np.clip([round((cx - side / 2) * w), round((cx + side / 2) * w)], 0, w)
                out[name] = inputs[name].clone()
                out[name][..., y0:y1, x0:x1] = inputs[name].flip(0)[..., y0:y1, x0:x1]
                # The box may be cut off at the border; what it really covers counts.
                share = 1.0 - (y1 - y0) * (x1 - x0) / (h * w)
        if "audio" in inputs:
            steps = inputs["audio"].shape[-2]
            length = round((1.0 - share) * steps)
            first = round(ct * (steps - length))
            out["audio"] = inputs["audio"].clone()
            out["audio"][..., first : first + length, :] = inputs["audio"].flip(0)[..., first : first + length, :]
        return float(share)
