"""The page "Your own videos in ten minutes", word for word, on a folder made of SynthAV clips."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys

import torch
from helpers import ROOT

from avslowfast.synthav import class_names
from avslowfast.synthav.clips import Clips

PAGE = (ROOT / "GETTING_STARTED.md").read_text()
SECTION = PAGE.split("## Your own videos in ten minutes\n")[1].split("\n## ")[0]
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", SECTION, re.S) for line in block.strip().split("\n")]
CLASSES = {"clapping": "slide+tone", "dancing": "slide+beeps", "drumming": "bob+tone", "singing": "bob+beeps"}


def my_videos(folder, count, seed=3):
    """One folder per class, with `count` SynthAV clips in each."""
    names = class_names("pairs")
    for name in CLASSES:
        os.makedirs(folder / "my_videos" / name)
    pairs, wanted = Clips("pairs"), {names.index(pair): name for name, pair in CLASSES.items()}
    for job in pairs.jobs({"train": 16 * count}):
        label = job.number % len(names)
        if label in wanted:
            pairs.write(str(folder / "clips"), seed, job)
            path = pairs.path(job)
            os.rename(folder / "clips" / path, folder / "my_videos" / wanted[label] / os.path.basename(path))


def test_the_page_runs_word_for_word(tmp_path):
    my_videos(tmp_path, 5)
    for name in ("tools", "configs"):
        os.symlink(ROOT / name, tmp_path / name)
    assert [command.split()[1] for command in COMMANDS] == [
        "tools/make_list.py",
        "tools/run_net.py",
        "tools/predict.py",
    ]
    outputs = []
    for command in COMMANDS:
        words = shlex.split(command)
        assert words[0] == "python"
        env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [sys.executable, *words[1:]], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=500
        )
        assert done.returncode == 0, done.stderr[-2000:]
        outputs.append(done.stdout)
    # The next command that the first one names is the page's.
    assert COMMANDS[1] in outputs[0]
    assert "20 videos, 20 of them readable" in outputs[0]
    results = json.load(open(tmp_path / "output/own_videos/results.json"))
    assert list(results["per_class_accuracy"]) == list(CLASSES)
    assert results["videos"] == 4
    assert not results["failed"]
    best = torch.load(tmp_path / "output/own_videos/checkpoints/checkpoint_best.pyth", weights_only=True)
    assert best["class_names"] == list(CLASSES)
    rows = list(csv.DictReader(open(tmp_path / "predictions.csv")))
    assert len(rows) == 10
    assert {row["class"] for row in rows} <= set(CLASSES)
    assert outputs[2].count(" % ") == 10
