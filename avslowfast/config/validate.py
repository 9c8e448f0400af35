"""Checks that a configuration makes sense, before anything starts."""

from .errors import ConfigError
from .names import ARCHITECTURES, LOGGERS
from .plugins import check_added


def validate_cfg(cfg):
    """Check one configuration; it is not changed.

    Raises:
        ConfigError: on the first thing that cannot work.
    """
    _check_choices(cfg)
    _check_resnet(cfg)
    _check_inputs(cfg)
    if cfg.MODEL.ARCH == "avslowfast":
        _check_audio_fusion(cfg)
    _check_heads(cfg)
    _check_tasks(cfg)
    _check_finetuning(cfg)
    _check_training(cfg)
    _check_batches(cfg)
    for name in cfg.LOGGERS:
        LOGGERS.check(name, key="LOGGERS")
    check_added(cfg)


def _fail(key, value, problem, remedy):
    raise ConfigError(f"{key} is {value!r}: {problem}; {remedy}")


def _choice(key, value, allowed):
    if value not in allowed:
        _fail(key, value, "not known here", f"use one of {', '.join(map(str, allowed))}")


def _check_choices(cfg):
    foreign = {
        "c2d": "C2D",
        "c2d_nopool": "C2D",
        "i3d": "I3D",
        "i3d_nopool": "I3D",
        "2d": "2-D ResNet",
        "x3d": "X3D",
        "mvit": "MViT",
        "maskmvit": "masked autoencoders",
    }
    if cfg.MODEL.ARCH in foreign:
        _fail(
            "MODEL.ARCH",
            cfg.MODEL.ARCH,
            f"{foreign[cfg.MODEL.ARCH]} is a model of PySlowFast that this project does not have",
            "use slow, slowfast, avslowfast or audio",
        )
    _choice("TASK", cfg.TASK, ("classification", "detection", "sync", "pretrain", "probe"))
    _choice("MODEL.ARCH", cfg.MODEL.ARCH, ("slow", "slowfast", "avslowfast", "audio"))
    _choice("MODEL.LOSS_FUNC", cfg.MODEL.LOSS_FUNC, ("cross_entropy", "soft_cross_entropy", "bce_logit", "bce"))
    _choice("MODEL.HEAD_ACT", cfg.MODEL.HEAD_ACT, ("softmax", "sigmoid"))
    _choice("BN.NORM_TYPE", cfg.BN.NORM_TYPE, ("batchnorm", "sub_batchnorm", "sync_batchnorm", "frozen_batchnorm"))
    _choice("NONLOCAL.INSTANTIATION", cfg.NONLOCAL.INSTANTIATION, ("dot_product", "softmax"))
    _choice("SOLVER.LR_POLICY", cfg.SOLVER.LR_POLICY, ("cosine", "steps_with_relative_lrs"))
    _choice("SOLVER.OPTIMIZING_METHOD", cfg.SOLVER.OPTIMIZING_METHOD, ("sgd", "adam", "adamw"))
    _choice("DATA.ENSEMBLE_METHOD", cfg.DATA.ENSEMBLE_METHOD, ("sum", "max"))
    _choice("LATERAL.AUDIO", cfg.LATERAL.AUDIO, ("a2fs", "a2f2s", "av_nonlocal"))
    _choice("SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE", cfg.SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE, ("ByDim", "ByRatio"))
    _choice("AMP.DTYPE", cfg.AMP.DTYPE, ("auto", "bfloat16", "float16"))
    _choice("TEST.NUM_SPATIAL_CROPS", cfg.TEST.NUM_SPATIAL_CROPS, (1, 3))
    for key in ("SHORT_CYCLE", "LONG_CYCLE"):
        if cfg.MULTIGRID[key]:
            _fail(f"MULTIGRID.{key}", True, "multigrid training is not available yet", "set it to False")


