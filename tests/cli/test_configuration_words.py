"""The configuration and its overrides on the command line, in any order."""

import pytest
from helpers import TINY
from helpers.tools import command

from avslowfast.cli import train
from avslowfast.cli.parser import CommandParser

OVERRIDES = ["SOLVER.BASE_LR", "0.1", "NUM_GPUS", "0"]


def parse(words, script="run_net.py"):
    parser = CommandParser("train", train.__doc__, script)
    train.add_arguments(parser)
    return parser.parse(words.split())


@pytest.mark.parametrize(
    "words",
    [
        "--cfg x.yaml SOLVER.BASE_LR 0.1 NUM_GPUS 0",
        "SOLVER.BASE_LR 0.1 NUM_GPUS 0 --cfg x.yaml",
        "SOLVER.BASE_LR 0.1 --cfg x.yaml NUM_GPUS 0",
        "SOLVER.BASE_LR --cfg x.yaml 0.1 NUM_GPUS 0",
        "--cfg=x.yaml SOLVER.BASE_LR 0.1 NUM_GPUS 0",
        "SOLVER.BASE_LR 0.1 NUM_GPUS 0 --cfg=x.yaml",
        "--opts SOLVER.BASE_LR 0.1 --cfg x.yaml NUM_GPUS 0",
        "--cfg x.yaml --opts SOLVER.BASE_LR 0.1 NUM_GPUS 0",
        "SOLVER.BASE_LR 0.1 --import json --cfg x.yaml NUM_GPUS 0",
        "--num_shards 1 SOLVER.BASE_LR 0.1 NUM_GPUS 0 --cfg x.yaml --shard_id 0",
    ],
)
def test_the_configuration_of_a_script_may_stand_anywhere(words):
    args = parse(words)
    assert (args.config, args.overrides) == ("x.yaml", OVERRIDES)


@pytest.mark.parametrize("before", ["x.yaml", "--opts x.yaml", "x.yaml --import json", "--import json x.yaml"])
def test_the_configuration_of_the_command_is_the_first_word(before):
    args = parse(f"{before} {' '.join(OVERRIDES)}", script="")
    assert (args.config, args.overrides) == ("x.yaml", OVERRIDES)


@pytest.mark.parametrize("value", ["-1", "-1e-3", "-.5", "-inf", "-.inf", "-nan", "-Infinity"])
def test_a_value_may_begin_with_a_minus(value):
    assert parse(f"--cfg x.yaml SOLVER.BASE_LR {value}").overrides == ["SOLVER.BASE_LR", value]
    assert parse(f"SOLVER.BASE_LR {value} --cfg x.yaml").overrides == ["SOLVER.BASE_LR", value]


@pytest.mark.parametrize(
    "words, error",
    [
        ("SOLVER.BASE_LR 0.1", "the following arguments are required: --cfg"),
        ("SOLVER.BASE_LR 0.1 --cfg", "argument --cfg: expected one argument"),
        ("--cfg x.yaml --SOLVER.BASE_LR 0.1", "keys are written without dashes; use SOLVER.BASE_LR VALUE"),
        ("--cfg x.yaml --NUM_GPUS 0", "--NUM_GPUS: keys are written without dashes; use NUM_GPUS VALUE"),
        ("--cfg x.yaml --colour red", "unrecognized arguments: --colour"),
    ],
)  # fmt: skip
def test_words_that_make_no_sense_are_told_with_exit_code_2(words, error, capsys):
    with pytest.raises(SystemExit) as end:
        parse(words)
    assert end.value.code == 2
    assert error in capsys.readouterr().err


@pytest.fixture
def mistake(tmp_path, monkeypatch):
    """A function that gives the one line with which a training ends."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("x")
    return lambda *words: command("train", TINY, *words, code=2).removeprefix("error: ")


@pytest.mark.parametrize("folder", ["a_file", "a_file/below", "/proc/x", "/dev/null/x", "x" * 300])
def test_an_output_folder_that_cannot_be_written_is_one_line(mistake, folder):
    assert mistake("OUTPUT_DIR", folder).startswith(f"OUTPUT_DIR is '{folder}': nothing can be written there")


@pytest.mark.parametrize(
    "words, error",
    [
        (["OUTPUT_DIR", ""], "command line: OUTPUT_DIR is '': it has to be a path, not empty"),
        (["TEST.SAVE_RESULTS_PATH", "a_file/scores"], "TEST.SAVE_RESULTS_PATH is "),
        (["TENSORBOARD.ENABLE", "yes", "TENSORBOARD.LOG_DIR", "a_file"], "TENSORBOARD.LOG_DIR is 'a_file'"),
        (["TRAIN.ENABLE", "False", "TEST.ENABLE", "no"], "TRAIN.ENABLE and TEST.ENABLE are False: there is nothing"),
        (["OUTPUT_DIR=x"], "command line: 'OUTPUT_DIR=x': overrides are written KEY VALUE"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_work_ends_with_one_line(mistake, words, error):
    assert mistake(*words).startswith(error)
