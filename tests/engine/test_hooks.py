"""Hooks one by one: each gets functions and a state, no trainer."""

import logging

import pytest
import torch
from helpers import tiny_cfg

from avslowfast.checkpoint.states import StateNotSavedError
from avslowfast.config import derived
from avslowfast.config.names import Metric
from avslowfast.engine import evaluation as engine_evaluation
from avslowfast.engine.hooks.checkpoint import CheckpointHook
from avslowfast.engine.hooks.evaluation import EvalHook
from avslowfast.engine.hooks.finite_loss import FiniteLossHook, NonFiniteLossError
from avslowfast.engine.hooks.loggers import build_loggers, LoggersHook
from avslowfast.engine.hooks.logging import LogHook
from avslowfast.engine.hooks.precise_bn import PreciseBNHook
from avslowfast.engine.state import TrainState
from avslowfast.engine.stop import StopRequest
from avslowfast.engine.votes import Votes
from avslowfast.evaluation.protocols.base import Evaluation
from avslowfast.watching.base import LoggedRun, RunLogger


def run_epochs(hook, state, epochs):
    """Epochs without steps: the state after each, and after its evaluation where it is due."""
    for _ in range(epochs):
        state.end_epoch()
        hook.after_epoch(state)
        if state.evaluation_due:
            hook.evaluate(state)
        yield state
        state.clear_epoch()


def always(done):
    return True


def tiny_schedule(*overrides):
    return derived.schedule(tiny_cfg(*overrides))


def result_with(**metrics):
    return Evaluation(scores=None, labels=None, paths=[], failed={}, metrics=metrics)


def test_validation_runs_every_few_epochs_and_after_the_last():
    state, epochs = TrainState((1,) * 5), []

    def evaluate():
        epochs.append(state.epoch)
        return result_with(top1=float(state.epoch))

    due = tiny_schedule("TRAIN.EVAL_PERIOD", 2, "SOLVER.MAX_EPOCH", 5).is_evaluated
    list(run_epochs(EvalHook(due, evaluate, Metric("top1", "top-1 accuracy")), state, 5))
    assert epochs == [2, 4, 5]


@pytest.mark.parametrize("patience, warned", [(0, False), (1, False), (2, True), (5, True)])
def test_patience_that_can_end_nothing_is_said(patience, warned, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("avslowfast"), "propagate", True)
    due = tiny_schedule("TRAIN.EVAL_PERIOD", 2, "SOLVER.MAX_EPOCH", 5).is_evaluated
    hook = EvalHook(due, lambda: result_with(top1=1.0), Metric("top1", ""))
    hook.before_train(TrainState((1,) * 5, patience=patience))
    assert (f"TRAIN.PATIENCE {patience} cannot end this training: it has 3 validations" in caplog.text) == warned


@pytest.mark.parametrize(
    "better, values, improved, best",
    [
        ("higher", [10.0, 30.0, 20.0, 30.0], [True, True, False, True], 30.0),
        ("lower", [10.0, 30.0, 20.0, 5.0], [True, False, False, True], 5.0),
        ("higher", [float("nan"), 1.0, float("nan")], [False, True, False], 1.0),
    ],
)
def test_the_best_epoch_follows_the_direction_of_the_metric(better, values, improved, best):
    state, coming = TrainState((1,) * len(values)), iter(values)
    hook = EvalHook(always, lambda: result_with(first=0.0, chosen=next(coming)), Metric("chosen", "", "", better))
    seen = [(state.improved, state.value) for state in run_epochs(hook, state, len(values))]
    assert [one for one, _ in seen] == improved
    assert [value for _, value in seen] == pytest.approx(values, nan_ok=True)
    # A state in the middle of the next epoch was not evaluated.
    assert (state.best, state.value) == (best, None)


def test_validation_is_reported_with_the_iteration_of_the_training():
    seen = []
    state = TrainState((7,) * 2)
    report = lambda result, state: seen.append((result.metrics["top1"], state.global_iteration))  # noqa: E731
    list(run_epochs(EvalHook(always, lambda: result_with(top1=50.0), Metric("top1", ""), [report]), state, 2))
    assert seen == [(50.0, 7), (50.0, 14)]


def test_statistics_are_recomputed_over_the_epoch_that_has_ended():
    epochs = []
    PreciseBNHook(epochs.append).evaluate(TrainState((1,) * 3, epoch=2))
    assert epochs == [1]


