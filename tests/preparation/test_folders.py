"""A folder of videos by class becomes list files."""

import csv
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT

from avslowfast.config import load_cfg
from avslowfast.loading import build_dataset
from avslowfast.media import write_video
from avslowfast.preparation import folders
from avslowfast.synthav.render import render_clip


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A short real video with audio."""
    path = tmp_path_factory.mktemp("video") / "x.mp4"
    clip = render_clip("pairs", 1, "x", 0)
    write_video(path, clip.frames[:18], 15, clip.audio[: 22050 * 18 // 15], 22050)
    return path


def fill(root, video, counts):
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            shutil.copy(video, root / name / f"clip {i}.MP4")
    return root


def make_list(*args, code=0):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/make_list.py"), *map(str, args)], capture_output=True, text=True
    )
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr
    return done


def lines(path):
    return path.read_text().split("\n")[:-1]


def test_lists_are_split_by_class_and_read_by_the_data_set(tmp_path, video):
    root = fill(tmp_path / "my videos", video, {"tap dancing": 10, "Juggling": 20, "rare": 2})
    (root / "rare" / "broken.mp4").write_text("no video")
    (root / "rare" / "notes.txt").write_text("notes")
    (root / "rare" / "deeper").mkdir()
    shutil.copy(video, root / "rare" / "deeper" / "third.mkv")
    out = make_list(root, "--out", tmp_path / "lists").stdout
    assert out.rstrip().endswith("OUTPUT_DIR output/lists")
    assert lines(tmp_path / "lists/classes.txt") == ["Juggling", "rare", "tap dancing"]
    counts = {
        split: [sum(line.endswith(f" {c}") for line in lines(tmp_path / f"lists/{split}.csv")) for c in range(3)]
        for split in folders.SPLITS
    }
    assert counts == {"train": [14, 1, 7], "val": [2, 1, 1], "test": [4, 1, 2]}
    everything = [line for split in folders.SPLITS for line in lines(tmp_path / f"lists/{split}.csv")]
    assert len(set(everything)) == 33
    assert (
        "34 videos, 33 of them readable" in out
        and "broken.mp4: " in out
        and "1 file that is no video" in out
        and "0 without audio" in out
    )
    assert "MODEL.NUM_CLASSES 3" in out
    assert [row[0] for row in csv.reader(open(tmp_path / "lists/unreadable.csv"))][1:] == [
        str(root / "rare" / "broken.mp4")
    ]
    cfg = load_cfg(
        ROOT / "configs/OwnVideos/AVSLOWFAST_TINY.yaml",
        ["DATA.PATH_TO_DATA_DIR", str(tmp_path / "lists"), "MODEL.NUM_CLASSES", 3],
    )
    dataset = build_dataset(cfg, "test")
    assert dataset.class_names == ["Juggling", "rare", "tap dancing"] and "failure" not in dataset[0]
    # The same folder and seed give the same lists; another seed others.
    make_list(root, "--out", tmp_path / "again")
    make_list(root, "--out", tmp_path / "other", "--seed", 1)
    assert (
        lines(tmp_path / "again/train.csv")
        == lines(tmp_path / "lists/train.csv")
        != lines(tmp_path / "other/train.csv")
    )


def test_given_splits_are_kept_and_missing_ones_are_said(tmp_path, video):
    fill(tmp_path / "v/train", video, {"a": 3, "b": 2})
    fill(tmp_path / "v/val", video, {"b": 1})
    out = make_list(tmp_path / "v", "--out", tmp_path / "lists").stdout
    assert len(lines(tmp_path / "lists/train.csv")) == 5 and len(lines(tmp_path / "lists/val.csv")) == 1
    assert (
        lines(tmp_path / "lists/test.csv") == lines(tmp_path / "lists/val.csv") and "test.csv holds those of val" in out
    )


def test_a_class_may_be_called_test(tmp_path, video):
    content = folders.find_videos(fill(tmp_path / "v", video, {"test": 1, "train": 1}))
    assert content.class_names == ["test", "train"]
    assert {v.split for v in content.videos} == {None}


@pytest.mark.parametrize(
    "prepare, words",
    [
        (lambda root: None, "no such folder"),
        (lambda root: (root / "a").mkdir(parents=True), "no videos or sounds in it"),
        (
            lambda root: [(root / "a").mkdir(parents=True), (root / "a/x.mp4").write_text("text")],
            "not one readable file",
        ),
    ],
)
def test_folders_that_give_nothing_are_one_clear_line(tmp_path, prepare, words):
    prepare(tmp_path / "v")
    done = make_list(tmp_path / "v", "--out", tmp_path / "lists", code=2)
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_shares_that_leave_nothing_are_refused(tmp_path):
    assert (
        "leave nothing to train on"
        in make_list(tmp_path, "--out", tmp_path, "--val", 0.5, "--test", 0.5, code=2).stderr
    )
