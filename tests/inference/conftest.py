"""Networks that tests of inference share."""

import pytest
from helpers import tiny_cfg

from avslowfast.inference.load import ModelMeta
from avslowfast.models import build_model


@pytest.fixture
def fresh():
    """A function of overrides: the tiny network with fresh weights, as `load_model` gives it."""

    def make(*overrides):
        cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 8, *overrides)
        model = build_model(cfg).eval()
        model.meta = ModelMeta(cfg)
        return model

    return make


@pytest.fixture
def boxes_network(fresh):
    """A tiny detection network."""
    return fresh("DETECTION.ENABLE", True, "DETECTION.SPATIAL_SCALE_FACTOR", 32)
