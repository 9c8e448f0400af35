"""Jobs on a real Slurm with two nodes, on this machine; CPU processes stand for GPUs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT, TINY
from helpers.slurm import Slurm, why_not

from avslowfast.checkpoint import states

from .test_options import NO_TIMES, TIMES

pytestmark = [pytest.mark.slurm, pytest.mark.skipif(bool(why_not()), reason=f"no Slurm can be started: {why_not()}")]

IN_MID_EPOCH = r'"epoch": "2/3".*"iter": "3/8"'
# The main process may learn of a signal from the other rank, whose node has it first.
STATE_SAVED = "stopped by ({}|a signal to one of its processes); the state is saved"
EPOCHS = 3
# A training that two quiet cores do not end within the time limit of a test.
LONG = 80
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
        done = slurm.submit(command, words)
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
        """The job ends so, after so many restarts (None: any number)."""
        facts = self.slurm.end(self.number, seconds)
        restarts = facts["Restarts"] if restarts is None else str(restarts)
        assert (facts["JobState"], facts["Restarts"]) == (state, restarts), self.log()[-3000:]
        return facts


@pytest.fixture
def train(slurm, synthav, tmp_path):
    """Submits a training on two nodes; gives the job."""

    def submit(*words, options=(), name="out"):
        asked = ["--slurm", "nodes=2", "cpus=1", *options]
        keys = [*KEYS, "DATA.PATH_TO_DATA_DIR", synthav, "OUTPUT_DIR", tmp_path / name, *words]
        return Submitted(slurm, tmp_path / name, [TINY, *asked, *keys])

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


def same(out, expected, epochs=EPOCHS):
    found = weights(out, epochs)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_a_signal_in_mid_epoch(slurm, train, undisturbed):
    job = train()
    job.wait_for(IN_MID_EPOCH)
    slurm.call("scancel", "--signal=USR1", job.number)
    job.end(restarts=1)
    assert re.search(STATE_SAVED.format("SIGUSR1"), job.log())
    assert "stopped by a signal: requeued, to resume" in job.log()
    same(job.out, undisturbed)


def test_a_signal_at_the_start(slurm, train, undisturbed):
    job = train()
    # A step has begun: Python starts.
    slurm.until(lambda: list(Path(job.out, "slurm").glob(f"{job.number}_1_log.out")), 60)
    slurm.call("scancel", "--signal=USR1", job.number)
    job.end(restarts=1)
    same(job.out, undisturbed)


def test_preemption(slurm, train, undisturbed):
    # The restart does not take the run that it began itself for one to be replaced.
    job = train("TRAIN.AUTO_RESUME", False, "TRAIN.REPLACE", True, options=("partition=low",))
    job.wait_for(IN_MID_EPOCH)
    slurm.call("srun", "--partition=debug", "--nodes=2", "--cpus-per-task=4", "sleep", "1")
    job.end(restarts=1)
    assert re.search(STATE_SAVED.format("SIGTERM"), job.log())
    same(job.out, undisturbed)


@pytest.mark.parametrize("how", ["silent", "killed"])
def test_a_lost_node(slurm, train, undisturbed, how):
    job = train()
    job.wait_for(IN_MID_EPOCH)
    slurm.lose_node("n2", how)
    slurm.wait(job.number, lambda facts: facts["JobState"] == "PENDING")
    slurm.start_node("n2")
    job.end(restarts=1)
    same(job.out, undisturbed)


def test_the_time_limit(train):
    disturbed = train("SOLVER.MAX_EPOCH", LONG, options=("time=3", "signal=60"), name="disturbed")
    facts = disturbed.end(restarts=None, seconds=1200)
    assert facts["TimeLimit"] == "00:03:00" and int(facts["Restarts"]) > 0
    # On a busy machine the signal, which Slurm sends up to a minute early, may come before there is a state to save.
    assert "stopped by a signal: requeued, to resume" in disturbed.log(), disturbed.log()[-3000:]
    other = train("SOLVER.MAX_EPOCH", LONG, name="other")
    other.end(seconds=1200)
    same(disturbed.out, weights(other.out, LONG), LONG)


def test_a_mistake_is_not_requeued(train, tmp_path):
    job = train("DATA.PATH_TO_DATA_DIR", tmp_path / "nowhere")
    assert job.end("FAILED")["ExitCode"] == "2:0"
    assert len(re.findall("^error: .*nowhere", job.log(), re.MULTILINE)) == 1
    assert "Traceback" not in job.log()


def test_a_cancelled_job_has_saved_and_is_not_requeued(slurm, train):
    job = train()
    job.wait_for(IN_MID_EPOCH)
    slurm.call("scancel", job.number)
    job.end("CANCELLED")
    slurm.until(lambda: "the state is saved" in job.log(), 60)
    assert slurm.call("squeue", "-h", "-j", job.number) == ""


def test_gpus_come_from_the_allocation(train):
    job = train(options=("gpus=2",))
    assert job.end("FAILED")["ExitCode"] == "2:0"
    assert "NUM_GPUS is 2, but this machine has" in job.log()


def test_what_slurm_refuses_is_one_line(slurm, tmp_path):
    words = [TINY, "--slurm", "partition=nowhere", "OUTPUT_DIR", tmp_path]
    done = slurm.submit("train", words)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        "error: --slurm: sbatch refuses the job: invalid partition specified: nowhere; .*\n", done.stderr
    ), done.stderr


def test_times_are_those_of_sbatch(slurm):
    def takes(text):
        words = ["sbatch", "--test-only", f"--time={text}", "--wrap=true"]
        return subprocess.run(words, env=slurm.env, capture_output=True).returncode == 0

    assert [text for text in TIMES if not takes(text)] == []
    assert [text for text in NO_TIMES if takes(text)] == []


def test_the_batch_script_of_the_documentation(slurm, synthav, tmp_path, undisturbed):
    text = (ROOT / "docs/CLUSTERS.md").read_text()
    script = re.search(r"```bash\n(#!/bin/bash\n.*?)```", text, re.DOTALL)[1]
    keys = [*KEYS, "DATA.PATH_TO_DATA_DIR", synthav, "OUTPUT_DIR", tmp_path / "out"]
    command = re.search(r"avslowfast train .*", script)[0]
    ours = f"{sys.executable} -m avslowfast train {TINY} --init_method slurm {' '.join(map(str, keys))}"
    script = script.replace(command, ours).replace("--gpus-per-node=8 --cpus-per-task=72", "--cpus-per-task=1")
    path = tmp_path / "job.sh"
    path.write_text(script)
    number = slurm.call("sbatch", "--parsable", f"--output={tmp_path}/log", path).strip()
    slurm.until(lambda: (tmp_path / "log").exists() and re.search(IN_MID_EPOCH, (tmp_path / "log").read_text()), 240)
    slurm.call("scancel", "--signal=USR1", number)
    facts = slurm.end(number)
    assert (facts["JobState"], facts["Restarts"]) == ("COMPLETED", "1"), (tmp_path / "log").read_text()[-3000:]
    same(tmp_path / "out", undisturbed)
