"""Settings for a training on a person's own videos, chosen from how many there are and what the machine has."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import derived
from ..config.derived import Cfg
from ..config.errors import value_of
from ..utils.text import counted
from .folders import VideoFolder

# Steps of the optimiser that a training takes at least, as far as epochs between these two numbers allow.
_STEPS, _EPOCHS = 200, (20, 60)
# Epochs of warm-up, at most.
_WARMUP = 2.0
# With fewer training videos per class on average than these the visual pathways stay as they were loaded.
_TO_TRAIN_ALL = 50
# The largest class has so many times the videos of the smallest one where classes count as uneven.
_UNEVEN = 1.5
# Validation videos by which a state can be chosen; with fewer the last one is taken.
_TO_CHOOSE_BY = 50
# Validations, and states that are saved, over a training.
_TIMES = 10
# Batches for precise batch norm where an epoch has fewer; views of the test on a CPU; processes that read videos.
_PRECISE, _CPU_VIEWS, _WORKERS = 8, 3, 4


@dataclass(frozen=True)
class Choice:
    """A setting.

    Attributes:
        key: Of the configuration.
        value: Its value.
        why: The reason, in words.
    """

    key: str
    value: Any
    why: str


@dataclass(frozen=True)
class Counts:
    """Videos of a folder, as far as settings depend on them.

    Attributes:
        train: {class name: training videos}.
        val: {class name: validation videos}.
        test: {class name: test videos}; without any the test looks at the validation videos.
        silent: Readable videos without audio.
    """

    train: Mapping[str, int]
    val: Mapping[str, int]
    test: Mapping[str, int]
    silent: int

    @classmethod
    def of(cls, folder: VideoFolder) -> "Counts":
        """Those of a folder that has been looked through and split."""
        counts = folder.counts()
        by_split = {split: {name: of_class[split] for name, of_class in counts.items()} for split in ("val", "test")}
        train = {name: of_class["train"] for name, of_class in counts.items()}
        return cls(train, **by_split, silent=sum(not video.has_audio for video in folder.readable))

    @property
    def total(self) -> int:
        """Readable videos of all splits."""
        return sum(sum(split.values()) for split in (self.train, self.val, self.test))

    @property
    def has_test(self) -> bool:
        """Whether the test has videos of its own."""
        return any(self.test.values())


def choose(
    cfg: Cfg, given: Sequence[str], counts: Counts, weights: bool, gpus: int, cores: int
) -> tuple[list[Choice], list[str]]:
    """Settings that suit some videos and a machine.

    Args:
        cfg: The configuration with the keys that a person has given.
        given: These keys, which stay as they are.
        counts: The videos.
        weights: Whether the training starts from a checkpoint.
        gpus: GPUs to use, 0 or 1.
        cores: Of the CPU.

    Returns:
        The settings, and what else there is to say, in words.
    """
    chosen = _Choices(cfg, given)
    train, val = sum(counts.train.values()), sum(counts.val.values())
    notes = _of_machine(chosen, gpus, cores)
    if counts.silent == counts.total and derived.is_audiovisual(cfg):
        chosen.add("MODEL.ARCH", "slowfast", "no video has sound")
    elif counts.silent:
        notes.append(f"{counted(counts.silent, 'video')} without sound: the audio pathway is masked for them")
    batch = int(cfg.TRAIN.BATCH_SIZE)
    fitting = max(min(batch, 2 ** int(math.log2(max(train // 2, 1)))), min(train, 2))
    if fitting < batch:
        batch = chosen.add("TRAIN.BATCH_SIZE", fitting, f"{counted(train, 'training video')}")
        chosen.add(
            "SOLVER.BASE_LR_FOR_BATCH", int(cfg.TRAIN.BATCH_SIZE), "the learning rates are for batches of that size"
        )
    steps = max(train // batch, 1)
    low, high = _EPOCHS
    epochs = chosen.add(
        "SOLVER.MAX_EPOCH",
        min(max(math.ceil(_STEPS / steps), low), high),
        f"{counted(steps, 'step')} per epoch",
    )
    chosen.add("SOLVER.WARMUP_EPOCHS", min(_WARMUP, epochs / 10), f"a tenth of the epochs, {_WARMUP:g} at most")
    every = max(epochs // _TIMES, 1)
    chosen.add("TRAIN.CHECKPOINT_PERIOD", every, "a run that is stopped resumes from the last of these epochs")
    if val >= _TO_CHOOSE_BY or counts.has_test:
        chosen.add("TRAIN.EVAL_PERIOD", every, f"{counted(val, 'validation video')} choose the best state")
        if not counts.has_test:
            notes.append(
                "the test looks at the videos that chose the best state, so its figures are slightly too good; "
                "--test 0.2 keeps others for it"
            )
    else:
        why = f"{counted(val, 'validation video')}, too few to choose a state by: the last one is taken"
        chosen.add("TRAIN.EVAL_PERIOD", epochs, why)
    precise = max(steps, _PRECISE)
    if precise < cfg.BN.NUM_BATCHES_PRECISE:
        chosen.add("BN.NUM_BATCHES_PRECISE", precise, "batches that repeat the same few videos tell nothing new")
    _of_classes(chosen, counts, weights)
    if not weights:
        notes.append(
            f"without --weights the network starts from random weights and learns from these {train} videos alone: it "
            "will learn what is simple and often the background; --weights SLOWFAST_8x8_R50 starts from a network that "
            "was trained on 240 thousand videos"
        )
    return chosen.made, notes


class _Choices:
    """Settings that are made as far as a person has not given them.

    Args:
        cfg: The configuration.
        given: Keys that stay.

    Attributes:
        made: The settings.
    """

    def __init__(self, cfg: Cfg, given: Sequence[str]) -> None:
        self.cfg, self.given, self.made = cfg, set(given), list[Choice]()

    def add(self, key: str, value: Any, why: str) -> Any:
        """Choose a value; gives it, or the one that a person has given."""
        if key in self.given:
            return value_of(self.cfg, key)
        self.made.append(Choice(key, value, why))
        return value


def _of_machine(chosen: _Choices, gpus: int, cores: int) -> list[str]:
    """Settings for a machine; gives what else there is to say."""
    cfg = chosen.cfg
    chosen.add("NUM_GPUS", gpus, "this machine has a GPU" if gpus else "this machine has no GPU")
    workers = min(max(cores, 1), _WORKERS)
    chosen.add("DATA_LOADER.NUM_WORKERS", workers, f"{counted(cores, 'core')}; each process reads videos")
    if gpus:
        return []
    if cfg.TRAIN.MIXED_PRECISION:
        chosen.add("TRAIN.MIXED_PRECISION", False, "it is for GPUs")
    if cfg.TEST.NUM_ENSEMBLE_VIEWS * cfg.TEST.NUM_SPATIAL_CROPS > _CPU_VIEWS:
        chosen.add("TEST.NUM_ENSEMBLE_VIEWS", _CPU_VIEWS, "clips per video in the test; fewer, for a CPU")
        chosen.add("TEST.NUM_SPATIAL_CROPS", 1, "crops per clip in the test; fewer, for a CPU")
    if cfg.RESNET.DEPTH >= 50 and cfg.RESNET.WIDTH_PER_GROUP >= 64:
        return [
            "a network of full size takes seconds per clip and step on a CPU; "
            "--cfg OwnVideos/AVSLOWFAST_TINY is a small one, without released weights"
        ]
    return []


def _of_classes(chosen: _Choices, counts: Counts, weights: bool) -> None:
    """Settings for the numbers of videos of the classes."""
    numbers = [count for count in counts.train.values() if count]
    fewest, most, mean = min(numbers), max(numbers), sum(numbers) / len(numbers)
    visual = [name for name in derived.pathways(chosen.cfg) if name != "audio"]
    if weights and visual and mean < _TO_TRAIN_ALL:
        why = f"{mean:.0f} training videos per class: the visual pathways keep the weights that are loaded"
        chosen.add("FINETUNE.FREEZE", visual, why)
    # From random weights a network learns less from balanced epochs: they visit fewer different videos.
    if weights and most > _UNEVEN * fewest:
        why = f"classes have {fewest} to {counted(most, 'training video')}: an epoch visits all equally often"
        chosen.add("DATA.BALANCE", "sampling", why)
