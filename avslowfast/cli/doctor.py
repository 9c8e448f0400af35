"""Says in plain words whether this installation can work: `python -m avslowfast.cli.doctor`."""

import importlib
import re
import sys

_MODULES = (
    "numpy",
    "pandas",
    "sklearn",
    "yaml",
    "yacs",
    "fvcore",
    "iopath",
    "simplejson",
    "tqdm",
    "librosa",
    "tensorboard",
)
_SET = 'pip install "torch>=2.11,<2.15" torchvision "torchaudio>=2.11,<2.12"'


def check():
    """Problems found, each a line that says what to do; an empty list if there are none."""
    problems = []
    if sys.version_info < (3, 10):
        problems.append(f"Python {sys.version.split()[0]} is too old; use 3.10 or newer")
    problems += _check_torch()
    problems += [_problem(name, error) for name in _MODULES if (error := _import(name)[1])]
    problems += _check_av()
    return problems


def _import(name):
    try:
        return importlib.import_module(name), None
    except Exception as error:  # A broken binary raises anything, not ImportError alone.
        return None, error


def _problem(name, error):
    return f"{name} does not import ({' '.join(str(error).split())[:150]}); run: pip install -e ."


def _check_torch():
    torch, error = _import("torch")
    if error:
        return [f"torch does not import ({' '.join(str(error).split())[:150]}); run: {_SET}"]
    problems = []
    major, minor = (int(n) for n in re.match(r"(\d+)\.(\d+)", torch.__version__).groups())
    if not (2, 11) <= (major, minor) < (2, 15):
        problems.append(f"torch {torch.__version__} does not go with torchaudio 2.11, the newest one; run: {_SET}")
    if "+cpu" in torch.__version__:
        problems.append(
            f"torch {torch.__version__} is a CPU-only file, with which torchvision and torchaudio from the registry do not work (no GPU is needed "
            f"for the other one either); run: pip uninstall -y torch, then: {_SET}"
        )
    for name in ("torchvision", "torchaudio"):
        _, error = _import(name)
        if error:
            problems.append(
                f"{name} does not import beside torch {torch.__version__} ({' '.join(str(error).split())[:150]}); run: {_SET}"
            )
    return problems


def _check_av():
    av, error = _import("av")
    if error:
        return [_problem("av", error)]
    lacking = [name for name in ("libx264", "h264", "aac") if name not in av.codecs_available]
    return (
        [f"av {av.__version__} lacks the codecs {', '.join(lacking)}; run: pip install --upgrade --force-reinstall av"]
        if lacking
        else []
    )


def main():
    """Print the problems, or that there are none; the exit code is their number, at most 1."""
    problems = check()
    for problem in problems:
        print(f"- {problem}")
    if problems:
        sys.exit(1)
    import torch

    devices = (
        f"{torch.cuda.device_count()} GPU(s)" if torch.cuda.is_available() else "no GPU (runs on the CPU: NUM_GPUS 0)"
    )
    print(f"avslowfast is ready: Python {sys.version.split()[0]}, torch {torch.__version__}, {devices}")


if __name__ == "__main__":
    main()