def _check_resnet(cfg):
    r = cfg.RESNET
    _choice("RESNET.DEPTH", r.DEPTH, (18, 34, 50, 101, 152))
    _choice("RESNET.TRANS_FUNC", r.TRANS_FUNC, ("bottleneck_transform", "basic_transform"))
    _choice(
        "RESNET.AUDIO_TRANS_FUNC",
        r.AUDIO_TRANS_FUNC,
        ("tf_bottleneck_transform_v1", "tf_bottleneck_transform_v2", "bottleneck_transform", "basic_transform"),
    )
    wanted = "basic_transform" if r.DEPTH in (18, 34) else "bottleneck_transform"
    if wanted != r.TRANS_FUNC:
        _fail(
            "RESNET.TRANS_FUNC",
            r.TRANS_FUNC,
            f"a ResNet of depth {r.DEPTH} is made of another block",
            f"set it to {wanted}",
        )
    if r.NUM_GROUPS < 1:
        _fail("RESNET.NUM_GROUPS", r.NUM_GROUPS, "there is at least one group", "use 1 for a ResNet")
    for key in ("NUM_BLOCK_TEMP_KERNEL", "SPATIAL_STRIDES", "SPATIAL_DILATIONS"):
        if len(r[key]) != 4:
            _fail(
                f"RESNET.{key}",
                r[key],
                f"it has {len(r[key])} stages",
                "give one list for each of res2, res3, res4, res5",
            )
    for key in ("BETA_INV", "AU_BETA_INV"):
        beta = cfg.SLOWFAST[key]
        uses = (
            cfg.MODEL.ARCH in ("slowfast", "avslowfast")
            if key == "BETA_INV"
            else cfg.MODEL.ARCH in ("avslowfast", "audio")
        )
        if uses and (beta < 1 or r.WIDTH_PER_GROUP * r.NUM_GROUPS % beta or r.WIDTH_PER_GROUP % beta):
            _fail(
                f"SLOWFAST.{key}",
                beta,
                f"Slow's {r.WIDTH_PER_GROUP} channels cannot be divided by it",
                "change it or RESNET.WIDTH_PER_GROUP",
            )


def _check_inputs(cfg):
    d, arch = cfg.DATA, cfg.MODEL.ARCH
    if arch != "audio":
        for key in ("TRAIN_CROP_SIZE", "TEST_CROP_SIZE"):
            if d[key] < 32:
                _fail(f"DATA.{key}", d[key], "the network divides height and width by 32", "use 32 or more")
        if len(d.TRAIN_JITTER_SCALES) != 2 or d.TRAIN_JITTER_SCALES[0] > d.TRAIN_JITTER_SCALES[1]:
            _fail(
                "DATA.TRAIN_JITTER_SCALES", d.TRAIN_JITTER_SCALES, "not a range", "give [smallest, largest] short side"
            )
        if d.TRAIN_JITTER_SCALES[0] < d.TRAIN_CROP_SIZE:
            _fail(
                "DATA.TRAIN_JITTER_SCALES",
                d.TRAIN_JITTER_SCALES,
                f"a short side below the crop of {d.TRAIN_CROP_SIZE} leaves nothing to crop",
                "raise the scales or lower DATA.TRAIN_CROP_SIZE",
            )
    for key in (
        "NUM_FRAMES",
        "SAMPLING_RATE",
        "TARGET_FPS",
        "AUDIO_FRAME_NUM",
        "AUDIO_MEL_NUM",
        "AUDIO_WIN_SZ",
        "AUDIO_STEP_SZ",
    ):
        if d[key] <= 0:
            _fail(f"DATA.{key}", d[key], "it has to be positive", "correct it")
    if arch in ("slowfast", "avslowfast") and d.NUM_FRAMES % cfg.SLOWFAST.ALPHA:
        _fail(
            "DATA.NUM_FRAMES",
            d.NUM_FRAMES,
            f"not a multiple of SLOWFAST.ALPHA ({cfg.SLOWFAST.ALPHA}), so Slow has no whole number of frames",
            "change one of them",
        )
    if arch in ("audio", "avslowfast"):
        if d.AUDIO_SAMPLE_RATE * d.AUDIO_STEP_SZ % 1000 or d.AUDIO_SAMPLE_RATE * d.AUDIO_WIN_SZ % 1000:
            _fail(
                "DATA.AUDIO_STEP_SZ",
                d.AUDIO_STEP_SZ,
                f"window and step are not whole numbers of samples at {d.AUDIO_SAMPLE_RATE} Hz",
                "use the paper's 16000 Hz, 32 ms and 16 ms",
            )
        if d.LOGMEL_STD <= 0:
            _fail("DATA.LOGMEL_STD", d.LOGMEL_STD, "a standard deviation is positive", "use 4.66")
    if not 0 <= d.MAX_FAILED_FRACTION <= 1:
        _fail("DATA.MAX_FAILED_FRACTION", d.MAX_FAILED_FRACTION, "a share lies in 0..1", "use 0.01 for one percent")


