"""What `--slurm NAME=VALUE` asks for, and the batch script."""

import re
import shlex
import subprocess
import sys

import pytest

from avslowfast.cluster.options import read_options, SlurmOptionError, time_limit
from avslowfast.cluster.submit import script, SHARE

# As sbatch reads them (tests/cluster/test_slurm.py asks it).
TIMES = {
    "5": 300,
    "5:30": 360,
    "24:00": 24 * 60,
    "1:2:3": 3780,
    "1-2": 26 * 3600,
    "1-2:3": 26 * 3600 + 180,
    "1-2:3:4": 26 * 3600 + 240,
    "90:90": 91 * 60 + 60,
    "0": None,
    "UNLIMITED": None,
    "infinite": None,
}
NO_TIMES = ("", "1h", "1.5", "1:2:3:4", "1-2-3", ":5", "5:", "1::", "1 2", "٥", "5\n")


@pytest.mark.parametrize(("text", "seconds"), TIMES.items())
def test_times_are_those_of_slurm(text, seconds):
    assert time_limit(text) == seconds


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_slurm_takes_for_no_time_is_refused(text):
    with pytest.raises(SlurmOptionError, match="MINUTES:SECONDS"):
        time_limit(text)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("node=2", "did you mean nodes="),
        ("frobnicate=2", "unknown option 'frobnicate'"),
        ("nodes", "a value is missing"),
        ("nodes=", "a value is missing"),
        ("nodes=0", "whole number from 1"),
        ("nodes=1-2", "whole number from 1"),
        ("nodes=2 nodes=3", "given twice"),
        ("gpus=many", "N or TYPE:N"),
        ("gpus=-1", "N or TYPE:N"),
        ("cpus=0", "whole number from 1"),
        ("mem=64GiB", "e.g. 64G"),
        ("time=1h", "MINUTES:SECONDS"),
        ("time=2", "asked to save its state 120 s before"),
        ("time=10 signal=600", "asked to save its state 600 s before"),
        ("signal=0", "whole number from 1"),
        ("partition=a b", "a name"),
        ("partition=a,", "a name"),
        ("comment=a\nb", "one line"),
        ("array=0", "number of tasks"),
        ("array=1-4", "number of tasks"),
        ("array=4%0", "number of tasks"),
    ],
)
def test_a_mistake_in_the_options_is_one_line(words, says):
    # A comment may have spaces, as quotes on a command line give them.
    with pytest.raises(SlurmOptionError, match=re.escape(says)) as error:
        read_options([words] if "=a" in words else words.split())
    assert "\n" not in str(error.value).replace("a\nb", "")


def test_the_script_asks_for_what_was_given(tmp_path):
    options = ["nodes=4", "gpus=a100:8", "cpus=72", "mem=0", "time=1-00", "partition=x,y", "account=lab"]
    request = read_options(
        [*options, "exclude=n[1-3]", "constraint=a&b", "comment=it's mine", "name=my run", "signal=300", "qos=high"]
    )
    text = script(request, ["train", "A/B", "X", "a b"], str(tmp_path / "my logs"))
    asked = dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.MULTILINE))
    assert {name: shlex.split(value) for name, value in asked.items()} == {
        "nodes": ["4"],
        "ntasks-per-node": ["1"],
        "gpus-per-node": ["a100:8"],
        "cpus-per-task": ["72"],
        "mem": ["0"],
        "time": ["1-00"],
        "partition": ["x,y"],
        "account": ["lab"],
        "qos": ["high"],
        "exclude": ["n[1-3]"],
        "constraint": ["a&b"],
        "comment": ["it's mine"],
        "job-name": ["my run"],
        "signal": ["USR1@300"],
        "requeue": [],
        "open-mode": ["append"],
        "output": [f"{tmp_path}/my logs/%j_0_log.out"],
    }
    srun = shlex.split(re.search(r"^srun .*$", text, re.MULTILINE)[0])
    assert srun[-8:] == [sys.executable, "-u", "-m", "avslowfast", "train", "A/B", "X", "a b"]
    assert "--cpus-per-task=72" in srun
    assert subprocess.run(["bash", "-n"], input=text, text=True).returncode == 0


def test_tasks_of_an_array_have_shares_and_logs_of_their_own(tmp_path):
    text = script(read_options(["array=8%3"]), ["prepare", "ava", "--shard", SHARE], str(tmp_path))
    assert "#SBATCH --array=1-8%3\n" in text
    assert f"#SBATCH --output={tmp_path}/%A_%a_0_log.out\n" in text
    assert ' --shard "$SLURM_ARRAY_TASK_ID/8"\n' in text
