"""From configuration to network: the only place in `models` that reads cfg."""

import torch
import torch.distributed as dist

from ..config import derived
from ..config.names import ARCHITECTURES, STAGES
from ..utils import distributed
from ..utils.logging import get_logger
from .avs import SyncHead
from .blocks import init_weights
from .drop_pathway import DropPathway
from .heads import HEADS
from .lateral import AudioEncoder, FastToSlow, LATERALS
from .network import Network
from .norm import NormSpec
from .pathways import PATHWAYS

_LATERAL_STAGES = STAGES[:4]


def build_model(cfg):
    """The network that `cfg` describes: float32, on the CPU, with first weights drawn from cfg.RNG_SEED.

    Returns:
        A `Network`; see its `forward` for inputs and outputs.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.RNG_SEED)
        model = _build(cfg)
        init_weights(model, cfg.MODEL.FC_INIT_STD, cfg.RESNET.ZERO_INIT_FINAL_BN)
    model.freeze(cfg.FINETUNE.FREEZE)
    return model


def input_shapes(cfg, crop, batch=1):
    """Shapes of the model's inputs at a crop size: {"slow": (B, 3, T/alpha, H, W), ...}."""
    names = ARCHITECTURES[cfg.MODEL.ARCH]
    frames, channels = cfg.DATA.NUM_FRAMES, cfg.DATA.INPUT_CHANNEL_NUM[0]
    slow = frames // cfg.SLOWFAST.ALPHA if "fast" in names else frames
    shapes = {
        "slow": (batch, channels, slow, crop, crop),
        "fast": (batch, channels, frames, crop, crop),
        "audio": (batch, 1, cfg.DATA.AUDIO_FRAME_NUM, cfg.DATA.AUDIO_MEL_NUM),
    }
    return {name: shapes[name] for name in names}


def _build(cfg):
    names = ARCHITECTURES[cfg.MODEL.ARCH]
    norm = _norm(cfg)
    s = cfg.SLOWFAST
    fs_stages = _fast_to_slow_stages(cfg)
    pathways = {}
    if "fast" in names:
        pathways["fast"] = _visual(cfg, "fast", norm, {})
    fused = {stage: pathways["fast"].channels[stage] * s.FUSION_CONV_CHANNEL_RATIO for stage in fs_stages}
    if "slow" in names:
        extra = {STAGES[STAGES.index(stage) + 1]: channels for stage, channels in fused.items()}
        pathways["slow"] = _visual(cfg, "slow", norm, extra)
    if "audio" in names:
        pathways["audio"] = _audio(cfg, norm)
    pathways = {name: pathways[name] for name in names}
    fast_to_slow = {stage: _fast_to_slow(cfg, pathways, stage, norm) for stage in fs_stages}
    audio_laterals, sync_heads = {}, {}
    if cfg.MODEL.ARCH == "avslowfast":
        audio_laterals = {
            stage: _audio_lateral(cfg, pathways, stage, fused, norm)
            for stage, on in zip(_LATERAL_STAGES, s.AFS_FUSION)
            if on
        }
        sync_heads = {
            stage: _sync_head(cfg, pathways, stage, fused, audio_laterals, norm) for stage in _sync_stages(cfg)
        }
    head = _head(cfg, pathways)
    drop = DropPathway(s.DROPPATHWAY_RATE, cfg.RNG_SEED) if cfg.MODEL.ARCH == "avslowfast" else None
    mean, std = cfg.DATA.MEAN, cfg.DATA.STD
    if cfg.DATA.REVERSE_INPUT_CHANNEL or cfg.DATA.USE_BGR_ORDER:
        mean, std = mean[::-1], std[::-1]
    thresholds = (s.AVS_VAR_THRESH, s.AVS_DUPLICATE_THRESH)
    return Network(
        pathways, fast_to_slow, audio_laterals, sync_heads, head, drop, mean, std, thresholds, cfg.TRAIN.AUDIO_STREAM
    )


