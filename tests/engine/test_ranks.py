"""What ranks do with their time: the slow one is named, although all take the same time for a step."""

import contextlib
import multiprocessing
import os
import re
import signal
import statistics
import threading
import time
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from helpers.lists import copy_lists
from helpers.runs import output_of, SHORT_RUN, stats
from helpers.stops import children, is_fork, Job

from avslowfast.engine.hooks.ranks import RankReport
from avslowfast.engine.resume import check_ranks_agree, RanksDifferError
from avslowfast.engine.state import TrainState
from avslowfast.utils import distributed
from avslowfast.utils.accelerators import peak_flops
from avslowfast.utils.timing import WorkMeter


@pytest.fixture
def args(synthav, tmp_path):
    lists = copy_lists(synthav, tmp_path, lambda split, lines: lines * 10)
    values = (*SHORT_RUN, "DATA.PATH_TO_DATA_DIR", lists, "OUTPUT_DIR", tmp_path / "out", "LOG_PERIOD", 4)
    return [*values, "TRAIN.EVAL_PERIOD", 100, "TEST.ENABLE", False]


class Brake:
    """Stops processes for most of the time, as a machine does that is hot or shared with others."""

    def __init__(self, pids):
        self.pids, self.over = pids, threading.Event()
        self.thread = threading.Thread(target=self.pulse)

    def pulse(self):
        while not self.over.is_set():
            for number, seconds in ((signal.SIGSTOP, 0.09), (signal.SIGCONT, 0.01)):
                for pid in self.pids:
                    os.kill(pid, number)
                time.sleep(seconds)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *error):
        self.over.set()
        self.thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("slowed", ["nothing", "passes", "data"])
def test_the_slow_rank_is_named_with_its_host_and_what_takes_its_time(args, slowed):
    workers = 1 if slowed == "data" else 0
    job = Job(args, "SOLVER.MAX_EPOCH", 3, "DATA_LOADER.NUM_WORKERS", workers, set_up="spawned")
    job.wait_for('"train_iter"', 2)
    rank = job.ranks()[1]
    pids = {"nothing": [], "passes": [rank], "data": [pid for pid in children(rank) if is_fork(pid, rank)]}[slowed]
    assert bool(pids) == (slowed != "nothing")
    before = job.count('"train_ranks"')
    with Brake(pids):
        job.wait_for('"train_ranks"', before + 7)
    job.kill()
    # The machine's other work may make either rank slow for a moment; the medians are those of the brake.
    lines = stats(output_of(args), "train_ranks")[before + 1 : before + 7]
    assert all(len(line[name]) == 2 for line in lines for name in ("data", "passes", "failures"))
    own = [statistics.median(line["data"][i] + line["passes"][i] for line in lines) for i in range(2)]
    steps = stats(output_of(args), "train_iter")[before + 1 : before + 7]
    named = [step.get("slowest_rank") for step in steps].count(f"rank 1 on {os.uname().nodename}")
    if slowed == "nothing":
        assert own[1] < 1.5 * own[0], lines
    else:
        assert own[1] > 2 * own[0], lines
        assert statistics.median(line[slowed][1] / line[slowed][0] for line in lines) > 2, lines
        assert named > 3, steps
        assert re.search(r"rank 1 on \S+ is slow: \S+ s of its own per step \(data ", job.text())


def test_a_slow_rank_is_named_once_until_another_one_is():
    report = RankReport()
    report.hosts = ["a", "b", "c", "d"]
    even, slow = [(0.1, 0.3)] * 4, [(0.1, 0.3), (0.1, 0.3), (0.4, 0.3), (0.1, 0.3)]
    assert report.slowest(even) == {}
    assert report.slowest(slow) == report.slowest(slow) == {"slowest_rank": "rank 2 on c"}
    assert report.slowest([(1.0, 0.3), *even[1:]]) == {"slowest_rank": "rank 0 on a"}
    # Of two, the faster one is the measure.
    assert report.slowest([(0.0, 0.3), (0.0, 0.5)]) == {"slowest_rank": "rank 1 on b"}
    assert report.slowest([(0.0, 0.4), (0.0, 0.5)]) == report.slowest([(0.0, 0.0)]) == {}


def test_passes_are_timed_up_to_the_first_layers_gradient_without_exchanges():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), Sleep(), torch.nn.Linear(4, 1))
    meter = WorkMeter(torch.device("cpu"))
    meter.attach(model, [model[0].weight])
    try:
        model(torch.randn(2, 4)).sum().backward()
        assert 0.09 < meter.take() < 0.2
        # An evaluation is no pass, nor is what it waits for.
        model(torch.randn(2, 4))
        assert meter.take() == 0.0
        with distributed.watched():
            time.sleep(0.1)
        loss = model(torch.randn(2, 4)).sum()
        with distributed.watched():
            time.sleep(0.3)
        loss.backward()
        assert 0.09 < meter.take() < 0.2
    finally:
        distributed.watch_exchanges(contextlib.nullcontext)


class Sleep(torch.nn.Module):
    def forward(self, x):
        time.sleep(0.1)
        return x


@pytest.mark.parametrize(
    "name, kind, peak",
    [
        ("NVIDIA H100 80GB HBM3", "bfloat16", 989.5),
        ("NVIDIA H100 PCIe", "bfloat16", 756),
        ("NVIDIA H200", "tf32", 494.5),
        ("NVIDIA H200 NVL", "float32", 60),
        ("NVIDIA GH200 480GB", "float16", 989.5),
        ("NVIDIA A100-SXM4-80GB", "tf32", 156),
        ("NVIDIA A10G", "float32", 31.5),
        ("NVIDIA A10", "bfloat16", 125),
        ("NVIDIA L40S", "bfloat16", 362),
        ("Tesla V100-SXM2-16GB", "float16", 125),
        ("Tesla V100-SXM2-16GB", "tf32", 15.7),
        ("Tesla V100-SXM2-16GB", "bfloat16", None),
        ("Tesla T4", "float32", 8.1),
        ("NVIDIA GeForce RTX 4090", "bfloat16", 165.2),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bfloat16", None),
        ("NVIDIA RTX A6000", "float32", 38.7),
        ("NVIDIA A1000", "bfloat16", None),
        ("Some Card", "float32", None),
    ],
)
def test_peaks_are_found_by_the_name_of_the_card(name, kind, peak):
    found = peak_flops(name, kind)
    assert found is None if peak is None else found == pytest.approx(peak * 1e12)


def agreement(rank, folder, averages):
    """What a rank says whose last weights are its own, with an average of them or without."""
    dist.init_process_group("gloo", store=dist.FileStore(f"{folder}/store", 2), rank=rank, world_size=2)
    model = torch.nn.Linear(2, 2)
    torch.nn.init.ones_(model.weight)
    torch.nn.init.constant_(model.bias, rank)
    average = torch.optim.swa_utils.AveragedModel(model) if averages else None
    try:
        check_ranks_agree(SimpleNamespace(model=model, ema=average, state=TrainState([1])), "run", "lists")
    except RanksDifferError as error:
        return str(error)
    finally:
        dist.destroy_process_group()


@pytest.mark.parametrize("averages", [False, True])
def test_ranks_that_begin_with_different_weights_are_told(tmp_path, averages):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        said = pool.starmap_async(agreement, [(rank, tmp_path, averages) for rank in (0, 1)], 1).get(60)
    assert all(text.startswith("rank 1 stands at epoch 0, iteration 0, weights ") for text in said)
