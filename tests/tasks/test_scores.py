"""Scores by head: views joined, videos stacked, failed videos as NaN, files written and read again."""

import csv

import numpy as np
import pytest
import torch

from avslowfast.tasks.scores import (
    BoxScores,
    by_head,
    ClassScores,
    Distances,
    Features,
    names_of_head,
    SavedScores,
    ScoresFileError,
    unwrapped,
)
from avslowfast.utils.errors import UserError

CLIPS = {"verb": np.arange(8, dtype=np.float32).reshape(4, 2), "noun": np.arange(12, dtype=np.float32).reshape(4, 3)}
FIRST_TWO = np.array([True, True, False, False])


def test_a_bare_value_is_that_of_the_only_head_and_comes_back_bare():
    assert by_head(3) == {"": 3} and unwrapped(by_head(3)) == 3
    assert unwrapped(by_head({"verb": 1, "noun": 2})) == {"verb": 1, "noun": 2}


@pytest.mark.parametrize("ensemble, expected", [("sum", [1.0, 2.0]), ("max", [2.0, 3.0])])
def test_views_of_a_video_are_joined(ensemble, expected):
    video = ClassScores(CLIPS).of_video(FIRST_TWO, ensemble)
    assert video.heads["verb"].tolist() == [expected]
    assert video.heads["noun"].shape == (1, 3)
    assert type(video) is ClassScores


def test_an_unknown_way_of_joining_is_named():
    with pytest.raises(ValueError, match="sum, max, none"):
        ClassScores(CLIPS).of_video(FIRST_TWO, "median")


def test_views_that_are_not_joined_stay_side_by_side():
    video = Distances({"res4": np.zeros((4, 7), np.float32)}).of_video(FIRST_TWO, "none")
    assert video.heads["res4"].shape == (1, 2, 7)


@pytest.mark.parametrize("kind", [ClassScores, Distances, Features])
def test_failed_videos_are_rows_of_nan(kind):
    videos = [None, kind(CLIPS).of_video(FIRST_TWO, "sum"), None]
    stacked = kind.stack(videos)
    assert len(stacked) == 3
    assert stacked.known.tolist() == [False, True, False]
    assert stacked.rows(stacked.known).heads["verb"].tolist() == [[1.0, 2.0]]


def test_forward_passes_are_put_together_and_tensors_taken_from_any_precision():
    part = ClassScores.from_tensors(torch.ones(2, 3, dtype=torch.bfloat16))
    whole = ClassScores.concatenate([part, part])
    assert whole.only.dtype == np.float32 and whole.only.shape == (4, 3)
    with pytest.raises(UserError, match="verb, noun"):
        ClassScores(CLIPS).only  # noqa: B018


def test_each_head_has_its_labels():
    labels = np.array([[0, 1], [1, 2], [0, 0], [1, 1]])
    assert ClassScores(CLIPS).labels_by_head(labels)["noun"].tolist() == [1, 2, 0, 1]
    one = ClassScores({"": CLIPS["verb"]})
    assert one.labels_by_head(labels)[""] is labels


def test_single_label_scores_are_those_of_one_classifier_with_known_labels():
    one, known = ClassScores({"": CLIPS["verb"]}), np.array([0, 1, 0, 1])
    assert one.single_label(known) is CLIPS["verb"]
    assert one.single_label(-known) is None
    assert one.single_label(np.eye(4)) is None
    assert ClassScores(CLIPS).single_label(known) is None
    assert BoxScores([None]).single_label(known[:1]) is None


def test_boxes_of_key_frames():
    batch = BoxScores.concatenate([BoxScores([np.zeros((2, 5), np.float32)]), BoxScores([np.ones((1, 5), np.float32)])])
    frame = batch.of_video(np.array([False, True]), "sum")
    stacked = BoxScores.stack([None, frame])
    assert stacked.frames[0] is None and stacked.frames[1].tolist() == [[1.0] * 5]
    assert repr(stacked) == "BoxScores(2 key frames, 1 boxes)"


@pytest.mark.parametrize("names", [None, {"verb": ["take", "put"], "noun": ["cup", "pan", "lid"]}])
def test_files_of_scores_come_back_as_they_were(tmp_path, names):
    scores = ClassScores.stack([ClassScores(CLIPS).of_video(FIRST_TWO, "sum"), None])
    labels = np.array([[0, 1], [1, 2]])
    SavedScores(scores, labels, ["a.mp4", "b.mp4"], names).save(str(tmp_path / "sub/scores"))
    again = SavedScores.load(str(tmp_path / "sub/scores.pt"))
    np.testing.assert_array_equal(again.scores.heads["noun"], scores.heads["noun"])
    assert again.labels.tolist() == labels.tolist() and again.paths == ["a.mp4", "b.mp4"]
    assert again.class_names == names
    lines = (tmp_path / "sub/scores_verb.csv").read_text().split("\n")
    assert lines[0] == "path,label,prediction," + ",".join((names or {"verb": "01"})["verb"])
    assert lines[1:3] == [f"a.mp4,0 1,{names_of_head(names, 'verb')[1] if names else 1},1,2", "b.mp4,1 2,,,"]


def test_a_bare_tensor_is_saved_for_a_single_classifier(tmp_path):
    SavedScores(ClassScores({"": CLIPS["verb"]}), np.zeros(4, int), list("abcd")).save(str(tmp_path / "scores"))
    assert torch.load(tmp_path / "scores.pt")["scores"].shape == (4, 2)
    assert (tmp_path / "scores.csv").read_text().startswith("path,label,prediction,0,1\na,0,1,0,1\n")


def test_another_file_is_named(tmp_path):
    torch.save({"model_state": {}}, tmp_path / "x.pt")
    with pytest.raises(ScoresFileError, match=r"x.pt: not a scores.pt"):
        SavedScores.load(str(tmp_path / "x.pt"))


@pytest.mark.parametrize(
    "names, columns",
    [
        (["label", "other"], ["label (class)", "other"]),
        (["prediction", "path"], ["prediction (class)", "path (class)"]),
        (["label", "label (class)"], ["label (class) (class)", "label (class)"]),
        (["=1+1", "+a"], ["'=1+1", "'+a"]),
        (["name", "-x"], ["name (class)", "'-x"]),
    ],
)
def test_columns_of_classes_are_nobody_elses_and_no_formulas(tmp_path, names, columns):
    scores = ClassScores({"": np.eye(2, dtype=np.float32)})
    saved = SavedScores(scores, np.array([0, 1]), ["=a.mp4", "b.mp4"], names, ["@one", "two"])
    saved.save(str(tmp_path / "scores"))
    rows = list(csv.reader(open(tmp_path / "scores.csv")))
    assert rows[0] == ["path", "label", "prediction", *columns, "name"]
    assert rows[1][0] == "'=a.mp4"
    assert rows[1][-1] == "'@one"
    assert SavedScores.load(str(tmp_path / "scores.pt")).names == ["@one", "two"]