class Checkpoints:
    """What a CheckpointHook saves."""

    def __init__(self, *, epochs=10, more=(), seconds=0.0):
        self.saved, self.now = [], 0.0
        self.hook = CheckpointHook(self.save, lambda: self.now, periods=[epochs, *more], seconds=seconds)

    def save(self, state):
        self.saved.append((state.epoch, state.iteration))
        return f"{state.epoch}-{state.iteration}"


def test_states_are_saved_every_few_epochs_and_after_the_last():
    made = Checkpoints(epochs=2)
    list(run_epochs(made.hook, TrainState((1,) * 5), 5))
    assert made.saved == [(2, 0), (4, 0), (5, 0)]


def test_epochs_that_stay_for_ever_are_saved_as_well():
    made = Checkpoints(epochs=4, more=[3])
    list(run_epochs(made.hook, TrainState((1,) * 7), 7))
    assert made.saved == [(3, 0), (4, 0), (6, 0), (7, 0)]


def test_an_epoch_is_saved_before_it_is_evaluated_and_once_more_afterwards():
    made, state = Checkpoints(), TrainState((1,) * 5, epoch=3, evaluation_due=True)
    made.hook.after_epoch(state)
    assert made.saved == [(3, 0)]
    made.hook.after_evaluation(state)
    assert made.saved == [(3, 0), (3, 0)]


def test_a_save_that_fails_is_tried_again_where_an_earlier_state_is_whole(caplog):
    made, state = Checkpoints(epochs=1), TrainState((1,) * 5, epoch=1)
    made.hook.after_epoch(state)
    made.hook.save = failing_save
    state.epoch = 2
    with caplog.at_level("WARNING", logger="avslowfast"):
        made.hook.after_epoch(state)
    assert "disk full" in caplog.text
    state.epoch = 5
    with pytest.raises(StateNotSavedError):
        made.hook.after_epoch(state)


def test_the_first_save_has_to_succeed():
    made, state = Checkpoints(epochs=1), TrainState((1,) * 5, epoch=1)
    made.hook.save = failing_save
    with pytest.raises(StateNotSavedError):
        made.hook.after_epoch(state)


def failing_save(state):
    raise StateNotSavedError("x.pyth: cannot be written (disk full)")


def test_a_stop_saves_the_steps_that_would_be_lost():
    made, state = Checkpoints(), TrainState((4,) * 5, iteration=1)
    made.hook.before_train(state)
    state.iteration, state.stop = 2, True
    made.hook.after_train(state)
    assert made.saved == [(0, 2)]


@pytest.mark.parametrize("stop", [True, False])
def test_what_is_saved_already_is_not_saved_again_at_the_end(stop):
    made, state = Checkpoints(epochs=1), TrainState((4,) * 5, epoch=1)
    made.hook.before_train(TrainState((4,) * 5))
    made.hook.after_epoch(state)
    state.stop = stop
    made.hook.after_train(state)
    assert made.saved == [(1, 0)]


def test_the_last_iteration_of_an_epoch_leaves_saving_to_the_end_of_the_epoch():
    made, state = Checkpoints(seconds=1), TrainState((4,) * 5, iteration=4)
    made.now = 10
    made.hook.after_step(state)
    assert made.saved == []


def test_states_are_saved_when_their_time_has_come():
    made, state = Checkpoints(seconds=5), TrainState((4,) * 5, iteration=1)
    made.hook.before_train(state)
    for now in (4, 6, 10, 12):
        made.now = now
        state.iteration = now
        made.hook.after_step(state)
    assert made.saved == [(0, 6), (0, 12)]
    assert not state.stop


def after_losses(hook, *values):
    """The hook after steps with these losses, of an epoch with one step more."""
    state = TrainState((len(values) + 1,))
    for value in values:
        state.iteration += 1
        state.losses, state.paths = {"loss": torch.tensor(value)}, [f"clip{state.iteration}.mp4"]
        hook.after_step(state)


def test_a_loss_that_is_not_finite_is_named():
    with pytest.raises(NonFiniteLossError, match=r"iteration 2: .*\(loss nan\); clips: clip2.mp4"):
        after_losses(FiniteLossHook(1), 1.0, float("nan"))


def test_losses_are_read_once_per_period_or_before_a_save():
    hook = FiniteLossHook(4)
    after_losses(hook, float("inf"), 1.0)
    with pytest.raises(NonFiniteLossError, match=r"iteration 1: .*\(loss inf\); clips: clip1.mp4"):
        hook.check()