def _norm(cfg):
    group = None
    size = cfg.BN.NUM_SYNC_DEVICES
    if cfg.BN.NORM_TYPE == "sync_batchnorm" and distributed.is_distributed() and 0 < size < distributed.world_size():
        # Every rank has to take part in making every group.
        groups = [dist.new_group(range(i, i + size)) for i in range(0, distributed.world_size(), size)]
        group = groups[distributed.rank() // size]
    return NormSpec(cfg.BN.NORM_TYPE, cfg.BN.EPSILON, cfg.BN.MOMENTUM, cfg.BN.NUM_SPLITS, group, cfg.NUM_GPUS > 0)


def _of(values, pathway):
    """A pathway's entry of a per-pathway list; a list of one counts for all."""
    index = {"slow": 0, "fast": 1}[pathway]
    return values[index] if index < len(values) else values[0]


def _visual(cfg, name, norm, extra_in):
    r = cfg.RESNET
    blocks = [_of(stage, name) for stage in r.NUM_BLOCK_TEMP_KERNEL]
    nonlocals = [
        {"after": _of(location, name), "group": _of(group, name), "pool": _of(pool, name)}
        for location, group, pool in zip(cfg.NONLOCAL.LOCATION, cfg.NONLOCAL.GROUP, cfg.NONLOCAL.POOL)
    ]
    # A single location stands for Slow, where PySlowFast puts its non-local blocks.
    if name == "fast":
        for entry, location in zip(nonlocals, cfg.NONLOCAL.LOCATION):
            entry["after"] = location[1] if len(location) > 1 else ()
    return PATHWAYS[name](
        dim_in=cfg.DATA.INPUT_CHANNEL_NUM[0],
        width=r.WIDTH_PER_GROUP // (cfg.SLOWFAST.BETA_INV if name == "fast" else 1),
        depth=r.DEPTH,
        transform=r.TRANS_FUNC,
        norm=norm,
        strides=[_of(stage, name) for stage in r.SPATIAL_STRIDES],
        dilations=[_of(stage, name) for stage in r.SPATIAL_DILATIONS],
        temporal_blocks=blocks,
        extra_in=extra_in,
        nonlocals=nonlocals,
        nonlocal_kind=cfg.NONLOCAL.INSTANTIATION,
        num_groups=r.NUM_GROUPS,
        stride_1x1=r.STRIDE_1X1,
        inplace=r.INPLACE_RELU,
    )


def _audio(cfg, norm):
    s, r = cfg.SLOWFAST, cfg.RESNET
    used = {"res5"}
    if cfg.MODEL.ARCH == "avslowfast" and not cfg.LATERAL.AUDIO_POOL5:
        used = {stage for stage, on in zip(_LATERAL_STAGES, s.AFS_FUSION) if on} | set(_sync_stages(cfg))
    return PATHWAYS["audio"](
        dim_in=1,
        width=r.WIDTH_PER_GROUP // s.AU_BETA_INV,
        depth=r.DEPTH,
        transform=r.TRANS_FUNC,
        norm=norm,
        tf_transform=r.AUDIO_TRANS_FUNC,
        tf_stages=r.AUDIO_TRANS_NUM,
        reduce_tf=s.AU_REDUCE_TF_DIM,
        last_stage=max(used, key=STAGES.index),
        num_groups=r.NUM_GROUPS,
        stride_1x1=r.STRIDE_1X1,
        inplace=r.INPLACE_RELU,
    )


def _fast_to_slow_stages(cfg):
    if cfg.MODEL.ARCH == "slowfast":
        return list(_LATERAL_STAGES)
    if cfg.MODEL.ARCH == "avslowfast":
        return [stage for stage, on in zip(_LATERAL_STAGES, cfg.SLOWFAST.FS_FUSION) if on]
    return []


def _sync_stages(cfg):
    """Stages with a synchronisation head: those flagged that some training iteration reaches.

    With DROPPATHWAY_RATE 0 nothing after the first audio lateral is ever compared, so weights there would never get a gradient.
    """
    s = cfg.SLOWFAST
    flagged = [stage for stage, on in zip(STAGES, s.AVS_FLAG) if on]
    if cfg.TASK == "pretrain" and "avs" not in cfg.PRETRAIN.TASKS:
        return []
    if s.DROPPATHWAY_RATE > 0 or cfg.TASK in ("sync", "pretrain"):
        return flagged
    first = min((i for i, on in enumerate(s.AFS_FUSION) if on), default=len(STAGES))
    kept = [stage for stage in flagged if STAGES.index(stage) <= first]
    if kept != flagged:
        get_logger(__name__).info(
            "SLOWFAST.DROPPATHWAY_RATE is 0: no synchronisation loss at %s, after the first audio lateral",
            ", ".join(stage for stage in flagged if stage not in kept),
        )
    return kept


def _fast_to_slow(cfg, pathways, stage, norm):
    s = cfg.SLOWFAST
    return FastToSlow(
        pathways["fast"].channels[stage],
        s.FUSION_CONV_CHANNEL_RATIO,
        s.FUSION_KERNEL_SZ,
        s.ALPHA,
        norm,
        cfg.RESNET.INPLACE_RELU,
    )


def _audio_geometry(cfg, pathways, stage, to):
    """Audio's channels and steps per step of pathway `to` at a stage."""
    s, audio = cfg.SLOWFAST, pathways["audio"]
    steps_per_slow = s.AU_ALPHA // audio.time_stride[stage]
    stride = steps_per_slow if to == "slow" else steps_per_slow // s.ALPHA
    dim = audio.channels[stage]
    by_dim = s.AU_FUSION_CONV_CHANNEL_MODE == "ByDim"
    inner = s.AU_FUSION_CONV_CHANNEL_DIM if by_dim else max(1, int(dim * s.AU_FUSION_CONV_CHANNEL_RATIO))
    return {
        "dim_audio": dim,
        "stride": stride,
        "dim_inner": inner,
        "kernel": s.AU_FUSION_KERNEL_SZ,
        "num_convs": s.AU_FUSION_CONV_NUM,
    }


def _audio_lateral(cfg, pathways, stage, fused, norm):
    kind = LATERALS[cfg.LATERAL.AUDIO]
    visual = pathways[kind.target].channels[stage] + (fused.get(stage, 0) if kind.target == "slow" else 0)
    geometry = _audio_geometry(cfg, pathways, stage, kind.target)
    return kind(dim_visual=visual, norm=norm, inplace=cfg.RESNET.INPLACE_RELU, **geometry)


def _sync_head(cfg, pathways, stage, fused, audio_laterals, norm):
    """With an audio lateral at the stage, its encoding is compared; elsewhere (res5) the head has laterals of its own."""
    dim, pool = cfg.SLOWFAST.AVS_PROJ_DIM, cfg.SYNC.POOL
    lateral = audio_laterals.get(stage)
    if lateral is not None and lateral.target == "fast":
        return SyncHead(lateral.dim_visual, lateral.dim_encoded, dim, pool=pool)
    join = None if stage in fused else _fast_to_slow(cfg, pathways, stage, norm)
    visual = pathways["slow"].channels[stage] + (fused[stage] if join is None else join.dim_out)
    if lateral is not None:
        # A->FS without F->S at this stage has encoded audio for Slow alone; the picture is compared as Slow and Fast together.
        return SyncHead(visual, lateral.dim_encoded, dim, join, pool=pool)
    geometry = _audio_geometry(cfg, pathways, stage, "slow")
    encoder = AudioEncoder(
        geometry["dim_audio"],
        geometry["dim_inner"],
        visual,
        geometry["kernel"],
        geometry["stride"],
        geometry["num_convs"],
        norm,
        cfg.RESNET.INPLACE_RELU,
    )
    return SyncHead(visual, visual, dim, join, encoder, pool)


def _head(cfg, pathways):
    channels = {name: p.channels["res5"] for name, p in pathways.items() if name != "audio"}
    if "audio" in pathways and (cfg.LATERAL.AUDIO_POOL5 or cfg.MODEL.ARCH == "audio"):
        channels["audio"] = pathways["audio"].channels["res5"]
    window = {}
    for name in ("slow", "fast"):
        stride = 4
        for stage in cfg.RESNET.SPATIAL_STRIDES:
            stride *= _of(stage, name)
        cells = -(-cfg.DATA.TRAIN_CROP_SIZE // stride)
        alpha = cfg.SLOWFAST.ALPHA if name == "slow" and "fast" in pathways else 1
        window[name] = (cfg.DATA.NUM_FRAMES // alpha, cells, cells)
    common = {"channels": channels, "window": window, "dropout": cfg.MODEL.DROPOUT_RATE, "act": cfg.MODEL.HEAD_ACT}
    if cfg.TASK in ("sync", "pretrain"):
        # What is learnt without labels says nothing of classes, and rotations are seen, not heard.
        visual = {name: n for name, n in channels.items() if name != "audio"}
        outputs = {name: facts.outputs for name, facts in derived.pretext_facts(cfg).items() if facts.outputs}
        return HEADS["pretext"](channels=visual, window=window, outputs=outputs)
    if cfg.DETECTION.ENABLE:
        d = cfg.DETECTION
        common["act"] = "sigmoid" if cfg.MODEL.LOSS_FUNC.startswith("bce") else cfg.MODEL.HEAD_ACT
        return HEADS["roi"](
            num_classes=cfg.MODEL.NUM_CLASSES,
            resolution=d.ROI_XFORM_RESOLUTION,
            scale_factor=d.SPATIAL_SCALE_FACTOR,
            aligned=d.ALIGNED,
            **common,
        )
    if cfg.MULTI_HEAD.NAMES:
        return HEADS["multi"](num_classes=dict(zip(cfg.MULTI_HEAD.NAMES, cfg.MULTI_HEAD.NUM_CLASSES)), **common)
    return HEADS["single"](num_classes=cfg.MODEL.NUM_CLASSES, **common)
