"""Facts that follow from a configuration, each derived here and nowhere else."""

import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

from ..utils.remote import is_remote
from . import multigrid
from .names import ARCHITECTURES, DatasetFacts, DATASETS, PretextFacts, PRETEXTS, STAGES, TaskFacts, TASKS
from .pyslowfast import READ_AS_BGR

# A frozen or open configuration (`fvcore.common.config.CfgNode`), whose keys have no static types.
Cfg = Any


def pathways(cfg: Cfg) -> tuple[str, ...]:
    """The pathways of the network, in order."""
    return ARCHITECTURES[cfg.MODEL.ARCH]


def is_audiovisual(cfg: Cfg) -> bool:
    """Whether the network has an audio pathway and visual ones, which laterals join."""
    return {"slow", "audio"} <= set(pathways(cfg))


def alpha(cfg: Cfg) -> int:
    """Fast's frames per Slow frame; 1 where Slow is alone."""
    return int(cfg.SLOWFAST.ALPHA) if "fast" in pathways(cfg) else 1


def slow_frames(cfg: Cfg) -> int:
    """Frames of a clip that the Slow pathway sees."""
    return int(cfg.DATA.NUM_FRAMES) // alpha(cfg)


def task_name(cfg: Cfg) -> str:
    """Name of the task; DETECTION.ENABLE chooses detection where TASK names no task with boxes."""
    return "detection" if cfg.DETECTION.ENABLE and not TASKS.facts(cfg.TASK).boxes else str(cfg.TASK)


def task_facts(cfg: Cfg) -> TaskFacts:
    """What the task needs from data and network."""
    facts: TaskFacts = TASKS.facts(task_name(cfg))
    return facts


def pretexts(cfg: Cfg) -> tuple[str, ...]:
    """Names of the pretexts that are learnt; () for a task with labels."""
    chosen = task_facts(cfg).pretexts
    if chosen is None:
        return ()
    return chosen or tuple(cfg.PRETRAIN.TASKS)


def pretext_facts(cfg: Cfg) -> dict[str, PretextFacts]:
    """{pretext: what it needs} of those that are learnt."""
    return {name: PRETEXTS.facts(name) for name in pretexts(cfg)}


def has_sync_heads(cfg: Cfg) -> bool:
    """Whether visual and audio features are compared at some stage of the network."""
    if not is_audiovisual(cfg) or not any(cfg.SLOWFAST.AVS_FLAG):
        return False
    return not pretexts(cfg) or any(facts.synchronisation for facts in pretext_facts(cfg).values())


def flagged_sync_stages(cfg: Cfg) -> tuple[str, ...]:
    """Stages at which SLOWFAST.AVS_FLAG asks for a synchronisation loss; () where nothing is compared."""
    return tuple(stage for stage, on in zip(STAGES, cfg.SLOWFAST.AVS_FLAG) if on) if has_sync_heads(cfg) else ()


def sync_stages(cfg: Cfg) -> tuple[str, ...]:
    """Stages with a synchronisation head that some training iteration reaches.

    Visual features that have met audio are never compared: where the audio pathway is never dropped, stages after the
    first audio lateral would have weights without a gradient.
    """
    flagged = flagged_sync_stages(cfg)
    if cfg.SLOWFAST.DROPPATHWAY_RATE > 0 or pretexts(cfg):
        return flagged
    first = min((i for i, on in enumerate(cfg.SLOWFAST.AFS_FUSION) if on), default=len(STAGES))
    return tuple(stage for stage in flagged if STAGES.index(stage) <= first)


def audio_seconds(cfg: Cfg) -> float:
    """Seconds of audio that belong to a clip: those of its frames, or of its spectrogram where that is longer."""
    d = cfg.DATA
    spectrogram = ((d.AUDIO_FRAME_NUM - 1) * d.AUDIO_STEP_SZ + d.AUDIO_WIN_SZ) / 1000
    return float(max(d.NUM_FRAMES * d.SAMPLING_RATE / d.TARGET_FPS, spectrogram))


def measures_sync(cfg: Cfg) -> bool:
    """Whether validation and test measure synchronisation, for which clips need shifted audio and a hard negative."""
    return has_sync_heads(cfg) and bool(pretexts(cfg))


def reads_hard_negatives(cfg: Cfg) -> bool:
    """Whether training reads audio of the same video from another time."""
    return has_sync_heads(cfg) and bool(cfg.DATA.GET_MISALIGNED_AUDIO)


