"""Parity with the reference implementations: scores, training steps, compute, schedules."""

import hashlib
import json
import pickle
import zlib

import numpy as np
import pytest
import torch
import weights as conformance
from helpers import ROOT
from torch.nn import functional as F

from avslowfast.checkpoint import from_avslowfast, load_weights
from avslowfast.config import get_cfg, load_cfg
from avslowfast.engine.optim import build_optimizer, lr_at, set_lr
from avslowfast.models import build_model
from avslowfast.models.build import input_shapes
from avslowfast.models.complexity import count_gflops, count_parameters

GOLDEN = ROOT / "tests/golden"
AVA = [
    "DETECTION.ENABLE",
    True,
    "MODEL.NUM_CLASSES",
    80,
    "MODEL.HEAD_ACT",
    "sigmoid",
    "MODEL.LOSS_FUNC",
    "bce_logit",
    "RESNET.SPATIAL_STRIDES",
    [[1, 1], [2, 2], [2, 2], [1, 1]],
    "RESNET.SPATIAL_DILATIONS",
    [[1, 1], [1, 1], [1, 1], [2, 2]],
]


def kinetics(name, *overrides):
    return load_cfg(ROOT / f"configs/Kinetics/{name}.yaml", list(overrides))


@pytest.mark.parametrize(
    "vector, config, overrides",
    [
        ("authors_avslowfast_4x16_r50", "AVSLOWFAST_4x16_R50_AUTHORS", []),
        ("pyslowfast_slowfast_8x8_r50", "SLOWFAST_8x8_R50", []),
        ("pyslowfast_slow_8x8_r50", "SLOW_8x8_R50", []),
        ("pyslowfast_ava_slowfast_32x2_r50", "SLOWFAST_8x8_R50", AVA),
        ("pytorchvideo_slow_r50", "SLOW_8x8_R50", []),
        ("pytorchvideo_slowfast_r50", "SLOWFAST_8x8_R50", []),
        # These two were made with PyTorchVideo 0.1.5's networks, as the others were with those of their projects.
        ("pytorchvideo_slowfast_r101", "SLOWFAST_8x8_R101_101_101", []),
        ("pytorchvideo_slowfast_r50_detection", "SLOWFAST_8x8_R50", [*AVA, "DETECTION.ALIGNED", False]),
        ("pysf_ptv_slowfast_8x8_r50", "SLOWFAST_8x8_R50", []),
        ("epic_slowfast_8x8_r50", "../EPIC100/SLOWFAST_8x8_R50", []),
    ],
)
def test_scores_equal_the_reference(tmp_path, vector, config, overrides):
    data = conformance.load(GOLDEN / f"{vector}.json")
    torch.save({"epoch": 3, "model_state": conformance.state_dict(data), "cfg": "text"}, tmp_path / "released.pyth")
    model = build_model(kinetics(config, *overrides)).eval()
    report = load_weights(model, tmp_path / "released.pyth")
    assert len(report.loaded) == len(data["keys"]) == len(model.state_dict()) and report.complete
    check_scores(model, data)


def check_scores(model, data):
    for output in data["outputs"].values():
        tensors = dict(zip(("slow", "fast", "audio"), conformance.inputs(output["shapes"])))
        if "audio" in tensors:
            tensors["audio"] = tensors["audio"].squeeze(2)
        boxes = torch.tensor(output["boxes"]) if "boxes" in output else None
        with torch.no_grad():
            scores = model(tensors, boxes=boxes)["scores"]
        # Several classifiers give a dictionary.
        pairs = [(scores[head], probs) for head, probs in output["probs"].items()] if isinstance(scores, dict) else []
        for ours, theirs in pairs or [(scores, output["probs"])]:
            assert ours.shape == torch.tensor(theirs).shape
            assert (ours - torch.tensor(theirs)).abs().max() < 1e-6


def normal(name, shape):
    return torch.from_numpy(np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape))


def in_training(tmp_path, config, data):
    """The network of a vector of training, in float64, and its configuration."""
    cfg = kinetics(config, *data["opts"])
    model = build_model(cfg)
    torch.save({"model_state": conformance.state_dict(data)}, tmp_path / "released.pyth")
    report = load_weights(model, tmp_path / "released.pyth")
    assert report.complete and len(report.loaded) == len(data["keys"])
    return model.double().train(), cfg


