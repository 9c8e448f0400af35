"""The audio of a batch on its way through the stages.

Legend: B clips, N rows of audio (B, unless clips share one), M hard negatives, C D channels, T spectrogram steps,
F mel bands.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .laterals.base import AudioLateral
from .masking import zero_clips_without_audio
from .pathways import Pathway


@dataclass(frozen=True)
class AudioFeatures:
    """Audio features, the clips that they belong to, and hard negatives behind them.

    Attributes:
        data: [N + M, C, T, F] spectrograms, later the features after the last stage that ran.
        num_clips: N; the rows after them are hard negatives, which serve the synchronisation loss alone.
        mask: [B] bool, False for a clip without audio; None: every clip has audio.
        index: [B] row of each clip's audio; None: clip i has row i.
        encoded: [N + M, D, T'] what the lateral of the last stage encoded; None where it has none or nothing uses it.
    """

    data: Tensor
    num_clips: int
    mask: Tensor | None = None
    index: Tensor | None = None
    encoded: Tensor | None = None

    @classmethod
    def from_inputs(cls, inputs: Mapping[str, Tensor]) -> "AudioFeatures":
        """Spectrograms of a network's inputs; those of clips without audio are zeros.

        Args:
            inputs: "audio" [N, 1, T, F]; optional "audio_mask" [N] bool and "audio_index" [B], see `Network.forward`.
        """
        mask, index = inputs.get("audio_mask"), inputs.get("audio_index")
        data = zero_clips_without_audio(inputs["audio"], mask)
        if mask is not None and index is not None:
            mask = mask[index]
        return cls(data, len(data), mask, index)

    def with_hard_negatives(self, spectrograms: Tensor | None) -> "AudioFeatures":
        """The same with [M, 1, T, F] hard negatives behind the clips; None leaves it as it is."""
        return self if spectrograms is None else replace(self, data=torch.cat([self.data, spectrograms]))

    def advance(self, pathway: Pathway, stage: str) -> "AudioFeatures":
        """The features after a stage of the audio pathway."""
        return replace(self, data=pathway(self.data, stage), encoded=None)

    def encode(self, lateral: AudioLateral) -> "AudioFeatures":
        """The same features with what a lateral encodes."""
        return replace(self, encoded=lateral.encode(self.data))

    def without_negatives(self) -> "AudioFeatures":
        """The same features without hard negatives, for the stages after the last comparison."""
        if len(self.data) == self.num_clips:
            return self
        encoded = None if self.encoded is None else self.encoded[: self.num_clips]
        return replace(self, data=self.data[: self.num_clips], encoded=encoded)

    def per_clip(self, x: Tensor) -> Tensor:
        """Rows of `data` or `encoded` -> one row for each clip: [N + M, ...] -> [B, ...]."""
        if len(x) != self.num_clips:
            x = x[: self.num_clips]
        return x if self.index is None else x.index_select(0, self.index)
