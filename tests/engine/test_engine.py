"""Parts of the engine: weight decay groups, schedules, mixing, metrics, precise batch norm, loss guard, checkpoints."""

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.networks import make

from avslowfast.checkpoint import CheckpointError, load_weights, states
from avslowfast.config import get_cfg
from avslowfast.engine.optim import build_optimizer, lr_at, parameter_groups, set_lr
from avslowfast.engine.precise_bn import precise_bn
from avslowfast.engine.prefetch import one_ahead
from avslowfast.evaluation.metrics import classification
from avslowfast.tasks.build import build_task
from avslowfast.tasks.losses import soft_cross_entropy
from avslowfast.tasks.mixing import Mixing
from avslowfast.utils import seeding
from avslowfast.utils.registry import Registry


def test_weight_decay_groups_cover_each_weight_once():
    model, _ = make()
    for zero_1d in (False, True):
        groups = parameter_groups(model, 1e-4, 0.0, zero_1d)
        ids = [id(p) for g in groups for p in g["params"]]
        assert len(ids) == len(set(ids)) == len(list(model.parameters()))
        decayed = {id(p) for g in groups if g["weight_decay"] for p in g["params"]}
        assert id(model.pathways["slow"].pool1.bn.weight) not in decayed and id(model.head.projection.weight) in decayed
        assert (id(model.head.projection.bias) in decayed) != zero_1d


@pytest.mark.parametrize(
    "keys", [(), ("SOLVER.DAMPENING", 0.1), ("SOLVER.MOMENTUM", 0.0), ("SOLVER.OPTIMIZING_METHOD", "adamw")]
)
def test_weights_whose_first_gradient_comes_later_learn_as_in_torch(keys):
    """With DropPathway the audio pathway may go without a gradient for many steps."""
    cfg = tiny_cfg(*keys)
    ours, plain = ({"video": torch.nn.Linear(3, 2), "audio": torch.nn.Linear(3, 2)} for _ in range(2))
    ours, plain = torch.nn.ModuleDict(ours), torch.nn.ModuleDict(plain)
    plain.load_state_dict(ours.state_dict())
    s, parameters = cfg.SOLVER, list(plain.parameters())
    if s.OPTIMIZING_METHOD == "adamw":
        other = torch.optim.AdamW(parameters, s.BASE_LR, tuple(s.BETAS), weight_decay=s.WEIGHT_DECAY)
    else:
        other = torch.optim.SGD(
            parameters,
            s.BASE_LR,
            s.MOMENTUM,
            s.DAMPENING,
            s.WEIGHT_DECAY,
            s.NESTEROV and s.MOMENTUM > 0 and s.DAMPENING == 0,
        )
    optimizer = build_optimizer(cfg, ours)
    set_lr(optimizer, s.BASE_LR)
    for step in range(5):
        x = torch.randn(4, 3)
        for model, optim in ((ours, optimizer), (plain, other)):
            optim.zero_grad(set_to_none=True)
            sum(model[name](x).square().sum() for name in (("video",) if step < 2 else ("video", "audio"))).backward()
            optim.step()
    for a, b in zip(ours.parameters(), plain.parameters()):
        torch.testing.assert_close(a, b)


def test_schedules_warm_up_scale_and_end():
    cfg = get_cfg()
    cfg.SOLVER.MAX_EPOCH, cfg.SOLVER.WARMUP_EPOCHS, cfg.SOLVER.COSINE_AFTER_WARMUP, cfg.SOLVER.COSINE_END_LR = (
        20,
        5.0,
        True,
        0.001,
    )
    assert lr_at(cfg, 0) == 0.01 and lr_at(cfg, 5) == pytest.approx(0.1) and lr_at(cfg, 20) == pytest.approx(0.001)
    cfg.NUM_SHARDS, cfg.SOLVER.BASE_LR_SCALE_NUM_SHARDS = 4, True
    assert lr_at(cfg, 5) == pytest.approx(0.4)


