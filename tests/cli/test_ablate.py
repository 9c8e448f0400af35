"""Ablations: networks of suites can be built, shared ones are trained once, verdicts, a suite from start to end."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from helpers import ROOT

from avslowfast.cli import ablation_suites
from avslowfast.visualization.ablation import read_rows, section, verdict

SPEC = yaml.safe_load((ROOT / "configs/ablations.yaml").read_text())


def plans(scale="small", seeds=3):
    settings = ablation_suites.Settings(scale, SPEC["scales"][scale], seeds, "out", "data")
    return {name: ablation_suites.plan(suite, settings) for name, suite in SPEC["suites"].items()}


@pytest.mark.parametrize("scale", list(SPEC["scales"]))
def test_every_network_of_every_suite_has_a_valid_configuration(scale):
    if scale == "large":
        for suite in SPEC["suites"].values():
            assert set(SPEC["scales"][scale]["clips"]) >= {suite["variant"]}
    planned = plans(scale)
    assert all(len(rows) == 3 * len(SPEC["suites"][name]["variants"]) for name, rows in planned.items())
    for name, suite in SPEC["suites"].items():
        assert {variant for pair in suite["expect"] for variant in pair} <= set(suite["variants"]), name


def test_a_network_that_suites_share_is_trained_once():
    planned = plans()
    folder = {(name, chain.variant, chain.seed): chain.folder for name, chains in planned.items() for chain in chains}
    same = (("fusion", "res3 + res4 + pool5"), ("droppathway", "0.5"), ("avs", "off"))
    assert {folder[(*network, 1)] for network in same} == {folder["modality", "both", 1]}
    assert folder["lateral", "none", 2] == folder["fusion", "pool5", 2]
    suites = ("droppathway_rate", "DropPathway 0.5"), ("droppathway_pool5", "laterals and head"), ("audio_width", "2")
    for network in (*suites, ("audio_frames", "16"), ("audio_blocks", "res2, res3")):
        assert folder[(*network, 1)] == folder["modality", "both", 1]
    assert folder["droppathway_rate", "audio learns as fast", 1] == folder["droppathway", "0", 1]
    assert len({folder["droppathway", rate, 1] for rate in ("0", "0.2", "0.5", "0.8")}) == 4
    assert folder["avs", "off", 1] != folder["avs", "off", 2]
    chains = [chain.runs for chain in planned["pretraining"]]
    assert [len(runs) for runs in chains] == [1] * 3 + [2] * 6
    assert chains[3][0].folder in " ".join(chains[3][1].command)


def test_verdicts_go_by_two_standard_errors():
    assert verdict([80, 81, 82], [70, 71, 72]).word == "supported"
    assert verdict([70, 71, 72], [80, 81, 82]).word == "contradicted"
    assert verdict([80, 60, 70], [69, 75, 60]).word == "inconclusive"
    assert verdict([80], [10]).word == "inconclusive"


def test_the_page_says_what_was_measured():
    suite = {
        "title": "T",
        "claim": "C.",
        "note": "N.",
        "metrics": ["top1"],
        "variants": {"a": {}, "b": {}},
        "expect": [["a", "b"]],
    }
    rows = [{"variant": v, "seed": s, "top1": 60.0 + 10 * (v == "a") + s} for v in "ab" for s in (1, 2, 3)]
    text = section("t", suite, rows, "about")
    assert "| a | 72.0 ± 1.0 | 3 |" in text
    assert '"a" above "b" is supported: +10.0 points, standard error 0.8.' in text


@pytest.mark.slow
def test_a_suite_runs_resumes_and_writes_its_page(tmp_path):
    quick = {
        "SOLVER.MAX_EPOCH": 1,
        "SOLVER.WARMUP_EPOCHS": 0.0,
        "RESNET.WIDTH_PER_GROUP": 8,
        "DATA_LOADER.NUM_WORKERS": 0,
        "TRAIN.BATCH_SIZE": 8,
        "LOG_MODEL_INFO": False,
    }
    suite = {
        **SPEC["suites"]["droppathway"],
        "variants": {"0": {"SLOWFAST.DROPPATHWAY_RATE": 0.0}, "0.5": {}},
        "expect": [["0.5", "0"]],
    }
    spec = {
        "scales": {"small": {"jobs_of_one_thread": True, "overrides": quick, "clips": {"hard": [16, 8, 8]}}},
        "suites": {"droppathway": suite},
    }
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    command = [sys.executable, str(ROOT / "tools/ablate.py"), "droppathway", "--spec", str(tmp_path / "spec.yaml")]
    folders = {"--output": tmp_path / "out", "--data": tmp_path / "data", "--docs": tmp_path / "docs"}
    command += ["--seeds", "1", *(str(word) for pair in folders.items() for word in pair)]
    first = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert first.returncode == 0, first.stderr
    assert "2 networks, 0 of them trained already" in first.stdout
    rows = read_rows(tmp_path / "docs/ablations/droppathway.csv")
    assert [row["variant"] for row in rows] == ["0", "0.5"]
    assert all(0 <= row["top1"] <= 100 for row in rows)
    assert all(row["seconds"] > 0 for row in rows)
    assert "| 0.5 |" in (tmp_path / "docs/ABLATIONS.md").read_text()
    assert (tmp_path / "docs/ablations/droppathway.png").stat().st_size > 3000
    again = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert "2 networks, 2 of them trained already" in again.stdout
    assert json.load(open(tmp_path / "docs/ablations/droppathway.json"))["jobs"] == os.cpu_count()
    wrong = subprocess.run([*command[:2], "none", *command[3:]], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert "has no suite 'none'" in wrong.stderr
