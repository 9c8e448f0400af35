"""What protocols declare and measure, further metrics, the metric that chooses the best checkpoint."""

import json
import types

import numpy as np
import pytest
from helpers import tiny_cfg
from helpers.runs import output_of, run, stats

from avslowfast.config import ConfigError, derived
from avslowfast.config.names import Metric, METRICS, PROTOCOLS
from avslowfast.datasets.base import Listing, Record
from avslowfast.evaluation.build import best_metric, build_protocol, declared_metrics, protocol_name
from avslowfast.evaluation.protocols.base import Evaluation
from avslowfast.evaluation.results import results_table, write_results
from avslowfast.tasks.scores import ClassScores
from avslowfast.utils.errors import UserError

HEADS = ("MULTI_HEAD.NAMES", ["verb", "noun"], "MULTI_HEAD.NUM_CLASSES", [4, 3], "MULTI_HEAD.LOSS_WEIGHTS", [0.5, 0.5])
SEVERAL = ("DATA.MULTI_LABEL", True, "MODEL.LOSS_FUNC", "bce_logit", "MODEL.HEAD_ACT", "sigmoid")


@pytest.fixture
def error_rate():
    """A metric of a plugin."""

    @METRICS.register("error_rate", facts=Metric("error_rate", "error rate", "%", "lower"))
    def function(scores, labels):
        return 100.0 * float((scores.only.argmax(axis=1) != labels).mean())

    yield function
    del METRICS._entries["error_rate"], METRICS._facts["error_rate"]


def dataset_of(names):
    """What a protocol asks of a data set, without videos."""
    listing = Listing([Record(f"{name}.mp4", name=name, group="P01") for name in names])
    return types.SimpleNamespace(records=listing.records, listing=listing, split="test")


def scores_of(cfg, count=12):
    rng = np.random.default_rng(0)
    heads = derived.head_classes(cfg)
    scores = {name: rng.random((count, size)).astype(np.float32) for name, size in heads.items()}
    if cfg.DATA.MULTI_LABEL:
        labels = rng.integers(0, 2, (count, heads[""]))
    else:
        labels = np.stack([rng.integers(0, size, count) for size in heads.values()], axis=1)
        labels = labels if len(heads) > 1 else labels[:, 0]
    return ClassScores(scores), labels


KINDS = {"one label": (), "heads": HEADS, "several labels": SEVERAL}
# Charades has several labels per video; boxes and pretexts have no classes.
CASES = [
    (name, kind)
    for name in sorted(set(PROTOCOLS) - {"sync", "ava"})
    for kind in KINDS
    if name != "charades" or kind == "several labels"
]


@pytest.mark.parametrize("name, kind", CASES)
def test_protocols_of_classes_measure_what_they_declare(name, kind, tmp_path):
    cfg = tiny_cfg(*KINDS[kind], "DATA.PATH_TO_DATA_DIR", str(tmp_path))
    scores, labels = scores_of(cfg)
    protocol = build_protocol(cfg, dataset_of([str(i) for i in range(12)]), name)
    values = protocol.measure(scores, labels)
    declared = [metric.name for metric in protocol.metrics]
    # The figures of groups need the official lists beside the labels.
    assert list(values) == [metric for metric in declared if metric in values]
    assert next(iter(values)) == declared[0]
    assert all(0 <= value <= 100 for value in values.values())


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("keys", [(), HEADS], ids=["one label", "heads"])
def test_further_metrics_are_computed_for_each_classifier(name, keys):
    cfg = tiny_cfg(*keys, "TEST.METRICS", [name])
    scores, labels = scores_of(cfg)
    protocol = build_protocol(cfg, dataset_of([]), "kinetics")
    values = protocol.measure(scores, labels)
    assert set(values) == {metric.name for metric in protocol.metrics}
    assert all(f"{head}_{name}".lstrip("_") in values for head in scores.heads)


def test_a_metric_of_a_plugin_is_computed_named_and_chosen(error_rate):
    cfg = tiny_cfg("TEST.METRICS", ["error_rate"], "TRAIN.BEST_METRIC", "error_rate")
    scores, labels = scores_of(cfg)
    values = build_protocol(cfg, dataset_of([]), "kinetics").measure(scores, labels)
    assert values["error_rate"] == pytest.approx(100 - values["top1"])
    chosen = best_metric(cfg)
    assert chosen.title == "error rate, %"
    assert chosen.improves(10.0, 20.0) and not chosen.improves(20.0, 10.0)


def test_the_first_metric_of_the_protocol_is_the_default():
    assert best_metric(tiny_cfg()).name == "top1"
    assert best_metric(tiny_cfg(*SEVERAL)).name == "map"
    assert best_metric(tiny_cfg(*HEADS, "TRAIN.DATASET", "epic55")).name == "action_top1"
    assert best_metric(tiny_cfg("TASK", "sync", "TEST.NUM_SPATIAL_CROPS", 1)).name == "sync"


