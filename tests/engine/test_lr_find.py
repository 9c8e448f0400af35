"""The learning-rate range test: its rates, its rule, and that a folder's run stays as it is."""

import hashlib
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.lists import copy_lists
from helpers.runs import ENV

from avslowfast.cli.main import main
from avslowfast.config import ConfigError
from avslowfast.engine.lr_find import Curve, lr_find, NoRateError, Sweep, words_for
from avslowfast.engine.stop import StopRequest
from avslowfast.engine.trainer import Trainer


def curve_of(*losses):
    curve = Curve()
    for step, loss in enumerate(losses):
        curve.add(10.0 ** (step - 4), loss)
    return curve


def test_rates_rise_by_the_same_factor():
    assert [Sweep(1e-3, 10, 5).rate(i) for i in range(5)] == pytest.approx([1e-3, 1e-2, 1e-1, 1, 10])


def test_losses_are_smoothed_without_the_bias_of_the_beginning():
    # (0.9 * 0.2 + 0.1 * 1) / (1 - 0.81), then (0.9 * 0.28 + 0.1 * 4) / (1 - 0.729)
    assert curve_of(2, 1, 4).smoothed == pytest.approx([2, 0.28 / 0.19, 0.652 / 0.271])


def test_half_of_the_lowest_losss_rate_is_suggested():
    # 2, 1.47, 1.31, then up: the lowest is the third one, at 1e-2.
    assert curve_of(2, 1, 1, 3).suggestion() == pytest.approx(5e-3)


def test_a_curve_ends_when_it_has_diverged():
    assert not curve_of(1, 3).diverged
    assert curve_of(1, 100).diverged
    not_finite = curve_of(1, 0.5, float("nan"))
    assert not_finite.diverged and len(not_finite.losses) == 2


@pytest.mark.parametrize(
    "losses, words", [((2, 2, 1.99, 2.1), "never falls"), ((float("inf"),), "first step is not finite")]
)
def test_a_curve_without_a_fall_suggests_nothing(losses, words):
    with pytest.raises(NoRateError, match=words):
        curve_of(*losses).suggestion()


def test_what_would_lie_above_the_rate_goes_with_it():
    cfg = tiny_cfg("SOLVER.WARMUP_START_LR", 0.005, "SOLVER.COSINE_END_LR", 0.001)
    assert words_for(cfg, 0.01234) == ["SOLVER.BASE_LR", 0.012]
    assert words_for(cfg, 0.0007) == [
        *("SOLVER.BASE_LR", 0.0007, "SOLVER.WARMUP_START_LR", 7e-5),
        *("SOLVER.COSINE_END_LR", 0.0),
    ]


def contents(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


WORDS = ("--steps", "20", "--from", "1e-3", "--to", "1")


def test_a_range_test_gives_the_same_curve_twice_and_leaves_a_run_alone(run_args, synthav, trained, tmp_path, capsys):
    folder, again = tmp_path / "out", tmp_path / "again"
    shutil.copytree(trained, folder)
    before = contents(folder)
    # One class alone: the loss falls within a few steps.
    copy_lists(synthav, tmp_path, lambda split, lines: [line.rsplit(" ", 1)[0] + " 0" for line in lines])
    # The configured rate is for other clips than those of a step.
    more = ["DATA.PATH_TO_DATA_DIR", tmp_path, "TRAIN.BATCH_SIZE", 2, "SOLVER.BASE_LR_FOR_BATCH", 8]
    for words in ((), ("--out", again)):
        args = ["lr-find", "SynthAV/AVSLOWFAST_TINY", *WORDS, *words, *run_args, *more, "MODEL.ARCH", "slowfast"]
        assert main([str(word) for word in args]) == 0
    first, second = (json.loads((place / "lr_find.json").read_text()) for place in (folder / "lr_find", again))
    steps = len(first["rates"])
    assert steps == 20 or first["diverged"]
    assert first["rates"] == [1e-3 * 1e3 ** (i / 19) for i in range(steps)]
    assert first == second
    assert first["losses"][-1] < first["losses"][0] / 2
    rate = first["rates"][int(np.argmin(first["smoothed"]))] / 2
    # Rates are for 8 clips, and a step has 2: SOLVER.BASE_LR is four times what is used.
    base_lr = float(f"{4 * rate:.2g}")
    assert first["suggested_rate"] == rate and first["words"][:2] == ["SOLVER.BASE_LR", base_lr]
    line = capsys.readouterr().out.strip().split("\n")[-1]
    assert f"SOLVER.BASE_LR {base_lr}" in line and "lr_find.png" in line
    assert ("still falls" in line) == (rate == 0.5)
    after = contents(folder)
    assert {path: digest for path, digest in after.items() if path.parts[0] != "lr_find"} == before
    assert sorted(path.name for path in (folder / "lr_find").iterdir()) == ["lr_find.json", "lr_find.png"]


def test_each_group_of_weights_gets_its_share_of_the_rate(run_args):
    trainer = Trainer(tiny_cfg(*run_args, "TRAIN.BATCH_SIZE", 2, "FINETUNE.LR_HEAD", 5.0), torch.device("cpu"))
    trainer.rate = lambda epoch: 0.3
    trainer.wrap()
    trainer.run_step([next(iter(trainer.loader))])
    assert {group["lr"] for group in trainer.optimizer.param_groups} == {0.3, 1.5}


def test_too_few_clips_are_one_line(run_args, tmp_path):
    with pytest.raises(ConfigError, match=r"8 steps are too few.*\(32 clips, TRAIN.BATCH_SIZE 8, 2 epochs\)"):
        lr_find(tiny_cfg(*run_args), torch.device("cpu"), StopRequest(), 1e-3, 1, 100, str(tmp_path / "lr"))
    assert not (tmp_path / "lr").exists()


def test_a_task_without_training_has_no_rate(run_args, capsys):
    assert main([str(word) for word in ["lr-find", "SynthAV/AVSLOWFAST_TINY", *run_args, "TASK", "probe"]]) == 2
    assert "it trains no network" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_find_the_rate_of_one(run_args, synthav, tmp_path):
    copy_lists(synthav, tmp_path, lambda split, lines: [line.rsplit(" ", 1)[0] + " 0" for line in lines])
    found = {}
    for processes in (1, 2):
        more = ["DATA.PATH_TO_DATA_DIR", tmp_path, "TRAIN.BATCH_SIZE", 2, "NUM_CPU_PROCESSES", processes]
        # Statistics of a batch would be those of a rank's half of it.
        more += ["BN.NORM_TYPE", "frozen_batchnorm", "MODEL.DROPOUT_RATE", 0, "--out", tmp_path / str(processes)]
        words = ["-m", "avslowfast", "lr-find", "SynthAV/AVSLOWFAST_TINY", *WORDS, *run_args, *more]
        done = subprocess.run([sys.executable, *map(str, words)], env=ENV, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        found[processes] = json.loads((tmp_path / str(processes) / "lr_find.json").read_text())
    assert found[1]["rates"] == found[2]["rates"]
    assert found[1]["losses"] == pytest.approx(found[2]["losses"], rel=1e-3)
    assert found[1]["words"] == found[2]["words"]
