"""One command from a folder of videos to a network and pages, and whatever people have in such folders."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys

import av
import numpy as np
import pytest
import torch
from helpers import keys
from helpers.runs import ENV
from helpers.sounds import write_sound
from helpers.tools import command

import avslowfast
from avslowfast.checkpoint import load_weights
from avslowfast.checkpoint.convert import convert
from avslowfast.checkpoint.record import read_record
from avslowfast.config import load_cfg
from avslowfast.media import write_video
from avslowfast.models import build_model
from avslowfast.synthav.clips import Clips
from avslowfast.utils.text import read_json

# A training of seconds: the narrow network, one step an epoch.
SHORT = keys(
    "RESNET.WIDTH_PER_GROUP 8 DATA_LOADER.NUM_WORKERS 0 TRAIN.LIMIT_BATCHES 1 "
    "TEST.NUM_ENSEMBLE_VIEWS 1 BN.NUM_BATCHES_PRECISE 1 LOG_MODEL_INFO False TENSORBOARD.ENABLE False"
)
ONE_EPOCH = ("SOLVER.MAX_EPOCH", "1", *SHORT)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Paths of different short videos with sound."""
    folder, pairs = tmp_path_factory.mktemp("clips"), Clips("pairs")
    jobs = list(pairs.jobs({"train": 16}))
    for job in jobs:
        pairs.write(str(folder), 5, job)
    return [folder / pairs.path(job) for job in jobs]


def fill(root, clips, names):
    for clip, name in zip(clips, names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, root / name)
    return root


def words(*args):
    return [sys.executable, "-m", "avslowfast", "finetune", *map(str, args)]


def finetune(folder, *args, code=0):
    done = subprocess.run(words(*args), cwd=folder, env=ENV, capture_output=True, text=True, timeout=300)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


# ---- Mistakes, each a line -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, args, expected",
    [
        ((), ("nowhere",), "nowhere: no such folder"),
        (
            ("x.mp4", "y.mp4"),
            ("v",),
            "none of its 2 files is in the folder of a class; put them into one folder per class",
        ),
        (("a/x.mp4", "a/y.mp4"), ("v",), "all videos are of one class, a;"),
        (("all/a/x.mp4", "all/b/y.mp4"), ("v",), "of one class, all (below it is a: is all the folder to give?)"),
        (("a/x.mp4", "b/y.mp4"), ("v", "--out", "v"), "--out v is FOLDER itself; give another folder"),
        (("a/x.mp4", "b/y.mp4"), ("v", "--out", "v/a"), "--out v/a lies in FOLDER and holds other files"),
        (
            ("a/x.mp4",),
            ("v", "--weights", "SLOWFAST_99"),
            "no such file or folder, and no name of weights (SLOWFAST_8x8",
        ),
        (("a/x.mp4",), ("v", "--weights", "gone.pkl"), "gone.pkl: no such file"),
        (("a/x.mp4",), ("v", "OUTPUT_DIR", "x"), "OUTPUT_DIR: --out says it here; leave the key out"),
        (("a/x.mp4",), ("v", "SOLVER.MAX_EPOK", "3"), "SOLVER.MAX_EPOK"),
        (("a/x.mp4",), ("v", "--val", "1"), "leave nothing to train on"),
    ],
)
def test_mistakes_are_one_line_that_says_what_to_do(tmp_path, monkeypatch, clips, names, args, expected):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "v", clips, names)
    assert expected in command("finetune", *args, code=2)


def test_a_folder_of_sounds_is_sent_to_the_lists_of_sounds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "v" / name).mkdir(parents=True)
        write_sound(tmp_path / "v" / name / "x.wav", np.zeros(8000, np.float32), 8000)
    assert "sounds and no video; list them with avslowfast lists" in command("finetune", "v", "--jobs", 1, code=2)


def test_a_folder_without_one_readable_video_names_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / "v" / name).mkdir(parents=True)
        (tmp_path / "v" / name / "x.mp4").write_text("text")
    said = command("finetune", "v", "--jobs", 1, code=2)
    assert said.count("cannot be opened") == 2 and "not one readable file to train on" in said


# ---- From the folder to the pages ------------------------------------------------------------------------------------


