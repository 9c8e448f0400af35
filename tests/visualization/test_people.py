"""What people do with a network: demo, explanations, report, features, examples; and the one line that a mistake gets."""

import contextlib
import csv
import functools
import http.server
import importlib
import io
import json
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from helpers import ROOT, tiny_cfg
from helpers.runs import run
from helpers.videos import click_times, flash_and_click
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import avslowfast
from avslowfast.inference.explain import CannotExplain, explain
from avslowfast.inference.sliding_window import class_index, segments, slide, spectrogram_of
from avslowfast.media import transcode, VideoReader, write_video
from avslowfast.models import build_model
from avslowfast.synthav import render as synthetic
from avslowfast.utils.errors import UserError
from avslowfast.visualization.boxes import BoxesError, BoxPainter, classify_boxes, read_boxes
from avslowfast.visualization.demo import DemoPainter
from avslowfast.visualization.report import make_report

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def tool(name, *args, code=0):
    """What a tool prints; it runs in this process, as many of them start slowly."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        found = importlib.import_module(name).main([str(arg) for arg in args])
    assert found == code, out.getvalue() + err.getvalue()
    lines = [line for line in err.getvalue().split("\n") if line.startswith("error")]
    assert len(lines) == (1 if code else 0), err.getvalue()
    return out.getvalue() + err.getvalue()


def script(name, *args, code=0):
    """What a program prints that runs in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(ROOT / name), *map(str, args)], env=ENV, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def network(trained):
    return avslowfast.load_model(trained)[0]


def test_windows_cover_the_file_and_agree_with_predict(network, synthav):
    video = synthav / "test/000001.mp4"
    windows = slide(network, video, batch=3)
    with VideoReader(video) as reader:
        begin, end = reader.video.start, reader.video.end
    assert windows[0].start == begin and abs(windows[-1].stop - end) < 1e-6
    assert all(b.start <= a.stop for a, b in zip(windows, windows[1:]))
    again = slide(network, video, batch=8)
    assert np.allclose([w.scores[""] for w in windows], [w.scores[""] for w in again], atol=1e-5)
    runs = segments(windows, network.meta)
    assert runs[0][0] == begin and abs(runs[-1][1] - end) < 1e-6 and all(b[0] <= a[1] for a, b in zip(runs, runs[1:]))
    one = slide(network, video, step=100)
    assert len(one) <= 2


@pytest.mark.parametrize("sound", [True, False])
def test_an_annotated_copy_has_the_length_and_the_sound_of_the_original(trained, tmp_path, sound):
    source = tmp_path / "in.mkv"
    if sound:
        flash_and_click(source, 25, rate=48000, audio_codec="libopus", audio_start=0.1)
    else:
        write_video(source, synthetic.render_clip("pairs", 0, "test", 0).frames, 15)
    text = tool("demo_net", "--weights", trained, "--input", source, "--output", tmp_path / "demo/out.mp4", "--topk", 3)
    assert "%" in text and ("with sound" in text) == sound
    with VideoReader(source) as old, VideoReader(tmp_path / "demo/out.mp4") as new:
        assert abs((old.video.end - old.video.start) - (new.video.end - new.video.start)) <= 1 / old.video.rate + 1e-3
        assert (new.audio is not None) == sound
        if sound:
            before, after = click_times(old, 0.0, 3.2), click_times(new, 0.0, 3.2)
            assert len(before) == 3 and max(abs(a - b) for a, b in zip(before, after)) < 0.020
        height = new.read_frames([1.0]).shape[1]
        assert height > old.read_frames([1.0]).shape[1] + 64
    found = json.load(open(tmp_path / "demo/predictions.json"))
    rows = list(csv.DictReader(open(tmp_path / "demo/predictions.csv")))
    assert (
        len(rows) == 3 * len(found["windows"])
        and set(rows[0]) == {"start", "end", "class", "score"}
        and found["segments"]
    )
    assert all(abs(float(rows[0]["score"]) - found["windows"][0]["classes"][0]["score"]) < 1e-5 for _ in range(1))


def test_the_pictures_of_a_demo_show_now(network, synthav):
    video = synthav / "test/000002.mp4"
    windows = slide(network, video)
    painter = DemoPainter(windows, network.meta, video)
    height, width = painter.size(96, 128)
    assert height % 2 == width % 2 == 0
    pixels = np.full((96, 128, 3), 200, np.uint8)
    early, late = painter.paint(pixels, 0.2), painter.paint(pixels, 2.5)
    assert early.shape == late.shape == (height, width, 3) and not np.array_equal(
        early[96 : 96 + 64], late[96 : 96 + 64]
    )
    # The cursor of the timeline moves.
    cursors = [np.flatnonzero((picture[96 + 64 : 96 + 70] == 255).all(axis=(0, 2))) for picture in (early, late)]
    assert cursors[0].mean() < cursors[1].mean()


