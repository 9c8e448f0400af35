"""The end of a rank: libraries have no thread in it any more under which Python would end."""

import subprocess
import sys

import pytest
from helpers import ROOT
from helpers.runs import ENV

# Ranks import it by name.
WORK = """
import atexit
import functools
import os
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from avslowfast.config import load_cfg
from avslowfast.engine.launch import launch
from avslowfast.engine.stop import StopRequest
from avslowfast.utils.errors import UserError


def tell_threads():
    names = [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
    print(os.environ.get("RANK", ""), *sorted(names), sep=",", flush=True)


def work(cfg, device, stop, ending):
    atexit.register(tell_threads)
    network = DistributedDataParallel(torch.nn.Linear(2, 2))
    # A reference to itself: only the garbage collector finds it.
    network.itself = [network]
    network(torch.ones(2, 2)).sum().backward()
    assert any("gloo" in open(f"/proc/self/task/{task}/comm").read() for task in os.listdir("/proc/self/task"))
    if ending == "mistake":
        raise UserError("a mistake")
    return int(ending)


if __name__ == "__main__":
    from ends import work

    cfg = load_cfg("SynthAV/AVSLOWFAST_TINY", ["NUM_CPU_PROCESSES", 2])
    with StopRequest() as stop:
        sys.exit(launch(cfg, functools.partial(work, ending=sys.argv[1]), stop))
"""


TORCHRUN = ("-m", "torch.distributed.run", "--nproc_per_node", "2")


@pytest.mark.parametrize(
    ("launcher", "ends_with"),
    [((), "0"), ((), "mistake"), pytest.param(TORCHRUN, "0", marks=pytest.mark.slow)],
    ids=["done", "mistake", "torchrun"],
)
def test_no_thread_of_a_library_outlives_the_work(tmp_path, launcher, ends_with):
    (tmp_path / "ends.py").write_text(WORK)
    words = [sys.executable, *launcher, str(tmp_path / "ends.py"), ends_with]
    env = {**ENV, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=120)
    lines = [line for line in done.stdout.split("\n") if "python" in line]
    # The first one to fail has the other one stopped, which may be about to tell.
    assert len(lines) == 2 or (lines and ends_with == "mistake"), done.stderr
    assert not any("gloo" in line for line in lines)
    assert "SIGABRT" not in done.stderr
    assert "terminate" not in done.stderr
    assert done.returncode == {"0": 0, "mistake": 2}[ends_with]
    assert done.stderr.count("a mistake") == (ends_with == "mistake")
