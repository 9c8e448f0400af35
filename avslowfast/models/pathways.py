"""The three pathways. Each knows nothing of the others and reports its channels and strides per stage.

Legend: B clips, C channels, T frames (video) or spectrogram steps (audio), H W pixels, F mel bands.
"""

from torch import nn

from ..config.names import STAGES
from ..utils.registry import Registry
from .blocks import AudioStem, BlockSpec, ResStage, StageSpec, TRANSFORMS, VisualStem

PATHWAYS = Registry("PATHWAYS")

NUM_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Pathway(nn.Module):
    """Runs stage by stage; `channels[stage]` and `time_stride[stage]` describe what each stage gives.

    Attributes:
        channels: channels after each stage.
        time_stride: input time steps per output time step, after each stage.
    """

    def __init__(self, stem, stages, channels, time_stride):
        super().__init__()
        self.pool1 = stem
        for name, stage in zip(STAGES[1:], stages):
            self.add_module(name, stage)
        self.channels = channels
        self.time_stride = time_stride

    def forward(self, x, stage):
        """The features after `stage`, from those before it."""
        return getattr(self, stage)(x)


class VisualPathway(Pathway):
    """A 3-D ResNet over frames [B, 3, T, H, W]; time is never strided, space by 4 in the stem and by `strides` after.

    Args:
        width: channels of the stem.
        depth: 18 | 34 | 50 | 101 | 152.
        temporal_kernels: for stem, res2, res3, res4, res5.
        strides, dilations, temporal_blocks: for res2 .. res5.
        extra_in: channels that laterals append to the input of a stage, e.g. {"res2": 16}.
        nonlocals: for res2 .. res5, a dict with `after`, `group`, `pool`.
    """

    def __init__(
        self,
        *,
        dim_in,
        width,
        depth,
        transform,
        temporal_kernels,
        norm,
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        temporal_blocks=None,
        extra_in=None,
        nonlocals=None,
        nonlocal_kind="dot_product",
        num_groups=1,
        stride_1x1=False,
        inplace=True,
    ):
        blocks = NUM_BLOCKS[depth]
        temporal_blocks = temporal_blocks or blocks
        extra_in = extra_in or {}
        nonlocals = nonlocals or [{}] * 4
        expansion = TRANSFORMS[transform].expansion
        stem = VisualStem(dim_in, width, temporal_kernels[0], norm, inplace)
        channels, stages = {"pool1": width}, []
        dim = width
        for i, name in enumerate(STAGES[1:]):
            inner = width * num_groups * 2**i
            block = BlockSpec(
                dims=3,
                dim_in=dim + extra_in.get(name, 0),
                dim_out=width * expansion * 2**i,
                dim_inner=inner,
                stride=strides[i],
                temporal_kernel=temporal_kernels[i + 1],
                dilation=dilations[i],
                groups=num_groups,
                stride_1x1=stride_1x1,
                inplace=inplace,
            )
            nl = nonlocals[i]
            stages.append(
                ResStage(
                    StageSpec(
                        transform,
                        blocks[i],
                        block,
                        temporal_blocks[i],
                        tuple(nl.get("after", ())),
                        nl.get("group", 1),
                        tuple(nl.get("pool", (1, 2, 2))),
                        nonlocal_kind,
                        norm,
                    )
                )
            )
            dim = channels[name] = block.dim_out
        super().__init__(stem, stages, channels, dict.fromkeys(STAGES, 1))


@PATHWAYS.register("slow")
class SlowPathway(VisualPathway):
    """Few frames, many channels; temporal kernels 1, 1, 1, 3, 3 (arXiv 1812.03982, table 1)."""

    def __init__(self, **kwargs):
        super().__init__(temporal_kernels=(1, 1, 1, 3, 3), **kwargs)


@PATHWAYS.register("fast")
class FastPathway(VisualPathway):
    """alpha times the frames, 1/beta of the channels; temporal kernels 5, 3, 3, 3, 3."""

    def __init__(self, **kwargs):
        super().__init__(temporal_kernels=(5, 3, 3, 3, 3), **kwargs)


@PATHWAYS.register("audio")
class AudioPathway(Pathway):
    """A 2-D ResNet over a log-mel spectrogram [B, 1, T, F] (arXiv 2001.08740, section 3.1).

    Args:
        width: channels of the stem.
        transform: block of the ordinary stages; `tf_transform` that of the first `tf_stages`, which treat time and frequency apart.
        reduce_tf: halve time and frequency at res3, res4 and res5.
        last_stage: nothing is built beyond it (an unused stage would have weights without a gradient).
    """

    def __init__(
        self,
        *,
        dim_in,
        width,
        depth,
        transform,
        norm,
        tf_transform="tf_bottleneck_transform_v1",
        tf_stages=2,
        reduce_tf=True,
        last_stage="res5",
        num_groups=1,
        stride_1x1=False,
        inplace=True,
    ):
        expansion = TRANSFORMS[transform].expansion
        stem = AudioStem(dim_in, width, norm, inplace)
        channels, time_stride, stages = {"pool1": width}, {"pool1": 1}, []
        dim, total = width, 1
        for i, name in enumerate(STAGES[1 : STAGES.index(last_stage) + 1]):
            stride = 2 if reduce_tf and i > 0 else 1
            total *= stride
            kind, groups = (tf_transform, 1) if i < tf_stages else (transform, num_groups)
            inner = width * num_groups * 2**i
            block = BlockSpec(
                dims=2,
                dim_in=dim,
                dim_out=width * expansion * 2**i,
                dim_inner=inner,
                stride=stride,
                groups=groups,
                stride_1x1=stride_1x1,
                inplace=inplace,
            )
            stages.append(ResStage(StageSpec(kind, NUM_BLOCKS[depth][i], block, norm=norm)))
            dim = channels[name] = block.dim_out
            time_stride[name] = total
        super().__init__(stem, stages, channels, time_stride)
