"""Ranks, machines and loader workers that hang, die or never come: who is named, and how the job ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from helpers import ROOT
from helpers.lists import copy_lists
from helpers.runs import ENV, SHORT_RUN, with_output
from helpers.stops import children, Job, memory_of

# How long an exchange may take in these tests, and how long the end of a job may.
_TIMEOUT, _END = 5, 60


@pytest.fixture
def args(synthav, tmp_path):
    """A run that goes on for hours."""
    lists = copy_lists(synthav, tmp_path, lambda split, lines: lines * 4)
    values = (*SHORT_RUN, "DATA.PATH_TO_DATA_DIR", lists, "OUTPUT_DIR", tmp_path / "out", "LOG_PERIOD", 1)
    return [*values, "SOLVER.MAX_EPOCH", 1000, "TRAIN.EVAL_PERIOD", 1000, "DIST.TIMEOUT", _TIMEOUT]


@pytest.fixture
def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def training(args, *more, set_up="spawned"):
    job = Job(args, *more, set_up=set_up)
    job.wait_for('"train_iter"', 3)
    return job


def ended(job, began=None, code=2, errors=1):
    end = job.end(began, _END)
    assert end.code == code, end.text[-3000:]
    assert end.left == []
    assert end.count(r"(?m)^error: ") == errors, end.text[-3000:]
    # torchrun shows its own.
    assert end.count("Traceback") == (code == 1), end.text[-3000:]
    return end


def killed_or_stopped(args, number, rank, set_up):
    job = training(args, set_up=set_up)
    pid, began = job.ranks()[rank], time.monotonic()
    os.kill(pid, number)
    return job, pid, began


@pytest.mark.slow
def test_a_stopped_rank_is_named_by_a_healthy_one(args):
    job, pid, began = killed_or_stopped(args, signal.SIGSTOP, 0, "spawned")
    end = ended(job, began)
    assert f"no sign of life from rank 0 (pid {pid} on {socket.gethostname()}, 127.0.0.1)" in end.text


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("set_up", ["spawned", "torchrun"])
def test_stopped_ranks_are_named(args, set_up, rank):
    job, pid, began = killed_or_stopped(args, signal.SIGSTOP, rank, set_up)
    end = ended(job, began, code=2 if set_up == "spawned" else 1)
    assert f"no sign of life from rank {rank} (pid {pid} on {socket.gethostname()}, 127.0.0.1)" in end.text


def test_a_killed_rank_is_named_with_its_signal(args):
    job, pid, began = killed_or_stopped(args, signal.SIGKILL, 1, "spawned")
    end = ended(job, began)
    assert f"error: rank 1 (pid {pid}) was killed by SIGKILL (out of memory?)" in end.text


@pytest.mark.slow
@pytest.mark.parametrize("set_up", ["spawned", "torchrun"])
def test_ranks_save_and_end_when_their_launcher_is_killed(args, set_up):
    job = training(args, "DATA_LOADER.NUM_WORKERS", 2, set_up=set_up)
    os.kill(job.pid, signal.SIGKILL)
    deadline = time.monotonic() + _END
    while job.members() and time.monotonic() < deadline:
        time.sleep(0.1)
    end = job.end()
    assert end.left == []
    assert end.saved > (0, 2)
    assert end.count("Traceback") == 0


@pytest.mark.slow
def test_a_rank_whose_data_hangs_is_named(args):
    job = training(args, "DATA_LOADER.NUM_WORKERS", 2, "DATA_LOADER.TIMEOUT", 0)
    last, began = job.ranks()[1], time.monotonic()
    for pid in children(last):
        os.kill(pid, signal.SIGSTOP)
    end = ended(job, began)
    assert f"rank 1 (pid {last} on" in end.text
    assert "it hangs, or its data does" in end.text


def test_the_machines_that_came_are_named(args, free_port):
    more = ("--init_method", f"tcp://127.0.0.1:{free_port}", "--num_shards", 2, "--shard_id", 0)
    end = ended(Job(args, *more, "DIST.INIT_TIMEOUT", 2))
    assert f"1 of 2 machines came within DIST.INIT_TIMEOUT 2 s (SHARD_ID 0 on {socket.gethostname()})" in end.text
    assert "missing: SHARD_ID 1" in end.text


@pytest.mark.parametrize(
    "host, problem", [("127.0.0.1", "connection refused"), ("no.invalid", "'no.invalid' is unknown")]
)
def test_a_master_that_is_not_there_ends_the_job(args, free_port, host, problem):
    more = ("--init_method", f"tcp://{host}:{free_port}", "--num_shards", 2, "--shard_id", 1)
    end = ended(Job(args, *more, "DIST.INIT_TIMEOUT", 2))
    assert f"tcp://{host}:{free_port}: no master there within DIST.INIT_TIMEOUT 2 s" in end.text
    assert problem in end.text


@pytest.mark.parametrize("shard, words", [(0, "another program of this machine uses port"), (1, "is not the master")])
def test_a_port_that_another_program_uses(args, shard, words):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        more = ("--init_method", f"tcp://127.0.0.1:{s.getsockname()[1]}", "--num_shards", 2, "--shard_id", shard)
        assert words in ended(Job(args, *more, "DIST.INIT_TIMEOUT", 2)).text


@pytest.mark.parametrize("url", ["127.0.0.1:29500", "tcp://127.0.0.1", "file:///tmp/x", "tcp://host:port"])
def test_an_address_that_is_none(args, url):
    end = ended(Job(args, "--init_method", url, "--num_shards", 2, "--shard_id", 0))
    assert f"--init_method is '{url}': it has to be tcp://HOST:PORT" in end.text


@pytest.mark.slow
def test_two_machines_of_two_ranks_train_and_stop_together(args, free_port, tmp_path):
    def machine(i):
        more = ("--init_method", f"tcp://127.0.0.1:{free_port}", "--num_shards", 2, "--shard_id", i)
        return Job(with_output(args, tmp_path / f"machine{i}"), *more, set_up="spawned")

    jobs = [machine(0), machine(1)]
    jobs[0].wait_for('"train_iter"', 3)
    jobs[1].signal("rank", signal.SIGUSR1)
    ends = [job.end() for job in jobs]
    assert [end.code for end in ends] == [75, 75]
    assert [end.left for end in ends] == [[], []]
    assert ends[0].saved > (0, 2)
    assert ends[0].count("stopped by SIGUSR1; the state is saved") == 1


@pytest.mark.slow
def test_a_lost_machine_is_named_by_the_other(args, free_port, tmp_path):
    def machine(i):
        more = ("--init_method", f"tcp://127.0.0.1:{free_port}", "--num_shards", 2, "--shard_id", i)
        return Job(with_output(args, tmp_path / f"machine{i}"), *more)

    jobs = [machine(0), machine(1)]
    jobs[0].wait_for('"train_iter"', 3)
    lost = jobs[1].ranks()[0]
    for pid in (jobs[1].pid, lost):
        os.kill(pid, signal.SIGSTOP)
    end = ended(jobs[0])
    jobs[1].kill()
    assert f"no sign of life from rank 1 (pid {lost} on {socket.gethostname()}, 127.0.0.1)" in end.text


def test_a_loader_worker_that_hangs_is_named_and_training_continues(args):
    job = training(args, "DATA_LOADER.NUM_WORKERS", 2, "DATA_LOADER.TIMEOUT", 1, set_up="one")
    hanging = job.workers()[0]
    os.kill(hanging, signal.SIGSTOP)
    job.wait_for(rf"loader worker \d \(pid {hanging}\) did nothing for 1 s")
    job.wait_for('"train_iter"', job.text().count('"train_iter"') + 8)
    job.signal("process", signal.SIGTERM)
    assert job.end().code == 75


@pytest.mark.parametrize("set_up", ["one", pytest.param("spawned", marks=pytest.mark.slow)])
def test_loader_workers_that_are_killed_again_and_again_end_the_run_with_its_state_saved(args, set_up):
    job = training(args, "DATA_LOADER.NUM_WORKERS", 1, "TRAIN.BATCH_SIZE", 2, set_up=set_up)
    rank = job.pid if set_up == "one" else job.ranks()[-1]
    while job.process.poll() is None:
        for pid in job.workers(rank):
            if os.path.exists(f"/proc/{pid}"):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    end = ended(job)
    assert end.count("it is replaced, and the batch is read again") == 2
    assert end.count("lower DATA_LOADER.NUM_WORKERS") == 1
    assert end.saved > (0, 2)


def test_workers_of_spawned_ranks_are_small(args):
    job = training(args, "DATA_LOADER.NUM_WORKERS", 2)
    sizes = [memory_of(pid) for pid in job.workers()]
    job.kill()
    assert len(sizes) == 4
    assert max(sizes) < 60


def test_errors_of_all_ranks_are_told_once(args):
    end = ended(Job([*args, "TRAIN.BATCH_SIZE", 1000], set_up="spawned"))
    assert end.count("not one batch") == 1


SLOW_TO_LEAVE = """
import sys, time
from avslowfast.config import load_cfg
from avslowfast.engine.launch import launch
from avslowfast.engine.stop import StopRequest
from avslowfast.utils import distributed
from avslowfast.utils.errors import UserError

