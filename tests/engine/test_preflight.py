"""What is looked at before the first step, and what `avslowfast check` says."""

import os
import shutil
import subprocess
import sys

import pytest
import torch
from helpers import tiny_cfg
from helpers.lists import copy_lists
from helpers.runs import ENV, log_of, output_of, run

from avslowfast.engine.preflight import build_datasets, try_batches
from avslowfast.engine.trainer import Trainer
from avslowfast.utils import seeding


def check(run_args, *more, code=0):
    words = [sys.executable, "-m", "avslowfast", "check", "--cfg", "SynthAV/AVSLOWFAST_TINY", *run_args, *more]
    done = subprocess.run([str(w) for w in words], env=ENV, capture_output=True, text=True, timeout=200)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture
def lists(synthav, tmp_path):
    """Changes the lists: a function of split and lines; gives their folder."""

    def changed(change):
        folder = tmp_path / "lists"
        folder.mkdir()
        copy_lists(synthav, folder, change)
        shutil.copy(synthav / "classes.txt", folder)
        return folder

    return changed


def test_a_check_says_what_a_run_would_use_and_writes_nothing(run_args):
    out = check(run_args).stdout
    for words in (
        "train  32",
        "16 of 16",
        "a new run would begin",
        "one step: loss",
        " free in ",
        "the run can start",
    ):
        assert words in out
    assert os.listdir(output_of(run_args)) == []


def test_a_dry_run_of_train_is_the_same(run_args):
    done = run(run_args, "--dry-run")
    assert "checked: the run can start" in done.stdout
    assert os.listdir(output_of(run_args)) == []


def test_a_check_of_a_test_alone_passes_a_batch_through_the_network(run_args, tmp_path, monkeypatch):
    (tmp_path / "one_clip.py").write_text(
        "from avslowfast.config.names import TASKS\n"
        "from avslowfast.tasks.classification import ClassificationTask\n"
        "from avslowfast.utils.errors import UserError\n"
        "@TASKS.register('one_clip')\n"
        "class OneClip(ClassificationTask):\n"
        "    def scores(self, model, batch, clips):\n"
        "        scores = super().scores(model, batch, clips)\n"
        "        raise UserError(f'scores of {len(scores)} clips')\n"
    )
    monkeypatch.setitem(ENV, "PYTHONPATH", os.pathsep.join([str(tmp_path), ENV.get("PYTHONPATH", "")]))
    test_alone = ("TRAIN.ENABLE", False, "TEST.NUM_ENSEMBLE_VIEWS", 3, "TEST.NUM_SPATIAL_CROPS", 1)
    assert "checked: the run can start" in check(run_args, *test_alone).stdout
    message = check(run_args, *test_alone, "TASK", "one_clip", "--import", "one_clip", code=2).stderr
    assert "scores of 3 clips" in message


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_missing_list_is_found_before_the_first_step(run_args, lists, split):
    folder = lists(lambda split, lines: lines)
    os.remove(folder / f"{split}.csv")
    done = run(run_args, "DATA.PATH_TO_DATA_DIR", folder, code=2)
    assert f"{split}.csv" in done.stderr
    assert "train_iter" not in done.stdout


def test_a_label_beyond_the_classes_in_the_test_list_is_found_before_the_first_step(run_args, lists):
    folder = lists(lambda split, lines: [f"{lines[0].split()[0]} 99", *lines[1:]] if split == "test" else lines)
    done = run(run_args, "DATA.PATH_TO_DATA_DIR", folder, code=2)
    assert "test.csv, line 1" in done.stderr
    assert "train_iter" not in done.stdout


def test_a_wrong_prefix_is_told_with_the_number_of_files_looked_for(run_args, lists):
    def moved(split, lines):
        # A file that two lines name is one file.
        return [f"nowhere/{i // 2}.mp4 {line.split()[1]}" for i, line in enumerate(lines)]

    message = check(run_args, "DATA.PATH_TO_DATA_DIR", lists(moved), code=2).stderr
    assert "train: 16 of 16 files that were looked for do not exist" in message
    assert "DATA.PATH_PREFIX" in message


def test_one_missing_file_is_a_warning(run_args, lists):
    folder = lists(lambda split, lines: ["gone.mp4 0", *lines[1:]] if split == "train" else lines)
    out = check(run_args, "DATA.PATH_TO_DATA_DIR", folder).stdout
    assert "train: 1 of 32 files that were looked for do not exist" in out


def test_videos_in_two_splits_and_duplicates_are_told(run_args, lists, synthav):
    first = f"{synthav}/" + (synthav / "train.csv").read_text().split("\n")[0]
    folder = lists(lambda split, lines: [first, first, *lines] if split == "val" else lines)
    run(
        run_args,
        "DATA.PATH_TO_DATA_DIR",
        folder,
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0,
        "TEST.ENABLE",
        False,
    )
    log = log_of(output_of(run_args))
    assert "val: 1 line names a video that is in the list already" in log
    assert "videos are also in train" in log


def test_batches_that_are_tried_change_nothing(run_args):
    cfg = tiny_cfg(*run_args)
    datasets = build_datasets(cfg)
    trainer = Trainer(cfg, torch.device("cpu"), datasets["train"])
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    seeding.seed_everything(3)
    expected = torch.rand(4)
    seeding.seed_everything(3)
    try_batches(trainer, datasets)
    assert torch.equal(torch.rand(4), expected)
    assert all(torch.equal(before[name], tensor) for name, tensor in trainer.model.state_dict().items())
    assert trainer.model.training
