"""How large and how costly a network is."""

import logging
import warnings

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn


class _Positional(nn.Module):
    """fvcore traces a module over positional tensors; the network takes a dict."""

    def __init__(self, model, names, boxes):
        super().__init__()
        self.model, self.names, self.boxes = model, names, boxes

    def forward(self, *tensors):
        scores = self.model(dict(zip(self.names, tensors)), boxes=self.boxes)["scores"]
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
            tensors = tuple(torch.zeros(shape, device=device) for shape in shapes.values())
            flops = FlopCountAnalysis(_Positional(model, list(shapes), boxes), tensors)
            flops.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            return flops.total() / 1e9
    finally:
        for module, training in modes.items():
            module.training = training
