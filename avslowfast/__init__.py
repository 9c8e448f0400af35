"""Audiovisual SlowFast Networks (arXiv 2001.08740): models, data, training and testing.

    import avslowfast

    avslowfast.list_models("*8x8*")                         # names of configurations
    model, meta = avslowfast.load_model("output/run")       # a run, a checkpoint, or the name of a configuration
    avslowfast.predict(model, "video.mp4")                  # [(class name, id, score), ...]
    avslowfast.extract_features(model, "folder", stage="res5", out="features.pt")

The same in single steps: `load_cfg`, `build_model`, `load_weights`, `build_dataset`; reading files: `VideoReader`,
`SoundReader`, `log_mel`. Every error that a person can mend is a `UserError` of one line. The command line is
`avslowfast --help`.
"""

import importlib
import warnings
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoint import load_weights
    from .clips.logmel import log_mel
    from .config import list_models, load_cfg
    from .inference.features import extract_features
    from .inference.load import load_model
    from .inference.predictor import predict
    from .loading import build_dataset
    from .media import SoundReader, VideoReader
    from .models import build_model
    from .utils.errors import UserError

# torch says this while libraries are imported; a user of this package cannot do anything about it.
warnings.filterwarnings("ignore", message=r"`torch\.jit\.script` is deprecated", category=FutureWarning)

__version__ = "0.1.0"

__all__ = [
    "SoundReader",
    "UserError",
    "VideoReader",
    "__version__",
    "build_dataset",
    "build_model",
    "extract_features",
    "list_models",
    "load_cfg",
    "load_model",
    "load_weights",
    "log_mel",
    "predict",
]

# Where each name is; it is imported at its first use, so that importing the package costs nothing.
_MODULES = {
    "SoundReader": "media",
    "UserError": "utils.errors",
    "VideoReader": "media",
    "build_dataset": "loading",
    "build_model": "models",
    "extract_features": "inference.features",
    "list_models": "config",
    "load_cfg": "config",
    "load_model": "inference.load",
    "load_weights": "checkpoint",
    "log_mel": "clips.logmel",
    "predict": "inference.predictor",
}


def __getattr__(name: str) -> Any:
    """The public name `name`, imported now."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    """The public names, for `dir` and for completion."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
