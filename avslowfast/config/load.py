"""YAML files and command-line overrides into a frozen, validated configuration."""

import ast
import difflib
import os

import yaml
from fvcore.common.config import CfgNode
from iopath.common.file_io import g_pathmgr

from .defaults import get_cfg
from .validate import ConfigError, validate_cfg

_BASE_KEY = "_BASE_"

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


def load_cfg(path, overrides=()):
    """Read a YAML file (with `_BASE_`), apply overrides, check it and freeze it.

    Args:
        path: YAML file; a local path or one that iopath opens.
        overrides: alternating dotted keys and values, e.g. ["MODEL.NUM_CLASSES", 10]; strings are parsed as YAML does.

    Returns:
        The frozen configuration.

    Raises:
        ConfigError: a `ValueError` that names the file, line and key, and the remedy.
    """
    return _build(_read_chain(path, seen=()), overrides)


def parse_cfg(text, source, overrides=()):
    """As `load_cfg`, from YAML in memory, e.g. the configuration inside a checkpoint; `source` names it in errors."""
    return _build([(source, _parse_yaml(text, source))], overrides)


def _build(chain, overrides):
    cfg = get_cfg()
    for file, flat in chain:
        for key, (value, line) in flat.items():
            _assign(cfg, key, value, f"{file}, line {line}")
    overrides = list(overrides)
    if len(overrides) % 2:
        raise ConfigError(f"overrides come in pairs KEY VALUE, but '{overrides[-1]}' at the end has no value")
    for key, value in zip(overrides[::2], overrides[1::2]):
        _assign(cfg, str(key), _parse(value), "command line")
    validate_cfg(cfg)
    cfg.freeze()
    return cfg


def _read_chain(path, seen):
    """The files that `path` builds on, oldest first, each as (file, {dotted key: (value, line)})."""
    path = str(path)
    if path in seen:
        raise ConfigError(f"{path}: {_BASE_KEY} leads back to the file itself; remove one of {' -> '.join(seen)}")
    if not g_pathmgr.isfile(path):
        raise ConfigError(
            f"{path}: no such configuration file; see the folder configs/ for those that come with the project"
        )
    with g_pathmgr.open(path, "r") as f:
        text = f.read()
    flat = _parse_yaml(text, path)
    base, _ = flat.pop(_BASE_KEY, (None, 0))
    chain = []
    if base:
        base = os.path.expanduser(str(base))
        if not (os.path.isabs(base) or "://" in base):
            base = os.path.join(os.path.dirname(path), base)
        chain = _read_chain(base, (*seen, path))
    return [*chain, (path, flat)]


def _parse_yaml(text, source):
    """{dotted key: (value, line)} of a YAML text."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from None
    flat = {}
    if root is not None:
        if not isinstance(root, yaml.MappingNode):
            raise ConfigError(
                f"{source}, line {root.start_mark.line + 1}: a configuration is a mapping of keys to values"
            )
        _flatten(root, "", flat, source)
    return flat


def _flatten(node, prefix, flat, path):
    loader = yaml.SafeLoader("")
    for key_node, value_node in node.value:
        key = prefix + str(key_node.value)
        line = key_node.start_mark.line + 1
        if isinstance(value_node, yaml.MappingNode) and value_node.value:
            _flatten(value_node, key + ".", flat, path)
            continue
        if key in flat:
            raise ConfigError(f"{path}, line {line}: {key} is given twice; the first is on line {flat[key][1]}")
        flat[key] = (_parse(loader.construct_object(value_node, deep=True)), line)


def _parse(value):
    """What a word of YAML or of the command line means: numbers such as 1e-4, lists and booleans become values."""
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value


def _all_keys(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, CfgNode):
            yield from _all_keys(value, f"{prefix}{key}.")
        else:
            yield prefix + key


def _assign(cfg, key, value, where):
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


def _unknown_key(cfg, key, where):
    root = key.split(".")[0]
    if root in _FOREIGN_NODES:
        return f"{where}: {key} belongs to {_FOREIGN_NODES[root]}, which this project does not have; remove the {root} node"
    names = list(_all_keys(cfg))
    leaf = [n for n in names if n.split(".")[-1] == key.split(".")[-1]]
    near = leaf[:1] or difflib.get_close_matches(key, names, n=1, cutoff=0.0)
    return f"{where}: there is no key {key}; the nearest one is {near[0]}. Correct the name, or remove the line"


def _coerce(default, value, key, where):
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
        raise ConfigError(
            f"{where}: {key} takes a value of type {type(default).__name__} (default {default!r}), but got "
            f"{value!r} of type {type(value).__name__}"
        )
    return value


def _plain_lists(value):
    return [_plain_lists(v) for v in value] if isinstance(value, (list, tuple)) else _parse(value)
