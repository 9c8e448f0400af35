"""Saving, resuming and loading weights of this and other projects."""

from .released import LoadReport, load_weights

__all__ = ["LoadReport", "load_weights"]
