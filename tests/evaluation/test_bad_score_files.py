"""`evaluate` on files that cannot be scored: one line with the file; what the official tools allow is scored."""

import json
import os
import zipfile

import numpy as np
import pytest
import torch
from helpers.mistakes import message_of
from helpers.tools import evaluate

from avslowfast.evaluation import scoring
from avslowfast.evaluation.metrics import classification, epic

SCORES = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2])
SEVERAL = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]])


def file_of(folder, **content):
    path = folder / "scores.pt"
    torch.save(content, path)
    return str(path)


BAD_SCORES = [
    ("topk", {"scores": 5, "labels": 6}, "no tensors"),
    ("topk", {"scores": SCORES, "labels": [0, 1, 2]}, "no tensors"),
    ("topk", {"scores": {}, "labels": LABELS}, "no tensors"),
    ("topk", {"scores": SCORES[0], "labels": LABELS}, "not those of the same videos"),
    ("topk", {"scores": SCORES[:2], "labels": LABELS}, "not those of the same videos"),
    ("topk", {"scores": SCORES[:0], "labels": LABELS[:0]}, "no videos"),
    ("topk", {"scores": SCORES[:, :0], "labels": LABELS}, "not those of the same videos"),
    ("topk", {"scores": SCORES.to_sparse(), "labels": LABELS}, "sparse tensor"),
    ("topk", {"scores": torch.complex(SCORES, SCORES), "labels": LABELS}, "not those of the same videos"),
    ("topk", {"scores": SCORES, "labels": torch.tensor([0, 1, 9])}, "the label 9 is outside 0..3"),
    ("topk", {"scores": SCORES, "labels": torch.tensor([0, 1, -9])}, "the label -9 is outside 0..3"),
    ("topk", {"scores": SCORES, "labels": torch.tensor([0, 1, 9], dtype=torch.uint8)}, "the label 9 is outside 0..3"),
    ("topk", {"scores": SCORES, "labels": torch.tensor([True, False, True])}, "its labels are no class ids but bool"),
    ("topk", {"scores": SCORES, "labels": LABELS.to(torch.complex64)}, "its labels are no class ids but complex64"),
    ("topk", {"scores": SCORES > 0, "labels": LABELS}, "its scores are true or false, no numbers"),
    ("topk", {"scores": SCORES, "labels": -torch.ones(3).long()}, "the test has no labels"),
    ("topk", {"scores": SCORES, "labels": torch.tensor([0, 1, -1])}, "1 of 3 videos have no label"),
    ("topk", {"scores": SCORES, "labels": SEVERAL}, "use multilabel"),
    ("topk", {"scores": SCORES, "labels": LABELS.float()}, "its labels are no whole numbers"),
    ("topk", {"scores": SCORES * float("nan"), "labels": LABELS}, "3 of 3 scores are not finite"),
    ("topk", {"scores": SCORES * float("inf"), "labels": LABELS}, "3 of 3 scores are not finite"),
    ("topk", {"scores": SCORES, "labels": LABELS, "paths": ["a"]}, "its paths are not one text for each"),
    ("topk", {"scores": SCORES, "labels": LABELS, "names": 5}, "its names are not one text for each"),
    ("topk", {"scores": SCORES, "labels": LABELS, "class_names": 5}, "class_names are not a name for each"),
    ("topk", {"scores": SCORES, "labels": LABELS, "class_names": ["a"]}, "class_names are not a name for each"),
    ("charades", {"scores": SCORES, "labels": LABELS}, "not several classes a video, as charades needs"),
    ("multilabel", {"scores": SCORES, "labels": SEVERAL[:, :3]}, "not several classes a video"),
    ("multilabel", {"scores": SCORES, "labels": 2 * SEVERAL}, "not several classes a video"),
    ("multilabel", {"scores": SCORES * float("nan"), "labels": SEVERAL}, "3 of 3 scores are not finite"),
    ("topk", {"model_state": {}}, "no scores and labels"),
]


