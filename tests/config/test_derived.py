"""Facts that follow from the configuration are derived in config/ alone."""

import ast
import os

import pytest
from helpers import ROOT, tiny_cfg

from avslowfast.config import derived

# Keys behind derived facts (by their last part), with the function that others call instead.
KEYS = {
    "REVERSE_INPUT_CHANNEL": "is_bgr, pixel_mean, pixel_std",
    "USE_BGR_ORDER": "is_bgr, pixel_mean, pixel_std",
    "BGR": "is_bgr, pixel_mean, pixel_std",
    "TASK": "task_name, task_facts, pretexts",
    "DETECTION.ENABLE": "task_facts(cfg).boxes",
    "PRETRAIN.TASKS": "pretexts, pretext_facts",
    "AVS_FLAG": "has_sync_heads, sync_stages, measures_sync",
    "GET_MISALIGNED_AUDIO": "reads_hard_negatives",
    "MIX_NEG_EPOCH": "hard_negatives_from_epoch",
    "HARD_FROM": "hard_negatives_from_epoch",
    "HEAD_ACT": "score_activation",
    "MULTI_HEAD.NUM_CLASSES": "head_classes",
    "NUM_SHARDS": "machines, ranks_per_machine, train_passes_per_step, train_videos_per_pass, train_clips_per_step, "
    "most_videos, lr_scale",
    "TEST.BATCH_SIZE": "test_clips_per_pass, most_videos",
    "TENSORBOARD.ENABLE": "loggers",
    "SLS_PT": "supervision_levels",
    "SLS_TL": "supervision_levels",
    "SLS_TD": "supervision_levels",
}
# {(file, key): why it reads the key itself}.
EXCEPTIONS = {
    ("engine/launch.py", "NUM_SHARDS"): "starts the processes of several machines and names the key in its messages",
}
FILES = [
    path
    for room in ("avslowfast", "tools", "benchmarks", "examples")
    for path in sorted((ROOT / room).rglob("*.py"))
    if path.parent != ROOT / "avslowfast/config"
]


