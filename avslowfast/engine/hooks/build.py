"""From configuration and trainer to hooks."""

from ...checkpoint import states
from ...checkpoint.mirror import Mirror
from ...checkpoint.record import Retention
from ...config import derived
from ...config.derived import Cfg
from ...evaluation.build import best_metric
from ...loading import ClipDataset
from ...models.build import input_shapes
from ...models.complexity import count_gflops
from ...models.norm import set_parts
from ...utils import distributed
from ...utils.accelerators import peak_flops_of
from ...utils.logging import get_logger
from ..copies import keeps_copy, write_copy
from ..evaluation import failure_policy, Validation
from ..precise_bn import precise_bn
from ..run_folder import RunFolder
from ..state import TrainState
from ..trainer import precision, Trainer
from .base import Hook
from .checkpoint import CheckpointHook
from .evaluation import EvalHook
from .failures import FailuresHook
from .finite_loss import FiniteLossHook
from .loggers import build_loggers, LoggersHook
from .logging import LogHook
from .precise_bn import PreciseBNHook
from .progress import ProgressHook

logger = get_logger(__name__)


def build_hooks(
    cfg: Cfg, trainer: Trainer, folder: RunFolder, validation: ClipDataset, mirror: Mirror | None = None
) -> list[Hook]:
    """The hooks of a training, in the order in which they act.

    Args:
        cfg: The configuration.
        trainer: Whose steps they follow.
        folder: Of the run.
        validation: The validation videos.
        mirror: Copies what is saved.
    """
    finite = FiniteLossHook(1 if trainer.device.type == "cpu" else cfg.LOG_PERIOD)
    progress = ProgressHook()
    items = build_loggers(cfg, folder.record.id, trainer.state, validation.class_names)
    loggers = LoggersHook(items, trainer.model)
    evaluate = Validation(cfg, trainer, validation)
    copies = keeps_copy(cfg)
    metric = best_metric(cfg)
    milestones = cfg.TRAIN.CHECKPOINT_KEEP_EVERY
    retention = Retention(cfg.TRAIN.CHECKPOINT_KEEP, cfg.TRAIN.CHECKPOINT_KEEP_BEST, milestones, metric)

    def recompute_statistics(epoch: int) -> None:
        # Whatever is trained, the configured shape is validated.
        trainer.sampler.set_epoch(epoch, full=True)
        full = trainer.schedule.recipe.full
        set_parts(trainer.eval_model, derived.norm_parts(cfg, full, distributed.world_size()))
        batches = (trainer.task.inputs(batch) for batch in trainer.votes.batches(trainer.loader))
        count = min(cfg.BN.NUM_BATCHES_PRECISE, len(trainer.loader))
        precise_bn(trainer.eval_model.train(), trainer.task, batches, count)

    def save(state: TrainState) -> str:
        # A state whose last losses have not been read yet may hold weights that are not finite.
        finite.check()
        path = save_state(trainer, folder, retention, copies)
        if mirror is not None:
            mirror.want()
        return path

    return [
        finite,
        FailuresHook(
            failure_policy(cfg, cfg.OUTPUT_DIR),
            trainer.dataset.records.paths.count_distinct(),
            lambda steps: trainer.sampler.videos(steps * trainer.accumulate),
            cfg.LOG_PERIOD,
        ),
        progress,
        LogHook(
            cfg.LOG_PERIOD,
            trainer.steps_to_come,
            trainer.device,
            (loggers.write_step, progress.show),
            own_seconds=trainer.take_own_seconds,
            least_seconds=least_step_seconds(cfg, trainer),
        ),
        loggers,
        *([PreciseBNHook(recompute_statistics)] if cfg.BN.USE_PRECISE_STATS else []),
        EvalHook(trainer.schedule.is_evaluated, evaluate, metric, (loggers.write_evaluation, evaluate.judge)),
        CheckpointHook(
            save,
            trainer.votes.clock,
            periods=[cfg.TRAIN.CHECKPOINT_PERIOD, *([milestones] if milestones else [])],
            seconds=cfg.TRAIN.CHECKPOINT_SECONDS,
        ),
    ]


def least_step_seconds(cfg: Cfg, trainer: Trainer) -> float | None:
    """Seconds of a step at the peak of the accelerator; None for one whose peak is unknown, and where nothing counts.

    A backward pass has twice the multiply-adds of the forward pass, which are counted with all pathways; the optimiser,
    and what the loss needs besides the network, are not counted. As elsewhere, nothing is counted for boxes.

    Args:
        cfg: The configuration.
        trainer: Of this rank.
    """
    facts = derived.task_facts(cfg)
    peak = peak_flops_of(trainer.device, precision(cfg, trainer.device))
    if peak is None or facts.boxes or not facts.classifier:
        return None
    clips = derived.train_clips_per_step(cfg) / distributed.world_size()
    gflops = count_gflops(trainer.model, input_shapes(cfg, cfg.DATA.TRAIN_CROP_SIZE))
    # Two operations per multiply-add, three times.
    return 6e9 * gflops * clips / peak


def save_state(trainer: Trainer, folder: RunFolder, retention: Retention, keeps_copy: bool = False) -> str:
    """Save the state of a training, on every rank together: all give their part, the main one writes.

    Other machines that do not see its folder write a copy; one that cannot is named, and training continues.

    Args:
        trainer: Whose state.
        folder: Of the run.
        retention: Which states stay.
        keeps_copy: This rank writes a copy (`copies.keeps_copy`).

    Returns:
        The file.

    Raises:
        StateNotSavedError: It cannot be written; on every rank.
    """
    content, state = trainer.state_dict(), trainer.state
    path, problem = "", None
    if distributed.is_main():
        try:
            path = folder.save(content, state, retention)
            logger.info("saved %s%s", path, ", the best so far" if state.improved else "")
        except states.StateNotSavedError as error:
            problem = str(error)
    path, problem, record = distributed.broadcast_object((path, problem, folder.record))
    if problem is not None:
        best = record.best
        if state.improved:
            # What is not on disk is not the best.
            state.best, state.best_epoch = (None, None) if best is None else (best.value, best.epoch)
        raise states.StateNotSavedError(problem)
    own_folder = trainer.cfg.OUTPUT_DIR
    copied = write_copy(own_folder, content, record, state.improved) if keeps_copy else None
    for line in filter(None, distributed.gather_objects(copied)):
        logger.warning("no copy of the newest state on %s", line)
    return path
