"""A user's own modules: importing those that a configuration names, and the configuration nodes that they add.

A plugin is a Python module that registers pathways, laterals, data sets, tasks, ... with `@REGISTRY.register(name)`
(see `names`) and may add a node of keys with `add_config`. It is named by PLUGINS in a YAML or by `--import`, and
imported before keys are assigned and names are checked.
"""

import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .derived import Cfg
from .errors import ConfigError, PluginError
from .keys import Key
from .ranges import Range, range_of
from .table import remove_node, replace_node, TABLE

_TYPES = (bool, int, float, str, list, tuple)


@dataclass(frozen=True)
class _Node:
    """A node of keys that a plugin added."""

    owner: str
    check: Callable[[Cfg], None] | None = None


_ADDED: dict[str, _Node] = {}


def add_config(
    name: str,
    keys: Mapping[str, tuple[Any, str] | tuple[Any, str, Range]],
    check: Callable[[Cfg], None] | None = None,
) -> None:
    """Add a node of configuration keys.

    `add_config("MY_LATERAL", {"GAIN": (1.0, "Factor on the audio features.", number(0, 10))})` adds `MY_LATERAL.GAIN`,
    which is then set like any other key, in a YAML or on the command line. Importing the same module again replaces the
    node.

    Args:
        name: Name of the node, in capitals. A data set's reader gets the node with the data set's name in capitals as
            `source.options`.
        keys: {key in capitals: (default, comment) or (default, comment, range)}. The default (bool, int, float, str or
            list) decides the type; the comment says meaning and unit, and is shown where a value is refused. The range
            is one of `avslowfast.config.ranges`, e.g. share() or list_of(whole()); without one any finite value of the
            type serves.
        check: Function of the whole configuration that raises `ConfigError` for values that cannot work.

    Raises:
        ConfigError: The name is taken, or a name, default or comment is not as described.
    """
    frame = inspect.currentframe()
    caller = frame.f_back if frame else None
    owner = str(caller.f_globals.get("__name__", "")) if caller else ""
    taken = name in TABLE or any(key.startswith(f"{name}.") for key in TABLE)
    if taken and (name not in _ADDED or _ADDED[name].owner != owner):
        holder = _ADDED[name].owner if name in _ADDED else "avslowfast"
        raise ConfigError(f"add_config({name!r}): the name is taken by {holder}; choose another name")
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name):
        raise ConfigError(f"add_config({name!r}): not a name in capitals; use letters A-Z, digits and underscores")
    replace_node(name, [_row(f"{name}.{key}", *row) for key, row in keys.items()])
    _ADDED[name] = _Node(owner, check)


def remove_config(name: str) -> None:
    """Forget a node that `add_config` added, e.g. in a notebook; another module may then take the name.

    Args:
        name: Name of the node.
    """
    if _ADDED.pop(name, None) is not None:
        remove_node(name)


def _row(name: str, default: Any, comment: str, takes: Range | None = None) -> Key:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", name.split(".")[1]):
        raise ConfigError(f"{name}: not a name in capitals; use letters A-Z, digits and underscores")
    if not isinstance(default, _TYPES):
        raise ConfigError(f"{name}: a default of type {type(default).__name__}; use bool, int, float, str or list")
    if not comment.strip():
        raise ConfigError(f"{name}: the comment is missing; say what the key means, and its unit")
    row = Key(name, default, takes or range_of(default), comment)
    row.read(default, "add_config")
    return row


def check_added(cfg: Cfg) -> None:
    """Run the checks that plugins gave to `add_config`."""
    for node in _ADDED.values():
        if node.check is not None:
            node.check(cfg)


def import_plugins(cfg: Cfg) -> None:
    """Import the modules of cfg.PLUGINS; for the start of a spawned process, which knows the package's entries alone.

    Args:
        cfg: A configuration that the parent process has loaded.

    Raises:
        PluginError: One of them cannot be imported.
    """
    import_modules(cfg.PLUGINS)


def import_modules(names: Iterable[str]) -> None:
    """Import a user's modules by name, from Python's path or the current folder.

    Those that are imported already stay as they are.

    Args:
        names: Names as after `import`, from PLUGINS or --import.

    Raises:
        PluginError: One of them cannot be imported; names the module, the reason and the remedy.
    """
    for name in names:
        if name in sys.modules:
            continue
        try:
            try:
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                # Python looks in the current folder for `python -m`, but not for a console script.
                if error.name != name.split(".")[0] or os.getcwd() in sys.path:
                    raise
                sys.path.append(os.getcwd())
                importlib.invalidate_caches()
                importlib.import_module(name)
        except Exception as error:
            raise PluginError(f"plugin {name} cannot be imported: {_reason(name, error)}") from error


def _reason(name: str, error: Exception) -> str:
    """Why an import failed and what to do, in one line."""
    words = " ".join(str(error).split())
    if name.endswith(".py") or "/" in name or os.sep in name:
        module = os.path.basename(name).removesuffix(".py")
        return f"it is a file's name; write {module}, and put its folder on PYTHONPATH or run from there"
    if isinstance(error, ModuleNotFoundError) and error.name and name.split(".")[0] == error.name:
        return "no such module; check the name in PLUGINS or --import, install it, or put its folder on PYTHONPATH"
    where = ""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "importlib" not in f.filename]
    if frames and os.path.abspath(frames[-1].filename) != os.path.abspath(__file__):
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return f"{type(error).__name__}: {words}{where}; correct the module"
