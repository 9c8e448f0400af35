"""Whole runs in separate processes: train, test, kill, resume, two ranks, failures."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import keys, ROOT, tiny_cfg
from helpers.lists import copy_lists
from helpers.runs import command, ENV, log_of, newest_state, output_of, run, stats, weights, with_output

from avslowfast.checkpoint import states


def test_train_and_test_from_start_to_end(run_args):
    run(run_args, "TENSORBOARD.ENABLE", True, "LOG_MODEL_INFO", True)
    folder = output_of(run_args)
    results = json.load(open(os.path.join(folder, "results.json")))
    assert results["videos"] == 16
    assert results["views"] == 2
    assert results["failed"] == []
    assert 0 <= results["top1"] <= results["top5"] <= 100
    assert results["gflops"] > 0
    assert results["parameters_m"] > 0
    assert len(results["per_class_accuracy"]) == 16
    assert "slide+tone" in results["per_class_accuracy"]
    scores = torch.load(os.path.join(folder, "scores.pt"), weights_only=False)
    assert scores["scores"].shape == (16, 16)
    assert torch.allclose(scores["scores"].sum(1), torch.ones(16), atol=1e-4)
    top1 = 100 * (scores["scores"].argmax(1) == scores["labels"]).float().mean().item()
    assert results["top1"] <= top1 + 1e-6
    lines = open(os.path.join(folder, "scores.csv")).read().split("\n")
    assert lines[0].startswith("path,label,prediction,slide+tone")
    assert len(lines) == 18
    train = stats(folder, "train_iter")
    assert len(train) == 4
    assert {
        "loss",
        "loss_cls",
        "avs_res3",
        "lr",
        "dt_data",
        "dt_net",
        "clips_per_s",
        "eta",
        "ram_gb",
    } <= set(train[0])
    assert len(stats(folder, "val_epoch")) == 2
    assert len(stats(folder, "test_final")) == 1
    assert any(name.startswith("events") for name in os.listdir(os.path.join(folder, "tensorboard")))
    assert os.path.isfile(states.best_path(folder))
    # The same command has nothing left to train and tests again.
    run(run_args)
    assert len(stats(folder, "train_iter")) == 4


def test_a_checkpoint_that_lacks_weights_is_not_tested(run_args, tmp_path):

    from avslowfast.models import build_model

    weights = build_model(tiny_cfg(*run_args, "MODEL.NUM_CLASSES", 7)).state_dict()
    torch.save({"model_state": weights}, tmp_path / "seven.pyth")
    done = run(run_args, "TRAIN.ENABLE", False, "TEST.CHECKPOINT_FILE_PATH", tmp_path / "seven.pyth", code=2)
    assert "2 tensors of the network do not come from it" in done.stderr
    assert "head.projection.weight" in done.stderr


def kill_when(args, pattern, number, *more):
    """Start a run, send a signal when its log matches, and return its exit code."""
    log = os.path.join(output_of(args), "stdout.log")
    process = subprocess.Popen(command(args, *more), env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 200
    while time.time() < deadline and process.poll() is None:
        if os.path.isfile(log) and re.search(pattern, open(log).read()):
            process.send_signal(number)
            break
        time.sleep(0.01)
    return process.wait(timeout=200)


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)], ids=["kill", "term"]
)
def test_a_stopped_run_resumes_to_the_same_weights_bit_for_bit(run_args, tmp_path, number):
    extra = keys(
        "TEST.ENABLE False LOG_PERIOD 1 TRAIN.CHECKPOINT_SECONDS 0.001 EMA.ENABLE True EMA.DECAY 0.9 "
        "MODEL.DROPOUT_RATE 0.5 DATA_LOADER.NUM_WORKERS 1 DATA.GET_MISALIGNED_AUDIO True "
        "DATA.MIX_NEG_EPOCH 0"
    )
    whole = with_output(run_args, tmp_path / "whole")
    run(whole, *extra)
    stopped = with_output(run_args, tmp_path / "stopped")
    code = kill_when(stopped, r'"iter": "2/4"', number, *extra)
    assert code == (75 if number == signal.SIGTERM else -signal.SIGKILL)
    newest = newest_state(output_of(stopped))
    assert "_iter_" in newest
    run(stopped, *extra)
    assert "resumed from" in open(os.path.join(output_of(stopped), "stdout.log")).read()
    a, b = weights(output_of(whole)), weights(output_of(stopped))
    for key in ("model_state", "ema_state"):
        assert all(torch.equal(a[key][n], b[key][n]) for n in a[key])
    moments = [s["state"] for s in (a["optimizer_state"], b["optimizer_state"])]
    assert all(torch.equal(moments[0][i]["momentum_buffer"], moments[1][i]["momentum_buffer"]) for i in moments[0])


@pytest.mark.parametrize("norm", [pytest.param("sync_batchnorm", marks=pytest.mark.slow), "frozen_batchnorm"])
def test_two_processes_give_the_losses_of_one(run_args, tmp_path, norm):
    args = (
        "BN.NORM_TYPE",
        norm,
        "MODEL.DROPOUT_RATE",
        0.0,
        "SOLVER.MAX_EPOCH",
        5,
        "LOG_PERIOD",
        1,
        "TEST.ENABLE",
        False,
        "TRAIN.EVAL_PERIOD",
        5,
        "BN.USE_PRECISE_STATS",
        False,
        "SLOWFAST.DROPPATHWAY_RATE",
        0.5,
        "SOLVER.BASE_LR",
        0.01,
        "DATA.GET_MISALIGNED_AUDIO",
        True,
        "DATA.MIX_NEG_EPOCH",
        1,
    )
    one, two = with_output(run_args, tmp_path / "one"), with_output(run_args, tmp_path / "two")
    run(one, *args)
    run(two, *args, "NUM_CPU_PROCESSES", 2)
    a, b = stats(output_of(one), "train_iter"), stats(output_of(two), "train_iter")
    assert len(a) == len(b) == 20
    assert {"avs_res3", "avs_res5"} <= {name for s in a for name in s}
    for left, right in zip(a, b):
        names = [n for n in left if n.startswith(("loss", "avs"))]
        assert names == [n for n in right if n.startswith(("loss", "avs"))]
        # The log keeps six digits, so it is good for this comparison.
        assert max(abs(left[n] - right[n]) for n in names) < 1e-4, (left["iter"], left, right)
    va, vb = stats(output_of(one), "val_epoch"), stats(output_of(two), "val_epoch")
    assert abs(va[-1]["top1"] - vb[-1]["top1"]) < 1e-6


def test_torchrun_starts_ranks_and_a_wrong_number_is_explained(run_args):
    launcher = ("-m", "torch.distributed.run", "--nproc_per_node=2", "--master_port=29613")
    run(run_args, "NUM_CPU_PROCESSES", 2, "SOLVER.MAX_EPOCH", 1, "SOLVER.WARMUP_EPOCHS", 0, launcher=launcher)
    assert json.load(open(os.path.join(output_of(run_args), "results.json")))["videos"] == 16
    failed = subprocess.run(command(run_args, launcher=launcher), env=ENV, capture_output=True, text=True, timeout=200)
    assert failed.returncode != 0
    assert "NUM_CPU_PROCESSES is 1" in failed.stderr
    assert "pass NUM_CPU_PROCESSES 2" in failed.stderr


def test_a_torn_checkpoint_is_passed_over_and_a_file_of_somebody_else_is_not_looked_at(run_args):
    args = (*run_args, "SOLVER.WARMUP_EPOCHS", 0, "TEST.ENABLE", False)
    run(args)
    folder = output_of(run_args)
    good, torn = states.checkpoint_path(folder, 1, 0), states.checkpoint_path(folder, 2, 0)
    os.truncate(torn, os.path.getsize(torn) // 2)
    foreign = states.checkpoint_path(folder, 9, 0)
    torch.save({"model_state": {"other.weight": torch.zeros(3)}}, foreign)
    run(args)
    assert log_of(folder).count("skipped, it cannot be used: ") == 1
    assert f"skipped, it cannot be used: {torn}" in log_of(folder)
    assert f"resumed from {good}" in log_of(folder)
    assert os.path.isfile(foreign)


def test_failed_test_videos_are_reported_scored_as_wrong_and_named(run_args, synthav, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("nothing")
    folder = copy_lists(synthav, tmp_path, lambda split, lines: [f"{bad} 0", *lines[1:]] if split == "test" else lines)
    args = [*run_args, "DATA.PATH_TO_DATA_DIR", folder, "SOLVER.MAX_EPOCH", 1, "SOLVER.WARMUP_EPOCHS", 0]
    done = run(args, "DATA.MAX_FAILED_FILES", 0, code=2)
    assert "1 of 16 test files could not be read, more than DATA.MAX_FAILED_FRACTION 0.01" in done.stderr
    assert "set DATA.MAX_FAILED_FRACTION to 0.0625 or DATA.MAX_FAILED_FILES to 1" in done.stderr
    assert "Traceback" not in done.stderr
    # The results are there nevertheless.
    first = json.load(open(os.path.join(output_of(args), "results.json")))
    assert os.path.isfile(os.path.join(output_of(args), "scores.pt"))
    run(args)
    results = json.load(open(os.path.join(output_of(args), "results.json")))
    assert results["videos"] == 16
    assert results["failed"] == [{"path": str(bad), "reason": results["failed"][0]["reason"]}]
    assert (results["failed_videos"], results["not_finite_videos"]) == (1, 0)
    assert first["failed"] == results["failed"]
    rows = list(csv.reader(open(os.path.join(output_of(args), "failed_files.csv"))))
    assert rows == [["split", "path", "reason"], ["test", str(bad), results["failed"][0]["reason"]]]
    assert str(bad) not in results["failed"][0]["reason"]
    assert results["per_class_accuracy"]["0"] == 0
    log = open(os.path.join(output_of(args), "stdout.log")).read()
    assert "1 of 16 videos failed" in log
    assert str(bad) in log


def test_failed_training_files_are_counted_and_too_many_stop_the_run(run_args, synthav, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("nothing")
    folder = copy_lists(synthav, tmp_path, lambda split, lines: [f"{bad} 0", *lines[1:]] if split == "train" else lines)
    args = [
        *run_args,
        "DATA.PATH_TO_DATA_DIR",
        folder,
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0,
        "TEST.ENABLE",
        False,
    ]
    done = run(args, "DATA.MAX_FAILED_FILES", 0, code=2)
    assert "1 of 32 training files could not be read" in done.stderr
    assert done.stderr.count(str(bad)) == 1
    run(args, "TRAIN.AUTO_RESUME", False, "TRAIN.REPLACE", True)
    assert "1 unreadable file of 32 replaced" in open(os.path.join(output_of(args), "stdout.log")).read()


def test_a_loss_that_is_not_finite_names_iteration_clips_and_parts(run_args):
    words = keys("SOLVER.BASE_LR 1000 SOLVER.WARMUP_EPOCHS 0 SOLVER.MAX_EPOCH 6 TRAIN.EVAL_PERIOD 6 TEST.ENABLE False")
    done = run(run_args, *words, code=2)
    assert re.search(r"epoch \d, iteration \d+: the loss is not finite \(.*loss_cls.*\); clips: .*\.mp4", done.stderr)


@pytest.mark.parametrize(
    "args, words",
    [
        (["NUM_GPUS", 8], "NUM_GPUS is 8, but this machine has"),
        (["TRAIN.ENABLE", False], "no checkpoint in it to test"),
        (["TRAIN.CHECKPOINT_FILE_PATH", "none.pyth"], "none.pyth: no such file"),
        (["MODEL.NUM_CLASSES", 3], "outside 0..2"),
        (["TRAIN.BATCH_SIZE", 64], "not one batch"),
        (["TRAIN.DATASET", "kinetic"], "did you mean 'kinetics'"),
    ],
)
def test_mistakes_end_with_one_line_before_anything_starts(run_args, args, words):
    done = run(run_args, *args, code=2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_accumulation_mixing_augmentation_and_adamw_train(run_args):
    run(
        run_args,
        *keys(
            "TRAIN.ACCUMULATION_STEPS 2 MIXUP.ENABLE True AUG.ENABLE True SPECAUG.ENABLE True "
            "SOLVER.OPTIMIZING_METHOD adamw SOLVER.CLIP_GRAD_L2NORM 1.0 SOLVER.BASE_LR 0.001 "
            "TRAIN.MIXED_PRECISION True DATA.LOGMEL_ON_DEVICE True EMA.ENABLE True SOLVER.MAX_EPOCH 1 "
            "SOLVER.WARMUP_EPOCHS 0"
        ),
    )
    assert json.load(open(os.path.join(output_of(run_args), "results.json")))["videos"] == 16


@pytest.mark.shared
@pytest.mark.slow
def test_the_real_configuration_on_real_files(shared, tmp_path):
    clips = [shared / "clips" / n for n in ("flipping_a_pancake.mkv", "nasa_13013.mp4", "big_buck_bunny_30s.webm")]
    for split, repeats in (("train", 2), ("val", 1), ("test", 1)):
        (tmp_path / f"{split}.csv").write_text("".join(f"{c} {i}\n" for i, c in enumerate(clips)) * repeats)
    args = [
        "--cfg",
        str(ROOT / "configs/Kinetics/AVSLOWFAST_4x16_R50.yaml"),
        "DATA.PATH_TO_DATA_DIR",
        str(tmp_path),
        "OUTPUT_DIR",
        str(tmp_path / "out"),
        "NUM_GPUS",
        "0",
        "TRAIN.BATCH_SIZE",
        "2",
        "SOLVER.MAX_EPOCH",
        "1",
        "SOLVER.WARMUP_EPOCHS",
        "0",
        "TEST.BATCH_SIZE",
        "2",
        "TEST.NUM_ENSEMBLE_VIEWS",
        "2",
        "TEST.NUM_SPATIAL_CROPS",
        "3",
        "BN.NUM_BATCHES_PRECISE",
        "1",
        "DATA_LOADER.NUM_WORKERS",
        "1",
        "LOG_PERIOD",
        "1",
        "SOLVER.BASE_LR",
        "0.001",
    ]
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/run_net.py"), *args], capture_output=True, text=True, timeout=1500
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = json.load(open(tmp_path / "out/results.json"))
    assert results["videos"] == 3
    assert results["views"] == 6
    assert results["failed"] == []
