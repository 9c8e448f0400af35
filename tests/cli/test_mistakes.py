"""A mistake gets one line that says what is wrong."""

import os

from helpers.tools import command, script


def test_mistakes_get_one_line(trained, synthav, tmp_path):
    video, text = synthav / "test/000000.mp4", tmp_path / "text.mp4"
    text.write_text("this is no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    for bad in (tmp_path / "none.mp4", text, tmp_path / "empty.mp4"):
        for name, args in (
            ("demo", ["--input", bad]),
            ("explain", [bad]),
            ("predict", [bad]),
            ("sync", [bad]),
        ):
            assert os.path.basename(bad) in command(name, "--weights", trained, *args, code=2)
    for name, args in (
        ("demo", ["--input", video]),
        ("explain", [video]),
        ("predict", [video]),
        ("sync", [video]),
    ):
        assert "no checkpoints in it" in command(name, "--weights", tmp_path / "nothing", *args, code=2)
    assert "none.mp4" in script("tools/predict.py", "--weights", trained, tmp_path / "none.mp4", code=2)
    assert "no class 'dancing'" in command("explain", "--weights", trained, "--class", "dancing", video, code=2)
    assert "no camera could be opened" in command("demo", "--weights", trained, "--input", "webcam", code=2)
    assert "no videos in" in command("explain", "--weights", trained, tmp_path / "nothing", code=2)
