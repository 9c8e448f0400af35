"""Runs in processes of their own, and what they leave behind."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import torch

from avslowfast.checkpoint import states
from avslowfast.checkpoint.record import read_record
from avslowfast.cli.main import run_command

from . import ROOT, TINY

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
# Seconds that a run may take.
_LONGEST = 300
# Keys of a run of a minute: one epoch of a narrow network, everything in one process.
SHORT_RUN = (
    "TRAIN.BATCH_SIZE",
    8,
    "SOLVER.MAX_EPOCH",
    1,
    "SOLVER.WARMUP_EPOCHS",
    0,
    "DATA_LOADER.NUM_WORKERS",
    0,
    "BN.NUM_BATCHES_PRECISE",
    2,
    "RESNET.WIDTH_PER_GROUP",
    8,
    "LOG_MODEL_INFO",
    False,
    "TENSORBOARD.ENABLE",
    False,
)


def command(args, *more, launcher=(), config=TINY):
    return [
        sys.executable,
        *launcher,
        str(ROOT / "tools/run_net.py"),
        "--cfg",
        str(config),
        *map(str, args),
        *map(str, more),
    ]


def run(args, *more, code=0, launcher=()):
    """Train and test in a process of its own, to its end."""
    words = command(args, *more, launcher=launcher)
    # Ranks that the run starts itself begin with the program, so that it has to be one.
    if launcher or "NUM_CPU_PROCESSES" in words:
        done = subprocess.run(words, env=ENV, capture_output=True, text=True, timeout=_LONGEST)
    else:
        done = _run_forked(words)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
    return done


def _run_forked(words):
    """As `subprocess.run` of tools/run_net.py, from a copy of this process, which has imported everything already."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if not pid:
            _be_program(words, out.fileno(), err.fileno())
        code = _code_of(pid)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(words, code, *texts)


def _be_program(words, out, err):
    """What the copy does; it never returns."""
    code = 1
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        os.environ.update(ENV)
        sys.argv = words[1:]
        code = run_command("train", words[2:], script="run_net.py")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _code_of(pid):
    """The exit code of a child, as `subprocess` gives it."""
    deadline = time.monotonic() + _LONGEST
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise TimeoutError(f"the run did not end within {_LONGEST} s")
        time.sleep(0.01)


def output_of(args):
    return args[args.index("OUTPUT_DIR") + 1]


def with_output(args, folder):
    args = list(args)
    args[args.index("OUTPUT_DIR") + 1] = str(folder)
    return args


def stats(folder, kind):
    text = open(os.path.join(folder, "stdout.log")).read()
    return [s for s in map(json.loads, re.findall(r"json_stats: (\{.*\})", text)) if s["_type"] == kind]


def weights(folder, epochs=2):
    return torch.load(states.checkpoint_path(folder, epochs, 0), weights_only=True)


def newest_state(folder):
    return read_record(folder).newest(folder)


def log_of(folder):
    with open(os.path.join(folder, "stdout.log")) as f:
        return f.read()
