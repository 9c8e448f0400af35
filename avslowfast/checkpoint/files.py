"""Reading a checkpoint file without executing anything that it asks for."""

import os
import re
import stat
from typing import Any

import numpy as np
import torch

from ..utils.errors import UserError
from ..utils.logging import get_logger
from ..utils.remote import fetched, is_file, is_remote
from . import tensor_files
from .plain_objects import NAMES
from .torch_files import LEGACY, read_legacy, read_zip, ZIP
from .unpickling import BoundedFile, DamagedError, RefusedError, Unpickler

logger = get_logger(__name__)

# A network's weights by name.
Weights = dict[str, torch.Tensor]
# Where a checkpoint holds them; the first key that is there counts.
WEIGHT_KEYS = (
    "ema_state",
    "model_state",
    "model_state_dict",
    "state_dict",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "blobs",
)

# Caffe2's solver state, stored with the weights.
_SOLVER_BLOB = re.compile(r"_momentum$|^lr$|^model_iter$")


class CheckpointError(UserError, RuntimeError):
    """A file that cannot be read as weights, or weights that do not fit; the message says why and what to do."""


def read_checkpoint(path: str | os.PathLike[str]) -> Any:
    """The content of a checkpoint file; nothing is executed.

    Files of `torch.save` in both of its formats, pickles of arrays, and .safetensors are told by their first bytes.

    Args:
        path: Local path, or an address (https, s3, gs, or what fsspec opens), which is downloaded once; see
            `utils.remote.fetched`.

    Returns:
        Containers, numbers, strings, tensors and arrays alone; normally a dict.

    Raises:
        CheckpointError: No such file, not a checkpoint, a damaged one, or one that asks for more, which is named.
    """
    path = os.fspath(path)
    local = _local(path)
    try:
        with open(local, "rb") as f:
            size, head = os.fstat(f.fileno()).st_size, f.read(64)
            f.seek(0)
            if head.startswith(ZIP):
                return read_zip(f, size)
            if LEGACY in head:
                return read_legacy(f, size)
            if tensor_files.is_one(local, head, size):
                return tensor_files.read(local)
            if not size:
                raise DamagedError("it is empty")
            return Unpickler(BoundedFile(f, size), size, NAMES).load()
    except RefusedError as error:
        remedy = "nothing of it was run. Use a file of tensors, arrays and plain containers alone"
        raise CheckpointError(f"{path}: asks for {error}, which is not loaded from a file; {remedy}") from None
    except OSError as error:
        raise CheckpointError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and the disk"
        ) from None
    except MemoryError:
        raise CheckpointError(f"{path}: there is not enough memory to read it; use a machine with more") from None
    except Exception as error:
        # Arbitrary bytes can make an unpickler raise any exception.
        raise CheckpointError(
            f"{path}: not a checkpoint, or a damaged one ({_reason(error)}); get the file again"
        ) from None


def is_checkpoint_path(path: str) -> bool:
    """Whether a path leads to a file, or is an address: whether `read_checkpoint` has something to read.

    Args:
        path: Any path.

    Raises:
        UserError, OSError: See `utils.remote.is_file`.
    """
    return is_remote(path) or is_file(path)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _local(path: str) -> str:
    """The file on this machine that a path leads to.

    Raises:
        CheckpointError: There is none.
    """
    if is_remote(path):
        try:
            return fetched(path)
        except (UserError, OSError) as error:
            raise CheckpointError(str(error)) from None
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise CheckpointError(f"{path}: {what}; check the path") from None
    except ValueError:
        raise CheckpointError(f"{path!r}: no path (it has a null character); check it") from None
    if not stat.S_ISREG(mode):
        raise CheckpointError(f"{path}: it is {'a folder' if stat.S_ISDIR(mode) else 'no regular file'}; give a file")
    return path


def weights_of(content: Any, path: str | os.PathLike[str]) -> tuple[Weights, list[str]]:
    """The weights in a checkpoint's content.

    Of this project's checkpoints it is the average of the weights (EMA), where there is one.

    Args:
        content: From `read_checkpoint`.
        path: The file, for messages.

    Returns:
        ({name: tensor}, notes): the notes say what was left out.

    Raises:
        CheckpointError: The content has no weights.
    """
    state = content
    for key in WEIGHT_KEYS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            state = content[key]
            break
    tensors: Weights = {}
    notes: list[str] = []
    if isinstance(state, dict):
        tensors = {str(name): _tensor(value) for name, value in state.items() if _is_array(value)}
    if not tensors:
        raise CheckpointError(
            f"{path}: no model weights in it (neither a state dict nor one under a name such as `model_state`)"
        )
    if "conv1_w" in tensors:
        blobs = len(tensors)
        tensors = {name: value for name, value in tensors.items() if not _SOLVER_BLOB.search(name)}
        if len(tensors) < blobs:
            notes.append(f"{blobs - len(tensors)} blobs of Caffe2's solver left out")
    return tensors, notes


def class_names_of(content: Any, path: str | os.PathLike[str]) -> Any:
    """The names of the classes in a checkpoint's content.

    Args:
        content: From `read_checkpoint`.
        path: The file, for the warning.

    Returns:
        A list of names, {classifier: list of names or None}, or None where there are none. What is no such thing is
        left out with a warning.
    """
    names = content.get("class_names") if isinstance(content, dict) else None
    if names is None or (isinstance(names, (list, tuple, dict)) and not names):
        return None
    if isinstance(names, dict) and all(isinstance(k, str) and (v is None or _are_names(v)) for k, v in names.items()):
        return {head: None if value is None else list(value) for head, value in names.items()}
    if _are_names(names):
        return list(names)
    logger.warning("%s: its class_names are no list of distinct names, and are left out", path)
    return None


def _are_names(value: Any) -> bool:
    """Whether it is a list of names, each of one class and of one line."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(name, str) for name in value):
        return False
    return len(set(value)) == len(value) and not any("\n" in name for name in value)


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiu")


def _tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    # Arrays out of a pickle may be read-only or of the other byte order.
    return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
