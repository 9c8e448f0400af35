"""Going on with a run: which of its states, the same on every rank, and what of it holds under another recipe."""

import zlib

import torch
from torch import nn

from ..checkpoint import CheckpointError, states
from ..config import ConfigError
from ..utils import distributed
from ..utils.errors import UserError
from ..utils.logging import get_logger
from .run_folder import RunData, RunFolder
from .sharing import on_every_rank
from .trainer import Trainer

logger = get_logger(__name__)


class RanksDifferError(UserError, RuntimeError):
    """Ranks would train from different states; the message names them."""

    may_pass = True


def resume(trainer: Trainer, folder: RunFolder) -> bool:
    """Resume from the newest state of the run that is whole. Called on every rank.

    Args:
        trainer: Gets the state.
        folder: Of the run.

    Returns:
        False where there is no state to resume from.

    Raises:
        RanksDifferError: A rank has got another state than the main one.
    """
    chosen = on_every_rank(lambda: _newest(trainer, folder), states.read_state)
    if chosen is None:
        return False
    path, content = chosen
    for difference in folder.recipe:
        logger.info("the recipe has changed: %s: %r -> %r", difference.key, difference.old, difference.new)
    if trainer.cfg.TRAIN.CHECKPOINT_FILE_PATH:
        logger.info("TRAIN.CHECKPOINT_FILE_PATH is not used: the run resumes from its own state")
    for note in trainer.load_state_dict(content):
        logger.warning("%s", note)
    folder.repair_best(path, (content["epoch"], content["iteration"]), trainer.state)
    _say_where(trainer, path)
    return True


def _newest(trainer: Trainer, folder: RunFolder) -> tuple[str, states.State] | None:
    """(file, content) of the newest state of the run, or of its best one where no other is left; None for a new run.

    Raises:
        ConfigError: None of the states that are there can be used.
    """
    reasons = []
    for path in folder.candidates():
        try:
            content = states.read_state(path)
            problem = trainer.mismatch(content)
            if content["run_id"] != folder.record.id:
                problem = f"it belongs to the run {content['run_id']}"
            if problem is None:
                return path, content
            reasons.append(f"{path}: not a state of this run ({problem})")
        except CheckpointError as error:
            reasons.append(str(error))
        logger.warning("skipped, it cannot be used: %s", reasons[-1])
    if reasons:
        raise ConfigError(
            f"OUTPUT_DIR is {folder.output_dir!r}: none of the {len(reasons)} states of the run {folder.record.id} can "
            f"be used; the newest: {reasons[0]}; choose another OUTPUT_DIR, or start a new run with "
            "TRAIN.AUTO_RESUME False TRAIN.REPLACE True"
        )
    return None


def check_ranks_agree(trainer: Trainer, run_id: str, data: RunData) -> None:
    """Compare run, lists, progress and weights of all ranks. Called on every rank.

    Args:
        trainer: Of this rank.
        run_id: Of the run.
        data: What this rank learns from.

    Raises:
        RanksDifferError: They differ; names the ranks that differ from the main one.
    """
    if not distributed.is_distributed():
        return
    state = trainer.state
    others = [rank for rank, seen in enumerate(distributed.gather_objects(data)) if seen != data]
    # Every rank compares with itself, so that all know when one differs.
    others = sorted({rank for found in distributed.gather_objects(others) for rank in found})
    if others:
        raise RanksDifferError(
            f"ranks {', '.join(map(str, others))} have other lists or class names than the rest; give all machines the "
            "same files (DATA.PATH_TO_DATA_DIR)"
        )
    weights = weights_hash(trainer.model)
    if trainer.ema is not None:
        weights = weights_hash(trainer.ema, weights)
    facts = (run_id, state.epoch, state.iteration, weights)
    everyone = distributed.gather_objects(facts)
    differing = [rank for rank, other in enumerate(everyone) if other != everyone[0]]
    if differing:
        rank = differing[0]
        raise RanksDifferError(
            f"rank {rank} stands at epoch {everyone[rank][1]}, iteration {everyone[rank][2]}, weights "
            f"{everyone[rank][3]:08x}; rank 0 at epoch {everyone[0][1]}, iteration {everyone[0][2]}, weights "
            f"{everyone[0][3]:08x} ({len(differing)} of {len(everyone)} ranks differ); start all machines with "
            "the same program and OUTPUT_DIR"
        )


def weights_hash(model: nn.Module, value: int = 0) -> int:
    """A checksum of all weights and statistics of a network.

    Args:
        model: The network.
        value: The checksum of what comes before it.
    """
    for name, tensor in model.state_dict().items():
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(), value)
    return value


def _say_where(trainer: Trainer, path: str) -> None:
    state = trainer.state
    logger.info("resumed from %s: %d epochs and %d iterations are done", path, state.epoch, state.iteration)
    if state.finished and not state.evaluation_due:
        done = f"{state.epoch} of {state.max_epoch} epochs are done"
        if state.epoch < state.max_epoch:
            done += f", {state.stale} validations in a row were not better (TRAIN.PATIENCE {state.patience})"
        if state.epoch > state.max_epoch:
            done = f"{state.epoch} epochs are done, {state.max_epoch} are asked for (SOLVER.MAX_EPOCH)"
        logger.info("nothing left to train: %s", done)
