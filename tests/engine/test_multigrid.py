"""Trainings with multigrid in processes of their own: stopped anywhere, on one rank and on two."""

import itertools
import os
import re
import signal
import subprocess
import time

import pytest
import torch
from helpers import keys, MULTIGRID, tiny_cfg
from helpers.runs import command, ENV, log_of, newest_state, output_of, run, stats, with_output

from avslowfast.checkpoint.states import read_state
from avslowfast.engine.preflight import build_datasets, try_batches
from avslowfast.engine.trainer import Trainer

# Five plain epochs: five of clips of 4 frames, three of clips of 8 frames, with batch norm of parts at first.
KEYS = (
    *MULTIGRID,
    "TRAIN.BATCH_SIZE",
    2,
    "MULTIGRID.BN_BASE_SIZE",
    4,
    "SOLVER.MAX_EPOCH",
    5,
    "SOLVER.WARMUP_EPOCHS",
    1,
)
SHAPES = ("8x4x32x32, 8x4x32x32", "4x8x32x32, 2x8x48x48")


def test_every_shape_is_tried_before_the_first_step_and_nothing_changes(run_args):
    cfg = tiny_cfg(*run_args, *KEYS)
    datasets = build_datasets(cfg)
    trainer = Trainer(cfg, torch.device("cpu"), datasets["train"])
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    seen = []
    trainer.model.register_forward_pre_hook(lambda module, args: seen.append(tuple(args[0]["fast"].shape[1:4])))
    try_batches(trainer, datasets)
    assert seen[:-2] == [(3, 4, 32), (3, 8, 32), (3, 8, 48)]
    assert all(torch.equal(value, before[name]) for name, value in trainer.model.state_dict().items())


def test_steps_epochs_and_what_is_left_follow_the_schedule(run_args):
    cfg = tiny_cfg(*run_args, *KEYS)
    trainer = Trainer(cfg, torch.device("cpu"))
    state = trainer.state
    assert state.epoch_steps == (4,) * 5 + (10,) * 3
    assert (state.max_epoch, state.total_iterations) == (8, 50)
    state.epoch, state.iteration = 6, 3
    assert (state.global_iteration, state.iters_per_epoch) == (33, 10)
    assert trainer.steps_to_come() == {SHAPES[1]: 17}
    state.epoch, state.iteration = 2, 0
    assert trainer.steps_to_come() == {SHAPES[0]: 12, SHAPES[1]: 30}
    trainer.begin_shape()
    assert state.shape == SHAPES[0]


@pytest.mark.slow
def test_the_log_tells_shapes_rates_and_validations(run_args):
    run(run_args, *KEYS, "LOG_PERIOD", 1, "TRAIN.EVAL_PERIOD", 100)
    folder = output_of(run_args)
    rows = stats(folder, "train_iter")
    assert [row["iter"] for row in rows if row["epoch"] == "6/8"] == [f"{i}/10" for i in range(1, 11)]
    assert [
        (epoch, {row["shape"] for row in group}) for epoch, group in itertools.groupby(rows, lambda r: r["epoch"])
    ] == [(f"{epoch}/8", {SHAPES[epoch > 5]}) for epoch in range(1, 9)]
    assert [row["lr"] for row in rows if row["iter"] == "1/4"][1:] == [0.2] * 4
    assert {row["lr"] for row in rows if row["epoch"] == "8/8"} == {0.005}
    # About three in each shape, in place of TRAIN.EVAL_PERIOD.
    assert [row["epoch"] for row in stats(folder, "val_epoch")] == [f"{epoch}/8" for epoch in (1, 3, 5, 6, 7, 8)]
    log = log_of(output_of(run_args))
    assert f"epochs 1 to 5: batches of {SHAPES[0]}, sub_batchnorm of 2" in log
    assert f"epochs 6 to 7: batches of {SHAPES[1]}, sync_batchnorm of 1" not in log


