"""State files of a run: written whole or not at all, read with every entry checked."""

import contextlib
import errno
import math
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from ..utils import seeding
from ..utils.errors import has_inodes, NO_INODES, system_error, UserError
from ..utils.files import replacing
from .files import CheckpointError, read_checkpoint

# A whole training's state by name.
State = dict[str, Any]

BEST = "checkpoint_best.pyth"
_ENTRIES: dict[str, type | tuple[type, ...]] = {
    "run_id": str,
    "epoch": int,
    "iteration": int,
    "iters_per_epoch": int,
    "model_state": Mapping,
    "optimizer_state": Mapping,
    "rng": list,
    "cfg": str,
    "best": (int, float, type(None)),
    "optimizer_kind": str,
    "optimizer_names": list,
}
# Those that a state may lack, or have as None.
_OPTIONAL: dict[str, type | tuple[type, ...]] = {
    "ema_state": Mapping,
    "scaler_state": Mapping,
    "best_epoch": int,
    "best_metric": str,
    "value": (int, float),
    "failed_files": Mapping,
    "steps": int,
    "epoch_losses": Mapping,
    "data": Mapping,
    "class_names": (list, Mapping),
}
# No training is longer than this.
_MOST_EPOCHS = 10**6
# Numbers of errors for which more room is no remedy.
_OF_PERMISSIONS = (errno.EACCES, errno.EPERM, errno.EROFS)


class StateNotSavedError(UserError, OSError):
    """A file that could not be written; the message names the file, the reason, the free space and the remedy."""

    may_pass = True

    @classmethod
    def of(cls, error: Exception, path: str | os.PathLike[str]) -> "StateNotSavedError":
        """For an error while a file was written.

        Args:
            error: Of the system, or of torch's writer.
            path: The file.
        """
        return cls(f"{os.fspath(path)}: cannot be written ({_reason(error, path)})")


def checkpoint_dir(output_dir: str | os.PathLike[str]) -> str:
    """Folder in which a run keeps its checkpoints."""
    return os.path.join(output_dir, "checkpoints")


def file_name(epoch: int, iteration: int) -> str:
    """Name of the state after `epoch` whole epochs and `iteration` iterations of the next."""
    return f"checkpoint_epoch_{epoch:05d}" + (f"_iter_{iteration:06d}" if iteration else "") + ".pyth"


def checkpoint_path(output_dir: str | os.PathLike[str], epoch: int, iteration: int) -> str:
    """File of the state after `epoch` whole epochs and `iteration` iterations of the next."""
    return os.path.join(checkpoint_dir(output_dir), file_name(epoch, iteration))


def best_path(output_dir: str | os.PathLike[str]) -> str:
    """File of the state that was best in validation."""
    return os.path.join(checkpoint_dir(output_dir), BEST)


