"""How large and how costly a network is."""

import logging
import warnings

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn


class Positional(nn.Module):
    """A network over positional tensors, for tools that trace: scores, or a tuple of them for several classifiers.

    Args:
        model: the network. names: what each tensor is, e.g. ["slow", "fast", "audio", "audio_mask"]; "boxes" may be among them.
    """

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, list(names)

    def forward(self, *tensors):
        inputs = dict(zip(self.names, tensors))
        boxes = inputs.pop("boxes", None)
        scores = self.model(inputs, boxes=boxes)["scores"]
        return tuple(scores.values()) if isinstance(scores, dict) else scores


def count_parameters(model):
    """Number of weights."""
    return sum(p.numel() for p in model.parameters())


def count_gflops(model, shapes, boxes=None):
    """Multiply-adds of one forward pass in testing, in units of 1e9, as fvcore counts them (convolutions, linear layers, products).

    Args:
        shapes: {input name: shape}, see `build.input_shapes`.
        boxes: [K, 5] for a detection model.
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
            return flops.total() / 1e9
    finally:
        for module, training in modes.items():
            module.training = training
