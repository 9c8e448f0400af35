"""Saving, resuming and loading weights of this and other projects."""

from .files import CheckpointError, read_checkpoint
from .load import load_content, load_weights, LoadReport, require
from .released import from_own, to_own, WRITABLE

__all__ = [
    "CheckpointError",
    "LoadReport",
    "WRITABLE",
    "from_own",
    "load_content",
    "load_weights",
    "read_checkpoint",
    "require",
    "to_own",
]
