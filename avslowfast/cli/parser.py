"""What the commands' parsers share: configurations, weights, modules of the user, examples for both ways of calling."""

import argparse
import os
import re
import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..cluster.options import NAMES
from ..utils.errors import one_line, UserError
from ..utils.files import check_replaceable
from ..utils.remote import is_remote

if TYPE_CHECKING:
    from ..inference.load import ModelMeta
    from ..models.network import Network

# In an example: the name or the file of a configuration.
_CONFIGURATION = re.compile(r"(?<= )(?=(?:[A-Z]\w*/[A-Z]\w*|[\w/]+\.yaml)(?: |$))", re.MULTILINE)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
# A key of the configuration, written as an option.
_DASHED_KEY = re.compile(r"--[A-Z][A-Z0-9_]*(\.[A-Z0-9_.]+)?$")


class UsageError(UserError):
    """Arguments that make no sense together; the message says which and what to give."""


class CommandParser(argparse.ArgumentParser):
    """The parser of a command, as `avslowfast COMMAND` or as the command's script in tools/.

    Args:
        command: Name of the command.
        text: What it does, with examples written for `avslowfast COMMAND`.
        script: File name of the script; "" for `avslowfast COMMAND`.
    """

    def __init__(self, command: str, text: str, script: str = "") -> None:
        super().__init__(
            prog=f"python tools/{script}" if script else f"avslowfast {command}",
            description=_for_script(text, command, script),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.command, self.script = command, script
        self.takes_configuration = self.takes_overrides = self.takes_slurm = False
        # argparse takes -1e-3 for an option; as the value of a key it is a number.
        self._negative_number_matcher = re.compile(r"^-\.?(\d|inf|nan)", re.IGNORECASE)

    def add_configuration(self) -> None:
        """Take a configuration with overrides: CONFIG KEY VALUE ..., in a script --cfg FILE KEY VALUE ...."""
        text = "YAML file, or name of a configuration that comes with the package, e.g. SynthAV/AVSLOWFAST_TINY"
        if self.script:
            self.description = "\n".join(
                _CONFIGURATION.sub("--cfg ", line, count=1) if f"tools/{self.script}" in line else line
                for line in (self.description or "").split("\n")
            )
            self.add_argument("--cfg", dest="config", required=True, metavar="FILE", help=text)
        else:
            self.add_argument("config", metavar="CONFIG", help=text)
        self.add_imports()
        self.add_overrides()
        self.takes_configuration = True

    def add_overrides(self) -> None:
        """Take KEY VALUE ...."""
        self.add_argument(
            "overrides", nargs="*", default=[], metavar="KEY VALUE", help="keys of the configuration and their values"
        )
        self.takes_overrides = True

    def add_weights(self, several: bool = False) -> None:
        """Take a trained network: --weights, and --model for weights without a configuration.

        Args:
            several: Take one or more of them, see `load_models`.
        """
        self.add_argument(
            "--weights", required=True, nargs="+" if several else None, help="OUTPUT_DIR of a run, or a checkpoint"
        )
        self.add_argument("--model", help="configuration of a checkpoint that has none, e.g. SLOWFAST_8x8_R50")
        self.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU where there is one)")
        self.add_argument(
            "--precision",
            choices=["float32", "bf16"],
            default="float32",
            help="bf16 is faster on GPUs and rounds scores (default: %(default)s)",
        )
        self.add_imports()

    def add_imports(self) -> None:
        """Take modules of the user, which register further parts."""
        self.add_argument(
            "--import",
            dest="imports",
            action="append",
            default=[],
            metavar="MODULE",
            help="module that registers pathways, laterals, data sets, tasks ... (repeatable; in a YAML: PLUGINS)",
        )

    def add_slurm(self) -> None:
        """Take --slurm NAME=VALUE ...."""
        self.add_argument(
            "--slurm",
            nargs="*",
            metavar="NAME=VALUE",
            help=f"submit this to Slurm instead; options: {', '.join(NAMES)} (docs/CLUSTERS.md)",
        )
        self.takes_slurm = True

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments.

        `command` and `script` among them say how the command was called; `words` are those without --slurm and its
        options, which are in `slurm` (None without it).
        """
        slurm, words = _take_slurm(words) if self.takes_slurm else (None, words)
        keys = [word for word in words if _DASHED_KEY.match(word)] if self.takes_overrides else []
        if keys:
            self.error(f"{keys[0]}: keys are written without dashes; use {keys[0][2:]} VALUE")
        words = list(words)
        for option, word in zip(["", *words], words):
            # What a shell makes of a variable that is not set; as the value of a key it may be meant.
            if word == "" and (option.startswith("--") or not self.takes_overrides):
                self.error(f"{option or 'an argument'} is empty; give a value, or leave it out")
        if self.takes_configuration and not self.script and "--cfg" in words[:-1]:
            # As the scripts in tools/ write it.
            at = words.index("--cfg")
            words = [words[at + 1], *words[:at], *words[at + 2 :]]
        args = self.parse_intermixed_args(words) if self.takes_overrides else self.parse_args(words)
        args.command, args.script, args.slurm, args.words = self.command, self.script, slurm, words
        return args


def _take_slurm(words: Sequence[str]) -> tuple[list[str] | None, list[str]]:
    """(options of --slurm, other words). Keys of the configuration may follow the options."""
    if "--slurm" not in words:
        return None, list(words)
    begin = words.index("--slurm")
    end = begin + 1
    # A name without a value is a mistake that is told later.
    while end < len(words) and ("=" in words[end] or words[end] in NAMES):
        end += 1
    return list(words[begin + 1 : end]), [*words[:begin], *words[end:]]


def _for_script(text: str, command: str, script: str) -> str:
    """A command's text with the examples of its script; the text itself without a script."""
    if not script:
        return text
    return text.replace(f"-m avslowfast {command} ", f"tools/{script} ").replace(
        f"avslowfast {command}", f"python tools/{script}"
    )


