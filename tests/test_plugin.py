"""The example of a plugin: a lateral, a data set, a pretext and a metric from outside the package."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from helpers import ROOT
from helpers.runs import ENV

QUICK = ("SOLVER.MAX_EPOCH", "1", "SOLVER.WARMUP_EPOCHS", "0", "TRAIN.BATCH_SIZE", "8", "DATA_LOADER.NUM_WORKERS", "0")


@pytest.fixture
def folder(tmp_path):
    """A folder with the plugin and its configuration, and nothing else."""
    for name in ("my_plugin.py", "my_network.yaml"):
        shutil.copy(ROOT / "examples/plugin" / name, tmp_path)
    return tmp_path


def avslowfast(folder, *words, code=0):
    """Call the command line in a folder; the console script does not put the current folder on the path either."""
    start = "import sys; sys.path.remove(''); from avslowfast.cli.main import main; sys.exit(main())"
    env = {**ENV, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", start, *map(str, words)], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr[-2000:]
    return done


def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_lateral_data_set_and_metric_train_and_predict(folder, synthav):
    words = ("DATA.PATH_TO_DATA_DIR", synthav, "OUTPUT_DIR", "out", *QUICK)
    avslowfast(folder, "train", "my_network.yaml", *words)
    tested = results(folder / "out")
    assert tested["error_rate"] == pytest.approx(100 - tested["top1"])
    state = torch.load(folder / "out/checkpoints/checkpoint_epoch_00001.pyth", weights_only=True)["model_state"]
    assert state["audio_laterals.res3.factor"] != 0.5
    video = os.path.join(synthav, "test/000000.mp4")
    done = avslowfast(folder, "predict", "--weights", "out", "--import", "my_plugin", video)
    assert done.stdout.count(" % ") == 4


def test_a_checkpoint_of_a_plugin_says_that_it_has_to_be_imported(folder, synthav):
    words = ("DATA.PATH_TO_DATA_DIR", synthav, "OUTPUT_DIR", "out", "TEST.ENABLE", "False", *QUICK)
    avslowfast(folder, "train", "my_network.yaml", *words)
    done = avslowfast(folder, "predict", "--weights", "out", os.path.join(synthav, "test/000000.mp4"), code=2)
    assert "my_plugin" in done.stderr
    assert "Traceback" not in done.stderr


def test_pretext(folder, synthav):
    words = (
        "TASK",
        "pretrain",
        "PRETRAIN.TASKS",
        "['reversed']",
        "DATA.PATH_TO_DATA_DIR",
        synthav,
        "OUTPUT_DIR",
        "out",
    )
    avslowfast(folder, "train", "my_network.yaml", *words, "TEST.METRICS", "[]", *QUICK)
    assert 0 <= results(folder / "out")["reversed_top1"] <= 100


def test_an_option_of_a_data_set_is_checked(folder, synthav):
    words = ("DATA.PATH_TO_DATA_DIR", synthav, "SYNTHAV_HALF.HALF", "colour")
    assert (
        "SYNTHAV_HALF.HALF is 'colour': it has to be one of motion, audio"
        in avslowfast(folder, "train", "my_network.yaml", *words, code=2).stderr
    )
