"""Checks that a configuration can work, before anything starts; those of the network are in `validate_model`."""

from ..utils.registry import Registry, UnknownNameError
from .defaults_model import DEFAULTS
from .derived import (
    Cfg,
    configured_ranks_per_machine,
    has_sync_heads,
    pathways,
    pretext_facts,
    pretexts,
    task_facts,
)
from .errors import ConfigError, refuse, value_of
from .names import (
    ARCHITECTURES,
    DATASETS,
    HEADS,
    LATERALS,
    LOGGERS,
    METRICS,
    PATHWAYS,
    PRETEXTS,
    STAGES,
    TASKS,
    TRANSFORMS,
)
from .plugins import check_added
from .validate_model import check_model

# Keys with a fixed set of values; entries of registries are checked by these.
_CHOICES = {
    "MODEL.LOSS_FUNC": ("cross_entropy", "soft_cross_entropy", "bce_logit", "bce"),
    "MODEL.HEAD_ACT": ("softmax", "sigmoid"),
    "RESNET.DEPTH": (18, 34, 50, 101, 152),
    "NONLOCAL.INSTANTIATION": ("dot_product", "softmax"),
    "SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE": ("ByDim", "ByRatio"),
    "BN.NORM_TYPE": ("batchnorm", "sub_batchnorm", "sync_batchnorm", "frozen_batchnorm"),
    "SOLVER.LR_POLICY": ("cosine", "steps_with_relative_lrs"),
    "SOLVER.OPTIMIZING_METHOD": ("sgd", "adam", "adamw"),
    "DATA.ENSEMBLE_METHOD": ("sum", "max"),
    "AMP.DTYPE": ("auto", "bfloat16", "float16"),
    "TEST.NUM_SPATIAL_CROPS": (1, 3),
    "SYNC.POOL": ("mean", "time"),
    "PROBE.STAGE": STAGES,
}
# Shares and probabilities: {key: a value that works}.
_SHARES = {
    "SLOWFAST.DROPPATHWAY_RATE": "the paper uses 0.8 on Kinetics",
    "DATA.EASY_NEG_RATIO": "the paper's authors use 0.75",
    "DATA.MAX_FAILED_FRACTION": "use 0.01 for 1 percent",
    "SYNC.SUPER_HARD_RATIO": "use 0 for none",
    "MIXUP.PROB": "use 1 to mix in every iteration",
    "MIXUP.SWITCH_PROB": "use 0.5 for both alike",
    "EMA.DECAY": "use for example 0.9999",
}
# Quantities above 0: {key: remedy}.
_POSITIVE = {
    **{
        f"DATA.{key}": "use a value above 0"
        for key in (
            "NUM_FRAMES",
            "SAMPLING_RATE",
            "TARGET_FPS",
            "AUDIO_FRAME_NUM",
            "AUDIO_MEL_NUM",
            "AUDIO_WIN_SZ",
            "AUDIO_STEP_SZ",
        )
    },
    "SYNC.SUPER_HARD_GAP": "use for example 0.2 seconds",
    "SYNC.MAX_SHIFT": "use for example 1.0 seconds",
    "SYNC.SHIFT_STEP": "use for example 0.05 seconds",
    **{
        f"FINETUNE.LR_{part}": "use FINETUNE.FREEZE for parts that should not learn"
        for part in ("HEAD", "AUDIO", "REST")
    },
}
_COUNTS = (
    "RESNET.NUM_GROUPS",
    "LOG_PERIOD",
    "TRAIN.EVAL_PERIOD",
    "TRAIN.CHECKPOINT_PERIOD",
    "TRAIN.ACCUMULATION_STEPS",
    "SOLVER.MAX_EPOCH",
    "TEST.NUM_ENSEMBLE_VIEWS",
    "AUG.NUM_SAMPLE",
)

# Architectures of PySlowFast that this project does not have.
_FOREIGN_ARCHITECTURES = {
    "c2d": "C2D",
    "c2d_nopool": "C2D",
    "i3d": "I3D",
    "i3d_nopool": "I3D",
    "2d": "2-D ResNet",
    "x3d": "X3D",
    "mvit": "MViT",
    "maskmvit": "masked autoencoders",
}
# Data sets of PySlowFast that have no reader here. Their configurations load, so that their networks can be used;
# building the data set is refused.
_FOREIGN_DATASETS = ("ssv2", "imagenet", "ptvkinetics", "ptvcharades", "ptvssv2")


