"""A mistake that is found when a run starts under torchrun: one line, once, and no restart."""

import shutil
import time

import pytest
import torch
from helpers import keys
from helpers.agents import Cluster
from helpers.lists import copy_lists
from helpers.runs import output_of, run, SHORT_RUN, with_output

from avslowfast.utils.lock import FolderLock

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory, synthav):
    """Arguments of a run of one epoch, and its folder."""
    folder = tmp_path_factory.mktemp("finished") / "out"
    args = ["DATA.PATH_TO_DATA_DIR", str(synthav), "OUTPUT_DIR", str(folder), *SHORT_RUN, "TEST.ENABLE", False]
    run(args)
    return args


def lists(synthav, tmp_path, change):
    (tmp_path / "lists").mkdir()
    return ["DATA.PATH_TO_DATA_DIR", copy_lists(synthav, tmp_path / "lists", change)]


def empty_split(out, synthav, tmp_path):
    return lists(synthav, tmp_path, lambda split, lines: [] if split == "val" else lines)


def other_list(out, synthav, tmp_path):
    return lists(synthav, tmp_path, lambda split, lines: lines[:-1])


def other_names(out, synthav, tmp_path):
    words = lists(synthav, tmp_path, lambda split, lines: lines)
    names = (synthav / "classes.txt").read_text().split()
    (words[1] / "classes.txt").write_text("\n".join(reversed(names)) + "\n")
    return words


def unreadable(out, synthav, tmp_path):
    for path in states(out):
        path.write_bytes(b"no checkpoint")
    return keys("SOLVER.MAX_EPOCH 2")


def misfit(out, synthav, tmp_path):
    for path in states(out):
        content = torch.load(path, weights_only=True)
        content["model_state"].popitem()
        path.unlink()
        torch.save(content, path)
    return keys("SOLVER.MAX_EPOCH 2")


def states(out):
    return list(out.glob("checkpoints/*.pyth"))


def other_weights(out, synthav, tmp_path):
    torch.save({"model_state": {"nothing": torch.zeros(3)}}, tmp_path / "weights.pyth")
    return ["TRAIN.CHECKPOINT_FILE_PATH", tmp_path / "weights.pyth", "OUTPUT_DIR", tmp_path / "new"]


def lost_best(out, synthav, tmp_path):
    (out / "checkpoints/checkpoint_best.pyth").unlink()
    return keys("TRAIN.ENABLE False TEST.ENABLE True TEST.USE_BEST True")


def no_run(out, synthav, tmp_path):
    return [*keys("TRAIN.ENABLE False TEST.ENABLE True TEST.USE_BEST True"), "OUTPUT_DIR", tmp_path / "new"]


MISTAKES = {
    "network": (lambda *_: keys("RESNET.WIDTH_PER_GROUP 16"), "RESNET.WIDTH_PER_GROUP"),
    "class names": (other_names, "class names"),
    "list": (other_list, "the train list"),
    "empty split": (empty_split, "val.csv"),
    "used folder": (lambda *_: keys("TRAIN.AUTO_RESUME False"), "TRAIN.REPLACE True"),
    "unreadable state": (unreadable, "checkpoint_epoch_00001.pyth"),
    "state that does not fit": (misfit, "missing"),
    "other weights": (other_weights, "weights.pyth"),
    "best is gone": (lost_best, "TEST.USE_BEST"),
    "best of no run": (no_run, "TEST.USE_BEST"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_refused_start_ends_the_job_at_once(finished, synthav, tmp_path, mistake):
    change, words = MISTAKES[mistake]
    shutil.copytree(output_of(finished), tmp_path / "out")
    args = with_output(finished, tmp_path / "out")
    check(ended([*args, *change(tmp_path / "out", synthav, tmp_path)], tmp_path), words)


def test_a_folder_of_another_run_ends_the_job_when_it_has_waited(finished, tmp_path):
    """An earlier start of the same job may still save; that of a living run is not waited for again."""
    shutil.copytree(output_of(finished), tmp_path / "out")
    args = [*with_output(finished, tmp_path / "out"), *keys("SOLVER.MAX_EPOCH 2 DIST.TIMEOUT 30")]
    with FolderLock(str(tmp_path / "out")):
        end = ended(args, tmp_path)
    check(end, "another run is using it")
    assert end.count("waiting for up to 15 s") == 1


def ended(args, tmp_path, seconds=200):
    cluster = Cluster(1, processes=2, restarts=3, shards=1)
    try:
        began = time.monotonic()
        end = cluster.agent(args, tmp_path / "log").end(seconds=seconds)
        print(time.monotonic() - began, end.text)
        return end
    finally:
        cluster.kill()


def check(end, words):
    lines = [line for line in end.text.split("\n") if "error: " in line]
    # torchrun's own exit code.
    assert end.code == 1 and not end.left, end.text[-3000:]
    assert len(lines) == 1 and words in lines[0], end.text[-3000:]
    assert end.count("death signal, shutting down workers") == 1, end.text[-3000:]
    assert end.count("loading PyTorch") == 1
    assert end.count("Traceback") <= 1
