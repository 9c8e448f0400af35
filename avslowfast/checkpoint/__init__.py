"""Saving, resuming and loading weights of this and other projects."""

from .files import CheckpointError, class_names_of, is_checkpoint_path, read_checkpoint, Weights
from .load import load_content, load_weights, LoadReport, require
from .released import from_avslowfast, to_avslowfast, WRITABLE

__all__ = [
    "CheckpointError",
    "LoadReport",
    "WRITABLE",
    "Weights",
    "class_names_of",
    "from_avslowfast",
    "is_checkpoint_path",
    "load_content",
    "load_weights",
    "read_checkpoint",
    "require",
    "to_avslowfast",
]