def visual_inputs(name, clips, data, cfg):
    fast = normal(name, (clips, 3, data["frames"], data["crop"], data["crop"]))
    picked = torch.linspace(0, data["frames"] - 1, data["frames"] // cfg.SLOWFAST.ALPHA).long()
    return {"slow": fast[:, :, picked], "fast": fast}


def check_state(model, after, tolerance):
    state = from_avslowfast(model.state_dict(), "pyslowfast")
    assert len(after) >= 12
    for name, expected in after.items():
        tensor = state[name]
        first = torch.tensor(expected["first"], dtype=torch.float64)
        assert (tensor.flatten()[: len(first)] - first).abs().max() < tolerance, name
        assert abs(float(tensor.sum()) - expected["sum"]) < tolerance * expected["abs"], name
        assert float(tensor.abs().sum()) == pytest.approx(expected["abs"], rel=tolerance), name


@pytest.mark.parametrize(
    "vector, config, of_losses, of_weights",
    [
        ("train_pyslowfast_slowfast", "SLOWFAST_4x16_R50", 1e-9, 1e-8),
        pytest.param("train_authors_avslowfast", "AVSLOWFAST_4x16_R50_AUTHORS", 1e-8, 1e-7, marks=pytest.mark.slow),
    ],
)
def test_five_steps_of_training_equal_the_reference(tmp_path, vector, config, of_losses, of_weights):
    data = conformance.load(GOLDEN / f"{vector}.json")
    model, cfg = in_training(tmp_path, config, data)
    optimizer = build_optimizer(cfg, model)
    assert len(data["steps"]) == 5
    for i, step in enumerate(data["steps"]):
        lr = lr_at(cfg, step["epoch"])
        assert lr == pytest.approx(step["lr"], rel=1e-12)
        set_lr(optimizer, lr)
        inputs = visual_inputs(f"{data['salt']}{i}", 4, data, cfg)
        if "audio" in model.pathways:
            inputs["audio"] = normal(f"{data['salt']}audio{i}", (4, 1, 128, 80))
        labels = torch.from_numpy(np.random.RandomState(zlib.crc32(f"labels{i}".encode())).randint(0, 7, 4))
        loss = F.cross_entropy(model(inputs)["logits"], labels)
        assert abs(loss.item() - step["loss"]) < of_losses
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    check_state(model, data["after"], of_weights)


@pytest.mark.parametrize("case, compared", [("kept", ("res3",)), ("dropped", ("res3", "res4", "res5"))])
def test_losses_of_synchronisation_equal_the_authors(tmp_path, case, compared):
    data = conformance.load(GOLDEN / "train_authors_sync.json")
    model, cfg = in_training(tmp_path, "AVSLOWFAST_4x16_R50_AUTHORS", data)
    inputs = visual_inputs("trainav0", data["clips"], data, cfg)
    for name, of in (("audio", "audio"), ("negative", "audio_hard_negative")):
        inputs[of] = normal(f"trainav{name}0", (data["clips"], 1, 128, 80))
    with torch.no_grad():
        losses = model(inputs, drop_audio=case == "dropped")["losses"]
    assert list(losses) == [f"avs_{stage}" for stage in compared]
    for stage in compared:
        assert abs(losses[f"avs_{stage}"].item() - data["sync"][case]["losses"][f"s{stage[-1]}_avs"]) < 1e-6
    check_state(model, data["sync"][case]["after"], 1e-9)


def test_the_vectors_are_those_of_the_references(shared):
    compared = 0
    for path in sorted((shared / "conformance").iterdir()):
        copy = GOLDEN / path.name
        if copy.exists():
            compared += 1
            assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest(), path.name
    assert compared >= 19


def test_caffe2_pickles_give_the_scores_of_their_pyslowfast_twin(tmp_path):
    data = conformance.load(GOLDEN / "pyslowfast_slowfast_8x8_r50.json")
    names = conformance.load(GOLDEN / "caffe2_slowfast_8x8_r50_names.json")
    blobs = {blob: conformance.tensor_for(name, shape, data["salt"]).numpy() for blob, name, shape in names}
    solver = {"lr": blobs["pred_b"][:1], "model_iter": blobs["pred_b"][:1], "conv1_w_momentum": blobs["conv1_w"]}
    model = build_model(kinetics("SLOWFAST_8x8_R50")).eval()
    for protocol in (2, 5):
        with open(tmp_path / "released.pkl", "wb") as f:
            pickle.dump({"blobs": {**blobs, **solver}, "cfg": "text"}, f, protocol=protocol)
        torch.nn.init.zeros_(model.head.projection.weight)
        report = load_weights(model, tmp_path / "released.pkl")
        assert report.format == "Caffe2" and report.complete and len(report.loaded) == len(names) == 552
        assert "3 blobs of Caffe2's solver" in str(report) and "counts no batches" in str(report)
    check_scores(model, data)


@pytest.mark.parametrize(
    "config, gflops, parameters, without_sync",
    [
        ("SLOWFAST_4x16_R50", 36.34, 34.48, 34.48),
        ("AVSLOWFAST_4x16_R50_AUTHORS", 39.88, 44.20, 41.82),
        ("SLOWFAST_8x8_R50", 66.07, 34.57, 34.57),
        ("AVSLOWFAST_8x8_R50_AUTHORS", 68.93, 44.55, 41.90),
    ],
)
def test_compute_and_size_equal_the_measured_ones(config, gflops, parameters, without_sync):
    cfg = kinetics(config)
    model = build_model(cfg)
    assert count_gflops(model, input_shapes(cfg, 256)) == pytest.approx(gflops, rel=0.005)
    assert count_parameters(model) / 1e6 == pytest.approx(parameters, rel=0.005)
    lean = sum(p.numel() for n, p in model.named_parameters() if not n.startswith("sync_heads"))
    assert lean / 1e6 == pytest.approx(without_sync, rel=0.005)
    assert model.training


def test_schedules_equal_pyslowfast():
    for case in json.loads((GOLDEN / "lr_schedule.json").read_text()):
        cfg = get_cfg()
        cfg.SOLVER.LR_POLICY = case["policy"]
        for key, value in case["solver"].items():
            cfg.SOLVER[key] = value
        assert len(case["epochs"]) > 20
        for epoch, lr in zip(case["epochs"], case["lrs"]):
            assert abs(lr_at(cfg, epoch) - lr) < 1e-9
