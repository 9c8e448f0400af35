"""Loader workers: the order of batches, workers that hang, crash or are killed, and what they leave behind."""

import faulthandler
import logging
import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from helpers import ROOT
from helpers.lists import cfg_for, copy_lists
from helpers.runs import ENV

from avslowfast.loading import build_dataset, build_loader
from avslowfast.loading.loader import ClipLoader
from avslowfast.loading.transport import pack, unpack
from avslowfast.loading.workers import WorkersLostError
from avslowfast.media import DecodeError
from avslowfast.utils.errors import StopRequested


def loader_for(synthav, *overrides, workers=2, split="train", batch=4):
    args = ("DATA_LOADER.NUM_WORKERS", workers, "TRAIN.BATCH_SIZE", batch, *overrides)
    return build_loader(cfg_for(synthav, *args), split)


def pids(loader):
    return [worker.pid for worker in loader._pool._workers]


def same(a, b):
    """Whether two batches are equal bit by bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    return len(a) == len(b) and all(map(same, a, b)) if isinstance(a, list) else a == b


def reading_ends_in(monkeypatch, loader, index, trouble):
    """Let a loader's workers end so when they read a record."""
    opened = type(loader.dataset)._open

    def open_or_end(self, number, training=False):
        reader = opened(self, number, training)
        if number == index:
            trouble()
        return reader

    monkeypatch.setattr(type(loader.dataset), "_open", open_or_end)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("workers", [1, 3])
def test_workers_give_the_batches_of_one_process_in_order(synthav, split, workers):
    alone, together = loader_for(synthav, workers=0, split=split), loader_for(synthav, workers=workers, split=split)
    assert len(alone) == len(together)
    for _ in range(2):
        assert same(list(alone), list(together))


def test_a_pass_that_was_left_does_not_disturb_the_next(synthav):
    loader = loader_for(synthav)
    first = next(iter(loader))
    loader.epochs.set_epoch(1, 2)
    rest = list(loader)
    alone = loader_for(synthav, workers=0)
    assert same(first, next(iter(alone)))
    alone.epochs.set_epoch(1, 2)
    assert same(rest, list(alone))


def test_what_a_worker_cannot_read_is_told_in_one_line(synthav, tmp_path):
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.csv").write_text("".join(f"missing{i}.mp4 {i}\n" for i in range(4)))
    with pytest.raises(DecodeError, match="no readable file among 4 tried") as error:
        next(iter(loader_for(tmp_path, workers=1)))
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


def test_killed_and_stopped_workers_are_replaced_and_nothing_is_lost(synthav, caplog):
    loader = loader_for(synthav, "DATA_LOADER.TIMEOUT", 1.0)
    expected = list(loader_for(synthav, workers=0))
    batches = iter(loader)
    got = [next(batches)]
    killed, stopped = pids(loader)
    os.kill(killed, signal.SIGKILL)
    got += list(batches)
    assert same(got, expected)
    text = caplog.text
    assert f"(pid {killed}) was killed by SIGKILL (out of memory?)" in text
    assert "it is replaced" in text
    os.kill(stopped, signal.SIGSTOP)
    began = time.monotonic()
    assert len(list(loader)) == len(expected)
    assert 1 < time.monotonic() - began < 20
    assert f"(pid {stopped}) did nothing for 1 s" in caplog.text


def test_workers_that_are_killed_again_and_again_end_the_pass_with_one_line(synthav, caplog):
    loader = loader_for(synthav, workers=1)
    batches = iter(loader)
    with pytest.raises(WorkersLostError, match=r"killed by SIGKILL.*lower DATA_LOADER.NUM_WORKERS \(now 1\)") as error:
        for _ in range(20):
            next(batches)
            os.kill(pids(loader)[0], signal.SIGKILL)
    assert "\n" not in str(error.value)
    assert caplog.text.count("it is replaced") == 2
    # A later pass starts anew.
    assert len(list(loader)) == 8


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_file_that_never_ends_is_named_and_counts_as_unreadable(synthav, monkeypatch, split, caplog):
    loader = loader_for(synthav, "DATA_LOADER.TIMEOUT", 1.0, split=split)
    reading_ends_in(monkeypatch, loader, 0, lambda: time.sleep(1000))
    path = loader.dataset.records[0].path
    batches = list(loader)
    if split == "train":
        failures = [failure for batch in batches for failure in batch["failures"]]
    else:
        failures = [failure[1:] for batch in batches for failure in batch["failed"]]
    assert failures == [(path, "not read within DATA_LOADER.TIMEOUT 1 s")]
    assert f"did nothing for 1 s with {path} in its hands" in caplog.text
    # The next pass does not try it again.
    began = time.monotonic()
    list(loader)
    assert time.monotonic() - began < 10
    assert caplog.text.count("did nothing") == 1


def test_a_file_that_crashes_its_reader_is_tried_twice(synthav, monkeypatch, caplog):
    loader = loader_for(synthav)

    def crash():
        faulthandler.disable()
        os.kill(os.getpid(), signal.SIGSEGV)

    reading_ends_in(monkeypatch, loader, 3, crash)
    failures = [failure for batch in loader for failure in batch["failures"]]
    assert [path for path, _ in failures] == [loader.dataset.records[3].path]
    assert "crashed the process that read it (SIGSEGV)" in failures[0][1]
    assert caplog.text.count("was killed by SIGSEGV with ") == 2


