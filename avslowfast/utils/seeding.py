"""Random numbers that depend on what is drawn for, not on which process draws.

torch is imported where it is used, so that rendering and reading data sets do not need it.
"""

import random
import zlib
from typing import Any

import numpy as np


def generator(*key: int | np.integer[Any] | str) -> np.random.Generator:
    """A numpy generator seeded by numbers and names.

    Args:
        *key: What the numbers are drawn for, e.g. seed, epoch, index, "crop".
    """
    words = [k if isinstance(k, (int, np.integer)) else zlib.crc32(str(k).encode()) for k in key]
    return np.random.default_rng([int(w) & 0xFFFFFFFF for w in words])


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch (every device)."""
    import torch

    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def rng_state() -> dict[str, Any]:
    """The state of every generator of this process, for a checkpoint: containers and tensors alone."""
    import torch

    name, keys, pos, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), pos, has_gauss, cached],
        "python": [version, list(internal), gauss],
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Continue from a state that `rng_state` gave."""
    import torch

    torch_state, numpy_state, python_state = _decoded(state)
    torch.set_rng_state(torch_state)
    np.random.set_state(numpy_state)
    random.setstate(python_state)
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def problem_of(state: Any) -> str | None:
    """Why `set_rng_state` cannot take a state; None if it can. The generators of this process stay as they are.

    Args:
        state: What a checkpoint holds, from whatever source.
    """
    import torch

    try:
        torch_state, numpy_state, python_state = _decoded(state)
        torch.Generator().set_state(torch_state)
        np.random.RandomState().set_state(numpy_state)
        random.Random().setstate(python_state)
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError, OverflowError) as error:
        return f"no state of random numbers ({type(error).__name__})"
    return None


def _decoded(state: dict[str, Any]) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """The states of torch, numpy and Python, as their generators take them."""
    name, keys, pos, has_gauss, cached = state["numpy"]
    version, internal, gauss = state["python"]
    numpy_state = (name, keys.numpy().astype(np.uint32), pos, has_gauss, cached)
    return state["torch"], numpy_state, (version, tuple(internal), gauss)
