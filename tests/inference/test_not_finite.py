"""What a network makes of a video that could be read is NaN: told, and no result."""

import numpy as np
import pytest
import torch
from helpers.tools import command

import avslowfast
from avslowfast.cli.main import run_command
from avslowfast.inference.export import export_model, ExportError
from avslowfast.inference.features import extract_features
from avslowfast.inference.offset import estimate_offset, SyncNotMeasurableError
from avslowfast.inference.scoring import NotFiniteError
from avslowfast.inference.sliding_window import slide
from avslowfast.media import write_video


@pytest.fixture(scope="module")
def broken(trained, tmp_path_factory):
    """A checkpoint whose running variances are below zero: all its tensors are finite, and nothing that it computes."""
    content = torch.load(trained / "checkpoints/checkpoint_best.pyth", weights_only=False)
    for weights in (content["model_state"], content["ema_state"]):
        for name, tensor in weights.items():
            if name.endswith("running_var"):
                tensor.fill_(-1)
    path = tmp_path_factory.mktemp("broken") / "broken.pyth"
    torch.save(content, path)
    return path


def test_commands_say_so_and_fail(broken, synthav, tmp_path):
    video = synthav / "test/000000.mp4"
    for name, args in (
        ("predict", [video]),
        ("demo", ["--input", video]),
        ("explain", [video, "--out", tmp_path / "explained"]),
    ):
        assert "the scores are not finite" in command(name, "--weights", broken, *args, code=2), name
    assert "1 failed" in command("features", "--weights", broken, "--out", tmp_path / "x.pt", video, code=2)
    assert not (tmp_path / "explained").exists() or not list((tmp_path / "explained").iterdir())


@pytest.mark.parametrize("name", ["predict", "explain", "sync"])
def test_each_file_is_named(name, broken, synthav, capsys):
    videos = [str(synthav / f"test/00000{i}.mp4") for i in range(2)]
    assert run_command(name, [*videos, "--weights", str(broken)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines if line.startswith("error: ")] == videos


def test_the_library_raises(broken, synthav, tmp_path):
    video = synthav / "test/000000.mp4"
    model, _ = avslowfast.load_model(broken)
    with pytest.raises(NotFiniteError, match="000000.mp4: the scores are not finite"):
        avslowfast.predict(model, video)
    with pytest.raises(NotFiniteError, match="000000.mp4: the scores are not finite"):
        slide(model, video)
    count, failed = extract_features(model, [video], "res5", tmp_path / "features.pt")
    assert count == 0 and "the features are not finite" in failed[0][1]


def test_distances_are_refused_where_there_is_audio_and_only_there(broken, trained, synthav, tmp_path):
    network, _ = avslowfast.load_model(broken)
    with pytest.raises(NotFiniteError, match="000000.mp4: the distances are not finite"):
        estimate_offset(network, synthav / "test/000000.mp4", max_shift=0.2, step=0.1)
    # A video that is shorter than a clip: no shifted audio is there, as long as the frames.
    frames = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), np.uint8)
    sound = np.random.default_rng(0).standard_normal(16000 // 3).astype(np.float32) * 0.1
    write_video(tmp_path / "short.mp4", frames, 24, sound, 16000)
    network, _ = avslowfast.load_model(trained)
    with pytest.raises(SyncNotMeasurableError, match="short.mp4: too little audio"):
        estimate_offset(network, tmp_path / "short.mp4", max_shift=0.2, step=0.1)


def test_a_program_that_differs_by_nan_is_not_written(broken, tmp_path):
    out = tmp_path / "model.pt2"
    out.write_bytes(b"the one from before")
    model, meta = avslowfast.load_model(broken)
    with pytest.raises(ExportError, match="differ from the network's by nan.*check its weights for NaN"):
        export_model(model, meta.cfg, "torch-export", str(out))
    assert out.read_bytes() == b"the one from before" and list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("names", [["a"] * 16, ["a\nb", *map(str, range(15))]])
def test_class_names_that_name_no_class_are_left_out(trained, synthav, tmp_path, names):
    content = torch.load(trained / "checkpoints/checkpoint_best.pyth", weights_only=False)
    torch.save({**content, "class_names": names}, tmp_path / "names.pyth")
    _, meta = avslowfast.load_model(tmp_path / "names.pyth")
    assert meta.class_names is None and meta.class_name(3) == "class 3"
