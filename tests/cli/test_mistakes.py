"""A mistake gets one line that says what is wrong."""

import importlib
import os
import re

import pytest
from helpers.tools import command, script

from avslowfast.cli.main import COMMANDS, run_command
from avslowfast.cli.parser import CommandParser


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


def written_by(name):
    """Options of a command that name what it writes."""
    parser = CommandParser(name, "")
    importlib.import_module(f"avslowfast.cli.{name.replace('-', '_')}").add_arguments(parser)
    options = set(re.findall(r"--[a-z]+", parser.format_help()))
    return options & {"--out", "--output", "--csv", "--json", "--html", "--docs", "--plot"}


def files_written():
    return [(n, o) for group in COMMANDS.values() for n in group for o in sorted(written_by(n))]


@pytest.mark.parametrize(("name", "option"), files_written())
def test_nothing_is_written_to_an_address(name, option, capsys):
    with pytest.raises(SystemExit):
        run_command(name, [option, "s3://bucket/x"])
    assert f"argument {option}: 's3://bucket/x' is an address" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "option"), files_written())
def test_a_device_is_not_replaced(name, option, tmp_path, capsys):
    # As root a file could take the place of /dev/null, for every process of the machine.
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    (tmp_path / "link.png").symlink_to(pipe)
    for path in (pipe, tmp_path / "link.png"):
        with pytest.raises(SystemExit):
            run_command(name, [option, str(path)])
        assert f"argument {option}: {path}: it is a pipe, a socket or a device" in capsys.readouterr().err
        assert path.is_fifo()


@pytest.mark.parametrize(
    ("name", "option"),
    [("predict", "--csv"), ("sync", "--json"), ("sync", "--plot"), ("features", "--out"), ("report", "--out")],
)
def test_a_file_that_cannot_be_written_is_told_before_the_work(name, option, tmp_path, capsys):
    (tmp_path / "file").touch()
    for path, told in (
        (tmp_path, f"'{tmp_path}' is a folder; name a file"),
        (f"{tmp_path}/new/", f"'{tmp_path}/new/' is a folder; name a file"),
        (tmp_path / "file/x.png", "a part of the path is a file, not a folder"),
        ("", f"{option} is empty; give a value, or leave it out"),
    ):
        with pytest.raises(SystemExit):
            run_command(name, [option, str(path)])
        assert told in capsys.readouterr().err


NUMBERS = [
    ("predict", "--topk", "0"),
    ("predict", "--views", "1_0"),
    ("demo", "--topk", "-1"),
    ("demo", "--step", "1e-300"),
    ("demo", "--short-side", "0"),
    ("demo", "--seconds", "nan"),
    ("sync", "--max-shift", "1e9"),
    ("sync", "--step", "\u0661"),
    ("lists", "--val", "-0.1"),
    ("lists", "--test", "1.5"),
    ("synthav", "--seed", "-1"),
    ("synthav", "--num-clips", "x"),
    ("ablate", "--jobs", "0"),
    ("evaluate ava", "--max-boxes", "-1"),
]


@pytest.mark.parametrize(("name", "option", "value"), NUMBERS)
def test_numbers_out_of_range_are_told_before_the_work(name, option, value, capsys):
    name, *more = name.split()
    with pytest.raises(SystemExit):
        run_command(name, [*more, option, value])
    assert re.search(rf"argument {option}: '{value}' is no (whole )?number.* from \S+ to", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard"])
def test_folders_of_a_run_that_cannot_be_written_are_told_before_the_work(tmp_path, name, capsys):
    (tmp_path / name).write_text("a file where the folder belongs")
    assert run_command("train", ["SynthAV/AVSLOWFAST_TINY", "OUTPUT_DIR", str(tmp_path)]) == 2
    assert f"nothing can be written to {name} in it" in capsys.readouterr().err


def test_a_data_set_without_a_video_is_refused(tmp_path, capsys):
    assert run_command("synthav", ["--out", str(tmp_path / "x"), "--num-clips", "0", "0", "0"]) == 2
    assert "nothing to render" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_a_backend_of_matplotlib_that_there_is_not_harms_no_command(tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    (tmp_path / "results.json").write_text('{"top1": 50.0}')
    assert run_command("evaluate", ["folds", str(tmp_path / "results.json")]) == 0
    # Where Matplotlib is imported afterwards, as for a report, it takes the backend from there.
    assert os.environ["MPLBACKEND"] == "agg"


def test_more_shifts_and_windows_than_fit_are_refused(trained, synthav):
    video = synthav / "test/000000.mp4"
    assert "too many shifts" in command(
        "sync", video, "--weights", trained, "--max-shift", "1000", "--step", "0.001", code=2
    )
    assert "no class '\u00b2'" in command("explain", video, "--weights", trained, "--class", "\u00b2", code=2)


def test_a_picture_has_an_ending_of_one(tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_command("sync", ["--plot", str(tmp_path / "sync.xyz")])
    assert "ends in none of .png, .jpg, .svg, .pdf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "more"),
    [
        ("OUTPUT_DIR", ()),
        ("TENSORBOARD.LOG_DIR", ()),
        ("TEST.SAVE_RESULTS_PATH", ("TEST.ENABLE", "True")),
    ],
)
def test_a_run_writes_to_folders_of_this_machine(tmp_path, monkeypatch, capsys, key, more):
    monkeypatch.chdir(tmp_path)
    words = ["SynthAV/AVSLOWFAST_TINY", key, "s3://bucket/x/scores.pt", *more]
    assert run_command("train", words) == 2
    assert f"{key} is 's3://bucket/x/scores.pt': an address" in capsys.readouterr().err
    assert not os.path.exists("s3:")
