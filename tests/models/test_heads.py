"""Heads: {classifier: tensor} inside; several pretexts share one; torchvision only where boxes are classified."""

import subprocess
import sys

import pytest
import torch
from helpers import ROOT, TINY, tiny_cfg
from helpers.networks import make

from avslowfast.config import ConfigError
from avslowfast.config.names import HEADS, PretextFacts
from avslowfast.models import build_model
from avslowfast.models.heads import Head, HeadSpec

BOXES = torch.tensor([[0, 2.0, 2, 30, 30], [1, 5, 5, 40, 44], [1, 0, 0, 48, 48]])


def spec_of(name, dropout=0.0):
    """Two visual pathways and audio; the second classifier is for heads that take several."""
    classes = {"a": 5, "b": 7} if name in ("multi", "pretext") else {"": 5}
    return HeadSpec({"slow": 6, "fast": 2, "audio": 4}, {"slow": (1, 2, 2), "fast": (2, 2, 2)}, classes, dropout)


@pytest.fixture
def features():
    torch.manual_seed(0)
    return {"slow": torch.randn(2, 6, 1, 3, 3), "fast": torch.randn(2, 2, 2, 3, 3), "audio": torch.randn(2, 4, 8, 5)}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_gives_one_tensor_per_classifier_in_training_and_testing(name, features):
    spec, rows = spec_of(name), 3 if name == "roi" else 2
    head = HEADS[name](spec)
    for training in (True, False):
        out = head.train(training)(features, None, BOXES)
        assert {key: tuple(x.shape) for key, x in out.items()} == {key: (rows, k) for key, k in spec.classes.items()}


@pytest.mark.parametrize("name", HEADS)
def test_scores_of_a_head_sum_to_one(name, features):
    for scores in HEADS[name](spec_of(name)).eval()(features, None, BOXES).values():
        torch.testing.assert_close(scores.sum(dim=1), torch.ones(len(scores)))


@pytest.mark.parametrize("name", HEADS)
def test_audio_that_was_dropped_counts_as_zeros(name, features):
    head = HEADS[name](spec_of(name)).eval()
    dropped = head({key: x for key, x in features.items() if key != "audio"}, None, BOXES)
    masked = head(features, torch.tensor([False, False]), BOXES)
    for key, scores in head(features, None, BOXES).items():
        assert torch.equal(dropped[key], masked[key])
        assert not torch.equal(dropped[key], scores)


@pytest.mark.parametrize("name", HEADS)
def test_a_head_of_the_package_has_no_options(name):
    assert HEADS[name].options(tiny_cfg()) == {}


def test_several_pretexts_share_a_head(registry_of):
    registry_of("PRETEXTS").register("speed", PretextFacts(outputs=3))(object)
    model, inputs = make("TASK", "pretrain", "PRETRAIN.TASKS", ["avs", "rotation", "speed"])
    out = model(inputs, drop_audio=True)
    assert {name: tuple(x.shape) for name, x in out["logits"].items()} == {"rotation": (3, 4), "speed": (3, 3)}
    assert {name for name, _ in model.head.named_parameters()} == {
        "rotation.weight",
        "rotation.bias",
        "speed.weight",
        "speed.bias",
    }


def test_a_network_that_learns_synchronisation_alone_has_no_classifier():
    model, inputs = make("TASK", "sync")
    assert model(inputs)["logits"] == {}
    assert not list(model.head.parameters())


class Scaled(Head):
    """Mean features of each clip as scores, times a factor."""

    def __init__(self, spec, factor):
        super().__init__(spec)
        self.factor = factor

    @classmethod
    def options(cls, cfg):
        return {"factor": float(cfg.MODEL.NUM_CLASSES)}

    def forward(self, features, audio_mask=None, boxes=None):
        return {"": self.factor * self.pool(features, audio_mask).mean(dim=(1, 2, 3))}


def test_a_head_of_a_plugin_is_chosen_by_its_key_and_built_with_its_options(registry_of):
    registry_of("HEADS").register("scaled")(Scaled)
    model, inputs = make("MODEL.HEAD", "scaled")
    assert model.head.factor == 16.0
    assert model.eval()(inputs)["scores"].shape == (3, model.head.dim)


@pytest.mark.parametrize("overrides, imported", [([], False), (["DETECTION.ENABLE", True], True)])
def test_torchvision_is_imported_for_boxes_alone(overrides, imported):
    code = f"""
import sys
from avslowfast.config import load_cfg
from avslowfast.models import build_model
build_model(load_cfg({str(TINY)!r}, {overrides!r}))
print("torchvision" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == [str(imported)], done.stderr


def test_statistics_of_pixels_follow_the_order_of_the_channels():
    statistics = ["DATA.MEAN", [0.1, 0.2, 0.3], "DATA.STD", [0.4, 0.5, 0.6]]
    for overrides, reverse in (
        ([], False),
        (["DATA.USE_BGR_ORDER", True], True),
        (["DATA.REVERSE_INPUT_CHANNEL", True], True),
        (["DETECTION.ENABLE", True, "AVA.BGR", True], True),
    ):
        model = build_model(tiny_cfg(*statistics, *overrides))
        mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])
        assert torch.equal(model.pixel_mean.flatten(), mean.flip(0) if reverse else mean)
        assert torch.equal(model.pixel_std.flatten(), std.flip(0) if reverse else std)


@pytest.mark.parametrize("name", ["type", "training", "forward", "keys"])
def test_a_classifier_with_a_name_of_torchs_modules_is_one_line(name):
    keys = ("MULTI_HEAD.NAMES", [name], "MULTI_HEAD.NUM_CLASSES", [3], "MULTI_HEAD.LOSS_WEIGHTS", [1])
    with pytest.raises(ConfigError, match=f"MULTI_HEAD.NAMES: torch's modules use the name '{name}'; use another"):
        build_model(tiny_cfg(*keys))
