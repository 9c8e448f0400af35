"""Audio laterals, each built from plain arguments, and one that a plugin registers with an option of its own."""

import pytest
import torch
from helpers import tiny_cfg
from helpers.networks import loss_of, make

from avslowfast.config import plugins
from avslowfast.config.names import LateralFacts, LATERALS
from avslowfast.models import build_model
from avslowfast.models.laterals.base import AudioLateral, LateralGeometry
from avslowfast.models.laterals.fast_to_slow import FastToSlow
from avslowfast.models.norm import NormSpec

STEPS, FREQUENCIES, FRAMES = 16, 10, 4


def geometry_of(kind):
    target = LATERALS.facts(kind).target
    return LateralGeometry(target=target, dim_audio=6, dim_visual=8, stride=STEPS // FRAMES, dim_inner=5)


@pytest.fixture
def lateral(kind):
    torch.manual_seed(0)
    return LATERALS[kind](geometry_of(kind), NormSpec()).eval()


@pytest.fixture
def tensors():
    torch.manual_seed(1)
    return torch.randn(3, 6, STEPS, FREQUENCIES), torch.randn(3, 8, FRAMES, 7, 7)


@pytest.mark.parametrize("kind", LATERALS)
def test_a_lateral_is_an_audio_lateral_with_the_target_of_its_facts(kind, lateral):
    assert isinstance(lateral, AudioLateral)
    assert lateral.target == LATERALS.facts(kind).target


@pytest.mark.parametrize("kind", LATERALS)
def test_encoded_audio_has_the_channels_and_the_time_that_the_lateral_declares(kind, lateral, tensors):
    steps = STEPS if LATERALS.facts(kind).keeps_audio_time else FRAMES
    assert lateral.encode(tensors[0]).shape == (3, lateral.dim_encoded, steps)


@pytest.mark.parametrize("kind", LATERALS)
def test_fusion_changes_visual_features_by_the_same_amount_at_every_position(kind, lateral, tensors):
    audio, visual = tensors
    added = lateral.fuse(visual, lateral.encode(audio)) - visual
    assert added.shape == visual.shape
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added), atol=1e-5, rtol=1e-5)
    assert added.abs().max() > 0


@pytest.mark.parametrize("kind", LATERALS)
def test_a_clip_without_audio_keeps_its_visual_features_even_if_its_audio_is_nan(kind, lateral, tensors):
    audio, visual = tensors
    audio[1] = float("nan")
    fused = lateral.fuse(visual, lateral.encode(audio), torch.tensor([True, False, True]))
    assert torch.equal(fused[1], visual[1])
    assert torch.isfinite(fused).all()


@pytest.mark.parametrize("kind", [kind for kind in LATERALS if not LATERALS.facts(kind).keeps_audio_time])
def test_a_spectrogram_of_another_length_is_refused_with_its_keys(kind, lateral, tensors):
    audio, visual = tensors
    with pytest.raises(ValueError, match="8 time steps but .* has 4.*DATA.AUDIO_FRAME_NUM"):
        lateral.fuse(visual, lateral.encode(torch.cat([audio, audio], dim=2)))


@pytest.mark.parametrize("kind", LATERALS)
def test_a_lateral_of_the_package_has_no_options(kind):
    assert LATERALS[kind].options(tiny_cfg()) == {}


def test_fast_joins_slow_by_concatenation():
    lateral = FastToSlow(4, ratio=2, kernel=5, alpha=8, norm=NormSpec())
    slow = torch.randn(2, 3, 2, 7, 7)
    joined = lateral(slow, torch.randn(2, 4, 16, 7, 7))
    assert joined.shape == (2, 3 + lateral.dim_out, 2, 7, 7)
    assert torch.equal(joined[:, :3], slow)


class Gain(AudioLateral):
    """Mean audio, projected, times a factor of the configuration."""

    def __init__(self, geometry, norm, inplace=True, *, gain):
        super().__init__(geometry, norm, inplace)
        self.project = torch.nn.Linear(geometry.dim_audio, geometry.dim_visual)
        self.dim_encoded = geometry.dim_visual
        self.gain = gain

    @classmethod
    def options(cls, cfg):
        return {"gain": cfg.MY_LATERAL.GAIN}

    def encode(self, x_BCTF):
        return self.project(x_BCTF.mean(dim=(2, 3)))[..., None]

    def fuse(self, x_visual, encoded, audio_mask=None):
        return x_visual + self.gain * encoded[..., None, None]


@pytest.fixture
def my_lateral(registry_of):
    """Registers `Gain` as "my_gain" with a configuration node, as a plugin does; undone afterwards."""

    def register(target):
        registry_of("LATERALS").register("my_gain", LateralFacts(target=target))(Gain)
        plugins.add_config("MY_LATERAL", {"GAIN": (1.0, "Factor on the audio features.")})

    yield register
    plugins.remove_config("MY_LATERAL")


@pytest.mark.parametrize("target", ["slow", "fast"])
def test_a_lateral_of_a_plugin_is_built_with_its_option(my_lateral, target):
    my_lateral(target)
    model = build_model(tiny_cfg("LATERAL.AUDIO", "my_gain", "MY_LATERAL.GAIN", 3.0))
    assert [lateral.gain for lateral in model.audio_laterals.values()] == [3.0, 3.0]
    assert {lateral.target for lateral in model.audio_laterals.values()} == {target}


@pytest.mark.parametrize("target", ["slow", "fast"])
def test_a_lateral_of_a_plugin_learns(my_lateral, target):
    my_lateral(target)
    model, inputs = make("LATERAL.AUDIO", "my_gain", "MY_LATERAL.GAIN", 3.0)
    loss_of(model(inputs, drop_audio=False)).backward()
    assert all(lateral.project.weight.grad.abs().max() > 0 for lateral in model.audio_laterals.values())


def test_the_option_of_a_lateral_decides_what_it_adds(my_lateral):
    my_lateral("slow")
    scores = []
    for gain in (0.0, 3.0):
        model, inputs = make("LATERAL.AUDIO", "my_gain", "MY_LATERAL.GAIN", gain, "LATERAL.AUDIO_POOL5", False)
        with torch.no_grad():
            kept, dropped = (model.eval()(inputs, drop_audio=drop)["scores"] for drop in (False, True))
        scores.append((kept, dropped))
    assert torch.equal(*scores[0])
    assert not torch.equal(*scores[1])
