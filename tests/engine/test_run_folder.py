"""A folder that has been used before: whose run it is, what may resume in it, what stays of it."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from helpers import keys
from helpers.lists import copy_lists
from helpers.runs import ENV, log_of, newest_state, output_of, run, stats, weights, with_output

from avslowfast.checkpoint import states
from avslowfast.checkpoint.record import read_record, resolve
from avslowfast.checkpoint.states import BEST
from avslowfast.utils.lock import FolderLock

SHORT = keys("SOLVER.WARMUP_EPOCHS 0 BN.USE_PRECISE_STATS False TEST.ENABLE False")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, synthav):
    """A run of three epochs, and its arguments."""
    folder = tmp_path_factory.mktemp("finished")
    args = [
        *("DATA.PATH_TO_DATA_DIR", str(synthav), "OUTPUT_DIR", str(folder / "out"), "TRAIN.BATCH_SIZE", 8),
        *("SOLVER.MAX_EPOCH", 3, "DATA_LOADER.NUM_WORKERS", 0, "LOG_PERIOD", 2, "TRAIN.EVAL_PERIOD", 1),
        *("TRAIN.CHECKPOINT_PERIOD", 1, "TRAIN.CHECKPOINT_KEEP", 2, "RESNET.WIDTH_PER_GROUP", 8),
        *("LOG_MODEL_INFO", False, "TEST.NUM_ENSEMBLE_VIEWS", 1, "TEST.NUM_SPATIAL_CROPS", 1, *SHORT),
    ]
    run(args, "TEST.ENABLE", True)
    return args


@pytest.fixture
def used(finished, tmp_path):
    """The arguments of a run whose folder holds a finished run."""
    shutil.copytree(output_of(finished), tmp_path / "out")
    return with_output(finished, tmp_path / "out")


def files_in(folder):
    return {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}


def one_line(done):
    lines = done.stderr.strip().split("\n")
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_the_record_says_what_the_run_is(finished):
    content = json.load(open(os.path.join(output_of(finished), "run.json")))
    assert content["id"] == weights(output_of(finished), 3)["run_id"]
    assert content["configuration"]["SOLVER.MAX_EPOCH"] == 3
    assert content["progress"] == {"epoch": 3, "iteration": 0, "iters_per_epoch": 4, "max_epoch": 3}
    assert content["states"][-1]["file"] == "checkpoint_epoch_00003.pyth"
    assert content["best"]["file"] == BEST
    assert content["data"]["train"]["records"] == 32
    start = content["starts"][0]
    assert start["versions"]["torch"] == torch.__version__
    assert start["device"] == "CPU"
    assert "run_net.py" in start["command"][0]


def test_other_class_names_are_refused_before_anything_is_written(used, synthav, tmp_path):
    lists = tmp_path / "other"
    lists.mkdir()
    copy_lists(synthav, lists, lambda split, lines: lines)
    names = (synthav / "classes.txt").read_text().split("\n")[:-1]
    (lists / "classes.txt").write_text("\n".join(reversed(names)) + "\n")
    before = files_in(output_of(used))
    message = one_line(run(used, "DATA.PATH_TO_DATA_DIR", lists, code=2))
    assert "class names (class 0 is 'slide+tone'" in message
    assert "another OUTPUT_DIR" in message
    assert "TRAIN.AUTO_RESUME False" in message
    assert files_in(output_of(used)) == before


def test_another_list_is_refused(used, synthav, tmp_path):
    copy_lists(synthav, tmp_path, lambda split, lines: lines[1:] if split == "train" else lines)
    shutil.copy(synthav / "classes.txt", tmp_path)
    message = one_line(run(used, "DATA.PATH_TO_DATA_DIR", tmp_path, code=2))
    assert "the train list (32 records, now 31)" in message


def test_other_labels_are_refused(used, synthav, tmp_path):
    relabel = lambda split, lines: [f"{lines[0].split()[0]} 15", *lines[1:]]  # noqa: E731
    copy_lists(synthav, tmp_path, relabel)
    shutil.copy(synthav / "classes.txt", tmp_path)
    assert "the train list" in one_line(run(used, "DATA.PATH_TO_DATA_DIR", tmp_path, code=2))


def test_a_data_set_that_lies_elsewhere_is_the_same(used, synthav, tmp_path):
    shutil.copytree(synthav, tmp_path / "moved")
    run(used, "DATA.PATH_TO_DATA_DIR", tmp_path / "moved")
    assert "nothing left to train: 3 of 3 epochs are done" in log_of(output_of(used))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("DATA.MEAN [0.5,0.5,0.5]", "DATA.MEAN ([0.45, 0.45, 0.45], now [0.5, 0.5, 0.5])"),
        ("MODEL.ARCH slowfast", "MODEL.ARCH ('avslowfast', now 'slowfast')"),
        ("DATA.LOGMEL_MEAN -6.0", "DATA.LOGMEL_MEAN"),
    ],
)
def test_another_network_or_other_inputs_are_refused(used, words, named):
    message = one_line(run(used, *keys(words), code=2))
    assert "OUTPUT_DIR" in message
    assert named in message


def test_a_used_folder_is_refused_without_resuming(used):
    message = one_line(run(used, "TRAIN.AUTO_RESUME", False, code=2))
    assert "TRAIN.REPLACE True" in message


def test_a_run_that_is_replaced_is_moved_whole(used):
    folder = output_of(used)
    before, old = set(os.listdir(folder)), read_record(folder)
    run(used, *keys("TRAIN.AUTO_RESUME False TRAIN.REPLACE True SOLVER.MAX_EPOCH 1"))
    moved = os.path.join(folder, "previous", old.id)
    assert set(os.listdir(moved)) == before
    assert resolve(moved) == os.path.join(moved, "checkpoints", BEST)
    assert read_record(folder).id != old.id
    assert sorted(os.listdir(states.checkpoint_dir(folder))) == [BEST, "checkpoint_epoch_00001.pyth"]


def test_another_recipe_is_taken_and_named(used):
    folder = output_of(used)
    run(used, *keys("SOLVER.MAX_EPOCH 4 SOLVER.WEIGHT_DECAY 0.5 SOLVER.MOMENTUM 0.0 DATA_LOADER.NUM_WORKERS 1"))
    group = weights(folder, 4)["optimizer_state"]["param_groups"][0]
    assert (group["weight_decay"], group["momentum"]) == (0.5, 0.0)
    for line in ("SOLVER.WEIGHT_DECAY: 0.0001 -> 0.5", "SOLVER.MOMENTUM: 0.9 -> 0.0", "SOLVER.MAX_EPOCH: 3 -> 4"):
        assert f"the recipe has changed: {line}" in log_of(folder)
    assert "NUM_WORKERS:" not in log_of(folder)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("SOLVER.OPTIMIZING_METHOD adamw", "it is of SGD, not of AdamW"),
        ("FINETUNE.FREEZE ['slow.res5']", "of its parameters are not trained now"),
        ("FINETUNE.LR_HEAD 2.0", "parameter groups"),
    ],
)
def test_another_optimizer_begins_anew_with_a_warning(used, words, reason):
    run(used, "SOLVER.MAX_EPOCH", 4, *keys(words))
    assert "the saved state of the optimizer cannot be used" in log_of(output_of(used))
    assert reason in log_of(output_of(used))
    assert len(stats(output_of(used), "train_iter")) == 2 * 4


@pytest.mark.parametrize(
    ("words", "resumed_at"), [("TRAIN.BATCH_SIZE 16", "1/2"), ("NUM_CPU_PROCESSES 2", "4/4")], ids=["batch", "ranks"]
)
def test_mid_epoch_goes_on_with_another_number_of_ranks_and_begins_anew_with_another_batch(
    finished, tmp_path, words, resumed_at
):
    args = (*with_output(finished, tmp_path / "out"), "TRAIN.CHECKPOINT_SECONDS", 0.001, "TRAIN.CHECKPOINT_KEEP", 0)
    run(args, "SOLVER.MAX_EPOCH", 2)
    alone = with_output(args, tmp_path / "alone")
    middle = states.checkpoint_path(output_of(args), 1, 3)
    os.makedirs(states.checkpoint_dir(output_of(alone)))
    shutil.copy(middle, states.checkpoint_dir(output_of(alone)))
    run(alone, "SOLVER.MAX_EPOCH", 2, "LOG_PERIOD", 1, *keys(words))
    restarted = "training resumes at the beginning of epoch 2, not in its middle" in log_of(output_of(alone))
    assert restarted == resumed_at.startswith("1/")
    steps = [(s["epoch"], s["iter"]) for s in stats(output_of(alone), "train_iter")]
    assert (steps[0], {epoch for epoch, _ in steps}) == (("2/2", resumed_at), {"2/2"})


def test_fewer_epochs_than_are_done_is_said(used):
    run(used, "SOLVER.MAX_EPOCH", 2)
    assert "nothing left to train: 3 epochs are done, 2 are asked for" in log_of(output_of(used))


def test_the_best_state_is_repaired_and_a_lost_one_is_chosen_anew(used):
    folder = output_of(used)
    os.remove(states.best_path(folder))
    run(used, "SOLVER.MAX_EPOCH", 3)
    best = weights(folder, 3)["best_epoch"]
    holder = states.checkpoint_path(folder, best, 0)
    if os.path.isfile(holder):
        assert os.path.samefile(states.best_path(folder), holder)
    else:
        assert f"the best state (epoch {best}) is missing; the best is chosen again" in log_of(folder)


def test_a_best_state_that_is_gone_is_an_error_in_the_test(used):
    os.remove(states.best_path(output_of(used)))
    message = one_line(run(used, *keys("TRAIN.ENABLE False TEST.ENABLE True TEST.USE_BEST True"), code=2))
    assert "TEST.USE_BEST" in message


def test_a_validation_that_fails_loses_nothing(finished, synthav, tmp_path):
    torn = lambda split, lines: [f"{tmp_path}/nowhere.mp4 0", *lines[1:]] if split == "val" else lines  # noqa: E731
    copy_lists(synthav, tmp_path, torn)
    shutil.copy(synthav / "classes.txt", tmp_path)
    args = (*with_output(finished, tmp_path / "out"), "DATA.PATH_TO_DATA_DIR", tmp_path)
    periods = keys("TRAIN.EVAL_PERIOD 3 TRAIN.CHECKPOINT_PERIOD 3")
    run(args, *periods, *keys("DATA.MAX_FAILED_FRACTION 0.0 DATA.MAX_FAILED_FILES 0"), code=2)
    assert os.path.isfile(states.checkpoint_path(output_of(args), 3, 0))
    run(args, *periods)
    assert len(stats(output_of(args), "train_iter")) == 3 * 2
    # It was evaluated once more, and passed.
    assert weights(output_of(args), 3)["evaluation_due"] is False
    assert len(stats(output_of(args), "val_epoch")) == 2


def test_states_of_others_are_neither_resumed_nor_pruned_nor_tested(used):
    folder = output_of(used)
    foreign = states.checkpoint_path(folder, 9, 0)
    content = weights(folder, 3)
    content.update(run_id="another", epoch=9)
    torch.save(content, foreign)
    run(used, "SOLVER.MAX_EPOCH", 4, "TRAIN.CHECKPOINT_KEEP", 1, "TEST.ENABLE", True)
    assert os.path.isfile(foreign)
    assert newest_state(folder) == states.checkpoint_path(folder, 4, 0)
    results = json.load(open(os.path.join(folder, "results.json")))
    assert results["checkpoint"] == states.checkpoint_path(folder, 4, 0)


def test_a_lost_record_is_made_anew_from_the_states(used):
    folder = output_of(used)
    run_id = read_record(folder).id
    os.remove(os.path.join(folder, "run.json"))
    run(used, "SOLVER.MAX_EPOCH", 4)
    assert read_record(folder).id == run_id
    assert f"resumed from {states.checkpoint_path(folder, 3, 0)}" in log_of(folder)


def test_a_test_alone_does_not_overwrite_what_the_training_wrote(used):
    folder = output_of(used)
    before = {name: open(os.path.join(folder, name), "rb").read() for name in ("config.yaml", "results.json")}
    run(used, *keys("TRAIN.ENABLE False TEST.ENABLE True TEST.NUM_ENSEMBLE_VIEWS 2"))
    after = {name: open(os.path.join(folder, name), "rb").read() for name in before}
    assert after == before
    assert json.load(open(os.path.join(folder, "test_2x1", "results.json")))["views"] == 2
    assert "NUM_ENSEMBLE_VIEWS: 2" in open(os.path.join(folder, "test_2x1", "config.yaml")).read()


@pytest.mark.parametrize(
    ("words", "named"),
    [("DATA.AUDIO_MEL_NUM 64", "DATA.AUDIO_MEL_NUM"), ("DATA.USE_BGR_ORDER True", "DATA.USE_BGR_ORDER")],
)
def test_weights_for_other_inputs_are_not_tested(used, words, named):
    source = states.best_path(output_of(used))
    args = with_output(used, output_of(used) + "_test")
    test = (*keys("TRAIN.ENABLE False TEST.ENABLE True"), "TEST.CHECKPOINT_FILE_PATH", source)
    message = one_line(run(args, *test, *keys(words), code=2))
    assert f"trained with {named}" in message


def test_other_preprocessing_is_warned_of(used):
    source = states.best_path(output_of(used))
    args = with_output(used, output_of(used) + "_test")
    test = (*keys("TRAIN.ENABLE False TEST.ENABLE True"), "TEST.CHECKPOINT_FILE_PATH", source)
    run(args, *test, "DATA.MEAN", "[0.4,0.4,0.4]")
    assert "was trained with other values of DATA.MEAN ([0.45, 0.45, 0.45], now [0.4, 0.4, 0.4])" in log_of(
        output_of(args)
    )


def test_momentum_may_be_switched_on_later(finished, tmp_path):
    args = with_output(finished, tmp_path / "out")
    run(args, *keys("SOLVER.MAX_EPOCH 1 SOLVER.MOMENTUM 0.0"))
    run(args, *keys("SOLVER.MAX_EPOCH 2 SOLVER.MOMENTUM 0.9"))
    assert len(stats(output_of(args), "train_iter")) == 2 * 2


def test_the_best_state_is_resumed_where_no_other_is_left(used):
    folder = output_of(used)
    epoch = read_record(folder).best.epoch
    for file in read_record(folder).files(folder):
        os.remove(file)
    run(used, "SOLVER.MAX_EPOCH", 4)
    assert f"resumed from {states.best_path(folder)}: {epoch} epochs" in log_of(folder)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: content.update(run_id="another"), "it belongs to the run another"),
        (lambda content: content["model_state"].popitem(), "missing"),
    ],
    ids=["another run", "another network"],
)
def test_states_that_do_not_fit_are_refused_and_stay(used, change, reason):
    folder = output_of(used)
    paths = [*read_record(folder).files(folder), states.best_path(folder)]
    for path in paths:
        content = torch.load(path, weights_only=True)
        change(content)
        os.remove(path)
        torch.save(content, path)
    before = {path: os.stat(path).st_mtime_ns for path in paths}
    message = one_line(run(used, "SOLVER.MAX_EPOCH", 4, code=2))
    assert reason in message
    assert "TRAIN.REPLACE True" in message
    assert {path: os.stat(path).st_mtime_ns for path in paths} == before


def test_another_metric_chooses_the_best_epoch_of_a_finished_run_anew(used):
    folder = output_of(used)
    run(used, "TRAIN.BEST_METRIC", "top5")
    assert read_record(folder).best.metric == "top5"
    assert read_record(folder).best.epoch == 3


@pytest.mark.parametrize("words", ["", "TEST.USE_BEST True"], ids=["newest", "best"])
def test_a_state_that_is_gone_or_of_another_run_is_not_tested(used, words):
    folder = output_of(used)
    test = (*keys("TRAIN.ENABLE False TEST.ENABLE True"), *keys(words))
    path = states.best_path(folder) if words else newest_state(folder)
    content = torch.load(path, weights_only=True)
    os.remove(path)
    assert "it is gone" in one_line(run(used, *test, code=2))
    torch.save({**content, "run_id": "another"}, path)
    assert "of the run another" in one_line(run(used, *test, code=2))


def test_a_damaged_best_state_is_made_anew_or_chosen_anew(used):
    folder = output_of(used)
    os.truncate(states.best_path(folder), 100)
    run(used)
    epoch = weights(folder, 3)["best_epoch"]
    holder = states.checkpoint_path(folder, epoch, 0)
    if os.path.isfile(holder):
        assert os.path.samefile(states.best_path(folder), holder)
    else:
        assert "the best is chosen again" in log_of(folder)


def test_use_best_without_a_run_is_an_error_whatever_the_start_weights(used):
    args = with_output(used, output_of(used) + "_test")
    words = keys("TRAIN.ENABLE False TEST.ENABLE True TEST.USE_BEST True")
    message = one_line(run(args, *words, "TRAIN.CHECKPOINT_FILE_PATH", output_of(used), code=2))
    assert "holds no run" in message


def test_a_mistake_in_the_weights_to_test_is_told_before_the_training(finished, tmp_path):
    args = with_output(finished, tmp_path / "out")
    done = run(args, *keys("TEST.ENABLE True TEST.CHECKPOINT_FILE_PATH nowhere.pyth"), code=2)
    assert "nowhere.pyth" in done.stderr
    assert "train_iter" not in done.stdout


def test_a_run_is_not_moved_away_for_one_that_cannot_start(used):
    folder = output_of(used)
    before = set(os.listdir(folder))
    replace = keys("TRAIN.AUTO_RESUME False TRAIN.REPLACE True TRAIN.CHECKPOINT_FILE_PATH nowhere.pyth")
    run(used, *replace, code=2)
    assert set(os.listdir(folder)) == before


def test_a_run_may_start_from_the_weights_of_the_one_that_it_replaces(used):
    replace = keys("TRAIN.AUTO_RESUME False TRAIN.REPLACE True SOLVER.MAX_EPOCH 1")
    run(used, *replace, "TRAIN.CHECKPOINT_FILE_PATH", output_of(used))
    assert len(stats(output_of(used), "train_iter")) == 2


def test_a_move_that_was_killed_is_completed(used):
    folder, old = output_of(used), read_record(output_of(used))
    target = os.path.join(folder, "previous", old.id)
    os.makedirs(target)
    open(os.path.join(target, ".moving"), "w").close()
    shutil.move(states.checkpoint_dir(folder), target)
    run(used, *keys("TRAIN.AUTO_RESUME False TRAIN.REPLACE True SOLVER.MAX_EPOCH 1"))
    assert {"run.json", "results.json", "stdout.log", "checkpoints"} <= set(os.listdir(target))
    assert ".moving" not in os.listdir(target)
    assert read_record(target).id == old.id


def test_files_of_people_stay(used):
    folder = output_of(used)
    kept = os.path.join(folder, "scores.participants.csv")
    open(kept, "w").close()
    os.makedirs(os.path.join(folder, "results.parts"))
    run(used)
    assert os.path.isfile(kept)


@pytest.mark.parametrize(
    "change",
    [
        {"best": []},
        {"starts": None},
        {"data": []},
        {"data": {"train": 5}},
        {"class_names": 5},
        {"id": "../../escaped"},
        {"states": [{"file": "../x.pyth", "epoch": 1, "iteration": 0}]},
    ],
    ids=str,
)
def test_a_record_that_makes_no_sense_is_made_anew(used, change):
    folder = output_of(used)
    run_id = read_record(folder).id
    path = os.path.join(folder, "run.json")
    content = json.load(open(path))
    json.dump({**content, **change}, open(path, "w"))
    assert read_record(folder).id == run_id


def test_two_runs_at_once_do_not_share_a_folder(finished, tmp_path):
    args = with_output(finished, tmp_path / "out")
    os.makedirs(output_of(args))
    with FolderLock(output_of(args)):
        message = one_line(run(args, code=2))
    assert f"another run is using it (process {os.getpid()} on " in message


def test_what_a_killed_writer_left_is_removed(used):
    folder = output_of(used)
    left = os.path.join(states.checkpoint_dir(folder), "checkpoint_epoch_00004.1a2b3c4d.part.pyth")
    open(left, "w").close()
    run(used)
    assert not os.path.exists(left)


@pytest.mark.slow
def test_ranks_on_machines_with_folders_of_their_own_get_the_state_of_the_main_one(finished, tmp_path):
    args = with_output(finished, tmp_path / "machine0")
    port = 20000 + os.getpid() % 20000

    def both(epochs):
        started = [
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "avslowfast", "train", "SynthAV/AVSLOWFAST_TINY"),
                    *("--init_method", f"tcp://127.0.0.1:{port + epochs}", "--num_shards", "2", "--shard_id", str(i)),
                    *map(str, with_output(args, tmp_path / f"machine{i}")),
                    *("SOLVER.MAX_EPOCH", str(epochs), "TRAIN.BATCH_SIZE", "4", "TEST.ENABLE", "True"),
                ],
                env=ENV,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for i in (0, 1)
        ]
        outputs = [process.communicate(timeout=200)[0] for process in started]
        assert [process.returncode for process in started] == [0, 0], outputs
        return outputs

    both(1)
    outputs = both(2)
    assert "resumed from" in outputs[0]
    assert newest_state(tmp_path / "machine0").endswith("checkpoint_epoch_00002.pyth")
    # The test's weights reach the second machine too, whose folder has none.
    assert json.load(open(tmp_path / "machine0" / "results.json"))["videos"] == 16
