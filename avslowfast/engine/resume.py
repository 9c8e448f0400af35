"""Going on with a run: which of its states, the same on every rank, and what of it holds under another recipe."""

import os
import zlib
from dataclasses import dataclass

import torch
from torch import nn

from ..checkpoint import CheckpointError, states
from ..utils import distributed
from ..utils.errors import UserError
from ..utils.logging import get_logger
from .run_folder import RunFolder
from .trainer import Trainer

logger = get_logger(__name__)


class RanksDifferError(UserError, RuntimeError):
    """Ranks would train from different states; the message names them."""


def resume(trainer: Trainer, folder: RunFolder) -> bool:
    """Go on from the newest state of the run that is whole. Called on every rank.

    Args:
        trainer: Gets the state.
        folder: Of the run.

    Returns:
        False where there is no state to go on from.

    Raises:
        RanksDifferError: A rank has got another state than the main one.
    """
    found: list[tuple[str, states.State]] = []

    def choose() -> _Place | None:
        found.extend(_newest(trainer, folder))
        return _Place.of(*found[0]) if found else None

    place = distributed.on_main(choose)
    if place is None:
        return False
    content = _on_every_rank(place, found[0][1] if found else None)
    for difference in folder.recipe:
        logger.info("the recipe has changed: %s: %r -> %r", difference.key, difference.old, difference.new)
    if trainer.cfg.TRAIN.CHECKPOINT_FILE_PATH:
        logger.info("TRAIN.CHECKPOINT_FILE_PATH is not used: the run goes on from its own state")
    for note in trainer.load_state_dict(content):
        logger.warning("%s", note)
    folder.repair_best(place.path, (content["epoch"], content["iteration"]), trainer.state)
    check_ranks_agree(trainer, folder.record.id)
    _say_where(trainer, place.path)
    return True


@dataclass(frozen=True)
class _Place:
    """Which state was chosen, so that a rank that sees the file can tell whether it is the same."""

    path: str
    size: int
    key: tuple[str, int, int]

    @classmethod
    def of(cls, path: str, content: states.State) -> "_Place":
        return cls(path, os.path.getsize(path), _key(content))

    def read(self) -> states.State | None:
        """The state from this rank's own view of the file; None where it has none, or another one."""
        if not os.path.isfile(self.path) or os.path.getsize(self.path) != self.size:
            return None
        try:
            content = states.read_state(self.path)
        except CheckpointError:
            return None
        return content if _key(content) == self.key else None


def _key(content: states.State) -> tuple[str, int, int]:
    return content["run_id"], content["epoch"], content["iteration"]


def _newest(trainer: Trainer, folder: RunFolder) -> list[tuple[str, states.State]]:
    """[(file, content)] of the newest state that can be resumed; [] without one."""
    candidates = folder.candidates()
    for path in candidates:
        try:
            content = states.read_state(path)
        except CheckpointError as error:
            logger.warning("skipped, it cannot be used: %s", error)
            continue
        problem = trainer.mismatch(content)
        if content["run_id"] != folder.record.id:
            problem = f"it belongs to the run {content['run_id']}"
        if problem is None:
            return [(path, content)]
        logger.warning("skipped, it cannot be used: %s: not a state of this run (%s)", path, problem)
    if candidates:
        logger.warning("none of %d states can be resumed; training begins at epoch 1", len(candidates))
        folder.forget_states()
    return []


def _on_every_rank(place: _Place, content: states.State | None) -> states.State:
    """The chosen state on every rank: each reads it where it sees it, the main rank sends it to all others."""
    content = content or place.read()
    if any(distributed.gather_objects(content is None)):
        sent = distributed.broadcast_object(content)
        content = content or sent
    assert content is not None
    return content


def check_ranks_agree(trainer: Trainer, run_id: str) -> None:
    """Compare run, progress and weights of all ranks. Called on every rank.

    Args:
        trainer: Of this rank.
        run_id: Of the run.

    Raises:
        RanksDifferError: They differ; names the ranks that differ from the main one.
    """
    if not distributed.is_distributed():
        return
    state = trainer.state
    facts = (run_id, state.epoch, state.iteration, weights_hash(trainer.model))
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


def weights_hash(model: nn.Module) -> int:
    """A checksum of all weights and statistics of a network."""
    value = 0
    for name, tensor in model.state_dict().items():
        value = zlib.crc32(name.encode(), value)
        value = zlib.crc32(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy(), value)
    return value


def _say_where(trainer: Trainer, path: str) -> None:
    state = trainer.state
    logger.info("resumed from %s: %d epochs and %d iterations are done", path, state.epoch, state.iteration)
    if state.finished and not state.evaluation_due:
        done = f"{state.epoch} of {state.max_epoch} epochs are done"
        if state.epoch > state.max_epoch:
            done = f"{state.epoch} epochs are done, {state.max_epoch} are asked for (SOLVER.MAX_EPOCH)"
        logger.info("nothing left to train: %s", done)
