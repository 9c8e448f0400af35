"""Every lateral and task on a GPU that holds no numbers (torch's fake tensors): nothing mixes devices or waits for one.

What a GPU computes is shown by test_gpu.py where there is one; without one this finds tensors that stay on the CPU, and
operations whose result the host needs.
"""

import pytest
import torch
from helpers import tiny_cfg
from torch._subclasses.fake_tensor import DynamicOutputShapeException, FakeTensorMode

from avslowfast.config.names import LATERALS, PRETEXTS
from avslowfast.inference.load import ModelMeta
from avslowfast.inference.scoring import evaluating, network_inputs
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.tasks.build import build_task

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
SYNC = ("SLOWFAST.AVS_FLAG", [False, False, False, True, True])
CASES = [
    *(("LATERAL.AUDIO", name, *SYNC) for name in LATERALS),
    ("MODEL.ARCH", "slow"),
    ("MODEL.ARCH", "slowfast", "BN.NORM_TYPE", "sub_batchnorm", "BN.NUM_SPLITS", 2),
    ("MODEL.ARCH", "audio"),
    ("MODEL.LOSS_FUNC", "bce_logit", "DATA.MULTI_LABEL", True, "MODEL.HEAD_ACT", "sigmoid"),
    ("MIXUP.ENABLE", True),
    *(("TASK", "pretrain", "PRETRAIN.TASKS", [name], *SYNC) for name in PRETEXTS),
]


def test_a_tensor_on_the_cpu_is_found():
    with FakeTensorMode(), pytest.raises(RuntimeError, match="at least two devices"):
        torch.zeros(2, device=GPU) + torch.zeros(2)


def test_waiting_for_the_device_is_found():
    with FakeTensorMode(), pytest.raises(DynamicOutputShapeException):
        torch.zeros(2, device=GPU)[torch.zeros(2, device=GPU) > 0]


@pytest.mark.parametrize("keys", CASES, ids=lambda keys: "-".join(map(str, keys[:4])))
def test_a_step_stays_on_its_device(keys):
    cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 8, *keys)
    with FakeTensorMode():
        with GPU:
            model, task = build_model(cfg).train(), build_task(cfg, GPU)
            batch = {name: torch.zeros(shape) for name, shape in input_shapes(cfg, 64, 4).items()}
            shape = (4, cfg.MODEL.NUM_CLASSES) if cfg.DATA.MULTI_LABEL else (4,)
            batch |= {"label": torch.zeros(shape, dtype=torch.long), "audio_mask": torch.ones(4, dtype=torch.bool)}
        for drop in (False, True) if {"audio", "slow"} <= set(batch) else (False,):
            losses = task.losses(model, batch, drop, 0)
            assert {value.device for value in losses.values()} == {GPU} and losses["loss"].requires_grad


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("arch", ["avslowfast", "slowfast", "audio"])
def test_clips_of_a_reader_are_scored_where_the_network_is(arch, precision):
    cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 8, "MODEL.ARCH", arch)
    with FakeTensorMode():
        with GPU:
            model = build_model(cfg)
        model.meta = ModelMeta(cfg, precision=precision)
        clips = {name: torch.zeros(shape, device=CPU) for name, shape in input_shapes(cfg, 64, 2).items()}
        inputs = network_inputs(model, {**clips, "start": torch.zeros(2, device=CPU)})
        assert {value.device for value in inputs.values()} == {GPU} and set(inputs) == set(clips)
        with evaluating(model):
            scores = model(inputs)["scores"]
        assert scores.device == GPU and scores.shape == (2, cfg.MODEL.NUM_CLASSES)
