"""Forward passes of a loaded network over clips."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from ..config.derived import task_name
from ..tasks.scores import ClassScores
from ..utils.arguments import ArgumentTypeError
from ..utils.batches import chunks
from ..utils.errors import UserError
from .load import meta_of, Precision


class NotFiniteError(UserError, ValueError):
    """What a network makes of a file that could be read is NaN or infinite; the message names the file."""


class NoClassifierError(UserError, ValueError):
    """The network classifies nothing, as one that learns synchronisation alone."""


# What describes clips and is no input of a network.
_NOT_INPUTS = ("start",)


@contextlib.contextmanager
def _float32(device: torch.device) -> Iterator[None]:
    """Products in float32 on every device: cuDNN takes shorter ones (TF32) otherwise, and scores differ with it."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def _bf16(device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16)


_PRECISIONS: dict[Precision, Callable[[torch.device], AbstractContextManager[Any]]] = {
    "float32": _float32,
    "bf16": _bf16,
}


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model computes as in testing and in its precision in the block; then its layers are in the modes they had.

    In training mode it would give losses in place of scores, and batch norm would learn from what it sees.

    Args:
        model: From `load_model`.

    Raises:
        NotLoadedError: The network does not come from `load_model`.
    """
    precision = meta_of(model).precision
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with _PRECISIONS[precision](device_of(model)):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def device_of(model: nn.Module) -> torch.device:
    """The device of a network's weights."""
    return next(model.parameters()).device


def network_inputs(model: nn.Module, clips: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The inputs of a network out of what describes clips, on the network's device.

    Args:
        model: The network.
        clips: From `ModelMeta.preprocess`.

    Raises:
        ArgumentTypeError: It is something else.
    """
    if not isinstance(clips, Mapping):
        raise ArgumentTypeError(
            f"a {type(clips).__name__} is given in place of clips; give what model.meta.preprocess(video) returns"
        )
    device = device_of(model)
    return {name: value.to(device) for name, value in clips.items() if name not in _NOT_INPUTS}


@torch.no_grad()
def score_clips(
    model: nn.Module, clips: Mapping[str, torch.Tensor], max_clips: int = 8, source: object = "the clips"
) -> ClassScores:
    """Scores of clips: one row per clip.

    Args:
        model: A network that classifies clips, from `load_model`.
        clips: From `ModelMeta.preprocess`.
        max_clips: Clips in one forward pass, at most.
        source: Their file, for the message.

    Raises:
        NoClassifierError: The network has no classifier.
        NotFiniteError: Scores are NaN or infinite.
    """
    inputs = network_inputs(model, clips)
    parts = chunks(inputs, len(clips["start"]), max_clips)
    with evaluating(model):
        of_parts = [ClassScores.from_tensors(model(part)["scores"]) for part in parts]
    if not of_parts[0].heads:
        name = task_name(meta_of(model).cfg)
        raise NoClassifierError(
            f"the network has no classifier (TASK {name}), so there are no scores; take one that was trained with "
            "labels, or what this one knows: avslowfast sync, avslowfast features"
        )
    scores = ClassScores.concatenate(of_parts)
    check_finite(scores.heads.values(), "scores", source)
    return scores


def check_finite(values: Iterable[torch.Tensor | NDArray[Any]], what: str, source: object) -> None:
    """Refuse numbers that say nothing about a file.

    Args:
        values: What a network has computed.
        what: What they are, for the message.
        source: The file.

    Raises:
        NotFiniteError: One of them is NaN or infinite.
    """
    if not all(bool(torch.as_tensor(value).isfinite().all()) for value in values):
        raise NotFiniteError(
            f"{source}: the {what} are not finite (NaN or infinite), though it could be read; check the network's "
            "weights for NaN, or take the precision float32"
        )
