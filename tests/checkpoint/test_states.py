"""States of a run: random numbers, pruning, reports of what was loaded, files that are refused."""

import os
import re

import numpy as np
import pytest
import torch
from helpers.networks import make

from avslowfast.checkpoint import CheckpointError, load_weights, states
from avslowfast.utils import seeding


def test_random_state_survives_a_checkpoint(tmp_path):
    seeding.seed_everything(3)
    path = tmp_path / "checkpoints/x.pyth"
    states.save({"rng": seeding.rng_state()}, str(path))
    expected = (torch.rand(3), np.random.rand(3))
    seeding.set_rng_state(torch.load(path, weights_only=True)["rng"])
    assert torch.equal(torch.rand(3), expected[0])
    assert np.array_equal(np.random.rand(3), expected[1])
    assert [p.name for p in path.parent.iterdir()] == ["x.pyth"]


def good_state():
    return {
        "run_id": "a",
        "epoch": 2,
        "iteration": 0,
        "iters_per_epoch": 4,
        "model_state": {"weight": torch.zeros(2)},
        "optimizer_state": {"state": {}, "param_groups": []},
        "rng": [seeding.rng_state()],
        "cfg": "{}",
        "best": 50.0,
        "optimizer_kind": "SGD",
        "optimizer_names": [],
    }


def test_a_whole_state_is_read(tmp_path):
    torch.save(good_state(), tmp_path / "x.pyth")
    assert states.read_state(tmp_path / "x.pyth")["epoch"] == 2


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epoch", "3", "epoch is of type str"),
        ("epoch", None, "epoch is of type NoneType"),
        ("epoch", 1.5, "epoch is of type float"),
        ("epoch", True, "epoch is of type bool"),
        ("epoch", -1, "epoch -1"),
        ("epoch", 10**9, "epoch 1000000000"),
        ("iteration", 999, "iteration 999 of 4"),
        ("iteration", -1, "iteration -1"),
        ("iteration", 4, "iteration 4 of 4"),
        ("iters_per_epoch", 0, "of 0"),
        ("model_state", None, "model_state is of type NoneType"),
        ("optimizer_state", [], "optimizer_state is of type list"),
        ("rng", [], "rng is empty"),
        ("rng", ["junk"], "no state of random numbers"),
        ("rng", [{"torch": torch.zeros(3, dtype=torch.uint8)}], "no state of random numbers"),
        ("best", "50", "best is of type str"),
        ("best", float("nan"), "best is nan"),
        ("run_id", 7, "run_id is of type int"),
        ("cfg", {}, "cfg is of type dict"),
        ("ema_state", 5, "ema_state is of type int"),
        ("scaler_state", [], "scaler_state is of type list"),
        ("failed_files", [1, 2], "failed_files is of type list"),
        ("best_epoch", "3", "best_epoch is of type str"),
        ("class_names", 3, "class_names is of type int"),
        ("data", 5, "data is of type int"),
    ],
)
def test_a_state_that_makes_no_sense_is_not_read(tmp_path, name, value, words):
    torch.save({**good_state(), name: value}, tmp_path / "x.pyth")
    with pytest.raises(CheckpointError, match=words):
        states.read_state(tmp_path / "x.pyth")


@pytest.mark.parametrize("name", ["run_id", "epoch", "model_state", "optimizer_state", "rng", "best"])
def test_a_state_that_lacks_something_is_not_read(tmp_path, name):
    content = good_state()
    del content[name]
    torch.save(content, tmp_path / "x.pyth")
    with pytest.raises(CheckpointError, match=f"{name} missing"):
        states.read_state(tmp_path / "x.pyth")


def trained_optimizer(kind=torch.optim.SGD, **options):
    parameters = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2, 2))]
    optimizer = kind([{"params": parameters[:1]}, {"params": parameters[1:]}], lr=0.1, **options)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return optimizer


NAMES = [["a"], ["b"]]


