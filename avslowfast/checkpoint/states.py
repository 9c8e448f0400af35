"""Checkpoints of a run: written whole or not at all, found again, and passed over when torn."""

import os
import re

import torch

from ..utils.logging import get_logger
from .files import CheckpointError, read_checkpoint

logger = get_logger(__name__)

_NAME = re.compile(r"checkpoint_epoch_(\d{5})(?:_iter_(\d{6}))?\.pyth")
_BEST = "checkpoint_best.pyth"
_REQUIRED = ("model_state", "optimizer_state", "epoch", "iteration", "rng")


def checkpoint_dir(output_dir):
    """Where a run keeps its checkpoints."""
    return os.path.join(output_dir, "checkpoints")


def checkpoint_path(output_dir, epoch, iteration):
    """File of the state after `epoch` whole epochs and `iteration` iterations of the next."""
    name = f"checkpoint_epoch_{epoch:05d}" + (f"_iter_{iteration:06d}" if iteration else "")
    return os.path.join(checkpoint_dir(output_dir), name + ".pyth")


def best_path(output_dir):
    """File of the state that was best in validation."""
    return os.path.join(checkpoint_dir(output_dir), _BEST)


def save(state, path):
    """Write a state so that `path` holds all of it or does not change: other file, flush to disk, rename, flush the folder."""
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    part = f"{path}.part"
    with open(part, "wb") as f:
        torch.save(state, f)
        f.flush()
        os.fsync(f.fileno())
    os.replace(part, path)
    folder = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def list_checkpoints(output_dir):
    """Files of a run's states, oldest first; the best one is not among them."""
    folder = checkpoint_dir(output_dir)
    found = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        match = _NAME.fullmatch(name)
        if match:
            found.append(((int(match[1]), int(match[2] or 0)), os.path.join(folder, name)))
    return [path for _, path in sorted(found)]


def resolve(path):
    """The file that a path stands for: of a run's OUTPUT_DIR its best state, else its newest; any other path is itself.

    Raises:
        CheckpointError: a folder without checkpoints.
    """
    if not os.path.isdir(path):
        return path
    states = [best_path(path)] if os.path.isfile(best_path(path)) else list_checkpoints(path)
    if not states:
        raise CheckpointError(f"{path}: no checkpoints in it; give the OUTPUT_DIR of a run, or a file")
    return states[-1]


def prune(output_dir, keep):
    """Remove all but the newest `keep` states (0 keeps all)."""
    for path in list_checkpoints(output_dir)[:-keep] if keep else ():
        os.remove(path)


def load_newest(output_dir, fits):
    """The newest whole state of a run.

    Args:
        fits: function of a state; a string says why it belongs to another network, None that it fits.

    Returns:
        (path, state), or (None, None). Torn and foreign files are passed over with a warning.
    """
    for path in reversed(list_checkpoints(output_dir)):
        try:
            state = read_checkpoint(path)
        except CheckpointError as error:
            logger.warning("passed over: %s", error)
            continue
        lacking = [key for key in _REQUIRED if not isinstance(state, dict) or key not in state]
        reason = f"it lacks {', '.join(lacking)}" if lacking else fits(state)
        if reason is None:
            return path, state
        logger.warning("passed over: %s: not a state of this run (%s)", path, reason)
    return None, None


def mismatch(model, state):
    """Why a state's weights are not a model's: the first name or shape that differs; None if they agree."""
    own, other = model.state_dict(), state["model_state"]
    for name in own:
        if name not in other:
            return f"no tensor {name}"
        if own[name].shape != other[name].shape:
            return f"{name} has shape {tuple(other[name].shape)}, not {tuple(own[name].shape)}"
    extra = next((name for name in other if name not in own), None)
    return f"a tensor {extra} too many" if extra else None