def hard_negatives_from_epoch(cfg: Cfg) -> float:
    """Epoch from which hard negatives are mixed in."""
    share = float(cfg.SYNC.HARD_FROM)
    return float(cfg.DATA.MIX_NEG_EPOCH) if share < 0 else share * schedule(cfg).max_epoch


def schedule(cfg: Cfg) -> multigrid.Schedule:
    """The shapes of the training's batches, its learning-rate steps and its length: one shape without MULTIGRID."""
    m, s = cfg.MULTIGRID, cfg.SOLVER
    recipe = multigrid.Recipe(
        cfg.DATA.NUM_FRAMES,
        cfg.DATA.TRAIN_CROP_SIZE if "slow" in pathways(cfg) else 0,
        cfg.DATA.SAMPLING_RATE,
        tuple(s.STEPS),
        tuple(s.LRS),
        s.MAX_EPOCH,
        cfg.TRAIN.EVAL_PERIOD,
        tuple(map(tuple, m.LONG_CYCLE_FACTORS)) if m.LONG_CYCLE else (),
        tuple(m.SHORT_CYCLE_FACTORS) if m.SHORT_CYCLE else (),
        m.EPOCH_FACTOR,
        m.EVAL_FREQ,
    )
    return multigrid.schedule(recipe)


def spectrogram_frames(cfg: Cfg, shape: multigrid.Shape) -> int:
    """Spectrogram frames of a clip in a shape of multigrid: in every one AU_ALPHA for each frame of Slow."""
    return int(cfg.DATA.AUDIO_FRAME_NUM) * shape.frames // int(cfg.DATA.NUM_FRAMES)


def norm_parts(cfg: Cfg, shape: multigrid.Shape, world_size: int) -> multigrid.NormParts:
    """The batch norm of a shape of multigrid's long cycle.

    Args:
        cfg: The configuration.
        shape: The long cycle's shape.
        world_size: Processes on all machines; where they do not divide into groups of the size that is needed, groups
            are smaller.
    """
    clips = train_videos_per_pass(cfg, world_size) * shape.batch * int(cfg.AUG.NUM_SAMPLE)
    parts = multigrid.norm_parts(clips, cfg.MULTIGRID.BN_BASE_SIZE)
    group = max(n for n in range(1, min(parts.sync_devices, world_size) + 1) if world_size % n == 0)
    return parts._replace(sync_devices=group)


def per_pathway(values: list[Any], pathway: str) -> Any:
    """A visual pathway's entry of a list of values per pathway (Slow, Fast); a single value counts for both."""
    index = {"slow": 0, "fast": 1}[pathway]
    return values[index] if index < len(values) else values[0]


def nonlocal_blocks(cfg: Cfg, stage: int, pathway: str) -> tuple[int, ...]:
    """Numbers of the residual blocks that a non-local block follows.

    Args:
        cfg: The configuration.
        stage: 0 for res2 .. 3 for res5.
        pathway: slow | fast.
    """
    places = cfg.NONLOCAL.LOCATION[stage]
    # A single location stands for Slow, where PySlowFast puts its non-local blocks.
    return () if pathway == "fast" and len(places) == 1 else tuple(per_pathway(places, pathway))


def is_bgr(cfg: Cfg) -> bool:
    """Whether the network takes channels in the order B, G, R.

    DATA.REVERSE_INPUT_CHANNEL reverses what PySlowFast's reader of the training data set gives.
    """
    asked = bool(cfg.DATA.USE_BGR_ORDER or (task_facts(cfg).boxes and cfg.AVA.BGR))
    reverses = bool(cfg.DATA.REVERSE_INPUT_CHANNEL) and dataset_name(cfg) not in READ_AS_BGR
    return asked != reverses


def dataset_name(cfg: Cfg, split: str = "train") -> str:
    """The data set of a split (train | val | test), in small letters."""
    return str(cfg.TEST.DATASET if split == "test" else cfg.TRAIN.DATASET).lower()


def counts_whole_frames(cfg: Cfg, split: str = "train") -> bool:
    """Whether the clips of a split (train | val | test) are counted in whole frames, see `DatasetFacts`."""
    facts: DatasetFacts = DATASETS.facts(dataset_name(cfg, split))
    return facts.whole_frames


def pixel_mean(cfg: Cfg) -> tuple[float, ...]:
    """Pixel mean per channel, in the order of the network's channels."""
    return tuple(cfg.DATA.MEAN[::-1] if is_bgr(cfg) else cfg.DATA.MEAN)


