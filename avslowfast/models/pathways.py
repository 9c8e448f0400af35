"""The three pathways. Each knows nothing of the others and reports its channels and strides per stage.

Legend: B clips, C channels, T frames (video) or spectrogram steps (audio), H W pixels, F mel bands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn, Tensor

from ..config.names import NUM_BLOCKS, STAGES, TRANSFORMS
from ..config.options import TakesOptions
from .blocks import AudioStem, BlockSpec, NonLocalSpec, ResStage, StageSpec, VisualStem
from .norm import NormSpec


@dataclass(frozen=True)
class ResNetSpec:
    """What all residual stages of a pathway have in common.

    Attributes:
        dim_in: Channels of the input.
        width: Channels of the stem; the inner width of res2, doubled at each stage.
        depth: 18 | 34 | 50 | 101 | 152.
        transform: Kind of the residual branches, an entry of TRANSFORMS.
        norm: Makes the batch norms.
        num_groups: Groups of the 3x3 convolutions (ResNeXt).
        stride_1x1: A stage's stride is on its first 1x1 convolution, not on the 3x3 one.
        inplace: Apply ReLU in place.
    """

    dim_in: int
    width: int
    depth: int
    transform: str = "bottleneck_transform"
    norm: NormSpec = NormSpec()
    num_groups: int = 1
    stride_1x1: bool = False
    inplace: bool = True

    def first_block(self, dims: int, number: int, dim_in: int, stride: int, **changes: Any) -> BlockSpec:
        """The first block of a residual stage.

        Args:
            dims: 2 for audio, 3 for video.
            number: 0 for res2 .. 3 for res5.
            dim_in: Channels of the stage's input.
            stride: Stride of the stage.
            changes: Further attributes of `BlockSpec`.
        """
        settings: dict[str, Any] = {"groups": self.num_groups, "stride_1x1": self.stride_1x1, "inplace": self.inplace}
        return BlockSpec(
            dims=dims,
            dim_in=dim_in,
            dim_out=self.width * TRANSFORMS[self.transform].expansion * 2**number,
            dim_inner=self.width * self.num_groups * 2**number,
            stride=stride,
            **{**settings, **changes},
        )


class Pathway(TakesOptions, nn.Module):
    """A network in stages, which runs stage by stage.

    Args:
        stem: Gives the features after pool1.
        stages: Residual stages, res2 first; fewer than four where nothing uses the later ones.
        channels: {stage: channels after it}.
        time_stride: {stage: input time steps per output time step after it}.
    """

    def __init__(
        self, stem: nn.Module, stages: Sequence[nn.Module], channels: dict[str, int], time_stride: dict[str, int]
    ) -> None:
        super().__init__()
        self.pool1 = stem
        for name, stage in zip(STAGES[1:], stages):
            self.add_module(name, stage)
        self.channels = channels
        self.time_stride = time_stride

    @property
    def last_stage(self) -> str:
        """The last stage that is built."""
        return list(self.channels)[-1]

    def forward(self, x: Tensor, stage: str) -> Tensor:
        """The features after a stage, from those before it.

        Args:
            x: Features after the stage before; the input of the pathway for pool1.
            stage: Name of the stage to run.
        """
        out: Tensor = getattr(self, stage)(x)
        return out


@dataclass(frozen=True)
class VisualStage:
    """What is particular to one residual stage of a visual pathway.

    Attributes:
        stride: Spatial stride.
        dilation: Spatial dilation.
        temporal_blocks: The first so many blocks have the stage's temporal kernel, the others 1; None is all.
        extra_in: Channels that a lateral appends to the stage's input.
        nonlocals: Its non-local blocks.
    """

    stride: int = 2
    dilation: int = 1
    temporal_blocks: int | None = None
    extra_in: int = 0
    nonlocals: NonLocalSpec = NonLocalSpec()


class VisualPathway(Pathway):
    """A 3-D ResNet over frames [B, 3, T, H, W].

    Time is never strided; space is strided by 4 in the stem and by each stage's stride after it.

    Args:
        spec: What all stages have in common.
        stages: res2 .. res5.

    Attributes:
        temporal_kernels: Temporal kernels of stem, res2, res3, res4, res5, in frames.
    """

    temporal_kernels: ClassVar[tuple[int, int, int, int, int]]

    def __init__(self, spec: ResNetSpec, stages: Sequence[VisualStage]) -> None:
        stem = VisualStem(spec.dim_in, spec.width, self.temporal_kernels[0], spec.norm, spec.inplace)
        dim, channels, built = spec.width, {"pool1": spec.width}, []
        for i, (name, stage, num_blocks) in enumerate(zip(STAGES[1:], stages, NUM_BLOCKS[spec.depth])):
            temporal = {"temporal_kernel": self.temporal_kernels[i + 1], "dilation": stage.dilation}
            block = spec.first_block(3, i, dim + stage.extra_in, stage.stride, **temporal)
            temporal_blocks = num_blocks if stage.temporal_blocks is None else stage.temporal_blocks
            built.append(
                ResStage(StageSpec(spec.transform, num_blocks, block, temporal_blocks, stage.nonlocals, spec.norm))
            )
            dim = channels[name] = block.dim_out
        super().__init__(stem, built, channels, dict.fromkeys(STAGES, 1))


class SlowPathway(VisualPathway):
    """Few frames, many channels (arXiv 1812.03982, table 1): temporal kernels only in the late stages.

    Args:
        spec: What all stages have in common.
        stages: res2 .. res5.
    """

    temporal_kernels = (1, 1, 1, 3, 3)


class FastPathway(VisualPathway):
    """alpha times the frames, 1 / beta of the channels (arXiv 1812.03982, table 1): temporal kernels in every stage.

    Args:
        spec: What all stages have in common.
        stages: res2 .. res5.
    """

    temporal_kernels = (5, 3, 3, 3, 3)


class AudioPathway(Pathway):
    """A 2-D ResNet over a log-mel spectrogram [B, 1, T, F] (arXiv 2001.08740).

    Args:
        spec: What all stages have in common.
        tf_transform: Kind of the residual branches in the first stages, which treat time and frequency apart.
        tf_stages: Number of these stages.
        reduce_tf: Halve time and frequency at res3, res4 and res5.
        last_stage: Nothing is built beyond it: an unused stage would have weights without a gradient.
    """

    def __init__(
        self,
        spec: ResNetSpec,
        *,
        tf_transform: str = "tf_bottleneck_transform_v1",
        tf_stages: int = 2,
        reduce_tf: bool = True,
        last_stage: str = "res5",
    ) -> None:
        stem = AudioStem(spec.dim_in, spec.width, spec.norm, spec.inplace)
        dim, channels, built = spec.width, {"pool1": spec.width}, []
        total, time_stride = 1, {"pool1": 1}
        for i, name in enumerate(STAGES[1 : STAGES.index(last_stage) + 1]):
            stride = 2 if reduce_tf and i > 0 else 1
            total *= stride
            apart = i < tf_stages
            block = spec.first_block(2, i, dim, stride, groups=1 if apart else spec.num_groups)
            transform = tf_transform if apart else spec.transform
            built.append(ResStage(StageSpec(transform, NUM_BLOCKS[spec.depth][i], block, norm=spec.norm)))
            dim = channels[name] = block.dim_out
            time_stride[name] = total
        super().__init__(stem, built, channels, time_stride)
