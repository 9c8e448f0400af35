"""Checks of several keys together, before anything starts; those of the network are in `validate_model`.

What each key takes by itself stands in its row of the table, see `defaults`.
"""

import logging

from ..utils.remote import require_package
from ..utils.text import counted
from .derived import (
    audio_seconds,
    Cfg,
    configured_ranks_per_machine,
    has_sync_heads,
    loggers,
    pathways,
    pretext_facts,
    pretexts,
    reads_hard_negatives,
    schedule,
    score_activation,
    spectrogram_frames,
    step_at,
    task_facts,
)
from .errors import ConfigError, refuse
from .names import DATASETS, LATERALS, LOGGERS, PRETEXTS, STAGES, TASKS
from .plugins import check_added
from .table import check_keys, is_default
from .validate_model import check_model

# Measured shifts of the audio; each is one more forward pass of the audio pathway per clip.
_MOST_SHIFTS = 401

_logger = logging.getLogger(__name__)


def validate_cfg(cfg: Cfg) -> None:
    """Check one configuration; it is not changed.

    Args:
        cfg: The configuration.

    Raises:
        ConfigError: The first thing that cannot work.
    """
    check_keys(cfg)
    check_model(cfg)
    _check_task(cfg)
    _check_labels(cfg)
    _check_sync(cfg)
    _check_finetuning(cfg)
    _check_training(cfg)
    _check_shapes(cfg)
    _check_batches(cfg)
    check_added(cfg)


def require_work(cfg: Cfg) -> None:
    """Check that a run has something to do.

    Args:
        cfg: The configuration.

    Raises:
        ConfigError: It would neither train nor test.
    """
    if task_facts(cfg).trains and not (cfg.TRAIN.ENABLE or cfg.TEST.ENABLE):
        raise ConfigError("TRAIN.ENABLE and TEST.ENABLE are False: there is nothing to do; set one of them to True")


def require_packages(cfg: Cfg) -> None:
    """Check that the packages are installed that a training needs and that not everybody has.

    Args:
        cfg: The configuration.

    Raises:
        UserError: One is not.
    """
    for name in loggers(cfg) if cfg.TRAIN.ENABLE else ():
        if LOGGERS.facts(name):
            package, install = LOGGERS.facts(name)
            require_package(package, install, f"LOGGERS {name}")


def _check_task(cfg: Cfg) -> None:
    """What the task needs of network and data."""
    named, facts = TASKS.facts(cfg.TASK), task_facts(cfg)
    if named.boxes and not cfg.DETECTION.ENABLE:
        refuse(cfg, "TASK", "the network has no head for boxes", "set DETECTION.ENABLE True")
    if cfg.DETECTION.ENABLE and not named.boxes and not is_default(cfg, "TASK"):
        refuse(cfg, "DETECTION.ENABLE", f"TASK {cfg.TASK} classifies no boxes", "set it to False")
    if facts.boxes and (cfg.MULTI_HEAD.NAMES or "slow" not in pathways(cfg)):
        remedy = "set MULTI_HEAD.NAMES [] and use an architecture with a visual pathway"
        refuse(cfg, "DETECTION.ENABLE", "boxes need a single visual classifier", remedy)
    if cfg.MIXUP.ENABLE and not (facts.labels and facts.trains):
        refuse(cfg, "MIXUP.ENABLE", f"TASK {cfg.TASK} trains on no labels that could be mixed", "set it to False")
    single = facts.labels and facts.trains and not (facts.boxes or cfg.DATA.MULTI_LABEL)
    if cfg.DATA.BALANCE != "none" and not single:
        refuse(cfg, "DATA.BALANCE", "classes are balanced where clips have one label per classifier", "set it to none")
    if cfg.MODEL.LABEL_SMOOTHING and not single:
        refuse(cfg, "MODEL.LABEL_SMOOTHING", "it is for one label per clip and classifier", "set it to 0")
    if cfg.MODEL.LABEL_SMOOTHING and cfg.MIXUP.ENABLE:
        refuse(cfg, "MODEL.LABEL_SMOOTHING", "MIXUP.ENABLE smooths by MIXUP.LABEL_SMOOTH_VALUE", "set it to 0")
    if cfg.SOLVER.BASE_LR_FOR_BATCH and cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS:
        remedy = "set SOLVER.BASE_LR_SCALE_NUM_SHARDS to False"
        refuse(cfg, "SOLVER.BASE_LR_FOR_BATCH", "it counts the clips of all machines already", remedy)
    if cfg.MIXUP.ENABLE and (facts.boxes or cfg.DATA.MULTI_LABEL or cfg.MULTI_HEAD.NAMES):
        refuse(cfg, "MIXUP.ENABLE", "mixing needs one label per clip", "set it to False")
    if facts.pretexts is not None:
        _check_pretexts(cfg)
    _check_tested(cfg)


