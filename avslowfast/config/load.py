"""YAML files and command-line overrides into a frozen, validated configuration."""

import ast
import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from fvcore.common.config import CfgNode
from iopath.common.file_io import g_pathmgr

from .defaults import get_cfg
from .derived import Cfg
from .errors import ConfigError, PluginError
from .plugins import comment_of, import_modules
from .validate import validate_cfg
from .zoo import find_config

_BASE_KEY = "_BASE_"
_PLUGINS_KEY = "PLUGINS"

# Nodes of PySlowFast that belong to models or methods this project does not have.
_FOREIGN_NODES = {
    "MVIT": "Multiscale Vision Transformers",
    "X3D": "X3D networks",
    "CONTRASTIVE": "PySlowFast's contrastive learning",
    "SSL": "PySlowFast's self-supervised learning",
    "MASK": "masked autoencoders",
    "VIS_MASK": "masked autoencoders",
    "BENCHMARK": "PySlowFast's loader benchmark",
    "DEMO": "PySlowFast's demo",
}

# {dotted key: (value, line)} of one YAML text.
_Flat = dict[str, tuple[Any, int]]
# (dotted key, value, where it is set), in the order in which they are applied.
_Assignments = list[tuple[str, Any, str]]


def load_cfg(path: str | os.PathLike[str], overrides: Sequence[Any] = (), plugins: Sequence[str] = ()) -> Cfg:
    """Read a configuration (with its `_BASE_`), import its plugins, apply overrides, check it and freeze it.

    Args:
        path: YAML file (a local path or one that iopath opens), or a name such as "Kinetics/AVSLOWFAST_8x8_R50".
        overrides: Alternating dotted keys and values, e.g. ["MODEL.NUM_CLASSES", 10]; strings are parsed as YAML does.
        plugins: Modules to import in addition to those of PLUGINS; they are recorded in cfg.PLUGINS.

    Returns:
        The frozen configuration.

    Raises:
        ConfigError: A `ValueError` that names the file, line and key, and the remedy.
    """
    assignments: _Assignments = []
    for file, flat in _read_chain(find_config(str(path)), seen=()):
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
    flat = _parse_yaml(text, source)
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
    overrides = list(overrides)
    if len(overrides) % 2:
        raise ConfigError(f"overrides come in pairs KEY VALUE, but '{overrides[-1]}' at the end has no value")
    pairs = zip(overrides[::2], overrides[1::2])
    assignments = assignments + [(str(key), _parse(value), "command line") for key, value in pairs]
    names = list(dict.fromkeys([*_plugin_names(assignments), *plugins]))
    import_modules(names)
    cfg = get_cfg()
    for key, value, where in assignments:
        _assign(cfg, key, value, where)
    cfg.PLUGINS = names
    validate_cfg(cfg)
    cfg.freeze()
    return cfg


def _plugin_names(assignments: _Assignments) -> list[str]:
    """The modules that PLUGINS names where it is set last."""
    names: list[str] = []
    for key, value, where in assignments:
        if key == _PLUGINS_KEY:
            names = _coerce([], value, key, where)
            if not all(isinstance(name, str) and name for name in names):
                raise ConfigError(f"{where}: PLUGINS is {value!r}: names of modules are strings; write [my_module]")
    return names


def _read_chain(path: str, seen: tuple[str, ...]) -> list[tuple[str, _Flat]]:
    """The files that `path` builds on, oldest first, each as (file, {dotted key: (value, line)})."""
    if path in seen:
        raise ConfigError(f"{path}: {_BASE_KEY} leads back to the file itself; remove one of {' -> '.join(seen)}")
    with g_pathmgr.open(path, "r") as f:
        text = f.read()
    flat = _parse_yaml(text, path)
    base, line = flat.pop(_BASE_KEY, (None, 0))
    if not base:
        return [(path, flat)]
    return [*_read_chain(_find_base(str(base), path, line), (*seen, path)), (path, flat)]


def _find_base(base: str, path: str, line: int) -> str:
    """The file that `_BASE_` means: relative to the file that says so, or the name of a configuration."""
    base = os.path.expanduser(base)
    relative = not ("://" in base or os.path.isabs(base))
    file = os.path.join(os.path.dirname(path), base) if relative else base
    if g_pathmgr.isfile(file):
        return file
    try:
        return find_config(base)
    except ConfigError as error:
        raise ConfigError(f"{path}, line {line}: {_BASE_KEY} {error}") from None


