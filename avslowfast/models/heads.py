"""Heads: pooled features of all pathways -> logits and scores (pool5 of the papers).

In training every pathway is averaged over all positions. In testing a crop larger than the training crop gives several positions, each
of which sees what a training crop shows: softmax at each, then the mean (fully-convolutional testing, as in PySlowFast).
"""

import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from ..utils.registry import Registry
from .lateral import keep_clips_with_sound

HEADS = Registry("HEADS")


class _Pooling(nn.Module):
    """Joins the pathways' features.

    Args:
        channels: {pathway: channels}, in the order in which they are joined.
        window: (time, height, width) that one position sees per visual pathway, in cells of res5: {pathway: (t, h, w)}.
    """

    def __init__(self, channels, window):
        super().__init__()
        self.channels = channels
        self.window = window
        self.dim = sum(channels.values())

    def pooled_audio(self, features, audio_mask, like):
        """[B, C] mean audio features; zeros where the pathway is dropped or a clip has no sound; None without audio in the head."""
        if "audio" not in self.channels:
            return None
        x = features.get("audio")
        if x is None:
            return like.new_zeros(len(like), self.channels["audio"])
        return keep_clips_with_sound(x.mean(dim=(2, 3)), audio_mask)

    def pool(self, features, audio_mask):
        """[B, t, h, w, C]; t = h = w = 1 in training and at the training crop."""
        visual = [name for name in self.channels if name != "audio"]
        parts = []
        for name in visual:
            x = features[name]
            size = x.shape[2:]
            window = size if self.training else tuple(min(w, s) for w, s in zip(self.window[name], size))
            parts.append(x.mean(dim=(2, 3, 4), keepdim=True) if window == size else F.avg_pool3d(x, window, stride=1))
        any_features = parts[0] if parts else features["audio"]
        audio = self.pooled_audio(features, audio_mask, any_features)
        if audio is not None:
            shape = parts[0].shape[2:] if parts else (1, 1, 1)
            parts.append(audio[:, :, None, None, None].expand(-1, -1, *shape))
        return torch.cat(parts, dim=1).permute(0, 2, 3, 4, 1)


def _activate(logits, act):
    return logits.softmax(dim=-1) if act == "softmax" else logits.sigmoid()


@HEADS.register("single")
class SingleHead(_Pooling):
    """One classifier: {"logits": [B, K]} in training, {"scores": [B, K]} in testing."""

    def __init__(self, channels, window, num_classes, dropout=0.0, act="softmax"):
        super().__init__(channels, window)
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(self.dim, num_classes)
        self.act = act

    def forward(self, features, audio_mask=None, boxes=None):
        """features: {pathway: res5 features}; a pathway that was dropped is absent."""
        logits = self.projection(self.dropout(self.pool(features, audio_mask)))
        if self.training:
            return {"logits": logits.flatten(1, 3).mean(dim=1)}
        return {"scores": _activate(logits, self.act).mean(dim=(1, 2, 3))}


@HEADS.register("multi")
class MultiHead(_Pooling):
    """Several classifiers over the same features, e.g. verb and noun: dicts by name."""

    def __init__(self, channels, window, num_classes, dropout=0.0, act="softmax"):
        super().__init__(channels, window)
        self.dropout = nn.Dropout(dropout)
        self.projections = nn.ModuleDict({name: nn.Linear(self.dim, k) for name, k in num_classes.items()})
        self.act = act

    def forward(self, features, audio_mask=None, boxes=None):
        """As `SingleHead`, with a dict {name: [B, K]} for logits and scores."""
        pooled = self.dropout(self.pool(features, audio_mask))
        logits = {name: layer(pooled) for name, layer in self.projections.items()}
        if self.training:
            return {"logits": {n: x.flatten(1, 3).mean(dim=1) for n, x in logits.items()}}
        return {"scores": {n: _activate(x, self.act).mean(dim=(1, 2, 3)) for n, x in logits.items()}}


@HEADS.register("roi")
class RoIHead(_Pooling):
    """Classifies boxes: mean over time, RoIAlign, maximum over space; audio features of the clip join each of its boxes.

    Args:
        resolution: cells of RoIAlign's output; scale_factor: input pixels per feature cell; aligned: RoIAlign's half-pixel shift.
    """

    def __init__(
        self, channels, window, num_classes, dropout=0.0, act="sigmoid", resolution=7, scale_factor=16, aligned=True
    ):
        super().__init__(channels, window)
        self.resolution, self.scale_factor, self.aligned = resolution, scale_factor, aligned
        self.dropout = nn.Dropout(dropout)
        self.projection = nn.Linear(self.dim, num_classes)
        self.act = act

    def forward(self, features, audio_mask=None, boxes=None):
        """boxes: [K, 5] (clip index, x1, y1, x2, y2 in input pixels) -> {"logits" or "scores": [K, classes]}."""
        if boxes is None:
            raise ValueError("a detection model needs boxes: model(inputs, boxes=[K, 5] (clip index, x1, y1, x2, y2))")
        parts = []
        for name in self.channels:
            if name == "audio":
                continue
            frame = features[name].mean(dim=2)
            cells = roi_align(frame, boxes.to(frame.dtype), self.resolution, 1.0 / self.scale_factor, 0, self.aligned)
            parts.append(cells.amax(dim=(2, 3)))
        audio = self.pooled_audio(features, audio_mask, next(iter(features.values())))
        if audio is not None:
            parts.append(audio[boxes[:, 0].long()])
        logits = self.projection(self.dropout(torch.cat(parts, dim=1)))
        return {"logits": logits} if self.training else {"scores": _activate(logits, self.act)}


@HEADS.register("pretext")
class PretextHead(_Pooling):
    """For training without labels: one classifier on pooled visual features per pretext that predicts something.

    Their weights are named after the pretexts, so that a classifier of a data set's classes never takes them for its.

    Args:
        outputs: {pretext: outputs of its classifier}; none for a network that learns synchronisation alone.
    """

    def __init__(self, channels, window, outputs):
        super().__init__(channels, window)
        self.names = tuple(outputs)
        for name, count in outputs.items():
            self.add_module(name, nn.Linear(self.dim, count))

    def forward(self, features, audio_mask=None, boxes=None):
        """{"logits": {pretext: [B, outputs]}} in training, {"scores": ...} in testing."""
        if not self.names:
            return {"logits": {}} if self.training else {"scores": {}}
        pooled = self.pool(features, audio_mask)
        logits = {name: self.get_submodule(name)(pooled).mean(dim=(1, 2, 3)) for name in self.names}
        if self.training:
            return {"logits": logits}
        return {"scores": {name: x.softmax(dim=-1) for name, x in logits.items()}}
