"""Small networks with known weights, and files of them, for tests of checkpoints."""

import torch
import weights as conformance

from avslowfast.config.names import STAGES
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes

from . import tiny_cfg

BOTTLENECK = (
    "RESNET.DEPTH",
    50,
    "RESNET.TRANS_FUNC",
    "bottleneck_transform",
    "RESNET.WIDTH_PER_GROUP",
    8,
    "SLOWFAST.AU_BETA_INV",
    2,
)
NONLOCAL = ("NONLOCAL.LOCATION", [[[], []], [[1], []], [[0], []], [[], []]])
DETECTION = ("DETECTION.ENABLE", True, "DETECTION.SPATIAL_SCALE_FACTOR", 32)
PLAIN = ("SLOWFAST.AFS_FUSION", [False, False, True, True], "SLOWFAST.AVS_FLAG", [False, False, True, True, True])


def make(*overrides, seed="a"):
    """A tiny bottleneck network in which all tensors differ: each is filled by its name, as in the golden vectors."""
    model = build_model(tiny_cfg(*BOTTLENECK, *overrides)).eval()
    model.load_state_dict(
        {name: conformance.tensor_for(name, tensor.shape, seed) for name, tensor in model.state_dict().items()}
    )
    return model


def save(state, path):
    torch.save({"model_state": state, "epoch": 3}, path)
    return path


def inputs_for(model, cfg_overrides=(), crop=48, batch=2):
    torch.manual_seed(0)
    return {
        name: torch.randn(shape)
        for name, shape in input_shapes(tiny_cfg(*BOTTLENECK, *cfg_overrides), crop, batch).items()
    }


def stage_features(model, inputs, **kwargs):
    """{(pathway, stage): features} of one forward pass."""
    result, hooks = {}, []
    for name, pathway in model.pathways.items():
        hooks += [
            getattr(pathway, s).register_forward_hook(lambda m, i, out, key=(name, s): result.update({key: out}))
            for s in STAGES
            if hasattr(pathway, s)
        ]
    with torch.no_grad():
        result["scores"] = model(inputs, **kwargs)["scores"]
    for hook in hooks:
        hook.remove()
    return result