def validate_cfg(cfg: Cfg) -> None:
    """Check one configuration; it is not changed.

    Args:
        cfg: The configuration.

    Raises:
        ConfigError: The first thing that cannot work.
    """
    try:
        _check_names(cfg)
        _check_ranges(cfg)
        _check_other_values(cfg)
        check_model(cfg)
        _check_task(cfg)
        _check_sync(cfg)
        _check_finetuning(cfg)
        _check_training(cfg)
        _check_batches(cfg)
        check_added(cfg)
    except UnknownNameError as error:
        raise ConfigError(str(error)) from None


def _check_names(cfg: Cfg) -> None:
    """Names of registries; those of plugins are accepted."""
    if cfg.MODEL.ARCH in _FOREIGN_ARCHITECTURES:
        problem = f"{_FOREIGN_ARCHITECTURES[cfg.MODEL.ARCH]} is a model of PySlowFast that this project does not have"
        refuse(cfg, "MODEL.ARCH", problem, f"use one of {', '.join(ARCHITECTURES)}")
    chosen: list[tuple[Registry, str, list[str]]] = [
        (ARCHITECTURES, "MODEL.ARCH", [cfg.MODEL.ARCH]),
        (TASKS, "TASK", [cfg.TASK]),
        (TRANSFORMS, "RESNET.TRANS_FUNC", [cfg.RESNET.TRANS_FUNC]),
        (TRANSFORMS, "RESNET.AUDIO_TRANS_FUNC", [cfg.RESNET.AUDIO_TRANS_FUNC]),
        (PATHWAYS, "PATHWAY.SLOW", [cfg.PATHWAY.SLOW]),
        (PATHWAYS, "PATHWAY.FAST", [cfg.PATHWAY.FAST]),
        (PATHWAYS, "PATHWAY.AUDIO", [cfg.PATHWAY.AUDIO]),
        (LATERALS, "LATERAL.AUDIO", [cfg.LATERAL.AUDIO]),
        (HEADS, "MODEL.HEAD", [cfg.MODEL.HEAD] if cfg.MODEL.HEAD else []),
        (METRICS, "TEST.METRICS", cfg.TEST.METRICS),
        (LOGGERS, "LOGGERS", cfg.LOGGERS),
    ]
    for registry, key, names in chosen:
        for name in names:
            registry.check(name, key=key)
    for key in ("TRAIN.DATASET", "TEST.DATASET"):
        name = value_of(cfg, key).lower()
        if name not in _FOREIGN_DATASETS:
            DATASETS.check(name, key=key)


def _check_ranges(cfg: Cfg) -> None:
    for key, allowed in _CHOICES.items():
        if value_of(cfg, key) not in allowed:
            refuse(cfg, key, "unknown value", f"use one of {', '.join(map(str, allowed))}")
    for key, remedy in _SHARES.items():
        if not 0 <= value_of(cfg, key) <= 1:
            refuse(cfg, key, "it has to be in 0..1", remedy)
    for key, remedy in _POSITIVE.items():
        if value_of(cfg, key) <= 0:
            refuse(cfg, key, "it has to be positive", remedy)
    for key in _COUNTS:
        if value_of(cfg, key) < 1:
            refuse(cfg, key, "it has to be at least 1", "use 1 or more")


def _check_other_values(cfg: Cfg) -> None:
    if not 0 < cfg.DATA.TRAIN_FRACTION <= 1:
        refuse(
            cfg, "DATA.TRAIN_FRACTION", "it has to be above 0, up to 1", "use 0.1 for 10 percent of the training videos"
        )
    if not 0 <= cfg.MODEL.DROPOUT_RATE < 1:
        refuse(cfg, "MODEL.DROPOUT_RATE", "it has to be at least 0, below 1", "use 0.5 or 0")
    if not cfg.PROBE.C or any(c <= 0 for c in cfg.PROBE.C):
        refuse(cfg, "PROBE.C", "it needs values, all of them positive", "use for example [0.01, 0.1, 1.0, 10.0]")
    for key in ("MULTIGRID.SHORT_CYCLE", "MULTIGRID.LONG_CYCLE"):
        if value_of(cfg, key):
            refuse(cfg, key, "multigrid training is not available", "set it to False")
    if cfg.AVA.TEST_FORCE_FLIP:
        refuse(cfg, "AVA.TEST_FORCE_FLIP", "testing on flipped frames is not available", "set it to False")


