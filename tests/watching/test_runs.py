"""Whole trainings with all loggers, killed and resumed."""

import os
import signal
import subprocess
import time

import pytest
from helpers import scalars
from helpers.runs import command, ENV, run, with_output

pytestmark = pytest.mark.slow
# What depends on the clock or on the process.
CLOCK = ("dt", "dt_data", "dt_net", "clips_per_s", "ram_gb", "seconds")


def of_the_training(found):
    return {name: values for name, values in found.items() if name.partition("/")[2] not in CLOCK}


def test_a_killed_and_resumed_training_has_every_point_once(run_args, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setitem(ENV, "WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    words = [
        *(*run_args, "LOGGERS", "[json, csv, tensorboard, wandb, mlflow]", "TENSORBOARD.ENABLE", True),
        *("TENSORBOARD.CLIPS", 0, "SOLVER.MAX_EPOCH", 3, "LOG_PERIOD", 1, "TRAIN.CHECKPOINT_SECONDS", 0.01),
        *("TEST.ENABLE", False),
    ]
    run(with_output(words, tmp_path / "whole"))
    disturbed = with_output(words, tmp_path / "killed")
    process = subprocess.Popen(command(disturbed), env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lines = tmp_path / "killed/metrics.jsonl"
    deadline = time.monotonic() + 200
    # In the second epoch; what W&B keeps in memory for some seconds is not part of this.
    while not lines.exists() or lines.read_text().count('"train/loss"') < 6:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=100) == 75
    run(disturbed)
    everything = of_the_training(scalars.of_json(tmp_path / "whole"))
    assert {"train/loss", "train/loss_cls", "epoch/loss", "epoch/lr", "val/top1", "val/best"} <= set(everything)
    for name, read in scalars.READERS.items():
        whole, resumed = (of_the_training(read(tmp_path / folder)) for folder in ("whole", "killed"))
        assert resumed == whole, name
        expected = {key: v for key, v in everything.items() if name != "csv" or not key.startswith("train/")}
        assert set(whole) == set(expected), name
        for key, values in expected.items():
            assert [step for step, _ in whole[key]] == [step for step, _ in values], (name, key)
            assert [v for _, v in whole[key]] == pytest.approx([v for _, v in values], rel=1e-6), (name, key)
    assert len(os.listdir(tmp_path / "killed/mlruns")) == len(os.listdir(tmp_path / "whole/mlruns"))
