"""Registries."""

import pytest

from avslowfast.utils.registry import Registry


def test_registry_suggests_the_nearest_name():
    registry = Registry("THINGS")
    registry.register("audio")(1)
    with pytest.raises(ValueError, match="did you mean 'audio'"):
        registry["audo"]
    with pytest.raises(ValueError, match="already"):
        registry.register("audio")(2)
