"""The table of all keys, and the defaults that follow from it."""

from collections.abc import Iterable, Mapping
from typing import Any

from fvcore.common.config import CfgNode

from .defaults import RUN_KEYS
from .defaults_data import DATA_KEYS
from .defaults_model import MODEL_KEYS
from .derived import Cfg
from .errors import value_of
from .keys import Key

# {dotted name: row}, those of imported plugins included.
TABLE: dict[str, Key] = {row.name: row for row in (*RUN_KEYS, *DATA_KEYS, *MODEL_KEYS)}


def get_cfg(values: Mapping[str, Any] | None = None) -> Cfg:
    """A fresh, changeable copy of the defaults, the nodes of imported plugins included.

    Args:
        values: {dotted key: value} of the keys that have another value.
    """
    cfg, values = CfgNode(), values or {}
    for row in TABLE.values():
        *groups, leaf = row.name.split(".")
        node = cfg
        for group in groups:
            node = node.setdefault(group, CfgNode())
        node[leaf] = values[row.name] if row.name in values else row.read(row.default)
    return cfg


def check_keys(cfg: Cfg) -> None:
    """Check the value of every key by itself.

    Args:
        cfg: The configuration.

    Raises:
        ConfigError: The first value that its key does not take.
    """
    for row in TABLE.values():
        row.read(value_of(cfg, row.name))


def is_default(cfg: Cfg, name: str) -> bool:
    """Whether a key has its default."""
    return bool(value_of(cfg, name) == TABLE[name].default)


def comment_of(name: str) -> str:
    """What a key means, by its dotted name; "" for a name that is no key."""
    return TABLE[name].comment if name in TABLE else ""


def replace_node(name: str, rows: Iterable[Key]) -> None:
    """Put a plugin's node of keys in the place of what it had before.

    Args:
        name: Name of the node.
        rows: Its keys.
    """
    remove_node(name)
    TABLE.update({row.name: row for row in rows})


def remove_node(name: str) -> None:
    """Forget a plugin's node of keys."""
    for key in [key for key in TABLE if key.startswith(f"{name}.")]:
        del TABLE[key]