def test_the_log_gives_means_over_its_period():
    seen, state = [], TrainState((3,) * 2, lr=0.5)
    hook = LogHook(2, dict, torch.device("cpu"), [lambda stats, state: seen.append(stats)])
    hook.before_epoch(state)
    for value in (1.0, 3.0, 5.0):
        state.iteration += 1
        state.losses = {"loss": torch.tensor(value)}
        hook.after_step(state)
    assert [(stats["iter"], stats["loss"], stats["lr"]) for stats in seen] == [("2/3", 2.0, 0.5), ("3/3", 5.0, 0.5)]


def test_loggers_get_steps_epochs_and_evaluations():
    calls = []

    class Recorder(RunLogger):
        def write_scalars(self, scalars, step, epoch):
            calls.append((dict(scalars), step, epoch))

        def write_epoch(self, model, paths, step):
            calls.append(("epoch", paths, step))

        def write_evaluation(self, result, step):
            calls.append(("evaluation", result.metrics["top1"], step))

        def close(self, finished):
            calls.append(("close", finished))

    hook = LoggersHook({"recorder": Recorder({}, LoggedRun("id", "output"))}, torch.nn.Linear(1, 1))
    state = TrainState((5,), iteration=2, steps=2, lr=0.5, paths=["a.mp4"])
    for loss in (1.0, 2.0):
        state.losses = {"loss": torch.tensor(loss)}
        hook.after_step(state)
    hook.write_step({"loss": 1.0, "eta": "00:00:01"}, state)
    state.steps = 5
    state.end_epoch()
    hook.after_epoch(state)
    hook.write_evaluation(result_with(top1=50.0), state)
    hook.after_train(state)
    assert calls == [
        ({"train/loss": 1.0}, 2, 0.4),
        ({"epoch/loss": 1.5, "epoch/lr": 0.5}, 5, 1.0),
        ("epoch", ["a.mp4"], 5),
        ({"val/top1": 50.0, "val/failed": 0.0, "val/seconds": 0.0}, 5, 1.0),
        ("evaluation", 50.0, 5),
        ("close", True),
    ]


def test_a_logger_that_fails_rests_until_the_end_of_the_epoch_and_is_counted(caplog):
    calls = []

    class Failing(RunLogger):
        def write_scalars(self, scalars, step, epoch):
            calls.append(step)
            raise ConnectionError("no network")

    hook = LoggersHook({"failing": Failing({}, LoggedRun("id", "output"))}, torch.nn.Linear(1, 1))
    state = TrainState((5,))
    for state.steps in (1, 2, 3):
        hook.write_step({"loss": 1.0}, state)
    hook.after_epoch(state)
    hook.after_train(state)
    assert calls == [1, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "LOGGERS failing: no network. Training continues; it is tried again",
        "LOGGERS failing: 4 writes missed",
    ]


def test_a_configuration_without_loggers_builds_none():
    assert build_loggers(tiny_cfg("LOGGERS", []), "id", TrainState((1,))) == {}


def test_a_registered_logger_gets_its_options_and_the_run(registry_of, tmp_path):
    registry_of("LOGGERS").register("recorder")(RunLogger)
    cfg = tiny_cfg("LOGGERS", ["recorder"], "OUTPUT_DIR", str(tmp_path))
    logger = build_loggers(cfg, "id", TrainState((5,), steps=3))["recorder"]
    assert logger.options == {}
    assert (logger.run.id, logger.run.output_dir, logger.run.step) == ("id", str(tmp_path), 3)
    assert logger.run.configuration["OUTPUT_DIR"] == str(tmp_path)


def test_an_unknown_logger_is_a_mistake_in_the_configuration():
    with pytest.raises(ValueError, match="'tensorbord': unknown logger"):
        tiny_cfg("LOGGERS", ["tensorbord"])


@pytest.mark.parametrize("ranks, shards, clips", [(1, 1, 16), (2, 1, 8), (4, 2, 8), (32, 1, 1)])
def test_forward_passes_divide_the_batch_by_the_ranks_of_one_machine(monkeypatch, ranks, shards, clips):
    """Validation, test and probe go through this function."""
    given = {}
    monkeypatch.setattr(engine_evaluation.distributed, "world_size", lambda: ranks)
    monkeypatch.setattr(engine_evaluation, "evaluate", lambda *args, **options: given.update(options))
    cfg = tiny_cfg("TEST.BATCH_SIZE", 16, "NUM_SHARDS", shards)
    engine_evaluation.evaluate_as_configured(cfg, None, None, None, None, autocast=None, votes=Votes(StopRequest()))
    assert given["max_clips"] == clips
