"""AVA: boxes follow their pixels, key frames centre their clips, training and testing on boxes."""

import json
import os

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.runs import output_of, run
from helpers.tools import evaluate
from hypothesis import given, settings
from hypothesis import strategies as st

from avslowfast.clips import transforms
from avslowfast.config import ConfigError, load_cfg
from avslowfast.engine.optim import stepped_lr
from avslowfast.loading import build_dataset, build_loader
from avslowfast.media import Geometry
from avslowfast.models import build_model
from avslowfast.synthav import render_dataset
from avslowfast.tasks.build import build_task

BOXES = (
    "TRAIN.DATASET",
    "ava",
    "TEST.DATASET",
    "ava",
    "DETECTION.ENABLE",
    True,
    "MODEL.NUM_CLASSES",
    6,
    "MODEL.LOSS_FUNC",
    "bce",
    "RESNET.SPATIAL_DILATIONS",
    [[1, 1], [1, 1], [1, 1], [2, 2]],
    "RESNET.SPATIAL_STRIDES",
    [[1, 1], [2, 2], [2, 2], [1, 1]],
    "RESNET.WIDTH_PER_GROUP",
    8,
    "DATA_LOADER.NUM_WORKERS",
    0,
)


@pytest.fixture(scope="module")
def movies(tmp_path_factory):
    """Two training movies and one for validation, in AVA's layout."""
    folder = tmp_path_factory.mktemp("ava")
    render_dataset(folder, "ava", {"train": 2, "val": 1})
    return folder


def cfg_for(movies, *overrides):
    return tiny_cfg(
        *BOXES, "DATA.PATH_TO_DATA_DIR", str(movies), "DATA.PATH_PREFIX", str(movies / "videos"), *overrides
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(60, 140), st.integers(60, 140), st.integers(48, 90), st.integers(0, 10**6), st.booleans())
def test_a_box_follows_its_pixels_through_scale_crop_and_flip(height, width, short, seed, flip):
    rng = np.random.default_rng(seed)
    # A white rectangle on black, and the box around it.
    x1, y1 = rng.uniform(0.05, 0.6, 2)
    x2, y2 = x1 + rng.uniform(0.2, 0.35), y1 + rng.uniform(0.2, 0.35)
    geometry = transforms.random_crop(rng, (short, short), 48)(height, width)
    (h, w), (top, left, rows, columns) = geometry.size, geometry.crop
    fine = 8
    yy, xx = (np.arange(n * fine) + 0.5 for n in (h, w))
    inside = (
        (yy[:, None] > y1 * h * fine) & (yy[:, None] < y2 * h * fine) & (xx > x1 * w * fine) & (xx < x2 * w * fine)
    ).astype(float)
    frame = inside.reshape(h, fine, w, fine).mean(axis=(1, 3))[top : top + rows, left : left + columns]
    frame = frame[:, ::-1] if flip else frame
    boxes, kept = transforms.move_boxes(np.array([[x1, y1, x2, y2]]), geometry, flip)
    if not kept[0]:
        assert frame.max() < 0.02
        return
    bx1, by1, bx2, by2 = boxes[0]
    assert 0 <= bx1 < bx2 <= columns
    assert 0 <= by1 < by2 <= rows
    ys, xs = np.nonzero(frame > 0.5)
    if len(xs) > 20:
        # The pixels' outer edges are those of the box, to one pixel.
        assert abs(xs.min() - bx1) <= 1.01
        assert abs(xs.max() + 1 - bx2) <= 1.01
        assert abs(ys.min() - by1) <= 1.01
        assert abs(ys.max() + 1 - by2) <= 1.01
    assert frame.sum() == pytest.approx((bx2 - bx1) * (by2 - by1), rel=0.1, abs=4)


def test_boxes_outside_the_crop_are_left_out():
    boxes, kept = transforms.move_boxes(
        np.array([[0, 0, 0.1, 0.1], [0.4, 0.4, 0.6, 0.6]]), Geometry((100, 100), (30, 30, 40, 40))
    )
    assert kept.tolist() == [False, True]
    assert np.allclose(boxes[1], [10, 10, 30, 30], atol=1e-4)
    assert transforms.move_boxes(np.zeros((0, 4)), Geometry((10, 10)))[0].shape == (0, 4)