def _check_tested(cfg: Cfg) -> None:
    """What is tested can be."""
    facts, test = task_facts(cfg), cfg.TEST
    given = "TEST.LIST" if test.LIST else "TEST.SPLIT" if test.SPLIT != "test" else ""
    if not given:
        return
    if test.LIST and test.SPLIT != "test":
        refuse(cfg, "TEST.LIST", f"TEST.SPLIT {test.SPLIT} is another list", "choose one of them")
    if not facts.trains:
        refuse(cfg, given, f"TASK {cfg.TASK} trains on one split and tests on the other", "leave it out")
    if facts.boxes:
        remedy = "set AVA.TEST_PREDICT_BOX_LISTS and AVA.GROUNDTRUTH_FILE to the boxes that are to be tested"
        refuse(cfg, given, "key frames are named by boxes", remedy)
    if test.LIST and not DATASETS.facts(DATASETS.check(test.DATASET.lower(), "TEST.DATASET")).takes_list:
        remedy = "leave it out, or set TEST.DATASET kinetics for a list of lines `path label` or `path`"
        refuse(cfg, "TEST.LIST", f"the data set '{test.DATASET}' does not lie in one file per split", remedy)


def _check_labels(cfg: Cfg) -> None:
    """Labels, loss and scores of a classifier go together."""
    facts, loss = task_facts(cfg), cfg.MODEL.LOSS_FUNC
    binary = loss.startswith("bce")
    if binary != cfg.DATA.MULTI_LABEL and not facts.boxes:
        problem = f"it does not fit DATA.MULTI_LABEL {cfg.DATA.MULTI_LABEL}"
        refuse(cfg, "MODEL.LOSS_FUNC", problem, "use bce_logit with several labels per clip, cross_entropy with one")
    # Pretexts bring their own classifiers.
    scored = "sigmoid" if binary else "softmax"
    if facts.pretexts is None and score_activation(cfg) != scored:
        refuse(cfg, "MODEL.HEAD_ACT", f"scores would not be what MODEL.LOSS_FUNC {loss} trains", f"set it to {scored}")


def _check_pretexts(cfg: Cfg) -> None:
    if not pretexts(cfg):
        refuse(cfg, "PRETRAIN.TASKS", "there is nothing to learn", f"use one or several of {', '.join(PRETEXTS)}")
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
    if s.SHIFT_STEP > s.MAX_SHIFT:
        refuse(cfg, "SYNC.SHIFT_STEP", f"it is larger than SYNC.MAX_SHIFT {s.MAX_SHIFT}", "lower it")
    nearest = max(audio_seconds(cfg), cfg.DATA.AUDIO_MISALIGNED_GAP * cfg.DATA.AUDIO_STEP_SZ / 1000)
    if s.SUPER_HARD_RATIO and reads_hard_negatives(cfg) and nearest <= s.SUPER_HARD_GAP:
        problem = f"a shift by {nearest:g} s or more makes a hard negative, so there would be no super-hard ones"
        refuse(cfg, "SYNC.SUPER_HARD_GAP", problem, "lower it, or set SYNC.SUPER_HARD_RATIO to 0")
    shifts = 2 * round(s.MAX_SHIFT / s.SHIFT_STEP) + 1
    if shifts > _MOST_SHIFTS:
        problem = f"with SYNC.MAX_SHIFT {s.MAX_SHIFT} it gives {shifts} shifts, each a pass of the audio pathway"
        refuse(cfg, "SYNC.SHIFT_STEP", problem, f"raise it, so that there are at most {_MOST_SHIFTS}")


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
        _check_steps(cfg)
    if cfg.MULTIGRID.LONG_CYCLE:
        _check_long_cycle(cfg)
    epochs = schedule(cfg).max_epoch
    if epochs < 1:
        refuse(cfg, "MULTIGRID.EPOCH_FACTOR", f"of SOLVER.MAX_EPOCH {s.MAX_EPOCH} it leaves no epoch", "raise it")
    if 0 < s.WARMUP_EPOCHS >= epochs:
        problem = f"the warm-up does not end within {counted(epochs, 'epoch')}"
        refuse(cfg, "SOLVER.WARMUP_EPOCHS", problem, "shorten it")
    mixing = cfg.MIXUP
    if mixing.ENABLE and not (mixing.ALPHA or mixing.CUTMIX_ALPHA):
        remedy = "set one of them above 0, or MIXUP.ENABLE False"
        refuse(cfg, "MIXUP.ALPHA", "MIXUP.CUTMIX_ALPHA is 0 as well, so nothing would be mixed", remedy)


