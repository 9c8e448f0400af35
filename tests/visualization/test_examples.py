"""The programs in examples/ run."""

import pytest
from helpers import ROOT
from helpers.tools import script


@pytest.mark.slow
def test_examples_run(trained, synthav, tmp_path):
    video = synthav / "test/000000.mp4"
    args = {
        "predict": [video],
        "timeline": [video],
        "explain": [video, tmp_path / "x.png"],
        "features": [synthav / "test", tmp_path / "f.pt"],
        "modalities": [synthav, 2, 7],
    }
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names == set(args)
    for name in sorted(names):
        assert script(f"examples/{name}.py", trained, *args[name]).strip()