def test_a_folder_gives_a_folder_a_video_and_goes_on_after_a_bad_one(trained, synthav, tmp_path):
    (tmp_path / "in").mkdir()
    os.symlink(synthav / "test/000000.mp4", tmp_path / "in/good.mp4")
    (tmp_path / "in/bad.mp4").write_text("text")
    text = tool("demo_net", "--weights", trained, "--input", tmp_path / "in", "--output", tmp_path / "out", code=2)
    assert "bad.mp4: cannot be opened" in text and (tmp_path / "out/good/annotated.mp4").exists()


def test_a_url_is_fetched_and_read_like_a_file(trained, synthav, tmp_path):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=synthav / "test")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/000004.mp4"
        far = tool("demo_net", "--weights", trained, "--input", url, "--output", tmp_path / "out.mp4").split("\n")
        assert "cannot be fetched" in tool(
            "demo_net", "--weights", trained, "--input", url.replace("000004", "none"), code=2
        )
        server.shutdown()
    near = tool("demo_net", "--weights", trained, "--input", synthav / "test/000004.mp4").split("\n")
    assert [line for line in far if "%" in line] == [line for line in near if "%" in line] and (
        tmp_path / "out.mp4"
    ).stat().st_size > 1000


def test_boxes_of_a_detection_network_are_painted(tmp_path):
    cfg = tiny_cfg(
        "DETECTION.ENABLE",
        True,
        "MODEL.LOSS_FUNC",
        "bce",
        "MODEL.NUM_CLASSES",
        6,
        "RESNET.WIDTH_PER_GROUP",
        8,
        "DETECTION.SPATIAL_SCALE_FACTOR",
        32,
    )
    torch.save(
        {"model_state": build_model(cfg).state_dict(), "cfg": cfg.dump(), "class_names": list("abcdef")},
        tmp_path / "w.pyth",
    )
    clip = synthetic.render_clip("pairs", 0, "test", 0)
    write_video(tmp_path / "x.mp4", clip.frames, 15, clip.audio, synthetic.SAMPLE_RATE)
    (tmp_path / "b.csv").write_text(
        "seconds,x1,y1,x2,y2\n1.0,0.1,0.1,0.5,0.9\n1.0,0.5,0.2,0.9,0.8\n2.0,0.1,0.1,0.5,0.9\n"
    )
    model, meta = avslowfast.load_model(tmp_path / "w.pyth")
    frames = classify_boxes(model, tmp_path / "x.mp4", read_boxes(tmp_path / "b.csv"))
    assert [(f.seconds, f.scores.shape) for f in frames] == [(1.0, (2, 6)), (2.0, (1, 6))]
    painter, pixels = BoxPainter(frames, meta, threshold=0.0), np.zeros((96, 128, 3), np.uint8)
    assert painter.paint(pixels, 1.2).any() and not painter.paint(pixels, 2.9).any()
    text = tool(
        "demo_net",
        "--weights",
        tmp_path / "w.pyth",
        "--input",
        tmp_path / "x.mp4",
        "--boxes",
        tmp_path / "b.csv",
        "--output",
        tmp_path / "o.mp4",
    )
    assert "1.00 s" in text and (tmp_path / "o.mp4").stat().st_size > 1000
    (tmp_path / "bad.csv").write_text("1.0,0.5,0.1,0.1,0.9\n")
    with pytest.raises(BoxesError, match="line 1: .* is no box"):
        read_boxes(tmp_path / "bad.csv")
    assert "needs --boxes" in tool("demo_net", "--weights", tmp_path / "w.pyth", "--input", tmp_path / "x.mp4", code=2)