def _check_shapes(cfg: Cfg) -> None:
    """The network works in every shape of multigrid."""
    multigrid = schedule(cfg)
    for shape in multigrid.shapes if multigrid.is_multigrid else ():
        key = f"MULTIGRID.{'LONG' if cfg.MULTIGRID.LONG_CYCLE else 'SHORT'}_CYCLE_FACTORS"
        remedy = "change these factors, or what does not fit"
        if "audio" in pathways(cfg) and cfg.DATA.AUDIO_FRAME_NUM * shape.frames % cfg.DATA.NUM_FRAMES:
            problem = f"{shape.frames} frames have no whole share of DATA.AUDIO_FRAME_NUM {cfg.DATA.AUDIO_FRAME_NUM}"
            refuse(cfg, key, problem, remedy)
        shaped = cfg.clone()
        shaped.DATA.NUM_FRAMES, shaped.DATA.AUDIO_FRAME_NUM = shape.frames, spectrogram_frames(cfg, shape)
        shaped.DATA.TRAIN_CROP_SIZE = shape.crop or cfg.DATA.TRAIN_CROP_SIZE
        try:
            check_model(shaped)
        except ConfigError as error:
            refuse(cfg, key, f"the shape {shape.text} does not fit the network ({error})", remedy)


def _check_long_cycle(cfg: Cfg) -> None:
    """The long cycle runs once in each learning-rate step but the last."""
    s, key = cfg.SOLVER, "MULTIGRID.LONG_CYCLE"
    if s.LR_POLICY != "steps_with_relative_lrs":
        problem = f"the long cycle divides learning-rate steps, which SOLVER.LR_POLICY {s.LR_POLICY} has not"
        refuse(cfg, key, problem, "set SOLVER.LR_POLICY steps_with_relative_lrs, or use SHORT_CYCLE alone")
    if len(s.STEPS) < 2 or sorted(set(s.STEPS)) != s.STEPS or s.STEPS[-1] >= s.MAX_EPOCH:
        problem = f"the long cycle divides learning-rate steps, and SOLVER.STEPS is {s.STEPS}"
        refuse(cfg, key, problem, f"give two or more that ascend and lie below SOLVER.MAX_EPOCH {s.MAX_EPOCH}")
    if cfg.DATA.LOGMEL_ON_DEVICE and "audio" in pathways(cfg):
        problem = "the clips of a batch have waveforms of different lengths in the long cycle"
        refuse(cfg, "DATA.LOGMEL_ON_DEVICE", problem, "set it to False")


def _check_steps(cfg: Cfg) -> None:
    s = cfg.SOLVER
    # PySlowFast's published files give more rates than steps; the remaining rates are never reached, nor are steps
    # after the last epoch.
    reached = [step for step in s.STEPS if step < s.MAX_EPOCH]
    if len(reached) > len(s.LRS) or s.STEPS[:1] != [0]:
        problem = f"SOLVER.LRS has {len(s.LRS)} rates"
        refuse(cfg, "SOLVER.STEPS", problem, "give the first epoch of each rate in SOLVER.LRS, starting at 0")
    if sorted(set(s.STEPS)) != s.STEPS:
        begins: dict[float, float] = {}
        for epoch in sorted(set(reached)):
            begins.setdefault(s.LRS[step_at(epoch, s.STEPS)], epoch)
        _logger.warning(
            "SOLVER.STEPS is [%s], which does not ascend; as PySlowFast reads it, SOLVER.BASE_LR is multiplied by %s. "
            "(PySlowFast's AVA files had [0, 10, 5, 5] before March 2020; they have [0, 10, 15, 20] now.)",
            ", ".join(f"{step:g}" for step in s.STEPS),
            ", ".join(f"{rate:g} from epoch {epoch:g} on" for rate, epoch in begins.items()),
        )


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
        problem = f"{counted(world, 'rank does', 'ranks do')} not divide into such groups"
        refuse(cfg, "BN.NUM_SYNC_DEVICES", problem, "use a divisor, or 0 for all")
