"""Signals that ask a run to stop: to whom, when, with how many workers. The slow part prints the whole table."""

import itertools
import os
import signal
import time

import pytest
from helpers.lists import copy_lists
from helpers.runs import run, SHORT_RUN, stats
from helpers.stops import catches, Job

# Lists so long that each part of a run can be hit, of the clips of the small SynthAV again and again.
_TIMES = {"train": 4, "val": 20, "test": 20}
_TARGETS = [
    ("one", "process"),
    ("one", "group"),
    ("spawned", "process"),
    ("spawned", "group"),
    ("spawned", "rank"),
    ("torchrun", "process"),
    ("torchrun", "rank"),
]
_MOMENTS = ["start-up", "step", "data", "precise BN", "validation", "test"]
_SIGNALS = ["SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP"]


def _table():
    """Each target at each moment with and without workers; the signals take turns."""
    turns = itertools.cycle(_SIGNALS)
    for (set_up, target), moment, workers in itertools.product(_TARGETS, _MOMENTS, (0, 2)):
        # Without workers the process itself reads, so there is no waiting.
        if moment != "data" or workers:
            yield next(turns), set_up, target, moment, workers
    for number, (set_up, target) in itertools.product(_SIGNALS, _TARGETS):
        yield number, set_up, target, "step", 2


@pytest.fixture(scope="module")
def rows(request):
    """What was seen, printed at the end."""
    seen = []
    yield seen
    lines = ["| signal | to | workers | while | saved | exit code | seconds |", "|---|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in seen]
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\n" + "\n".join(lines))


@pytest.fixture
def args(synthav, tmp_path):
    lists = copy_lists(synthav, tmp_path, lambda split, lines: lines * _TIMES[split])
    values = (*SHORT_RUN, "DATA.PATH_TO_DATA_DIR", lists, "OUTPUT_DIR", tmp_path / "out", "LOG_PERIOD", 1)
    return [*values, "TRAIN.EVAL_PERIOD", 1, "TEST.BATCH_SIZE", 8, "TRAIN.BATCH_SIZE", 16]


def start(args, set_up, moment, workers, target="process"):
    """A run that has come to a moment."""
    epochs = 1 if moment == "test" else 100
    period = 1 if moment in ("precise BN", "validation", "test") else 100
    job = Job(
        args,
        "SOLVER.MAX_EPOCH",
        epochs,
        "TRAIN.EVAL_PERIOD",
        period,
        "DATA_LOADER.NUM_WORKERS",
        workers,
        "BN.USE_PRECISE_STATS",
        moment == "precise BN",
        "BN.NUM_BATCHES_PRECISE",
        100,
        set_up=set_up,
    )
    if moment == "start-up":
        # Before that Python itself starts, and nothing can catch a signal.
        asked = (lambda: job.ranks()[-1:]) if target == "rank" else (lambda: [job.pid])
        job.until(lambda: any(catches(pid, signal.SIGTERM) for pid in asked()))
        time.sleep(0.5)
    elif moment in ("step", "data"):
        job.wait_for('"train_iter"', 3)
    elif moment == "test":
        job.wait_for('"val_epoch"')
        job.wait_for("saved ", 2)
        time.sleep(0.5)
    else:
        job.wait_for("saved ")
        time.sleep(0.2)
    if moment == "data":
        for pid in job.workers():
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1)
    return job


def stopped(args, number, set_up, target, moment, workers, rows=None):
    job = start(args, set_up, moment, workers, target)
    began = time.monotonic()
    job.signal(target, getattr(signal, number))
    end = job.end(began)
    if rows is not None:
        where = f"{set_up}: {target}"
        rows.append((number, where, workers, moment, end.saved or "-", end.code, f"{end.seconds:.1f}"))
    assert end.code == (1 if set_up == "torchrun" else 75), end.text[-3000:]
    assert end.left == []
    assert end.count("stopped by ") == 1, end.text[-3000:]
    # torchrun shows its own.
    assert end.count("Traceback") == (set_up == "torchrun"), end.text[-3000:]
    assert end.count("error:") == 0, end.text[-3000:]
    expected = {"precise BN": (1, 0), "validation": (1, 0), "test": (1, 0), "start-up": None}
    assert end.saved == expected[moment] if moment in expected else end.saved > (0, 2)
    assert not list((tmp_folder(args)).rglob("*.part*"))
    return end


def tmp_folder(args):
    return args[args.index("OUTPUT_DIR") + 1]


@pytest.mark.parametrize(
    "number, set_up, target, moment, workers",
    [
        # What a batch system does, and Ctrl-C on a terminal.
        ("SIGTERM", "one", "group", "data", 2),
        ("SIGINT", "spawned", "group", "step", 2),
        ("SIGUSR1", "one", "process", "validation", 0),
    ],
)
def test_a_stopped_run_saves_and_says_so_in_one_line(args, number, set_up, target, moment, workers):
    stopped(args, number, set_up, target, moment, workers)


@pytest.mark.slow
def test_a_stop_in_the_test_says_where_and_the_same_command_tests_anew(args, tmp_path):
    end = stopped(args, "SIGTERM", "one", "process", "test", 0)
    assert end.count("stopped by SIGTERM in the test") == 1
    run([*args, "SOLVER.MAX_EPOCH", 1])
    assert len(stats(tmp_path / "out", "test_final")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("number, set_up, target, moment, workers", list(_table()))
def test_table_of_signals(args, number, set_up, target, moment, workers, rows):
    stopped(args, number, set_up, target, moment, workers, rows)


@pytest.mark.slow
def test_a_second_ctrl_c_ends_all_processes_at_once(args):
    job = start(args, "spawned", "step", 2)
    # The ranks wait for one that does not answer.
    os.kill(job.ranks()[-1], signal.SIGSTOP)
    job.signal("group", signal.SIGINT)
    time.sleep(2)
    began = time.monotonic()
    job.signal("group", signal.SIGINT)
    end = job.end(began)
    assert end.code == 130
    assert end.left == []
    assert end.count("ended at once by a second Ctrl-C") == 1
    assert end.count("Traceback") == 0