def count_of(low: int, high: int) -> Callable[[str], int]:
    """The type of an argument that is a whole number in a range."""

    def whole(text: str) -> int:
        if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return whole


def written(text: str) -> str:
    """The type of an argument that names a file or folder to write: one of this machine, no pipe and no device."""
    if is_remote(text):
        raise argparse.ArgumentTypeError(f"{text!r} is an address; files are written to this machine, copy them then")
    try:
        check_replaceable(text)
    except OSError as error:
        raise argparse.ArgumentTypeError(one_line(error)) from None
    return text


def written_file(text: str) -> str:
    """As `written`, of an argument that names no folder; what can be seen of its folder is right, before any work."""
    if os.path.isdir(written(text)) or text.endswith(os.sep):
        raise argparse.ArgumentTypeError(f"{text!r} is a folder; name a file")
    folder = os.path.dirname(os.path.abspath(text))
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f"{text!r}: nothing can be written in {folder}; choose another place")
    return text


def drawn_file(text: str) -> str:
    """As `written_file`, of a picture whose format its ending says."""
    if os.path.splitext(written_file(text))[1].lower() not in (".png", ".jpg", ".svg", ".pdf"):
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of .png, .jpg, .svg, .pdf; name a picture")
    return text


def number_of(low: float, high: float, unit: str = "") -> Callable[[str], float]:
    """The type of an argument that is a number in a range.

    Args:
        low: Smallest number.
        high: Largest number.
        unit: What is counted, for the message.
    """

    def number(text: str) -> float:
        if not _NUMBER.fullmatch(text) or not low <= float(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no number{unit and f' of {unit}'} from {low:g} to {high:g}")
        return float(text)

    return number


# The type of an argument that is a time.
seconds = number_of(0.001, 1e6, "seconds")


def load_model(args: argparse.Namespace) -> "tuple[Network, ModelMeta]":
    """The network that `CommandParser.add_weights` asked for."""
    return load_models(argparse.Namespace(**{**vars(args), "weights": [args.weights]}))[0]


def load_models(args: argparse.Namespace) -> "list[tuple[Network, ModelMeta]]":
    """The networks that `CommandParser.add_weights` asked for, where it takes several."""
    import avslowfast

    from ..config import import_modules

    import_modules(args.imports)
    pairs = [(args.model, weights) if args.model else (weights, None) for weights in args.weights]
    return [
        avslowfast.load_model(name, weights, device=args.device, precision=args.precision) for name, weights in pairs
    ]


def training_command(args: argparse.Namespace, config: str, words: Sequence[str]) -> str:
    """How a person trains with a configuration of the package: in the form in which they called this command.

    Args:
        args: The arguments of this command.
        config: Name of the configuration.
        words: Keys and values.
    """
    script = ["python", "tools/run_net.py", "--cfg", f"configs/{config}.yaml"]
    # Names of folders may have blanks.
    return shlex.join([*(script if args.script else ["avslowfast", "train", config]), *words])
