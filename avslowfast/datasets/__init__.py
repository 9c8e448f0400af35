"""From video files to clips. `build_dataset(cfg, split)` is the way in."""

from .loader import build_dataset, build_loader

__all__ = ["build_dataset", "build_loader"]
