"""States of a run: random numbers, pruning, reports of what was loaded, files that are refused."""

import os

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