def _check_audio_fusion(cfg):
    s, d = cfg.SLOWFAST, cfg.DATA
    for key, length in (("FS_FUSION", 4), ("AFS_FUSION", 4), ("AVS_FLAG", 5)):
        if len(s[key]) != length or not all(isinstance(flag, bool) for flag in s[key]):
            names = "pool1, res2, res3, res4" + (", res5" if length == 5 else "")
            _fail(f"SLOWFAST.{key}", s[key], f"not {length} values", f"give True or False for each of {names}")
    if not 0 <= s.DROPPATHWAY_RATE <= 1:
        _fail(
            "SLOWFAST.DROPPATHWAY_RATE",
            s.DROPPATHWAY_RATE,
            "a probability lies in 0..1",
            "the paper uses 0.8 on Kinetics",
        )
    slow_frames = d.NUM_FRAMES // s.ALPHA
    if s.AU_ALPHA * slow_frames != d.AUDIO_FRAME_NUM:
        whole = d.AUDIO_FRAME_NUM % slow_frames == 0
        remedy = (
            f"set it to {d.AUDIO_FRAME_NUM // slow_frames}"
            if whole
            else f"set DATA.AUDIO_FRAME_NUM to {s.AU_ALPHA * slow_frames}"
        )
        _fail(
            "SLOWFAST.AU_ALPHA",
            s.AU_ALPHA,
            f"{d.AUDIO_FRAME_NUM} spectrogram frames do not divide into Slow's {slow_frames} frames that way",
            remedy,
        )
    for stage, halvings in (("pool1", 0), ("res2", 0), ("res3", 1), ("res4", 2), ("res5", 3)):
        index = ("pool1", "res2", "res3", "res4", "res5").index(stage)
        used = s.AVS_FLAG[index] or (index < 4 and s.AFS_FUSION[index])
        steps = 2**halvings if s.AU_REDUCE_TF_DIM else 1
        if used and s.AU_ALPHA % steps:
            _fail(
                "SLOWFAST.AU_ALPHA",
                s.AU_ALPHA,
                f"audio time at {stage} ({d.AUDIO_FRAME_NUM // steps} steps) does not divide into Slow's "
                f"{slow_frames} frames",
                f"use a multiple of {steps}, or no audio lateral or synchronisation there",
            )
        if cfg.LATERAL.AUDIO == "a2f2s" and index < 4 and s.AFS_FUSION[index] and s.AU_ALPHA // steps % s.ALPHA:
            _fail(
                "LATERAL.AUDIO",
                "a2f2s",
                f"at {stage} audio has {s.AU_ALPHA // steps} steps per Slow frame, which do not divide into Fast's {s.ALPHA}",
                "use earlier stages in SLOWFAST.AFS_FUSION, or more spectrogram frames (DATA.AUDIO_FRAME_NUM)",
            )
    if not (any(s.AFS_FUSION) or cfg.LATERAL.AUDIO_POOL5 or any(s.AVS_FLAG)):
        _fail(
            "SLOWFAST.AFS_FUSION",
            s.AFS_FUSION,
            "no lateral, no pool5 fusion and no synchronisation uses the audio pathway",
            "switch one on, or use MODEL.ARCH slowfast",
        )
    if not 0 <= d.EASY_NEG_RATIO <= 1:
        _fail("DATA.EASY_NEG_RATIO", d.EASY_NEG_RATIO, "a share lies in 0..1", "the paper's authors use 0.75")


