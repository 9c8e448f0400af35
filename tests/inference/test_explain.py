"""Explanations: where the evidence lies, what each modality contributes."""

import json

import numpy as np
import pytest
import torch
from helpers.tools import command

from avslowfast.inference.explain import explain, explain_clips, ExplanationError


def test_explanations_have_the_shapes_of_the_inputs_and_masking_removes_audio(network, synthav, tmp_path):
    inputs = network.meta.preprocess(synthav / "test/000003.mp4", views=1, crops=1)
    explanation = explain(network, inputs)
    assert explanation.visual.shape == explanation.frames.shape[:3]
    assert explanation.audio.shape == explanation.spectrogram.shape == (64, 40)
    assert explanation.visual.min() >= 0 and abs(explanation.visual.max() - 1) < 1e-5
    assert set(explanation.contributions) == {"audiovisual", "without audio", "without frames"}
    with torch.no_grad():
        tensors = {name: value for name, value in inputs.items() if name != "start"}
        scores = network(tensors)["scores"][0]
        dropped = network(tensors, drop_audio=True)["scores"][0]
    assert explanation.class_id == int(scores.argmax())
    assert abs(explanation.contributions["audiovisual"] - float(scores.max())) < 1e-6
    assert abs(explanation.contributions["without audio"] - float(dropped[explanation.class_id])) < 1e-6
    other = explain(network, inputs, class_id=5, stage="res4")
    assert other.class_id == 5 and not np.allclose(other.visual, explanation.visual)
    with pytest.raises(ExplanationError, match="no stage 'res9'"):
        explain(network, inputs, stage="res9")
    command(
        "explain",
        "--weights",
        network.meta.source,
        "--class",
        "bob+tone",
        "--out",
        tmp_path,
        synthav / "test/000003.mp4",
    )
    assert json.load(open(tmp_path / "000003.json"))["class"] == "bob+tone"
    assert (tmp_path / "000003.png").stat().st_size > 10000


def test_clips_are_explained_together_as_one_by_one(network, synthav):
    clips = network.meta.preprocess(synthav / "test/000003.mp4", views=2, crops=3)
    assert len(clips["audio"]) == 2 and len(clips["start"]) == 6
    together = explain_clips(network, clips, class_id=3)
    hears = clips["audio_index"].tolist()
    for i, found in enumerate(together):
        own = {name: clips[name][i : i + 1] for name in ("slow", "fast", "start")}
        own |= {name: clips[name][hears[i] : hears[i] + 1] for name in ("audio", "audio_mask")}
        alone = explain(network, own, class_id=3)
        assert found.start == alone.start and np.array_equal(found.frames, alone.frames)
        assert np.array_equal(found.spectrogram, alone.spectrogram)
        assert np.allclose([*found.contributions.values(), found.score], [*alone.contributions.values(), alone.score])
        # A gradient jumps where rounding moves the input of a ReLU over 0, so that single cells may differ.
        assert np.abs(found.visual - alone.visual).mean() < 1e-5 and np.abs(found.audio - alone.audio).mean() < 1e-5
    assert not np.allclose(together[0].visual, together[1].visual, atol=0.1)


def test_an_explanation_of_one_modality(fresh):
    explanation = explain(
        fresh("MODEL.ARCH", "audio"),
        {"audio": torch.randn(1, 1, 64, 40), "audio_mask": torch.ones(1, dtype=torch.bool), "start": torch.zeros(1)},
    )
    assert explanation.visual is None and explanation.frames is None
    assert explanation.audio.shape == (64, 40) and explanation.contributions == {}


@pytest.mark.parametrize("key", [None, "DATA.USE_BGR_ORDER", "DATA.REVERSE_INPUT_CHANNEL"])
def test_frames_of_an_explanation_are_red_green_blue(fresh, synthav, key):
    model = fresh("MODEL.ARCH", "slow", *((key, True) if key else ()))
    inputs = model.meta.preprocess(synthav / "test/000003.mp4", views=1, crops=1)
    plain = fresh("MODEL.ARCH", "slow").meta.preprocess(synthav / "test/000003.mp4", views=1, crops=1)
    expected = plain["slow"][0].permute(1, 2, 3, 0).numpy()
    assert not np.array_equal(expected, expected[..., ::-1])
    assert np.array_equal(explain(model, inputs).frames, expected)


def test_networks_of_boxes_and_of_several_classifiers_are_refused(boxes_network):
    with pytest.raises(ExplanationError, match="single classifier"):
        explain(boxes_network, {"start": torch.zeros(1)})
