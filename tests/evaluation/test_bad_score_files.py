"""`evaluate` on files that cannot be scored: one line with the file; what the official tools allow is scored."""

import json
import zipfile

import numpy as np
import pytest
import torch
from helpers.tools import evaluate

from avslowfast.evaluation import scoring
from avslowfast.evaluation.metrics import classification, epic
from avslowfast.utils.errors import UserError

SCORES = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2])
SEVERAL = torch.tensor([[1.0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]])


def message_of(function, *args):
    with pytest.raises(UserError) as error:
        function(*args)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


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
    ("topk", {"scores": SCORES, "labels": -torch.ones(3).long()}, "the test has no labels"),
    ("topk", {"scores": SCORES, "labels": torch.tensor([0, 1, -1])}, "1 of 3 videos have no label"),
    ("topk", {"scores": SCORES, "labels": SEVERAL}, "use multilabel"),
    ("topk", {"scores": SCORES, "labels": LABELS.float()}, "use multilabel"),
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
        ({"found": ""}, 0.0),
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
    ids=range(12),
)
def test_boxes_as_the_official_tool_takes_them(tmp_path, files, value):
    assert scoring.score_ava(*frames(tmp_path, **files))["mAP"] == value


@pytest.mark.parametrize(
    "files, named",
    [
        ({"truth": ""}, "g.csv: no boxes"),
        ({"truth": "v,902\n"}, "g.csv: no boxes"),
        ({"truth": BOX.replace("902", "902.4")}, "g.csv, line 1: second is '902.4'"),
        ({"truth": '"' + BOX}, "g.csv: no CSV"),
        ({"truth": "v,nan,0.1,0.1,0.5,0.5,1,1\n"}, "g.csv, line 1: second is 'nan'"),
        ({"found": "v,902\nv\n"}, "d.csv, line 2: 1 columns"),
        ({"excluded": "v\n"}, "x.csv, line 1: not video,second"),
    ],
    ids=range(7),
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
    (submission(action={"a,b": 0.1}), 'P01_0: action needs 1 to 100 scores under "verb,noun"'),
    (submission(action={"1": 0.1}), "P01_0: action needs 1 to 100 scores"),
    (submission(action={"97,1": 0.1}), "P01_0: action needs 1 to 100 scores"),
    (submission(action={"-1,1": 0.1}), "P01_0: action needs 1 to 100 scores"),
    (submission(action={"²,1": 0.1}), "P01_0: action needs 1 to 100 scores"),
    (submission(action={f"1,{i}": 0.1 for i in range(101)}), "P01_0: action needs 1 to 100 scores"),
    (submission(action={}), "P01_0: action needs 1 to 100 scores"),
    (submission(action=[1]), "P01_0: action needs 1 to 100 scores"),
    (submission(action={"1,1": "x"}), "P01_0: action 1,1 is 'x'"),
    ({**submission(), "results": {**submission()["results"], "P01_0": [1]}}, "P01_0: it is not an object"),
    ({**submission(), "results": [1]}, "results is missing"),
    ({**submission(), "results": {}}, "2 segments are missing"),
    ({**submission(), "version": None}, "version is None"),
    ({**submission(), "challenge": "x"}, "challenge is 'x'"),
    ({**submission(), "sls_pt": "2"}, "sls_pt is missing"),
    ([], "it is not a JSON object"),
    ("x", "it is not a JSON object"),
    (None, "it is not a JSON object"),
]


@pytest.mark.parametrize("content, said", SUBMISSIONS, ids=range(len(SUBMISSIONS)))
def test_submissions_that_are_none(labels_100, content, said):
    (labels_100 / "s.json").write_text(json.dumps(content))
    text = message_of(scoring.score_epic100, str(labels_100), str(labels_100 / "s.json"))
    assert text.startswith(f"{labels_100}/s.json: {said}")


def test_a_submission_without_actions_is_scored(labels_100):
    content = submission()
    (labels_100 / "s.json").write_text(json.dumps(content))
    whole = scoring.score_epic100(str(labels_100), str(labels_100 / "s.json"))
    for entry in content["results"].values():
        del entry["action"]
    (labels_100 / "s.json").write_text(json.dumps(content))
    assert scoring.score_epic100(str(labels_100), str(labels_100 / "s.json")) == whole


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
    assert epic.check_submission(submission(), ["P01_0", "P01_1"], 97, 300) == []