def _check_task(cfg: Cfg) -> None:
    """What the task needs of network and data."""
    named, facts = TASKS.facts(cfg.TASK), task_facts(cfg)
    if named.boxes and not cfg.DETECTION.ENABLE:
        refuse(cfg, "TASK", "the network has no head for boxes", "set DETECTION.ENABLE True")
    if cfg.DETECTION.ENABLE and not named.boxes and cfg.TASK != DEFAULTS.TASK:
        refuse(cfg, "DETECTION.ENABLE", f"TASK {cfg.TASK} classifies no boxes", "set it to False")
    if facts.boxes and (cfg.MULTI_HEAD.NAMES or "slow" not in pathways(cfg)):
        remedy = "set MULTI_HEAD.NAMES [] and use an architecture with a visual pathway"
        refuse(cfg, "DETECTION.ENABLE", "boxes need a single visual classifier", remedy)
    if cfg.MIXUP.ENABLE and not (facts.labels and facts.trains):
        refuse(cfg, "MIXUP.ENABLE", f"TASK {cfg.TASK} trains on no labels that could be mixed", "set it to False")
    if cfg.MIXUP.ENABLE and (facts.boxes or cfg.DATA.MULTI_LABEL or cfg.MULTI_HEAD.NAMES):
        refuse(cfg, "MIXUP.ENABLE", "mixing needs one label per clip", "set it to False")
    if cfg.MODEL.LOSS_FUNC.startswith("bce") != cfg.DATA.MULTI_LABEL and not facts.boxes:
        problem = f"it does not fit DATA.MULTI_LABEL {cfg.DATA.MULTI_LABEL}"
        refuse(cfg, "MODEL.LOSS_FUNC", problem, "use bce_logit with several labels per clip, cross_entropy with one")
    if facts.pretexts is not None:
        _check_pretexts(cfg)


def _check_pretexts(cfg: Cfg) -> None:
    if not pretexts(cfg):
        refuse(cfg, "PRETRAIN.TASKS", "there is nothing to learn", f"use one or several of {', '.join(PRETEXTS)}")
    for name in pretexts(cfg):
        PRETEXTS.check(name, key="PRETRAIN.TASKS")
    if cfg.TEST.NUM_SPATIAL_CROPS != 1:
        refuse(cfg, "TEST.NUM_SPATIAL_CROPS", "synchronisation is measured on centre crops", "set it to 1")
    facts = pretext_facts(cfg)
    if any(f.synchronisation for f in facts.values()) and not has_sync_heads(cfg):
        remedy = "use MODEL.ARCH avslowfast and switch stages on in SLOWFAST.AVS_FLAG"
        refuse(cfg, "TASK", "no stage compares visual and audio features", remedy)
    visual = [name for name, f in facts.items() if f.visual]
    if visual and "slow" not in pathways(cfg):
        problem = f"{', '.join(visual)} needs frames, which an audio network does not get"
        refuse(cfg, "PRETRAIN.TASKS", problem, "use another MODEL.ARCH")


def _check_sync(cfg: Cfg) -> None:
    s = cfg.SYNC
    if s.POOL == "time" and has_sync_heads(cfg) and LATERALS.facts(cfg.LATERAL.AUDIO).keeps_audio_time:
        problem = f"the lateral {cfg.LATERAL.AUDIO} does not bring audio to Slow's time steps"
        refuse(cfg, "SYNC.POOL", problem, "use mean, or another LATERAL.AUDIO")
    if s.HARD_FROM > 1:
        refuse(cfg, "SYNC.HARD_FROM", "it is a share of SOLVER.MAX_EPOCH", "use 0..1, or -1 for DATA.MIX_NEG_EPOCH")
    if s.SHIFT_STEP > s.MAX_SHIFT:
        refuse(cfg, "SYNC.SHIFT_STEP", f"it is larger than SYNC.MAX_SHIFT {s.MAX_SHIFT}", "lower it")