def test_explanations_have_the_inputs_shapes_and_masking_is_what_it_says(network, synthav, tmp_path):
    inputs = network.meta.preprocess(synthav / "test/000003.mp4", views=1, crops=1)
    found = explain(network, inputs)
    assert found.visual.shape == found.frames.shape[:3] and found.audio.shape == found.spectrogram.shape == (64, 40)
    assert (
        found.visual.min() >= 0
        and abs(found.visual.max() - 1) < 1e-5
        and set(found.contributions) == {"both", "without sound", "without pictures"}
    )
    with torch.no_grad():
        tensors = {name: value for name, value in inputs.items() if name != "start"}
        scores = network(tensors)["scores"][0]
        dropped = network(tensors, drop_audio=True)["scores"][0]
    assert found.index == int(scores.argmax()) and abs(found.contributions["both"] - float(scores.max())) < 1e-6
    assert abs(found.contributions["without sound"] - float(dropped[found.index])) < 1e-6
    other = explain(network, inputs, index=5, stage="res4")
    assert other.index == 5 and not np.allclose(other.visual, found.visual)
    with pytest.raises(CannotExplain, match="no stage 'res9'"):
        explain(network, inputs, stage="res9")
    tool(
        "explain",
        "--weights",
        network.meta.source,
        "--class",
        "bob+tone",
        "--out",
        tmp_path,
        synthav / "test/000003.mp4",
    )
    assert (
        json.load(open(tmp_path / "000003.json"))["class"] == "bob+tone"
        and (tmp_path / "000003.png").stat().st_size > 10000
    )


def test_an_explanation_of_one_sense():
    cfg = tiny_cfg("MODEL.ARCH", "audio", "RESNET.WIDTH_PER_GROUP", 8)
    model = build_model(cfg).eval()
    model.meta = type("Meta", (), {"cfg": cfg})
    found = explain(
        model,
        {"audio": torch.randn(1, 1, 64, 40), "audio_mask": torch.ones(1, dtype=torch.bool), "start": torch.zeros(1)},
    )
    assert found.visual is None and found.audio.shape == (64, 40) and found.contributions == {}


def test_a_report_is_one_page_that_needs_nothing_else(trained, tmp_path):
    text = open(make_report(trained, tmp_path / "r.html"), encoding="utf-8").read()
    for title in ("Training", "Results", "Classes", "Confusion", "Clips", "Failed files", "Speed", "Configuration"):
        assert f"<h2>{title}</h2>" in text
    # The only addresses are names of namespaces, which nothing fetches.
    assert not [a for a in re.findall(r"""(?:src|href|url)\s*=?\(?["']?(https?:[^"')\s>]+)""", text)]
    assert (
        text.count("<audio") >= 4
        and "data:audio/mp4;base64," in text
        and "data:image/jpeg;base64," in text
        and len(text) < 4e6
    )
    assert "no run" not in text
    with pytest.raises(UserError, match="neither stdout.log nor results.json"):
        make_report(tmp_path)
    assert "report.html" in tool("report", trained)


@pytest.mark.parametrize("ending", [".pt", ".h5"])
def test_features_go_on_where_they_were_interrupted(network, synthav, tmp_path, ending, monkeypatch):
    out, folder = str(tmp_path / f"f{ending}"), tmp_path / "in"
    folder.mkdir()
    for number in range(4):
        os.symlink(synthav / f"test/00000{number}.mp4", folder / f"{number}.mp4")
    (folder / "bad.mp4").write_text("text")
    count, failed = avslowfast.extract_features(network, folder, stage="res4", out=out, views=2)
    assert count == 4 and len(failed) == 1 and "bad.mp4" in failed[0][0]

    def content():
        if ending == ".pt":
            return {
                path: {k: v.numpy() for k, v in f.items()}
                for path, f in torch.load(out, weights_only=True)["features"].items()
            }
        import h5py

        with h5py.File(out) as f:
            return {group.attrs["path"]: {k: group[k][:] for k in group} for group in f.values()}

    first = content()
    inputs = network.meta.preprocess(folder / "1.mp4", views=2, crops=1)
    with torch.no_grad():
        expected = network.pooled_features({k: v for k, v in inputs.items() if k != "start"}, "res4")
    for name in ("slow", "fast", "audio"):
        np.testing.assert_allclose(first[str(folder / "1.mp4")][name], expected[name], atol=1e-5)
    os.symlink(synthav / "test/000005.mp4", folder / "5.mp4")
    read, original = [], type(network.meta).preprocess
    monkeypatch.setattr(
        type(network.meta), "preprocess", lambda self, path, *a, **k: read.append(path) or original(self, path, *a, **k)
    )
    assert avslowfast.extract_features(network, folder, stage="res4", out=out, views=2)[0] == 5
    assert sorted(map(os.path.basename, read)) == ["5.mp4", "bad.mp4"] and len(content()) == 5
    with pytest.raises(UserError, match="choose another file"):
        avslowfast.extract_features(network, folder, stage="res5", out=out)
    (tmp_path / "list.csv").write_text(f"{folder}/0.mp4 3\n{folder}/1.mp4 4\n")
    assert (
        avslowfast.extract_features(
            network, str(tmp_path / "list.csv"), stage="res4", out=str(tmp_path / f"g{ending}")
        )[0]
        == 2
    )


