"""Kills at random moments: whatever dies whenever, the run ends as one does that nothing happened to.

Each set-up is killed again and again until it has been killed eight times; a run that comes to its end is compared, and
another one begins. The moments and victims are drawn from a seed.
"""

import json
import os
import random
import signal
import time

import pytest
import torch
from helpers import keys, ROOT
from helpers.runs import newest_state
from helpers.stops import Job, state_of

from avslowfast.synthav import render_dataset

_KILLS = 8
_COMMON = keys(
    "TRAIN.BATCH_SIZE 8 SOLVER.MAX_EPOCH 3 SOLVER.WARMUP_EPOCHS 0 LOG_PERIOD 1 RESNET.WIDTH_PER_GROUP 8 "
    "TRAIN.EVAL_PERIOD 1 TRAIN.CHECKPOINT_PERIOD 1 TRAIN.CHECKPOINT_SECONDS 0.001 BN.USE_PRECISE_STATS True "
    "BN.NUM_BATCHES_PRECISE 2 MODEL.DROPOUT_RATE 0.5 TEST.NUM_ENSEMBLE_VIEWS 2 TEST.NUM_SPATIAL_CROPS 1 "
    "TEST.USE_BEST True LOG_MODEL_INFO False"
)
# (how it is started, configuration, data, workers, further keys)
_TINY = ("AVSLOWFAST_TINY", "pairs")
_RUNS = {
    "one process": ("one", *_TINY, 0, ""),
    "EMA and mixup": ("one", *_TINY, 2, "EMA.ENABLE True EMA.DECAY 0.9 MIXUP.ENABLE True"),
    "spawned ranks that accumulate": ("spawned", *_TINY, 2, "TRAIN.ACCUMULATION_STEPS 2"),
    "torchrun and hard negatives": ("torchrun", *_TINY, 2, "DATA.GET_MISALIGNED_AUDIO True DATA.MIX_NEG_EPOCH 1"),
    "several clips of a video": ("one", *_TINY, 2, "AUG.NUM_SAMPLE 2 AUG.ENABLE True"),
    "detection": ("spawned", "AVA_AVSLOWFAST_TINY", "ava", 0, ""),
    "pretrain": ("one", "PRETRAIN_AVSLOWFAST_TINY", "pairs", 2, ""),
    "sync": ("one", "SYNC_AVSLOWFAST_TINY", "bounces", 2, ""),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Folder of a data set by its variant."""
    made = {}

    def folder(variant):
        if variant not in made:
            made[variant] = tmp_path_factory.mktemp(variant)
            counts = {"train": 2, "val": 1} if variant == "ava" else {"train": 32, "val": 8, "test": 8}
            render_dataset(made[variant], variant, counts, seed=5)
        return made[variant]

    return folder


def results_of(folder):
    """results.json without what may differ."""
    results = json.load(open(folder / "results.json"))
    return {name: value for name, value in results.items() if name not in ("seconds", "checkpoint")}


def tensors_of(state):
    """Everything that a resumed run would have, by its place."""

    def walk(value, place):
        if isinstance(value, torch.Tensor):
            yield place, value
        elif isinstance(value, dict):
            for name, part in value.items():
                yield from walk(part, f"{place}/{name}")
        elif isinstance(value, (list, tuple)):
            for i, part in enumerate(value):
                yield from walk(part, f"{place}/{i}")
        elif place.split("/")[1] in ("epoch", "iteration", "best", "best_epoch", "rng", "optimizer_state"):
            yield place, torch.tensor(hash(repr(value)))

    return dict(walk({name: value for name, value in state.items() if name not in ("run_id", "cfg")}, ""))


def assert_same(killed, whole):
    a, b = (tensors_of(torch.load(newest_state(folder), weights_only=True)) for folder in (killed, whole))
    assert a.keys() == b.keys()
    assert [place for place in a if not torch.equal(a[place], b[place])] == []
    assert results_of(killed) == results_of(whole)
    assert [path for path in killed.rglob("*.part*")] == []


def victims(job, draw):
    """(who it is, processes): all of the job, its launcher, a rank, or a loader worker."""
    ranks, workers = job.ranks(), job.workers()
    choices = [("all", job.members())] * 3 + [("launcher", [job.pid])]
    if set(ranks) - set(workers):
        choices += [("rank", [draw.choice(sorted(set(ranks) - set(workers)))])] * 2
    if workers:
        choices += [("worker", [draw.choice(workers)])]
    return draw.choice(choices)


def killed_after(job, seconds, draw):
    """Who was killed; None where the job came to its end before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if job.process.poll() is not None:
            return None
        time.sleep(0.005)
    who, pids = victims(job, draw)
    for pid in pids:
        if state_of(pid) not in "ZX":
            os.kill(pid, signal.SIGKILL)
    return who


@pytest.mark.slow
@pytest.mark.parametrize("name", _RUNS)
def test_killed_runs_end_as_if_nothing_had_happened(data, tmp_path, name):
    set_up, config, variant, workers, more = _RUNS[name]
    draw = random.Random(name)
    base = [*_COMMON, *keys(more), "DATA.PATH_TO_DATA_DIR", data(variant), "DATA_LOADER.NUM_WORKERS", workers]
    base += ["DATA.PATH_PREFIX", data(variant) / "videos"] if variant == "ava" else []

    def start(folder):
        return Job([*base, "OUTPUT_DIR", folder], set_up=set_up, config=ROOT / f"configs/SynthAV/{config}.yaml")

    began = time.monotonic()
    end = start(tmp_path / "whole").end(seconds=600)
    assert end.code == 0, end.text[-3000:]
    length, kills, chains = time.monotonic() - began, [], 0
    while len(kills) < _KILLS:
        chains += 1
        folder = tmp_path / f"killed{chains}"
        while True:
            job = start(folder)
            # Once it has been killed often enough, it runs to its end.
            who = killed_after(job, draw.uniform(0, length), draw) if len(kills) < _KILLS else None
            if who is not None:
                kills.append(who)
            end = job.end(seconds=600)
            assert end.left == [], (who, end.text[-2000:])
            assert end.count("Traceback") <= (set_up == "torchrun"), (who, end.text[-3000:])
            if end.code == 0:
                break
            assert who is not None, end.text[-3000:]
        assert_same(folder, tmp_path / "whole")
    print(f"{name}: {len(kills)} kills ({', '.join(kills)}) in {chains} runs")
