"""From seconds to tensors: spans and views, transforms, log-mel spectrograms, negatives; `ClipReader` cuts clips.

with open_media("video.mp4") as reader:
    views = ClipReader(settings).test_views(reader)     # {"slow", "fast": [views x crops, 3, T, H, W], "audio", ...}
"""

import importlib
from typing import Any, TYPE_CHECKING

if TYPE_CHECKING:
    from .logmel import log_mel
    from .reader import ClipReader, TrainingClip
    from .settings import AudioSettings, ClipSettings

# Imported at their first use: `clips.spans` needs numpy alone.
_MODULES = {
    "AudioSettings": "settings",
    "ClipReader": "reader",
    "ClipSettings": "settings",
    "TrainingClip": "reader",
    "log_mel": "logmel",
}

__all__ = ["AudioSettings", "ClipReader", "ClipSettings", "TrainingClip", "log_mel"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
