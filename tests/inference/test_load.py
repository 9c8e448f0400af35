"""Networks by name or file, predictions by name of the class, torch.hub."""

import csv
import os
import subprocess
import sys

import pytest
import torch
import weights as conformance
from helpers import ROOT, tiny_cfg
from helpers.runs import newest_state

import avslowfast
from avslowfast.checkpoint import from_avslowfast, states
from avslowfast.config import find_config
from avslowfast.media import DecodeError
from avslowfast.models import build_model
from avslowfast.utils.errors import UserError


def test_a_run_gives_its_network_with_names_and_the_scores_of_the_test(trained, synthav):
    model, meta = avslowfast.load_model(trained)
    assert model.meta is meta and not model.training and meta.report.complete
    assert meta.class_names == (synthav / "classes.txt").read_text().split("\n")[
        :-1
    ] and meta.source == states.best_path(trained)
    saved = torch.load(trained / "scores.pt", weights_only=False)
    for index in (0, 5):
        best = avslowfast.predict(model, saved["paths"][index], topk=16)
        assert [p.score for p in best] == sorted((p.score for p in best), reverse=True)
        scores = torch.zeros(16)
        scores[[p.class_id for p in best]] = torch.tensor([p.score for p in best])
        assert (scores - saved["scores"][index]).abs().max() < 1e-5
        assert best[0].name == meta.class_names[best[0].class_id]
    for source in (meta.source, newest_state(trained)):
        other, _ = avslowfast.load_model(source)
        assert torch.equal(other.head.projection.weight, model.head.projection.weight)


def test_inputs_of_a_video_have_views_and_crops_first(trained, synthav):
    model, meta = avslowfast.load_model(trained)
    video = synthav / "test" / sorted(os.listdir(synthav / "test"))[0]
    inputs = meta.preprocess(video, views=3, crops=3)
    assert (
        inputs["fast"].shape == (9, 3, 8, 48, 48)
        and inputs["audio"].shape == (3, 1, 64, 40)
        and inputs["audio_mask"].all()
    )
    assert len(avslowfast.predict(model, video, topk=2, views=1)) == 2
    with pytest.raises(DecodeError, match="none.mp4"):
        avslowfast.predict(model, "none.mp4")