def _check_finetuning(cfg: Cfg) -> None:
    names = pathways(cfg)
    parts = [f"{pathway}.{stage}" for pathway in names for stage in STAGES]
    allowed = [*names, *STAGES, *parts, *(["laterals"] if len(names) > 1 else [])]
    unknown = [part for part in cfg.FINETUNE.FREEZE if part not in allowed]
    if unknown:
        remedy = (
            f"use pathways ({', '.join(names)}), stages ({', '.join(STAGES)}), a stage of a pathway such as "
            f"{names[0]}.res2, or laterals"
        )
        refuse(cfg, "FINETUNE.FREEZE", f"the {cfg.MODEL.ARCH} network has no part '{unknown[0]}'", remedy)


def _check_training(cfg: Cfg) -> None:
    s = cfg.SOLVER
    if s.LR_POLICY == "steps_with_relative_lrs":
        # PySlowFast's published files give more rates than steps; the remaining rates are never reached.
        if len(s.STEPS) > len(s.LRS) or not s.STEPS or s.STEPS[0] != 0:
            problem = f"SOLVER.LRS has {len(s.LRS)} rates"
            refuse(cfg, "SOLVER.STEPS", problem, "give the first epoch of each rate in SOLVER.LRS, starting at 0")
    if 0 < s.WARMUP_EPOCHS >= s.MAX_EPOCH:
        refuse(cfg, "SOLVER.WARMUP_EPOCHS", f"the warm-up does not end within {s.MAX_EPOCH} epochs", "shorten it")
    if cfg.AUG.ENABLE:
        words = {word.rstrip("0123456789.") or word for word in cfg.AUG.AA_TYPE.split("-")}
        if not {"rand", "m"} <= words:
            refuse(cfg, "AUG.AA_TYPE", "not a RandAugment setting", "use for example rand-m7-n2-mstd0.5")


def _check_batches(cfg: Cfg) -> None:
    """How batches divide over processes."""
    if cfg.SHARD_ID >= cfg.NUM_SHARDS:
        refuse(cfg, "SHARD_ID", f"NUM_SHARDS {cfg.NUM_SHARDS} machines are numbered from 0", "correct one of them")
    ranks, key = configured_ranks_per_machine(cfg), "NUM_GPUS" if cfg.NUM_GPUS else "NUM_CPU_PROCESSES"
    if ranks < 1:
        refuse(cfg, key, "at least one process runs", "use 1 or more")
    # TEST.BATCH_SIZE is an upper limit of clips per forward pass and need not divide.
    parts = ranks * cfg.TRAIN.ACCUMULATION_STEPS
    if cfg.TRAIN.BATCH_SIZE < 1 or cfg.TRAIN.BATCH_SIZE % parts:
        problem = f"it does not divide over {ranks} rank(s) x {cfg.TRAIN.ACCUMULATION_STEPS} accumulation step(s)"
        refuse(cfg, "TRAIN.BATCH_SIZE", problem, f"use a multiple of {parts}, or change {key}")
    videos = cfg.TRAIN.BATCH_SIZE // parts
    clips = videos * cfg.AUG.NUM_SAMPLE
    if cfg.AUG.NUM_SAMPLE > 1 and videos == 1 and has_sync_heads(cfg):
        problem = "with one video per rank and forward pass, easy negatives would be of the same video as the clip"
        refuse(cfg, "AUG.NUM_SAMPLE", problem, "raise TRAIN.BATCH_SIZE, or set it to 1")
    if cfg.BN.NORM_TYPE == "sub_batchnorm" and clips % cfg.BN.NUM_SPLITS:
        refuse(cfg, "BN.NUM_SPLITS", f"a rank's batch of {clips} clips cannot be split that way", "use a divisor of it")
    group, world = cfg.BN.NUM_SYNC_DEVICES, ranks * cfg.NUM_SHARDS
    if cfg.BN.NORM_TYPE == "sync_batchnorm" and group and world % group:
        problem = f"{world} ranks do not divide into such groups"
        refuse(cfg, "BN.NUM_SYNC_DEVICES", problem, "use a divisor, or 0 for all")
