"""The configuration and its overrides on the command line, in any order."""

import pytest

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
