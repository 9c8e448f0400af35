"""Boxes of a detection network: read, classified, drawn."""

import numpy as np
import pytest
import torch
from helpers import tiny_cfg
from helpers.tools import command

import avslowfast
from avslowfast.inference.boxes import BoxesError, classify_boxes, read_boxes
from avslowfast.media import write_video
from avslowfast.models import build_model
from avslowfast.synthav.render import render_clip, SAMPLE_RATE
from avslowfast.visualization.boxes import BoxPainter


def test_boxes_of_a_detection_network_are_drawn(tmp_path):
    cfg = tiny_cfg(
        "DETECTION.ENABLE",
        True,
        "MODEL.LOSS_FUNC",
        "bce",
        "MODEL.NUM_CLASSES",
        6,
        "RESNET.WIDTH_PER_GROUP",
        8,
        "DETECTION.SPATIAL_SCALE_FACTOR",
        32,
    )
    torch.save(
        {"model_state": build_model(cfg).state_dict(), "cfg": cfg.dump(), "class_names": list("abcdef")},
        tmp_path / "w.pyth",
    )
    clip = render_clip("pairs", 0, "test", 0)
    write_video(tmp_path / "x.mp4", clip.frames, 15, clip.audio, SAMPLE_RATE)
    (tmp_path / "b.csv").write_text(
        "seconds,x1,y1,x2,y2\n1.0,0.1,0.1,0.5,0.9\n1.0,0.5,0.2,0.9,0.8\n2.0,0.1,0.1,0.5,0.9\n"
    )
    model, meta = avslowfast.load_model(tmp_path / "w.pyth")
    predictions = classify_boxes(model, tmp_path / "x.mp4", read_boxes(tmp_path / "b.csv"))
    assert [(p.seconds, p.scores.shape) for p in predictions] == [(1.0, (2, 6)), (2.0, (1, 6))]
    painter, pixels = BoxPainter(predictions, meta, threshold=0.0), np.zeros((96, 128, 3), np.uint8)
    assert painter.paint(pixels, 1.2).any() and not painter.paint(pixels, 2.9).any()
    text = command(
        "demo",
        "--weights",
        tmp_path / "w.pyth",
        "--input",
        tmp_path / "x.mp4",
        "--boxes",
        tmp_path / "b.csv",
        "--output",
        tmp_path / "o.mp4",
    )
    assert "1.00 s" in text and (tmp_path / "o.mp4").stat().st_size > 1000
    (tmp_path / "bad.csv").write_text("1.0,0.5,0.1,0.1,0.9\n")
    with pytest.raises(BoxesError, match="line 1: .* is no box"):
        read_boxes(tmp_path / "bad.csv")
    assert "needs --boxes" in command("demo", "--weights", tmp_path / "w.pyth", "--input", tmp_path / "x.mp4", code=2)


def test_a_network_of_clips_does_not_classify_boxes(network, synthav):
    with pytest.raises(BoxesError, match="avslowfast.predict"):
        classify_boxes(network, synthav / "test/000001.mp4", {1.0: np.array([[0, 0, 1, 1]], np.float32)})
