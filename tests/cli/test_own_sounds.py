"""Rendered words from files to predictions: the page "Your own sounds", word for word, and what else takes sounds."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import torch
from helpers import ROOT
from helpers.runs import ENV
from helpers.sounds import WORDS, write_words
from helpers.tools import command

PAGE = (ROOT / "docs/OWN_SOUNDS.md").read_text()
SECTION = PAGE.split("\n## ")[0]
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", SECTION, re.S) for line in block.strip().split("\n")]
# Fewer epochs than the page's, and every test word in the middle of its clip.
SHORTER = ("SOLVER.MAX_EPOCH", 14, "TRAIN.EVAL_PERIOD", 14, "BN.NUM_BATCHES_PRECISE", 4, "DATA_LOADER.NUM_WORKERS", 0)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder in which the page's commands have run."""
    folder = tmp_path_factory.mktemp("sounds")
    write_words(folder / "my_sounds", {"train": 14, "val": 3, "test": 6})
    outputs = []
    for line in COMMANDS:
        program, *words = shlex.split(line)
        assert program == "avslowfast"
        more = map(str, SHORTER if words[0] == "train" else ())
        done = subprocess.run(
            [sys.executable, "-m", "avslowfast", *words, *more],
            cwd=folder,
            env=ENV,
            capture_output=True,
            text=True,
            timeout=500,
        )
        assert done.returncode == 0, done.stdout + done.stderr[-3000:]
        outputs.append(done.stdout)
    return folder, outputs


def test_the_page_runs_word_for_word(place):
    folder, (listed, _, predicted) = place
    assert [line.split()[1] for line in COMMANDS] == ["lists", "train", "predict"]
    assert COMMANDS[1] in listed
    assert "138 sounds, 138 of them readable" in listed
    # One word in six by chance.
    results = json.load(open(folder / "output/my_lists/results.json"))
    assert results["top1"] > 50, results
    assert results["videos"] == 36
    assert not results["failed"]
    assert list(results["per_class_accuracy"]) == list(WORDS)
    best = torch.load(folder / "output/my_lists/checkpoints/checkpoint_best.pyth", weights_only=True)
    assert best["class_names"] == list(WORDS)
    lines = predicted.strip().split("\n")
    assert [os.path.splitext(line)[1] for line in lines[::2]] == [".wav", ".flac", ".mp3", ".m4a", ".opus", ".wav"]
    assert sum(line.endswith("  ee") for line in lines[1::2]) >= 3


def test_whatever_takes_videos_takes_sounds(place, tmp_path):
    folder, _ = place
    weights, words = folder / "output/my_lists", folder / "my_sounds/test/au"
    text = command("features", "--weights", weights, "--out", tmp_path / "features.pt", words)
    assert "features of 6 videos, 0 failed" in text
    features = torch.load(tmp_path / "features.pt", weights_only=True)["features"]
    assert all(set(value) == {"audio", "start"} for value in features.values())
    text = command("explain", "--weights", weights, "--out", tmp_path / "explained", words / "2.mp3")
    assert (tmp_path / "explained/2.png").stat().st_size > 10_000
    assert json.load(open(tmp_path / "explained/2.json"))["class"] in WORDS
    text = command("demo", "--weights", weights, "--input", words, "--output", tmp_path / "demo")
    assert text.count("it has no frames to annotate") == 6
    rows = list(csv.DictReader(open(tmp_path / "demo/0/predictions.csv")))
    # A word is shorter than a window, which begins and ends with it then.
    assert len({(row["start"], row["end"]) for row in rows}) == 1
    assert float(rows[0]["start"]) == 0
    assert 0.3 <= float(rows[0]["end"]) <= 0.81
    assert (tmp_path / "demo/0/annotated.png").stat().st_size > 3000
    page = command("report", weights)
    html = open(weights / "report.html").read() if (weights / "report.html").exists() else page
    assert html.count("<audio") >= 4
    assert "no video stream" not in html


def test_a_network_with_frames_does_not_take_them(place, trained):
    sound = place[0] / "my_sounds/test/au/0.wav"
    assert "0.wav: no video stream in it, only audio, which networks without frames (MODEL.ARCH audio) use" in command(
        "predict", "--weights", trained, sound, code=2
    )
    assert "no videos in" in command("predict", "--weights", trained, sound.parent, code=2)