def _check_heads(cfg):
    m = cfg.MULTI_HEAD
    if not len(m.NAMES) == len(m.NUM_CLASSES) == len(m.LOSS_WEIGHTS):
        _fail(
            "MULTI_HEAD.NAMES",
            m.NAMES,
            f"{len(m.NUM_CLASSES)} class counts and {len(m.LOSS_WEIGHTS)} loss weights go with it",
            "give one of each per classifier",
        )
    if not m.NAMES and cfg.MODEL.NUM_CLASSES < 1:
        _fail(
            "MODEL.NUM_CLASSES",
            cfg.MODEL.NUM_CLASSES,
            "there is at least one class",
            "set it to the data set's number of classes",
        )
    if cfg.DETECTION.ENABLE and (m.NAMES or cfg.MODEL.ARCH == "audio"):
        _fail(
            "DETECTION.ENABLE",
            True,
            "boxes need a single visual head",
            "clear MULTI_HEAD.NAMES and use a visual architecture",
        )
    if cfg.TASK == "detection" and not cfg.DETECTION.ENABLE:
        _fail("TASK", cfg.TASK, "the network has no head for boxes", "set DETECTION.ENABLE True")
    if cfg.AVA.TEST_FORCE_FLIP:
        _fail("AVA.TEST_FORCE_FLIP", True, "testing on flipped pictures is not available", "set it to False")
    if cfg.DETECTION.ENABLE and cfg.MIXUP.ENABLE:
        _fail("MIXUP.ENABLE", True, "mixing needs one label a clip, not boxes", "switch it off")
    if not 0 <= cfg.MODEL.DROPOUT_RATE < 1:
        _fail("MODEL.DROPOUT_RATE", cfg.MODEL.DROPOUT_RATE, "a dropout rate lies in 0..1, 1 excluded", "use 0.5 or 0")
    if cfg.MODEL.LOSS_FUNC.startswith("bce") != cfg.DATA.MULTI_LABEL and not cfg.DETECTION.ENABLE:
        _fail(
            "MODEL.LOSS_FUNC",
            cfg.MODEL.LOSS_FUNC,
            f"it does not go with DATA.MULTI_LABEL {cfg.DATA.MULTI_LABEL}",
            "use bce_logit with several labels a clip, cross_entropy with one",
        )
    if cfg.MIXUP.ENABLE and (cfg.DATA.MULTI_LABEL or m.NAMES):
        _fail("MIXUP.ENABLE", True, "mixing needs one label a clip", "switch it off")


