"""The programs in examples/ run."""

import re
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, TINY
from helpers.runs import ENV, SHORT_RUN
from helpers.tools import script

import avslowfast
from avslowfast.models import build_model


@pytest.mark.slow
def test_examples_run(trained, synthav, tmp_path):
    video = synthav / "test/000000.mp4"
    args = {
        "predict": [video],
        "timeline": [video],
        "explain": [video, tmp_path / "x.png"],
        "features": [synthav / "test", tmp_path / "f.pt"],
        "modalities": [synthav, 2, 7],
    }
    names = {path.stem for path in (ROOT / "examples").glob("*.py")} - {"own_loop"}
    assert names == set(args)
    for name in sorted(names):
        assert script(f"examples/{name}.py", trained, *args[name]).strip()


@pytest.mark.slow
def test_a_loop_of_ones_own_gives_two_processes_the_weights_of_one(synthav, tmp_path):
    weights = {}
    # What processes do not share is off: the statistics of batch norm, dropout.
    keys = [*SHORT_RUN, "BN.NORM_TYPE", "frozen_batchnorm", "MODEL.DROPOUT_RATE", 0.0, "SLOWFAST.AVS_FLAG", [False] * 5]
    for ranks in (1, 2):
        out = tmp_path / f"{ranks}.pyth"
        launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}") if ranks > 1 else ()
        words = [sys.executable, *launcher, ROOT / "examples/own_loop.py", TINY, synthav, out, *keys]
        done = subprocess.run([str(w) for w in words], env=ENV, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.fullmatch(r"epoch 1: loss \d\.\d{4}\n", done.stdout)
        model, meta = avslowfast.load_model(out, device="cpu")
        assert meta.report.complete and len(meta.class_names) == 16
        weights[ranks] = model.state_dict()
    moved = build_model(meta.cfg).state_dict()
    for name, value in weights[1].items():
        torch.testing.assert_close(weights[2][name], value, rtol=1e-3, atol=1e-5)
    assert sum(not torch.equal(value, moved[name]) for name, value in weights[1].items()) > 50
