"""Heads: pooled features of all pathways -> logits in training, scores in testing (pool5 of the papers).

In training every pathway is averaged over all positions. In testing a crop larger than the training crop gives several
positions, each of which covers what a training crop shows: activation at each, then the mean (fully-convolutional
testing, as in PySlowFast).

A head gives {classifier: tensor}. The only classifier of a head that has one is called ""; `Network.forward` gives its
tensor alone.
Legend: B clips, N boxes, K classes, C channels, T frames or spectrogram steps, H W F cells.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn, Tensor
from torch.nn import functional as F

from ..config.options import TakesOptions
from .masking import zero_clips_without_audio


@dataclass(frozen=True)
class BoxPooling:
    """How the features of a box are cut out of a feature map.

    Attributes:
        resolution: Cells of RoIAlign's output, each way.
        scale_factor: Input pixels per cell of res5.
        aligned: RoIAlign is shifted by half a pixel (the exact version).
    """

    resolution: int = 7
    scale_factor: int = 16
    aligned: bool = True


@dataclass(frozen=True)
class HeadSpec:
    """What a head is built from.

    Attributes:
        channels: {pathway: channels after res5}, in the order in which they are joined.
        window: {visual pathway: (time, height, width) that one position covers, in cells of res5}.
        classes: {classifier: number of classes}.
        dropout: Dropout rate before the classifier.
        act: What turns logits into scores: softmax | sigmoid.
        box_pooling: For a head that classifies boxes.
    """

    channels: dict[str, int]
    window: dict[str, tuple[int, int, int]]
    classes: dict[str, int]
    dropout: float = 0.0
    act: str = "softmax"
    box_pooling: BoxPooling = BoxPooling()


class Head(TakesOptions, nn.Module):
    """Joins the pathways' features; subclasses classify them.

    Args:
        spec: What the head is built from.

    Attributes:
        channels: {pathway: channels}, in the order of a classifier's input columns.
        dim: Channels of the joined features.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__()
        self.channels = spec.channels
        self.window = spec.window
        self.act = spec.act
        self.dim = sum(spec.channels.values())
        self.dropout = nn.Dropout(spec.dropout)

    def forward(
        self, features: Mapping[str, Tensor], audio_mask: Tensor | None = None, boxes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Classify clips, or boxes.

        Args:
            features: {pathway: features after res5}, [B, C, T, H, W] or [B, C, T, F]; "audio" is absent where it was
                dropped.
            audio_mask: [B] bool, False for a clip without audio; None: every clip has audio.
            boxes: [N, 5] (clip index, x1, y1, x2, y2 in input pixels), for a head that classifies boxes.

        Returns:
            {classifier: [B or N, K]}, logits in training, scores in testing.
        """
        raise NotImplementedError

    def activate(self, logits: Tensor) -> Tensor:
        """Logits [..., K] -> scores of the same shape."""
        return logits.softmax(dim=-1) if self.act == "softmax" else logits.sigmoid()

    def over_positions(self, logits: Tensor) -> Tensor:
        """Logits [B, t, h, w, K] of positions -> [B, K].

        Their mean in training, the mean of the positions' scores in testing.
        """
        return (logits if self.training else self.activate(logits)).mean(dim=(1, 2, 3))

    def pooled_audio(self, features: Mapping[str, Tensor], audio_mask: Tensor | None, like: Tensor) -> Tensor | None:
        """Mean audio features [B, C]; None where audio is no part of the head.

        They are zeros where the audio pathway is dropped or a clip has no audio.

        Args:
            features: See `forward`.
            audio_mask: See `forward`.
            like: [B, ...] tensor whose type and device the zeros have.
        """
        if "audio" not in self.channels:
            return None
        x = features.get("audio")
        if x is None:
            return like.new_zeros(len(like), self.channels["audio"])
        return zero_clips_without_audio(x.mean(dim=(2, 3)), audio_mask)

    def pool(self, features: Mapping[str, Tensor], audio_mask: Tensor | None) -> Tensor:
        """The joined features [B, t, h, w, C] of each position; t = h = w = 1 in training and at the training crop.

        Args:
            features: See `forward`.
            audio_mask: See `forward`.
        """
        parts = [self._pool_visual(name, features[name]) for name in self.channels if name != "audio"]
        audio = self.pooled_audio(features, audio_mask, parts[0] if parts else features["audio"])
        if audio is not None:
            positions = parts[0].shape[2:] if parts else (1, 1, 1)
            parts.append(audio[:, :, None, None, None].expand(-1, -1, *positions))
        return torch.cat(parts, dim=1).permute(0, 2, 3, 4, 1)

    def _pool_visual(self, name: str, x_BCTHW: Tensor) -> Tensor:
        size = tuple(x_BCTHW.shape[2:])
        window = size if self.training else tuple(min(w, s) for w, s in zip(self.window[name], size))
        return x_BCTHW.mean(dim=(2, 3, 4), keepdim=True) if window == size else F.avg_pool3d(x_BCTHW, window, stride=1)


class SingleHead(Head):
    """One classifier of clips.

    Args:
        spec: What the head is built from; `classes` has one entry.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        ((self.classifier, num_classes),) = spec.classes.items()
        self.projection = nn.Linear(self.dim, num_classes)

    def forward(
        self, features: Mapping[str, Tensor], audio_mask: Tensor | None = None, boxes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See `Head.forward`."""
        logits = self.projection(self.dropout(self.pool(features, audio_mask)))
        return {self.classifier: self.over_positions(logits)}


class MultiHead(Head):
    """Several classifiers of clips over the same features, e.g. verb and noun.

    Args:
        spec: What the head is built from.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        self.projections = nn.ModuleDict({name: nn.Linear(self.dim, k) for name, k in spec.classes.items()})

    def forward(
        self, features: Mapping[str, Tensor], audio_mask: Tensor | None = None, boxes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See `Head.forward`."""
        pooled = self.dropout(self.pool(features, audio_mask))
        return {name: self.over_positions(layer(pooled)) for name, layer in self.projections.items()}


class RoIHead(Head):
    """Classifies boxes: mean over time, RoIAlign, maximum over space.

    Audio features of the clip join each of its boxes.

    Args:
        spec: What the head is built from; `classes` has one entry.
    """

    def __init__(self, spec: HeadSpec) -> None:
        # Imported here: only detection needs torchvision, which takes seconds to import.
        from torchvision.ops import RoIAlign

        super().__init__(spec)
        ((self.classifier, num_classes),) = spec.classes.items()
        boxes = spec.box_pooling
        self.align = RoIAlign(boxes.resolution, 1.0 / boxes.scale_factor, 0, boxes.aligned)
        self.projection = nn.Linear(self.dim, num_classes)

    def forward(
        self, features: Mapping[str, Tensor], audio_mask: Tensor | None = None, boxes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See `Head.forward`.

        Raises:
            ValueError: There are no boxes.
        """
        if boxes is None:
            raise ValueError("a detection model needs boxes: model(inputs, boxes=[N, 5] (clip index, x1, y1, x2, y2))")
        parts = []
        for name in self.channels:
            if name != "audio":
                x_BCHW = features[name].mean(dim=2)
                # RoIAlign is not made for the types of half size, nor are coordinates.
                wide = torch.promote_types(x_BCHW.dtype, torch.float32)
                parts.append(self.align(x_BCHW.to(wide), boxes.to(wide)).to(x_BCHW.dtype).amax(dim=(2, 3)))
        audio = self.pooled_audio(features, audio_mask, next(iter(features.values())))
        if audio is not None:
            parts.append(audio[boxes[:, 0].long()])
        logits = self.projection(self.dropout(torch.cat(parts, dim=1)))
        return {self.classifier: logits if self.training else self.activate(logits)}


class PretextHead(Head):
    """A classifier per pretext that needs one, e.g. of four rotations (arXiv 1811.11387); {} where none does.

    Each classifier has the name of its pretext, so that a classifier of classes never takes its weights.

    Args:
        spec: What the head is built from; `classes` are {pretext: outputs}.
    """

    def __init__(self, spec: HeadSpec) -> None:
        super().__init__(spec)
        self.classifiers = tuple(spec.classes)
        for name, outputs in spec.classes.items():
            self.add_module(name, nn.Linear(self.dim, outputs))

    def forward(
        self, features: Mapping[str, Tensor], audio_mask: Tensor | None = None, boxes: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See `Head.forward`; a clip's scores are those of the mean logits of its positions."""
        if not self.classifiers:
            return {}
        pooled = self.pool(features, audio_mask)
        logits = {name: getattr(self, name)(pooled).mean(dim=(1, 2, 3)) for name in self.classifiers}
        return logits if self.training else {name: self.activate(x) for name, x in logits.items()}
