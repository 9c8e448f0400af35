"""Train and test as a configuration says."""

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ..checkpoint.mirror import Mirror, mirrored
from ..config import derived
from ..config.derived import Cfg
from ..evaluation.build import build_protocol
from ..evaluation.failures import NothingReadError, write_failed_files
from ..evaluation.places import folder_of_results, say_replaced
from ..evaluation.results import describe, log_parameters, nothing_read, outcome, save_config, write_results
from ..loading import build_loader
from ..models import build_model
from ..tasks.build import build_task
from ..utils import distributed
from ..utils.errors import StopRequested
from ..utils.logging import get_logger, setup_logging
from ..utils.memory import keep_freed_memory
from ..utils.signals import STOPPED
from ..utils.text import counted
from .copies import bring_newest
from .evaluation import evaluate_as_configured, failure_policy
from .hooks.build import build_hooks
from .preflight import build_datasets, check_lists, check_test_weights, log_disk, log_lists, try_batches
from .probe import probe
from .resume import check_ranks_agree, resume
from .run_folder import bring_back, facts_of_start, lock_folder, RunData, RunFolder
from .stop import StopRequest
from .trainer import autocast_context, place_model, Trainer
from .votes import Votes
from .weights import load_for_test

logger = get_logger(__name__)


def run(cfg: Cfg, device: torch.device, stop: StopRequest) -> int:
    """Train (TRAIN.ENABLE), then test (TEST.ENABLE); a task that trains no network is a probe.

    Args:
        cfg: The configuration.
        device: Of this rank.
        stop: Whether this rank is asked to stop.

    Returns:
        The exit code.

    Raises:
        FolderInUseError: Another training uses OUTPUT_DIR.
        StopRequested: There was nothing to save.
    """
    set_up(cfg, device)
    votes = Votes(stop)
    if not derived.task_facts(cfg).trains:
        folder = folder_of_results(cfg, "probe")
        setup_logging(folder)
        return _unless_stopped(lambda: probe(cfg, device, votes, folder), stop, "probe")
    with contextlib.ExitStack() as held:
        mirror = None
        if cfg.TRAIN.ENABLE:
            held.enter_context(lock_folder(cfg.OUTPUT_DIR, cfg.DIST.TIMEOUT))
            url = cfg.TRAIN.MIRROR if distributed.is_main() else ""
            mirror = held.enter_context(mirrored(url, cfg.OUTPUT_DIR, cfg.TRAIN.MIRROR_WAIT))
        if cfg.TRAIN.ENABLE and not train(cfg, device, votes, mirror):
            logger.info("stopped by %s; the state is saved: the same command resumes from it", stop.name)
            return STOPPED
        return _unless_stopped(lambda: test(cfg, device, votes), stop, "test") if cfg.TEST.ENABLE else 0


def _unless_stopped(function: Callable[[], object], stop: StopRequest, name: str) -> int:
    """Call a function that keeps nothing of what it has done when all ranks stop; gives the exit code."""
    try:
        function()
    except StopRequested as request:
        place = f" {request}" if str(request) else ""
        logger.info("stopped by %s in the %s%s: the same command starts it again", stop.name, name, place)
        return STOPPED
    return 0


def set_up(cfg: Cfg, device: torch.device) -> None:
    """Settings of the whole process that make a device fast."""
    if device.type == "cpu":
        keep_freed_memory()
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = cfg.AMP.TF32
    # cuDNN searches for the fastest algorithm once per shape. Key frames are tested at their full size, so there the
    # shapes never repeat and the search would never end.
    torch.backends.cudnn.benchmark = not derived.task_facts(cfg).boxes


def train(cfg: Cfg, device: torch.device, votes: Votes, mirror: Mirror | None = None) -> bool:
    """Train to the end (True) or until a signal (False).

    Args:
        cfg: The configuration.
        device: Of this rank.
        votes: Whether to continue.
        mirror: Copies what is saved; of the main rank.

    Raises:
        ConfigError: The folder or the mirror holds another run, or the lists have mistakes.
    """
    datasets = build_datasets(cfg)
    data = RunData.of(datasets)
    bring_newest(cfg)
    bring_back(cfg, data)
    plan = RunFolder.plan(cfg, data)
    # An old run is moved away only when everything else has been tried.
    replaces = plan.replaced is not None
    setup_logging(None if replaces else cfg.OUTPUT_DIR)
    check_lists(cfg, datasets)
    check_test_weights(cfg, datasets)
    trainer = Trainer(cfg, device, datasets["train"], votes)
    distributed.on_main(lambda: log_disk(cfg, trainer))
    if replaces:
        trainer.load_start_weights()
    folder = RunFolder.open(cfg, data, plan, device)
    if replaces:
        setup_logging(cfg.OUTPUT_DIR)
    if distributed.is_main():
        save_config(cfg, cfg.OUTPUT_DIR)
        log_start(folder.record.starts[-1], f"run {folder.record.id}, start {len(folder.record.starts)}")
        log_missing_machines(cfg, trainer.accumulate)
        log_scaled_lr(cfg)
    trainer.identity = {"run_id": folder.record.id, "data": folder.record.data}
    if not resume(trainer, folder) and not replaces:
        trainer.load_start_weights()
    if mirror is not None:
        mirror.want()
    check_ranks_agree(trainer, folder.record.id, data)
    trainer.hooks = build_hooks(cfg, trainer, folder, datasets["val"], mirror)
    log_parameters(cfg, trainer.model, trains=True)
    describe(cfg, trainer.model)
    try_batches(trainer, datasets)
    with votes.stop.deferred():
        trainer.train()
    return not trainer.state.stop


