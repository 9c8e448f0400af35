"""What people's own data need: balance, label smoothing, rates for another batch, short trials."""

import json
import os

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.runs import output_of, run

from avslowfast.config import ConfigError, derived
from avslowfast.datasets.base import Listing, Record
from avslowfast.engine.optim import lr_at
from avslowfast.loading import build_dataset, build_loader
from avslowfast.loading.build import class_weights
from avslowfast.loading.samplers import VideoOrder
from avslowfast.tasks.losses import criterion_named, cross_entropy


def test_a_balanced_epoch_visits_every_class_equally_often_and_each_of_its_videos_in_turn():
    classes = np.array([0] * 80 + [1] * 17 + [5] * 4)
    order = VideoOrder(3, len(classes), classes)
    for epoch in range(3):
        visits = order.of(epoch)
        assert len(visits) == len(classes)
        counts = np.bincount(classes[visits], minlength=6)
        assert sorted(counts[[0, 1, 5]]) == [33, 34, 34] and counts[[2, 3, 4]].sum() == 0
        for number in (0, 1, 5):
            of_video = np.bincount(visits, minlength=len(classes))[classes == number]
            assert of_video.max() - of_video.min() <= 1
    assert not np.array_equal(order.of(0), order.of(1))
    assert np.array_equal(VideoOrder(3, len(classes), classes).of(1), order.of(1))
    # Over epochs every video of a frequent class is seen.
    assert set(np.concatenate([order.of(epoch) for epoch in range(30)])) == set(range(len(classes)))
    # In an epoch classes are mixed, not one after the other.
    assert np.abs(np.diff(classes[order.of(0)])).astype(bool).sum() > 40


def test_without_balance_an_epoch_is_a_permutation():
    order = VideoOrder(3, 50)
    assert sorted(order.of(4)) == list(range(50)) and not np.array_equal(order.of(4), order.of(5))


def test_weights_of_classes_have_a_mean_of_one_and_count_all_classes_alike():
    labels = [0] * 6 + [1] * 2 + [3]
    listing = Listing([Record(f"{i}.mp4", label) for i, label in enumerate(labels)])
    weights = class_weights(listing, {"": 4})[""]
    assert weights.tolist() == pytest.approx([0.5, 1.5, 1.0, 3.0])
    assert weights[torch.tensor(labels)].mean() == pytest.approx(1)
    pairs = [Record(f"{i}.mp4", label) for i, label in enumerate([(0, 1), (0, 0), (1, 1)])]
    both = class_weights(Listing(pairs, classifiers=("verb", "noun")), {"verb": 2, "noun": 2})
    assert both["verb"].tolist() == pytest.approx([0.75, 1.5]) and both["noun"].tolist() == pytest.approx([1.5, 0.75])
    spread = Listing([Record("a.mp4", (0, 1))], labels="multi")
    with pytest.raises(ConfigError, match="DATA.BALANCE: the records have not one label each"):
        class_weights(spread, {"": 2})


def test_losses_with_weights_and_smoothing_are_those_of_their_definition():
    logits, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    weights, smoothing = torch.tensor([0.5, 2.0, 1.0, 3.0]), 0.2
    logs = logits.float().log_softmax(1)
    soft = torch.nn.functional.one_hot(labels, 4) * (1 - smoothing) + smoothing / 4
    by_clip = -(soft * logs).sum(1)
    criterion = criterion_named("cross_entropy", smoothing)
    assert torch.allclose(criterion(logits, labels, None), by_clip.mean())
    assert torch.allclose(criterion(logits, labels, weights), (by_clip * weights[labels]).mean())
    # Parts of a batch add up to the whole, as gradients of ranks and of accumulated passes do.
    parts = [cross_entropy(logits[i : i + 1], labels[i : i + 1], weights) for i in range(5)]
    assert torch.allclose(torch.stack(parts).mean(), cross_entropy(logits, labels, weights))
    mixed = torch.softmax(torch.randn(5, 4), 1)
    expected = (-(mixed * logs).sum(1) * (mixed @ weights)).mean()
    assert torch.allclose(cross_entropy(logits, mixed, weights), expected)


def test_learning_rates_are_scaled_to_the_clips_of_a_step():
    keys = ("SOLVER.BASE_LR", 0.1, "SOLVER.WARMUP_EPOCHS", 2.0, "SOLVER.WARMUP_START_LR", 0.02, "SOLVER.MAX_EPOCH", 10)
    given, scaled = tiny_cfg(*keys), tiny_cfg(*keys, "SOLVER.BASE_LR_FOR_BATCH", 64, "TRAIN.BATCH_SIZE", 16)
    for epoch in (0, 1, 2, 5.5, 9.9):
        assert lr_at(scaled, epoch) == pytest.approx(lr_at(given, epoch) / 4)
    machines = tiny_cfg(*keys, "SOLVER.BASE_LR_FOR_BATCH", 64, "TRAIN.BATCH_SIZE", 16, "NUM_SHARDS", 8)
    assert lr_at(machines, 5) == pytest.approx(2 * lr_at(given, 5))


