"""What connects the pathways after a stage: the vertical arrows of the paper's figure (arXiv 2001.08740)."""

from dataclasses import dataclass

from torch import Tensor

from .audio_features import AudioFeatures
from .avs import SyncHead
from .laterals.base import AudioLateral
from .laterals.fast_to_slow import FastToSlow

# Embeddings of visual and audio features that the synchronisation loss compares: [B, T, D] and [N + M, T, D].
Comparison = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class StageJoin:
    """The lateral connections of one stage and its synchronisation head, as far as one forward pass uses them.

    Attributes:
        fast_to_slow: F->S, or None.
        audio_lateral: The audio lateral, or None where nothing uses what it encodes.
        sync_head: Compares visual features that have not yet met audio with audio features; None: no comparison.
        fuses: What the audio lateral encodes is added to its visual pathway.
    """

    fast_to_slow: FastToSlow | None = None
    audio_lateral: AudioLateral | None = None
    sync_head: SyncHead | None = None
    fuses: bool = False

    @property
    def uses_audio(self) -> bool:
        """Whether audio features are added or compared here."""
        return self.fuses or self.sync_head is not None

    def connect(self, visual: dict[str, Tensor], audio: AudioFeatures | None) -> Comparison | None:
        """Connect the pathways in the order of the information flow: A->F, then F->S, then A->FS.

        Args:
            visual: {pathway: features after the stage}, [B, C, T, H, W]; changed in place.
            audio: Audio features after the stage, encoded; may be None where they are not used.

        Returns:
            The embeddings that are to be compared, or None.
        """
        target = "slow" if self.audio_lateral is None else self.audio_lateral.target
        comparison = None
        if target == "fast":
            comparison = self._audio_to(target, visual, audio)
        if self.fast_to_slow is not None:
            visual["slow"] = self.fast_to_slow(visual["slow"], visual["fast"])
        if target == "slow":
            comparison = self._audio_to(target, visual, audio)
        return comparison

    def _audio_to(self, target: str, visual: dict[str, Tensor], audio: AudioFeatures | None) -> Comparison | None:
        """Compare first, then add: comparing visual features that have met audio would be trivial."""
        if audio is None or not self.uses_audio:
            return None
        audio.wait()
        comparison = None
        if self.sync_head is not None:
            comparison = self.sync_head(visual[target], visual.get("fast"), audio.data, audio.encoded)
        if self.fuses and self.audio_lateral is not None:
            visual[target] = self.audio_lateral.fuse(visual[target], audio.encoded_of_clips(), audio.mask)
        return comparison