@pytest.mark.parametrize("rule, content, said", BAD_SCORES, ids=range(len(BAD_SCORES)))
def test_scores_that_cannot_be_scored(tmp_path, rule, content, said):
    path = file_of(tmp_path, **content)
    text = message_of(scoring.score_file, path, rule)
    assert text.startswith(path)
    assert said in text


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64, torch.float32])
def test_scores_of_any_precision_are_scored(tmp_path, kind):
    path = file_of(tmp_path, scores=torch.eye(3, 4).to(kind), labels=LABELS)
    assert scoring.score_file(path, "topk")["top1"] == 100.0


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_some_scores_that_are_not_finite_are_wrong_and_counted(tmp_path, bad):
    scores = torch.eye(3, 4)
    scores[1, 1] = bad
    values = scoring.score_file(file_of(tmp_path, scores=scores, labels=LABELS), "topk")
    assert values["top1"] == pytest.approx(200 / 3)
    assert (values["videos"], values["not_finite"]) == (3, 1)


def test_labels_of_several_classifiers_that_do_not_fit(tmp_path):
    heads = {"verb": SCORES, "noun": SCORES[:, :3]}
    for labels, said in (
        (LABELS, "of shape [3], are not one for each of the classifiers verb, noun"),
        (LABELS[:, None], "of shape [3, 1], are not one for each"),
        (torch.stack([LABELS, LABELS + 1], 1), "the label 3 is outside 0..2"),
    ):
        text = message_of(scoring.score_file, file_of(tmp_path, scores=heads, labels=labels), "topk")
        assert said in text
    with_classes = file_of(tmp_path, scores=heads, labels=torch.stack([LABELS, LABELS], 1))
    (tmp_path / "classes.txt").write_text("0\n1\n")
    text = message_of(scoring.score_file, with_classes, "topk", "wrong", [str(tmp_path / "classes.txt")])
    assert "scores of the classifiers verb, noun; choose that of --classes with --head" in text
    assert "--head is 'adverb'" in message_of(scoring.score_file, with_classes, "topk", head="adverb")


def test_equal_scores_are_wrong_or_taken_as_argmax_does(tmp_path):
    scores = torch.tensor([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [0.1, 0.1, 0.8]])
    path = file_of(tmp_path, scores=scores, labels=torch.tensor([0, 1, 2, 2]))
    assert evaluate("topk", "--scores", path)["top1"] == 25.0
    assert evaluate("topk", "--scores", path, "--ties", "argmax") == {
        "top1": 50.0,
        "top5": 100.0,
        "mean_class_accuracy": pytest.approx(50.0),
    }


def test_some_classes_of_a_network_are_scored_by_name_or_number(tmp_path):
    rng = np.random.default_rng(0)
    scores, labels = rng.random((60, 6)), rng.integers(0, 6, 60)
    names = ["run", "2", "clap hands", "jump", "sing", "walk"]
    path = file_of(tmp_path, scores=torch.from_numpy(scores), labels=torch.from_numpy(labels), class_names=names)
    # "2" is the name of the class 1; 3 and 0 are numbers.
    (tmp_path / "classes.txt").write_text("clap hands\n3\n\n2\n0\n")
    chosen = [2, 3, 1, 0]
    mine = np.isin(labels, chosen)
    best = np.array(chosen)[scores[mine][:, chosen].argmax(axis=1)]
    values = evaluate("topk", "--scores", path, "--classes", tmp_path / "classes.txt")
    assert values["top1"] == pytest.approx(100 * np.mean(best == labels[mine]))
    assert values["top5"] == 100.0
    counts = {"classes": 4, "videos": int(mine.sum()), "videos_of_other_classes": int((~mine).sum())}
    assert {key: values[key] for key in counts} == counts
    assert values["top1"] > evaluate("topk", "--scores", path)["top1"]


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "classes.txt: fewer than 2 classes"),
        ("run\n", "classes.txt: fewer than 2 classes"),
        ("run\nswim\n", "classes.txt, line 2: 'swim' is not a class of the network"),
        ("run\nJumps\n", "classes.txt, line 2: 'Jumps' is not a class of the network; did you mean 'jump'?"),
        ("class\nrun\n", "classes.txt, line 1: 'class' is not a class of the network; is it a header?"),
        ("run\n4\n", "classes.txt, line 2: the class is '4', outside 0..3"),
        ("run\nwalk\n0\n", "classes.txt, line 3: the class '0' stands in line 1 already"),
        ("jump\nsing\n", "scores.pt: none of its 2 videos is labelled with one of the 2 classes"),
    ],
    ids=range(8),
)
def test_lists_of_classes_with_mistakes(tmp_path, text, said):
    names = ["run", "walk", "jump", "sing"]
    path = file_of(tmp_path, scores=SCORES[:2], labels=LABELS[:2], class_names=names)
    (tmp_path / "classes.txt").write_text(text)
    assert f"{tmp_path}/{said}" in message_of(
        scoring.score_file, path, "topk", "wrong", [str(tmp_path / "classes.txt")]
    )


