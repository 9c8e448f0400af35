"""From configuration and trainer to hooks."""

import shutil

from ...checkpoint import states
from ...config import derived
from ...config.derived import Cfg
from ...evaluation.build import best_metric
from ...utils import distributed
from ...utils.files import replacing
from ...utils.logging import get_logger
from ..evaluation import Validation
from ..precise_bn import precise_bn
from ..state import TrainState
from ..trainer import Trainer
from .base import Hook
from .checkpoint import CheckpointHook
from .evaluation import EvalHook
from .failures import FailuresHook
from .finite_loss import FiniteLossHook
from .loggers import build_loggers, LoggersHook
from .logging import LogHook
from .precise_bn import PreciseBNHook
from .progress import ProgressHook
from .signals import StopSignalHook

logger = get_logger(__name__)


def build_hooks(cfg: Cfg, trainer: Trainer) -> list[Hook]:
    """The hooks of a training, in the order in which they act."""
    finite = FiniteLossHook(1 if trainer.device.type == "cpu" else cfg.LOG_PERIOD)
    progress, signals = ProgressHook(), StopSignalHook()
    loggers = LoggersHook(build_loggers(cfg), trainer.model)

    def recompute_statistics(epoch: int) -> None:
        trainer.sampler.set_epoch(epoch)
        batches = (trainer.task.inputs(batch) for batch in trainer.loader)
        count = min(cfg.BN.NUM_BATCHES_PRECISE, len(trainer.loader))
        precise_bn(trainer.eval_model.train(), trainer.task, batches, count)

    def save(state: TrainState) -> str:
        # A state whose last losses have not been read yet may hold weights that are not finite.
        finite.check()
        return save_state(trainer, cfg.OUTPUT_DIR, cfg.TRAIN.CHECKPOINT_KEEP)

    period = cfg.TRAIN.EVAL_PERIOD
    return [
        finite,
        FailuresHook(len(trainer.dataset), cfg.DATA.MAX_FAILED_FRACTION),
        progress,
        LogHook(cfg.LOG_PERIOD, derived.train_clips_per_step(cfg), trainer.device, (loggers.write_step, progress.show)),
        loggers,
        *([PreciseBNHook(period, recompute_statistics)] if cfg.BN.USE_PRECISE_STATS else []),
        EvalHook(period, Validation(cfg, trainer), best_metric(cfg), (loggers.write_evaluation,)),
        CheckpointHook(
            save,
            lambda path: copy_to_best(path, cfg.OUTPUT_DIR),
            signals.requested,
            epochs=cfg.TRAIN.CHECKPOINT_PERIOD,
            seconds=cfg.TRAIN.CHECKPOINT_SECONDS,
            vote_period=cfg.LOG_PERIOD,
        ),
        signals,
    ]


def save_state(trainer: Trainer, output_dir: str, keep: int) -> str:
    """Save the state of a training, on every rank together: all give their part, the main one writes.

    Args:
        trainer: Whose state.
        output_dir: Folder of the run.
        keep: States that stay; 0 keeps all.

    Returns:
        The file.
    """
    content = trainer.state_dict()
    path = str(states.checkpoint_path(output_dir, trainer.state.epoch, trainer.state.iteration))
    if distributed.is_main():
        states.save(content, path)
        states.prune(output_dir, keep)
        logger.info("saved %s", path)
    distributed.barrier()
    return path


def copy_to_best(path: str, output_dir: str) -> None:
    """Keep a saved state as the best one of its run.

    Args:
        path: Its file.
        output_dir: Folder of the run.
    """
    with replacing(states.best_path(output_dir)) as part:
        shutil.copyfile(path, part)
