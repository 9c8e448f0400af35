"""Metrics against reference values and against their own definitions, written out."""

import json
import zipfile

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.tools import evaluate

from avslowfast.config import ConfigError
from avslowfast.datasets import ava as ava_files
from avslowfast.datasets import epic as epic_files
from avslowfast.evaluation.metrics import classification, epic

GOLDEN = ROOT / "tests/golden"


def test_mistakes_in_box_files_are_named(tmp_path):
    (tmp_path / "gt.csv").write_text("v,0902,0.1,0.1,0.5,0.5,3\nv,0902,x,0.1,0.5,0.5,3\n")
    (tmp_path / "map.txt").write_text("nothing")
    with pytest.raises(ConfigError, match="gt.csv, line 2: x1 is 'x'"):
        ava_files.read_boxes(tmp_path / "gt.csv")
    with pytest.raises(ConfigError, match="map.txt: 'nothing' is no part of an item such as"):
        ava_files.read_label_map(tmp_path / "map.txt")
    assert "none.txt: no such file" in evaluate(
        "ava", "--groundtruth", "x", "--detections", "x", "--label-map", tmp_path / "none.txt", code=2
    )
    (tmp_path / "short.csv").write_text("v,0902,0.1\n")
    with pytest.raises(ConfigError, match="3 columns"):
        ava_files.read_boxes(tmp_path / "short.csv")
    assert {ava_files.frame_key("v", second) for second in (902, 902.0, 902.0000001)} == {"v,902"}
    assert [ava_files.frame_key("v", second) for second in (1800, 0, 902.25)] == ["v,1800", "v,0", "v,902.25"]


def test_multi_label_map_equals_pyslowfasts_and_the_official_charades_rule():
    data = json.loads((GOLDEN / "multilabel_map.json").read_text())
    scores, labels = np.array(data["scores"]), np.array(data["labels"])
    assert abs(classification.mean_average_precision(scores, labels) / 100 - data["mAP"]) < 1e-6
    lowest = np.where(labels.any(axis=1, keepdims=True), scores, -np.inf)
    aps = []
    for k in np.flatnonzero(labels.any(axis=0)):
        order = np.argsort(-lowest[:, k], kind="stable")
        hits = labels[order, k] == 1
        aps.append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].sum() / hits.sum())
    assert classification.mean_average_precision(scores, labels, unlabelled_last=True) == pytest.approx(
        100 * np.mean(aps), abs=1e-9
    )


def epic_case(n=300, verbs=7, nouns=11):
    rng = np.random.default_rng(0)
    scores = [np.exp(3 * rng.standard_normal((n, k))) for k in (verbs, nouns)]
    scores = [s / s.sum(axis=1, keepdims=True) for s in scores]
    labels = [np.where(rng.random(n) < 0.5, s.argmax(axis=1), rng.integers(0, s.shape[1], n)) for s in scores]
    return *scores, *labels


def test_action_accuracy_is_that_of_all_pairs():
    verb, noun, v, n = epic_case()
    pairs = (verb[:, :, None] * noun[:, None, :]).reshape(len(v), -1)
    for k in (1, 5):
        expected = [(v[i] * noun.shape[1] + n[i]) in np.argsort(-pairs[i])[:k] for i in range(len(v))]
        assert epic.action_correct(verb, noun, v, n, k).tolist() == expected
    verb[3] = np.nan
    assert not epic.action_correct(verb, noun, v, n, 5)[3] and epic.best_actions(verb, noun)[3].tolist() == [-1, -1]
    # Constant scores earn nothing.
    flat = np.full_like(noun, 1 / noun.shape[1])
    assert not epic.action_correct(np.full_like(verb, 1 / verb.shape[1]), flat, v, n, 5).any()


