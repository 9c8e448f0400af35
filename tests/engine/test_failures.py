"""Files that cannot be read: how many may fail, when that is judged, what is named, and what survives a resume."""

import csv
import json
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.lists import copy_lists
from helpers.runs import output_of, run, SHORT_RUN

from avslowfast.checkpoint import states
from avslowfast.engine.hooks.failures import FailuresHook
from avslowfast.engine.state import TrainState
from avslowfast.evaluation.failures import (
    FAILED_FILES,
    FailurePolicy,
    NotFiniteScoresError,
    report,
    TooManyFailuresError,
    write_failed_files,
)
from avslowfast.evaluation.protocols.base import Evaluation
from avslowfast.evaluation.results import outcome, results_table, save_results
from avslowfast.tasks.scores import BoxScores, ClassScores, Distances


def files(count):
    return {f"{i}.mp4": "torn" for i in range(count)}


def policy(fraction=0.01, number=5, folder="out"):
    return FailurePolicy(fraction, number, str(folder))


@pytest.mark.parametrize(
    "failed, total, fraction, number, ends",
    [
        (0, 10, 0.01, 5, False),
        (1, 8, 0.01, 5, False),
        (5, 8, 0.01, 5, False),
        (6, 8, 0.01, 5, True),
        (5, 5, 0.01, 5, True),
        (1, 1, 1.0, 5, True),
        (10, 1000, 0.01, 5, False),
        (11, 1000, 0.01, 5, True),
        (1, 100, 0.01, 0, False),
        (1, 99, 0.01, 0, True),
        (3, 10, 0.3, 0, False),
        (2, 10, 0.0, 0, True),
        (7, 7, 1.0, 100, True),
    ],
)
def test_a_few_files_or_a_small_share_may_fail_unless_they_are_all(failed, total, fraction, number, ends):
    if not ends:
        policy(fraction, number).check(files(failed), total, "training")
        return
    with pytest.raises(TooManyFailuresError):
        policy(fraction, number).check(files(failed), total, "training")


@pytest.mark.parametrize("failed, total", [(6, 8), (11, 1000), (7, 600), (333, 1000), (50_001, 240_000)])
def test_the_values_that_the_message_names_would_do(failed, total):
    with pytest.raises(TooManyFailuresError) as error:
        policy().check(files(failed), total, "test")
    text = str(error.value)
    assert "\n" not in text
    assert f"{failed} of {total} test files could not be read" in text
    assert "the first: 0.mp4 (torn)" in text
    assert os.path.join("out", FAILED_FILES) in text
    needed = float(text.split("DATA.MAX_FAILED_FRACTION to ")[1].split(" or ")[0])
    policy(needed, 0).check(files(failed), total, "test")
    policy(0.0, int(text.rsplit(" ", 1)[1])).check(files(failed), total, "test")


def test_a_list_of_which_nothing_can_be_read_asks_for_the_prefix():
    with pytest.raises(TooManyFailuresError, match="none of the 3 test files.*DATA.PATH_PREFIX"):
        policy(1.0, 100).check(files(3), 3, "test")
    with pytest.raises(TooManyFailuresError, match="none of the 1 test file could"):
        policy(1.0, 100).check(files(1), 1, "test")


@pytest.mark.parametrize("failed, tried, ends", [(5, 8, False), (10, 80, True), (40, 100, True), (8, 100, False)])
def test_a_part_of_a_list_is_judged_by_what_was_tried(failed, tried, ends):
    if not ends:
        policy().check_early(files(failed), tried, 100_000, "training")
        return
    with pytest.raises(TooManyFailuresError, match=f"{failed} of the first {tried} \\(of 100000\\) training files"):
        policy().check_early(files(failed), tried, 100_000, "training")


