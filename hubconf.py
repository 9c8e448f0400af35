"""Entry points for torch.hub: every configuration of the model zoo as a function, and `load_model` for files.

    torch.hub.load("path/to/clone", "avslowfast_8x8_r101", source="local", weights="mine.pyth")
    torch.hub.load("path/to/clone", "load_model", "mine.pyth", source="local")

Networks come in eval mode; `model.meta` has configuration, class names and preprocessing.
"""

from avslowfast.config import list_models as _list_models
from avslowfast.inference.load import load_model as _load

dependencies = ["torch", "torchvision", "torchaudio", "fvcore", "iopath", "av", "librosa", "pandas", "yaml", "yacs"]


def load_model(name_or_path, weights=None, overrides=()):
    """See `avslowfast.load_model`; gives the model alone, with its meta as `model.meta`."""
    return _load(name_or_path, weights, overrides)[0]


def _entry(config):
    def entry(weights=None, overrides=()):
        return load_model(config, weights, overrides)

    entry.__doc__ = (
        f"The network of configs/{config}.yaml; `weights`: a checkpoint of any supported format, None for fresh ones."
    )
    return entry


for _name in _list_models("Kinetics/*"):
    globals()[_name.split("/")[-1].lower()] = _entry(_name)