def save(state: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a state so that the file has all of it or does not change, also when the machine loses its power.

    Args:
        state: What `torch.save` takes.
        path: The file.

    Raises:
        StateNotSavedError: It cannot be written, for example since the disk is full.
    """
    try:
        with replacing(path) as part, open(part, "wb") as f:
            torch.save(state, f)
            f.flush()
            os.fsync(f.fileno())
        _flush_folder(path)
    except (OSError, RuntimeError) as error:
        # torch tells a full disk by a RuntimeError of its zip writer.
        raise StateNotSavedError.of(error, path) from None


def link(path: str | os.PathLike[str], other: str | os.PathLike[str]) -> None:
    """Give a saved state another name as well; where the file system has no hard links, by a copy.

    States are never changed in place, so that the two names cannot come to differ by a change of one.

    Args:
        path: The file.
        other: The other name; a file of that name is replaced.

    Raises:
        StateNotSavedError: It cannot be written.
    """
    try:
        with replacing(other) as part:
            os.remove(part)
            try:
                os.link(path, part)
            except OSError:
                shutil.copyfile(path, part)
                with open(part, "rb") as f:
                    os.fsync(f.fileno())
        _flush_folder(other)
    except OSError as error:
        raise StateNotSavedError.of(error, other) from None


def _flush_folder(path: str | os.PathLike[str]) -> None:
    descriptor = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception, path: str | os.PathLike[str]) -> str:
    cause = system_error(error) or error
    words = getattr(cause, "strerror", None) or " ".join(str(cause).split())[:120] or type(cause).__name__
    folder = os.path.dirname(os.path.abspath(path))
    if getattr(cause, "errno", None) == errno.ENOSPC and not has_inodes(folder):
        return f"{NO_INODES}; remove some of them, or choose another folder"
    if getattr(cause, "errno", None) in _OF_PERMISSIONS:
        return f"{words}; change the permissions of {folder}, or choose another folder"
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(folder).free / 2**30
        return f"{words}; {free:.2f} GB are free in {folder}; make room or choose another folder"
    return f"{words}; {folder} is not there or not readable; choose another folder"


def read_state(path: str | os.PathLike[str]) -> State:
    """The state of a training, checked as far as that is possible without its network.

    Args:
        path: The file.

    Raises:
        CheckpointError: It cannot be read, or is no state of a training.
    """
    content = read_checkpoint(path)
    problem = _problem(content)
    if problem:
        raise CheckpointError(f"{path}: not a state of a training ({problem})")
    state: State = content
    return state


def _problem(content: Any) -> str | None:
    """What is wrong with a state's entries; None if nothing is."""
    if not isinstance(content, dict):
        return f"it holds a {type(content).__name__}"
    for name, kind in _ENTRIES.items():
        if name not in content:
            return f"{name} missing"
        if not isinstance(content[name], kind) or isinstance(content[name], bool):
            return f"{name} is of type {type(content[name]).__name__}"
    for name, kind in _OPTIONAL.items():
        if content.get(name) is not None and not isinstance(content[name], kind):
            return f"{name} is of type {type(content[name]).__name__}"
    epoch, iteration, length = (content[name] for name in ("epoch", "iteration", "iters_per_epoch"))
    if not 0 <= epoch <= _MOST_EPOCHS or length < 1 or not 0 <= iteration < length:
        return f"epoch {epoch}, iteration {iteration} of {length}"
    best = content.get("best")
    if best is not None and not math.isfinite(best):
        return f"best is {best!r}"
    return next((problem for problem in map(seeding.problem_of, content["rng"]) if problem), None) or (
        None if content["rng"] else "rng is empty"
    )


def mismatch(model: nn.Module, weights: Mapping[str, Any]) -> str | None:
    """Why weights are not a model's: the first name, shape or kind of number that differs; None if all are the same.

    Args:
        model: The network.
        weights: {name: tensor}.
    """
    expected = model.state_dict()
    for name, tensor in expected.items():
        if name not in weights:
            return f"tensor {name} missing"
        problem = tensor_problem(weights[name], tensor)
        if problem:
            return f"{name} {problem}"
    extra = next((name for name in weights if name not in expected), None)
    return f"unexpected tensor {extra}" if extra else None


def tensor_problem(value: Any, expected: torch.Tensor) -> str | None:
    """Why a saved value cannot take the place of a tensor; None if it can."""
    if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
        return "is no dense tensor"
    if value.shape != expected.shape:
        return f"has shape {tuple(value.shape)}, not {tuple(expected.shape)}"
    if value.is_floating_point() != expected.is_floating_point():
        return f"has numbers of type {value.dtype}, not {expected.dtype}"
    return None


def optimizer_problem(content: State, optimizer: torch.optim.Optimizer, names: Sequence[Sequence[str]]) -> str | None:
    """Why the saved state of an optimiser is damaged; None if it is whole, or another optimiser's.

    An entry that does not fit its parameter would be read beyond its end by the fused update.

    Args:
        content: A state of a training.
        optimizer: The one that is to be resumed.
        names: Of its parameters, by group.
    """
    saved = content["optimizer_state"]
    groups, entries = saved.get("param_groups"), saved.get("state")
    if not isinstance(groups, list) or not isinstance(entries, Mapping) or not all(map(_is_group, groups)):
        return "the optimizer has no parameter groups or no entries"
    if other_optimizer(content, optimizer, names):
        return None
    if [len(group["params"]) for group in groups] != [len(group) for group in names]:
        return "the optimizer's groups are not those of its names"
    indices = [index for group in groups for index in group["params"]]
    parameters = dict(zip(indices, (p for group in optimizer.param_groups for p in group["params"])))
    if len(parameters) != len(indices):
        return "a parameter stands twice in the optimizer"
    for index, entry in entries.items():
        if index not in parameters or not isinstance(entry, Mapping):
            return f"the optimizer has an entry for an unknown parameter {index!r}"
        for name, value in entry.items():
            problem = _entry_problem(name, value, parameters[index])
            if problem:
                return f"the optimizer's {name} of a parameter {problem}"
    return None


def _is_group(group: Any) -> bool:
    return (
        isinstance(group, Mapping)
        and isinstance(group.get("params"), list)
        and all(type(index) is int for index in group["params"])
    )


def _entry_problem(name: str, value: Any, parameter: torch.Tensor) -> str | None:
    if value is None:
        return None
    if name == "step":
        scalar = isinstance(value, (int, float)) or (isinstance(value, torch.Tensor) and value.numel() == 1)
        return None if scalar else "is no number"
    return tensor_problem(value, parameter)


def other_optimizer(content: State, optimizer: torch.optim.Optimizer, names: Sequence[Sequence[str]]) -> str | None:
    """Why a state's optimiser is another one, or groups its parameters in another way; None if it is this one.

    Args:
        content: A state of a training.
        optimizer: The one that is to be resumed.
        names: Of its parameters, by group.
    """
    kind = type(optimizer).__name__
    if content["optimizer_kind"] != kind:
        return f"it is of {content['optimizer_kind']}, not of {kind}"
    saved = content["optimizer_names"]
    if saved == [list(group) for group in names]:
        return None
    old, new = ({name for group in groups for name in group} for groups in (saved, names))
    if old == new:
        return f"its {len(saved)} parameter groups are not the present {len(names)}"
    return f"{len(old - new)} of its parameters are not trained now, {len(new - old)} others are (parameter groups)"