def test_published_steps_with_more_rates_than_steps(tmp_path):
    cfg = tiny_cfg(
        "SOLVER.LR_POLICY",
        "steps_with_relative_lrs",
        "SOLVER.LRS",
        [1, 0.1, 0.01, 0.001, 0.0001, 0.00001],
        "SOLVER.STEPS",
        [0, 94, 154, 196],
        "SOLVER.MAX_EPOCH",
        239,
        "SOLVER.BASE_LR",
        0.1,
    )
    assert [lr_at(cfg, e) for e in (93.9, 94, 160, 238.9, 239)] == pytest.approx([0.1, 0.01, 0.001, 0.0001, 0.0001])


def _batch():
    torch.manual_seed(0)
    inputs = {
        "slow": torch.randn(4, 3, 2, 20, 20),
        "fast": torch.randn(4, 3, 4, 20, 20),
        "audio": torch.randn(4, 1, 40, 10),
        "audio_mask": torch.tensor([True, False, True, False]),
    }
    return inputs, torch.tensor([0, 1, 2, 3])


def test_mixup_mixes_sight_sound_and_labels_with_one_share():
    inputs, labels = _batch()
    out, soft = Mixing(0.8, 0.0, 1.0, 0.5, 0.0, 5)(inputs, labels, np.random.default_rng(0))
    share = soft[0, 0].item()
    for name in ("slow", "fast", "audio"):
        torch.testing.assert_close(out[name], share * inputs[name] + (1 - share) * inputs[name].flip(0))
    torch.testing.assert_close(soft.sum(1), torch.ones(4))
    assert soft[0, 3].item() == pytest.approx(1 - share) and out["audio_mask"].all()


def test_cutmix_takes_the_share_that_the_labels_say_from_the_partner():
    inputs, labels = _batch()
    for seed in range(8):
        out, soft = Mixing(0.0, 1.0, 1.0, 0.5, 0.0, 5)(inputs, labels, np.random.default_rng(seed))
        kept = soft[0, 0].item()
        same = (out["fast"][0] == inputs["fast"][0]).float().mean().item()
        assert same == pytest.approx(kept, abs=1e-5)
        assert torch.equal(
            out["fast"][:, :, 0] == inputs["fast"][:, :, 0], out["slow"][:, :, 0] == inputs["slow"][:, :, 0]
        )
        assert (out["audio"][0] == inputs["audio"][0]).float().mean().item() == pytest.approx(kept, abs=0.02)
    one_hot = torch.nn.functional.one_hot(labels, 5).float()
    logits = torch.randn(4, 5)
    torch.testing.assert_close(soft_cross_entropy(logits, one_hot), torch.nn.functional.cross_entropy(logits, labels))


def test_the_next_batch_is_sent_before_the_one_ahead_of_it_is_handed_out():
    events = []
    items = one_ahead(iter("abc"), lambda x: events.append(f"send {x}") or x, lambda x: events.append(f"out {x}") or x)
    assert list(items) == list("abc") and list(one_ahead(iter(""), str, str)) == []
    assert events == ["send a", "send b", "out a", "send c", "out b", "out c"]


def test_metrics():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7], [np.nan] * 3, [1 / 3] * 3])
    labels = np.array([0, 2, 2, 0, 1])
    assert classification.topk_correct(scores, labels, 1).tolist() == [True, False, True, False, False]
    assert classification.topk_correct(scores, labels, 2).tolist() == [True, True, True, False, False]
    np.testing.assert_allclose(classification.per_class_accuracy(scores, labels), [50, 0, 50])
    assert classification.summarize(scores, labels)["top1"] == pytest.approx(40)
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]])
    perfect = truth + 0.01 * np.arange(9).reshape(3, 3)
    assert classification.mean_average_precision(perfect, truth) == pytest.approx(100)


def test_precise_statistics_are_those_of_the_batches_with_audio():
    model, inputs = make("SLOWFAST.DROPPATHWAY_RATE", 1.0)
    model.train()
    before = [p.clone() for p in model.parameters()]
    pointer = model.pathways["audio"].pool1.bn.running_mean.data_ptr()
    state = torch.get_rng_state()
    precise_bn(model, build_task(tiny_cfg(), torch.device("cpu")), iter([inputs]), 1)
    bn = model.pathways["audio"].pool1.bn
    stem = model.pathways["audio"].pool1
    x = stem.conv_t(inputs["audio"]) + stem.conv_f(inputs["audio"])
    torch.testing.assert_close(bn.running_mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(bn.running_var, x.var((0, 2, 3), unbiased=False), rtol=1e-3, atol=1e-5)
    assert bn.running_mean.data_ptr() == pointer and bn.momentum == 0.1
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters())) and torch.equal(
        state, torch.get_rng_state()
    )
    assert (
        model.sync_heads["res5"].join_fast.bn.training
        and (model.sync_heads["res5"].join_fast.bn.running_var == 1).all()
    )


