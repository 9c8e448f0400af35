"""How large and how costly a network is."""

import logging

import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn


class _Positional(nn.Module):
    """fvcore traces a module over positional tensors; the network takes a dict."""

    def __init__(self, model, names, **kwargs):
        super().__init__()
        self.model, self.names, self.kwargs = model, names, kwargs

    def forward(self, *tensors):
        out = self.model(dict(zip(self.names, tensors)), **self.kwargs)
        result = out["scores"] if "scores" in out else out["logits"]
        values = result.values() if isinstance(result, dict) else [result]
        return tuple(values) + tuple(out.get("losses", {}).values())


def count_parameters(model):
    """Number of weights."""
    return sum(p.numel() for p in model.parameters())


def count_gflops(model, shapes, training_heads=False, boxes=None):
    """Multiply-adds of one forward pass in units of 1e9, as fvcore counts them (convolutions, linear layers, products).

    Args:
        shapes: {input name: shape}, see `build.input_shapes`.
        training_heads: also count what only the synchronisation losses use.
        boxes: [K, 5] for a detection model.
    """
    was_training = model.training
    device = next(model.parameters()).device
    names = list(shapes)
    tensors = tuple(torch.zeros(shapes[n], device=device) for n in names)
    # A dropped training pass runs every synchronisation head; laterals whose sum is left out are counted with them.
    kwargs = {"drop_audio": True} if training_heads else {}
    if boxes is not None:
        kwargs["boxes"] = boxes.to(device)
    frozen = {n: m.training for n, m in model.named_modules()}
    model.eval()
    if training_heads:
        # Only the network's own flag: batch norms stay in eval mode, so nothing is changed by counting.
        model.training = True
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    try:
        with torch.no_grad():
            wrapped = _Positional(model, names, **kwargs)
            flops = FlopCountAnalysis(wrapped, tensors)
            flops.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
            return flops.total() / 1e9
    finally:
        for n, m in model.named_modules():
            m.training = frozen[n]
        model.training = was_training
