"""A run as one page."""

import json
import re

import pytest
from helpers.tools import command

from avslowfast.utils.errors import UserError
from avslowfast.visualization.report import make_report


def test_a_report_is_one_page_that_needs_nothing_else(trained, tmp_path):
    text = open(make_report(trained, tmp_path / "r.html"), encoding="utf-8").read()
    for title in ("Training", "Results", "Classes", "Confusion", "Clips", "Failed files", "Speed", "Configuration"):
        assert f"<h2>{title}</h2>" in text
    # The only addresses are names of namespaces, which nothing fetches.
    assert not [a for a in re.findall(r"""(?:src|href|url)\s*=?\(?["']?(https?:[^"')\s>]+)""", text)]
    assert text.count("<audio") >= 4 and "data:audio/mp4;base64," in text
    assert "data:image/jpeg;base64," in text and len(text) < 4e6
    assert "no run" not in text
    assert "top-1 accuracy, %" in text and "validation top-1 accuracy, %" in text
    with pytest.raises(UserError, match="neither stdout.log nor results.json"):
        make_report(tmp_path)
    assert "report.html" in command("report", trained)


def test_a_run_of_synchronisation_shows_its_distances(tmp_path):
    stage = {
        "histogram": {"in_sync": [3, 1], "hard": [1, 3]},
        "shifts": [-0.2, 0.0, 0.2],
        "distance": [0.5, 0.25, None],
    }
    results = {
        "arch": "avslowfast",
        "sync": 75.0,
        "res4_offset_ms": -4.0,
        "synchronisation": {"res4": stage},
        "failed": [{"path": "a<b.mp4", "reason": "broken"}],
        "metrics": {
            "sync": {"label": "pairs distinguished", "unit": "%", "better": "higher"},
            "res4_offset_ms": {"label": "res4, offset", "unit": "ms", "better": "lower"},
        },
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    text = open(make_report(tmp_path), encoding="utf-8").read()
    assert "<h2>Synchronisation</h2>" in text and "shift of the audio" in text
    assert "pairs distinguished, %" in text and "res4, offset, ms" in text
    assert "a&lt;b.mp4" in text and "<h2>Training</h2>" not in text


def test_a_run_that_has_not_ended_has_a_page(tmp_path):
    step = {"_type": "train_iter", "epoch": "1/2", "iter": "2/4", "loss": 2.5, "lr": 0.1, "dt": 0.5}
    (tmp_path / "stdout.log").write_text(f"json_stats: {json.dumps(step)}\n")
    text = open(make_report(tmp_path), encoding="utf-8").read()
    assert "Not tested yet" in text and "<h2>Training</h2>" in text and "seconds per step" in text
    assert "<h2>Failed files</h2>" not in text
