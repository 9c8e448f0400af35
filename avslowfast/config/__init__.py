"""Configuration: every key with its default, YAML and overrides, checks, plugins, names; torch is not imported."""

from .errors import ConfigError, PluginError, UnknownModelError
from .load import load_cfg, parse_cfg
from .plugins import add_config, import_modules, import_plugins
from .table import comment_of, get_cfg
from .validate import validate_cfg
from .zoo import find_config, list_models

__all__ = [
    "ConfigError",
    "PluginError",
    "UnknownModelError",
    "add_config",
    "comment_of",
    "find_config",
    "get_cfg",
    "import_modules",
    "import_plugins",
    "list_models",
    "load_cfg",
    "parse_cfg",
    "validate_cfg",
]
