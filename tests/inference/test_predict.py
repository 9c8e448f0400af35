"""Predictions, and what goes with a network."""

import pytest
import torch
from helpers import VERB_AND_NOUN

import avslowfast
from avslowfast.inference.explain import explain, ExplanationError
from avslowfast.inference.load import meta_of, network_of, NotLoadedError
from avslowfast.inference.predictor import PredictionError
from avslowfast.inference.scoring import NoClassifierError
from avslowfast.inference.sliding_window import slide
from avslowfast.models import build_model


def test_a_prediction_is_name_id_and_score(network, synthav):
    predictions = avslowfast.predict(network, synthav / "test/000001.mp4", topk=2)
    for name, class_id, score in predictions:
        assert name == network.meta.class_names[class_id] and 0 <= score <= 1
    assert predictions[0].class_id == predictions[0][1] and predictions.index(predictions[1]) == 1


def test_several_classifiers_give_a_dict(fresh, synthav):
    predictions = avslowfast.predict(fresh(*VERB_AND_NOUN), synthav / "test/000001.mp4", topk=6, views=1)
    assert {head: len(best) for head, best in predictions.items()} == {"verb": 5, "noun": 6}


def test_a_network_of_boxes_says_what_to_use(boxes_network, synthav):
    with pytest.raises(PredictionError, match="classify_boxes"):
        avslowfast.predict(boxes_network, synthav / "test/000001.mp4")


def test_a_network_without_a_classifier_says_so(fresh, synthav):
    network, video = fresh("TASK", "sync"), synthav / "test/000000.mp4"
    for ask in (avslowfast.predict, slide):
        with pytest.raises(NoClassifierError, match=r"no classifier \(TASK sync\)"):
            ask(network, video)
    with pytest.raises(ExplanationError, match="only networks with a single classifier"):
        explain(network, network.meta.preprocess(video))


def test_the_meta_is_found_behind_data_parallelism(network, synthav):
    wrapped = torch.nn.DataParallel(network)
    assert meta_of(wrapped) is network.meta and network_of(wrapped) is network
    video = synthav / "test/000001.mp4"
    assert avslowfast.predict(wrapped, video) == avslowfast.predict(network, video)


def test_a_network_that_was_not_loaded_is_refused(network, synthav):
    with pytest.raises(NotLoadedError, match="avslowfast.load_model"):
        avslowfast.predict(build_model(network.meta.cfg), synthav / "test/000001.mp4")


def test_the_meta_prints_in_one_line(network):
    text = repr(network.meta)
    assert text.startswith("ModelMeta(avslowfast, 16 class names, ") and "\n" not in text and len(text) < 300


def test_a_network_goes_to_the_device_that_is_named():
    model, _ = avslowfast.load_model("SynthAV/AVSLOWFAST_TINY", device="meta")
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    model, _ = avslowfast.load_model("SynthAV/AVSLOWFAST_TINY")
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert {parameter.device.type for parameter in model.parameters()} == {expected}
