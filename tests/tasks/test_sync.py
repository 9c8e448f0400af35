"""Synchronisation as a task: negatives, metrics, offsets; pre-training without labels, rotation, probing, transfer."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT, tiny_cfg
from helpers.lists import copy_lists
from helpers.networks import make
from helpers.runs import ENV, log_of, output_of, run, stats, weights, with_output
from hypothesis import given
from hypothesis import strategies as st

import avslowfast
from avslowfast.checkpoint import load_weights, read_checkpoint
from avslowfast.checkpoint.record import resolve
from avslowfast.clips import spans as clips
from avslowfast.config import ConfigError, load_cfg
from avslowfast.evaluation.metrics import retrieval, sync
from avslowfast.inference.offset import AMBIGUOUS, CONFIDENT, estimate_offset, SyncNotMeasurableError
from avslowfast.loading import build_dataset, build_loader
from avslowfast.loading.build import clip_settings
from avslowfast.media import VideoReader, write_video
from avslowfast.models import build_model
from avslowfast.models.avs import pair_up, sync_loss
from avslowfast.models.build import input_shapes
from avslowfast.synthav import render_clip, render_dataset
from avslowfast.synthav.render import FPS, SAMPLE_RATE
from avslowfast.tasks.build import build_task
from avslowfast.tasks.pretexts.avs import stage_distances
from avslowfast.tasks.pretexts.rotation import rotated

CPU = torch.device("cpu")
SYNC = ROOT / "configs/SynthAV/SYNC_AVSLOWFAST_TINY.yaml"
SMALL = ("RESNET.WIDTH_PER_GROUP", 8, "SYNC.MAX_SHIFT", 0.4, "SYNC.SHIFT_STEP", 0.2, "DATA_LOADER.NUM_WORKERS", 0)


@pytest.fixture(scope="module")
def bounces(tmp_path_factory):
    """Six-second bounces: 16 for training, 8 for validation and test each."""
    folder = tmp_path_factory.mktemp("bounces")
    render_dataset(folder, "bounces", {"train": 16, "val": 8, "test": 8}, seed=3)
    return folder


@pytest.fixture
def bounce_args(bounces, run_args):
    return [*run_args, "DATA.PATH_TO_DATA_DIR", str(bounces), *SMALL, "MODEL.NUM_CLASSES", 6]


@given(
    start=st.floats(0, 10),
    duration=st.floats(0.5, 3),
    length=st.floats(1, 20),
    gap=st.floats(0.05, 0.5),
    seed=st.integers(0, 2**31),
)
def test_super_hard_negatives_overlap_the_clip_keep_their_gap_and_stay_inside(start, duration, length, gap, seed):
    at = clips.shifted_start(start, duration, 0.0, length, gap, duration, np.random.default_rng(seed))
    if at is not None:
        assert at >= -1e-9 and at + duration <= length + 1e-9 and gap - 1e-9 <= abs(at - start) <= duration + 1e-9


def test_super_hard_negatives_come_from_the_loader(bounces):
    def starts(*args):
        cfg = tiny_cfg(
            "DATA.PATH_TO_DATA_DIR",
            str(bounces),
            "DATA.GET_MISALIGNED_AUDIO",
            True,
            "DATA.MIX_NEG_EPOCH",
            0,
            "DATA.EASY_NEG_RATIO",
            0.0,
            "MODEL.NUM_CLASSES",
            6,
            *args,
        )
        dataset = build_dataset(cfg, "train")
        return [dataset[i]["audio_hard_negative"] for i in range(8)]

    hard, near = starts(), starts("SYNC.SUPER_HARD_RATIO", 1.0)
    assert all(not torch.equal(a, b) for a, b in zip(hard, near))


def test_the_curriculum_goes_by_epochs_or_by_progress():
    def begins(*args):
        return clip_settings(
            tiny_cfg("DATA.GET_MISALIGNED_AUDIO", True, "SOLVER.MAX_EPOCH", 40, *args)
        ).audio.hard_from_epoch

    assert begins("DATA.MIX_NEG_EPOCH", 7) == 7 and begins("DATA.MIX_NEG_EPOCH", 7, "SYNC.HARD_FROM", 0.25) == 10


def test_measured_sound_is_the_files_own_at_each_shift(bounces):
    cfg = load_cfg(SYNC, ["DATA.PATH_TO_DATA_DIR", str(bounces), *SMALL])
    dataset = build_dataset(cfg, "test")
    sample = dataset[0]
    shifts = dataset.clip_reader.settings.audio.shifts
    assert np.allclose(shifts, [-0.4, -0.2, 0.0, 0.2, 0.4]) and sample["audio_shifts"].shape[:2] == (2, 5)
    # Cut from one decode of all shifts, up to a fraction of a sample, which moves quiet cells a little. Other shifts
    # differ at large.
    assert (
        (sample["audio_shifts"][:, 2] - sample["audio"]).abs().mean()
        < 0.02
        < 0.2
        < (sample["audio_shifts"][0, 3] - sample["audio"][0]).abs().mean()
    )
    # The first view begins with the file and the last ends with it: what lies beyond does not count.
    assert sample["audio_shifts_mask"].tolist() == [[False, False, True, True, True], [True, True, True, False, False]]
    start, length = clips.audio_span(float(sample["start"][0]), dataset.clip_reader.settings.duration, 64, 0.032, 0.016)
    with VideoReader(dataset.records[0].path) as reader:
        expected, _ = reader.read_audio(start + 0.4, length)
    assert (
        sample["audio_shifts"][0, 4] - dataset.clip_reader.settings.audio.front_end(torch.from_numpy(expected))
    ).abs().mean() < 0.02
    assert sample["audio_hard_mask"].all() and not torch.allclose(sample["audio_hard"], sample["audio"])
    # The same whenever it is asked for, and only where synchronisation is measured.
    assert torch.equal(dataset[0]["audio_hard"], sample["audio_hard"])
    plain = build_dataset(tiny_cfg("DATA.PATH_TO_DATA_DIR", str(bounces), "MODEL.NUM_CLASSES", 6), "test")[0]
    assert not [name for name in plain if "shift" in name or "hard" in name]


def test_pair_metrics():
    own, other = np.array([0.1, 0.5, 0.3, np.nan]), np.array([0.4, 0.2, 0.3, 0.9])
    assert sync.pair_accuracy(own, other) == pytest.approx(50.0)
    assert sync.threshold_accuracy(own, other) == pytest.approx(50 * (2 / 3 + 1 / 4))
    assert np.isnan(sync.pair_accuracy(own[3:], other[3:]))
    visual = np.eye(4)[:, None] * 0.5
    # Two views of one video are no negatives of each other, nor is a clip without sound.
    audio = visual.copy()
    audio[3] = np.nan
    found = sync.easy_distances(visual, audio, np.array([0, 0, 1, 2]))
    assert found == pytest.approx([np.sqrt(0.5)] * 4)
    audio[2] = visual[0]
    assert sync.easy_distances(visual, audio, np.array([0, 0, 1, 2]))[0] == 0
    assert sync.histogram(np.array([0.0, 0.49, 1.0, np.nan]), 2) == [2, 1]


def test_the_offset_is_the_curves_minimum_between_its_points():
    shifts = np.arange(-5, 6) * 0.1
    distances = np.stack([0.3 + (shifts - 0.13) ** 2, 0.1 + 2 * (shifts - 0.13) ** 2])
    distances[1, -2:] = np.nan
    curve = sync.offset_curve(distances)
    assert abs(sync.offset_estimate(shifts, curve) - 0.13) < 0.01
    assert sync.offset_estimate(shifts, shifts) == pytest.approx(-0.5)
    assert np.isnan(sync.offset_estimate(shifts, np.full(11, np.nan)))


def test_retrieval_counts_a_query_once_any_of_its_k_nearest_has_its_class():
    gallery, labels = np.array([[1, 0], [0.9, 0.1], [0, 1.0], [-1, 0]]), np.array([0, 1, 1, 2])
    found = retrieval.recall_at_k(gallery[[0, 3]], np.array([1, 0]), gallery, labels, (1, 2, 4))
    assert found == {1: 0.0, 2: 50.0, 4: 100.0}


@pytest.mark.parametrize("pool", ["mean", "time"])
@pytest.mark.parametrize("kind", ["a2fs", "a2f2s"])
def test_embeddings_are_those_that_the_loss_compares(pool, kind):
    model, inputs = make("LATERAL.AUDIO", kind, "SYNC.POOL", pool, "DATA.AUDIO_FRAME_NUM", 128, "SLOWFAST.AU_ALPHA", 32)
    model.train()
    losses = model(inputs, drop_audio=True)["losses"]
    found = model.sync_embeddings(inputs)
    assert list(found) == ["res3", "res4", "res5"]
    for stage, (visual, audio) in found.items():
        torch.testing.assert_close(sync_loss(visual, audio, pair_up(inputs["audio"])), losses[f"avs_{stage}"])


def test_pooled_features_keep_the_senses_apart_or_join_them():
    model, inputs = make()
    model.eval()
    other = {**inputs, "audio": inputs["audio"].flip(0)}
    with torch.no_grad():
        apart, joined = model.pooled_features(inputs, fuse=False), model.pooled_features(inputs)
        assert torch.equal(apart["slow"], model.pooled_features(other, fuse=False)["slow"])
        assert not torch.allclose(joined["slow"], model.pooled_features(other)["slow"])
        assert {name: x.shape[1] for name, x in joined.items()} == model.head.channels
        silent = model.pooled_features({k: v for k, v in inputs.items() if k != "audio"})
        torch.testing.assert_close(silent["slow"], apart["slow"])
        assert model.pooled_features(inputs, "res3")["audio"].shape[1] == model.pathways["audio"].channels["res3"]
        scores = model(inputs)["scores"]
        features = torch.cat([joined[name] for name in model.head.channels], dim=1)
        torch.testing.assert_close(model.head.projection(features).softmax(1), scores)


def test_rotated_clips():
    clip = torch.arange(2 * 2 * 3 * 3.0).view(2, 1, 2, 3, 3)
    out = rotated(clip, torch.tensor([0, 3]))
    assert torch.equal(out[0], clip[0]) and torch.equal(out[1, 0, 1], torch.rot90(clip[1, 0, 1], 3))


@pytest.mark.parametrize("tasks", [["avs"], ["rotation"], ["avs", "rotation"]])
def test_each_pretext_task_trains_what_it_needs(tasks):
    cfg = tiny_cfg("TASK", "pretrain", "PRETRAIN.TASKS", tasks, "RESNET.WIDTH_PER_GROUP", 8)
    model, task = build_model(cfg).train(), build_task(cfg, CPU)
    batch = {name: torch.randn(shape) for name, shape in input_shapes(cfg, 48, 4).items()}
    losses = task.losses(model, batch, False, 0)
    assert ("loss_rotation" in losses) == ("rotation" in tasks) and any(n.startswith("avs") for n in losses) == (
        "avs" in tasks
    )
    losses["loss"].backward()
    touched = {n.split(".")[0] + "." + n.split(".")[1] for n, p in model.named_parameters() if p.grad is not None}
    assert ("pathways.audio" in touched) == ("avs" in tasks) and "pathways.slow" in touched
    assert ("head.rotation" in touched) == ("rotation" in tasks) and "head.projection" not in dict(
        model.named_modules()
    )
    # The pictures of a batch are rotated alike after a resume, and otherwise in the next iteration.
    assert torch.equal(losses["loss"], task.losses(model, batch, True, 0)["loss"])


@pytest.mark.parametrize(
    "overrides, words",
    [
        (["TASK", "sync", "SLOWFAST.AVS_FLAG", [False] * 5], "no stage compares"),
        (["TASK", "pretrain", "PRETRAIN.TASKS", ["colour"]], "PRETRAIN.TASKS"),
        (["TASK", "pretrain", "PRETRAIN.TASKS", []], "nothing to learn"),
        (["SYNC.POOL", "time", "LATERAL.AUDIO", "av_nonlocal"], "SYNC.POOL"),
        (["SYNC.SHIFT_STEP", 2.0], "SYNC.SHIFT_STEP"),
        (["TASK", "probe", "DETECTION.ENABLE", True], "DETECTION.ENABLE"),
    ],
)
def test_what_cannot_work_is_said(overrides, words):
    with pytest.raises(ConfigError, match=words):
        tiny_cfg(*overrides)


def test_pre_training_reads_no_label_and_its_weights_start_a_classifier(bounce_args, bounces, tmp_path):
    """Lists with other labels, or without any, give the same weights. All but the rotation head starts a classifier."""
    args = (
        "TASK",
        "pretrain",
        "PRETRAIN.TASKS",
        ["avs", "rotation"],
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0.0,
        "DATA.GET_MISALIGNED_AUDIO",
        True,
        "SYNC.HARD_FROM",
        0.0,
    )
    one = with_output(bounce_args, tmp_path / "one")
    run(one, *args)
    bare = tmp_path / "bare"
    bare.mkdir()
    for split in ("train", "val", "test"):
        lines = (bounces / f"{split}.csv").read_text().split()[::2]
        (bare / f"{split}.csv").write_text("".join(f"{bounces / line}\n" for line in lines))
    two = with_output(bounce_args, tmp_path / "two")
    run(two, *args, "DATA.PATH_TO_DATA_DIR", str(bare))
    a, b = (weights(output_of(args), 1)["model_state"] for args in (one, two))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    results = json.load(open(os.path.join(output_of(one), "results.json")))
    assert {"sync", "res5_hard", "res4_easy_threshold_accuracy", "res3_offset_ms", "rotation_top1"} <= set(results)
    found = results["synchronisation"]["res4"]
    assert len(found["shifts"]) == len(found["distance"]) == 5 and sum(found["histogram"]["in_sync"]) == 16
    assert stats(output_of(one), "val_epoch")[-1]["sync"] >= 0
    model = build_model(tiny_cfg("RESNET.WIDTH_PER_GROUP", 8, "MODEL.NUM_CLASSES", 4))
    report = load_weights(model, resolve(output_of(one)))
    assert {name for name in report.fresh} == {"head.projection.weight", "head.projection.bias"} and report.dropped == [
        "head.rotation.weight",
        "head.rotation.bias",
    ]
    # Measured on its own, by the task of synchronisation, which needs no head.
    three = with_output(bounce_args, tmp_path / "three")
    run(three, "TASK", "sync", "TRAIN.ENABLE", False, "TEST.CHECKPOINT_FILE_PATH", output_of(one))
    again = json.load(open(os.path.join(output_of(three), "results.json")))
    assert again["res5_hard"] == results["res5_hard"] and "rotation_top1" not in again


def test_a_probe_keeps_its_features_and_looks_things_up(bounce_args, bounces, tmp_path):
    lists = copy_lists(bounces, tmp_path, lambda split, lines: lines)
    args = ("DATA.PATH_TO_DATA_DIR", lists, "TASK", "probe", "PROBE.RANDOM_WEIGHTS", True, "PROBE.C", [1.0])
    run(bounce_args, *args)
    folder = output_of(bounce_args)
    results = json.load(open(os.path.join(folder, "results.json")))
    assert {
        f"{modality}_{name}"
        for modality in ("visual", "audio", "audiovisual")
        for name in ("top1", "top5", "r1", "r5", "r10")
    } <= set(results)
    before = os.path.getmtime(os.path.join(folder, "features_train.pt"))
    run(bounce_args, *args, "PROBE.C", [10.0])
    assert os.path.getmtime(os.path.join(folder, "features_train.pt")) == before
    assert "come from" in open(os.path.join(folder, "stdout.log")).read()
    # Other first weights are other features.
    run(bounce_args, *args, "RNG_SEED", 5)
    assert os.path.getmtime(os.path.join(folder, "features_train.pt")) > before
    # So are those of a list that has changed since.
    copy_lists(bounces, tmp_path, lambda split, lines: lines[:-1] if split == "train" else lines)
    run(bounce_args, *args, "RNG_SEED", 5)
    assert len(read_checkpoint(os.path.join(folder, "features_train.pt"))["labels"]) == 15
    done = run(bounce_args, "TASK", "probe", code=2)
    assert "set TEST.CHECKPOINT_FILE_PATH" in done.stderr


@pytest.mark.parametrize(
    "counts, code, words",
    [
        # The strength of the classifier cannot be validated, but it can be trained.
        ((1, 4), 0, "has a single training video: PROBE.C 1 is used without cross-validation"),
        ((1, 1), 0, "has a single training video: PROBE.C 1 is used without cross-validation"),
        ((4, 0), 2, "all training videos that can be read are of class"),
    ],
)
def test_a_probe_of_very_few_videos(bounce_args, bounces, tmp_path, counts, code, words):
    def few(split, lines):
        by_class = {}
        for line in lines:
            by_class.setdefault(line.split()[-1], []).append(line)
        fullest = sorted(by_class.values(), key=len)[-len(counts) :]
        return [line for of_class, n in zip(fullest, counts) for line in of_class[:n]] if split == "train" else lines

    lists = copy_lists(bounces, tmp_path, few)
    args = ("DATA.PATH_TO_DATA_DIR", lists, "TASK", "probe", "PROBE.RANDOM_WEIGHTS", True)
    done = run(bounce_args, *args, code=code)
    assert words in (done.stderr if code else log_of(output_of(bounce_args)))
    assert "Traceback" not in done.stderr


def test_a_fraction_of_the_training_videos_keeps_the_share_of_every_class(bounces):
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(bounces), "MODEL.NUM_CLASSES", 6, "DATA.TRAIN_FRACTION", 0.5)
    labels = [record.label for record in build_dataset(cfg, "train").records]
    whole = [
        record.label
        for record in build_dataset(
            tiny_cfg("DATA.PATH_TO_DATA_DIR", str(bounces), "MODEL.NUM_CLASSES", 6), "train"
        ).records
    ]
    assert np.bincount(labels).tolist() == [max(round(n / 2), 1) for n in np.bincount(whole)]
    assert len(build_dataset(cfg, "val")) == 8


def test_distances_are_nan_where_no_sound_exists(bounces):
    cfg = load_cfg(SYNC, ["DATA.PATH_TO_DATA_DIR", str(bounces), *SMALL])
    model, task = build_model(cfg).eval(), build_task(cfg, CPU)
    batch = next(iter(build_loader(cfg, "test")))
    with torch.no_grad():
        found = stage_distances(model, task.inputs(batch))["res4"]
    assert torch.equal(found[:, 2:].isnan(), ~batch["audio_shifts_mask"]) and not found[:, :2].isnan().any()
    assert found.nan_to_num().min() >= 0 and found.nan_to_num().max() <= 1
    # At no shift it is the clip's own sound.
    torch.testing.assert_close(found[:, 4], found[:, 0], atol=0.02, rtol=0)


def test_checking_the_offset_of_files(bounces, tmp_path):
    cfg = load_cfg(SYNC, [*SMALL])
    torch.save({"model_state": build_model(cfg).state_dict(), "cfg": cfg.dump()}, tmp_path / "w.pyth")
    model, _ = avslowfast.load_model(tmp_path / "w.pyth")
    found = estimate_offset(model, bounces / "test/000000.mp4", max_shift=0.4, step=0.2)
    assert len(found.shifts) == 5
    assert list(found.curves) == ["res3", "res4", "res5"]
    assert found.clips == 10
    # A network that was never trained knows nothing, and says so.
    assert found.seconds is None
    assert abs(found.lowest) <= 0.4
    assert repr(found).startswith("Offset(cannot tell: ")
    silent = tmp_path / "silent.mp4"
    write_video(silent, render_clip("bounces", 0, "test", 0).frames, FPS)
    with pytest.raises(SyncNotMeasurableError, match="silent.mp4: no audio"):
        estimate_offset(model, silent)
    with pytest.raises(SyncNotMeasurableError, match="not at pool1"):
        estimate_offset(model, silent, stages=["pool1"])


def test_files_and_folders_are_measured_whatever_lies_between(bounces, tmp_path):
    """A broken file and one without audio are named; the tables have them all; the exit code says so."""
    cfg = load_cfg(SYNC, [*SMALL])
    torch.save({"model_state": build_model(cfg).state_dict(), "cfg": cfg.dump()}, tmp_path / "w.pyth")
    (tmp_path / "v/deep").mkdir(parents=True)
    shutil.copy(bounces / "test/000000.mp4", tmp_path / "v/deep/a.mp4")
    (tmp_path / "v/b.mp4").write_text("no video")
    write_video(tmp_path / "v/c.mp4", render_clip("bounces", 0, "test", 0).frames[:40], FPS)
    shutil.copy(bounces / "test/000001.mp4", tmp_path / "d.mp4")
    words = ["--weights", tmp_path / "w.pyth", "--max-shift", 0.4, "--step", 0.2]
    tables = ["--csv", tmp_path / "x.csv", "--json", tmp_path / "x.json", "--plot", tmp_path / "x.png"]
    tool = [sys.executable, str(ROOT / "tools/check_sync.py"), *map(str, words)]
    paths = [str(tmp_path / name) for name in ("v/b.mp4", "v/c.mp4", "v/deep/a.mp4", "d.mp4")]
    done = subprocess.run(
        [*tool, str(tmp_path / "v"), paths[3], *map(str, tables)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"error: {paths[0]}: " in done.stderr
    assert f"error: {paths[1]}: no audio in the file" in done.stderr
    for path in paths[2:]:
        assert f"{path}: cannot tell (confidence " in done.stdout
    with open(tmp_path / "x.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    assert [row["path"] for row in rows] == paths
    assert [bool(row["error"]) for row in rows] == [True, True, False, False]
    assert rows[1]["error"].startswith("no audio in the file")
    assert all(row["seconds"] == "" and row["reason"] and row["clips"] == "10" for row in rows[2:])
    content = json.loads((tmp_path / "x.json").read_text())
    assert [row["path"] for row in content] == paths
    assert [row["seconds"] for row in content] == [None] * 4
    assert content[2]["confidence"] == pytest.approx(float(rows[2]["confidence"]))
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["x_2.png", "x_3.png"]


def curves_of(rng, clips, offset=None, depth=1.5, count=75):
    """[clips, shifts] of smooth noise, with a dip at an offset (in steps from the middle) where there is one."""
    noise = rng.standard_normal((clips, count + 60))
    noise = np.stack([np.convolve(row, np.hanning(9), "same") for row in noise])[:, 30:-30]
    if offset is not None:
        noise -= depth * noise.std() * np.exp(-(((np.arange(count) - count // 2 - offset) / 2.0) ** 2))
    return 0.5 + 0.01 * noise


SHIFTS = (np.arange(75) - 37) * 0.04


def test_clips_that_agree_are_evidence_and_others_are_not():
    rng = np.random.default_rng(1)
    nothing = [sync.offset_evidence(SHIFTS, curves_of(rng, clips), 200) for clips in (3, 5, 10, 32) * 15]
    assert np.mean([found.confidence >= CONFIDENT for found in nothing]) <= 0.05
    for offset in (-20, 0, 7):
        found = sync.offset_evidence(SHIFTS, curves_of(rng, 10, offset, 3.0), 200)
        assert found.confidence > 2 * CONFIDENT
        assert found.second < AMBIGUOUS
        assert not found.at_the_end
    # However small the distances' range is.
    scaled = sync.offset_evidence(SHIFTS, 1e-3 * curves_of(np.random.default_rng(2), 10, 0, 3.0), 200)
    assert scaled.confidence > 2 * CONFIDENT


def test_a_minimum_at_the_end_or_twice_is_no_claim():
    rng = np.random.default_rng(1)
    assert sync.offset_evidence(SHIFTS, curves_of(rng, 10, 37, 3.0), 200).at_the_end
    twice = curves_of(rng, 10, -15, 3.0) + curves_of(rng, 10, 15, 3.0)
    assert sync.offset_evidence(SHIFTS, twice, 200).second > AMBIGUOUS
    assert sync.offset_evidence(SHIFTS, np.full((4, 75), np.nan)).confidence == 0
    assert sync.offset_evidence(SHIFTS, np.full((4, 75), 0.5)).confidence == 0


def test_one_clip_a_rank_finds_its_easy_negatives_on_the_others(bounce_args, tmp_path):
    args = (
        "TASK",
        "sync",
        "TRAIN.BATCH_SIZE",
        2,
        "BN.NORM_TYPE",
        "frozen_batchnorm",
        "LOG_PERIOD",
        1,
        "TEST.ENABLE",
        False,
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0.0,
        "BN.USE_PRECISE_STATS",
        False,
        "SOLVER.BASE_LR",
        0.01,
    )
    one, two = with_output(bounce_args, tmp_path / "one"), with_output(bounce_args, tmp_path / "two")
    run(one, *args)
    run(two, *args, "NUM_CPU_PROCESSES", 2)
    a, b = stats(output_of(one), "train_iter"), stats(output_of(two), "train_iter")
    assert len(a) == len(b) == 8 and all(abs(x["loss"] - y["loss"]) < 1e-4 and x["loss"] > 0 for x, y in zip(a, b))


def config(name, *args):
    """A run of a SynthAV configuration; its results."""
    words = [str(word) for word in args]
    command = [
        sys.executable,
        str(ROOT / "tools/run_net.py"),
        "--cfg",
        str(ROOT / f"configs/SynthAV/{name}.yaml"),
        *words,
    ]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.load(open(os.path.join(words[words.index("OUTPUT_DIR") + 1], "results.json")))


@pytest.fixture(scope="module")
def all_bounces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("all")
    subprocess.run(
        [sys.executable, str(ROOT / "tools/make_synthav.py"), "--variant", "bounces", "--out", str(folder)], check=True
    )
    return folder


@pytest.mark.slow
def test_the_small_network_learns_synchronisation_and_recovers_offsets(all_bounces, tmp_path):
    found = config("SYNC_AVSLOWFAST_TINY", "DATA.PATH_TO_DATA_DIR", all_bounces, "OUTPUT_DIR", tmp_path / "out")
    assert max(found["res4_hard"], found["res5_hard"]) >= 85 and max(found["res4_easy"], found["res5_easy"]) >= 95
    model, _ = avslowfast.load_model(tmp_path / "out")
    errors, told, claims = [], 0, 0
    for number, offset in enumerate([-1.0, -0.5, -0.2, 0.2, 0.5, 1.0] * 2):
        # Of a split and a seed that nothing was trained or chosen on.
        clip = render_clip("bounces", 99, "test", number)
        write_video(
            tmp_path / "x.mp4",
            clip.frames,
            FPS,
            clip.audio,
            SAMPLE_RATE,
            audio_start=max(offset, 0),
            video_start=max(-offset, 0),
        )
        found = estimate_offset(model, tmp_path / "x.mp4")
        errors.append(abs(found.lowest - offset))
        told += found.seconds is not None
        # Nothing moves, or nothing is heard but noise: there is no offset.
        still = np.repeat(clip.frames[:1], len(clip.frames), axis=0)
        noise = 0.2 * np.random.default_rng(number).standard_normal(len(clip.audio)).astype(np.float32)
        for name, frames, audio in (("still", still, clip.audio), ("noise", clip.frames, noise)):
            write_video(tmp_path / f"{name}.mp4", frames, FPS, audio, SAMPLE_RATE)
            claims += estimate_offset(model, tmp_path / f"{name}.mp4").seconds is not None
    assert np.median(errors) < 0.060
    assert told >= 9
    assert claims <= 1


@pytest.mark.slow
def test_pre_training_helps_a_probe_and_a_classifier_with_few_labels(all_bounces, tmp_path):
    data = ("DATA.PATH_TO_DATA_DIR", all_bounces, "OUTPUT_DIR")
    config("PRETRAIN_AVSLOWFAST_TINY", *data, tmp_path / "pre")
    fresh = config("PROBE_AVSLOWFAST_TINY", *data, tmp_path / "fresh", "PROBE.RANDOM_WEIGHTS", True)
    learnt = config("PROBE_AVSLOWFAST_TINY", *data, tmp_path / "learnt", "TEST.CHECKPOINT_FILE_PATH", tmp_path / "pre")
    assert learnt["visual_top1"] > fresh["visual_top1"] + 10 and learnt["visual_r1"] > fresh["visual_r1"] + 10
    nothing = config("BOUNCES_AVSLOWFAST_TINY", *data, tmp_path / "nothing")
    tuned = config("BOUNCES_AVSLOWFAST_TINY", *data, tmp_path / "tuned", "TRAIN.CHECKPOINT_FILE_PATH", tmp_path / "pre")
    assert tuned["top1"] > nothing["top1"] + 5
