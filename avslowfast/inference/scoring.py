"""Forward passes of a loaded network over clips."""

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from ..tasks.scores import ClassScores
from ..utils.arguments import ArgumentTypeError
from ..utils.batches import chunks

# What describes clips and is no input of a network.
_NOT_INPUTS = ("start",)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model computes as in testing in the block; afterwards each of its layers is in the mode that it had.

    In training mode it would give losses in place of scores, and batch norm would learn from what it sees.

    Args:
        model: Any model.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
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
def score_clips(model: nn.Module, clips: Mapping[str, torch.Tensor], max_clips: int = 8) -> ClassScores:
    """Scores of clips: one row per clip.

    Args:
        model: A network that classifies clips, from `load_model`.
        clips: From `ModelMeta.preprocess`.
        max_clips: Clips in one forward pass, at most.
    """
    inputs = network_inputs(model, clips)
    parts = chunks(inputs, len(clips["start"]), max_clips)
    with evaluating(model):
        return ClassScores.concatenate([ClassScores.from_tensors(model(part)["scores"]) for part in parts])
