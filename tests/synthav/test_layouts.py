"""SynthAV in the layout of EPIC-Kitchens and Charades: built as promised, and whole runs through the real readers."""

import collections
import csv
import json
import os

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.runs import output_of, run, SHORT_RUN
from helpers.tools import evaluate

from avslowfast.datasets import epic
from avslowfast.evaluation.metrics import epic as epic_metrics
from avslowfast.loading import build_dataset
from avslowfast.synthav import render_dataset, SynthAVError
from avslowfast.synthav.kitchens import render_kitchen, SEGMENTS, VERBS

RUN = (*SHORT_RUN, "TEST.NUM_SPATIAL_CROPS", 1)
HEADS = ("MULTI_HEAD.NAMES", ["verb", "noun"], "MULTI_HEAD.NUM_CLASSES", [6, 4], "MULTI_HEAD.LOSS_WEIGHTS", [0.5, 0.5])


@pytest.fixture(scope="module")
def kitchens(tmp_path_factory):
    """Three training kitchens and two for validation."""
    folder = tmp_path_factory.mktemp("epic")
    assert render_dataset(folder, "epic", {"train": 3, "val": 2}).labels == 5 * SEGMENTS
    return folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Sixteen training scenes and eight for the test."""
    folder = tmp_path_factory.mktemp("charades")
    render_dataset(folder, "charades", {"train": 16, "test": 8})
    return folder


def test_verbs_that_look_alike_differ_in_audio_alone_and_vice_versa():
    motions, audio = (collections.Counter(getattr(verb, kind) for verb in VERBS) for kind in ("motion", "audio"))
    # Two motions and two kinds of audio serve two verbs each, so one modality recognises 4 of 6: (2 + 4 / 2) / 6.
    assert sorted(motions.values()) == sorted(audio.values()) == [1, 1, 2, 2]
    assert len({(verb.motion, verb.audio) for verb in VERBS}) == len(VERBS)


def test_kitchens_are_the_same_each_time_and_their_segments_do_not_overlap():
    one, two = (render_kitchen(3, "P01", 1) for _ in range(2))
    assert np.array_equal(one.frames, two.frames) and np.array_equal(one.audio, two.audio)
    assert all(a.stop < b.start for a, b in zip(one.labels, one.labels[1:]))
    assert one.labels[-1].stop <= len(one.frames) / 15 + 0.1


def test_a_folder_of_another_variant_seed_or_split_is_refused(tmp_path):
    render_dataset(tmp_path, "pairs", {"train": 1})
    for variant, seed, counts in (("hard", 0, {"train": 1}), ("pairs", 1, {"train": 1})):
        with pytest.raises(SynthAVError, match="holds SynthAV"):
            render_dataset(tmp_path, variant, counts, seed)
    with pytest.raises(SynthAVError, match="unknown variant"):
        render_dataset(tmp_path, "triples")
    with pytest.raises(SynthAVError, match="no split 'dev'; known: train, val, test"):
        render_dataset(tmp_path, "pairs", {"dev": 1})


def test_a_run_on_kitchens_writes_a_submission_that_scores_the_same(kitchens, tmp_path):
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
    assert names <= set(results) and results["videos"] == 2 * SEGMENTS
    content = json.load(open(os.path.join(folder, "submission.json")))
    assert epic_metrics.check_submission(content, epic.read_validation("epic55", kitchens).name, 6, 4, "0.1") == []
    recomputed = evaluate("epic55", "--annotations", kitchens, "--submission", os.path.join(folder, "submission.json"))
    assert all(recomputed[name] == pytest.approx(results[name], abs=1e-6) for name in names)
    scores = torch.load(os.path.join(folder, "scores.pt"), weights_only=True)
    assert scores["scores"]["verb"].shape == (16, 6) and scores["class_names"]["noun"] == [
        "tomato",
        "cucumber",
        "plate",
        "lemon",
    ]
    ids = [str(name) for name in epic.read_validation("epic55", kitchens).name]
    assert sorted(scores["names"]) == sorted(ids)
    with open(os.path.join(folder, "scores_noun.csv"), newline="") as f:
        header, *rows = csv.reader(f)
    assert header == ["path", "label", "prediction", "tomato", "cucumber", "plate", "lemon", "name"]
    assert [row[-1] for row in rows] == scores["names"]


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
    assert epic_metrics.check_submission(content, table.uid, 6, 4, "0.1") == []


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
            "MODEL.HEAD_ACT",
            "sigmoid",
            "MODEL.NUM_CLASSES",
            8,
            "DATA.PATH_PREFIX",
            str(scenes / "videos"),
        ),
        "train",
    )
    # Every scene has two visible and two audible events; a clip of one second has those that overlap it.
    for index in range(len(train)):
        assert train.label(index)[:4].sum() == train.label(index)[4:].sum() == 2
    assert train.label(0).sum() >= train.label(0, (0.0, 1.0)).sum()