def test_names_of_classes_need_scores_that_have_names(tmp_path):
    (tmp_path / "classes.txt").write_text("run\nwalk\n")
    path = file_of(tmp_path, scores=SCORES, labels=LABELS)
    text = message_of(scoring.score_file, path, "topk", "wrong", [str(tmp_path / "classes.txt")])
    assert "classes.txt, line 1: 'run' is not a number, and the scores have no class names" in text


def test_some_classes_are_compared_with_each_other_or_with_all(tmp_path):
    names = ["run", "walk", "jump", "sing"]
    # Among all: right, wrong (sing), wrong (walk), and a video of another class. Among run and jump: the first two.
    scores = torch.tensor([[0.6, 0.2, 0.1, 0.1], [0.3, 0.1, 0.2, 0.4], [0.3, 0.4, 0.2, 0.1], [0.1, 0.7, 0.1, 0.1]])
    path = file_of(tmp_path, scores=scores, labels=torch.tensor([0, 0, 2, 1]), class_names=names)
    counts = {"classes": 2, "videos": 3, "videos_of_other_classes": 1}
    subset = {"top1": pytest.approx(200 / 3), "top5": 100.0, "mean_class_accuracy": 50.0, "compared_classes": 2}
    assert evaluate("topk", "--scores", path, "--classes", "run", "jump") == {**subset, **counts}
    # run 1 of 2, jump 0 of 1.
    everything = {"top1": pytest.approx(100 / 3), "top5": 100.0, "mean_class_accuracy": 25.0, "compared_classes": 4}
    words = ("topk", "--scores", path, "--compare", "all", "--classes")
    assert evaluate(*words, "run", "2") == {**everything, **counts}
    # The accuracy of one class.
    assert evaluate(*words, "run")["top1"] == 50.0
    for chosen, said in (
        (["run"], "--classes: fewer than 2 classes in it"),
        (["run", "jmup"], "--classes, word 2: 'jmup' is not a class of the network; did you mean 'jump'?"),
        (["jmup"], "--classes: 'jmup' is neither a file nor a class of the network; did you mean 'jump'?"),
        (["run", "run"], "--classes, word 2: the class 'run' stands in word 1 already"),
    ):
        assert said in message_of(scoring.score_file, path, "topk", classes=chosen)


def test_some_classes_of_one_of_several_classifiers(tmp_path):
    heads = {"verb": SCORES, "noun": torch.tensor([[0.1, 0.9], [0.2, 0.8], [0.7, 0.3]])}
    labels = torch.tensor([[0, 1], [1, 0], [2, 0]])
    names = {"verb": None, "noun": ["cup", "door"]}
    path = file_of(tmp_path, scores=heads, labels=labels, class_names=names)
    # Of the two cups one is seen.
    assert evaluate("topk", "--scores", path, "--head", "noun", "--classes", "cup", "--compare", "all")["top1"] == 50.0
    assert evaluate("topk", "--scores", path, "--head", "noun")["top1"] == pytest.approx(200 / 3)