def test_the_tool_prints_names_and_a_bad_file_does_not_stop_it(trained, synthav, tmp_path):
    (tmp_path / "bad.mp4").write_text("text")
    video = synthav / "test" / sorted(os.listdir(synthav / "test"))[0]
    tool = [sys.executable, str(ROOT / "tools/predict.py"), "--weights", str(trained)]
    done = subprocess.run(
        [*tool, "--topk", "2", "--csv", str(tmp_path / "x.csv"), str(tmp_path), str(video)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "bad.mp4: cannot be opened" in done.stderr and "Traceback" not in done.stderr
    rows = list(csv.DictReader(open(tmp_path / "x.csv")))
    assert [r["rank"] for r in rows] == ["1", "2"] and all(
        r["class"] in done.stdout and "+" in r["class"] for r in rows
    )
    done = subprocess.run([*tool[:-1], str(tmp_path), str(video)], capture_output=True, text=True)
    first, line = done.stderr.splitlines()
    assert done.returncode == 2 and "no checkpoints in it" in line and first == "loading PyTorch ..."


def test_configurations_are_found_by_name():
    assert (
        find_config("slowfast_8x8_r50")
        == find_config("Kinetics/SLOWFAST_8x8_R50")
        == str(ROOT / "configs/Kinetics/SLOWFAST_8x8_R50.yaml")
    )
    assert find_config("Kinetics600/SLOWFAST_8x8_R50.yaml").endswith("Kinetics600/SLOWFAST_8x8_R50.yaml")
    assert find_config("slowfast_16x8_r50") == str(ROOT / "configs/Kinetics/SLOWFAST_16x8_R50.yaml")
    assert find_config("slowfast_32x2_r50_short") == str(ROOT / "configs/AVA/SLOWFAST_32x2_R50_SHORT.yaml")
    with pytest.raises(UserError, match="SLOWFAST_8x8_R101"):
        find_config("SLOWFAST_8x8_R102")


def test_a_name_in_several_folders_is_refused(monkeypatch, tmp_path):
    for folder in ("A", "B"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "NET.yaml").write_text("MODEL:\n  ARCH: slow\n")
    monkeypatch.setattr("avslowfast.config.zoo.CONFIGS", tmp_path)
    with pytest.raises(UserError, match="say which: A/NET, B/NET"):
        find_config("NET")


def test_fresh_weights_are_said_to_be_fresh(caplog):
    import logging

    logging.getLogger("avslowfast").propagate = True
    model, meta = avslowfast.load_model("SynthAV/AVSLOWFAST_TINY", overrides=["MODEL.NUM_CLASSES", 3])
    assert (
        "fresh" in caplog.text
        and meta.source is None
        and meta.class_name(2) == "class 2"
        and model.head.projection.out_features == 3
    )


def test_another_projects_file_takes_the_configuration_of_its_name(tmp_path):
    vector = conformance.load(ROOT / "tests/golden/pyslowfast_slow_8x8_r50.json")
    state = {"model_state": conformance.state_dict(vector), "cfg": "MVIT:\n  DEPTH: 24\n"}
    torch.save(state, tmp_path / "SLOW_8x8_R50.pyth")
    torch.save(state, tmp_path / "mine.pyth")
    model, meta = avslowfast.load_model(tmp_path / "SLOW_8x8_R50.pyth")
    assert meta.report.complete and meta.cfg.MODEL.ARCH == "slow" and meta.class_names is None
    with pytest.raises(
        UserError, match=r"mine.pyth: its configuration is not one of this project .*MVIT.*load_model\("
    ):
        avslowfast.load_model(tmp_path / "mine.pyth")
    again, _ = avslowfast.load_model("SLOW_8x8_R50", weights=tmp_path / "mine.pyth")
    assert torch.equal(again.head.projection.weight, model.head.projection.weight)
    with pytest.raises(UserError, match="do not come from it"):
        avslowfast.load_model("SLOWFAST_8x8_R50", weights=tmp_path / "mine.pyth")


def test_torch_hub_lists_and_loads_the_zoo(tmp_path):
    import hubconf

    entries = [name for name, entry in vars(hubconf).items() if callable(entry) and not name.startswith("_")]
    assert {"load_model", "slowfast_8x8_r50", "avslowfast_8x8_r101", "audio_r50"} <= set(entries) and len(entries) > 20
    cfg = tiny_cfg()
    small = ["RESNET.WIDTH_PER_GROUP", 8]
    model = torch.hub.load(str(ROOT), "slow_4x16_r50", source="local", overrides=small)
    assert not model.training and model.meta.cfg.MODEL.ARCH == "slow"
    torch.save({"model_state": from_avslowfast(model.state_dict(), "pyslowfast")}, tmp_path / "x.pyth")
    again = torch.hub.load(
        str(ROOT), "slow_4x16_r50", source="local", weights=str(tmp_path / "x.pyth"), overrides=small
    )
    assert again.meta.report.complete
    torch.save(
        {"model_state": build_model(cfg).state_dict(), "cfg": cfg.dump(), "class_names": [f"c{i}" for i in range(16)]},
        tmp_path / "w.pyth",
    )
    assert torch.hub.load(str(ROOT), "load_model", str(tmp_path / "w.pyth"), source="local").meta.class_name(3) == "c3"


def test_an_output_folder_without_checkpoints_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no checkpoints in it"):
        avslowfast.load_model(tmp_path)


def test_importing_the_package_is_cheap():
    code = "import sys, avslowfast; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    with pytest.raises(AttributeError):
        avslowfast.nothing  # noqa: B018


def test_the_newest_state_serves_where_none_was_best(trained, tmp_path):
    os.makedirs(tmp_path / "checkpoints")
    newest = newest_state(trained)
    os.symlink(newest, states.checkpoint_path(tmp_path, 1, 0))
    assert avslowfast.load_model(tmp_path)[1].source == states.checkpoint_path(tmp_path, 1, 0)
