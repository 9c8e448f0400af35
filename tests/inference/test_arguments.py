"""Arguments that make no sense are one short line; modes, wrappers and types of a network are no obstacle."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import VERB_AND_NOUN

import avslowfast
from avslowfast.checkpoint import CheckpointError, load_weights
from avslowfast.inference.boxes import classify_boxes
from avslowfast.inference.explain import explain
from avslowfast.inference.load import ModelMeta
from avslowfast.inference.offset import estimate_offset
from avslowfast.inference.sliding_window import slide
from avslowfast.media import open_media, SoundReader, VideoReader
from avslowfast.media.files import list_videos
from avslowfast.models import build_model
from avslowfast.utils.arguments import ArgumentError, ArgumentTypeError, positive, whole

NO_PATHS = {
    "array": np.zeros((8, 48, 48, 3), np.uint8),
    "tensor": torch.zeros(8, 48, 48, 3),
    "list": ["video.mp4"],
    "BytesIO": io.BytesIO(b"x"),
    "bytes": b"video.mp4",
    "None": None,
    "number": 5,
}
TAKES_A_PATH = {
    "predict": lambda model, video: avslowfast.predict(model, video),
    "slide": lambda model, video: slide(model, video),
    "preprocess": lambda model, video: model.meta.preprocess(video),
    "offset": lambda model, video: estimate_offset(model, video),
    "VideoReader": lambda model, video: VideoReader(video),
    "SoundReader": lambda model, video: SoundReader(video),
    "open_media": lambda model, video: open_media(video),
    "folder of frames": lambda model, video: open_media(video, frame_rate=25),
    "list_videos": lambda model, video: list_videos([video]),
}


@pytest.mark.parametrize("entry", TAKES_A_PATH)
@pytest.mark.parametrize("kind", NO_PATHS)
def test_what_is_no_path_is_one_short_line_and_a_type_error(network, entry, kind):
    with pytest.raises(TypeError, match=r"is given in place of the path of a file; give a path") as raised:
        TAKES_A_PATH[entry](network, NO_PATHS[kind])
    assert isinstance(raised.value, avslowfast.utils.errors.UserError)
    assert type(NO_PATHS[kind]).__name__ in str(raised.value)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 150


@pytest.mark.parametrize("videos", [5, None, np.zeros(3), torch.zeros(3), b"x", [5], [b"x"], io.BytesIO(b"x")])
def test_videos_that_are_no_paths_have_no_features(network, tmp_path, videos):
    with pytest.raises(ArgumentTypeError):
        avslowfast.extract_features(network, videos, out=tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda m, v: avslowfast.predict(m, v, views=-1), "views is -1; give a whole number, 1 or more"),
        (lambda m, v: avslowfast.predict(m, v, views=0), "views is 0"),
        (lambda m, v: avslowfast.predict(m, v, views=1.5), "views is 1.5"),
        (lambda m, v: avslowfast.predict(m, v, views="3"), "views is '3'"),
        (lambda m, v: avslowfast.predict(m, v, views=True), "views is True"),
        (lambda m, v: avslowfast.predict(m, v, views=float("nan")), "views is nan"),
        (lambda m, v: avslowfast.predict(m, v, crops=2), "crops is 2; give 1"),
        (lambda m, v: avslowfast.predict(m, v, crops=0), "crops is 0"),
        (lambda m, v: avslowfast.predict(m, v, crops=4), "crops is 4; give a whole number, 1 to 3"),
        (lambda m, v: avslowfast.predict(m, v, topk=0), "topk is 0"),
        (lambda m, v: avslowfast.predict(m, v, topk=-1), "topk is -1"),
        (lambda m, v: m.meta.preprocess(v, views=-2), "views is -2"),
        (lambda m, v: slide(m, v, step=0), "step is 0; give a finite number above 0"),
        (lambda m, v: slide(m, v, step=-1.0), "step is -1.0"),
        (lambda m, v: slide(m, v, step=float("nan")), "step is nan"),
        (lambda m, v: slide(m, v, step=float("inf")), "step is inf"),
        (lambda m, v: slide(m, v, step="1"), "step is '1'"),
        (lambda m, v: slide(m, v, batch=0), "batch is 0"),
        (lambda m, v: avslowfast.extract_features(m, [v], views=-1), "views is -1"),
        (lambda m, v: avslowfast.extract_features(m, [v], batch=0), "batch is 0"),
        (lambda m, v: avslowfast.extract_features(m, [v], stage="res9"), "no stage 'res9'"),
        (lambda m, v: estimate_offset(m, v, step=0), "step is 0"),
        (lambda m, v: estimate_offset(m, v, max_shift=float("nan")), "max_shift is nan"),
        (lambda m, v: estimate_offset(m, v, max_shift=0.1, step=0.2), "step is 0.2, above max_shift 0.1"),
        (lambda m, v: estimate_offset(m, v, max_clips=0), "max_clips is 0"),
        (lambda m, v: explain(m, m.meta.preprocess(v, 1, 1), 16), "class_id is 16; give a whole number, 0 to 15"),
        (lambda m, v: explain(m, m.meta.preprocess(v, 1, 1), -1), "class_id is -1"),
        (lambda m, v: explain(m, m.meta.preprocess(v, 1, 1), stage="x"), "there is no stage 'x'"),
        (lambda m, v: explain(m, v), "give what model.meta.preprocess"),
    ],
)
def test_a_number_that_makes_no_sense_is_one_line(network, synthav, tmp_path, monkeypatch, call, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=words) as raised:
        call(network, synthav / "test/000001.mp4")
    assert isinstance(raised.value, avslowfast.utils.errors.UserError)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", [1, np.int64(3), torch.tensor(2)])
def test_whole_numbers_of_any_library_are_taken(value):
    assert whole("n", value) == int(value)


@pytest.mark.parametrize("value", ["1", b"1", None, [], 0.0, True, 10**400, np.zeros(3), torch.zeros(2), 1j])
def test_what_is_no_positive_number_is_refused_without_being_printed(value):
    with pytest.raises(ArgumentError) as raised:
        positive("n", value)
    assert len(str(raised.value)) < 120


@pytest.mark.parametrize("name", ["nope.pyth", "nope.pkl", "a/b.safetensors", "nope.PTH"])
def test_a_missing_checkpoint_is_a_missing_file(name):
    with pytest.raises(CheckpointError, match=f"^{name}: no such file; check the path$"):
        avslowfast.load_model(name)


def test_a_missing_file_of_weights_gives_no_advice_about_keys(network):
    with pytest.raises(CheckpointError, match=r"^nope.pyth: no such file; check the path$"):
        load_weights(network, "nope.pyth")


@pytest.fixture(scope="module")
def clone(trained):
    """A function that gives the network of the short run anew."""
    return lambda: avslowfast.load_model(trained, device="cpu")[0]


def scores_of(model, video):
    return {p.class_id: p.score for p in avslowfast.predict(model, video, topk=16, views=2, crops=1)}


@pytest.mark.parametrize("kind, tolerance", [(torch.bfloat16, 0.1), (torch.float16, 0.01), (torch.float64, 1e-5)])
def test_a_network_of_another_type_predicts_from_pixels(network, clone, synthav, kind, tolerance):
    video = synthav / "test/000001.mp4"
    model, expected = clone().to(kind), scores_of(network, video)
    assert {p.dtype for p in model.parameters()} == {kind}
    assert all(abs(score - expected[i]) < tolerance for i, score in scores_of(model, video).items())


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_the_siblings_of_predict_take_such_a_network(clone, fresh, synthav, tmp_path, kind):
    video, model = synthav / "test/000001.mp4", clone().to(kind)
    assert np.isfinite(slide(model, video)[0].scores[""]).all()
    assert avslowfast.extract_features(model, [video], out=tmp_path / "x.pt", views=1) == (1, [])
    found = explain(model, model.meta.preprocess(video, 1, 1))
    assert np.isfinite(found.visual).all() and np.isfinite(found.audio).all()
    assert estimate_offset(model, video, max_shift=0.2, step=0.1, max_clips=2).clips == 2
    two = fresh(*VERB_AND_NOUN).to(kind)
    assert set(avslowfast.predict(two, video, views=1)) == {"verb", "noun"}


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_boxes_are_classified_in_any_type_and_mode(boxes_network, synthav, kind):
    model = boxes_network.to(kind).train()
    (one,) = classify_boxes(model, synthav / "test/000001.mp4", {0.5: np.float32([[0.1, 0.1, 0.6, 0.6]])})
    assert one.scores.shape == (1, 16) and np.isfinite(one.scores).all()
    assert model.training


def test_a_network_in_training_mode_gives_the_same_and_learns_nothing(network, clone, synthav, tmp_path):
    video = synthav / "test/000001.mp4"
    model = clone().train()
    model.head.eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert scores_of(model, video) == scores_of(network, video)
    assert slide(model, video)[0].scores[""].tolist() == slide(network, video)[0].scores[""].tolist()
    for n, one in enumerate((model, network)):
        avslowfast.extract_features(one, [video], out=tmp_path / f"{n}.pt", views=1)
    a, b = (torch.load(tmp_path / f"{n}.pt")["features"][str(video)] for n in (0, 1))
    assert all(torch.equal(a[name], b[name]) for name in b)
    clip = model.meta.preprocess(video, 1, 1)
    assert explain(model, clip).score == explain(network, clip).score
    short = {"max_shift": 0.2, "step": 0.1, "max_clips": 2}
    assert estimate_offset(model, video, **short).lowest == estimate_offset(network, video, **short).lowest
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_call_that_fails_restores_the_mode(clone, monkeypatch):
    model = clone().train()
    with pytest.raises(ArgumentTypeError):
        avslowfast.predict(model, 5)
    assert model.training


def test_a_wrapped_network_serves_all_calls(network, synthav, tmp_path):
    wrapped, video = torch.nn.DataParallel(network), Path(synthav / "test/000001.mp4")
    assert scores_of(wrapped, video) == scores_of(network, video)
    assert len(slide(wrapped, video)) == len(slide(network, video))
    assert avslowfast.extract_features(wrapped, [video], out=tmp_path / "x.pt", views=1) == (1, [])
    assert explain(wrapped, network.meta.preprocess(video, 1, 1)).score > 0
    assert estimate_offset(wrapped, video, max_shift=0.2, step=0.1, max_clips=2).clips == 2


@pytest.mark.parametrize("model", ["model.pyth", None, 5, torch.nn.Linear(2, 2)])
def test_what_was_not_loaded_is_refused_everywhere(model, synthav, tmp_path):
    video = synthav / "test/000001.mp4"
    for call in (
        lambda: avslowfast.predict(model, video),
        lambda: slide(model, video),
        lambda: avslowfast.extract_features(model, [video], out=tmp_path / "x.pt"),
        lambda: estimate_offset(model, video),
        lambda: explain(model, {}),
        lambda: classify_boxes(model, video, {}),
    ):
        with pytest.raises(TypeError, match="load it with avslowfast.load_model"):
            call()


def test_features_in_a_file_without_features_are_one_line(network, synthav, tmp_path):
    about = f"{network.meta.source}; res5"
    torch.save({"about": about, "features": 5}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match=r"x.pt: there are no features in it"):
        avslowfast.extract_features(network, [synthav / "test/000001.mp4"], out=tmp_path / "x.pt")


def test_fresh_networks_have_a_meta(fresh):
    assert isinstance(fresh().meta, ModelMeta)
    assert build_model(fresh().meta.cfg).meta is None
