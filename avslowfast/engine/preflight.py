"""Before the first step: every split that a run will use is opened and tried, not only when its turn comes."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..config import ConfigError, derived
from ..config.derived import Cfg
from ..loading import build_dataset, ClipDataset
from ..loading.build import collation
from ..loading.samplers import SampleKey
from ..loading.survey import survey
from ..media import DecodeError
from ..media.storage import absence
from ..models import build_model
from ..models.network import Network
from ..models.norm import set_parts
from ..tasks.base import Task
from ..tasks.build import build_task
from ..utils import distributed, seeding
from ..utils.logging import get_logger, setup_logging
from .run_folder import RunData, RunFolder
from .stop import StopRequest
from .trainer import place_model, Trainer
from .weights import load_for_test

logger = get_logger(__name__)

# Files of a list that are looked for, and those of them that are decoded; spread evenly.
_LOOKED_FOR = 200
_DECODED = 3


def build_datasets(cfg: Cfg) -> dict[str, ClipDataset]:
    """{split: its videos} of the splits that a run uses: train and val to train, test for what is tested.

    Raises:
        ConfigError: A label file is missing or has a mistake, or a label does not fit the network.
    """
    trained = ("train", "val") if cfg.TRAIN.ENABLE else ()
    datasets = {split: build_dataset(cfg, split) for split in trained}
    return {**datasets, "test": build_dataset(cfg, "test", cfg.TEST.SPLIT)} if cfg.TEST.ENABLE else datasets


def check_lists(cfg: Cfg, datasets: Mapping[str, ClipDataset]) -> None:
    """Look through the lists of a run and try a sample of their files. Called on every rank; the main one does it.

    Args:
        cfg: The configuration.
        datasets: {split: its videos}.

    Raises:
        ConfigError: Most of the sample is missing or cannot be decoded.
    """

    def check() -> None:
        tried = log_lists(cfg, datasets, decode=True)
        for split, dataset in datasets.items():
            _judge_files(split, dataset, tried[split])

    distributed.on_main(check)


@dataclass(frozen=True)
class FilesTried:
    """What became of a sample of a list's files.

    Attributes:
        looked_for: Files that were looked for.
        missing: {number of the record: reason} of those that do not exist.
        tried: Files that were decoded.
        problems: Why some of these could not be.
        with_audio: Of those that could, those with audio; None for a network that does not listen.
    """

    looked_for: int
    missing: dict[int, str]
    tried: int
    problems: list[str]
    with_audio: int | None


def log_lists(cfg: Cfg, datasets: Mapping[str, ClipDataset], decode: bool = False) -> dict[str, FilesTried]:
    """Write what lists hold into the log: a row per split, and what a person may not have meant. Main rank alone.

    Args:
        cfg: The configuration.
        datasets: {split: its videos}.
        decode: Decode some of the files as well.

    Returns:
        {split: what became of a sample of its files}.
    """
    classes = derived.head_classes(cfg) if derived.task_facts(cfg).labels else {}
    found = survey({split: dataset.listing for split, dataset in datasets.items()}, classes)
    tried = {split: _try_files(dataset, decode) for split, dataset in datasets.items()}
    more = {
        "missing": {split: f"{len(files.missing)} of {files.looked_for} looked for" for split, files in tried.items()}
    }
    audio = {
        split: f"{files.with_audio} of {files.tried - len(files.problems)} tried"
        for split, files in tried.items()
        if files.with_audio is not None
    }
    if decode and audio:
        more["with audio"] = audio
    logger.info("lists\n%s", "\n".join(f"  {line}" for line in found.lines(more)))
    return tried


def check_test_weights(cfg: Cfg, datasets: Mapping[str, ClipDataset]) -> None:
    """Load what TEST.CHECKPOINT_FILE_PATH names into a network that is thrown away. Called on every rank.

    Args:
        cfg: The configuration.
        datasets: {split: its videos}.

    Raises:
        ConfigError: The file was trained for other inputs or classes.
        CheckpointError: It cannot be read, or does not fit.
    """
    if cfg.TEST.ENABLE and cfg.TEST.CHECKPOINT_FILE_PATH:
        model = build_model(cfg)
        task = build_task(cfg, torch.device("cpu"))
        load_for_test(cfg, model, task.required_weights(model), datasets["test"].class_names)


def _try_files(dataset: ClipDataset, decode: bool) -> FilesTried:
    records = dataset.records
    # Segments and key frames of one file: the first of them stands for it.
    of_file = {records[index].path: index for index in reversed(_spread(len(records), _LOOKED_FOR))}
    indices = sorted(of_file.values())
    missing = {index: reason for index in indices if (reason := absence(records[index].path)) is not None}
    present = [index for index in indices if index not in missing]
    tried = [present[i] for i in _spread(len(present), _DECODED)] if decode else []
    found = [_decoded(dataset, index) for index in tried]
    problems = [reason for reason, _ in found if reason]
    heard = [audio for reason, audio in found if not reason and audio is not None]
    return FilesTried(len(indices), missing, len(tried), problems, sum(heard) if heard else None)


def _judge_files(split: str, dataset: ClipDataset, files: FilesTried) -> None:
    if files.missing:
        index, reason = next(iter(files.missing.items()))
        first = dataset.records[index]
        place = (f" ({first.where})" if first.where else "") + (f": {reason}" if reason else "")
        words = (
            f"{split}: {len(files.missing)} of {files.looked_for} files that were looked for do not exist; the first: "
            f"{first.path}{place}; are DATA.PATH_PREFIX and the list right?"
        )
        if 2 * len(files.missing) > files.looked_for:
            raise ConfigError(words)
        logger.warning("%s", words)
    reasons = files.problems
    if reasons and 2 * len(reasons) > files.tried:
        raise ConfigError(
            f"{split}: {len(reasons)} of {files.tried} files that were tried cannot be read; the first: {reasons[0]}"
        )
    for reason in reasons:
        logger.warning("%s: a file that was tried cannot be read: %s", split, reason)


def _spread(total: int, count: int) -> list[int]:
    """At most `count` of the numbers below `total`, spread evenly."""
    count = min(total, count)
    return [i * total // count for i in range(count)]


def _decoded(dataset: ClipDataset, index: int) -> tuple[str | None, bool | None]:
    """(why a file cannot be read or None, whether its clip has audio or None for a network that does not listen)."""
    if dataset.split != "train":
        sample: dict[str, Any] = dataset.evaluation_sample(index)
        problem = f"{dataset.records[index].path}: {sample['failure']}" if "failure" in sample else None
        return problem, _has_audio(sample)
    try:
        samples = dataset.training_samples(SampleKey(index, 0, index))
    except DecodeError as error:
        return str(error), None
    failures = samples[0]["failures"]
    return "{}: {}".format(*failures[0]) if failures else None, _has_audio(samples[0])


def _has_audio(sample: Mapping[str, Any]) -> bool | None:
    mask = sample.get("audio_mask")
    return None if mask is None else bool(mask.any())


def try_batches(trainer: Trainer, datasets: Mapping[str, ClipDataset]) -> None:
    """Pass a batch of each split through the network; weights, statistics and random numbers stay as they are.

    What cannot go through (shapes, labels, memory of the device) shows before the first step. Called on every rank.

    Args:
        trainer: Whose network.
        datasets: {split: its videos}.
    """
    model, task = trainer.model, trainer.task
    random_state = seeding.rng_state()
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad(), trainer.autocast():
        if not trainer.state.finished:
            drop_audio = False if model.drop_pathway is not None else None
            for batch in _training_batches(trainer):
                task.losses(model.train(), batch, drop_audio, trainer.state.global_iteration)
        model.eval()
        for split, dataset in datasets.items():
            if split != "train":
                _try_scores(trainer.cfg, model, task, dataset)
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    model.train()
    seeding.set_rng_state(random_state)


def _try_scores(cfg: Cfg, model: Network, task: Task[Any], dataset: ClipDataset) -> None:
    batch = _evaluation_batch(dataset)
    if batch is not None:
        task.scores(model, batch, derived.test_clips_per_pass(cfg, distributed.world_size()))


def _training_batches(trainer: Trainer) -> Iterator[dict[str, Any]]:
    """A few clips in each shape of the training, for which the network is set up."""
    cfg, schedule, seen = trainer.cfg, trainer.schedule, set()
    for phase in schedule.phases:
        parts = derived.norm_parts(cfg, phase.shape, distributed.world_size())
        set_parts(trainer.model, parts)
        splits = cfg.BN.NUM_SPLITS if cfg.BN.NORM_TYPE == "sub_batchnorm" else 1
        # Two clips, so that each has another one's audio as its negative.
        count = 2 * (parts.splits if cfg.MULTIGRID.LONG_CYCLE else splits)
        for shape in (shape for shape in phase.cycle if shape not in seen):
            seen.add(shape)
            asked = shape if schedule.is_multigrid else None
            videos = [i % len(trainer.dataset) for i in range(count)]
            yield trainer.loader.collate([trainer.dataset[SampleKey(i, 0, i, asked)] for i in videos])


def _evaluation_batch(dataset: ClipDataset) -> dict[str, Any] | None:
    """The first video of a split that can be read, as a batch; None if none of the first few can."""
    for index in _spread(len(dataset), _DECODED):
        batch = collation(dataset)([dataset[index]])
        if len(batch["clip_index"]):
            return batch
    return None


def log_disk(cfg: Cfg, trainer: Trainer) -> None:
    """Compare the size of the run's checkpoints with the room that is left.

    Args:
        cfg: The configuration.
        trainer: Whose states are saved.

    Raises:
        ConfigError: Not even one state fits.
    """
    size = _state_bytes(trainer)
    # The best one, and the one that is being written.
    needed = (_states_kept(cfg, trainer) + 2) * size
    free = shutil.disk_usage(cfg.OUTPUT_DIR).free
    text = (
        f"checkpoints: {_in_words(size)} each, {_in_words(needed)} in all; {_in_words(free)} free in {cfg.OUTPUT_DIR}"
    )
    if free < size:
        raise ConfigError(f"OUTPUT_DIR is {cfg.OUTPUT_DIR!r}: {text}; make room or choose another folder")
    (logger.warning if free < needed else logger.info)("%s", text)


def _states_kept(cfg: Cfg, trainer: Trainer) -> int:
    """States of which a run keeps the files at its end, at most; those in the middle of an epoch are the newest."""
    keys, last = cfg.TRAIN, trainer.state.max_epoch
    epochs = range(1, last + 1)
    forever = {epoch for epoch in epochs if keys.CHECKPOINT_KEEP_EVERY and not epoch % keys.CHECKPOINT_KEEP_EVERY}
    evaluated = set(filter(trainer.schedule.is_evaluated, epochs))
    saved = {epoch for epoch in epochs if not epoch % keys.CHECKPOINT_PERIOD} | forever | evaluated | {last}
    # The best of the best ones has the name checkpoint_best.pyth as well, and takes its room once.
    best = min(keys.CHECKPOINT_KEEP_BEST, len(evaluated)) - 1
    return min(keys.CHECKPOINT_KEEP + best + len(forever), len(saved)) if keys.CHECKPOINT_KEEP else len(saved)


def _in_words(size: float) -> str:
    return f"{size / 2**30:.1f} GB" if size >= 2**30 else f"{size / 2**20:.1f} MB"


def _state_bytes(trainer: Trainer) -> int:
    weights = sum(t.numel() * t.element_size() for t in trainer.model.state_dict().values())
    trained = sum(p.numel() * p.element_size() for p in trainer.model.parameters() if p.requires_grad)
    moments = 1 if isinstance(trainer.optimizer, torch.optim.SGD) else 2
    return weights * (1 if trainer.ema is None else 2) + moments * trained


def _try_steps(trainer: Trainer) -> None:
    """One step in each shape of the training, with a whole batch: one step where there is no multigrid."""
    begin, seen = 0, set()
    for phase in trainer.schedule.phases:
        if phase.shape not in seen:
            seen.add(phase.shape)
            trainer.state.epoch = begin
            trainer.begin_shape()
            trainer.sampler.set_epoch(begin)
            batches = iter(trainer.loader)
            for shape in phase.cycle[: trainer.state.iters_per_epoch]:
                losses = trainer.run_step([next(batches) for _ in range(trainer.accumulate)])
                words = f" at {shape.text}" if trainer.schedule.is_multigrid else ""
                parts = ", ".join(f"{name} {float(value):.4f}" for name, value in losses.items())
                logger.info("one step%s: %s", words, parts)
        begin = phase.end


def check(cfg: Cfg, device: torch.device, stop: StopRequest) -> int:
    """Do everything that a run does before its first step, one step and one batch of each split; write nothing.

    In multigrid training there is a step in each shape.

    Args:
        cfg: The configuration.
        device: Of this rank.
        stop: Ends it anywhere, since nothing is written.

    Returns:
        The exit code.

    Raises:
        UserError: What would end the run.
    """
    setup_logging()
    datasets = build_datasets(cfg)
    check_lists(cfg, datasets)
    check_test_weights(cfg, datasets)
    if cfg.TRAIN.ENABLE and derived.task_facts(cfg).trains:
        logger.info("%s", RunFolder.plan(cfg, RunData.of(datasets)).says)
        trainer = Trainer(cfg, device, datasets["train"])
        trainer.load_start_weights()
        distributed.on_main(lambda: log_disk(cfg, trainer))
        try_batches(trainer, datasets)
        trainer.wrap()
        trainer.model.train()
        _try_steps(trainer)
    elif "test" in datasets:
        model = place_model(cfg, build_model(cfg), device).eval()
        with torch.no_grad():
            _try_scores(cfg, model, build_task(cfg, device), datasets["test"])
    logger.info("checked: the run can start")
    return 0
