"""Configuration: every key with its default, YAML and overrides, checks, plugins, names; torch is not imported."""

from .defaults import get_cfg
from .errors import ConfigError, PluginError, UnknownModelError
from .load import load_cfg, parse_cfg
from .plugins import add_config, import_modules, import_plugins
from .validate import validate_cfg
from .zoo import find_config, list_models

__all__ = [
    "ConfigError",
    "PluginError",
    "UnknownModelError",
    "add_config",
    "find_config",
    "get_cfg",
    "import_modules",
    "import_plugins",
    "list_models",
    "load_cfg",
    "parse_cfg",
    "validate_cfg",
]
