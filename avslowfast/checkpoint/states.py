"""Checkpoints of a run: written atomically, found again, and skipped when damaged."""

import os
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..utils.files import replacing
from ..utils.logging import get_logger
from .files import CheckpointError, read_checkpoint

logger = get_logger(__name__)

_NAME = re.compile(r"checkpoint_epoch_(\d{5})(?:_iter_(\d{6}))?\.pyth")
_BEST = "checkpoint_best.pyth"
_REQUIRED = ("model_state", "optimizer_state", "epoch", "iteration", "rng")


def checkpoint_dir(output_dir: str | os.PathLike[str]) -> str:
    """Folder in which a run keeps its checkpoints."""
    return os.path.join(output_dir, "checkpoints")


def checkpoint_path(output_dir: str | os.PathLike[str], epoch: int, iteration: int) -> str:
    """File of the state after `epoch` whole epochs and `iteration` iterations of the next."""
    name = f"checkpoint_epoch_{epoch:05d}" + (f"_iter_{iteration:06d}" if iteration else "")
    return os.path.join(checkpoint_dir(output_dir), name + ".pyth")


def best_path(output_dir: str | os.PathLike[str]) -> str:
    """File of the state that was best in validation."""
    return os.path.join(checkpoint_dir(output_dir), _BEST)


def save(state: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state so that the file has all of it or does not change.

    The state goes to another file, which is flushed to disk and renamed; then the folder is flushed.

    Args:
        state: What `torch.save` takes.
        path: The file.
    """
    with replacing(path) as part, open(part, "wb") as f:
        torch.save(state, f)
        f.flush()
        os.fsync(f.fileno())
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def list_checkpoints(output_dir: str | os.PathLike[str]) -> list[str]:
    """Files of a run's states, oldest first, without the best one."""
    folder = checkpoint_dir(output_dir)
    files = []
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        match = _NAME.fullmatch(name)
        if match:
            files.append(((int(match[1]), int(match[2] or 0)), os.path.join(folder, name)))
    return [path for _, path in sorted(files)]


def resolve(path: str | os.PathLike[str]) -> str:
    """The checkpoint that a path stands for.

    Args:
        path: A run's OUTPUT_DIR, which stands for its best state, else its newest; any other path stands for itself.

    Raises:
        CheckpointError: A folder without checkpoints.
    """
    if not os.path.isdir(path):
        return str(path)
    files = [best_path(path)] if os.path.isfile(best_path(path)) else list_checkpoints(path)
    if not files:
        raise CheckpointError(f"{path}: no checkpoints in it; give the OUTPUT_DIR of a run, or a file")
    return files[-1]


def prune(output_dir: str | os.PathLike[str], keep: int) -> None:
    """Remove old states.

    Args:
        output_dir: The run's folder.
        keep: Number of newest states to keep; 0 keeps all.
    """
    for path in list_checkpoints(output_dir)[:-keep] if keep else ():
        os.remove(path)


def load_newest(
    output_dir: str | os.PathLike[str], fits: Callable[[dict[str, Any]], str | None]
) -> tuple[str, dict[str, Any]] | tuple[None, None]:
    """The newest state of a run that is whole and belongs to its network.

    Args:
        output_dir: The run's folder.
        fits: Function of a state that says why it belongs to another network, or None if it fits.

    Returns:
        (path, state), or (None, None). Damaged files and those of other networks are skipped with a warning.
    """
    for path in reversed(list_checkpoints(output_dir)):
        try:
            state = read_checkpoint(path)
        except CheckpointError as error:
            logger.warning("skipped: %s", error)
            continue
        missing = [key for key in _REQUIRED if not isinstance(state, dict) or key not in state]
        reason = f"{', '.join(missing)} missing" if missing else fits(state)
        if reason is None:
            return path, state
        logger.warning("skipped: %s: not a state of this run (%s)", path, reason)
    return None, None


def mismatch(model: nn.Module, state: dict[str, Any]) -> str | None:
    """Why a state's weights are not a model's: the first name or shape that differs; None if all are the same.

    Args:
        model: The network.
        state: A state with "model_state".
    """
    expected, saved = model.state_dict(), state["model_state"]
    for name in expected:
        if name not in saved:
            return f"tensor {name} missing"
        if expected[name].shape != saved[name].shape:
            return f"{name} has shape {tuple(saved[name].shape)}, not {tuple(expected[name].shape)}"
    extra = next((name for name in saved if name not in expected), None)
    return f"unexpected tensor {extra}" if extra else None
