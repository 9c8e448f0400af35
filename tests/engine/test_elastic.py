"""torchrun on two machines (agents on the loopback device): machines that are lost, and come back."""

import pytest
from helpers import keys
from helpers.agents import Cluster
from helpers.lists import copy_lists
from helpers.runs import stats

from avslowfast.checkpoint.record import read_record

_EPOCHS, _STEPS = 6, 8
_COMMON = keys(
    f"TRAIN.BATCH_SIZE 4 SOLVER.MAX_EPOCH {_EPOCHS} SOLVER.WARMUP_EPOCHS 0 LOG_PERIOD 1 RESNET.WIDTH_PER_GROUP 8 "
    "TRAIN.EVAL_PERIOD 100 TRAIN.CHECKPOINT_PERIOD 1 BN.USE_PRECISE_STATS False MODEL.DROPOUT_RATE 0.0 "
    "SLOWFAST.AVS_FLAG [False,False,False,False,False] DATA_LOADER.NUM_WORKERS 0 TEST.NUM_ENSEMBLE_VIEWS 1 "
    "LOG_MODEL_INFO False DIST.INIT_TIMEOUT 60"
)


@pytest.fixture
def args(synthav, tmp_path):
    lists = copy_lists(synthav, tmp_path, lambda split, lines: lines * 2)
    return [*_COMMON, "DATA.PATH_TO_DATA_DIR", lists]


@pytest.fixture
def clusters():
    """Makes clusters, and ends them."""
    made = []

    def make(*given, **more):
        made.append(Cluster(*given, **more))
        return made[-1]

    yield make
    for cluster in made:
        cluster.kill()


def losses(*folders):
    """{(epoch, iteration): loss} of the last try of each step."""
    return {(s["epoch"], s["iter"]): s["loss"] for folder in folders for s in stats(folder, "train_iter")}


@pytest.fixture
def whole(args, clusters, tmp_path):
    """Losses of a run on two machines that nothing happens to."""
    folder = tmp_path / "whole"
    cluster = clusters(2, restarts=0)
    jobs = [cluster.agent([*args, "OUTPUT_DIR", folder], tmp_path / f"whole{i}.log") for i in range(2)]
    ends = [job.end() for job in jobs]
    assert [end.code for end in ends] == [0, 0], ends[0].text[-3000:] + ends[1].text[-3000:]
    found = losses(folder)
    assert len(found) == _EPOCHS * _STEPS
    return found


def assert_equal(found, whole):
    assert found.keys() == whole.keys()
    # The log keeps six digits.
    assert max(abs(found[step] - whole[step]) for step in whole) < 1e-4, sorted(
        (step, found[step], whole[step]) for step in whole
    )


@pytest.mark.slow
@pytest.mark.parametrize("mistake", ["configuration", "arguments", "lists", "weights"])
def test_a_mistake_ends_the_job_at_once(args, clusters, tmp_path, mistake):
    """Every restart would end with the same line."""
    folder = tmp_path / "out"
    args, line, more = [*args, "OUTPUT_DIR", folder], "", ()
    if mistake == "configuration":
        args, line = [*args, "SOLVER.MAX_EPOCHS", 3], "SOLVER.MAX_EPOCHS"
    elif mistake == "arguments":
        line, more = "unrecognized arguments", ("--no-such-option",)
    elif mistake == "lists":
        # Found after the ranks have met.
        args, line = [*args, "MODEL.NUM_CLASSES", 2], "MODEL.NUM_CLASSES"
    else:
        # Found by one rank.
        args, line = [*args, "TRAIN.CHECKPOINT_FILE_PATH", tmp_path / "gone.pyth"], "gone.pyth"
    cluster = clusters(2, processes=2, restarts=5)
    jobs = [cluster.agent(args, tmp_path / f"{i}.log", *more) for i in range(2)]
    ends = [job.end(seconds=100) for job in jobs]
    text = "".join(end.text for end in ends)
    assert all(end.code for end in ends), text[-3000:]
    # Before the ranks have met each machine tells it; argparse, in each process.
    most = {"configuration": 2, "arguments": 4}.get(mistake, 1)
    assert 1 <= len([told for told in text.split("\n") if "error: " in told and line in told]) <= most, text[-3000:]
    assert all(end.count("death signal, shutting down workers") == 1 and not end.left for end in ends), text[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("nodes", ["2", "1:2"])
def test_an_agent_is_lost_and_comes_back(args, clusters, tmp_path, whole, nodes):
    folder = tmp_path / "out"
    cluster = clusters(nodes)
    args = [*args, "OUTPUT_DIR", folder]
    first, second = (cluster.agent(args, tmp_path / f"{name}.log") for name in ("first", "second"))
    first.until(lambda: first.count('"train_iter"') + second.count('"train_iter"') > 2 * _STEPS + 2)
    second.kill()
    if nodes == "1:2":
        first.wait_for("1 machine, fewer than NUM_SHARDS")
        first.wait_for(r'"epoch": "4/')
    again = cluster.agent(args, tmp_path / "again.log")
    ends = [first.end(seconds=300), again.end(seconds=300)]
    assert [end.code for end in ends] == [0, 0], ends[0].text[-3000:] + ends[1].text[-3000:]
    assert_equal(losses(folder), whole)
    print(nodes, [start["ranks"] for start in read_record(folder).starts])


@pytest.mark.slow
def test_on_local_disks_the_newest_state_is_that_of_the_machine_that_was_not_lost(args, clusters, tmp_path, whole):
    cluster = clusters("1:2")

    def start(name, log):
        return cluster.agent([*args, "OUTPUT_DIR", tmp_path / name], tmp_path / f"{log}.log")

    jobs = {name: start(name, name) for name in ("a", "b")}
    jobs["a"].until(lambda: sum(job.count('"train_iter"') for job in jobs.values()) > 2 * _STEPS + 2)
    main, other = ("a", "b") if jobs["a"].count('"train_iter"') else ("b", "a")
    jobs[main].kill()
    jobs[other].wait_for(r'"epoch": "4/')
    again = start(main, "again")
    ends = [jobs[other].end(seconds=300), again.end(seconds=300)]
    assert [end.code for end in ends] == [0, 0], ends[0].text[-3000:] + ends[1].text[-3000:]
    assert_equal(losses(tmp_path / main, tmp_path / other), whole)
    # Both have the run to its end.
    records = [read_record(tmp_path / name) for name in ("a", "b")]
    assert records[0].id == records[1].id
    assert [record.states[-1].epoch for record in records] == [_EPOCHS, _EPOCHS]
    assert all(record.newest(tmp_path / name) for record, name in zip(records, "ab"))
    print("local disks", [start["ranks"] for start in records[0].starts])
