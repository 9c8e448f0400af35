"""What audio laterals have in common: their geometry, their two halves, and the encoder that most of them use.

Legend: B clips, C channels, T time steps (frames or spectrogram steps), F mel bands, H W cells of a visual feature map.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn, Tensor

from ...config.options import TakesOptions
from ..blocks import conv
from ..masking import zero_clips_without_audio
from ..norm import NormSpec


@dataclass(frozen=True)
class LateralGeometry:
    """What an audio lateral connects, in channels and time steps. The builder derives it from what the pathways report.

    Attributes:
        target: Visual pathway that audio is added to: slow | fast.
        dim_audio: Channels of the audio pathway at the stage.
        dim_visual: Channels of the target at the stage; Slow's include those of the fused Fast pathway.
        stride: Audio steps per time step of the target.
        dim_inner: Channels between the convolutions of an encoder.
        kernel: Temporal kernel of these convolutions, in audio steps.
        num_convs: Number of these convolutions.
    """

    target: str
    dim_audio: int
    dim_visual: int
    stride: int
    dim_inner: int = 64
    kernel: int = 5
    num_convs: int = 2


class AudioLateral(TakesOptions, nn.Module):
    """A lateral connection from audio to a visual pathway, in two halves.

    `encode` turns audio features [B, C, T, F] into a sequence [B, dim_encoded, T'] that depends on audio alone; the
    synchronisation loss compares this sequence with visual features. `fuse` adds it to the visual pathway `target`. A
    subclass defines both; `encode` may also be a module. Which pathway a kind of lateral joins stands with its name in
    the registry (`LateralFacts`).

    Args:
        geometry: What the lateral connects.
        norm: Makes its batch norms.
        inplace: Apply ReLU in place.

    Attributes:
        target: Visual pathway that audio is added to.
        dim_encoded: Channels that `encode` gives.
    """

    encode: Callable[[Tensor], Tensor]
    dim_encoded: int

    def __init__(self, geometry: LateralGeometry, norm: NormSpec, inplace: bool = True) -> None:
        super().__init__()
        self.geometry = geometry
        self.target = geometry.target

    def fuse(self, x_visual: Tensor, encoded: Tensor, audio_mask: Tensor | None = None) -> Tensor:
        """Add audio to the visual pathway.

        Args:
            x_visual: [B, dim_visual, T, H, W] features of the target.
            encoded: [B, dim_encoded, T'] encoded audio of the same clips.
            audio_mask: [B] bool, False for a clip without audio, whose visual features stay as they are; None: all have
                audio.

        Returns:
            Features of the shape of `x_visual`.
        """
        raise NotImplementedError


class AudioEncoder(nn.Module):
    """Mean over frequency, then convolutions over time, the last one strided, each with batch norm and ReLU.

    Args:
        geometry: Channels, kernel, stride and number of the convolutions; `dim_visual` channels come out.
        norm: Makes the batch norms.
        inplace: Apply ReLU in place.
    """

    def __init__(self, geometry: LateralGeometry, norm: NormSpec, inplace: bool = True) -> None:
        super().__init__()
        g = geometry
        dims = [g.dim_audio, *[g.dim_inner] * (g.num_convs - 1), g.dim_visual]
        for i in range(g.num_convs):
            stride = g.stride if i == g.num_convs - 1 else 1
            self.add_module(f"conv{i}", conv(1, dims[i], dims[i + 1], g.kernel, stride))
            self.add_module(f"bn{i}", norm(dims[i + 1], 1))
        self.num_convs = g.num_convs
        self.relu = nn.ReLU(inplace)

    def forward(self, x_BCTF: Tensor) -> Tensor:
        """[B, dim_audio, T, F] -> [B, dim_visual, T / stride]."""
        x: Tensor = x_BCTF.mean(dim=3)
        for i in range(self.num_convs):
            x = self.relu(getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(x)))
        return x


class AddedAudio(AudioLateral):
    """Audio is brought to the time steps and channels of the target by an `AudioEncoder` and added at every position.

    Args:
        geometry: What the lateral connects.
        norm: Makes its batch norms.
        inplace: Apply ReLU in place.
    """

    def __init__(self, geometry: LateralGeometry, norm: NormSpec, inplace: bool = True) -> None:
        super().__init__(geometry, norm, inplace)
        self.encode = AudioEncoder(geometry, norm, inplace)
        self.dim_encoded = geometry.dim_visual

    def fuse(self, x_visual: Tensor, encoded: Tensor, audio_mask: Tensor | None = None) -> Tensor:
        """See `AudioLateral.fuse`; audio has the same number of time steps as the target.

        Raises:
            ValueError: The numbers of time steps differ.
        """
        if encoded.shape[2] != x_visual.shape[2]:
            raise ValueError(
                f"audio reaches the lateral with {encoded.shape[2]} time steps "
                f"but {self.target} has {x_visual.shape[2]}: the spectrogram's length does not fit "
                "the number of frames (DATA.AUDIO_FRAME_NUM = SLOWFAST.AU_ALPHA x Slow's frames)"
            )
        return x_visual + zero_clips_without_audio(encoded, audio_mask)[..., None, None]
