"""The console script `avslowfast`: the table of commands, and the one place where errors become exit codes."""

import argparse
import difflib
import importlib.abc
import io
import os
import sys
from collections.abc import Sequence
from typing import cast, Protocol

from .. import __version__
from ..utils.alive import counting_seconds
from ..utils.errors import first_of_machine, may_pass, MISTAKE, tell
from ..utils.signals import end_torchrun, INTERRUPTED, STOPPED
from .parser import CommandParser

# {title: {command: what it does}}; a command's module is called like it (_ for -) and is imported when it runs.
COMMANDS: dict[str, dict[str, str]] = {
    "Networks": {
        "train": "train a network, then test it",
        "lr-find": "find a learning rate for a training (range test)",
        "finetune": "from a folder of videos by class to a network and pages to play with",
        "check": "look at lists, files, one batch and the disk before a training",
        "test": "test a trained network",
        "export": "write a network as torch.export or ONNX program",
        "convert": "convert a checkpoint between formats",
    },
    "Videos": {
        "predict": "say what happens in videos",
        "demo": "annotated copies of videos, timelines, predictions over time",
        "app": "serve a page: drop a video, see and hear what networks make of it",
        "features": "write the features of videos to a file",
        "explain": "show what a network looks at and listens to",
        "sync": "estimate how far a video's audio is from its frames",
    },
    "Results": {
        "report": "write a page about a run",
        "evaluate": "score results by the rules of a data set",
        "ablate": "train and compare the networks of a suite over several seeds",
    },
    "Data": {
        "lists": "make list files from a folder of videos by class",
        "prepare": "make downloaded videos quick to read, and say what is missing",
        "pack": "put a data set into tar shards",
        "synthav": "render SynthAV, the data set that ships with the code",
    },
    "Installation": {
        "quickstart": "render SynthAV, train and test a small network on it",
        "doctor": "check this installation",
        "benchmark": "measure decoding, loader, steps, tests (needs a clone)",
        "zoo": "write MODEL_ZOO.md: every network, measured",
    },
}


# As GETTING_STARTED has them.
EXIT_CODES = {
    "0": "done",
    "1": "an error of the program, with its traceback; of doctor: something is missing",
    f"{MISTAKE}": "a mistake, an unreadable file or what this machine refuses, in one line; a lost process",
    f"{STOPPED}": "train, test, check, finetune, lr-find, quickstart: stopped by a signal, what there is saved",
    f"{INTERRUPTED}": "ended at once by Ctrl-C (of the commands of 75: by a second one)",
    "128+N": "ended by signal N",
}


class CommandModule(Protocol):
    """What the module of a command has."""

    __doc__: str | None

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Do it; gives the exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Words after the program's name; None takes those of the process.

    Returns:
        The exit code, see EXIT_CODES.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        print(f"avslowfast {__version__}")
        return 0
    names = [name for group in COMMANDS.values() for name in group]
    if words[0] not in names:
        near = difflib.get_close_matches(words[0], names, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        print(f"error: unknown command '{words[0]}'; {hint}avslowfast --help lists the commands", file=sys.stderr)
        return MISTAKE
    return run_command(words[0], words[1:])


def run_command(name: str, argv: Sequence[str] | None = None, script: str = "") -> int:
    """Run one command; an error that is no fault of the program is one line on stderr.

    AVSLOWFAST_TRACEBACK=1 shows where it was found.

    Args:
        name: Name of the command.
        argv: Words after the command's name; None takes those of the process.
        script: File name of the script in tools/ that calls; "" for `avslowfast NAME`.

    Returns:
        The exit code.
    """
    module = cast(CommandModule, importlib.import_module(f"{__package__}.{name.replace('-', '_')}"))
    parser = CommandParser(name, module.__doc__ or "", script)
    module.add_arguments(parser)
    try:
        args = parser.parse(sys.argv[1:] if argv is None else argv)
    except SystemExit as end:
        # argparse has told a mistake.
        if end.code:
            end_torchrun()
        raise
    # No command opens a window, and Matplotlib ends a process whose environment names a backend that it does not know.
    os.environ["MPLBACKEND"] = "agg"
    if "torch" not in sys.modules and first_of_machine():
        sys.meta_path.insert(0, _TorchNotice())
    for stream in (sys.stdout, sys.stderr):
        # File names may have bytes that are no text.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        with counting_seconds():
            return module.run(args)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        if tell(error):
            if not may_pass(error):
                end_torchrun()
            return MISTAKE
        raise


class _TorchNotice(importlib.abc.MetaPathFinder):
    """Says when PyTorch begins to be imported, which takes seconds; commands and mistakes that need none are quick."""

    def find_spec(self, name: str, path: object, target: object = None) -> None:
        """See `importlib.abc.MetaPathFinder`; it finds nothing."""
        if name == "torch":
            sys.meta_path.remove(self)
            print("loading PyTorch ...", file=sys.stderr, flush=True)


def overview() -> str:
    """The help of `avslowfast` itself."""
    lines = ["usage: avslowfast COMMAND ...", "", "Audiovisual SlowFast Networks (arXiv 2001.08740).", ""]
    for title, group in COMMANDS.items():
        lines += [f"{title}:", *(f"  {name:<11} {text}" for name, text in group.items()), ""]
    lines += ["Exit codes:", *(f"  {code:<5} {text}" for code, text in EXIT_CODES.items()), ""]
    return "\n".join([*lines, "avslowfast COMMAND --help shows the arguments, with examples; avslowfast --version."])


if __name__ == "__main__":
    sys.exit(main())
