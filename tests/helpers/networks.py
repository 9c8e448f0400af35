"""Small networks for tests."""

import torch

from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.models.norm import is_batch_norm

from . import tiny_cfg

WIDTH = ("RESNET.WIDTH_PER_GROUP", 8, "MODEL.DROPOUT_RATE", 0.0)


def make(*overrides, batch=3, crop=48):
    """(model, inputs) of the tiny configuration."""
    cfg = tiny_cfg(*WIDTH, *overrides)
    model = build_model(cfg)
    torch.manual_seed(0)
    # A last batch norm at zero would hide the weights before it from the gradient.
    for module in model.modules():
        if is_batch_norm(module):
            torch.nn.init.ones_(module.weight)
    inputs = {name: torch.randn(shape) for name, shape in input_shapes(cfg, crop, batch).items()}
    return model, inputs


def loss_of(out):
    logits = out["logits"]
    values = logits.values() if isinstance(logits, dict) else [logits]
    return sum(v.square().sum() for v in values) + sum(out["losses"].values())


def count_convolutions(model, run):
    """Names of the modules with weights that ran, with the batch sizes they saw."""
    seen = []
    hooks = [
        m.register_forward_hook(lambda m, args, out, n=n: seen.append((n, len(args[0]))))
        for n, m in model.named_modules()
        if isinstance(m, (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d))
    ]
    run()
    for hook in hooks:
        hook.remove()
    return seen


def is_audio(name):
    return name.startswith(("pathways.audio", "audio_laterals")) or ".encoder." in name
