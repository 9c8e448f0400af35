"""Jobs on a real Slurm with two nodes, on this machine; CPU processes stand for GPUs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import TINY
from helpers.slurm import Slurm, why_not

from avslowfast.checkpoint import states

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(why_not()), reason=f"no Slurm can be started: {why_not()}")]

EPOCHS = 3
# Eight iterations an epoch, on two machines.
KEYS = (
    f"TRAIN.BATCH_SIZE 2 SOLVER.MAX_EPOCH {EPOCHS} SOLVER.WARMUP_EPOCHS 0 DATA_LOADER.NUM_WORKERS 1 LOG_PERIOD 1 "
    "BN.NUM_BATCHES_PRECISE 2 TRAIN.EVAL_PERIOD 3 TEST.ENABLE False RESNET.WIDTH_PER_GROUP 8 LOG_MODEL_INFO False"
).split()


@pytest.fixture(scope="module")
def slurm():
    with Slurm() as slurm:
        yield slurm


class Submitted:
    """A job that the command line has submitted."""

    def __init__(self, slurm, out, words, command="train"):
        self.slurm, self.out = slurm, out
        words = [sys.executable, "-m", "avslowfast", command, *map(str, words)]
        done = subprocess.run(words, env=slurm.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        self.said = done.stdout
        self.number = re.match(r"job (\d+): ", done.stdout)[1]

    def log(self):
        """All that the tasks have written."""
        return "".join(path.read_text() for path in sorted(Path(self.out, "slurm").glob(f"{self.number}_*_log.out")))

    def wait_for(self, pattern, seconds=240):
        """Until the logs have a pattern."""
        return self.slurm.until(lambda: re.search(pattern, self.log()), seconds)

    def end(self, state="COMPLETED", restarts=0, seconds=300):
        """The job ends so, after so many restarts."""
        facts = self.slurm.end(self.number, seconds)
        assert (facts["JobState"], int(facts["Restarts"])) == (state, restarts), self.log()[-3000:]
        return facts


@pytest.fixture
def train(slurm, synthav, tmp_path):
    """Submits a training; gives the job."""

    def submit(*words, options=("partition=debug", "time=30"), out=tmp_path / "out"):
        asked = ["--slurm", "nodes=2", "gpus=0", "cpus=1", *options]
        keys = [*KEYS, "DATA.PATH_TO_DATA_DIR", synthav, "OUTPUT_DIR", out, *words]
        return Submitted(slurm, out, [TINY, *asked, *keys])

    return submit


def weights(out, epochs=EPOCHS):
    return torch.load(states.checkpoint_path(str(out), epochs, 0), weights_only=True)["model_state"]


@pytest.fixture(scope="module")
def undisturbed(slurm, synthav, tmp_path_factory):
    """Weights of a training that nothing disturbs."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    asked = ["--slurm", "nodes=2", "gpus=0", "cpus=1", "partition=debug", "time=24:00"]
    job = Submitted(slurm, out, [TINY, *asked, *KEYS, "DATA.PATH_TO_DATA_DIR", synthav, "OUTPUT_DIR", out])
    assert job.said == (
        f"job {job.number}: 2 nodes, 1 CPU each, at most 0:24:00, partition debug\n"
        f"logs: {out}/slurm/{job.number}_*_log.out\n"
    )
    job.end()
    assert "CPU, 2 ranks" in job.log()
    return weights(out)


def same(out, expected):
    found = weights(out)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_signal_in_mid_epoch(slurm, train, undisturbed):
    job = train()
    job.wait_for(r'"epoch": "2/3".*"iter": "3/8"')
    slurm.call("scancel", "--signal=USR1", job.number)
    job.end(restarts=1)
    assert "stopped by SIGUSR1; the state is saved" in job.log()
    assert "stopped by a signal: requeued, to resume" in job.log()
    same(job.out, undisturbed)


def test_preemption(slurm, train, undisturbed):
    job = train(options=("partition=low", "cpus=4"))
    job.wait_for(r'"epoch": "2/3".*"iter": "3/8"')
    slurm.call("srun", "--partition=debug", "--nodes=2", "--cpus-per-task=4", "sleep", "1")
    job.end(restarts=1)
    assert "stopped by SIGTERM; the state is saved" in job.log()
    same(job.out, undisturbed)


def test_a_lost_node(slurm, train, undisturbed):
    job = train()
    job.wait_for(r'"epoch": "2/3".*"iter": "3/8"')
    slurm.lose_node("n2")
    slurm.wait(job.number, lambda facts: facts["JobState"] == "PENDING")
    slurm.start_node("n2")
    job.end(restarts=1)
    same(job.out, undisturbed)