def test_some_classes_of_videos_with_several_labels(tmp_path):
    scores = torch.tensor([[0.9, 0.1, 0.5], [0.8, 0.7, 0.9], [0.1, 0.6, 0.3]])
    labels = torch.tensor([[0, 1, 0], [1, 1, 0], [0, 0, 1]])
    path = file_of(tmp_path, scores=scores, labels=labels, class_names=["a", "b", "c"])
    # a: its video is the second of three, 1/2. b: ranks 1 and 3, (1 + 2/3) / 2. c: rank 3, 1/3.
    for rule in ("multilabel", "charades"):
        words = (rule, "--scores", path, "--classes")
        assert evaluate(*words, "a") == {"map": 50.0, "classes": 1, "videos": 3}
        assert evaluate(*words, "b", "a")["map"] == pytest.approx(100 * (1 / 2 + 5 / 6) / 2)
    assert evaluate("multilabel", "--scores", path)["map"] == pytest.approx(100 * (1 / 2 + 5 / 6 + 1 / 3) / 3)


@pytest.mark.parametrize("rule", ["charades", "multilabel"])
def test_minus_infinity_is_the_lowest_score(tmp_path, rule):
    scores = torch.tensor([[0.1, -np.inf], [0.3, 0.2]])
    path = file_of(tmp_path, scores=scores, labels=torch.tensor([[1, 0], [0, 1]]))
    assert scoring.score_file(path, rule) == {"map": 75.0}


def test_a_mean_over_no_class_is_null_in_json(tmp_path):
    path = file_of(tmp_path, scores=SCORES, labels=torch.zeros(3, 4))
    assert evaluate("multilabel", "--scores", path) == {"map": None}
    assert np.isnan(classification.mean_average_precision(SCORES.numpy(), np.zeros((3, 4))))


def test_average_precision_takes_scores_by_their_order():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(50, 5)).round(1), rng.random((50, 5)) < 0.3
    value = classification.mean_average_precision(scores, labels)
    assert classification.mean_average_precision(1e6 * scores**3, labels) == pytest.approx(value)


FOLDS = [
    "[1]",
    '"a"',
    "null",
    "5",
    "{}",
    '{"videos": 3}',
    '{"top1": NaN}',
    '{"top1": null}',
    '{"top1": "50"}',
    '{"top1": true}',
    '{"top1": 1e999}',
    '{"top1": 5',
    "",
    "[" * 100_000,
    '{"top1": 5}\0',
]


