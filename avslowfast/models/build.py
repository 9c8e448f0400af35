"""From configuration to network: the only place in `models` that reads cfg."""

from dataclasses import replace

import torch
from torch import nn

from ..config import ConfigError, derived
from ..config.derived import Cfg
from ..config.names import HEADS, LATERALS, PATHWAYS, STAGES
from ..utils import distributed
from ..utils.logging import get_logger
from .avs import SyncHead
from .blocks import init_weights, NonLocalSpec
from .drop_pathway import DropPathway
from .heads import BoxPooling, Head, HeadSpec
from .laterals.base import AudioEncoder, AudioLateral, LateralGeometry
from .laterals.fast_to_slow import FastToSlow
from .network import Network
from .norm import NormSpec
from .pathways import Pathway, ResNetSpec, VisualStage

# Laterals join the pathways after these stages; after res5 comes the head.
_LATERAL_STAGES = STAGES[:-1]


def build_model(cfg: Cfg) -> Network:
    """The network that a configuration describes, with first weights drawn from cfg.RNG_SEED.

    It is in float32, on the CPU, in training mode.

    Args:
        cfg: The configuration.

    Returns:
        The network; see `Network.forward` for inputs and outputs.

    Raises:
        ConfigError: A part is to be frozen that the network does not have.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.RNG_SEED)
        model = _Builder(cfg).network()
        init_weights(model, cfg.MODEL.FC_INIT_STD, cfg.RESNET.ZERO_INIT_FINAL_BN)
    for part in cfg.FINETUNE.FREEZE:
        pathway, _, stage = part.partition(".")
        if stage and not hasattr(model.pathways[pathway], stage):
            raise ConfigError(
                f"FINETUNE.FREEZE is {cfg.FINETUNE.FREEZE}: nothing uses {stage} of the {pathway} pathway, so it is "
                f"not built; leave out {part}"
            )
    model.freeze(cfg.FINETUNE.FREEZE)
    return model


def input_shapes(cfg: Cfg, crop: int, batch: int = 1) -> dict[str, tuple[int, ...]]:
    """Shapes of the network's inputs: {"slow": (B, 3, T/alpha, H, W), ...}.

    Args:
        cfg: The configuration.
        crop: H and W, pixels.
        batch: B.
    """
    channels = cfg.DATA.INPUT_CHANNEL_NUM[0]
    shapes: dict[str, tuple[int, ...]] = {
        "slow": (batch, channels, derived.slow_frames(cfg), crop, crop),
        "fast": (batch, channels, cfg.DATA.NUM_FRAMES, crop, crop),
        "audio": (batch, 1, cfg.DATA.AUDIO_FRAME_NUM, cfg.DATA.AUDIO_MEL_NUM),
    }
    return {name: shapes[name] for name in derived.pathways(cfg)}


class _Builder:
    """Builds the parts of one network, each from the configuration and from what the parts before it report.

    Args:
        cfg: The configuration.
    """

    def __init__(self, cfg: Cfg) -> None:
        self.cfg = cfg
        self.names = derived.pathways(cfg)
        self.audiovisual = derived.is_audiovisual(cfg)
        self.norm = _norm(cfg)
        same = cfg.BN.AUDIO_NORM_TYPE == "same"
        self.audio_norm = self.norm if same else replace(self.norm, kind=_kind(cfg, cfg.BN.AUDIO_NORM_TYPE))
        self.sync_stages = derived.sync_stages(cfg)
        self.pathways: dict[str, Pathway] = {}
        self.fast_to_slow: dict[str, FastToSlow] = {}
        self.audio_laterals: dict[str, AudioLateral] = {}

    def network(self) -> Network:
        """All parts, joined."""
        cfg, s = self.cfg, self.cfg.SLOWFAST
        if "fast" in self.names:
            self.pathways["fast"] = self._visual("fast", {})
        if "slow" in self.names:
            # Fast is built first: Slow's stages take the channels that F->S appends.
            fused = {
                stage: self.pathways["fast"].channels[stage] * s.FUSION_CONV_CHANNEL_RATIO
                for stage in self._fs_stages()
            }
            self.pathways["slow"] = self._visual("slow", fused)
        if "audio" in self.names:
            self.pathways["audio"] = self._audio()
        self.fast_to_slow = {stage: self._fast_to_slow(stage, self.norm) for stage in self._fs_stages()}
        self.audio_laterals = {stage: self._audio_lateral(stage) for stage in self._audio_stages()}
        self._log_stages_without_sync()
        return Network(
            {name: self.pathways[name] for name in self.names},
            self.fast_to_slow,
            self.audio_laterals,
            {stage: self._sync_head(stage) for stage in self.sync_stages},
            self._head(),
            drop_pathway=self._drop_pathway() if self.audiovisual else None,
            mean=derived.pixel_mean(cfg),
            std=derived.pixel_std(cfg),
            sync_thresholds=(s.AVS_VAR_THRESH, s.AVS_DUPLICATE_THRESH),
            audio_stream=cfg.TRAIN.AUDIO_STREAM,
        )

    def _drop_pathway(self) -> DropPathway:
        return DropPathway(self.cfg.SLOWFAST.DROPPATHWAY_RATE, self.cfg.RNG_SEED, self.cfg.LATERAL.DROP_POOL5)

    def _fs_stages(self) -> list[str]:
        """Stages with an F->S lateral; a network without audio has them all, as in PySlowFast."""
        if "fast" not in self.names:
            return []
        flags = self.cfg.SLOWFAST.FS_FUSION if self.audiovisual else [True] * len(_LATERAL_STAGES)
        return [stage for stage, on in zip(_LATERAL_STAGES, flags) if on]

    def _audio_stages(self) -> list[str]:
        """Stages with an audio lateral."""
        flags = self.cfg.SLOWFAST.AFS_FUSION if self.audiovisual else []
        return [stage for stage, on in zip(_LATERAL_STAGES, flags) if on]

    def _log_stages_without_sync(self) -> None:
        left_out = [stage for stage in derived.flagged_sync_stages(self.cfg) if stage not in self.sync_stages]
        if left_out:
            get_logger(__name__).info(
                "SLOWFAST.DROPPATHWAY_RATE is 0: no synchronisation loss at %s, after the first audio lateral",
                ", ".join(left_out),
            )

    def _resnet(self, dim_in: int, width: int, norm: NormSpec) -> ResNetSpec:
        r = self.cfg.RESNET
        return ResNetSpec(dim_in, width, r.DEPTH, r.TRANS_FUNC, norm, r.NUM_GROUPS, r.STRIDE_1X1, r.INPLACE_RELU)

    def _visual(self, name: str, fused: dict[str, int]) -> Pathway:
        """A visual pathway.

        Args:
            name: slow | fast.
            fused: {stage: channels that F->S appends after it}.
        """
        cfg, r, n = self.cfg, self.cfg.RESNET, self.cfg.NONLOCAL
        stages = []
        for i, before in enumerate(_LATERAL_STAGES):
            after, pool = derived.nonlocal_blocks(cfg, i, name), tuple(derived.per_pathway(n.POOL[i], name))
            stages.append(
                VisualStage(
                    stride=derived.per_pathway(r.SPATIAL_STRIDES[i], name),
                    dilation=derived.per_pathway(r.SPATIAL_DILATIONS[i], name),
                    temporal_blocks=derived.per_pathway(r.NUM_BLOCK_TEMP_KERNEL[i], name),
                    extra_in=fused.get(before, 0),
                    nonlocals=NonLocalSpec(after, derived.per_pathway(n.GROUP[i], name), pool, n.INSTANTIATION),
                )
            )
        width = r.WIDTH_PER_GROUP // (cfg.SLOWFAST.BETA_INV if name == "fast" else 1)
        kind = PATHWAYS[cfg.PATHWAY[name.upper()]]
        resnet = self._resnet(cfg.DATA.INPUT_CHANNEL_NUM[0], width, self.norm)
        pathway: Pathway = kind(resnet, stages, **kind.options(cfg))
        return pathway

    def _audio(self) -> Pathway:
        cfg, s, r = self.cfg, self.cfg.SLOWFAST, self.cfg.RESNET
        last = "res5"
        if self.audiovisual and not cfg.LATERAL.AUDIO_POOL5:
            last = max([*self._audio_stages(), *self.sync_stages], key=STAGES.index)
        kind = PATHWAYS[cfg.PATHWAY.AUDIO]
        pathway: Pathway = kind(
            self._resnet(1, r.WIDTH_PER_GROUP // s.AU_BETA_INV, self.audio_norm),
            tf_transform=r.AUDIO_TRANS_FUNC,
            tf_stages=r.AUDIO_TRANS_NUM,
            reduce_tf=s.AU_REDUCE_TF_DIM,
            last_stage=last,
            **kind.options(cfg),
        )
        return pathway

    def _fast_to_slow(self, stage: str, norm: NormSpec) -> FastToSlow:
        s, dim = self.cfg.SLOWFAST, self.pathways["fast"].channels[stage]
        inplace = self.cfg.RESNET.INPLACE_RELU
        return FastToSlow(dim, s.FUSION_CONV_CHANNEL_RATIO, s.FUSION_KERNEL_SZ, s.ALPHA, norm, inplace)

    def _visual_channels(self, stage: str, target: str) -> int:
        """Channels of a visual pathway after a stage; Slow's with those that F->S appends."""
        fused = self.fast_to_slow[stage].dim_out if target == "slow" and stage in self.fast_to_slow else 0
        return self.pathways[target].channels[stage] + fused

    def _geometry(self, stage: str, target: str, dim_visual: int) -> LateralGeometry:
        """What connects audio to a visual pathway at a stage."""
        s, audio = self.cfg.SLOWFAST, self.pathways["audio"]
        steps_per_slow = s.AU_ALPHA // audio.time_stride[stage]
        dim = audio.channels[stage]
        by_dim = s.AU_FUSION_CONV_CHANNEL_MODE == "ByDim"
        return LateralGeometry(
            target=target,
            dim_audio=dim,
            dim_visual=dim_visual,
            stride=steps_per_slow if target == "slow" else steps_per_slow // s.ALPHA,
            dim_inner=s.AU_FUSION_CONV_CHANNEL_DIM if by_dim else max(1, int(dim * s.AU_FUSION_CONV_CHANNEL_RATIO)),
            kernel=s.AU_FUSION_KERNEL_SZ,
            num_convs=s.AU_FUSION_CONV_NUM,
        )

    def _audio_lateral(self, stage: str) -> AudioLateral:
        cfg = self.cfg
        kind, target = LATERALS[cfg.LATERAL.AUDIO], LATERALS.facts(cfg.LATERAL.AUDIO).target
        geometry = self._geometry(stage, target, self._visual_channels(stage, target))
        lateral: AudioLateral = kind(geometry, self.audio_norm, cfg.RESNET.INPLACE_RELU, **kind.options(cfg))
        return lateral

    def _sync_head(self, stage: str) -> SyncHead:
        """Compares what the stage's audio lateral encodes.

        Without one (as at res5) the head encodes audio itself.
        """
        cfg, lateral = self.cfg, self.audio_laterals.get(stage)
        dim, pool = cfg.SLOWFAST.AVS_PROJ_DIM, cfg.SYNC.POOL
        if lateral is not None and lateral.target == "fast":
            return SyncHead(lateral.geometry.dim_visual, lateral.dim_encoded, dim, pool=pool)
        # Without F->S at the stage, audio is compared with Slow and Fast together all the same.
        join = None if stage in self.fast_to_slow else self._fast_to_slow(stage, self.audio_norm)
        visual = self._visual_channels(stage, "slow") + (0 if join is None else join.dim_out)
        if lateral is not None:
            return SyncHead(visual, lateral.dim_encoded, dim, join, pool=pool)
        encoder = AudioEncoder(self._geometry(stage, "slow", visual), self.audio_norm, cfg.RESNET.INPLACE_RELU)
        return SyncHead(visual, visual, dim, join, encoder, pool)

    def _head(self) -> Head:
        cfg, d = self.cfg, self.cfg.DETECTION
        visual = [name for name in self.names if name != "audio"]
        learns = derived.pretext_facts(cfg)
        classes = {name: facts.outputs for name, facts in learns.items() if facts.outputs}
        classes = classes if learns else derived.head_classes(cfg)
        _check_head_names(classes)
        channels = {name: self.pathways[name].channels["res5"] for name in visual}
        # A pretext is learnt from frames alone; what it learns says nothing about classes.
        if "audio" in self.names and not learns and (cfg.LATERAL.AUDIO_POOL5 or not visual):
            channels["audio"] = self.pathways["audio"].channels["res5"]
        spec = HeadSpec(
            channels=channels,
            window={name: self._window(name) for name in visual},
            classes=classes,
            dropout=cfg.MODEL.DROPOUT_RATE,
            act="softmax" if learns else derived.score_activation(cfg),
            box_pooling=BoxPooling(d.ROI_XFORM_RESOLUTION, d.SPATIAL_SCALE_FACTOR, d.ALIGNED),
        )
        kind = HEADS[derived.head_name(cfg)]
        head: Head = kind(spec, **kind.options(cfg))
        return head

    def _window(self, name: str) -> tuple[int, int, int]:
        """What one position of the head covers: the training crop, in frames and cells of res5."""
        cfg, stride = self.cfg, 4
        for strides in cfg.RESNET.SPATIAL_STRIDES:
            stride *= derived.per_pathway(strides, name)
        cells = -(-cfg.DATA.TRAIN_CROP_SIZE // stride)
        frames = derived.slow_frames(cfg) if name == "slow" else cfg.DATA.NUM_FRAMES
        return frames, cells, cells


def _check_head_names(classes: dict[str, int]) -> None:
    """A classifier is a module by its name, which must not be that of something that torch's modules have."""
    for name in classes:
        if hasattr(nn.ModuleDict(), name):
            raise ConfigError(
                f"MULTI_HEAD.NAMES: torch's modules use the name '{name}'; use another, e.g. {name}_class"
            )


def _kind(cfg: Cfg, asked: str) -> str:
    """The kind of batch norm: that of the long cycle changes with its shape."""
    return "multigrid" if cfg.MULTIGRID.LONG_CYCLE and asked != "frozen_batchnorm" else asked


def _norm(cfg: Cfg) -> NormSpec:
    kind, group = _kind(cfg, cfg.BN.NORM_TYPE), None
    size = cfg.BN.NUM_SYNC_DEVICES
    if kind == "sync_batchnorm" and 0 < size < distributed.world_size():
        group = distributed.neighbours(size)
    return NormSpec(kind, cfg.BN.EPSILON, cfg.BN.MOMENTUM, cfg.BN.NUM_SPLITS, group, cfg.NUM_GPUS > 0)