def test_chance_does_not_end_a_training_whose_list_is_in_order():
    """Of 100,000 files 0.9 % are bad: in no order may a part of them look like more than 1 %."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        bad = rng.permutation(100_000) < 900
        for tried in range(80, 20_000, 80):
            policy().check_early(files(int(bad[:tried].sum())), tried, 100_000, "training")


def state_with(*failures, **values):
    return TrainState((100,) * 2, failures=[(path, "torn") for path in failures], **values)


def hook_for(folder, total=100, **values):
    return FailuresHook(policy(folder=folder, **values), total, lambda steps: 8 * steps, period=10)


def rows_of(folder):
    with open(os.path.join(folder, FAILED_FILES), newline="") as f:
        return list(csv.reader(f))[1:]


def test_each_file_is_named_once(tmp_path, caplog):
    hook, state = hook_for(tmp_path), state_with("a.mp4", "a.mp4", iteration=10)
    hook.after_step(state)
    state.count([("a.mp4", "torn")], [], 0)
    hook.after_epoch(state)
    assert caplog.messages == [
        "failed, replaced in training: a.mp4 (torn)",
        "epoch 0: 1 unreadable file of 100 replaced",
    ]
    assert rows_of(tmp_path) == [["train", "a.mp4", "torn"]]


def test_two_files_are_files(tmp_path, caplog):
    hook_for(tmp_path).after_epoch(state_with("a.mp4", "b.mp4", epoch=1))
    assert caplog.messages[-1] == "epoch 1: 2 unreadable files of 100 replaced"


def test_what_an_interrupted_run_has_named_is_counted_and_not_named_again(tmp_path, caplog):
    hook, state = hook_for(tmp_path, number=1), state_with("b.mp4", failed={"a.mp4": "torn"})
    hook.before_train(state)
    with pytest.raises(TooManyFailuresError, match="2 of 100 training files"):
        hook.after_epoch(state)
    assert caplog.messages[0] == "failed, replaced in training: b.mp4 (torn)"


def test_a_wrong_mount_shows_within_the_first_steps(tmp_path):
    hook, state = hook_for(tmp_path, total=240_000), state_with(*[f"{i}.mp4" for i in range(40)])
    state.iteration = 9
    hook.after_step(state)
    state.iteration = 10
    with pytest.raises(TooManyFailuresError, match="40 of the first 120"):
        hook.after_step(state)
    assert len(rows_of(tmp_path)) == 40


def test_a_mount_that_breaks_later_shows_within_the_epoch(tmp_path):
    hook = hook_for(tmp_path)
    with pytest.raises(TooManyFailuresError, match="6 of 100 training files"):
        hook.after_step(state_with(*"abcdef", epoch=3, iteration=10))


def test_a_file_that_can_be_read_again_does_not_count_any_more(tmp_path):
    hook, state = hook_for(tmp_path, number=1), state_with("a.mp4", iteration=10)
    hook.after_step(state)
    state.count([("b.mp4", "torn")], ["a.mp4", "c.mp4"], 0)
    hook.after_epoch(state)
    assert list(state.failed) == ["b.mp4"]


def test_files_of_other_splits_stay_in_the_list(tmp_path):
    for split, failed in (("train", files(2)), ("val", files(1)), ("train", {"=x.mp4": "torn, or so"}), ("test", {})):
        write_failed_files(str(tmp_path), split, failed)
    assert rows_of(tmp_path) == [["val", "0.mp4", "torn"], ["train", "'=x.mp4", "torn, or so"]]
    (tmp_path / FAILED_FILES).write_text("torn")
    write_failed_files(str(tmp_path), "test", files(1))
    assert rows_of(tmp_path) == [["test", "0.mp4", "torn"]]


def test_without_failures_there_is_no_list(tmp_path):
    write_failed_files(str(tmp_path), "test", {})
    assert os.listdir(tmp_path) == []


# ---- evaluation -------------------------------------------------------------------------------------------------


def evaluation(failed=0, not_finite=0, total=20):
    paths = [f"{i}.mp4" for i in range(total)]
    return Evaluation(
        ClassScores({"": np.zeros((total, 2), np.float32)}),
        np.zeros(total, int),
        paths,
        dict.fromkeys(paths[:failed], "torn"),
        {"top1": 50.0},
        failed_videos=failed,
        not_finite=paths[total - not_finite :],
    )


def test_a_file_with_one_unreadable_segment_of_many_is_one_failed_file():
    one_file = replace(evaluation(failed=1), paths=["0.mp4"] * 20)
    policy().check_evaluation(one_file, "test")
    with pytest.raises(TooManyFailuresError, match="^1 of 1 test files could not be read, more than"):
        policy(number=0).check_evaluation(one_file, "test")


@pytest.mark.parametrize("what, count, ends", [("test", 1, True), ("validation", 5, False), ("validation", 6, True)])
def test_scores_that_are_not_finite_end_a_test_and_many_a_validation(what, count, ends):
    if not ends:
        policy().check_evaluation(evaluation(not_finite=count), what)
        return
    with pytest.raises(NotFiniteScoresError, match=f"the scores of {count} of 20 {what} videos are not finite"):
        policy().check_evaluation(evaluation(not_finite=count), what)


def test_scores_none_of_which_is_finite_end_a_validation_of_any_size():
    with pytest.raises(NotFiniteScoresError):
        policy().check_evaluation(evaluation(failed=1, not_finite=2, total=3), "validation")


def test_unreadable_and_not_finite_are_two_counts(tmp_path, caplog):
    result = evaluation(failed=2, not_finite=1)
    save_results(str(tmp_path), {**outcome(result), "x": float("nan")}, ())
    content = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)
    assert (content["failed_videos"], content["not_finite_videos"]) == (2, 1)
    assert content["not_finite"] == ["19.mp4"]
    assert content["x"] is None
    table = results_table({"arch": "slow", "checkpoint": "x", **outcome(result)}, ())
    assert "videos whose scores are not finite  1" in table
    report(result, "test")
    assert [message for message in caplog.messages if "0.mp4" in message] == ["failed, scored as wrong: 0.mp4 (torn)"]
    assert any("not finite" in message and "19.mp4" in message for message in caplog.messages)


@pytest.mark.parametrize(
    "scores, finite",
    [
        (ClassScores({"": np.ones((1, 3), np.float32)}), True),
        (ClassScores({"": np.array([[1, np.nan]], np.float32)}), False),
        (ClassScores({"a": np.ones((1, 3)), "b": np.array([[np.inf]])}), False),
        (BoxScores([np.ones((2, 3), np.float32)]), True),
        (BoxScores([np.array([[np.nan]], np.float32)]), False),
        (BoxScores([None]), True),
        # A clip without audio has no distances.
        (Distances({"res4": np.array([[[np.nan]]]), "res4_visual": np.ones((1, 1, 1, 2))}), True),
        (Distances({"res4": np.array([[[np.nan]]]), "res4_visual": np.full((1, 1, 1, 2), np.nan)}), False),
        (Distances({"res4": np.array([[[np.inf]]]), "res4_visual": np.ones((1, 1, 1, 2))}), False),
    ],
    ids=range(9),
)
def test_scores_know_whether_they_are_finite(scores, finite):
    assert scores.is_finite == finite
    assert len(scores.blank()) == len(scores)


# ---- whole runs -------------------------------------------------------------------------------------------------


def run_keys(folder, output):
    return ["DATA.PATH_TO_DATA_DIR", folder, "OUTPUT_DIR", output, *SHORT_RUN, "BN.USE_PRECISE_STATS", False]


def test_a_test_of_weights_that_are_nan_is_no_test_without_failures(trained, synthav, tmp_path):
    content = torch.load(states.checkpoint_path(str(trained), 1, 0), weights_only=False)
    for part in ("model_state", "ema_state"):
        content[part]["head.projection.weight"].fill_(float("nan"))
    torch.save(content, tmp_path / "nan.pyth")
    args = run_keys(synthav, tmp_path / "out")
    done = run(args, "TRAIN.ENABLE", False, "TEST.CHECKPOINT_FILE_PATH", tmp_path / "nan.pyth", code=2)
    assert "the scores of 16 of 16 test videos are not finite" in done.stderr
    results = json.load(open(tmp_path / "out/results.json"))
    assert (results["failed_videos"], results["not_finite_videos"]) == (0, 16)
    assert os.path.isfile(tmp_path / "out/scores.csv")


def test_a_test_list_of_which_nothing_can_be_read_has_results(trained, synthav, tmp_path):
    gone = copy_lists(synthav, tmp_path, lambda split, lines: [f"/nowhere/{i}.mp4 0" for i in range(7)])
    args = run_keys(gone, tmp_path / "out")
    done = run(args, "TRAIN.ENABLE", False, "TEST.CHECKPOINT_FILE_PATH", trained, code=2)
    assert "none of the 7 test files could be read" in done.stderr
    results = json.load(open(tmp_path / "out/results.json"))
    assert (results["videos"], results["failed_videos"]) == (7, 7)
    assert len(rows_of(tmp_path / "out")) == 7


def test_a_validation_that_fails_is_written_and_ends_the_run_with_its_state_saved(run_args, synthav, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("nothing")
    folder = copy_lists(synthav, tmp_path, lambda split, lines: [f"{bad} 0", *lines[1:]] if split == "val" else lines)
    args = [*run_args, "DATA.PATH_TO_DATA_DIR", folder, "SOLVER.WARMUP_EPOCHS", 0, "SOLVER.MAX_EPOCH", 1]
    done = run(args, "DATA.MAX_FAILED_FILES", 0, "DATA.MAX_FAILED_FRACTION", 0.0, code=2)
    assert "1 of 16 validation files could not be read" in done.stderr
    output = output_of(args)
    results = json.load(open(os.path.join(output, "validation/results.json")))
    assert results["failed"][0]["path"] == str(bad)
    assert os.path.isfile(os.path.join(output, "validation/scores.pt"))
    assert rows_of(output)[0][:2] == ["val", str(bad)]
    assert os.path.isfile(states.checkpoint_path(output, 1, 0))


@pytest.mark.slow
def test_ranks_judge_alike_and_name_each_file_once(run_args, synthav, tmp_path):
    bad = [tmp_path / f"bad{i}.mp4" for i in range(7)]
    for path in bad:
        path.write_text("nothing")
    change = {"train": lambda lines: [*(f"{path} 0" for path in bad), *lines[7:]]}
    folder = copy_lists(synthav, tmp_path, lambda split, lines: change.get(split, list)(lines))
    args = [*run_args, "DATA.PATH_TO_DATA_DIR", folder, "SOLVER.WARMUP_EPOCHS", 0, "NUM_CPU_PROCESSES", 2]
    done = run(args, "TEST.ENABLE", False, "DATA.MAX_FAILED_FILES", 4, code=2)
    assert "training files could not be read" in done.stderr
    assert "Traceback" not in done.stderr
    log = open(os.path.join(output_of(args), "stdout.log")).read()
    named = [row[1] for row in rows_of(output_of(args))]
    assert len(named) == len(set(named)) > 4
    assert [log.count(f"replaced in training: {path} (") for path in named] == [1] * len(named)
    # The value that the message names is enough.
    run(args, "TEST.ENABLE", False, "DATA.MAX_FAILED_FILES", 8)
    assert sorted(row[1] for row in rows_of(output_of(args))) == sorted(map(str, bad))