@pytest.mark.parametrize("text", FOLDS, ids=range(len(FOLDS)))
def test_results_of_folds_that_are_none(tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    (tmp_path / "good.json").write_text('{"top1": 50.0}')
    paths = [str(tmp_path / name) for name in ("good.json", "results.json")]
    assert paths[1] in message_of(scoring.score_folds, paths)


@pytest.mark.parametrize("content", ['{"top1": 50.0}'.encode("utf-16"), b'{"a": "\xe9"}', bytes(range(256))])
def test_results_in_another_encoding(tmp_path, content):
    (tmp_path / "results.json").write_bytes(content)
    assert "results.json" in message_of(scoring.score_folds, [str(tmp_path / "results.json")])


def test_folds_have_the_mean_of_the_metrics_that_all_have(tmp_path):
    for name, text in (("a", '{"top1": 50, "top5": 60}'), ("b", '\ufeff{"top1": 100.0}')):
        (tmp_path / f"{name}.json").write_text(text)
    values = scoring.score_folds([str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert values == {"folds": 2, "top1": 75.0}


BOX, HIT = "v,902,0.1,0.1,0.5,0.5,1,1\n", "v,902,0.1,0.1,0.5,0.5,1,0.9\n"
MAP = 'item { name: "a" id: 1 }\nitem { name: "b" id: 2 }\n'


def frames(folder, truth=BOX, found=HIT, excluded=None):
    for name, text in (("g.csv", truth), ("d.csv", found), ("m.pbtxt", MAP), ("x.csv", excluded or "")):
        (folder / name).write_text(text)
    return [str(folder / name) for name in ("g.csv", "d.csv", "m.pbtxt", *(["x.csv"] if excluded else []))]


@pytest.mark.parametrize(
    "files, value",
    [
        ({}, 1.0),
        ({"found": "v,902\n"}, 0.0),
        ({"truth": BOX.replace("902", "902.50"), "found": HIT.replace("902", "0902.5")}, 1.0),
        ({"found": HIT.replace("902", "902.1")}, 0.0),
        ({"found": HIT.replace("0.9", "1e-05")}, 1.0),
        ({"truth": "v,901\n" + BOX}, 1.0),
        ({"truth": "v,901,,,,,,\n" + BOX}, 1.0),
        ({"found": "v,902,0.1,0.1,0.5,0.5,1\n"}, 1.0),
        ({"truth": BOX.replace("v,", "NA,") + BOX, "found": HIT.replace("v,", "NA,") + HIT}, 1.0),
        ({"truth": BOX.replace("v,", "null,"), "found": HIT.replace("v,", "null,")}, 1.0),
        ({"truth": BOX.replace("902", "0902.0")}, 1.0),
        ({"truth": "\ufeff" + BOX}, 1.0),
        ({"truth": BOX.replace("\n", "\r\n")}, 1.0),
        ({"found": HIT.replace("0.9", "9E-01")}, 1.0),
        ({"truth": BOX + BOX.replace("902", "903"), "excluded": "v,0903\n"}, 1.0),
    ],
    ids=range(15),
)
def test_boxes_as_the_official_tool_takes_them(tmp_path, files, value):
    assert scoring.score_ava(*frames(tmp_path, **files))["mAP"] == value


@pytest.mark.parametrize(
    "files, named",
    [
        ({"truth": ""}, "g.csv: the file is empty"),
        ({"truth": "\n\n"}, "g.csv: the file is empty"),
        ({"found": ""}, "d.csv: the file is empty"),
        ({"truth": "v,902\n"}, "g.csv: no boxes"),
        ({"truth": BOX.replace("902", "-902")}, "g.csv, line 1: second is '-902', not 0 or above"),
        ({"truth": "video_id,second,x1,y1,x2,y2,action_id,person\n" + BOX}, "g.csv, line 1: second is 'second', not a"),
        ({"found": HIT.replace(",1,", ",0,")}, "d.csv, line 1: class_id is '0', not one of 1..80"),
        ({"found": HIT + HIT.replace(",1,", ",81,")}, "d.csv, line 2: class_id is '81', not one of 1..80"),
        ({"found": HIT.replace("0.9", "nan")}, "d.csv, line 1: score is 'nan', not a finite number"),
        ({"truth": '"' + BOX}, "g.csv: no CSV"),
        ({"truth": "v,nan,0.1,0.1,0.5,0.5,1,1\n"}, "g.csv, line 1: second is 'nan'"),
        ({"found": "v,902\nv\n"}, "d.csv, line 2: 1 columns"),
        ({"excluded": "v\n"}, "x.csv, line 1: not video,second"),
    ],
    ids=range(13),
)
def test_boxes_that_cannot_be_scored(tmp_path, files, named):
    assert f"{tmp_path}/{named}" in message_of(scoring.score_ava, *frames(tmp_path, **files))


def test_a_negative_number_of_boxes_is_refused(tmp_path):
    assert "--max-boxes is -1" in message_of(scoring.score_ava, *frames(tmp_path), None, -1)


HEAD = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"


@pytest.fixture
def labels_100(tmp_path):
    """A folder with the label files of two segments of EPIC-Kitchens-100."""
    rows = "P01_0,P01,P01_01,00:00:01,00:00:02,1,2\nP01_1,P01,P01_01,00:00:03,00:00:04,2,1\n"
    (tmp_path / "EPIC_100_validation.csv").write_text(HEAD + rows)
    (tmp_path / "EPIC_100_unseen_participant_ids_validation.csv").write_text("participant_id\nP01\n")
    (tmp_path / "EPIC_100_tail_verbs.csv").write_text("verb\n1\n")
    (tmp_path / "EPIC_100_tail_nouns.csv").write_text("noun\n1\n")
    return tmp_path


def submission(**changes):
    entry = {
        "verb": {str(i): 0.01 * i for i in range(97)},
        "noun": {str(i): 0.01 * i for i in range(300)},
        "action": {f"{i},{i}": 0.1 for i in range(50)},
    }
    results = {"P01_0": {**entry, **changes}, "P01_1": entry}
    return {
        "version": "0.2",
        "challenge": "action_recognition",
        **dict.fromkeys(("sls_pt", "sls_tl", "sls_td"), 2),
        "results": results,
    }


def scores(count, **changes):
    return {**{str(i): 0.01 for i in range(count)}, **changes}


SUBMISSIONS = [
    (submission(verb=scores(97, **{"3": "x"})), "P01_0: verb 3 is 'x', not a finite number"),
    (submission(verb=scores(97, **{"3": None})), "P01_0: verb 3 is 'None'"),
    (submission(verb=scores(97, **{"3": True})), "P01_0: verb 3 is 'True'"),
    (submission(verb=scores(97, **{"3": float("nan")})), "P01_0: verb 3 is 'nan'"),
    (submission(noun=scores(300, **{"3": float("inf")})), "P01_0: noun 3 is 'inf'"),
    (submission(noun=scores(300, **{"3": 10**400})), "P01_0: noun 3 is '1000"),
    (submission(noun=scores(300, **{"3": [1]})), "P01_0: noun 3 is '[1]'"),
    (submission(verb=scores(3)), "P01_0: verb does not have a score for each of 0..96, but 3 scores"),
    (submission(verb=scores(130)), "P01_0: verb does not have a score for each of 0..96, but 130 scores"),
    (submission(noun=scores(299, x=0.1)), "P01_0: noun does not have a score for each of 0..299"),
    (submission(verb=[0.1] * 97), "P01_0: verb does not have a score for each of 0..96"),
    (submission(verb=None), "P01_0: verb does not have a score"),
    (submission(action={"a,b": 0.1}), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action={"1": 0.1}), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action={"97,1": 0.1}), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action={"-1,1": 0.1}), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action={"²,1": 0.1}), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action=[1]), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action=None), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action={"1,1,1": 0.1}), 'P01_0: action does not have scores under "verb,noun" alone'),
    (submission(action={"1,1": "x"}), "P01_0: action 1,1 is 'x'"),
    ({**submission(), "results": {**submission()["results"], "P01_0": [1]}}, "P01_0: it is not an object"),
    ({**submission(), "results": [1]}, "results is missing"),
    ({**submission(), "results": {}}, "2 of 2 segments are missing, the first P01_0"),
    ({**submission(), "version": None}, "version is None"),
    ({**submission(), "version": "0.1"}, "version is '0.1', not \"0.2\""),
    ({**submission(), "challenge": "x"}, "challenge is 'x'"),
    ({**submission(), "sls_pt": "2"}, "sls_pt is '2', not a whole number of 0..5"),
    ({**submission(), "sls_td": True}, "sls_td is 'True', not a whole number of 0..5"),
    ({**submission(), "sls_tl": 6}, "sls_tl is '6', not a whole number of 0..5"),
    ([], "it is not a JSON object"),
    ("x", "it is not a JSON object"),
    (None, "it is not a JSON object"),
]