class Network:
    def __del__(self):
        time.sleep(3)

def work(cfg, device, stop):
    held = Network() if distributed.is_main() else None
    raise UserError("both say this")

def main():
    cfg = load_cfg("SynthAV/AVSLOWFAST_TINY", ["NUM_GPUS", 0, "NUM_CPU_PROCESSES", 2])
    with StopRequest() as stop:
        sys.exit(launch(cfg, work, stop))
"""


@pytest.mark.slow
def test_an_error_is_told_although_the_rank_that_tells_it_is_ended_by_the_end_of_another(tmp_path):
    (tmp_path / "slow_to_leave.py").write_text(SLOW_TO_LEAVE)
    words = [sys.executable, "-c", "import slow_to_leave; slow_to_leave.main()"]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(words, cwd=tmp_path, env={**ENV, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert re.findall("(?m)^error: .*", done.stderr) == ["error: both say this"]


@pytest.mark.slow
def test_errors_of_all_ranks_are_told_once_under_torchrun(args):
    end = ended(Job([*args, "TRAIN.DATASET", "kinetic"], set_up="torchrun"), code=1)
    assert end.count("did you mean 'kinetics'") == 1
    end = ended(Job([*args, "MODEL.NUM_CLASSES", 3], set_up="torchrun"), code=1)
    assert len(re.findall("outside 0..2", end.text)) == 1
