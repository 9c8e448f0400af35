"""EPIC-Kitchens-100: the official tool's submission and figures, and the submission that a test writes."""

import json
import shutil
import types
import zipfile

import numpy as np
import pytest
from helpers import ROOT, tiny_cfg
from helpers.tools import evaluate

from avslowfast.datasets.base import Listing, Record
from avslowfast.evaluation import scoring
from avslowfast.evaluation.build import build_protocol
from avslowfast.evaluation.metrics import epic
from avslowfast.evaluation.protocols.base import Evaluation
from avslowfast.tasks.scores import ClassScores

GOLDEN = ROOT / "tests/golden"
OFFICIAL = GOLDEN / "epic100_submission.zip"
EXPECTED = json.loads((GOLDEN / "epic100_expected.json").read_text())
SEGMENTS = [row["narration_id"] for row in EXPECTED["labels"]]
SIZES = {"verb": 97, "noun": 300}
KEYS = (
    *("TRAIN.DATASET", "epic100", "TEST.DATASET", "epic100", "MULTI_HEAD.NAMES", ["verb", "noun"]),
    *("MULTI_HEAD.NUM_CLASSES", [97, 300], "MULTI_HEAD.LOSS_WEIGHTS", [0.5, 0.5]),
)


def logits():
    return scoring.read_submission(str(OFFICIAL), SEGMENTS, SIZES, "0.2")


def written(folder, verbs, nouns, *keys):
    """The submission that a test of the twenty segments writes."""
    cfg = tiny_cfg(*KEYS, "DATA.PATH_TO_DATA_DIR", str(folder), *keys)
    records = [Record(row["narration_id"], name=row["narration_id"], group="P01") for row in EXPECTED["labels"]]
    dataset = types.SimpleNamespace(records=records, listing=Listing(records), split="test")
    scores = ClassScores({"verb": verbs.astype(np.float32), "noun": nouns.astype(np.float32)})
    labels = np.array([[row["verb_class"], row["noun_class"]] for row in EXPECTED["labels"]])
    protocol = build_protocol(cfg, dataset, "epic100")
    protocol.write(Evaluation(scores, labels, SEGMENTS), str(folder), None)
    return folder / "submission.zip", protocol.measure(scores, labels)


def content_of(path):
    with zipfile.ZipFile(path) as f:
        assert f.namelist() == ["test.json"]
        return json.loads(f.read("test.json"))


@pytest.fixture
def twenty(shared, tmp_path):
    """The official lists, and a validation list of the twenty segments."""
    folder = tmp_path / "annotations"
    shutil.copytree(shared / "annotations/epic100", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    path = folder / "EPIC_100_validation.csv"
    header, *rows = path.read_text().splitlines()
    rows = [row for row in rows if row.split(",", 1)[0] in SEGMENTS]
    assert len(rows) == len(SEGMENTS) == 20
    path.write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.mark.shared
def test_the_official_submission_has_the_official_figures_and_so_has_ours(twenty, tmp_path):
    verbs, nouns = (epic.softmax_of_best(scores, scores.shape[1]) for scores in logits())
    ours, measured = written(twenty, verbs, nouns)
    for path in (OFFICIAL, ours):
        figures = evaluate("epic100", "--annotations", twenty, "--submission", path)
        assert len(figures) == len(EXPECTED["figures"]) == 12
        for name, value in EXPECTED["figures"].items():
            assert abs(figures[name.replace("_accuracy_at_", "_top")] - value) < 1e-9, name
    # The test itself says the same of its scores.
    for name in ("verb_top1", "noun_top5", "action_top1", "action_top5"):
        assert abs(measured[name] - EXPECTED["figures"][f"all_{name.replace('_top', '_accuracy_at_')}"]) < 1e-9


def test_our_submission_is_no_larger_than_the_official_one(tmp_path):
    verbs, nouns = (epic.softmax_of_best(scores, scores.shape[1]) for scores in logits())
    path, _ = written(tmp_path, verbs, nouns)
    assert path.stat().st_size <= OFFICIAL.stat().st_size
    content = content_of(path)
    assert {key: content[key] for key in ("version", "challenge", "sls_pt", "sls_tl", "sls_td")} == {
        "version": "0.2",
        "challenge": "action_recognition",
        "sls_pt": 2,
        "sls_tl": 3,
        "sls_td": 3,
    }
    # What is written gives the scores back, to the digits of float32.
    for scores, given in zip((verbs, nouns), scoring.read_submission(str(path), SEGMENTS, SIZES, "0.2")):
        np.testing.assert_allclose(np.exp(given), scores, rtol=2e-7)


def test_what_could_not_be_read_is_never_right(tmp_path):
    verbs, nouns = (epic.softmax_of_best(scores, scores.shape[1]) for scores in logits())
    verbs[3], nouns[3], verbs[4, 5:] = np.nan, np.nan, 0.0
    path, _ = written(tmp_path, verbs, nouns)
    assert epic.check_submission(content_of(path), SEGMENTS, 97, 300, "0.2") == []
    scores = scoring.read_submission(str(path), SEGMENTS, SIZES, "0.2")
    factors = [epic.softmax_of_best(x)[3:4] for x in scores]
    assert not epic.action_correct(*factors, np.array([0]), np.array([0]), 5).any()


def test_actions_by_the_official_rule_written_out():
    rng = np.random.default_rng(0)
    verbs, nouns = rng.normal(0, 2, (40, 120)), rng.normal(0, 2, (40, 130))
    v, n = rng.integers(0, 5, 40), rng.integers(0, 5, 40)
    verbs[range(40), v] += 6
    nouns[range(40), n] += 6
    correct = []
    for i in range(40):
        factors = []
        for scores in (verbs[i], nouns[i]):
            best = sorted(range(len(scores)), key=lambda k: -scores[k])[:100]
            total = sum(np.exp(scores[k]) for k in best)
            factors.append({k: np.exp(scores[k]) / total for k in best})
        pairs = {(a, b): x * y for a, x in factors[0].items() for b, y in factors[1].items()}
        correct.append((v[i], n[i]) in sorted(pairs, key=pairs.get)[-5:])
    factors = epic.softmax_of_best(verbs), epic.softmax_of_best(nouns)
    assert epic.action_correct(*factors, v, n, 5).tolist() == correct
    assert 5 < sum(correct) < 40
    # A verb beyond the best 100 makes no action.
    last = verbs.argmin(axis=1)
    assert not epic.action_correct(*factors, last, n, 1000).any()
    np.testing.assert_allclose(factors[0].sum(axis=1), 1)


@pytest.mark.parametrize("far", [1e3, 1e99])
def test_scores_far_apart_have_a_softmax(far):
    factors = epic.softmax_of_best(np.array([[far, -far, 0.0], [0.0, 0.0, far]]))
    assert factors.tolist() == [[1, 0, 0], [0, 0, 1]]