@pytest.mark.parametrize("content, said", SUBMISSIONS, ids=range(len(SUBMISSIONS)))
def test_submissions_that_are_none(labels_100, content, said):
    (labels_100 / "s.json").write_text(json.dumps(content))
    text = message_of(scoring.score_epic100, str(labels_100), str(labels_100 / "s.json"))
    assert text.startswith(f"{labels_100}/s.json: {said}")


@pytest.mark.parametrize("count", [None, 0, 1, 300], ids=str)
def test_a_submission_may_have_any_number_of_actions(labels_100, count):
    content = submission()
    (labels_100 / "s.json").write_text(json.dumps(content))
    whole = scoring.score_epic100(str(labels_100), str(labels_100 / "s.json"))
    for entry in content["results"].values():
        del entry["action"]
        if count is not None:
            entry["action"] = {f"{i % 97},{i}": -0.1 for i in range(count)}
    (labels_100 / "s.json").write_text(json.dumps(content))
    assert scoring.score_epic100(str(labels_100), str(labels_100 / "s.json")) == whole


def test_a_segment_that_is_there_twice_is_named(labels_100):
    text = json.dumps(submission()).replace('"P01_1"', '"P01_0"')
    (labels_100 / "s.json").write_text(text)
    said = message_of(scoring.score_epic100, str(labels_100), str(labels_100 / "s.json"))
    assert "s.json: " in said
    assert "the key 'P01_0' is there twice" in said


