"""Precise batch norm."""

import torch
from helpers import tiny_cfg
from helpers.networks import make

from avslowfast.engine.precise_bn import precise_bn
from avslowfast.tasks.build import build_task


def test_precise_statistics_are_those_of_the_batches_with_audio():
    model, inputs = make("SLOWFAST.DROPPATHWAY_RATE", 1.0)
    model.train()
    before = [p.clone() for p in model.parameters()]
    pointer = model.pathways["audio"].pool1.bn.running_mean.data_ptr()
    state = torch.get_rng_state()
    precise_bn(model, build_task(tiny_cfg(), torch.device("cpu")), iter([inputs]), 1)
    bn = model.pathways["audio"].pool1.bn
    stem = model.pathways["audio"].pool1
    x = stem.conv_t(inputs["audio"]) + stem.conv_f(inputs["audio"])
    torch.testing.assert_close(bn.running_mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(bn.running_var, x.var((0, 2, 3), unbiased=False), rtol=1e-3, atol=1e-5)
    assert bn.running_mean.data_ptr() == pointer
    assert bn.momentum == 0.1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert torch.equal(state, torch.get_rng_state())
    idle = model.sync_heads["res5"].join_fast.bn
    assert idle.training
    assert (idle.running_var == 1).all()


def test_parts_of_sub_batchnorm_take_the_precise_statistics():
    model, inputs = make("BN.NORM_TYPE", "sub_batchnorm", "BN.NUM_SPLITS", 2, batch=4)
    model.train()
    precise_bn(model, build_task(tiny_cfg(), torch.device("cpu")), iter([inputs]), 1)
    bn, stem = model.pathways["audio"].pool1.bn, model.pathways["audio"].pool1
    x = stem.conv_t(inputs["audio"]) + stem.conv_f(inputs["audio"])
    torch.testing.assert_close(bn.running_var, x.var((0, 2, 3), unbiased=False), rtol=1e-3, atol=1e-5)
    assert torch.equal(bn.split_mean, bn.running_mean.expand(2, -1))
    assert torch.equal(bn.split_var, bn.running_var.expand(2, -1))