def _parse_yaml(text: str, source: str) -> _Flat:
    """{dotted key: (value, line)} of a YAML text."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    flat: _Flat = {}
    if root is not None:
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(
                f"{source}, line {root.start_mark.line + 1}: a configuration is a mapping of keys to values"
            )
        _flatten(root, "", flat, source)
    return flat


def _flatten(node: yaml.MappingNode, prefix: str, flat: _Flat, source: str) -> None:
    loader = yaml.SafeLoader("")
    for key_node, value_node in node.value:
        key = prefix + str(key_node.value)
        line = key_node.start_mark.line + 1
        if isinstance(value_node, yaml.MappingNode) and value_node.value:
            _flatten(value_node, key + ".", flat, source)
            continue
        if key in flat:
            raise ConfigError(f"{source}, line {line}: {key} is given twice; the first is on line {flat[key][1]}")
        flat[key] = (_parse(loader.construct_object(value_node, deep=True)), line)


def _parse(value: Any) -> Any:
    """What a word of YAML or of the command line means: numbers such as 1e-4, lists and booleans become values."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _all_keys(node: CfgNode, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from _all_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _assign(cfg: Cfg, key: str, value: Any, where: str) -> None:
    parts = key.split(".")
    node = cfg
    for part in parts[:-1]:
        node = node.get(part) if isinstance(node, CfgNode) else None
    if not isinstance(node, CfgNode) or parts[-1] not in node:
        raise ConfigError(_unknown_key(cfg, key, where))
    default = node[parts[-1]]
    if isinstance(default, CfgNode):
        raise ConfigError(
            f"{where}: {key} is a group of keys, not a value; set one of its keys, e.g. {key}.{next(iter(default))}"
        )
    node[parts[-1]] = _coerce(default, value, key, where)


def _unknown_key(cfg: Cfg, key: str, where: str) -> str:
    root = key.split(".")[0]
    if root in _FOREIGN_NODES:
        belongs = f"{key} belongs to {_FOREIGN_NODES[root]}, which this project does not have"
        return f"{where}: {belongs}; remove the {root} node"
    near = _near_keys(key, list(_all_keys(cfg)))
    if near:
        return f"{where}: unknown key {key}; did you mean {' or '.join(near)}? Correct the name or remove the key"
    if root not in cfg:
        return f"{where}: unknown key {key}; remove it, or name the plugin that adds {root} in PLUGINS or with --import"
    return f"{where}: unknown key {key}; remove it. avslowfast/config/defaults.py lists all keys"


def _near_keys(key: str, names: list[str]) -> list[str]:
    """The known keys that may be meant: one that is similar in every part, else those with the same last part."""
    parts = key.upper().split(".")
    best, near = 0.0, ""
    for name in names:
        theirs = name.split(".")
        if len(theirs) == len(parts):
            ratios = [difflib.SequenceMatcher(None, a, b).ratio() for a, b in zip(parts, theirs)]
            if min(ratios) >= 0.7 and sum(ratios) > best:
                best, near = sum(ratios), name
    same = [name for name in names if name.split(".")[-1] == parts[-1]]
    # A last part such as ENABLE, which many nodes have, says nothing about what was meant.
    return [near] if near else same if len(same) < 4 else []


def _coerce(default: Any, value: Any, key: str, where: str) -> Any:
    """`value` in the default's type: 34 for a float, 34.0 for an int, a tuple for a list; anything else is an error."""
    if isinstance(default, bool):
        ok = isinstance(value, bool)
    elif isinstance(default, float):
        ok = isinstance(value, (int, float)) and not isinstance(value, bool)
        value = float(value) if ok else value
    elif isinstance(default, int):
        ok = isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value)
        value = int(value) if ok else value
    elif isinstance(default, (list, tuple)):
        ok = isinstance(value, (list, tuple))
        value = _plain_lists(value) if ok else value
    else:
        # A name or path: what looks like a number or is left empty stays text.
        ok = isinstance(value, (str, int, float)) or value is None
        value = "" if value is None else str(value)
    if not ok:
        comment = comment_of(key) and f"; {comment_of(key)}"
        raise ConfigError(
            f"{where}: {key} takes a value of type {type(default).__name__} (default {default!r}{comment}), but got "
            f"{value!r} of type {type(value).__name__}"
        )
    return value


def _plain_lists(value: Any) -> Any:
    return [_plain_lists(v) for v in value] if isinstance(value, (list, tuple)) else _parse(value)
