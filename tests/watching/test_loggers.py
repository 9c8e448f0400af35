"""Loggers, written by the real packages into local folders and read back."""

import json
import math
import os

import pytest
import torch
from helpers import scalars, tiny_cfg

from avslowfast.cli.main import run_command
from avslowfast.config import load_cfg
from avslowfast.config.derived import loggers as names_of
from avslowfast.config.names import LOGGERS
from avslowfast.engine.hooks.loggers import build_loggers, LoggersHook
from avslowfast.engine.state import TrainState
from avslowfast.evaluation.protocols.base import Evaluation
from avslowfast.tasks.scores import ClassScores
from avslowfast.watching.base import RunLogger

STEPS, EPOCHS = 4, 3


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def loss_at(step):
    return 10.0 / step


def rounded(value):
    return torch.tensor(value).item()


def evaluation(epoch):
    scores = ClassScores({"": torch.eye(4).numpy()})
    return Evaluation(scores, torch.arange(4).numpy(), ["a"] * 4, metrics={"top1": 20.0 * epoch}, seconds=1.5)


def train(folder, name, first=0, last=STEPS * EPOCHS, run_id="20260101-000000-abcdef", state=None, hooks=None):
    """The calls of a training of 3 epochs of 4 steps, from behind step `first` to step `last`; gives its state."""
    state = state or TrainState((STEPS,) * EPOCHS)
    cfg = tiny_cfg("LOGGERS", [name], "OUTPUT_DIR", str(folder), "TENSORBOARD.CLIPS", 0)
    hook = LoggersHook(build_loggers(cfg, run_id, state), torch.nn.Linear(1, 1))
    (hooks if hooks is not None else []).append(hook)
    if state.evaluation_due:
        hook.write_evaluation(evaluation(state.epoch), state)
        state.evaluation_due = False
    for step in range(first + 1, last + 1):
        state.iteration, state.steps = state.iteration + 1, step
        state.losses = {"loss": torch.tensor(loss_at(step))}
        hook.after_step(state)
        if step % 2 == 0:
            hook.write_step({"loss": loss_at(step), "lr": 0.1, "eta": "00:01:00", "_type": "train_iter"}, state)
        if state.epoch_complete:
            state.end_epoch()
            hook.after_epoch(state)
            hook.write_evaluation(evaluation(state.epoch), state)
            state.clear_epoch()
    state.stop = last < STEPS * EPOCHS
    return state, hook


@pytest.mark.parametrize("name", scalars.READERS)
def test_every_logger_has_the_same_scalars_under_the_same_names(tmp_path, name):
    state, hook = train(tmp_path, name)
    hook.after_train(state)
    found = scalars.READERS[name](tmp_path)
    expected = {
        "train/loss": [(step, loss_at(step)) for step in range(2, 13, 2)],
        "epoch/loss": [(end, sum(map(loss_at, range(end - 3, end + 1))) / 4) for end in (4, 8, 12)],
        "val/top1": [(4, 20.0), (8, 40.0), (12, 60.0)],
        "val/seconds": [(4, 1.5), (8, 1.5), (12, 1.5)],
    }
    if name == "csv":
        del expected["train/loss"]
    for key, values in expected.items():
        assert [step for step, _ in found[key]] == [step for step, _ in values]
        assert [value for _, value in found[key]] == pytest.approx([value for _, value in values], rel=1e-6)
    groups = {key.partition("/")[0] for key in found}
    assert groups == ({"epoch", "val"} if name == "csv" else {"train", "epoch", "val"})


OWN = ("json", "csv", "tensorboard")
# Their packages take seconds to import and to start.
OTHERS = tuple(pytest.param(name, marks=pytest.mark.slow) for name in ("wandb", "mlflow"))


@pytest.mark.parametrize("name", [*OWN, *OTHERS])
def test_a_resumed_run_continues_without_doublets(tmp_path, name):
    """Killed behind step 10; the newest state is that of step 6, in the second epoch."""
    train(tmp_path, name, last=6)[1].after_train(TrainState((STEPS,) * EPOCHS, stop=True))
    saved, hook = train(tmp_path, name, first=6, last=6, state=TrainState((STEPS,) * EPOCHS, 1, 2, 6))
    saved.epoch_losses.restore({"loss": [rounded(loss_at(5)) + rounded(loss_at(6)), 2.0]}, torch.device("cpu"))
    for step in range(7, 11):
        saved.iteration, saved.steps = saved.iteration + 1, step
        hook.write_step({"loss": loss_at(step)}, saved)
    hook.after_train(TrainState((STEPS,) * EPOCHS, stop=True))
    again = TrainState((STEPS,) * EPOCHS, 1, 2, 6)
    again.epoch_losses.restore({"loss": [rounded(loss_at(5)) + rounded(loss_at(6)), 2.0]}, torch.device("cpu"))
    state, hook = train(tmp_path, name, first=6, state=again)
    hook.after_train(state)
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    state, hook = train(undisturbed, name)
    hook.after_train(state)
    expected, found = scalars.READERS[name](undisturbed), scalars.READERS[name](tmp_path)
    for key in ("train/loss", "epoch/loss", "val/top1"):
        kept = [pair for pair in found.get(key, []) if key != "train/loss" or pair[0] % 2 == 0]
        assert kept == expected.get(key, []), key