def test_random_state_survives_a_checkpoint(tmp_path):
    seeding.seed_everything(3)
    path = tmp_path / "checkpoints/x.pyth"
    states.save({"rng": seeding.rng_state()}, str(path))
    expected = (torch.rand(3), np.random.rand(3))
    seeding.set_rng_state(torch.load(path, weights_only=True)["rng"])
    assert torch.equal(torch.rand(3), expected[0]) and np.array_equal(np.random.rand(3), expected[1])
    assert [p.name for p in path.parent.iterdir()] == ["x.pyth"]


def test_prune_keeps_the_newest(tmp_path):
    for epoch, iteration in ((1, 0), (1, 5), (2, 0), (10, 0)):
        states.save({"epoch": epoch}, states.checkpoint_path(str(tmp_path), epoch, iteration))
    states.prune(str(tmp_path), 2)
    assert [p[-29:] for p in states.list_checkpoints(str(tmp_path))] == [
        "s/checkpoint_epoch_00002.pyth",
        "s/checkpoint_epoch_00010.pyth",
    ]


def test_load_reports_everything(tmp_path):
    model, _ = make()
    state = {n: t.clone() for n, t in model.state_dict().items()}
    del state["head.projection.bias"]
    state["head.projection.weight"] = torch.zeros(3, 3)
    state["pathways.slow.extra"] = torch.zeros(1)
    torch.save({"model_state": {f"module.{n}": t for n, t in state.items()}}, tmp_path / "x.pyth")
    report = load_weights(model, tmp_path / "x.pyth")
    assert (
        report.missing == ["head.projection.bias"]
        and report.mismatched == ["head.projection.weight"]
        and report.unexpected == ["pathways.slow.extra"]
    )
    assert len(report.loaded) == len(model.state_dict()) - 2
    assert not report.complete and set(report.fresh) == {"head.projection.bias", "head.projection.weight"}
    for word in (
        "loaded",
        "fresh",
        "not in the file",
        "another shape",
        "[3, 3] in the file",
        "unused",
        "pathways.slow.extra",
        "head.projection.bias",
    ):
        assert word in str(report)


class Evil:
    def __reduce__(self):
        import os

        return os.system, ("touch evil-was-here",)


def test_files_that_are_no_weights_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, _ = make()
    torch.save({"model_state": {"a": torch.zeros(1)}, "x": Evil()}, "evil.pyth")
    torch.save({"something": 1}, "empty.pyth")
    torch.save({"resnet.conv1": torch.zeros(1)}, "other.pyth")
    open("text.pyth", "w").write("no checkpoint")
    for name, words in (
        ("evil.pyth", "not loaded"),
        ("empty.pyth", "no model weights"),
        ("other.pyth", "unknown checkpoint format"),
        ("text.pyth", "checkpoint"),
        ("none.pyth", "no such file"),
    ):
        with pytest.raises(CheckpointError, match=words) as error:
            load_weights(model, name)
        assert name in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "evil-was-here").exists()


def test_registry_suggests_the_nearest_name():
    registry = Registry("THINGS")
    registry.register("audio")(1)
    with pytest.raises(ValueError, match="did you mean 'audio'"):
        registry["audo"]
    with pytest.raises(ValueError, match="already"):
        registry.register("audio")(2)


def test_start_weights_come_from_the_seed_and_leave_the_global_generator_alone():
    from avslowfast.models import build_model

    torch.manual_seed(5)
    state = torch.get_rng_state()
    a, b, c = build_model(tiny_cfg()), build_model(tiny_cfg()), build_model(tiny_cfg("RNG_SEED", 2))
    assert torch.equal(state, torch.get_rng_state())
    name = "pathways.slow.pool1.conv.weight"
    assert torch.equal(a.state_dict()[name], b.state_dict()[name]) and not torch.equal(
        a.state_dict()[name], c.state_dict()[name]
    )
