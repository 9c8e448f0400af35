"""`--slurm` on a command line, without a Slurm, and what a job reads of its allocation."""

import re
import shlex
import sys

import pytest
from helpers import TINY
from helpers.tools import command, script

from avslowfast.cluster.allocation import AllocationError, read_allocation

STEP = {
    "SLURM_JOB_ID": "123",
    "SLURM_STEP_ID": "0",
    "SLURM_NODEID": "0",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NUM_TASKS": "1",
    "SLURM_STEP_NODELIST": "node1",
}


def asked(text):
    """{option: value} of a batch script."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.MULTILINE))


def ran(text):
    """The words that each node runs."""
    words = shlex.split(re.search(r"^srun .*$", text, re.MULTILINE)[0])
    return words[words.index(sys.executable) :]


@pytest.mark.parametrize("name", ["train", "test"])
def test_a_dry_run_prints_the_script(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    keys = ["SOLVER.MAX_EPOCH", "3", "OUTPUT_DIR", str(tmp_path)]
    options = ["--slurm", "nodes=4", "gpus=8", "time=24:00", "partition=gpu"]
    text = command(name, TINY, "--import", "helpers", *options, *keys, "--dry-run")
    assert text.startswith("#!/bin/bash\n")
    told = asked(text)
    assert (told["nodes"], told["gpus-per-node"], told["ntasks-per-node"]) == ("4", "8", "1")
    assert told["output"] == f"{tmp_path}/slurm/%j_0_log.out"
    words = [sys.executable, "-u", "-m", "avslowfast", name, str(TINY), "--import", "helpers", *keys]
    assert ran(text) == [*words, "--init_method", "slurm"]
    assert list(tmp_path.iterdir()) == []


def test_the_script_in_tools_submits_too(tmp_path):
    words = ["--cfg", TINY, "--slurm", "nodes=2", "cpus=2", "--opts", "OUTPUT_DIR", tmp_path, "--dry-run"]
    run = ran(script("tools/run_net.py", *words))
    overrides = ["OUTPUT_DIR", str(tmp_path)]
    assert run[4:] == ["train", "--cfg", str(TINY), "--opts", *overrides, "--init_method", "slurm"]


def test_what_is_not_said_follows_from_the_configuration(tmp_path):
    keys = ["OUTPUT_DIR", tmp_path, "DATA_LOADER.NUM_WORKERS", 7]
    told = asked(command("train", "Kinetics/AVSLOWFAST_4x16_R50", "--slurm", "--dry-run", *keys))
    assert (told["nodes"], told["gpus-per-node"], told["cpus-per-task"]) == ("1", "8", "64")
    assert "time" not in told and "partition" not in told
    told = asked(command("train", TINY, "--slurm", "--dry-run", *keys))
    assert "gpus-per-node" not in told and told["cpus-per-task"] == "1"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--slurm nodes 4", "--slurm nodes: a value is missing"),
        ("--slurm nods=4", "did you mean nodes="),
        ("--slurm array=4", "prepare takes an array"),
        ("--slurm gpus=8 NUM_GPUS 8", "NUM_GPUS: with --slurm it comes from the allocation; write --slurm gpus=N"),
        ("NUM_SHARDS 2 --slurm nodes=2", "write --slurm nodes=N"),
        ("--slurm nodes=2 --shard_id 0", "--shard_id: with --slurm"),
        ("--slurm nodes=2 --init_method tcp://h:1", "--init_method: with --slurm"),
        ("--slurm nodes=2 SOLVER.MAX_EPOC 3", "SOLVER.MAX_EPOC"),
        ("--slurm gpus=3", "TRAIN.BATCH_SIZE"),
        ("--slurm", "there is no Slurm here (sbatch is not found)"),
    ],
)
def test_what_cannot_be_submitted_is_one_line(words, says, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert says in command("train", TINY, "OUTPUT_DIR", tmp_path / "out", *words.split(), code=2)


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    text = command("train", TINY, "--slurm", "--dry-run", "OUTPUT_DIR", tmp_path, code=2)
    assert "pip install 'avslowfast[slurm]'" in text


def test_a_folder_that_slurm_would_take_for_a_pattern_is_refused(tmp_path):
    text = command("train", TINY, "--slurm", "--dry-run", "OUTPUT_DIR", tmp_path / "50%j", code=2)
    assert "takes the % in it for a pattern" in text


def test_a_task_knows_its_machine():
    alone = read_allocation({**STEP, "SLURM_GPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "64"})
    assert alone.meeting is None
    assert alone.overrides == ["NUM_SHARDS", 1, "SHARD_ID", 0, "NUM_GPUS", 8]
    on_cpus = read_allocation({**STEP, "SLURM_CPUS_PER_TASK": "4"})
    assert on_cpus.overrides == ["NUM_SHARDS", 1, "SHARD_ID", 0, "NUM_GPUS", 0, "NUM_CPU_PROCESSES", 4]


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "put srun before the command"),
        ({"SLURM_JOB_ID": "123"}, "put srun before the command"),
        ({**STEP, "SLURM_STEP_NUM_TASKS": "8"}, "--ntasks-per-node=1"),
    ],
)
def test_what_is_no_task_of_a_node_is_said(environment, says):
    with pytest.raises(AllocationError, match=re.escape(says)):
        read_allocation(environment)