def test_examples_run(trained, synthav, tmp_path):
    video = synthav / "test/000000.mp4"
    args = {
        "predict": [video],
        "timeline": [video],
        "explain": [video, tmp_path / "x.png"],
        "features": [synthav / "test", tmp_path / "f.pt"],
        "senses": [synthav, 2, 7],
    }
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names == set(args)
    for name in sorted(names):
        assert script(f"examples/{name}.py", trained, *args[name]).strip()


def test_tensorboard_shows_confusion_clips_with_sound_and_weights(run_args, tmp_path):
    run(
        run_args,
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0,
        "TENSORBOARD.ENABLE",
        True,
        "TENSORBOARD.HISTOGRAMS",
        True,
        "TENSORBOARD.CLIPS",
        2,
        "TENSORBOARD.LOG_DIR",
        tmp_path / "board",
        "TEST.ENABLE",
        False,
    )
    events = EventAccumulator(str(tmp_path / "board"), size_guidance={"images": 0, "audio": 0})
    events.Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {"val/confusion", "clips/0", "clips/1"} and set(tags["audio"]) == {
        "clips/0",
        "clips/1",
    }
    assert {"train/loss", "train/lr", "val/top1"} <= set(tags["scalars"]) and "head.projection.weight" in tags[
        "histograms"
    ]
    assert events.Images("val/confusion")[0].width == 16 * 12 and events.Audio("clips/0")[0].sample_rate == 16000


def test_mistakes_get_one_line(trained, synthav, tmp_path):
    video, text = synthav / "test/000000.mp4", tmp_path / "text.mp4"
    text.write_text("this is no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    for bad in (tmp_path / "none.mp4", text, tmp_path / "empty.mp4"):
        for name, args in (
            ("demo_net", ["--input", bad]),
            ("explain", [bad]),
            ("predict", [bad]),
            ("check_sync", [bad]),
        ):
            assert os.path.basename(bad) in tool(name, "--weights", trained, *args, code=2)
    for name, args in (
        ("demo_net", ["--input", video]),
        ("explain", [video]),
        ("predict", [video]),
        ("check_sync", [video]),
    ):
        assert "no checkpoints in it" in tool(name, "--weights", tmp_path / "nothing", *args, code=2)
    assert "none.mp4" in script("tools/predict.py", "--weights", trained, tmp_path / "none.mp4", code=2)
    assert "no class 'dancing'" in tool("explain", "--weights", trained, "--class", "dancing", video, code=2)
    assert "no camera could be opened" in tool("demo_net", "--weights", trained, "--input", "webcam", code=2)
    assert "no videos in" in tool("explain", "--weights", trained, tmp_path / "nothing", code=2)


def test_classes_are_found_by_name_and_number(network):
    assert class_index(network.meta, "slide+tone") == 0 and class_index(network.meta, "7") == 7
    with pytest.raises(UserError, match="near ones: .*slide.tone"):
        class_index(network.meta, "slide tone")


def test_a_spectrogram_for_display_keeps_its_place():
    samples = np.zeros(16000, np.float32)
    samples[8000:8800] = np.sin(np.arange(800))
    spec = spectrogram_of(samples)
    assert spec.dtype == np.uint8 and abs(spec.mean(axis=1).argmax() * 0.016 - 0.525) < 0.05


def test_a_painter_changes_the_pictures_and_nothing_else(tmp_path):
    class Red:
        def size(self, height, width):
            return height, width

        def paint(self, pixels, seconds):
            return np.full_like(pixels, (255, 0, 0) if seconds < 1 else (0, 0, 0))

    clip = synthetic.render_clip("pairs", 0, "test", 0)
    write_video(tmp_path / "a.mp4", clip.frames, 15, clip.audio, synthetic.SAMPLE_RATE)
    transcode(tmp_path / "a.mp4", tmp_path / "b.mp4", painter=Red())
    with VideoReader(tmp_path / "b.mp4") as reader:
        early, late = reader.read_frames([0.5, 2.0]).pixels.mean(axis=(1, 2))
    assert early[0] > 200 and early[1] < 40 and late.max() < 20