def _check_tasks(cfg):
    synchronises = cfg.MODEL.ARCH == "avslowfast" and any(cfg.SLOWFAST.AVS_FLAG)
    if cfg.TASK in ("sync", "pretrain", "probe"):
        for key, on in (("DETECTION.ENABLE", cfg.DETECTION.ENABLE), ("MIXUP.ENABLE", cfg.MIXUP.ENABLE)):
            if on:
                _fail(key, True, f"TASK {cfg.TASK} has no use for it", "set it to False")
    if cfg.TASK in ("sync", "pretrain") and cfg.TEST.NUM_SPATIAL_CROPS != 1:
        _fail(
            "TEST.NUM_SPATIAL_CROPS",
            cfg.TEST.NUM_SPATIAL_CROPS,
            "synchronisation is measured on centre crops",
            "set it to 1",
        )
    learns = cfg.PRETRAIN.TASKS if cfg.TASK == "pretrain" else ["avs"]
    for name in learns:
        _choice("PRETRAIN.TASKS", name, ("avs", "rotation"))
    if cfg.TASK == "pretrain" and not learns:
        _fail("PRETRAIN.TASKS", learns, "there is nothing to learn", "use [avs], [rotation] or both")
    if cfg.TASK in ("sync", "pretrain") and "avs" in learns and not synchronises:
        _fail(
            "TASK",
            cfg.TASK,
            "no stage compares sight and sound",
            "use MODEL.ARCH avslowfast and switch stages on in SLOWFAST.AVS_FLAG",
        )
    if cfg.TASK == "pretrain" and "rotation" in learns and cfg.MODEL.ARCH == "audio":
        _fail("PRETRAIN.TASKS", learns, "an audio network sees no pictures", "use another MODEL.ARCH")
    s = cfg.SYNC
    _choice("SYNC.POOL", s.POOL, ("mean", "time"))
    if s.POOL == "time" and synchronises and cfg.LATERAL.AUDIO == "av_nonlocal":
        _fail(
            "SYNC.POOL",
            "time",
            "the audiovisual non-local lateral keeps audio's own time",
            "use mean, or another LATERAL.AUDIO",
        )
    if s.HARD_FROM > 1:
        _fail(
            "SYNC.HARD_FROM", s.HARD_FROM, "it is a share of SOLVER.MAX_EPOCH", "use 0..1, or -1 for DATA.MIX_NEG_EPOCH"
        )
    if not 0 <= s.SUPER_HARD_RATIO <= 1:
        _fail("SYNC.SUPER_HARD_RATIO", s.SUPER_HARD_RATIO, "a share lies in 0..1", "use 0 for none")
    for key in ("SUPER_HARD_GAP", "MAX_SHIFT", "SHIFT_STEP"):
        if s[key] <= 0:
            _fail(
                f"SYNC.{key}",
                s[key],
                "seconds are positive here",
                "use for example 1.0 as the largest shift, 0.05 as the step",
            )
    if s.SHIFT_STEP > s.MAX_SHIFT:
        _fail("SYNC.SHIFT_STEP", s.SHIFT_STEP, f"it is larger than SYNC.MAX_SHIFT {s.MAX_SHIFT}", "lower it")
    _choice("PROBE.STAGE", cfg.PROBE.STAGE, ("pool1", "res2", "res3", "res4", "res5"))
    if not cfg.PROBE.C or any(c <= 0 for c in cfg.PROBE.C):
        _fail("PROBE.C", cfg.PROBE.C, "strengths are positive", "give for example [0.01, 0.1, 1.0, 10.0]")
    if not 0 < cfg.DATA.TRAIN_FRACTION <= 1:
        _fail(
            "DATA.TRAIN_FRACTION",
            cfg.DATA.TRAIN_FRACTION,
            "a share lies in 0..1, 0 excluded",
            "use 0.1 for a tenth of the training videos",
        )


def _check_finetuning(cfg):
    f = cfg.FINETUNE
    pathways, stages = ARCHITECTURES[cfg.MODEL.ARCH], ("pool1", "res2", "res3", "res4", "res5")
    allowed = [
        *pathways,
        *stages,
        *([] if len(pathways) == 1 else ["laterals"]),
        *(f"{p}.{s}" for p in pathways for s in stages),
    ]
    for part in f.FREEZE:
        if part not in allowed:
            _fail(
                "FINETUNE.FREEZE",
                f.FREEZE,
                f"the {cfg.MODEL.ARCH} network has no part '{part}'",
                f"use pathways ({', '.join(pathways)}), stages ({', '.join(stages)}), one of each as in {pathways[0]}.res2, or laterals",
            )
    for key in ("LR_HEAD", "LR_AUDIO", "LR_REST"):
        if f[key] <= 0:
            _fail(
                f"FINETUNE.{key}",
                f[key],
                "a share of the learning rate is positive",
                "use FINETUNE.FREEZE for what should not learn",
            )


