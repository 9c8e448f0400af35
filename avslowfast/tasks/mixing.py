"""Mixup (arXiv 1710.09412) and CutMix (arXiv 1905.04899) for clips with sound: both senses share partner and proportion."""

import numpy as np
import torch
from torch.nn import functional as F


class Mixing:
    """Mixes each clip of a batch with its mirror image in the batch (first with last, and so on).

    Args:
        mixup_alpha, cutmix_alpha: Beta parameters; 0 turns one off.
        prob: share of the batches that are mixed; switch_prob: share of CutMix among these, where both are on.
        smoothing: label smoothing.
        num_classes: for the soft labels.
    """

    def __init__(self, mixup_alpha, cutmix_alpha, prob, switch_prob, smoothing, num_classes):
        self.mixup_alpha, self.cutmix_alpha = mixup_alpha, cutmix_alpha
        self.prob, self.switch_prob = prob, switch_prob
        self.smoothing, self.num_classes = smoothing, num_classes

    def soft_labels(self, labels, share):
        """[B] class ids -> [B, K]: `share` of the own class, the rest of the partner's, smoothed."""
        off = self.smoothing / self.num_classes
        own = F.one_hot(labels, self.num_classes).float() * (1.0 - self.smoothing) + off
        return share * own + (1.0 - share) * own.flip(0)

    def __call__(self, inputs, labels, rng):
        """Mix a batch.

        Args:
            inputs: normalised "slow", "fast", "audio", and "audio_mask". labels: [B] class ids. rng: numpy generator.

        Returns:
            (inputs, soft labels [B, K]); the arguments are unchanged. Hard negatives are left out, since the clips they belong to change.
        """
        if rng.random() >= self.prob:
            return inputs, self.soft_labels(labels, 1.0)
        cut = self.cutmix_alpha > 0 and (self.mixup_alpha <= 0 or rng.random() < self.switch_prob)
        share = float(rng.beta(*[self.cutmix_alpha if cut else self.mixup_alpha] * 2))
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

    def _cut(self, inputs, out, share, rng):
        """A box of the pictures and a stretch of the sound, of the same proportion, come from the partner. Returns the share kept."""
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


def soft_cross_entropy(logits, target):
    """Cross entropy with target distributions [B, K]; mean over the batch."""
    return torch.sum(-target * F.log_softmax(logits.float(), dim=-1), dim=-1).mean()
