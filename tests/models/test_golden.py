"""Parity with the reference implementations: scores, compute, schedules."""

import json
import pickle

import pytest
import torch
import weights as conformance
from helpers import ROOT

from avslowfast.checkpoint import load_weights
from avslowfast.config import get_cfg, load_cfg
from avslowfast.engine.optim import lr_at
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
        assert scores.shape == torch.tensor(output["probs"]).shape
        assert (scores - torch.tensor(output["probs"])).abs().max() < 1e-5


@pytest.mark.parametrize("protocol", [2, 5])
def test_a_caffe2_pickle_gives_the_scores_of_its_pyslowfast_twin(tmp_path, protocol):
    data = conformance.load(GOLDEN / "pyslowfast_slowfast_8x8_r50.json")
    names = conformance.load(GOLDEN / "caffe2_slowfast_8x8_r50_names.json")
    blobs = {blob: conformance.tensor_for(name, shape, data["salt"]).numpy() for blob, name, shape in names}
    solver = {"lr": blobs["pred_b"][:1], "model_iter": blobs["pred_b"][:1], "conv1_w_momentum": blobs["conv1_w"]}
    with open(tmp_path / "released.pkl", "wb") as f:
        pickle.dump({"blobs": {**blobs, **solver}, "cfg": "text"}, f, protocol=protocol)
    model = build_model(kinetics("SLOWFAST_8x8_R50")).eval()
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