@pytest.mark.parametrize(
    "keys, words",
    [
        (
            ("TRAIN.BEST_METRIC", "top3"),
            "TRAIN.BEST_METRIC is 'top3': unknown metric; use one of top1, top5, mean_class",
        ),
        (("TEST.METRICS", ["f1"]), r"TEST.METRICS is \['f1'\]: .*unknown metric; use one of argmax_accuracy, map"),
        (("TASK", "sync", "TEST.METRICS", ["map"], "TEST.NUM_SPATIAL_CROPS", 1), "which the task 'sync' does not give"),
    ],
)
def test_unknown_metrics_are_named(keys, words):
    with pytest.raises(UserError, match=words) as error:
        best_metric(tiny_cfg(*keys))
    assert "\n" not in str(error.value)


def test_values_compare_as_the_metric_says():
    up, down = Metric("a", "a"), Metric("b", "b", "ms", "lower")
    assert up.improves(1.0, None)
    assert up.improves(2.0, 1.0)
    assert not up.improves(0.5, 1.0)
    # Of equally good epochs the later one counts.
    assert up.improves(1.0, 1.0)
    # Of signed values the one nearer to zero is the lower one.
    assert down.improves(-1.0, 2.0)
    assert not down.improves(-3.0, 2.0)


@pytest.mark.parametrize(("value", "best", "improves"), [(1.0, "nan", True), ("nan", 1.0, False), ("nan", None, False)])
def test_a_value_that_is_not_finite_is_never_the_best(value, best, improves):
    metric = Metric("a", "a")
    assert metric.improves(float(value), None if best is None else float(best)) is improves


def test_a_metric_that_the_data_does_not_give_is_named():
    result = Evaluation(ClassScores({"": np.zeros((1, 2), np.float32)}), np.zeros(1, int), ["a"], {}, {"top1": 50.0})
    assert result.value(Metric("top1", "top-1 accuracy")) == 50.0
    with pytest.raises(ConfigError, match="'many_shot_verb_recall': the validation data .* it gives top1"):
        result.value(Metric("many_shot_verb_recall", ""))


def test_a_data_set_without_a_protocol_is_scored_as_classification_or_by_its_pretexts():
    assert protocol_name(tiny_cfg(), "Kinetics") == "classification"
    assert protocol_name(tiny_cfg(), "Charades") == "charades"
    assert protocol_name(tiny_cfg("TASK", "sync", "TEST.NUM_SPATIAL_CROPS", 1), "charades") == "sync"


def test_metrics_of_several_classifiers_are_labelled():
    titles = {metric.name: metric.title for metric in declared_metrics(tiny_cfg(*HEADS), "kinetics")}
    assert titles["verb_top1"] == "verb top-1 accuracy, %"


def test_results_say_what_their_metrics_are(tmp_path):
    cfg = tiny_cfg("OUTPUT_DIR", str(tmp_path))
    metrics = (Metric("res5_offset_ms", "res5, offset", "ms", "lower"), Metric("top1", "top-1 accuracy"))
    results = {"arch": "slow", "checkpoint": "x", "videos": 3, "res5_offset_ms": -12.5, "failed": []}
    write_results(cfg.OUTPUT_DIR, results, metrics)
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["metrics"] == {"res5_offset_ms": {"label": "res5, offset", "unit": "ms", "better": "lower"}}
    lines = results_table({**results, "per_class_accuracy": {"run": 50.0}}, metrics).split("\n")
    assert [line.split("  ")[-1].strip() for line in lines[:5]] == ["slow", "x", "3", "-12.50", "0"]
    assert lines[5] == "  accuracy of each class, %"
    assert lines[6].split() == ["run", "50.0"]
    assert any("res5, offset, ms" in line for line in lines)


def test_a_run_keeps_the_best_state_by_the_metric_that_is_chosen(run_args):
    run(run_args, "TRAIN.BEST_METRIC", "mean_class_accuracy", "TEST.ENABLE", False, "BN.USE_PRECISE_STATS", False)
    epochs = stats(output_of(run_args), "val_epoch")
    assert {epoch["best_metric"] for epoch in epochs} == {"mean_class_accuracy"}
    assert epochs[-1]["best"] == max(epoch["mean_class_accuracy"] for epoch in epochs)


@pytest.mark.parametrize("shards, world, clips", [(1, 1, 8), (1, 2, 4), (2, 2, 8), (2, 4, 4), (1, 16, 1)])
def test_a_pass_has_the_clips_of_a_machine_divided_by_its_ranks(shards, world, clips):
    cfg = tiny_cfg("TEST.BATCH_SIZE", 8, "NUM_SHARDS", shards)
    assert derived.test_clips_per_pass(cfg, world) == clips
