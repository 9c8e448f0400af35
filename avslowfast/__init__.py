"""Audiovisual SlowFast Networks (arXiv 2001.08740): models, data, training and testing.

model, meta = avslowfast.load_model("output/run")       # or a checkpoint, or the name of a configuration
avslowfast.predict(model, "video.mp4")                  # [(class name, id, score), ...]
avslowfast.extract_features(model, "folder", stage="res5", out="features.pt")
"""

import importlib
import warnings

# torch announces this on import of libraries that we use; it tells a user of this package nothing that they could do.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)

__version__ = "0.1.0"

# Loaded when first used, so that importing the package costs nothing.
_LAZY = {"load_model": "inference.load", "predict": "inference.predictor", "extract_features": "inference.features"}
__all__ = ["__version__", "load_model", "predict", "extract_features"]


def __getattr__(name):
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
