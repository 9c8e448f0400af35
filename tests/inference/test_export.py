"""Exported programs compute what the network computes, for any number of clips."""

import json
import subprocess
import sys

import onnx
import pytest
import torch
import weights as conformance
from helpers import ROOT, TINY, tiny_cfg, VERB_AND_NOUN
from helpers.mistakes import limited

from avslowfast.inference.export import ENDINGS, export_model, ExportError
from avslowfast.models import build_model

NETWORKS = {
    "slow": ("MODEL.ARCH", "slow"),
    "avslowfast": (),
    "av_nonlocal": ("LATERAL.AUDIO", "av_nonlocal"),
    "audio": ("MODEL.ARCH", "audio"),
    "boxes": ("DETECTION.ENABLE", True, "DETECTION.SPATIAL_SCALE_FACTOR", 32),
    "verb and noun": VERB_AND_NOUN,
}


def make(*overrides):
    """A network whose scores depend visibly on its inputs."""
    cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 8, *overrides)
    model = build_model(cfg)
    state = {n: conformance.tensor_for(n, t.shape) for n, t in model.state_dict().items()}
    model.load_state_dict({n: 20 * t if n.startswith("head") and t.dim() == 2 else t for n, t in state.items()})
    return model, cfg


@pytest.mark.parametrize(
    "target, network",
    [("torch-export", n) for n in NETWORKS] + [("onnx", n) for n in ("slow", "avslowfast", "boxes", "verb and noun")],
)
def test_the_export_agrees_with_the_network(tmp_path, target, network):
    model, cfg = make(*NETWORKS[network])
    out = str(tmp_path / f"x{ENDINGS[target]}")
    differences = export_model(model, cfg, target, out, [f"c{i}" for i in range(16)])
    assert set(differences) == {1, 2, 3} and max(differences.values()) < 1e-4
    if target == "onnx":
        about = json.loads({p.key: p.value for p in onnx.load(out).metadata_props}["avslowfast"])
    else:
        extra = {"avslowfast": ""}
        program = torch.export.load(out, extra_files=extra).module()
        about = json.loads(extra["avslowfast"])
        shapes = {**{n: s[1:] for n, s in about["inputs"].items()}}
        feed = {
            n: torch.randn(5, *shapes[n]) if n in shapes else torch.ones(5, dtype=torch.bool)
            for n in about["order"]
            if n != "boxes"
        }
        boxes = torch.tensor([[0, 2.0, 2, 40, 40], [4, 1, 1, 30, 20]])
        args = [feed.get(n, boxes) for n in about["order"]]
        with torch.no_grad():
            expected = model(feed, boxes=boxes if "boxes" in about["order"] else None)["scores"]
        expected = list(expected.values()) if isinstance(expected, dict) else [expected]
        scores = program(*args)
        for a, b in zip(expected, scores if isinstance(scores, tuple) else [scores]):
            # The scores differ from clip to clip by ten times more than the tolerance, so the comparison is meaningful.
            assert (a - b).abs().max() < 1e-4 < 1e-3 < (a - a[:1]).abs().max()
    assert about["class_names"][3] == "c3" and about["mean"] == [0.45] * 3


@pytest.mark.parametrize("key", ["DATA.USE_BGR_ORDER", "DATA.REVERSE_INPUT_CHANNEL", "AVA.BGR"])
def test_the_metadata_gives_mean_and_std_in_the_order_of_the_channels(tmp_path, key):
    boxes = NETWORKS["boxes"] if key == "AVA.BGR" else ("MODEL.ARCH", "slow")
    model, cfg = make(*boxes, key, True, "DATA.MEAN", [0.1, 0.2, 0.3], "DATA.STD", [0.4, 0.5, 0.6])
    out, extra = str(tmp_path / "x.pt2"), {"avslowfast": ""}
    export_model(model, cfg, "torch-export", out)
    torch.export.load(out, extra_files=extra)
    about = json.loads(extra["avslowfast"])
    assert about["bgr"] is True and about["mean"] == [0.3, 0.2, 0.1] and about["std"] == [0.6, 0.5, 0.4]


def test_the_tool_exports_and_says_how_well(tmp_path):
    tool = [sys.executable, str(ROOT / "tools/export.py"), "--cfg", str(TINY), "--to", "onnx"]
    done = subprocess.run(
        [*tool, "MODEL.ARCH", "slow", "OUTPUT_DIR", str(tmp_path / "out")], capture_output=True, text=True
    )
    assert (
        (tmp_path / "out/model.onnx").is_file()
        and done.returncode == 0
        and "largest difference" in done.stdout
        and "with 3 clips" in done.stdout
    )
    done = subprocess.run(
        [*tool, "--out", str(tmp_path / "x.pt"), "MODEL.ARCH", "slow"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "ends in .onnx" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("target", ENDINGS)
def test_a_wrong_ending_is_refused_before_anything_is_computed(tmp_path, target):
    model, cfg = make("MODEL.ARCH", "slow")
    with pytest.raises(ExportError, match=rf"ends in \{ENDINGS[target]}"):
        export_model(model, cfg, target, str(tmp_path / "x.bin"))


def test_a_network_without_a_classifier_is_refused(tmp_path):
    model, cfg = make("TASK", "sync")
    with pytest.raises(ExportError, match=r"no classifier \(TASK sync\)"):
        export_model(model, cfg, "torch-export", str(tmp_path / "x.pt2"))


@pytest.mark.parametrize("target", ["torch-export", pytest.param("onnx", marks=pytest.mark.slow)])
def test_a_disk_that_takes_no_more_is_one_line(tmp_path, target):
    model, cfg = make("MODEL.ARCH", "audio")
    out = tmp_path / f"x{ENDINGS[target]}"
    line = limited(export_model, model, cfg, target, str(out))
    assert line.startswith(f"{out}: ") and line.endswith("choose another folder"), line
    assert not list(tmp_path.iterdir())