def pixel_std(cfg: Cfg) -> tuple[float, ...]:
    """Pixel standard deviation per channel, in the order of the network's channels."""
    return tuple(cfg.DATA.STD[::-1] if is_bgr(cfg) else cfg.DATA.STD)


def head_classes(cfg: Cfg) -> dict[str, int]:
    """{classifier: classes}; the only classifier of a network with one is called ""."""
    if cfg.MULTI_HEAD.NAMES:
        return dict(zip(cfg.MULTI_HEAD.NAMES, cfg.MULTI_HEAD.NUM_CLASSES))
    return {"": int(cfg.MODEL.NUM_CLASSES)}


def needed_head(cfg: Cfg) -> str:
    """The head of the package that fits task and classifiers: single | multi | roi | pretext."""
    if pretexts(cfg):
        return "pretext"
    if task_facts(cfg).boxes:
        return "roi"
    return "multi" if cfg.MULTI_HEAD.NAMES else "single"


def head_name(cfg: Cfg) -> str:
    """Kind of the head, an entry of HEADS: MODEL.HEAD, or what the task needs."""
    return str(cfg.MODEL.HEAD) or needed_head(cfg)


def supervision_levels(cfg: Cfg) -> tuple[int, int, int]:
    """Levels of EPIC-Kitchens-100 that a submission states: of pre-training, training labels, training data."""
    levels, part = cfg.EPIC100, cfg.DATA.TRAIN_PART
    data = int(levels.SLS_TD) if levels.SLS_TD >= 0 else 4 if part == "trainval" else 3
    return int(levels.SLS_PT), int(levels.SLS_TL), data


def score_activation(cfg: Cfg) -> str:
    """What turns logits into scores: softmax | sigmoid. Boxes with a binary loss are scored by sigmoid."""
    binary = task_facts(cfg).boxes and cfg.MODEL.LOSS_FUNC.startswith("bce")
    return "sigmoid" if binary else str(cfg.MODEL.HEAD_ACT)


def step_at(epoch: float, steps: Sequence[float]) -> int:
    """Number of the step of SOLVER.STEPS in which an epoch lies.

    The first step that lies ahead ends the current one, as in PySlowFast, whose first AVA files had a list that does
    not ascend.

    Args:
        epoch: Epochs done, fractional.
        steps: Epochs at which steps begin; the first is 0.
    """
    return next((i for i, step in enumerate(steps) if epoch < step), len(steps)) - 1


def configured_ranks_per_machine(cfg: Cfg) -> int:
    """Processes that a run of this configuration has on one machine."""
    return int(cfg.NUM_GPUS or cfg.NUM_CPU_PROCESSES)