@pytest.mark.parametrize(
    "keys, words",
    [
        (("MODEL.LABEL_SMOOTHING", 0.1, "MIXUP.ENABLE", True), "MIXUP.ENABLE smooths by MIXUP.LABEL_SMOOTH_VALUE"),
        (("MODEL.LABEL_SMOOTHING", 1.0), "MODEL.LABEL_SMOOTHING"),
        (
            ("DATA.BALANCE", "sampling", "DATA.MULTI_LABEL", True, "MODEL.LOSS_FUNC", "bce_logit")
            + ("MODEL.HEAD_ACT", "sigmoid"),
            "DATA.BALANCE is 'sampling'",
        ),
        (("DATA.BALANCE", "weighted"), "none, sampling, weights"),
        (("SOLVER.BASE_LR_FOR_BATCH", 64, "SOLVER.BASE_LR_SCALE_NUM_SHARDS", True), "counts the clips of all machines"),
    ],
)
def test_what_does_not_fit_is_one_line(keys, words):
    with pytest.raises(ConfigError, match=words):
        tiny_cfg(*keys)


def test_a_trial_is_cut_to_some_batches_spread_over_the_lists(synthav):
    data = ("DATA.PATH_TO_DATA_DIR", str(synthav), "DATA_LOADER.NUM_WORKERS", 0, "TRAIN.BATCH_SIZE", 4)
    cfg = tiny_cfg(*data, "TRAIN.LIMIT_BATCHES", 2, "TEST.BATCH_SIZE", 4, "TEST.NUM_ENSEMBLE_VIEWS", 2)
    loader = build_loader(cfg, "train")
    seen = set()
    for epoch in range(6):
        loader.epochs.set_epoch(epoch)
        batches = [key.video for batch in loader.epochs for key in batch]
        assert len(batches) == 8 and len(loader) == 2
        seen.update(batches)
    assert len(seen) > 16
    val, test = build_dataset(cfg, "val"), build_dataset(cfg, "test")
    whole = build_dataset(tiny_cfg(*data), "val")
    assert len(val) == 8 and len(test) == 4
    paths = [record.path for record in whole.records]
    assert [paths.index(record.path) for record in val.records] == list(range(0, 16, 2))


def test_overfitting_trains_and_validates_on_the_same_few(synthav):
    data = ("DATA.PATH_TO_DATA_DIR", str(synthav), "TRAIN.BATCH_SIZE", 4)
    cfg = tiny_cfg(*data, "TRAIN.OVERFIT_BATCHES", 2)
    train, val = build_dataset(cfg, "train"), build_dataset(cfg, "val")
    assert len(train) == 8 and [r.path for r in train.records] == [r.path for r in val.records]
    assert derived.most_videos(tiny_cfg(), "val", "val") == 0
    tested = build_dataset(cfg, "test", "val")
    assert {r.path for r in tested.records} == {r.path for r in build_dataset(tiny_cfg(*data), "val").records}


def test_a_training_ends_when_it_has_not_become_better_for_a_while(run_args):
    # With a learning rate of 0 nothing changes after the first validation.
    still = ("SOLVER.BASE_LR", 0.0, "SOLVER.WARMUP_EPOCHS", 0.0, "SOLVER.MAX_EPOCH", 9, "BN.USE_PRECISE_STATS", False)
    args = [*run_args, *still, "TRAIN.LIMIT_BATCHES", 1, "BN.MOMENTUM", 0.0]
    text = run([*args, "TRAIN.PATIENCE", 2]).stdout
    out = output_of(run_args)
    assert "training ends after epoch 3 of 9: 2 validations in a row were not better (TRAIN.PATIENCE)" in text
    assert json.load(open(os.path.join(out, "run.json")))["progress"]["epoch"] == 3
    assert os.path.exists(os.path.join(out, "results.json"))
    again = run([*args, "TRAIN.PATIENCE", 2]).stdout
    assert "nothing left to train: 3 of 9 epochs are done, 2 validations in a row were not better" in again
    more = run([*args, "TRAIN.PATIENCE", 4]).stdout
    assert "training ends after epoch 5 of 9: 4 validations" in more


def test_a_short_run_with_everything_on(run_args):
    extra = ("DATA.BALANCE", "weights", "MODEL.LABEL_SMOOTHING", 0.1, "TRAIN.LIMIT_BATCHES", 2, "TEST.BATCH_SIZE", 4)
    run([*run_args, *extra, "SOLVER.BASE_LR_FOR_BATCH", 64])
    out = output_of(run_args)
    results = json.load(open(os.path.join(out, "results.json")))
    assert results["videos"] < 16
    log = open(os.path.join(out, "stdout.log")).read()
    assert "is for 64 clips, a step has 8" in log and "videos are used (TRAIN.LIMIT_BATCHES 2)" in log
