"""Weight decay groups, learning-rate schedules and optimisers."""

import pytest
import torch
from helpers import tiny_cfg
from helpers.networks import make

from avslowfast.config import get_cfg
from avslowfast.engine.optim import build_optimizer, lr_at, parameter_groups, set_lr


@pytest.mark.parametrize("zero_1d", [False, True])
def test_weight_decay_groups_cover_each_weight_once(zero_1d):
    model, _ = make()
    groups = parameter_groups(model, 1e-4, 0.0, zero_1d)
    ids = [id(p) for g in groups for p in g["params"]]
    assert len(ids) == len(set(ids)) == len(list(model.parameters()))
    decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
    assert id(model.pathways["slow"].pool1.bn.weight) not in decayed
    assert id(model.head.projection.weight) in decayed
    assert (id(model.head.projection.bias) in decayed) != zero_1d


@pytest.mark.parametrize(
    "keys", [(), ("SOLVER.DAMPENING", 0.1), ("SOLVER.MOMENTUM", 0.0), ("SOLVER.OPTIMIZING_METHOD", "adamw")]
)
def test_weights_whose_first_gradient_comes_later_learn_as_in_torch(keys):
    """With DropPathway the audio pathway may go without a gradient for many steps."""
    cfg = tiny_cfg(*keys)
    ours, plain = ({"video": torch.nn.Linear(3, 2), "audio": torch.nn.Linear(3, 2)} for _ in range(2))
    ours, plain = torch.nn.ModuleDict(ours), torch.nn.ModuleDict(plain)
    plain.load_state_dict(ours.state_dict())
    s, parameters = cfg.SOLVER, list(plain.parameters())
    if s.OPTIMIZING_METHOD == "adamw":
        other = torch.optim.AdamW(parameters, s.BASE_LR, tuple(s.BETAS), weight_decay=s.WEIGHT_DECAY)
    else:
        other = torch.optim.SGD(
            parameters,
            s.BASE_LR,
            s.MOMENTUM,
            s.DAMPENING,
            s.WEIGHT_DECAY,
            s.NESTEROV and s.MOMENTUM > 0 and s.DAMPENING == 0,
        )
    optimizer = build_optimizer(cfg, ours)
    set_lr(optimizer, s.BASE_LR)
    for step in range(5):
        x = torch.randn(4, 3)
        for model, optim in ((ours, optimizer), (plain, other)):
            optim.zero_grad(set_to_none=True)
            sum(model[name](x).square().sum() for name in (("video",) if step < 2 else ("video", "audio"))).backward()
            optim.step()
    for a, b in zip(ours.parameters(), plain.parameters()):
        torch.testing.assert_close(a, b)


def test_schedules_warm_up_scale_and_end():
    cfg = get_cfg()
    cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.WARMUP_EPOCHS = 20, 5.0
    cfg.SOLVER.COSINE_AFTER_WARMUP, cfg.SOLVER.COSINE_END_LR = True, 0.001
    assert [lr_at(cfg, epoch) for epoch in (0, 5, 20)] == [0.01, pytest.approx(0.1), pytest.approx(0.001)]
    cfg.NUM_SHARDS, cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS = 4, True
    assert lr_at(cfg, 5) == pytest.approx(0.4)


def test_published_steps_with_more_rates_than_steps():
    rates, steps = [1, 0.1, 0.01, 0.001, 0.0001, 0.00001], [0, 94, 154, 196]
    keys = ("SOLVER.LR_POLICY", "steps_with_relative_lrs", "SOLVER.LRS", rates, "SOLVER.STEPS", steps)
    cfg = tiny_cfg(*keys, "SOLVER.MAX_EPOCH", 239, "SOLVER.BASE_LR", 0.1)
    assert [lr_at(cfg, e) for e in (93.9, 94, 160, 238.9, 239)] == pytest.approx([0.1, 0.01, 0.001, 0.0001, 0.0001])
