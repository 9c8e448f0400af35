"""Runs in processes of their own, and what they leave behind."""

import json
import os
import re
import subprocess
import sys

import torch

from avslowfast.checkpoint import states
from avslowfast.checkpoint.record import read_record

from . import ROOT, TINY

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
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
)


def command(args, *more, launcher=()):
    return [
        sys.executable,
        *launcher,
        str(ROOT / "tools/run_net.py"),
        "--cfg",
        str(TINY),
        *map(str, args),
        *map(str, more),
    ]


def run(args, *more, code=0, launcher=()):
    done = subprocess.run(command(args, *more, launcher=launcher), env=ENV, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-3000:]
    return done


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
