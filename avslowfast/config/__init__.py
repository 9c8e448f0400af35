"""Configuration: every key with its default (`defaults`), YAML and overrides (`load`), checks (`validate`)."""

from .defaults import get_cfg
from .load import load_cfg, parse_cfg
from .validate import ConfigError, validate_cfg

__all__ = ["ConfigError", "get_cfg", "load_cfg", "parse_cfg", "validate_cfg"]
