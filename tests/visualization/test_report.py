"""A run as one page."""

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
    with pytest.raises(UserError, match="neither stdout.log nor results.json"):
        make_report(tmp_path)
    assert "report.html" in command("report", trained)