def test_an_error_in_a_worker_keeps_its_type_and_place(synthav, monkeypatch):
    loader = loader_for(synthav, split="val")

    def full():
        raise OSError(28, "No space left on device", "somewhere")

    reading_ends_in(monkeypatch, loader, 15, full)
    with pytest.raises(OSError, match="No space left") as error:
        list(loader)
    assert error.value.filename == "somewhere"
    assert error.value.__cause__ is None


def test_a_fault_of_the_program_in_a_worker_shows_its_traceback(synthav, monkeypatch):
    loader = loader_for(synthav, split="val")
    reading_ends_in(monkeypatch, loader, 0, lambda: [][1])
    with pytest.raises(IndexError) as error:
        list(loader)
    assert "in open_or_end" in str(error.value.__cause__)


def test_a_mistake_of_the_user_is_one_line(synthav, tmp_path):
    lists = copy_lists(synthav, tmp_path, lambda _, lines: [f"{tmp_path}/none{i}.mp4 0" for i in range(len(lines))])
    with pytest.raises(DecodeError, match="no readable file among 32 tried") as error:
        list(loader_for(lists))
    assert "\n" not in str(error.value)
    assert error.value.__cause__ is None


def test_waiting_ends_when_it_is_asked_to(synthav, monkeypatch):
    loader = loader_for(synthav)
    reading_ends_in(monkeypatch, loader, 0, lambda: time.sleep(1000))
    began = time.monotonic()
    with pytest.raises(StopRequested):
        list(loader.iterate(lambda: time.monotonic() - began > 1))
    assert time.monotonic() - began < 10


def test_workers_ignore_signals_that_stop_a_run(synthav):
    loader = loader_for(synthav)
    batches = iter(loader)
    next(batches)
    before = pids(loader)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        for pid in before:
            os.kill(pid, number)
    assert len(list(batches)) == 7
    assert pids(loader) == before


def test_workers_end_with_their_loader_and_with_their_parent(synthav):
    loader = loader_for(synthav)
    next(iter(loader))
    ended = pids(loader)
    del loader
    for pid in ended:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    read, write = os.pipe()
    parent = os.fork()
    if not parent:
        orphaned = loader_for(synthav)
        next(iter(orphaned))
        os.write(write, " ".join(map(str, pids(orphaned))).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    orphans = [int(word) for word in os.read(read, 100).split()]
    assert len(orphans) == 2
    deadline = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{pid}") for pid in orphans) and time.monotonic() < deadline:
        time.sleep(0.05)
    states = [open(f"/proc/{pid}/stat").read().split()[2] for pid in orphans if os.path.exists(f"/proc/{pid}")]
    # Where nobody reaps them they stay as zombies.
    assert set(states) <= {"Z"}


def test_batches_travel_unchanged(synthav):
    content = {
        "a": torch.arange(10, dtype=torch.uint8),
        "strided": torch.arange(12.0).reshape(3, 4).T,
        "scalar": torch.tensor(3),
        "bool": torch.tensor([True, False]),
        "empty": torch.zeros(0, 3),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "text": ["x", ("y", 1)],
        "large": torch.rand(1000, 1000),
    }
    descriptor, sizes = pack(content)
    received = unpack(descriptor, sizes)
    os.close(descriptor)
    for name, value in content.items():
        assert torch.equal(received[name], value) if isinstance(value, torch.Tensor) else received[name] == value
    received["a"][0] = 7
    assert received["a"][0] == 7


def test_descriptors_do_not_pile_up(synthav):
    loader = loader_for(synthav)
    list(loader)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        list(loader)
    assert len(os.listdir("/proc/self/fd")) <= before


MEMORY = """
from helpers.lists import cfg_for
from avslowfast.loading import build_loader

loader = build_loader(cfg_for("{folder}", "DATA_LOADER.NUM_WORKERS", 2, "TRAIN.BATCH_SIZE", 4), "train")
list(loader)
for worker in loader._pool._workers:
    print(next(line for line in open(f"/proc/{{worker.pid}}/smaps_rollup") if line.startswith("Private_Dirty")))
"""


def test_a_worker_takes_little_memory_of_its_own(synthav):
    # A worker keeps what its parent changes, and this process holds what other tests have left.
    words = [sys.executable, "-c", MEMORY.format(folder=synthav)]
    done = subprocess.run(words, env={**ENV, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}, capture_output=True, text=True)
    sizes = [int(kilobytes) for kilobytes in re.findall(r"(\d+) kB", done.stdout)]
    assert len(sizes) == 2, done.stderr
    assert max(sizes) < 60_000


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_is_made_of_plain_parts(synthav, workers):
    dataset = build_dataset(cfg_for(synthav), "val")
    loader = ClipLoader(dataset, [[0, 1], [2]], lambda samples: {"n": len(samples)}, workers=workers)
    assert [batch["n"] for batch in loader] == [2, 1]


@pytest.fixture(autouse=True)
def _log(caplog):
    # The package's logger does not pass lines on once a run has set it up.
    logger = logging.getLogger("avslowfast")
    before, logger.propagate = logger.propagate, True
    yield
    logger.propagate = before
