"""A folder of videos by class becomes list files."""

import csv
import os
import shlex
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT
from helpers.tools import command

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


def probed(root, video, counts, **kwargs):
    content = folders.find_videos(fill(root, video, counts) if counts else root, **kwargs)
    folders.probe(content.videos)
    return content


def test_copies_are_found_and_one_of_them_stays_but_none_of_two_classes(tmp_path, video):
    root = fill(tmp_path / "v", video, {"a": 3, "b": 1})
    for number, name in enumerate(("a/clip 0.MP4", "a/clip 1.MP4")):
        # Boxes that players skip make them files of their own.
        (root / name).write_bytes((root / name).read_bytes() + bytes([0, 0, 0, 8 + number]) + b"free" + bytes(number))
    os.symlink(root / "a/clip 0.MP4", root / "a/link.mp4")
    (root / "a/broken.mp4").write_text("no video")
    shutil.copy(root / "a/broken.mp4", root / "b/broken.mp4")
    content = probed(root, video, {})
    groups = folders.find_copies(content.videos)
    assert [[os.path.relpath(v.path, root) for v in group] for group in groups] == [
        ["a/clip 0.MP4", "a/link.mp4"],
        ["a/clip 2.MP4", "b/clip 0.MP4"],
    ]
    folders.leave_out_copies(content.videos)
    reasons = {os.path.relpath(v.path, root): v.reason for v in content.unreadable}
    assert reasons.pop("a/link.mp4") == f"a copy of {root}/a/clip 0.MP4"
    assert (
        reasons.pop("a/clip 2.MP4") == f"the same video is in another class: {root}/b/clip 0.MP4; remove the wrong one"
    )
    assert reasons.pop("b/clip 0.MP4").startswith(f"the same video is in another class: {root}/a/clip 2.MP4")
    assert all("cannot be opened" in reason for reason in reasons.values()) and len(reasons) == 2
    assert [os.path.relpath(v.path, root) for v in content.readable] == ["a/clip 0.MP4", "a/clip 1.MP4"]


def test_classes_without_a_readable_video_are_no_classes(tmp_path, video):
    (tmp_path / "v/b empty").mkdir(parents=True)
    fill(tmp_path / "v", video, {"a": 1, "c broken": 0, "d": 2})
    (tmp_path / "v/c broken/x.mp4").write_text("no video")
    content = probed(tmp_path / "v", video, {})
    assert content.drop_empty_classes() == ["b empty", "c broken"]
    assert content.class_names == ["a", "d"] and [v.label for v in content.readable] == [0, 1, 1]
    assert content.counts()["d"] == {"train": 0, "val": 0, "test": 0}
    assert content.drop_empty_classes() == []


def test_results_in_the_folder_are_no_videos_of_it(tmp_path, video):
    root = fill(tmp_path / "v", video, {"a": 1, "b": 1, "out": 1})
    assert folders.find_videos(root).class_names == ["a", "b", "out"]
    content = folders.find_videos(root, out=str(root / "out"))
    assert content.class_names == ["a", "b"] and len(content.videos) == 2
    fill(root / "b/deeper", video, {"out": 1})
    assert len(folders.find_videos(root, out=str(root / "b/deeper/out")).videos) == 3


def test_the_next_command_is_one_that_can_be_pasted_and_fits_the_videos(tmp_path, video):
    clip = render_clip("pairs", 1, "x", 0)
    silent = tmp_path / "silent.mp4"
    write_video(silent, clip.frames[:18], 15, None, 22050)
    root, out = fill(tmp_path / "Filme ü 视频", silent, {"eins zwei": 2, "b": 2}), tmp_path / "die Listen"
    text = command("lists", root, "--out", out)
    words = shlex.split(text[text.index("\n  avslowfast train") :])
    keys = dict(zip(words[3::2], words[4::2]))
    assert keys["DATA.PATH_TO_DATA_DIR"] == str(out) and keys["OUTPUT_DIR"] == "output/die Listen"
    cfg = load_cfg(words[2], words[3:])
    assert cfg.MODEL.ARCH == "slowfast" and cfg.MODEL.NUM_CLASSES == 2
    text = command("lists", fill(tmp_path / "one", video, {"a": 3}), "--out", tmp_path / "l")
    assert "Of one class nothing can be learnt" in text and "avslowfast train" not in text
    broken = fill(tmp_path / "broken", video, {"a": 0})
    (broken / "a/x.mp4").write_text("no video")
    assert "1 video, 0 of them readable" in command("lists", broken, "--out", tmp_path / "b", code=2)


def test_videos_beside_the_folders_of_classes_are_named(tmp_path, video):
    (tmp_path / "v").mkdir()
    shutil.copy(video, tmp_path / "v/loose.mp4")
    with pytest.raises(folders.FolderError, match="none of its 1 file is in the folder of a class; put them into one"):
        folders.find_videos(tmp_path / "v")
    content = folders.find_videos(fill(tmp_path / "v", video, {"a": 1}))
    assert content.loose == [str(tmp_path / "v/loose.mp4")] and content.other_files == []


@pytest.mark.parametrize(
    "count, val, test, expected",
    [
        (1, 0.25, 0, (1, 0, 0)),
        (2, 0.25, 0, (1, 1, 0)),
        (2, 0.1, 0.2, (2, 0, 0)),
        (3, 0.1, 0.2, (1, 1, 1)),
        (12, 0.25, 0, (9, 3, 0)),
        (2, 0.9, 0, (1, 1, 0)),
        (3, 0.6, 0.3, (1, 1, 1)),
        (5, 0.9, 0.05, (1, 3, 1)),
        (4, 0, 0, (4, 0, 0)),
    ],
)
def test_every_split_has_a_video_of_each_class_that_has_enough(count, val, test, expected):
    videos = [folders.Video(f"{i}.mp4", 0) for i in range(count)]
    folders.split_videos(videos, val, test, 0)
    assert tuple(sum(v.split == split for v in videos) for split in folders.SPLITS) == expected
