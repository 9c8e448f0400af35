"""Errors of configurations."""

from ..utils.errors import UserError


class ConfigError(UserError, ValueError):
    """A configuration that cannot work; the message names the key, the value and the remedy."""


class PluginError(ConfigError):
    """A plugin that cannot be imported, or that a checkpoint names and nobody has imported."""


class UnknownModelError(ConfigError):
    """A name that is neither a file nor a configuration; the message lists similar names."""
