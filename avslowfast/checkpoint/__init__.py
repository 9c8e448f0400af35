"""Saving, resuming and loading weights of this and other projects."""

from .released import load_weights, LoadReport

__all__ = ["LoadReport", "load_weights"]
