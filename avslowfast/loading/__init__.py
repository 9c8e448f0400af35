"""Records to batches: data sets of clips, samplers, collation.

`build_dataset(cfg, split)` and `build_loader(cfg, split)` are the way in.
"""

from .build import build_dataset, build_loader
from .dataset import ClipDataset, KeyFrameDataset
from .samplers import SampleKey

__all__ = ["ClipDataset", "KeyFrameDataset", "SampleKey", "build_dataset", "build_loader"]
