"""Files that are made to do harm end with one line, take no memory, and nothing in them is run, wherever they enter."""

import os
import re
import shutil

import pytest
import torch
from helpers import TINY
from helpers.children import in_child
from helpers.hostile import dtype_changed_later, FILES
from helpers.networks import WIDTH

import avslowfast
from avslowfast.checkpoint import load_weights, states
from avslowfast.cli.main import run_command
from avslowfast.config import load_cfg
from avslowfast.models import build_model
from avslowfast.utils.errors import tell


@pytest.fixture(scope="module")
def small():
    """A small network; children load the files into it."""
    return build_model(load_cfg(TINY, [*WIDTH]))


def load(model, path):
    try:
        load_weights(model, path)
    except Exception as error:
        if tell(error):
            return 2
        raise
    return 0


@pytest.mark.filterwarnings("ignore:.*quantize")
@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_one_line(tmp_path, small, name):
    content, words = FILES[name]
    (tmp_path / "x.pkl").write_bytes(content())
    ended = in_child(tmp_path, load, small, "x.pkl")
    assert ended.code == 2, ended.text
    assert ended.error.startswith("x.pkl: ")
    assert re.search(words, ended.error), ended.error
    assert not os.path.exists(tmp_path / "ran")
    assert ended.grown_mb < 150
    assert len(ended.error) < 400


def run_net(*words):
    return run_command("train", ["--cfg", str(TINY), *WIDTH_WORDS, *map(str, words)], script="run_net.py")


WIDTH_WORDS = [str(word) for word in WIDTH]
ENTRIES = {
    "start weights": lambda data: run_net("DATA.PATH_TO_DATA_DIR", data, "TRAIN.CHECKPOINT_FILE_PATH", "x.pth"),
    "tested weights": lambda data: run_net(
        "DATA.PATH_TO_DATA_DIR", data, "TRAIN.ENABLE", "False", "TEST.CHECKPOINT_FILE_PATH", "x.pth"
    ),
    "convert": lambda data: run_command("convert", ["x.pth", "y.pth", "--to", "avslowfast"]),
    "load_model": lambda data: told(avslowfast.load_model, "SynthAV/AVSLOWFAST_TINY", "x.pth"),
    "load_model by file": lambda data: told(avslowfast.load_model, "x.pth"),
    "predict": lambda data: run_command("predict", ["--weights", "x.pth", f"{data}/test/000000.mp4"]),
    "evaluate": lambda data: run_command("evaluate", ["topk", "--scores", "x.pth"]),
}


def told(function, *args):
    try:
        function(*args)
    except Exception as error:
        return 2 if tell(error) else 1
    return 0


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_file_that_corrupts_memory_is_one_line_wherever_it_enters(tmp_path, synthav, entry):
    (tmp_path / "x.pth").write_bytes(dtype_changed_later())
    ended = in_child(tmp_path, ENTRIES[entry], synthav)
    assert ended.code == 2, ended.text
    assert "x.pth: asks for numpy.dtype V8" in ended.error


def test_it_is_passed_over_as_a_file_of_features_that_exists(tmp_path, network, synthav):
    (tmp_path / "x.pt").write_bytes(dtype_changed_later())
    ended = in_child(
        tmp_path, told, avslowfast.extract_features, network, [synthav / "test/000000.mp4"], "res5", "x.pt"
    )
    assert ended.code == 2, ended.text
    assert "x.pt: asks for numpy.dtype V8" in ended.error


def test_a_report_of_a_run_with_it_as_scores_ends_without_a_crash(tmp_path, trained):

    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run/scores.pt").write_bytes(dtype_changed_later())
    ended = in_child(tmp_path, run_command, "report", ["run"])
    assert ended.code in (0, 2), ended.text
    assert "Traceback" not in ended.text


def test_it_is_refused_as_a_state_to_resume_from(tmp_path):
    (tmp_path / "x.pyth").write_bytes(dtype_changed_later())
    ended = in_child(tmp_path, told, states.read_state, "x.pyth")
    assert ended.code == 2, ended.text
    assert "x.pyth: asks for numpy.dtype V8" in ended.error


def test_weights_of_a_safe_file_are_not_touched_by_the_checks(tmp_path, small):
    torch.save({"model_state": small.state_dict()}, tmp_path / "x.pyth")
    assert in_child(tmp_path, load, small, "x.pyth").code == 0