def test_the_validation_that_was_still_to_come_is_not_written_twice(tmp_path):
    train(tmp_path, "json", last=4)
    train(tmp_path, "csv", last=4)
    for name in ("json", "csv"):
        train(tmp_path, name, first=4, last=4, state=TrainState((STEPS,) * EPOCHS, 1, 0, 4, evaluation_due=True))
        assert scalars.READERS[name](tmp_path)["val/top1"] == [(4, 20.0)]
        assert scalars.READERS[name](tmp_path)["epoch/loss"] == [(4, pytest.approx(sum(map(loss_at, range(1, 5))) / 4))]


@pytest.mark.parametrize("name", ["json", "csv", *OTHERS])
def test_a_new_run_in_the_same_folder_does_not_continue_another(tmp_path, name):
    state, hook = train(tmp_path, name, last=4)
    hook.after_train(state)
    state, hook = train(tmp_path, name, last=4, run_id="20260102-000000-fedcba")
    hook.after_train(state)
    if name == "mlflow":
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=str(tmp_path / "mlruns"))
        runs = client.search_runs([client.get_experiment_by_name("avslowfast").experiment_id])
        assert [run.data.tags["avslowfast.run"] for run in runs] == ["20260102-000000-fedcba", "20260101-000000-abcdef"]
        assert {run.info.status for run in runs} == {"KILLED"}
        assert runs[0].data.params["MODEL.ARCH"] == "avslowfast"
    else:
        assert len(scalars.READERS[name](tmp_path)["val/top1"]) == (2 if name == "wandb" else 1)


def test_a_full_disk_is_one_warning_and_the_rest_is_whole(tmp_path, caplog):
    """A limit on the size of files stands for the full disk: writes fail in the same way."""
    import resource
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    state, _ = train(tmp_path, "json", last=4)
    size = os.path.getsize(tmp_path / "metrics.jsonl")
    hooks = []
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, before[1]))
        train(tmp_path, "json", first=4, last=8, state=state, hooks=hooks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    state.steps = 8
    hooks[0].after_train(state)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert warnings[0].startswith("LOGGERS json: ") and "Training continues" in warnings[0]
    assert warnings[1] == "LOGGERS json: 4 writes missed"
    assert [step for step, _ in scalars.of_json(tmp_path)["train/loss"]] == [2, 4]
    assert (tmp_path / "metrics.jsonl").read_bytes().endswith(b"\n")


def test_a_torn_line_is_left_out_at_the_next_start(tmp_path, caplog):
    state, _ = train(tmp_path, "json", last=4)
    with open(tmp_path / "metrics.jsonl", "a") as f:
        f.write('{"step": 4, "epo')
    train(tmp_path, "json", first=4, last=8, state=state)
    assert [step for step, _ in scalars.of_json(tmp_path)["train/loss"]] == [2, 4, 6, 8]
    assert "1 torn line left out" in caplog.text


def test_values_that_are_not_finite_are_written_as_such(tmp_path):
    state = TrainState((2,), 0, 1, 1)
    for name in ("json", "mlflow"):
        cfg = tiny_cfg("LOGGERS", [name], "OUTPUT_DIR", str(tmp_path))
        hook = LoggersHook(build_loggers(cfg, "20260101-000000-abcdef", state), torch.nn.Linear(1, 1))
        hook.write_step({"loss": math.nan, "lr": 0.1}, state)
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["train/loss"] is None
    assert scalars.of_mlflow(tmp_path) == {"train/lr": [(1, 0.1)]}


def test_a_server_that_is_not_there_is_one_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert build_loggers(tiny_cfg("LOGGERS", ["mlflow"], "OUTPUT_DIR", str(tmp_path)), "r", TrainState((1,))) == {}
    assert len(caplog.records) == 1
    assert "LOGGERS mlflow: " in caplog.text and "Training continues without it" in caplog.text


def test_the_usual_loggers_and_the_switch_of_pyslowfast(tmp_path):
    assert names_of(tiny_cfg()) == ("json", "csv", "tensorboard")
    assert names_of(tiny_cfg("TENSORBOARD.ENABLE", False)) == ("json", "csv")
    assert names_of(tiny_cfg("TENSORBOARD.ENABLE", True)) == ("json", "csv", "tensorboard")
    assert names_of(tiny_cfg("LOGGERS", ["csv"])) == ("csv",)
    (tmp_path / "a.yaml").write_text("TENSORBOARD:\n  ENABLE: False\n")
    assert names_of(load_cfg(str(tmp_path / "a.yaml"))) == ("json", "csv")


def test_a_missing_package_is_one_line_before_anything_starts(registry_of, tmp_path, capsys):
    registry_of("LOGGERS").register("neptune", facts=("no_such_package_1", "neptune"))(RunLogger)
    words = ["SynthAV/AVSLOWFAST_TINY", "OUTPUT_DIR", str(tmp_path / "out"), "LOGGERS", "[neptune]"]
    assert run_command("train", words) == 2
    wanted = "LOGGERS neptune needs the package no_such_package_1, which is not installed; pip install 'neptune'"
    assert wanted in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert LOGGERS.facts("wandb") == ("wandb", "avslowfast[watch]")
