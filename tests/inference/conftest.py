"""Networks that tests of inference share."""

import pytest


@pytest.fixture
def boxes_network(fresh):
    """A tiny detection network."""
    return fresh("DETECTION.ENABLE", True, "DETECTION.SPATIAL_SCALE_FACTOR", 32)