def state_of(optimizer):
    return {
        "optimizer_state": optimizer.state_dict(),
        "optimizer_kind": type(optimizer).__name__,
        "optimizer_names": NAMES,
    }


def test_an_own_state_of_the_optimizer_is_whole():
    for kind, options in ((torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adam, {}), (torch.optim.AdamW, {})):
        optimizer = trained_optimizer(kind, **options)
        assert states.optimizer_problem(state_of(optimizer), optimizer, NAMES) is None
        assert states.other_optimizer(state_of(optimizer), optimizer, NAMES) is None


def test_another_optimizer_and_another_grouping_are_told():
    optimizer = trained_optimizer(momentum=0.9)
    content = state_of(optimizer)
    assert "of SGD, not of Adam" in states.other_optimizer(content, trained_optimizer(torch.optim.Adam), NAMES)
    # Of the same shapes, too: the momentum would go to another weight.
    assert "1 of its parameters are not trained now" in states.other_optimizer(content, optimizer, [["a"], ["c"]])
    assert "2 parameter groups are not the present 2" in states.other_optimizer(content, optimizer, [["b"], ["a"]])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda s: s["state"][0].update(momentum_buffer=torch.zeros(2)),
            r"a parameter has shape \(2",
        ),
        (lambda s: s["state"][0].update(momentum_buffer=torch.zeros(3, dtype=torch.int64)), "numbers of type"),
        (lambda s: s["state"][0].update(momentum_buffer=torch.zeros(3).to_sparse()), "no dense tensor"),
        (lambda s: s["state"][0].update(momentum_buffer="x"), "no dense tensor"),
        (lambda s: s["state"].update({7: {"momentum_buffer": torch.zeros(3)}}), "unknown parameter 7"),
        (lambda s: s["state"].update({0: 5}), "unknown parameter 0"),
        (lambda s: s.pop("param_groups"), "no parameter groups"),
        (lambda s: s["param_groups"][0].update(params=["x"]), "no parameter groups"),
        (lambda s: s["param_groups"][1].update(params=[0]), "stands twice"),
    ],
)
def test_a_damaged_state_of_the_optimizer_is_told(change, words):
    optimizer = trained_optimizer(momentum=0.9)
    content = state_of(optimizer)
    change(content["optimizer_state"])
    assert re.search(words, states.optimizer_problem(content, optimizer, NAMES))


def test_a_link_is_another_name_of_the_same_state(tmp_path):
    states.save({"a": 1}, tmp_path / "x.pyth")
    states.link(tmp_path / "x.pyth", tmp_path / "best.pyth")
    assert os.path.samefile(tmp_path / "x.pyth", tmp_path / "best.pyth")


def test_a_disk_that_takes_no_more_is_one_line_and_the_old_state_stays(tmp_path):
    import resource
    import signal

    states.save({"a": torch.zeros(10)}, tmp_path / "x.pyth")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, before[1]))
    try:
        with pytest.raises(states.StateNotSavedError, match="GB are free in") as error:
            states.save({"a": torch.zeros(1_000_000)}, tmp_path / "x.pyth")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.pyth"]
    assert torch.load(tmp_path / "x.pyth")["a"].shape == (10,)


def test_load_reports_everything(tmp_path):
    model, _ = make()
    state = {n: t.clone() for n, t in model.state_dict().items()}
    del state["head.projection.bias"]
    state["head.projection.weight"] = torch.zeros(3, 3)
    state["pathways.slow.extra"] = torch.zeros(1)
    torch.save({"model_state": {f"module.{n}": t for n, t in state.items()}}, tmp_path / "x.pyth")
    report = load_weights(model, tmp_path / "x.pyth")
    assert report.missing == ["head.projection.bias"]
    assert report.mismatched == ["head.projection.weight"]
    assert report.unexpected == ["pathways.slow.extra"]
    assert len(report.loaded) == len(model.state_dict()) - 2
    assert not report.complete
    assert set(report.fresh) == {"head.projection.bias", "head.projection.weight"}
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
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "evil-was-here").exists()
