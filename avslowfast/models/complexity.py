"""How large and how costly a network is."""

import logging
import warnings
from collections.abc import Iterable, Mapping

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn, Tensor


class Positional(nn.Module):
    """A network over positional tensors, for tools that trace: scores, or a tuple of them for several classifiers.

    Args:
        model: The network.
        names: What each tensor is, e.g. ["slow", "fast", "audio", "audio_mask"]; "boxes" may be among them.
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        super().__init__()
        self.model, self.names = model, list(names)

    def forward(self, *tensors: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The network's scores, see `Network.forward`."""
        inputs = dict(zip(self.names, tensors))
        boxes = inputs.pop("boxes", None)
        scores = self.model(inputs, boxes=boxes)["scores"]
        return tuple(scores.values()) if isinstance(scores, dict) else scores


# What the other parts of a network are called.
_PARTS = {
    "fast_to_slow": "Fast-to-Slow laterals",
    "audio_laterals": "audio laterals",
    "sync_heads": "synchronisation heads",
}


def count_parameters(model: nn.Module) -> int:
    """Number of weights."""
    return sum(p.numel() for p in model.parameters())


def parameters_by_part(model: nn.Module) -> dict[str, tuple[int, int]]:
    """{part: (its weights, those of them that are trained)} of a network: pathways, laterals, heads; parts with any.

    Args:
        model: The network; a weight that parts share belongs to the first of them.
    """
    found: dict[str, tuple[int, int]] = {}
    for name, parameter in model.named_parameters():
        first, _, rest = name.partition(".")
        part = f"{rest.partition('.')[0]} pathway" if first == "pathways" else _PARTS.get(first, first)
        count, trained = found.get(part, (0, 0))
        size = parameter.numel()
        found[part] = (count + size, trained + size * parameter.requires_grad)
    return found


def count_gflops(model: nn.Module, shapes: Mapping[str, tuple[int, ...]], boxes: Tensor | None = None) -> float:
    """Multiply-adds of one forward pass in testing, in units of 1e9.

    They are counted as fvcore does: convolutions, linear layers, products.

    Args:
        model: The network; its mode is left as it is.
        shapes: {input name: shape}, see `build.input_shapes`.
        boxes: [N, 5] for a detection model.
    """
    device = next(model.parameters()).device
    modes = {module: module.training for module in model.modules()}
    model.eval()
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            # fvcore traces with torch.jit, which newer versions of torch announce as deprecated.
            warnings.simplefilter("ignore")
            tensors = {name: torch.zeros(shape, device=device) for name, shape in shapes.items()}
            if boxes is not None:
                tensors["boxes"] = boxes
            flops = FlopCountAnalysis(Positional(model, tensors), tuple(tensors.values()))
            flops.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            return float(flops.total()) / 1e9
    finally:
        for module, training in modes.items():
            module.training = training
