"""Reading a checkpoint file without executing anything that it asks for.

torch's files are read with `weights_only`; other pickles (Caffe2's) by an unpickler that admits arrays and plain
containers alone.
"""

import collections
import os
import pickle
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from iopath.common.file_io import g_pathmgr

from ..utils.errors import UserError

# A network's weights by name.
Weights = dict[str, torch.Tensor]
# Where a checkpoint holds them; the first key that is there counts.
WEIGHT_KEYS = ("ema_state", "model_state", "state_dict", "model", "blobs")

_ZIP = b"PK\x03\x04"
# torch.save's number in its format before 1.6, as pickled at the head of the file.
_LEGACY = b"l\xfc\x9cF\xf9 j\xa8P\x19"
# Caffe2's solver state, stored with the weights.
_SOLVER_BLOB = re.compile(r"_momentum$|^lr$|^model_iter$")
# What torch says of a pickle that asks for a type or function: the name is in the message.
_ASKED = re.compile(r"(?:GLOBAL|Unsupported (?:global|class|operand)\S*:?|type)\s+([\w.]+\.\w+)")


class CheckpointError(UserError, RuntimeError):
    """A file that cannot be read as weights, or weights that do not fit; the message says why and what to do."""


def read_checkpoint(path: str | os.PathLike[str]) -> Any:
    """The content of a checkpoint file; nothing is executed.

    Args:
        path: Local path, or any that iopath opens.

    Returns:
        Containers, numbers, strings, tensors and arrays alone; normally a dict.

    Raises:
        CheckpointError: No such file, not a checkpoint, a damaged one, or one that asks for more, which is named.
    """
    path = str(path)
    if not g_pathmgr.isfile(path):
        raise CheckpointError(
            f"{path}: no such file; check the path (TRAIN.CHECKPOINT_FILE_PATH or TEST.CHECKPOINT_FILE_PATH)"
        )
    try:
        with g_pathmgr.open(path, "rb") as f:
            head = f.read(64)
            f.seek(0)
            if head.startswith(_ZIP) or _LEGACY in head:
                return torch.load(f, map_location="cpu", weights_only=True)
            return _PlainUnpickler(f, encoding="latin1").load()
    except _RefusedError as error:
        remedy = "nothing of it was run. Use a file of arrays alone"
        raise CheckpointError(f"{path}: asks for {error}, which is not loaded from a file; {remedy}") from None
    except pickle.UnpicklingError as error:
        asked = _ASKED.search(str(error))
        if asked:
            what = f" asks for {asked.group(1)}, which"
        else:
            what = " needs more than tensors and containers, or is no checkpoint, and"
        raise CheckpointError(f"{path}:{what} is not loaded from a file; save it as a plain state dict") from None
    except Exception as error:
        # Arbitrary bytes can make an unpickler raise any exception.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path}: not a checkpoint, or a damaged one ({reason})") from None


class _RefusedError(Exception):
    """A name that a pickle asked for and did not get."""


def _latin1(text: Any, encoding: str) -> bytes:
    """What numpy's pickles of protocol 2 use `_codecs.encode` for, and nothing else of it."""
    if encoding != "latin1" or not isinstance(text, str):
        raise _RefusedError(f"_codecs.encode with {encoding!r}")
    return text.encode("latin1")


_PLAIN: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("_codecs", "encode"): _latin1,
    **{
        (module, name): kind
        for module in ("builtins", "__builtin__")
        for name, kind in (("set", set), ("frozenset", frozenset), ("bytearray", bytearray))
    },
}


def _reducer(value: Any, protocol: int = 2) -> Any:
    """The function that numpy's own pickles call to build such a value."""
    return value.__reduce_ex__(protocol)[0]


# What numpy's own pickles call to build arrays and numbers; numpy 2 moved its core, and files have either name.
_ARRAYS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy._core.multiarray", "_reconstruct"): _reducer(np.zeros(0)),
    ("numpy._core.multiarray", "scalar"): _reducer(np.float32(0)),
    ("numpy._core.numeric", "_frombuffer"): _reducer(np.zeros(1), 5),
}


class _PlainUnpickler(pickle.Unpickler):
    """Admits numpy arrays, numbers and plain containers."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        """The callable that the file asks for, if it is one of those that build arrays and containers."""
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        kind = _ARRAYS.get((module.replace("numpy.core", "numpy._core"), name))
        if kind is not None:
            return kind
        raise _RefusedError(f"{module}.{name}")


def weights_of(content: Any, path: str | os.PathLike[str]) -> tuple[Weights, list[str]]:
    """The weights in a checkpoint's content, without the prefixes that wrappers put before every name.

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
        raise CheckpointError(f"{path}: no model weights in it (neither `model_state` nor a state dict)")
    if "conv1_w" in tensors:
        blobs = len(tensors)
        tensors = {name: value for name, value in tensors.items() if not _SOLVER_BLOB.search(name)}
        if len(tensors) < blobs:
            notes.append(f"{blobs - len(tensors)} blobs of Caffe2's solver left out")
    for prefix in ("module.", "backbone."):
        # Self-supervised files have a second network or a queue besides the one that matters; these keep their names.
        if any(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors, notes


def _is_array(value: Any) -> bool:
    return isinstance(value, torch.Tensor) or (isinstance(value, np.ndarray) and value.dtype.kind in "fiu")


def _tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value
    # Arrays out of a pickle may be read-only or of the other byte order.
    return torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("=")))
