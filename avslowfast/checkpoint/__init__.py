"""Saving, resuming and loading weights of this and other projects."""

from .files import CheckpointError, read_checkpoint, Weights
from .load import load_content, load_weights, LoadReport, require
from .released import from_avslowfast, to_avslowfast, WRITABLE

__all__ = [
    "CheckpointError",
    "LoadReport",
    "WRITABLE",
    "Weights",
    "from_avslowfast",
    "load_content",
    "load_weights",
    "read_checkpoint",
    "require",
    "to_avslowfast",
]
