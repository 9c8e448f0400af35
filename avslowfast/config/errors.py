"""Errors of configurations."""

from typing import Any, NoReturn

from ..utils.errors import UserError


class ConfigError(UserError, ValueError):
    """A configuration that cannot work; the message names the key, the value and the remedy.

    Args:
        message: The message.
        key: The dotted key that it is about, where it is about one.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key

    def at(self, where: str) -> "ConfigError":
        """The same error with the place where its key was set."""
        return type(self)(f"{where}: {self}", self.key)


class PluginError(ConfigError):
    """A plugin that cannot be imported, or that a checkpoint names and nobody has imported."""


class UnknownModelError(ConfigError):
    """A name that is neither a file nor a configuration; the message lists similar names."""


def value_of(cfg: Any, key: str) -> Any:
    """The value of a dotted key, e.g. of "MODEL.ARCH"."""
    for part in key.split("."):
        cfg = cfg[part]
    return cfg


def refuse(cfg: Any, key: str, problem: str, remedy: str) -> NoReturn:
    """Raise the error for a value that cannot work.

    Args:
        cfg: The configuration.
        key: The dotted key to change.
        problem: Why its value cannot work.
        remedy: What to do.

    Raises:
        ConfigError: Always.
    """
    raise ConfigError(f"{key} is {value_of(cfg, key)!r}: {problem}; {remedy}", key)
