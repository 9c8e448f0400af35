"""Which states of a run stay, and what its record keeps of them."""

import os

import pytest

from avslowfast.checkpoint import states
from avslowfast.checkpoint.record import read_record, Retention, RunRecord, StateEntry
from avslowfast.config.names import Metric

TOP1, OFFSET = Metric("top1", "top-1 accuracy"), Metric("offset", "offset", "ms", "lower")


def entries(*values, metric="top1"):
    """A state of each epoch; None was not evaluated."""
    return [StateEntry(f"{i}.pyth", i, 0, metric if v is not None else "", v) for i, v in enumerate(values, 1)]


def kept(states, *, newest=1, best=1, every=0, metric=TOP1):
    return [entry.epoch for entry in Retention(newest, best, every, metric).kept(states)]


@pytest.mark.parametrize(
    ("policy", "epochs"),
    [
        ({"newest": 2}, [3, 5, 6]),
        ({"best": 2}, [3, 5, 6]),
        ({"best": 3}, [2, 3, 5, 6]),
        # More than there are.
        ({"best": 9}, [1, 2, 3, 5, 6]),
        ({"every": 2}, [2, 3, 4, 6]),
        ({"newest": 0}, [1, 2, 3, 4, 5, 6]),
        ({"metric": OFFSET}, [6]),
    ],
)
def test_the_newest_the_best_and_those_of_every_few_epochs_stay(policy, epochs):
    assert kept(entries(10.0, 20.0, 50.0, None, 40.0, float("nan")), **policy) == epochs


def test_of_equally_good_epochs_the_later_one_stays():
    assert kept(entries(50.0, 50.0, 50.0, 10.0), best=2) == [2, 3, 4]


def test_lower_values_of_such_a_metric_are_better_whatever_their_sign():
    assert kept(entries(-3.0, -40.0, 5.0, 90.0, metric="offset"), best=2, metric=OFFSET) == [1, 3, 4]


def test_values_of_another_metric_are_not_ranked():
    assert kept(entries(99.0, 98.0) + [StateEntry("3.pyth", 3, 0, "map", 5.0)], metric=Metric("map", "mAP")) == [3]
    assert kept(entries(99.0) + [StateEntry(f"{i}.pyth", i, 0, "map", 5.0) for i in (2, 3)], best=5) == [1, 3]


def test_a_state_in_the_middle_of_an_epoch_is_none_of_every_few_epochs():
    middle = [StateEntry("4-7.pyth", 4, 7), StateEntry("5.pyth", 5, 0)]
    assert kept(middle, every=2) == [5]


def test_a_record_gives_values_back(tmp_path):
    record = RunRecord("a-run", {}, states=entries(10.0, None, float("nan")))
    record.write(tmp_path)
    assert read_record(tmp_path).states == entries(10.0, None, None)


def test_a_run_keeps_by_the_keys(tmp_path, synthav):
    from helpers import keys
    from helpers.runs import run, weights

    words = keys(
        "TRAIN.BATCH_SIZE 16 SOLVER.MAX_EPOCH 6 SOLVER.WARMUP_EPOCHS 0 BN.USE_PRECISE_STATS False TEST.ENABLE False "
        "DATA_LOADER.NUM_WORKERS 0 TRAIN.EVAL_PERIOD 1 TRAIN.CHECKPOINT_PERIOD 5 RESNET.WIDTH_PER_GROUP 8 "
        "TRAIN.CHECKPOINT_KEEP 1 TRAIN.CHECKPOINT_KEEP_BEST 2 TRAIN.CHECKPOINT_KEEP_EVERY 3 LOG_MODEL_INFO False"
    )
    args = ["DATA.PATH_TO_DATA_DIR", str(synthav), "OUTPUT_DIR", str(tmp_path), *words]
    run(args)
    record = read_record(tmp_path)
    values = {entry.epoch: entry.value for entry in record.states}
    log = (tmp_path / "metrics.jsonl").read_text()
    assert log.count("val/top1") == 6
    assert {3, 6, record.best.epoch} <= set(values)
    assert len(values) <= 4
    assert None not in values.values()
    assert values[record.best.epoch] == record.best.value == max(values.values())
    names = {*(entry.file for entry in record.states), states.BEST}
    assert set(os.listdir(states.checkpoint_dir(tmp_path))) == names
    assert weights(tmp_path, 3)["value"] == values[3]
    # A record that is lost is restored with the values.
    os.remove(tmp_path / "run.json")
    assert {entry.epoch: entry.value for entry in read_record(tmp_path).states} == values
