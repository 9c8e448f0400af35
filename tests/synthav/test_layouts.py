"""SynthAV in the layout of EPIC-Kitchens and Charades: built as promised, and whole runs through the real readers."""

import collections
import json
import os

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.runs import evaluate, output_of, run

from avslowfast.datasets import epic
from avslowfast.evaluation.metrics import epic as epic_metrics
from avslowfast.loading import build_dataset
from avslowfast.synthav import layouts as synthetic_sets

RUN = (
    "TRAIN.BATCH_SIZE",
    8,
    "SOLVER.MAX_EPOCH",
    1,
    "SOLVER.WARMUP_EPOCHS",
    0,
    "DATA_LOADER.NUM_WORKERS",
    0,
    "BN.NUM_BATCHES_PRECISE",
    2,
    "RESNET.WIDTH_PER_GROUP",
    8,
    "LOG_MODEL_INFO",
    False,
    "TEST.NUM_SPATIAL_CROPS",
    1,
)
HEADS = ("MULTI_HEAD.NAMES", ["verb", "noun"], "MULTI_HEAD.NUM_CLASSES", [6, 4], "MULTI_HEAD.LOSS_WEIGHTS", [0.5, 0.5])


@pytest.fixture(scope="module")
def kitchens(tmp_path_factory):
    """Three training kitchens and two for validation."""
    folder = tmp_path_factory.mktemp("epic")
    rows = [synthetic_sets.write_epic_video(job) for job in synthetic_sets.plan_epic(str(folder), 0, 3, 2)]
    assert synthetic_sets.write_epic_labels(str(folder), rows) == 5 * synthetic_sets.SEGMENTS
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Sixteen training scenes and eight for the test."""
    folder = tmp_path_factory.mktemp("charades")
    rows = [synthetic_sets.write_charades_video(job) for job in synthetic_sets.plan_charades(str(folder), 0, 16, 8)]
    synthetic_sets.write_charades_labels(str(folder), rows, 16)
    return folder


def test_look_alike_verbs_differ_by_sound_alone_and_so_the_reverse():
    moves, sounds = (collections.Counter(kind[i] for kind in synthetic_sets.VERBS) for i in (1, 2))
    # Two moves and two sounds serve two verbs each, so either sense alone tells 4 of 6: (2 + 4 / 2) / 6.
    assert sorted(moves.values()) == sorted(sounds.values()) == [1, 1, 2, 2]
    assert len({kind[1:] for kind in synthetic_sets.VERBS}) == len(synthetic_sets.VERBS)


def test_kitchens_are_the_same_each_time_and_their_segments_lie_apart():
    one, two = (synthetic_sets.epic_video(3, "P01", 1) for _ in range(2))
    assert np.array_equal(one[0], two[0]) and np.array_equal(one[1], two[1])
    spans = [label[:2] for label in one[2]]
    assert all(a[1] < b[0] for a, b in zip(spans, spans[1:])) and spans[-1][1] <= len(one[0]) / 15 + 0.1


def test_a_run_on_kitchens_hands_in_what_scores_the_same(kitchens, tmp_path):
    args = [
        "TRAIN.DATASET",
        "epic55",
        "TEST.DATASET",
        "epic55",
        "DATA.PATH_TO_DATA_DIR",
        kitchens,
        "DATA.PATH_PREFIX",
        kitchens / "videos",
        "OUTPUT_DIR",
        tmp_path / "out",
        *HEADS,
        *RUN,
    ]
    run(args)
    folder = output_of(args)
    results = json.load(open(os.path.join(folder, "results.json")))
    names = {f"{part}_top{k}" for part in ("verb", "noun", "action") for k in (1, 5)}
    assert names <= set(results) and results["videos"] == 2 * synthetic_sets.SEGMENTS
    content = json.load(open(os.path.join(folder, "submission.json")))
    assert epic_metrics.check_submission(content, epic.read_validation("epic55", kitchens).name, 6, 4) == []
    found = evaluate("epic55", "--annotations", kitchens, "--submission", os.path.join(folder, "submission.json"))
    assert all(found[name] == pytest.approx(results[name], abs=1e-6) for name in names)
    scores = torch.load(os.path.join(folder, "scores.pt"), weights_only=True)
    assert scores["scores"]["verb"].shape == (16, 6) and scores["class_names"]["noun"] == [
        "tomato",
        "cucumber",
        "plate",
        "lemon",
    ]
    assert open(os.path.join(folder, "scores_noun.csv")).readline().startswith("path,label,prediction,tomato")


def test_a_test_without_labels_writes_the_submission_alone(kitchens, tmp_path):
    table = epic.read_validation("epic55", kitchens).rename(columns={"name": "uid"})
    os.symlink(kitchens / "EPIC_train_action_labels.csv", tmp_path / "EPIC_train_action_labels.csv")
    table[
        ["uid", "participant_id", "video_id", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame"]
    ].to_csv(tmp_path / "EPIC_test_s1_timestamps.csv", index=False)
    args = [
        "TRAIN.DATASET",
        "epic55",
        "TEST.DATASET",
        "epic55",
        "DATA.PATH_TO_DATA_DIR",
        tmp_path,
        "DATA.PATH_PREFIX",
        kitchens / "videos",
        "OUTPUT_DIR",
        tmp_path / "out",
        "DATA.TEST_PART",
        "s1",
        *HEADS,
        *RUN,
    ]
    run(args)
    results = json.load(open(tmp_path / "out/results.json"))
    assert not [key for key in results if "top1" in key]
    content = json.load(open(tmp_path / "out/submission.json"))
    assert epic_metrics.check_submission(content, table.uid, 6, 4) == []


def test_a_run_on_scenes_measures_map_by_the_official_rule(scenes, tmp_path):
    args = [
        "TRAIN.DATASET",
        "charades",
        "TEST.DATASET",
        "charades",
        "DATA.PATH_TO_DATA_DIR",
        scenes,
        "DATA.PATH_PREFIX",
        scenes / "videos",
        "OUTPUT_DIR",
        tmp_path / "out",
        "DATA.MULTI_LABEL",
        True,
        "MODEL.LOSS_FUNC",
        "bce_logit",
        "MODEL.HEAD_ACT",
        "sigmoid",
        "MODEL.NUM_CLASSES",
        8,
        "DATA.ENSEMBLE_METHOD",
        "max",
        *RUN,
    ]
    run(args)
    results = json.load(open(tmp_path / "out/results.json"))
    assert results["videos"] == 8 and evaluate("charades", "--scores", tmp_path / "out/scores.pt")[
        "map"
    ] == pytest.approx(results["map"], abs=1e-6)
    train = build_dataset(
        tiny_cfg(
            "TRAIN.DATASET",
            "charades",
            "DATA.PATH_TO_DATA_DIR",
            str(scenes),
            "DATA.MULTI_LABEL",
            True,
            "MODEL.LOSS_FUNC",
            "bce_logit",
            "MODEL.NUM_CLASSES",
            8,
            "DATA.PATH_PREFIX",
            str(scenes / "videos"),
        ),
        "train",
    )
    # Every scene has two things to see and two to hear; a clip of one second has those that overlap it.
    for index in range(len(train)):
        assert train.label(index)[:4].sum() == train.label(index)[4:].sum() == 2
    assert train.label(0).sum() >= train.label(0, (0.0, 1.0)).sum()
