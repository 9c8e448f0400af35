"""Readers of label files, without torch: one module per data set, each a function `read(source, split) -> Listing`.

They are registered by name in `config.names.DATASETS`, and so is a user's own reader; see `base`.
"""

from .base import BoxLabels, Listing, Record, Records, Source

__all__ = ["BoxLabels", "Listing", "Record", "Records", "Source"]