ENTRY_55 = {"verb": scores(125), "noun": scores(352), "action": {"1,2": 0.1}}
SUBMISSIONS_55 = [
    ({"verb": scores(125, **{"3": -1.5})}, "u: verb 3 is -1.5, below 0; this edition has softmax scores, not logits"),
    ({"noun": scores(300)}, "u: noun does not have a score for each of 0..351, but 300 scores"),
    ({"noun": scores(352, **{"0": "0.1"})}, "u: noun 0 is '0.1', not a finite number"),
    ({"action": {}}, "u: action has 0 scores, not 1 to 100"),
    ({"action": {f"1,{i}": 0.1 for i in range(101)}}, "u: action has 101 scores, not 1 to 100"),
]


@pytest.mark.parametrize("changes, said", SUBMISSIONS_55, ids=range(len(SUBMISSIONS_55)))
def test_submissions_to_the_first_edition_that_are_none(changes, said):
    content = {"version": "0.1", "challenge": "action_recognition", "results": {"u": {**ENTRY_55, **changes}}}
    assert epic.check_submission(content, ["u"], 125, 352, "0.1") == [said]
    assert epic.check_submission({**content, "results": {"u": ENTRY_55}}, ["u"], 125, 352, "0.1") == []


def test_a_class_list_beside_the_labels_says_how_many_classes_there_are(labels_100):
    (labels_100 / "EPIC_100_verb_classes.csv").write_text("id,key\n0,take\n1,put\n2,cut\n")
    (labels_100 / "s.json").write_text(json.dumps(submission()))
    text = message_of(scoring.score_epic100, str(labels_100), str(labels_100 / "s.json"))
    assert "verb does not have a score for each of 0..2, but 97 scores" in text


@pytest.mark.parametrize("name, content", [("test.json", b"{"), ("other.json", b"{}"), ("test.json", b"\xff\xfe{}")])
def test_zips_that_hold_no_submission(labels_100, name, content):
    with zipfile.ZipFile(labels_100 / "s.zip", "w") as f:
        f.writestr(name, content)
    assert "s.zip" in message_of(scoring.score_epic100, str(labels_100), str(labels_100 / "s.zip"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}", None])
def test_files_called_zip_that_are_none(labels_100, content):
    if content is not None:
        (labels_100 / "s.zip").write_bytes(content)
    assert "s.zip: not a submission" in message_of(scoring.score_epic100, str(labels_100), str(labels_100 / "s.zip"))


def test_a_valid_submission_has_nothing_wrong():
    assert epic.check_submission(submission(), ["P01_0", "P01_1"], 97, 300, "0.2") == []


def test_a_submission_is_no_pipe(tmp_path):
    for name in ("pipe.json", "pipe.zip"):
        os.mkfifo(tmp_path / name)
        text = message_of(scoring.read_submission, str(tmp_path / name), ["P26_01_1"], {"verb": 1, "noun": 1}, "0.1")
        assert text == f"{tmp_path / name}: it is no regular file; give a text file"
