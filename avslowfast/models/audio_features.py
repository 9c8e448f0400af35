"""The audio of a batch on its way through the stages.

Legend: B clips, N rows of audio (B, unless clips share one), M hard negatives, C D channels, T spectrogram steps,
F mel bands.
"""

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .laterals.base import AudioLateral
from .masking import zero_clips_without_audio
from .pathways import Pathway
from .side_stream import SideStream


@dataclass(frozen=True)
class AudioFeatures:
    """Audio features, the clips that they belong to, and hard negatives behind them.

    Attributes:
        data: [N + M, C, T, F] spectrograms, later the features after the last stage that ran.
        num_clips: N, where hard negatives may follow, which serve the synchronisation loss alone; None: all rows are
            clips.
        mask: [B] bool, False for a clip without audio; None: every clip has audio.
        index: [B] row of each clip's audio; None: clip i has row i.
        encoded: [N + M, D, T'] what the lateral of the last stage encoded; None where it has none or nothing uses it.
        stream: Where the audio pathway runs; None is the current stream.
    """

    data: Tensor
    num_clips: int | None = None
    mask: Tensor | None = None
    index: Tensor | None = None
    encoded: Tensor | None = None
    stream: SideStream | None = None

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
        return cls(data, mask=mask, index=index)

    def with_hard_negatives(self, spectrograms: Tensor | None) -> "AudioFeatures":
        """The same with [M, 1, T, F] hard negatives behind the clips; None: this batch has none."""
        data = self.data if spectrograms is None else torch.cat([self.data, spectrograms])
        return replace(self, data=data, num_clips=len(self.data))

    def without_hard_negatives(self) -> "AudioFeatures":
        """The same without hard negatives, for the stages after the last comparison."""
        return self if self.num_clips is None else replace(self, data=self.data[: self.num_clips])

    def advance(self, pathway: Pathway, stage: str, lateral: AudioLateral | None) -> "AudioFeatures":
        """The features after a stage of the audio pathway, on their stream.

        Args:
            pathway: The audio pathway.
            stage: The stage to run.
            lateral: Encodes them; it depends on audio alone, so it need not wait for the visual stages. None: nothing
                uses what the stage's lateral encodes.
        """
        with self._work():
            data = pathway(self.data, stage)
            return replace(self, data=data, encoded=None if lateral is None else lateral.encode(data))

    def wait(self) -> None:
        """Let the current stream wait until the features are computed."""
        if self.stream is not None:
            self.stream.join(self.data, self.encoded)

    def data_of_clips(self) -> Tensor:
        """[B, C, T, F] the features of each clip's audio, once there are no hard negatives any more."""
        return self.data if self.index is None else self.data.index_select(0, self.index)

    def encoded_of_clips(self) -> Tensor:
        """[B, D, T'] what the lateral encoded of each clip's audio.

        Raises:
            ValueError: It encoded nothing.
        """
        if self.encoded is None:
            raise ValueError("no lateral has encoded these audio features")
        encoded = self.encoded if self.num_clips is None else self.encoded[: self.num_clips]
        return encoded if self.index is None else encoded.index_select(0, self.index)

    def _work(self) -> AbstractContextManager[object]:
        """A context in which kernels go to the stream of the features."""
        return contextlib.nullcontext() if self.stream is None else self.stream.work()
