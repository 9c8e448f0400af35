"""Every registered pretext, and one of a plugin, through losses, scores and metrics."""

import numpy as np
import pytest
import torch
from helpers import tiny_cfg

from avslowfast.config.names import PretextFacts, PRETEXTS
from avslowfast.evaluation.build import build_protocol, declared_metrics
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.tasks.build import build_task
from avslowfast.tasks.pretexts import Pretext, VariantPretext

CPU = torch.device("cpu")
PRETRAIN = ("TASK", "pretrain", "RESNET.WIDTH_PER_GROUP", 8, "SYNC.MAX_SHIFT", 0.4, "SYNC.SHIFT_STEP", 0.2)


def cfg_of(*names):
    """PRETRAIN.TASKS is set after the checks, which a plugin's name passes where its module is imported first."""
    cfg = tiny_cfg(*PRETRAIN, "TEST.NUM_SPATIAL_CROPS", 1).clone()
    cfg.defrost()
    cfg.PRETRAIN.TASKS = list(names)
    cfg.freeze()
    return cfg


def batch_of(cfg, clips=4, shifts=5):
    """Clips as the loader gives them for evaluation, those of two views of a video side by side."""
    torch.manual_seed(0)
    batch = {name: torch.randn(shape) for name, shape in input_shapes(cfg, 48, clips).items()}
    audio = batch["audio"]
    return {
        **batch,
        "audio_mask": torch.ones(clips, dtype=torch.bool),
        "audio_hard": audio.flip(0),
        "audio_hard_mask": torch.tensor([True] * (clips - 1) + [False]),
        "audio_shifts": torch.randn(clips, shifts, *audio.shape[1:]),
        "audio_shifts_mask": torch.ones(clips, shifts, dtype=torch.bool),
        "clip_index": torch.arange(clips) // 2,
    }


def registered(cls, name, outputs):
    PRETEXTS.register(name, facts=PretextFacts(outputs=outputs))(cls)
    return name


@pytest.fixture
def direction():
    """A pretext of a plugin: is a clip played forwards or backwards?"""

    class Direction(VariantPretext):
        def vary(self, clips, variants):
            return torch.where(variants[:, None, None, None, None] == 1, clips.flip(2), clips)

    yield registered(Direction, "direction", 2)
    del PRETEXTS._entries["direction"], PRETEXTS._facts["direction"]


@pytest.fixture
def brightness():
    """Another with an output that is no class: regress the mean of the spectrogram, which is known."""

    class Brightness(Pretext):
        def transform(self, inputs, draw):
            gain = torch.from_numpy(draw(self.name).uniform(0.5, 1.5, size=len(inputs["slow"]))).float()
            return {**inputs, "slow": inputs["slow"] * gain[:, None, None, None, None]}, gain

        def loss(self, outputs, targets):
            return (outputs[:, 0] - targets).square().mean()

        def score(self, network, inputs):
            return {self.name: torch.ones(len(inputs["slow"]), 1)}

    yield registered(Brightness, "brightness", 1)
    del PRETEXTS._entries["brightness"], PRETEXTS._facts["brightness"]


@pytest.mark.parametrize("name", sorted(PRETEXTS))
def test_every_pretext_trains_and_is_measured_as_declared(name):
    check(cfg_of(name))


def test_pretexts_of_a_plugin_share_the_head_and_are_measured(direction, brightness):
    cfg = cfg_of("avs", direction, "rotation", brightness)
    losses, metrics = check(cfg)
    assert {"loss_direction", "loss_rotation", "loss_brightness", "avs_res5"} <= set(losses)
    assert {"direction_top1", "rotation_top1", "brightness_top1", "res5_hard"} <= set(metrics)
    assert metrics["brightness_top1"] == 100.0


def check(cfg):
    """Losses with a gradient, scores with one row per clip, metrics as the protocol declares them."""
    model, task, batch = build_model(cfg), build_task(cfg, CPU), batch_of(cfg)
    losses = task.losses(model.train(), batch, False, 0)
    losses["loss"].backward()
    assert torch.isfinite(losses["loss"])
    with torch.no_grad():
        scores = task.scores(model.eval(), batch, 3)
    assert len(scores) == 4
    videos = [scores.of_video(batch["clip_index"].numpy() == i, "none") for i in (0, 1)]
    stacked = type(scores).stack([*videos, None])
    metrics = build_protocol(cfg, None, "kinetics").measure(stacked, np.zeros(3, int))
    assert list(metrics) == [metric.name for metric in declared_metrics(cfg, "kinetics")]
    return losses, metrics


def test_the_same_iteration_draws_the_same_variants_and_another_one_others():
    cfg = cfg_of("rotation")
    model, task, batch = build_model(cfg).train(), build_task(cfg, CPU), batch_of(cfg, clips=8)
    first, again, other = (task.losses(model, batch, None, iteration)["loss"] for iteration in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_pretext_with_outputs_has_to_define_its_loss():
    class Silent(Pretext):
        def score(self, network, inputs):
            return {}

    with pytest.raises(NotImplementedError, match="'silent' has 3 outputs but defines no loss"):
        Silent("silent", 3).loss(torch.zeros(1, 3), torch.zeros(1))