def keys_read(path):
    """Dotted keys of KEYS that a file reads, as an attribute or as a subscript of a name or attribute."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            leaf, holder = node.attr, node.value
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            leaf, holder = node.slice.value, node.value
        else:
            continue
        node_name = holder.attr if isinstance(holder, ast.Attribute) else ""
        for key in (leaf, f"{node_name}.{leaf}"):
            if key in KEYS:
                yield key


def name_of(path):
    return path.relative_to(ROOT).as_posix().removeprefix("avslowfast/")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_keys_behind_derived_facts_are_read_in_config_alone(path):
    read = {key for key in keys_read(path) if (name_of(path), key) not in EXCEPTIONS}
    assert not read, "; ".join(f"call config.derived.{KEYS[key]} instead of reading {key}" for key in read)


def test_every_exception_is_needed():
    assert {(name_of(path), key) for path in FILES for key in keys_read(path)} >= set(EXCEPTIONS)


def test_the_architecture_is_compared_with_names_in_config_alone():
    compared = [
        f"{name_of(path)}, line {node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(part, ast.Attribute) and part.attr == "ARCH" for part in ast.walk(node))
    ]
    assert not compared


@pytest.mark.parametrize(
    "overrides, bgr",
    [
        ([], False),
        (["DATA.REVERSE_INPUT_CHANNEL", True], True),
        (["DATA.USE_BGR_ORDER", True], True),
        (["AVA.BGR", True], False),
        (["AVA.BGR", True, "DETECTION.ENABLE", True, "SLOWFAST.AVS_FLAG", [False] * 5], True),
    ],
)
def test_channel_order_and_statistics_agree(overrides, bgr):
    cfg = tiny_cfg("DATA.MEAN", [0.1, 0.2, 0.3], "DATA.STD", [0.4, 0.5, 0.6], *overrides)
    assert derived.is_bgr(cfg) == bgr
    assert derived.pixel_mean(cfg) == ((0.3, 0.2, 0.1) if bgr else (0.1, 0.2, 0.3))
    assert derived.pixel_std(cfg) == ((0.6, 0.5, 0.4) if bgr else (0.4, 0.5, 0.6))


PRETRAIN = ["TASK", "pretrain", "TEST.NUM_SPATIAL_CROPS", 1, "DATA.GET_MISALIGNED_AUDIO", True]


@pytest.mark.parametrize(
    "overrides, heads, measures, hard",
    [
        (["DATA.GET_MISALIGNED_AUDIO", True], True, False, True),
        (["DATA.GET_MISALIGNED_AUDIO", False], True, False, False),
        (["SLOWFAST.AVS_FLAG", [False] * 5, "DATA.GET_MISALIGNED_AUDIO", True], False, False, False),
        ([*PRETRAIN, "PRETRAIN.TASKS", ["avs"]], True, True, True),
        ([*PRETRAIN, "PRETRAIN.TASKS", ["avs", "rotation"]], True, True, True),
        ([*PRETRAIN, "PRETRAIN.TASKS", ["rotation"]], False, False, False),
        (["TASK", "sync", "TEST.NUM_SPATIAL_CROPS", 1], True, True, False),
        (["MODEL.ARCH", "slowfast", "DATA.GET_MISALIGNED_AUDIO", True], False, False, False),
    ],
)
def test_synchronisation_is_trained_measured_and_read_where_something_uses_it(overrides, heads, measures, hard):
    cfg = tiny_cfg(*overrides)
    assert derived.has_sync_heads(cfg) == heads
    assert derived.measures_sync(cfg) == measures
    assert derived.reads_hard_negatives(cfg) == hard


def test_clips_per_pass_are_those_of_one_machine():
    cfg = tiny_cfg("NUM_CPU_PROCESSES", 2, "NUM_SHARDS", 4, "TEST.BATCH_SIZE", 8, "TRAIN.BATCH_SIZE", 16)
    assert derived.ranks_per_machine(cfg, world_size=8) == 2
    assert derived.test_clips_per_pass(cfg, world_size=8) == 4
    assert derived.train_videos_per_pass(cfg, world_size=8) == 8
    assert derived.train_clips_per_step(cfg) == 64


def test_folders_that_a_run_writes_to_are_known_by_their_keys(tmp_path):
    keys = ["OUTPUT_DIR", "out", "TEST.SAVE_RESULTS_PATH", "other/scores", "TENSORBOARD.LOG_DIR", "board"]
    assert derived.output_folders(tiny_cfg(*keys, "TENSORBOARD.ENABLE", False)) == {
        "OUTPUT_DIR": "out",
        "TEST.SAVE_RESULTS_PATH": os.path.abspath("other"),
    }
    assert "TENSORBOARD.LOG_DIR" in derived.output_folders(tiny_cfg(*keys))


@pytest.mark.parametrize(
    "overrides, levels",
    [
        ([], (2, 3, 3)),
        (["DATA.TRAIN_PART", "trainval"], (2, 3, 4)),
        (["DATA.TRAIN_PART", "trainval", "EPIC100.SLS_PT", 0, "EPIC100.SLS_TL", 1, "EPIC100.SLS_TD", 2], (0, 1, 2)),
    ],
)
def test_the_levels_of_a_submission_follow_the_part_that_is_trained_on(overrides, levels):
    assert derived.supervision_levels(tiny_cfg(*overrides)) == levels


@pytest.mark.parametrize(
    "world, machines, ranks, passes",
    [(8, 4, 2, 3), (4, 2, 2, 6), (2, 1, 2, 12), (6, 3, 2, 4), (1, 1, 1, 12), (16, 4, 4, 3)],
)
def test_the_clips_of_a_step_do_not_depend_on_how_many_machines_take_part(world, machines, ranks, passes):
    cfg = tiny_cfg("NUM_CPU_PROCESSES", 2, "NUM_SHARDS", 4, "TRAIN.BATCH_SIZE", 48, "TRAIN.ACCUMULATION_STEPS", 3)
    assert derived.machines(cfg, world) == machines
    assert derived.ranks_per_machine(cfg, world) == ranks
    assert derived.train_passes_per_step(cfg, world) == passes
    assert derived.train_clips_per_step(cfg) == 48 * 4
    assert derived.train_videos_per_pass(cfg, world) * passes * machines * ranks == 48 * 4
