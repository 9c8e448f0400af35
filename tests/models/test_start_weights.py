"""First weights."""

import torch
from helpers import tiny_cfg

from avslowfast.models import build_model


def test_start_weights_come_from_the_seed_and_leave_the_global_generator_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    a, b, c = build_model(tiny_cfg()), build_model(tiny_cfg()), build_model(tiny_cfg("RNG_SEED", 2))
    assert torch.equal(state, torch.get_rng_state())
    name = "pathways.slow.pool1.conv.weight"
    assert torch.equal(a.state_dict()[name], b.state_dict()[name])
    assert not torch.equal(a.state_dict()[name], c.state_dict()[name])