def test_several_crops_of_a_key_frame_have_boxes_of_each_crop(movies):
    cfg = cfg_for(movies, "AUG.NUM_SAMPLE", 2, "TRAIN.BATCH_SIZE", 4)
    first, second = build_dataset(cfg, "train")[0]
    # The same clip around the key frame, cut in two ways; the boxes go with their cuts.
    assert float(first["start"]) == float(second["start"])
    assert not torch.equal(first["fast"], second["fast"])
    assert not torch.equal(first["boxes"], second["boxes"])
    batch = next(iter(build_loader(cfg, "train")))
    assert len(batch["fast"]) == 8
    assert len(batch["boxes"]) == len(batch["targets"])
    assert int(batch["boxes"][:, 0].max()) > 3


def test_key_frames_centre_their_clips(movies):
    cfg = cfg_for(movies)
    dataset = build_dataset(cfg, "test")
    sample = dataset[0]
    second = float(dataset.records[0].name.split(",")[1]) - 900
    duration = 8 * 4 / 30
    assert float(sample["start"]) == pytest.approx(second - duration / 2)
    assert sample["fast"].shape[:2] == (3, 8)
    # The frame's short side is the crop; nothing is cut off, so every box is there.
    assert min(sample["fast"].shape[2:]) == 48
    assert sample["boxes"].shape[1] == 4
    assert int(sample["dropped_boxes"]) == 0
    frames = sample["fast"].float()
    for box in sample["boxes"].round().int().tolist():
        x1, y1, x2, y2 = box
        # The middle frame shows a bright person on a darker ground where the box is.
        assert frames[:, 4, (y1 + y2) // 2, (x1 + x2) // 2].max() > frames[:, 4].median() + 30
    assert sample["audio"].shape == (1, 64, 40)
    assert bool(sample["audio_mask"])


def test_splits_boxes_and_labels(movies):
    train, val, test = (build_dataset(cfg_for(movies), split) for split in ("train", "val", "test"))
    assert len(train) == 2 * len(test)
    assert {int(r.name.split(",")[1]) % 4 for r in val.records} == {0}
    assert len(val) == 5
    assert train.class_names == ["walk", "jump", "stretch", "talk", "sing", "clap"]
    targets = train.targets(0)
    # Two people, each with one move, both with the one voice.
    assert targets.shape == (2, 6)
    assert targets[:, :3].sum(1).tolist() == [1, 1]
    assert torch.equal(targets[0, 3:], targets[1, 3:])
    # Boxes of nobody have low scores.
    assert all(len(r.label[0]) == 2 for r in test.records)
    assert all(
        len(r.label[0]) == 3 for r in build_dataset(cfg_for(movies, "AVA.DETECTION_SCORE_THRESH", 0.0), "test").records
    )
    assert len(build_dataset(cfg_for(movies, "AVA.FULL_TEST_ON_VAL", True), "val")) == len(test)


@pytest.mark.parametrize("arch", ["slow", "slowfast", "avslowfast"])
def test_a_batch_without_boxes_trains(movies, arch):
    cfg = cfg_for(
        movies,
        "MODEL.ARCH",
        arch,
        "TRAIN.BATCH_SIZE",
        4,
        "AVA.TRAIN_USE_COLOR_AUGMENTATION",
        True,
        "AVA.TRAIN_PCA_JITTER_ONLY",
        False,
    )
    model, task = build_model(cfg), build_task(cfg, torch.device("cpu"))
    batch = next(iter(build_loader(cfg, "train")))
    assert batch["boxes"].shape[1] == 5
    assert len(batch["boxes"]) == len(batch["targets"])
    assert set(batch["boxes"][:, 0].tolist()) <= {0, 1, 2, 3}
    losses = [task.losses(model, batch, False, 0)]
    none = {**batch, "boxes": torch.zeros(0, 5), "targets": torch.zeros(0, 6)}
    losses.append(task.losses(model, none, False, 0))
    for loss in losses:
        loss["loss"].backward()
    assert float(losses[0]["loss_cls"]) > 0
    assert float(losses[1]["loss_cls"]) == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_frames_of_different_sizes_are_scored_together(movies):
    cfg = cfg_for(movies)
    model, task = build_model(cfg).eval(), build_task(cfg, torch.device("cpu"))
    dataset = build_dataset(cfg, "test")
    samples = [dataset[i] for i in (0, 1, 2)]
    wide = {**samples[1], **{name: torch.nn.functional.pad(samples[1][name], (0, 8)) for name in ("slow", "fast")}}
    from avslowfast.loading.collate import collate_boxes

    batch = collate_boxes([samples[0], wide, samples[2]])
    with torch.no_grad():
        frames = task.scores(model, batch, 8).frames
        alone = task.scores(model, collate_boxes([samples[2]]), 8).frames[0]
    assert [len(s) for s in frames] == [2, 2, 2]
    assert np.allclose(frames[2], alone, rtol=1e-5, atol=1e-6)


def test_a_run_on_boxes_from_start_to_end(movies, tmp_path):
    args = [
        *BOXES,
        "DATA.PATH_TO_DATA_DIR",
        movies,
        "DATA.PATH_PREFIX",
        movies / "videos",
        "OUTPUT_DIR",
        tmp_path / "out",
        "TRAIN.BATCH_SIZE",
        8,
        "SOLVER.MAX_EPOCH",
        2,
        "BN.NUM_BATCHES_PRECISE",
        2,
        "LOG_PERIOD",
        2,
        "TRAIN.EVAL_PERIOD",
        1,
        "LOG_MODEL_INFO",
        False,
        "NUM_CPU_PROCESSES",
        2,
    ]
    run(args)
    results = json.load(open(os.path.join(output_of(args), "results.json")))
    dataset = build_dataset(cfg_for(movies), "test")
    assert results["videos"] == len(dataset)
    assert 0 <= results["map"] <= 100
    assert set(results["per_class_ap"]) == set(dataset.class_names)
    lines = open(os.path.join(output_of(args), "detections.csv")).read().split("\n")[:-1]
    assert len(lines) == len(dataset) * 2 * 6
    assert lines[0].startswith("val000,903,")
    # The tool gives the same figure from the file.
    values = evaluate(
        "ava",
        "--groundtruth",
        movies / "ava_val_v2.2.csv",
        "--detections",
        os.path.join(output_of(args), "detections.csv"),
        "--label-map",
        movies / "ava_action_list_v2.2_for_activitynet_2019.pbtxt",
    )
    assert 100 * values["mAP"] == pytest.approx(results["map"], abs=1e-9)
    assert "boxes lay outside their crops" in open(os.path.join(output_of(args), "stdout.log")).read()


@pytest.mark.parametrize(
    "line, words",
    [
        ("val000,0902,0.1,0.1,x,0.5,1", "line 1: x2 is 'x', not a number"),
        ("val000,0902,0.1,0.1,0.4,0.5,9,3", "line 1: the action 9 is above 6"),
        ("val000,0100,0.1,0.1,0.4,0.5,1,3", "no boxes at seconds 902 to 1798"),
    ],
)
def test_mistakes_in_box_lists_are_named(movies, tmp_path, line, words):
    (tmp_path / "x.csv").write_text(line + "\n")
    with pytest.raises(ConfigError, match=words):
        build_dataset(
            cfg_for(movies, "AVA.TRAIN_GT_BOX_LISTS", ["x.csv"], "AVA.ANNOTATION_DIR", str(tmp_path)), "train"
        )


def test_a_data_set_of_boxes_needs_a_head_for_boxes(movies):
    with pytest.raises(ConfigError, match="DETECTION.ENABLE is False: the data set 'ava' classifies boxes"):
        build_dataset(tiny_cfg("TRAIN.DATASET", "ava", "DATA.PATH_TO_DATA_DIR", str(movies)), "train")
    with pytest.raises(ConfigError, match="TASK"):
        tiny_cfg("TASK", "detection")


def test_published_yaml_of_ava_and_charades_loads(tmp_path):
    (tmp_path / "ava.yaml").write_text(
        "TRAIN:\n  DATASET: ava\n  CHECKPOINT_TYPE: caffe2\nDETECTION:\n  ENABLE: True\n  ALIGNED: True\n"
        "AVA:\n  DETECTION_SCORE_THRESH: 0.8\n"
        '  TRAIN_PREDICT_BOX_LISTS: [\n    "ava_train_v2.2.csv",\n    "x.csv",\n  ]\n'
        "SOLVER:\n  LR_POLICY: steps_with_relative_lrs\n"
        "  STEPS: [0, 10, 5, 5]\n  LRS: [1, 0.1, 0.01, 0.001]\n  MAX_EPOCH: 20\n  WARMUP_EPOCHS: 5\n"
        "MODEL:\n  NUM_CLASSES: 80\n  LOSS_FUNC: bce\n"
        "  ARCH: slowfast\nDATA:\n  NUM_FRAMES: 32\nSLOWFAST:\n  ALPHA: 4\nTEST:\n  DATASET: ava\n"
    )
    cfg = load_cfg(tmp_path / "ava.yaml")
    assert build_model(cfg).head.act == "sigmoid"
    assert cfg.AVA.TRAIN_PREDICT_BOX_LISTS[1] == "x.csv"
    rates = [stepped_lr(e, base_lr=1.0, steps=cfg.SOLVER.STEPS, rates=cfg.SOLVER.LRS) for e in (0, 7, 9.9, 10, 19)]
    assert rates == [1, 1, 1, 0.001, 0.001]
