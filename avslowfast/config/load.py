"""YAML files and command-line overrides into a frozen, validated configuration."""

import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any

from iopath.common.file_io import g_pathmgr

from ..utils.text import read_text, TextError
from .derived import Cfg
from .errors import ConfigError, PluginError
from .names import DATASETS
from .plugins import import_modules
from .pyslowfast import belongs_to, IDENTITY, translated, what_serves
from .ranges import shown
from .reading import Flat, LONGEST_YAML, read_yaml, Scalar
from .table import get_cfg, TABLE
from .validate import validate_cfg
from .zoo import find_config

_BASE_KEY = "_BASE_"
_PLUGINS_KEY = "PLUGINS"
# Endings of files that people take for configurations.
_CHECKPOINTS = (".pyth", ".pth", ".pt", ".pkl", ".ckpt", ".safetensors")
# Two names or keys are near from this similarity on (0..1, as difflib measures it).
_NEAR = 0.75
_LONGEST_KEY = 100

# (dotted key, value, where it is set), in the order in which they are applied.
_Assignments = list[tuple[str, Any, str]]


def load_cfg(path: str | os.PathLike[str], overrides: Sequence[Any] = (), plugins: Sequence[str] = ()) -> Cfg:
    """Read a configuration (with its `_BASE_`), import its plugins, apply overrides, check it and freeze it.

    Args:
        path: YAML file (a local path or one that iopath opens), or a name such as "Kinetics/AVSLOWFAST_8x8_R50".
        overrides: Alternating dotted keys and values, e.g. ["MODEL.NUM_CLASSES", 10]; strings are read as YAML does,
            and stay as they are where the key takes a text.
        plugins: Modules to import in addition to those of PLUGINS; they are recorded in cfg.PLUGINS.

    Returns:
        The frozen configuration.

    Raises:
        ConfigError: A `ValueError` that names the file, line and key, and the remedy.
    """
    assignments: _Assignments = []
    for file, flat in _read_chain(find_config(os.fspath(path))):
        assignments += [(key, value, f"{file}, line {line}") for key, (value, line) in flat.items()]
    return _build(assignments, overrides, plugins)


def parse_cfg(text: str, source: str, overrides: Sequence[Any] = (), plugins: Sequence[str] = ()) -> Cfg:
    """As `load_cfg`, from YAML in memory, e.g. the configuration inside a checkpoint.

    The text imports nothing: a plugin that it names has to be imported already, or to be named by the caller.

    Args:
        text: The YAML.
        source: Name of the text in errors.
        overrides: As in `load_cfg`; a PLUGINS among them is the caller's word.
        plugins: Modules that may be imported.

    Returns:
        The frozen configuration.

    Raises:
        PluginError: The text names a plugin that nobody has imported.
        ConfigError: As in `load_cfg`.
    """
    flat = read_yaml(text, source)
    assignments = [(key, value, f"{source}, line {line}") for key, (value, line) in flat.items()]
    if _PLUGINS_KEY not in overrides[::2]:
        for name in _plugin_names(assignments):
            if name not in sys.modules and name not in plugins:
                remedy = f"give it with --import {name}, or `import {name}` first"
                raise PluginError(
                    f"{source}: needs the plugin {name}, which is not imported for a file alone; {remedy}"
                )
    return _build(assignments, overrides, plugins)


def _build(assignments: _Assignments, overrides: Sequence[Any], plugins: Sequence[str]) -> Cfg:
    assignments = assignments + _pairs(list(overrides))
    names = list(dict.fromkeys([*_plugin_names(assignments), *plugins]))
    import_modules(names)
    # Where a key is set twice the last value counts, and it alone has to be right.
    given = translated({key: (value, where) for key, value, where in assignments})
    # What it is comes first: another network is named, not its keys.
    for key in IDENTITY:
        if key in given:
            TABLE[key].read(*given[key])
    unknown = [(key, where) for key, (_, where) in given.items() if key not in TABLE]
    if unknown:
        raise ConfigError(_unknown_keys(unknown))
    values = {key: TABLE[key].read(value, where) for key, (value, where) in given.items()}
    dataset = str(values.get("TRAIN.DATASET", values.get("TEST.DATASET", ""))).lower()
    cfg = get_cfg({**DATASETS.facts(dataset).keys, **values})
    cfg.PLUGINS = names
    try:
        validate_cfg(cfg)
    except ConfigError as error:
        where = given[error.key][1] if error.key in given else ""
        raise (error.at(where) if where else error) from None
    cfg.freeze()
    return cfg


def _pairs(overrides: list[Any]) -> _Assignments:
    """Overrides of the command line or of a caller."""
    for key in overrides[::2]:
        name, equals, value = str(key).partition("=")
        if equals and name.upper() in TABLE:
            raise ConfigError(
                f"command line: {shown(key)}: overrides are written KEY VALUE, without '='; use {name} {value}"
            )
    if len(overrides) % 2:
        raise ConfigError(f"overrides come in pairs KEY VALUE, but {shown(overrides[-1])} at the end has no value")
    return [(str(key), value, "command line") for key, value in zip(overrides[::2], overrides[1::2])]


def _plugin_names(assignments: _Assignments) -> list[str]:
    """The modules that PLUGINS names where it is set last."""
    names: list[str] = []
    for key, value, where in assignments:
        if key == _PLUGINS_KEY:
            names = TABLE[_PLUGINS_KEY].read(value, where)
    return names


