"""Say in plain words whether this installation can work.

Example:
    avslowfast doctor

Exit codes: 0 it can; 1 something is missing, one line for each problem with what to do.
"""

import argparse
import importlib
import re
import sys
from types import ModuleType

from .parser import CommandParser

_MODULES = (
    "numpy",
    "pandas",
    "sklearn",
    "yaml",
    "yacs",
    "fvcore",
    "iopath",
    "safetensors",
    "simplejson",
    "tqdm",
    "tensorboard",
)
_SET = 'pip install "torch>=2.11,<2.15" torchvision "torchaudio>=2.11,<2.12"'
_AGAIN = "install avslowfast again with pip"


def add_arguments(parser: CommandParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """Print the problems, or that there are none."""
    problems = check()
    for problem in problems:
        print(f"- {problem}")
    if problems:
        return 1
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    devices = f"{gpus} GPU(s)" if gpus else "no GPU (runs on the CPU: NUM_GPUS 0)"
    print(f"avslowfast is ready: Python {sys.version.split()[0]}, torch {torch.__version__}, {devices}")
    return 0


def check() -> list[str]:
    """Problems of this installation, each a line that says what to do; [] if there are none."""
    problems = []
    if sys.version_info < (3, 10):
        problems.append(f"Python {sys.version.split()[0]} is too old; use 3.10 or newer")
    problems += _check_torch()
    for name in _MODULES:
        _, reason = _import(name)
        if reason:
            problems.append(f"{name} does not import ({reason}); {_AGAIN}")
    return problems + _check_av()


def _import(name: str) -> tuple[ModuleType | None, str]:
    """(module, "") or (None, why it does not import)."""
    try:
        return importlib.import_module(name), ""
    except Exception as error:  # A broken binary raises anything, not only ImportError.
        return None, " ".join(str(error).split())[:150] or type(error).__name__


def _check_torch() -> list[str]:
    torch, reason = _import("torch")
    if torch is None:
        return [f"torch does not import ({reason}); run: {_SET}"]
    problems, version = [], str(torch.__version__)
    match = re.match(r"(\d+)\.(\d+)", version)
    if match and not (2, 11) <= (int(match[1]), int(match[2])) < (2, 15):
        problems.append(f"torch {version} does not fit torchaudio 2.11, the newest one; run: {_SET}")
    if "+cpu" in version:
        problems.append(
            f"torch {version} is a CPU-only build, with which torchvision and torchaudio from the index do not work "
            f"(no GPU is needed for the other one either); run: pip uninstall -y torch, then: {_SET}"
        )
    for name in ("torchvision", "torchaudio"):
        module, reason = _import(name)
        if module is None:
            problems.append(f"{name} does not import with torch {version} ({reason}); run: {_SET}")
    return problems


def _check_av() -> list[str]:
    av, reason = _import("av")
    if av is None:
        return [f"av does not import ({reason}); {_AGAIN}"]
    missing = [name for name in ("libx264", "h264", "aac") if name not in av.codecs_available]
    if not missing:
        return []
    return [
        f"av {av.__version__} is missing the codecs {', '.join(missing)}; "
        "run: pip install --upgrade --force-reinstall av"
    ]