def machines(cfg: Cfg, world_size: int) -> int:
    """Machines that take part: NUM_SHARDS, or fewer where torchrun goes on without some of them.

    Args:
        cfg: The configuration.
        world_size: Processes on all machines.
    """
    return max(min(world_size // configured_ranks_per_machine(cfg), int(cfg.NUM_SHARDS)), 1)


def ranks_per_machine(cfg: Cfg, world_size: int) -> int:
    """Processes on one machine, of those that run.

    Args:
        cfg: The configuration.
        world_size: Processes on all machines.
    """
    return max(world_size // machines(cfg, world_size), 1)


def train_passes_per_step(cfg: Cfg, world_size: int) -> int:
    """Forward passes of one rank per optimiser step.

    Fewer machines than NUM_SHARDS make more of them, so that neither the clips of a step nor those of a pass change.

    Args:
        cfg: The configuration.
        world_size: Processes on all machines.
    """
    return int(cfg.TRAIN.ACCUMULATION_STEPS) * int(cfg.NUM_SHARDS) // machines(cfg, world_size)


def train_videos_per_pass(cfg: Cfg, world_size: int) -> int:
    """Videos in one forward pass of one rank in training; each gives AUG.NUM_SAMPLE clips."""
    return int(cfg.TRAIN.BATCH_SIZE) // (ranks_per_machine(cfg, world_size) * int(cfg.TRAIN.ACCUMULATION_STEPS))


def train_clips_per_step(cfg: Cfg) -> int:
    """Clips of one optimiser step, over all machines, also where fewer than NUM_SHARDS take part."""
    return int(cfg.TRAIN.BATCH_SIZE) * int(cfg.AUG.NUM_SAMPLE) * int(cfg.NUM_SHARDS)


def most_videos(cfg: Cfg, split: str, cut: str) -> int:
    """Videos of a split that are used where a run is cut short for a trial; 0 is all.

    TRAIN.OVERFIT_BATCHES cuts the training list to so many steps. TRAIN.LIMIT_BATCHES cuts the lists of validation and
    test; epochs of training, which it cuts to so many steps, visit all of their list in turn.

    Args:
        cfg: The configuration.
        split: train | val | test: whose videos they are.
        cut: How clips are cut from them: train | val | test.
    """
    if split == "train" and (cut == "train" or cfg.TRAIN.OVERFIT_BATCHES):
        return int(cfg.TRAIN.OVERFIT_BATCHES) * int(cfg.TRAIN.BATCH_SIZE) * int(cfg.NUM_SHARDS)
    views = test_views(cfg) if cut == "test" else 1
    return int(cfg.TRAIN.LIMIT_BATCHES) * max(int(cfg.TEST.BATCH_SIZE) // views, 1) * int(cfg.NUM_SHARDS)


def lr_scale(cfg: Cfg) -> float:
    """Factor on the learning rates: of SOLVER.BASE_LR_FOR_BATCH or SOLVER.BASE_LR_SCALE_NUM_SHARDS."""
    if cfg.SOLVER.BASE_LR_FOR_BATCH:
        return train_clips_per_step(cfg) / float(cfg.SOLVER.BASE_LR_FOR_BATCH)
    return float(cfg.NUM_SHARDS) if cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS else 1.0


def test_clips_per_pass(cfg: Cfg, world_size: int) -> int:
    """Clips in one forward pass of one rank in validation and test, at most."""
    return max(int(cfg.TEST.BATCH_SIZE) // ranks_per_machine(cfg, world_size), 1)


def test_views(cfg: Cfg) -> int:
    """Views of one video in the test: clips times crops."""
    crops = int(cfg.TEST.NUM_SPATIAL_CROPS) if "slow" in pathways(cfg) else 1
    return int(cfg.TEST.NUM_ENSEMBLE_VIEWS) * crops


def tested_views(cfg: Cfg) -> tuple[int, int]:
    """(clips, crops of each clip) of one video in the test; a key frame has one view."""
    if task_facts(cfg).boxes:
        return 1, 1
    return int(cfg.TEST.NUM_ENSEMBLE_VIEWS), test_views(cfg) // int(cfg.TEST.NUM_ENSEMBLE_VIEWS)


def tested_dataset(cfg: Cfg) -> str:
    """Name of the data set that is tested."""
    return str(cfg.TEST.DATASET if cfg.TEST.SPLIT == "test" else cfg.TRAIN.DATASET)


def tested_part(cfg: Cfg) -> str:
    """What a test of another split than test is called in names of files, e.g. test_val; "" for the test split."""
    if cfg.TEST.LIST:
        return f"list_{name_of_file(str(cfg.TEST.LIST))}"
    return "" if cfg.TEST.SPLIT == "test" else f"test_{cfg.TEST.SPLIT}"


def name_of_file(path: str) -> str:
    """A file's name as a part of other names; files of the same name in different folders have different ones."""
    place = path if is_remote(path) else os.path.abspath(path)
    stem = re.sub(r"\W+", "_", os.path.splitext(os.path.basename(path))[0])
    return f"{stem}_{hashlib.sha256(place.encode()).hexdigest()[:6]}"


def loggers(cfg: Cfg) -> tuple[str, ...]:
    """Names of the loggers of a run; TENSORBOARD.ENABLE False takes "tensorboard" out."""
    return tuple(name for name in cfg.LOGGERS if name != "tensorboard" or cfg.TENSORBOARD.ENABLE)


def output_folders(cfg: Cfg) -> dict[str, str]:
    """{key: folder} of all folders that a run writes to."""
    folders = {"OUTPUT_DIR": str(cfg.OUTPUT_DIR)}
    if cfg.TEST.ENABLE and cfg.TEST.SAVE_RESULTS_PATH:
        path = str(cfg.TEST.SAVE_RESULTS_PATH)
        folders["TEST.SAVE_RESULTS_PATH"] = path if is_remote(path) else os.path.dirname(os.path.abspath(path))
    if cfg.TRAIN.ENABLE and "tensorboard" in loggers(cfg) and cfg.TENSORBOARD.LOG_DIR:
        folders["TENSORBOARD.LOG_DIR"] = str(cfg.TENSORBOARD.LOG_DIR)
    return folders