def _read_chain(path: str) -> list[tuple[str, Flat]]:
    """The files that `path` builds on, oldest first, each as (file, {dotted key: (value, line)})."""
    chain: list[tuple[str, Flat]] = []
    seen: list[str] = []
    while True:
        # Another spelling or a link leads to the same file.
        real = path if "://" in path else os.path.realpath(path)
        seen.append(real)
        flat = read_yaml(_text_of(path), path)
        chain.insert(0, (path, flat))
        base, line = flat.pop(_BASE_KEY, (None, 0))
        if base is None or (isinstance(base, Scalar) and (base.null or not base.text)):
            return chain
        if not isinstance(base, Scalar):
            raise ConfigError(f"{path}, line {line}: {_BASE_KEY} is one file; give its name")
        asked_by = f"{path}, line {line}"
        path = _find_base(base.text, path, asked_by)
        if (path if "://" in path else os.path.realpath(path)) in seen:
            files = " -> ".join(file for file, _ in reversed(chain))
            raise ConfigError(f"{asked_by}: {_BASE_KEY} leads back to the file itself ({files}); remove it in one")


def _text_of(path: str) -> str:
    size = os.path.getsize(path) if os.path.isfile(path) else 0
    try:
        # Four bytes are the most that a character has.
        if size <= 4 * LONGEST_YAML:
            return read_text(path)
        problem = f"{path}: it has {size} bytes, which no configuration has; give another file"
    except TextError as error:
        problem = str(error)
    if size and os.path.splitext(path)[1].lower() in _CHECKPOINTS:
        problem = f"{path}: it is a checkpoint, no configuration; that of its run is config.yaml in the run's folder"
    raise ConfigError(problem)


def _find_base(base: str, path: str, asked_by: str) -> str:
    """The file that `_BASE_` means: relative to the file that says so, or the name of a configuration."""
    base = os.path.expanduser(base)
    if "://" in base or os.path.isabs(base):
        places = [base]
    else:
        # Beside a link, else beside the file that it leads to.
        folders = [os.path.dirname(path)] + ([] if "://" in path else [os.path.dirname(os.path.realpath(path))])
        places = [os.path.join(folder, base) for folder in dict.fromkeys(folders)]
    for file in places:
        if g_pathmgr.isfile(file):
            return file
    try:
        return find_config(base)
    except ConfigError as error:
        raise ConfigError(f"{asked_by}: {_BASE_KEY} {error}") from None


def _unknown_keys(unknown: list[tuple[str, str]]) -> str:
    """What is wrong with names that are no keys: all of them in one line.

    Args:
        unknown: (name, where it is set).
    """
    (key, where), *others = unknown
    if not others:
        return f"{where}: {_unknown_key(key)}"
    source = where.rpartition(", line ")[0] or where
    parts: dict[str, str] = {}
    for key, where in unknown:
        node = key.split(".")[0]
        name = f"{node}.*" if belongs_to(node) else shown(key) if len(key) > _LONGEST_KEY else key
        place = where.removeprefix(source).removeprefix(", ")
        hints = [belongs_to(node) or what_serves(key).removesuffix("; remove the key") or _proposed(key), place]
        parts.setdefault(name, f"{name} ({', '.join(filter(None, hints))})" if any(hints) else name)
    return f"{source}: {len(unknown)} unknown keys: {'; '.join(parts.values())}; correct or remove them"


def _proposed(key: str) -> str:
    near = _near_keys(key) if len(key) <= _LONGEST_KEY else []
    return f"did you mean {' or '.join(near)}?" if near else ""


def _unknown_key(key: str) -> str:
    """What is wrong with a name that is no key, and what to do."""
    if not key.strip():
        return "a key is empty; overrides come in pairs KEY VALUE"
    if key == _BASE_KEY:
        return f"{_BASE_KEY} stands in a YAML file alone; give that file as the configuration"
    inner = [name for name in TABLE if name.startswith(f"{key}.")]
    if inner:
        return f"{key} is a group of keys, not a value; set one of its keys, e.g. {inner[0]}"
    unknown = f"unknown key {key if key.isprintable() and len(key) <= _LONGEST_KEY else shown(key)}"
    known = what_serves(key.upper())
    if known:
        return f"{unknown}: this project has no key for it; {known}"
    proposed = _proposed(key)
    if proposed:
        return f"{unknown}; {proposed} Correct the name or remove the key"
    root = key.split(".")[0]
    if "." in key and root.isidentifier() and not any(name.startswith(f"{root}.") for name in TABLE):
        plugin = f"name the plugin that adds {root} in PLUGINS or with --import"
        return f"{unknown}: there is no key in a node {root}; remove it, or {plugin}"
    return f"{unknown}: there is no key like it; remove it. avslowfast/config/defaults*.py list all keys"


def _near_keys(key: str) -> list[str]:
    """The known keys that may be meant: one that is similar in every part, else those with the same last part."""
    parts = key.upper().split(".")
    best, near = 0.0, ""
    for name in TABLE:
        theirs = name.split(".")
        if len(theirs) == len(parts):
            ratios = [difflib.SequenceMatcher(None, a, b).ratio() for a, b in zip(parts, theirs)]
            if min(ratios) >= _NEAR and sum(ratios) > best:
                best, near = sum(ratios), name
    same = [name for name in TABLE if name.split(".")[-1] == parts[-1]]
    # A last part such as ENABLE, which many nodes have, says nothing about what was meant.
    return [near] if near else same if len(same) < 4 else []