def log_start(start: Mapping[str, Any], what: str) -> None:
    """The head of the log: what runs, where, on what.

    Args:
        start: From `run_folder.facts_of_start`.
        what: Which run.
    """
    program, *words = start["command"]
    program = "python -m avslowfast" if os.path.basename(program) == "__main__.py" else program
    logger.info("%s: %s", what, " ".join([program, *words]))
    versions = ", ".join(f"{name} {version}" for name, version in start["versions"].items())
    commit = f", commit {start['git_commit']}" if start["git_commit"] else ""
    logger.info("%s%s; %s, %s", versions, commit, start["device"], counted(start["ranks"], "rank"))


def log_missing_machines(cfg: Cfg, passes: int) -> None:
    """Say what a step does where fewer machines than NUM_SHARDS take part.

    Args:
        cfg: The configuration.
        passes: Of one rank per step.
    """
    machines, clips = derived.machines(cfg, distributed.world_size()), derived.train_clips_per_step(cfg)
    if passes != cfg.TRAIN.ACCUMULATION_STEPS:
        logger.info(
            "%s, fewer than NUM_SHARDS: a step keeps its %d clips, in %d passes of each rank",
            counted(machines, "machine"),
            clips,
            passes,
        )


def log_scaled_lr(cfg: Cfg) -> None:
    """Say by which factor the learning rates are scaled for the clips of a step.

    Args:
        cfg: The configuration.
    """
    meant, clips = cfg.SOLVER.BASE_LR_FOR_BATCH, derived.train_clips_per_step(cfg)
    if meant and meant != clips:
        scaled = cfg.SOLVER.BASE_LR * derived.lr_scale(cfg)
        logger.info(
            "learning rate: SOLVER.BASE_LR %g is for %d clips, a step has %d: %g",
            cfg.SOLVER.BASE_LR,
            meant,
            clips,
            scaled,
        )


def test(cfg: Cfg, device: torch.device, votes: Votes) -> dict[str, Any]:
    """Test with NUM_ENSEMBLE_VIEWS x NUM_SPATIAL_CROPS views; writes results.json and the scores.

    Args:
        cfg: The configuration.
        device: Of this rank.
        votes: Whether to continue.

    Returns:
        The results, as they are written.

    Raises:
        TooManyFailuresError: More files failed than may; the results are written.
        NotFiniteScoresError: Scores are NaN or infinite; the results are written.
    """
    folder = folder_of_results(cfg, "test")
    if folder != cfg.OUTPUT_DIR or not cfg.TRAIN.ENABLE:
        setup_logging(folder)
        if distributed.is_main():
            say_replaced(cfg, folder)
            save_config(cfg, folder)
            log_start(facts_of_start(device), "test")
    model = build_model(cfg)
    task = build_task(cfg, device)
    loader = build_loader(cfg, "test", videos_of=cfg.TEST.SPLIT)
    if not cfg.TRAIN.ENABLE:
        distributed.on_main(lambda: log_lists(cfg, {"test": loader.dataset}))
    path, names = load_for_test(cfg, model, task.required_weights(model), loader.dataset.class_names)
    model = place_model(cfg, model, device).eval()
    if not cfg.TRAIN.ENABLE:
        log_parameters(cfg, model, trains=False)
    info = describe(cfg, model)
    names = loader.dataset.class_names or names
    name = derived.tested_dataset(cfg)
    protocol = build_protocol(cfg, loader.dataset, name)
    facts = {"arch": cfg.MODEL.ARCH, "checkpoint": path, "dataset": name, **tested(cfg), **info}
    # What has been computed is written to the end.
    with votes.stop.deferred():
        try:
            result = evaluate_as_configured(
                cfg,
                model,
                loader,
                task,
                protocol,
                autocast=autocast_context(cfg, device)[0],
                votes=votes,
                ensemble=cfg.DATA.ENSEMBLE_METHOD,
            )
        except NothingReadError as error:
            if distributed.is_main():
                write_results(folder, {**facts, **nothing_read(error)}, ())
                write_failed_files(folder, "test", error.failed)
            raise
        results = {**facts, **outcome(result), **protocol.results(result, names)}
        if distributed.is_main():
            write_results(folder, results, protocol.metrics)
            write_failed_files(folder, "test", result.failed)
            protocol.write(result, folder, names)
            if not result.metrics and derived.task_facts(cfg).labels:
                logger.warning("not all videos have a label, so there are no metrics; the scores are in %s", folder)
        distributed.barrier()
        # Judged last: whatever failed, the results are there.
        failure_policy(cfg, folder).check_evaluation(result, "test")
    return results


def tested(cfg: Cfg) -> dict[str, Any]:
    """What results.json says of the videos that were tested and of their views.

    Args:
        cfg: The configuration.
    """
    clips, crops = derived.tested_views(cfg)
    return {
        "split": cfg.TEST.SPLIT,
        **({"list": cfg.TEST.LIST} if cfg.TEST.LIST else {}),
        "temporal_views": clips,
        "spatial_crops": crops,
    }
