"""Entry points for torch.hub: every Kinetics configuration as a function, and `load_model` for files.

    torch.hub.load("path/to/clone", "avslowfast_8x8_r101", source="local", weights="mine.pyth")
    torch.hub.load("path/to/clone", "load_model", "mine.pyth", source="local")

Networks are in evaluation mode; `model.meta` has configuration, class names and preprocessing.
"""

from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from avslowfast.config import list_models as _list_models
from avslowfast.inference.load import load_model as _load
from avslowfast.models.network import Network as _Network

dependencies = [
    *(
        "torch",
        "torchvision",
        "torchaudio",
        "fvcore",
        "iopath",
        "safetensors",
        "av",
        "pandas",
        "yaml",
        "yacs",
    ),
]


def load_model(
    name_or_path: str, weights: str | None = None, overrides: _Sequence[_Any] = (), device: str | None = None
) -> _Network:
    """The network of `avslowfast.load_model`, with what goes with it as `model.meta`.

    Args:
        name_or_path: OUTPUT_DIR of a run, a checkpoint, a configuration file, or the name of a configuration.
        weights: Checkpoint for a configuration; None leaves the network with fresh weights.
        overrides: Keys and values on top of the configuration, e.g. ["MODEL.NUM_CLASSES", 10].
        device: Where the network goes; None is a GPU where there is one, else the CPU.
    """
    return _load(name_or_path, weights, overrides, device)[0]


def _entry(config: str) -> _Callable[..., _Network]:
    def entry(weights: str | None = None, overrides: _Sequence[_Any] = (), device: str | None = None) -> _Network:
        return load_model(config, weights, overrides, device)

    entry.__doc__ = (
        f"The network of configs/{config}.yaml.\n\n"
        "Args:\n"
        "    weights: A checkpoint of any supported format; None leaves the network with fresh weights.\n"
        "    overrides: Keys and values on top of the configuration.\n"
        "    device: Where the network goes; None is a GPU where there is one, else the CPU.\n"
    )
    return entry


for _name in _list_models("Kinetics/*"):
    globals()[_name.split("/")[-1].lower()] = _entry(_name)
