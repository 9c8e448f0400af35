"""The command line: every command explains itself at once, errors are one line, scripts are the same commands."""

import re
import resource
import statistics
import subprocess
import sys

import pytest
from helpers import ROOT

from avslowfast.cli import main as cli
from avslowfast.cli.parser import CommandParser

COMMANDS = [name for group in cli.COMMANDS.values() for name in group]
# What takes long to import and what a --help does not need.
HEAVY = {"torch", "numpy", "av", "matplotlib", "pandas", "scipy", "sklearn", "yacs", "fvcore"}


def run(*words, cwd=None):
    command = [sys.executable, "-m", "avslowfast", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def modules_of(*words):
    """Top-level packages that a call of the command line imports."""
    code = (
        "import sys\nfrom avslowfast.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.strip().split("\n")[-1].split())


def cpu_seconds(*words, repeats=5):
    """CPU seconds of a command: what other programs of the machine do adds waiting, which is not counted."""
    times = []
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run(*words)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def test_the_overview_names_every_command():
    text = run("--help").stdout
    assert [name for name in COMMANDS if f"\n  {name} " not in text] == []


def test_the_overview_and_the_page_have_the_same_exit_codes():
    page = (ROOT / "GETTING_STARTED.md").read_text()
    table = page[page.index("### Exit codes") :]
    in_page = set(re.findall(r"^\| (\d+(?: \+ N)?) \|", table, re.MULTILINE))
    text = run("--help").stdout
    in_help = set(re.findall(r"^  (\d+(?:\+N)?) ", text[text.index("Exit codes:") :], re.MULTILINE))
    assert in_page == {"0", "1", "2", "75", "130", "128 + N"} == {code.replace("+", " + ") for code in in_help}


def test_the_overview_answers_within_half_a_second():
    assert cpu_seconds("--help") < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_has_an_example(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert f"    avslowfast {name}" in text and "Exit codes:" in " ".join(text.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_imports_nothing_heavy(name):
    assert modules_of(name, "--help") & HEAVY == set()


def test_the_help_of_a_command_answers_within_half_a_second():
    assert cpu_seconds("train", "--help") < 0.5


MISTAKE = ("SynthAV/AVSLOWFAST_TINY", "MODEL.ARC", "x")


@pytest.mark.parametrize(
    "words",
    [("train", *MISTAKE), ("test", *MISTAKE), ("export", *MISTAKE, "--to", "onnx"), ("benchmark", "step", *MISTAKE)],
    ids=lambda words: words[0],
)
def test_a_mistake_in_a_configuration_is_said_before_torch_is_imported(words, capsys):
    assert cli.main(words) == 2
    assert "unknown key MODEL.ARC; did you mean MODEL.ARCH?" in capsys.readouterr().err
    assert "torch" not in modules_of(*words)


def test_a_mistake_in_a_configuration_is_said_within_a_second_and_a_half():
    assert cpu_seconds("train", *MISTAKE) < 1.5


def test_that_torch_is_imported_is_said_first_and_not_in_the_output():
    done = run("doctor")
    assert done.stderr.split("\n")[0] == "loading PyTorch ..."
    assert done.stdout.startswith("avslowfast is ready")
    assert run("train", *MISTAKE).stderr.startswith("error: ")


def test_an_unknown_command_is_one_line_with_the_nearest_one():
    done = run("trainn")
    assert done.returncode == 2
    assert (
        done.stderr == "error: unknown command 'trainn'; did you mean 'train'? avslowfast --help lists the commands\n"
    )


def test_a_mistake_of_a_person_is_one_line():
    done = run("convert", "x.pyth", "./x.pyth", "--to", "pyslowfast")
    assert done.returncode == 2
    assert done.stderr == "error: IN and OUT are the same file; choose another OUT\n"


def test_keys_and_values_stand_anywhere_after_the_configuration():
    parser = CommandParser("train", "text")
    parser.add_configuration()
    args = parser.parse(["A/B", "DATA.LOGMEL_MEAN", "-7e-1", "--import", "plugin", "OUTPUT_DIR", "out"])
    assert args.config == "A/B"
    assert args.imports == ["plugin"]
    assert args.overrides == ["DATA.LOGMEL_MEAN", "-7e-1", "OUTPUT_DIR", "out"]


def test_examples_of_a_script_are_calls_of_the_script():
    text = "Train.\n\nExamples:\n    avslowfast train A/B X 1\n    torchrun -m avslowfast train my.yaml\n"
    parser = CommandParser("train", text, script="run_net.py")
    parser.add_configuration()
    assert "    python tools/run_net.py --cfg A/B X 1\n" in parser.description
    assert "    torchrun tools/run_net.py --cfg my.yaml\n" in parser.description


def test_formats_and_endings_are_those_of_the_package():
    from avslowfast.checkpoint import WRITABLE
    from avslowfast.cli import convert, export
    from avslowfast.inference.export import ENDINGS

    assert convert.FORMATS == WRITABLE
    assert export.ENDINGS == ENDINGS


def test_data_sets_are_those_of_the_package():
    from avslowfast.cli import prepare, synthav
    from avslowfast.preparation.plan import DATA_SETS
    from avslowfast.synthav import VARIANTS

    assert tuple(DATA_SETS) == prepare.NAMES
    assert {variant: tuple(counts) for variant, counts in VARIANTS.items()} == synthav.PARTS


def test_the_program_is_a_module():
    assert run("--version").stdout.startswith("avslowfast ")