def _check_training(cfg):
    s = cfg.SOLVER
    if s.LR_POLICY == "steps_with_relative_lrs":
        # PySlowFast's published files give more rates than steps; the rates left over are never reached.
        if len(s.STEPS) > len(s.LRS) or not s.STEPS or s.STEPS[0] != 0:
            _fail(
                "SOLVER.STEPS",
                s.STEPS,
                f"{len(s.LRS)} rates go with it",
                "give the first epoch of each rate in SOLVER.LRS, from 0 on",
            )
    if s.WARMUP_EPOCHS >= s.MAX_EPOCH and s.WARMUP_EPOCHS > 0:
        _fail(
            "SOLVER.WARMUP_EPOCHS", s.WARMUP_EPOCHS, f"the warm-up never ends within {s.MAX_EPOCH} epochs", "shorten it"
        )
    if cfg.AUG.ENABLE:
        words = dict((w.rstrip("0123456789.") or w, w) for w in cfg.AUG.AA_TYPE.split("-"))
        if "rand" not in words or "m" not in words:
            _fail("AUG.AA_TYPE", cfg.AUG.AA_TYPE, "not a RandAugment setting", "write for example rand-m7-n2-mstd0.5")
    for key, value in (
        ("LOG_PERIOD", cfg.LOG_PERIOD),
        ("TRAIN.EVAL_PERIOD", cfg.TRAIN.EVAL_PERIOD),
        ("SOLVER.MAX_EPOCH", s.MAX_EPOCH),
        ("TRAIN.CHECKPOINT_PERIOD", cfg.TRAIN.CHECKPOINT_PERIOD),
        ("TEST.NUM_ENSEMBLE_VIEWS", cfg.TEST.NUM_ENSEMBLE_VIEWS),
        ("TRAIN.ACCUMULATION_STEPS", cfg.TRAIN.ACCUMULATION_STEPS),
        ("AUG.NUM_SAMPLE", cfg.AUG.NUM_SAMPLE),
    ):
        if value < 1:
            _fail(key, value, "it counts something that happens at least once", "use 1 or more")


def _check_batches(cfg):
    if cfg.SHARD_ID >= cfg.NUM_SHARDS:
        _fail(
            "SHARD_ID",
            cfg.SHARD_ID,
            f"there are NUM_SHARDS {cfg.NUM_SHARDS} machines, numbered from 0",
            "correct one of them",
        )
    ranks, key = (cfg.NUM_GPUS, "NUM_GPUS") if cfg.NUM_GPUS else (cfg.NUM_CPU_PROCESSES, "NUM_CPU_PROCESSES")
    if ranks < 1:
        _fail(key, ranks, "at least one process runs", "use 1 or more")
    # TEST.BATCH_SIZE is a bound on clips per forward pass and need not divide.
    parts = ranks * cfg.TRAIN.ACCUMULATION_STEPS
    if cfg.TRAIN.BATCH_SIZE < 1 or cfg.TRAIN.BATCH_SIZE % parts:
        _fail(
            "TRAIN.BATCH_SIZE",
            cfg.TRAIN.BATCH_SIZE,
            f"it does not divide over {ranks} rank(s) x {cfg.TRAIN.ACCUMULATION_STEPS} accumulation step(s)",
            f"use a multiple of {parts}, or change {key}",
        )
    local = cfg.TRAIN.BATCH_SIZE // parts
    clips = local * cfg.AUG.NUM_SAMPLE
    if cfg.AUG.NUM_SAMPLE > 1 and local == 1 and cfg.MODEL.ARCH == "avslowfast" and any(cfg.SLOWFAST.AVS_FLAG):
        _fail(
            "AUG.NUM_SAMPLE",
            cfg.AUG.NUM_SAMPLE,
            "with one video a rank and forward pass, a clip's neighbour, its easy negative, is of the same video",
            "raise TRAIN.BATCH_SIZE, or set it to 1",
        )
    if cfg.BN.NORM_TYPE == "sub_batchnorm" and clips % cfg.BN.NUM_SPLITS:
        _fail(
            "BN.NUM_SPLITS",
            cfg.BN.NUM_SPLITS,
            f"a rank's batch of {clips} clips cannot be split that way",
            "use a divisor of it",
        )
    if (
        cfg.BN.NORM_TYPE == "sync_batchnorm"
        and cfg.BN.NUM_SYNC_DEVICES
        and (ranks * cfg.NUM_SHARDS) % cfg.BN.NUM_SYNC_DEVICES
    ):
        _fail(
            "BN.NUM_SYNC_DEVICES",
            cfg.BN.NUM_SYNC_DEVICES,
            f"{ranks * cfg.NUM_SHARDS} ranks do not divide into such groups",
            "use a divisor, or 0 for all",
        )
