"""Files of .safetensors: tensors by name, and what goes with them as texts."""

import json
import os
from collections.abc import Mapping
from typing import Any

import torch

from ..utils.files import replacing
from .unpickling import DamagedError

ENDING = ".safetensors"
# What goes with the weights: the configuration is a text, the others are written as JSON.
_TEXTS, _VALUES = ("cfg",), ("class_names", "epoch", "detection")


def is_one(path: str, head: bytes, size: int) -> bool:
    """Whether a file is a .safetensors, by its first bytes, else by its name.

    Args:
        path: Its name.
        head: Its first bytes, at least nine of a whole file.
        size: Its bytes.
    """
    length = int.from_bytes(head[:8], "little")
    return (head[8:9] == b"{" and 8 + length <= size) or path.lower().endswith(ENDING)


def read(path: str) -> dict[str, Any]:
    """The content of a file, as a checkpoint.

    Args:
        path: The file.

    Returns:
        {"model_state": {name: tensor}} with "cfg", "class_names", "epoch" and "detection" where the file has them.

    Raises:
        DamagedError: The file says something of itself that is no JSON.
        Exception: Whatever the package raises for a damaged file.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt", device="cpu") as f:
        about: Mapping[str, str] = f.metadata() or {}
        tensors = {name: f.get_tensor(name) for name in f.keys()}  # noqa: SIM118  (it is no mapping)
    content: dict[str, Any] = {key: about[key] for key in _TEXTS if key in about}
    for key in _VALUES:
        if key in about:
            try:
                content[key] = json.loads(about[key])
            except (ValueError, RecursionError):
                raise DamagedError(f"its {key} is no JSON") from None
    return {"model_state": tensors, **content}


def write(state: Mapping[str, torch.Tensor], about: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write weights and what goes with them, so that the file has all of it or does not change.

    Args:
        state: {name: tensor}.
        about: "cfg", "class_names", "epoch", "detection", as far as they are known.
        path: The file.
    """
    from safetensors.torch import save_file

    texts = {key: about[key] for key in _TEXTS if isinstance(about.get(key), str)}
    values = {key: json.dumps(about[key]) for key in _VALUES if about.get(key) is not None}
    # The format has no tensors that share memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    with replacing(path) as part:
        save_file(tensors, part, {"format": "pt", **texts, **values})
        with open(part, "rb") as f:
            os.fsync(f.fileno())
