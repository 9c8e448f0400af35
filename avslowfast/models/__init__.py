"""Pathways, laterals, heads and the network that joins them. `build_model(cfg)` is the way in."""

from .build import build_model

__all__ = ["build_model"]