def test_many_shot_precision_and_recall_by_hand():
    verb, noun, v, n = epic_case(120, 3, 4)
    result = epic.many_shot(verb, noun, v, n, [0, 2], [1], [(0, 1), (2, 3)])
    p = verb.argmax(axis=1)
    precision = [((p == c) & (v == c)).sum() / (p == c).sum() for c in (0, 2)]
    recall = [((p == c) & (v == c)).sum() / (v == c).sum() for c in (0, 2)]
    assert result["verb_precision"] == pytest.approx(100 * np.mean(precision)) and result[
        "verb_recall"
    ] == pytest.approx(100 * np.mean(recall))
    assert set(result) == {f"{a}_{b}" for a in ("verb", "noun", "action") for b in ("precision", "recall")}


@pytest.mark.shared
@pytest.mark.parametrize("name", ["epic55", "epic100"])
def test_a_submission_is_valid_and_scores_what_it_was_made_from(shared, tmp_path, name):
    folder = shared / f"annotations/{name}"
    table = epic_files.read_validation(name, folder)
    sizes = epic_files.SIZES[name]
    rng = np.random.default_rng(1)
    v, n = table.verb_class.to_numpy(), table.noun_class.to_numpy()
    verb, noun = (rng.random((len(table), size)) for size in sizes.values())
    verb[np.arange(len(v)), v] += 0.6 * rng.random(len(v))
    noun[np.arange(len(n)), n] += 0.6 * rng.random(len(n))
    verb, noun = (s / s.sum(axis=1, keepdims=True) for s in (verb, noun))
    if name == "epic55":
        content = epic.submission_55(table.name, verb, noun)
        one = next(iter(content["results"].values()))
        assert len(one["action"]) == 100 and len(one["verb"]) == sizes["verb"]
        pairs = np.outer(verb[0], noun[0])
        assert sorted(one["action"].values()) == pytest.approx(sorted(np.sort(pairs, axis=None)[-100:]))
    else:
        content = epic.submission_100(table.name, verb, noun, (2, 3, 3))
    version = content["version"]
    assert epic.check_submission(content, table.name, *sizes.values(), version) == []
    path = tmp_path / ("submission.json" if name == "epic55" else "submission.zip")
    if name == "epic55":
        path.write_text(json.dumps(content))
    else:
        with zipfile.ZipFile(path, "w") as f:
            f.writestr("test.json", json.dumps(content))
    result = evaluate(name, "--annotations", folder, "--submission", path)
    prefix = "" if name == "epic55" else "all_"
    for key, value in epic.accuracy(verb, noun, v, n).items():
        assert result[prefix + key] == pytest.approx(value, abs=1e-9), key
    assert ("many_shot_action_recall" in result) == (name == "epic55") and (
        "tail_action_top1" in result and "unseen_verb_top1" in result
    ) == (name == "epic100")
    # And what is wrong is said.
    del content["results"][str(table.name.iloc[0])]
    content["version"] = "1"
    wrong = " ".join(epic.check_submission(content, table.name, *sizes.values(), version))
    assert f"1 of {len(table)} segments are missing" in wrong and "version is '1'" in wrong


def test_folds_and_files_of_scores(tmp_path):
    for i, top1 in enumerate((90.0, 92.0, 97.0)):
        (tmp_path / f"{i}.json").write_text(json.dumps({"top1": top1, "other": 1}))
    assert evaluate("folds", *(tmp_path / f"{i}.json" for i in range(3))) == {"folds": 3, "top1": 93.0}
    scores, labels = torch.eye(4)[[0, 1, 2, 3, 0]], torch.tensor([0, 1, 2, 0, 0])
    torch.save({"scores": scores, "labels": labels}, tmp_path / "scores.pt")
    assert evaluate("topk", "--scores", tmp_path / "scores.pt")["top1"] == 80.0
    torch.save({"model_state": {}}, tmp_path / "x.pt")
    assert "not a scores.pt" in evaluate("charades", "--scores", tmp_path / "x.pt", code=2)
    assert "0.json" in evaluate("charades", "--scores", tmp_path / "0.json", code=2)
