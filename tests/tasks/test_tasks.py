"""Tasks: what each one is built as, what it asks of a checkpoint, a task of a plugin."""

import pytest
import torch
from helpers import tiny_cfg
from helpers.networks import make

from avslowfast.config.names import TaskFacts, TASKS
from avslowfast.models import build_model
from avslowfast.tasks.build import build_task
from avslowfast.tasks.classification import ClassificationTask
from avslowfast.tasks.detection import DetectionTask
from avslowfast.tasks.features import FeatureTask
from avslowfast.tasks.losses import criterion_named
from avslowfast.tasks.pretext import PretextTask
from avslowfast.tasks.scores import ClassScores

CPU = torch.device("cpu")
SMALL = ("RESNET.WIDTH_PER_GROUP", 8)
KEYS = {
    "classification": (),
    "detection": ("DETECTION.ENABLE", True, "MODEL.LOSS_FUNC", "bce"),
    "sync": ("TASK", "sync", "TEST.NUM_SPATIAL_CROPS", 1),
    "pretrain": ("TASK", "pretrain", "PRETRAIN.TASKS", ["rotation"], "TEST.NUM_SPATIAL_CROPS", 1),
    "probe": ("TASK", "probe"),
}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_task_is_built_and_says_what_it_needs_of_a_checkpoint(name):
    cfg = tiny_cfg(*SMALL, *KEYS[name])
    task, model = build_task(cfg, CPU), build_model(cfg)
    required = task.required_weights(model)
    weights = model.state_dict()
    assert required == "all" or all(any(key.startswith(part) for key in weights) for part in required.split(","))
    assert all(hasattr(model, part) for part in task.idle_in_evaluation)


def test_a_probe_needs_no_lateral_and_a_pretext_no_classifier():
    cfg = tiny_cfg(*SMALL)
    model = build_model(cfg)
    assert build_task(cfg, CPU).required_weights(model) == "all"
    probe = build_task(tiny_cfg(*SMALL, *KEYS["probe"]), CPU)
    assert probe.required_weights(model) == "pathways.,fast_to_slow."
    sync = build_task(tiny_cfg(*SMALL, *KEYS["sync"]), CPU)
    assert sync.required_weights(model) == "pathways.,fast_to_slow.,audio_laterals.,sync_heads."


def test_tasks_are_no_kinds_of_each_other():
    kinds = (ClassificationTask, DetectionTask, FeatureTask, PretextTask)
    assert all(not issubclass(a, b) for a in kinds for b in kinds if a is not b)


def test_a_probe_trains_nothing():
    cfg = tiny_cfg(*SMALL, *KEYS["probe"])
    with pytest.raises(NotImplementedError, match="no losses"):
        build_task(cfg, CPU).losses(build_model(cfg), {}, None, 0)


def test_the_sum_of_losses_weighs_synchronisation():
    task = ClassificationTask(criterion_named("cross_entropy"), device=CPU, avs_weight=0.5)
    losses = task.with_total({"loss_cls": torch.tensor(2.0)}, {"avs_res4": torch.tensor(4.0)})
    assert {name: float(value) for name, value in losses.items()} == {"loss": 4.0, "loss_cls": 2.0, "avs_res4": 4.0}


def test_waveforms_without_a_front_end_are_named():
    task = ClassificationTask(criterion_named("cross_entropy"), device=CPU)
    with pytest.raises(ValueError, match="DATA.LOGMEL_ON_DEVICE"):
        task.inputs({"waveform": torch.zeros(1, 100)})


@pytest.fixture
def confidence():
    """A task of a plugin: classification with a penalty on confident predictions."""

    @TASKS.register("confidence", facts=TaskFacts())
    class Confidence(ClassificationTask):
        def losses(self, model, batch, drop_audio, iteration):
            out = self.forward(model, self.inputs(batch), drop_audio)
            parts = {
                "loss_cls": self.criterion(out["logits"], batch["label"]),
                "loss_confidence": out["logits"].square().mean(),
            }
            return self.with_total(parts, out["losses"])

    yield "confidence"
    del TASKS._entries["confidence"], TASKS._facts["confidence"]


def test_a_task_of_a_plugin_trains_and_scores(confidence):
    cfg = tiny_cfg(*SMALL, "TASK", confidence)
    task = build_task(cfg, CPU)
    model, inputs = make()
    batch = {**inputs, "label": torch.tensor([0, 1, 2]), "clip_index": torch.arange(3)}
    losses = task.losses(model.train(), batch, False, 0)
    assert "loss_confidence" in losses and torch.isfinite(losses["loss"])
    with torch.no_grad():
        scores = task.scores(model.eval(), batch, 2)
    assert isinstance(scores, ClassScores) and len(scores) == 3
