"""The configurations that come with the project, by name; nothing heavy is imported."""

import difflib
import fnmatch
import os
from pathlib import Path

from iopath.common.file_io import g_pathmgr

from .errors import UnknownModelError

_PACKAGE = Path(__file__).resolve().parents[1]
# An installed package carries the configurations inside; in a checkout they lie next to the package.
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"

# Folder that a name without a folder means, where it has such a file.
_DEFAULT_FOLDER = "Kinetics"


def list_models(pattern: str = "*") -> list[str]:
    """Names of the configurations that come with the project, e.g. "Kinetics/AVSLOWFAST_8x8_R50".

    Args:
        pattern: Shell pattern such as "*AV*" or "Kinetics/*", in any case, for the name with or without its folder.

    Returns:
        The names in alphabetical order. `load_cfg` and `load_model` take them.
    """
    wanted = pattern.lower()
    return [
        name
        for name in _known()
        if fnmatch.fnmatchcase(name.lower(), wanted) or fnmatch.fnmatchcase(name.split("/")[-1].lower(), wanted)
    ]


def find_config(name: str) -> str:
    """Path of a configuration by its file or its name, in any case.

    Args:
        name: A file (a local path or one that iopath opens), or a name such as "Kinetics600/SLOWFAST_8x8_R50"; a name
            without a folder means the one for Kinetics-400 where there is one.

    Raises:
        UnknownModelError: There is no such configuration, or the name is in several folders.
    """
    if g_pathmgr.isfile(name):
        return name
    if "://" not in name and os.path.isdir(name) and os.path.isfile(os.path.join(name, "config.yaml")):
        raise UnknownModelError(f"{name}: it is the folder of a run; its configuration is config.yaml in it")
    known = _known()
    if not known:
        raise UnknownModelError(
            f"{name}: no such file, and the folder of configurations {CONFIGS} is missing; install the package again"
        )
    wanted = name.removesuffix(".yaml").lower()
    by_lower = {key.lower(): path for key, path in known.items()}
    for key in (wanted, f"{_DEFAULT_FOLDER.lower()}/{wanted}"):
        if key in by_lower:
            return str(by_lower[key])
    same = [key for key, path in known.items() if path.stem.lower() == wanted]
    if len(same) == 1:
        return str(known[same[0]])
    if same:
        raise UnknownModelError(f"{name}: in several folders of configurations; say which: {', '.join(same)}")
    if os.path.isdir(name):
        raise UnknownModelError(
            f"{name}: a folder without config.yaml; give the OUTPUT_DIR of a run or a configuration"
        )
    raise UnknownModelError(f"{name}: neither a file nor the name of a configuration; {_proposal(wanted, known)}")


def _known() -> dict[str, Path]:
    """{name: file} of every configuration that comes with the project."""
    files = sorted(CONFIGS.glob("*/*.yaml")) if CONFIGS.is_dir() else []
    return {path.relative_to(CONFIGS).with_suffix("").as_posix(): path for path in files}


def _proposal(wanted: str, known: dict[str, Path]) -> str:
    # A name that looks like a path is compared by its last part alone.
    stems = {path.stem.lower(): path.stem for path in known.values()}
    near = difflib.get_close_matches(wanted.split("/")[-1], stems, n=3, cutoff=0.7)
    hint = f"did you mean {', '.join(stems[stem] for stem in near)}? " if near else ""
    return f"{hint}avslowfast.list_models() lists the names"