def whatever_people_have(root, clips):
    """A folder with nearly everything that can be wrong with one; 12 videos of four classes are right."""
    fill(
        root,
        clips,
        [
            *(f'it\'s "quoted"/clip {i} ü.mp4' for i in range(4)),
            *(f"-dash/-v{i}.mp4" for i in range(2)),
            "-dash/deeper/still/4.MP4",
            "single/only.mp4",
            *(f"日本/{i}.mp4" for i in range(3)),
            "loose.mp4",
            "-dash/in two classes.mp4",
        ],
    )
    shutil.copy(root / "-dash/in two classes.mp4", root / "日本/in two classes.mp4")
    shutil.copy(root / "日本/0.mp4", root / "日本/copy.mp4")
    whole = (root / "日本/1.mp4").read_bytes()
    (root / "日本/cut off.mp4").write_bytes(whole[: len(whole) // 2])
    os.symlink(root / "日本/2.mp4", root / "日本/link.mp4")
    os.symlink(root / "nowhere.mp4", root / "日本/dead link.mp4")
    os.symlink(root / "日本", root / "linked class")
    for name in (".DS_Store", "Thumbs.db", "notes.txt", "subtitles.srt"):
        (root / "-dash" / name).write_text("x")
    (root / "-dash/empty.mp4").touch()
    (root / "empty class").mkdir()
    (root / "broken class").mkdir()
    (root / "broken class/text.mp4").write_text("text")
    with av.open(str(root / "-dash/no picture.mp4"), "w") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    # Half a second of a portrait video without sound.
    frames = np.random.default_rng(0).integers(0, 255, (8, 64, 36, 3), dtype=np.uint8)
    write_video(root / "-dash/short and silent.mp4", frames, 15)


def lists_of(out):
    """{split: {paths}} of the lists."""
    split_of = {}
    for split in ("train", "val", "test"):
        lines = (out / "lists" / f"{split}.csv").read_text().strip().split("\n")
        split_of[split] = {line.rsplit(" ", 1)[0] for line in lines}
    return split_of


@pytest.mark.slow
def test_whatever_people_have_in_a_folder_becomes_a_network_and_pages(tmp_path, clips):
    root = tmp_path / "my videos"
    whatever_people_have(root, clips)
    args = ("my videos", "--out", "my videos/out", "--pages", 3, *ONE_EPOCH)
    said = finetune(tmp_path, *args)
    out = root / "out"
    assert "21 videos, 16 of them readable" in said and "1 without audio" in said
    for name, reason in {
        "-dash/empty.mp4": "it is empty",
        "broken class/text.mp4": "cannot be opened",
        "日本/cut off.mp4": "",
        "日本/dead link.mp4": "No such file",
        "-dash/no picture.mp4": "a sound among videos",
        "-dash/in two classes.mp4": "the same video is in another class",
        "日本/in two classes.mp4": "the same video is in another class",
    }.items():
        assert f"left out: {root}/{name}: " in said and reason in said
    assert said.count("a copy of") == 2
    assert "1 video outside the folders of the classes" in said
    assert "3 files that are no videos or sounds" in said
    assert "left out: 2 classes without a readable video: broken class, empty class" in said
    assert "1 class has no video for validation: single" in said
    assert (out / "lists/classes.txt").read_text().split("\n")[:-1] == ["-dash", 'it\'s "quoted"', "single", "日本"]
    lists = lists_of(out)
    assert lists["val"] == lists["test"] and not lists["val"] & lists["train"]
    assert len(lists["train"]) + len(lists["val"]) == 12
    # Each choice with its key; those that were given are named as given.
    # Uneven classes are balanced with weights to start from alone.
    assert "DATA.BALANCE" not in said
    assert "SOLVER.MAX_EPOCH 1: given" in said and "SOLVER.MAX_EPOCH 60" not in said
    results = read_json(out / "results.json")
    assert f"top-1 {results['top1']:.1f} % of 3 validation videos (chance 25.0 %" in said
    index = (out / "pages/index.html").read_text()
    assert index.count("<a href=") == 3 and len(list((out / "pages").glob("*.html"))) == 4
    rows = list(csv.DictReader((out / "lists/unreadable.csv").open()))
    assert len(rows) == 10
    # What the last line names is a command that works.
    predicted = subprocess.run(
        [sys.executable, "-m", "avslowfast", "predict", "--weights", "my videos/out", str(root / "loose.mp4")],
        cwd=tmp_path, env=ENV, capture_output=True, text=True,
    )  # fmt: skip
    assert predicted.returncode == 0 and "日本" in predicted.stdout
    # The same again: nothing is done twice.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again = finetune(tmp_path, *args)
    assert again.count("done already") == 3 and "Nothing is left to do" in again
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before
    # A page that is gone is written again, and nothing else.
    next(page for page in (out / "pages").glob("*.html") if page.name != "index.html").unlink()
    again = finetune(tmp_path, *args)
    assert again.count("there already") == 2 and "Nothing is left" not in again
    # Another video is not taken in silently.
    shutil.copy(clips[-1], root / "single/new.mp4")
    assert "my videos has changed since the run in my videos/out was begun" in finetune(tmp_path, *args, code=2)
    run = read_record(out).id
    fresh = finetune(tmp_path, *args, "--fresh")
    assert read_record(out).id != run and (out / "previous" / run / "results.json").is_file()
    assert "no video for validation" not in fresh
    assert "Nothing is left to do" in finetune(tmp_path, *args)


@pytest.mark.slow
def test_a_killed_or_stopped_training_resumes(tmp_path, clips):
    fill(tmp_path / "v", clips, [f"{name}/{i}.mp4" for name in ("a", "b") for i in range(4)])
    args = ("v", "--out", "out", "--pages", 1, "SOLVER.MAX_EPOCH", 12, *SHORT)
    for sent, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 75)):
        done = len(list((tmp_path / "out").glob("checkpoints/*")))
        with subprocess.Popen(words(*args), cwd=tmp_path, env=ENV, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                if "saved" in line and (done == 0 or "epoch" in line):
                    process.send_signal(sent)
                    break
            process.stdout.read()
        assert process.returncode == code
    said = finetune(tmp_path, *args)
    assert "8 files, as before" in said and "resumed from" in said and "top-1" in said
    record = read_record(tmp_path / "out")
    assert len(record.starts) == 3 and record.progress["epoch"] == 12


@pytest.mark.slow
def test_released_visual_weights_are_loaded_and_stay(tmp_path, clips):
    """A file in PySlowFast's format stands for a released one."""
    fill(tmp_path / "v", clips, [f"{name}/{i}.mp4" for name in ("a", "b") for i in range(4)])
    narrow = ["RESNET.WIDTH_PER_GROUP", 8]
    visual = build_model(load_cfg("OwnVideos/AVSLOWFAST_TINY", ["MODEL.ARCH", "slowfast", "RNG_SEED", 9, *narrow]))
    torch.save({"model_state": visual.state_dict(), "epoch": 0}, tmp_path / "own.pyth")
    convert(tmp_path / "own.pyth", tmp_path / "released.pyth", "pyslowfast")
    said = finetune(
        tmp_path, "v", "--weights", "released.pyth", "--cfg", "OwnVideos/AVSLOWFAST_TINY", "--pages", 0, *ONE_EPOCH
    )
    assert "weights to start from: released.pyth" in said and "FINETUNE.FREEZE ['slow', 'fast']" in said
    assert "random weights" not in said
    model, meta = avslowfast.load_model(tmp_path / "output/v", device="cpu")
    assert meta.cfg.MODEL.ARCH == "avslowfast" and meta.class_names == ["a", "b"]
    trained, start = model.state_dict(), visual.state_dict()
    kept = [name for name in start if name.startswith("pathways.")]
    assert kept and all(torch.equal(trained[name], start[name]) for name in kept)
    # Audio and classifier have learnt.
    fresh = build_model(meta.cfg).state_dict()
    assert any(not torch.equal(trained[name], fresh[name]) for name in fresh if name.startswith("pathways.audio."))
    assert load_weights(build_model(meta.cfg), tmp_path / "output/v/checkpoints/checkpoint_best.pyth").complete


@pytest.mark.slow
def test_given_splits_and_a_class_of_validation_alone(tmp_path, clips):
    fill(tmp_path / "v", clips, ["train/a/1.mp4", "train/a/2.mp4", "train/b/3.mp4", "train/b/4.mp4", "val/a/5.mp4"])
    said = finetune(tmp_path, "v", "--pages", 9, *ONE_EPOCH)
    assert "1 class has no video for validation: b" in said
    assert "of 1 validation video (chance 50.0 %" in said and "page 1 of 1, 5.mp4" in said
    assert json.loads((tmp_path / "output/v/finetune.json").read_text())["files"] == 5


@pytest.mark.slow
def test_a_browser_goes_from_the_index_to_a_page_that_plays(tmp_path, clips):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("there is no chromium here")
    # Names that an address has to write otherwise.
    fill(tmp_path / "v", clips, [f"{name}/{i} % #?&'.mp4" for name in ("a <b>", "c&d") for i in range(3)])
    finetune(tmp_path, "v", "--pages", 2, *ONE_EPOCH)
    said = []
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for width, scheme in ((390, "light"), (1600, "dark")):
            tab = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            tab.on("console", lambda message: said.append(message.text))
            tab.on("pageerror", lambda error: said.append(str(error)))
            tab.goto((tmp_path / "output/v/pages/index.html").as_uri())
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            assert {row.split("\t")[1] for row in tab.locator("tr").all_inner_texts()[1:]} == {"a <b>", "c&d"}
            tab.locator("a").last.click()
            tab.wait_for_function("document.getElementById('media').readyState >= 2")
            tab.close()
        chromium.close()
    assert said == []