@pytest.mark.slow
def test_a_check_makes_a_step_in_every_shape(run_args):
    done = run(run_args, *KEYS, "--dry-run")
    assert re.findall(r"one step at (\S+): loss", done.stdout) == ["4x32x32", "4x32x32", "8x32x32", "8x48x48"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
@pytest.mark.parametrize("cycles", ["both", "short", "long"])
@pytest.mark.parametrize("workers", [0, 2])
def test_a_stopped_run_resumes_in_the_middle_of_a_cycle_bit_for_bit(run_args, tmp_path, number, cycles, workers):
    extra = [*KEYS, *keys(f"MULTIGRID.SHORT_CYCLE {cycles != 'long'} MULTIGRID.LONG_CYCLE {cycles != 'short'}")]
    extra += keys(
        "TEST.ENABLE False LOG_PERIOD 1 TRAIN.CHECKPOINT_SECONDS 0.001 MODEL.DROPOUT_RATE 0.5 EMA.ENABLE True"
    )
    extra += keys(
        f"EMA.DECAY 0.9 DATA.GET_MISALIGNED_AUDIO True DATA.MIX_NEG_EPOCH 0 DATA_LOADER.NUM_WORKERS {workers}"
    )
    whole, stopped = (with_output(run_args, tmp_path / name) for name in ("whole", "stopped"))
    run(whole, *extra)
    # Once among clips of 4 frames, once among those of 8, each time after an odd number of steps.
    for place in (r'"epoch": "2/\d", .*"iter": "3/', r'"epoch": "6/\d", .*"iter": "5/'):
        code = stop_when(stopped, place, number, *extra)
        assert code == (75 if number == signal.SIGTERM else -signal.SIGKILL)
        assert "_iter_" in newest_state(output_of(stopped))
    run(stopped, *extra)
    assert log_of(output_of(stopped)).count("resumed from") == 2
    assert "training resumes at the beginning" not in log_of(output_of(stopped))
    a, b = (read_state(newest_state(output_of(args))) for args in (whole, stopped))
    assert (a["epoch"], a["iteration"]) == (b["epoch"], b["iteration"])
    for key in ("model_state", "ema_state"):
        assert all(torch.equal(a[key][n], b[key][n]) for n in a[key])
    moments = [s["state"] for s in (a["optimizer_state"], b["optimizer_state"])]
    assert all(torch.equal(moments[0][i]["momentum_buffer"], moments[1][i]["momentum_buffer"]) for i in moments[0])


def stop_when(args, pattern, number, *more):
    """Start a run, send a signal when what it has logged since matches, and return its exit code."""
    log = os.path.join(output_of(args), "stdout.log")
    begin = os.path.getsize(log) if os.path.isfile(log) else 0
    process = subprocess.Popen(command(args, *more), env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.time() + 300
    while time.time() < deadline and process.poll() is None:
        if os.path.isfile(log) and re.search(pattern, open(log).read()[begin:]):
            process.send_signal(number)
            break
        time.sleep(0.01)
    return process.wait(timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_give_the_losses_of_one(run_args, tmp_path, accumulate):
    # Frozen statistics: those of a rank's clips would differ from those of all.
    args = [
        *KEYS,
        "BN.NORM_TYPE",
        "frozen_batchnorm",
        "TRAIN.BATCH_SIZE",
        4,
        "MODEL.DROPOUT_RATE",
        0.0,
        "LOG_PERIOD",
        1,
    ]
    args += keys("TEST.ENABLE False BN.USE_PRECISE_STATS False SLOWFAST.DROPPATHWAY_RATE 0.5 SOLVER.BASE_LR 0.01")
    args += ["DATA.GET_MISALIGNED_AUDIO", True, "DATA.MIX_NEG_EPOCH", 1, "TRAIN.ACCUMULATION_STEPS", accumulate]
    one, two = with_output(run_args, tmp_path / "one"), with_output(run_args, tmp_path / "two")
    run(one, *args)
    run(two, *args, "NUM_CPU_PROCESSES", 2)
    a, b = stats(output_of(one), "train_iter"), stats(output_of(two), "train_iter")
    assert len(a) == len(b) == 25
    for left, right in zip(a, b):
        names = [n for n in left if n.startswith(("loss", "avs"))]
        assert names == [n for n in right if n.startswith(("loss", "avs"))]
        assert left["shape"] == right["shape"]
        # The log keeps six digits.
        assert max(abs(left[n] - right[n]) for n in names) < 1e-4, (left["iter"], left, right)


@pytest.mark.slow
def test_batch_norm_of_a_small_batch_is_shared_by_ranks(run_args, tmp_path):
    # Two clips on each of two ranks, of eight that statistics are to be taken over.
    args = [*KEYS, "MULTIGRID.BN_BASE_SIZE", 8, "LOG_PERIOD", 1, "TEST.ENABLE", False, "NUM_CPU_PROCESSES", 2]
    run(run_args, *args)
    log = log_of(output_of(run_args))
    assert f"epochs 1 to 5: batches of {SHAPES[0]}, sync_batchnorm of 2" in log
    assert f"epochs 6 to 7: batches of {SHAPES[1]}, sync_batchnorm of 2" in log
    assert len(stats(output_of(run_args), "train_iter")) == 50
