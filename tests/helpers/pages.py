"""The commands on the pages of the documentation: which there are, and which of them a test can run."""

import contextlib
import importlib
import io
import re
import shlex
from dataclasses import dataclass

from avslowfast.cli.main import COMMANDS
from avslowfast.cli.parser import CommandParser

from . import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples/plugin/README.md"]
NAMES = {name for group in COMMANDS.values() for name in group}
PROGRAMS = ("avslowfast", "docker", "mkdocs", "pip", "pre-commit", "python", "python3", "tensorboard", "torchrun")

# Commands that the test of pages leaves out: how they begin, and why. An entry without a command is an error.
NOT_RUN = {
    r"python3 -m venv \.venv && ": ".ci/run runs both of README's commands word for word",
    r"(.*/)?pip ": "downloads; .ci/run installs with all extras",
    r"python -m build": ".ci/run builds and installs the wheel",
    r"docker ": "needs a Docker daemon; tests/test_packaging.py looks at the file",
    r"pre-commit install": "changes the clone; .ci/run runs what it installs",
    r"python -m pytest": "is the test suite",
    r"mkdocs (build|serve)": "tests/test_site.py builds the site",
    r"#!/bin/bash": "tests/cluster/test_slurm.py runs the batch script under a Slurm",
    r"(avslowfast ablate|python tools/ablate\.py) ": "5 to 35 minutes each; tests/cli/test_ablate.py trains a suite",
    r"torchrun --nnodes=2 ": "two times eight processes; tests/engine/test_elastic.py starts several agents",
    r"avslowfast demo .* webcam ": "needs a camera",
    r"avslowfast finetune .* --weights SLOWFAST_8x8_R50( |$)": "downloads weights; with a file the same runs",
}


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Attributes:
        page: Name of the page.
        text: The command on one line, without a comment; a script or a Python program as it is.
        kind: "shell" or "python".
    """

    page: str
    text: str
    kind: str = "shell"

    @property
    def words(self):
        return shlex.split(self.text, comments=True)

    @property
    def calls(self):
        """Calls of this project's commands in it, see `call_in`."""
        if self.kind == "python":
            return []
        lines = re.sub(r" *\\\n\s*", " ", self.text).split("\n") if self.text.startswith("#!") else [self.text]
        found = [
            call_in(shlex.split(part, comments=True))
            for line in lines
            for part in line.split(" && ")
            if "#SB" not in line
        ]
        return [call for call in found if call]

    @property
    def why_not_run(self):
        """Why the test of pages leaves it out; "" where it runs it."""
        return next((why for start, why in NOT_RUN.items() if re.match(start, self.text)), "")


def name_of(page):
    return str(page.relative_to(ROOT))


def commands_of(page):
    """Every command of a page, in its order: in code blocks, indented, and in the text where it is a whole one."""
    text, found = page.read_text(), []
    pattern = r"^```(\w*)\n(.*?)^```|(?<=\n\n)((?:    [^\n]*\n)+)|(?<!`)`([^`\n]+)`(?!`)"
    for match in re.finditer(pattern, text, re.M | re.S):
        language, fenced, indented, inline = match.groups()
        if language == "python":
            found.append(Command(name_of(page), fenced, "python"))
        elif language == "bash" and fenced.startswith("#!"):
            found.append(Command(name_of(page), fenced))
        elif language == "bash":
            found += [Command(name_of(page), line) for line in _lines(fenced)]
        elif indented:
            found += [Command(name_of(page), line) for line in _lines(indented) if _program(line) in PROGRAMS]
        elif inline and is_whole(inline):
            found.append(Command(name_of(page), inline))
    return found


def _lines(block):
    """The commands of a block, each on one line, without comments."""
    for line in re.sub(r" *\\\n\s*", " ", block).split("\n"):
        line = re.sub(r"(^|\s+)#( |$).*", "", line).strip()
        if line:
            yield line


def _program(line):
    return line.split()[0].rpartition("/")[2]


def is_whole(code):
    """Whether code in a text is a command that can be given as it is, not a name or a form."""
    try:
        words = shlex.split(code)
    except ValueError:
        return False
    if len(words) < 2 or _program(code) not in PROGRAMS or "..." in words:
        return False
    call = call_in(words)
    if call is None:
        return _program(code) not in ("avslowfast", "torchrun")
    if call[0] not in NAMES:
        return False
    with contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        parser = parser_of(*call[:2])
        return len(getattr(parser.parse(call[2]), "overrides", ())) % 2 == 0
    return False


def call_in(words):
    """(command, script, its words) of a call of this project's commands; None for what is no call."""
    for i, word in enumerate(words):
        if re.fullmatch(r"(.*/)?avslowfast", word) and words[0] != "docker":
            return (words[i + 1], "", words[i + 2 :]) if i + 1 < len(words) and words[i + 1][0] != "-" else None
        if re.fullmatch(r"tools/\w+\.py", word):
            name = re.search(r'run_command\("(\w+)"', (ROOT / word).read_text())[1]
            return name, word.removeprefix("tools/"), words[i + 1 :]
    return None


def parser_of(command, script=""):
    assert command in NAMES, f"no command {command}"
    module = importlib.import_module(f"avslowfast.cli.{command.replace('-', '_')}")
    parser = CommandParser(command, module.__doc__, script)
    module.add_arguments(parser)
    return parser


COMMANDS_OF_PAGES = [command for page in PAGES for command in commands_of(page)]
