"""Networks by name or file, ready to use: weights, preprocessing and class names together."""

import dataclasses
from pathlib import Path

import torch
from iopath.common.file_io import g_pathmgr

from ..checkpoint import load_content, read_checkpoint, require, states
from ..config import ConfigError, load_cfg, parse_cfg, PluginError, UnknownModelError
from ..datasets.base import Record, VideoDataset
from ..loading.build import clip_settings
from ..models import build_model
from ..utils.batches import pieces
from ..utils.logging import get_logger

logger = get_logger(__name__)

# The spectrogram is part of the preprocessing here, wherever training computed it.
_OVERRIDES = ("DATA.LOGMEL_ON_DEVICE", False)


@dataclasses.dataclass(frozen=True)
class ModelMeta:
    """What goes with a network.

    Attributes:
        cfg: its configuration.
        class_names: names in order of the class ids, or None where nobody has said; {classifier: names} for several classifiers.
        source: file of the weights, or None for fresh ones.
        report: what became of the file's tensors, or None.
    """

    cfg: object
    class_names: list | dict | None = None
    source: str | None = None
    report: object = None

    def class_name(self, index, head=""):
        """Name of a class (of a classifier), or "class N" without names."""
        names = self.class_names.get(head) if isinstance(self.class_names, dict) else self.class_names
        return names[index] if names else f"class {index}"

    def preprocess(self, video, views=None, crops=None):
        """The network's inputs for a video file, as in testing.

        Args:
            video: the file. views, crops: clips over its length and crops of each; None takes TEST.NUM_ENSEMBLE_VIEWS, NUM_SPATIAL_CROPS.

        Returns:
            {"slow", "fast": uint8 [views x crops, 3, T, H, W], "audio": [views, 1, T, F], "audio_mask": [views]}, those that the network takes,
            "audio_index" [views x crops] (which sound each clip hears) with several crops, and "start": seconds at which each clip begins.

        Raises:
            DecodeError: the file cannot be read.
        """
        settings = clip_settings(self.cfg)
        settings = dataclasses.replace(
            settings, num_views=views or settings.num_views, num_crops=crops or settings.num_crops
        )
        return VideoDataset([Record(str(video), 0)], settings, "test").read_views(0)


def load_model(name_or_path, weights=None, overrides=()):
    """A network in eval mode with what goes with it.

    Args:
        name_or_path: a run's OUTPUT_DIR (its best state, else its newest), a checkpoint file, a configuration file, or the name of a
            configuration such as "SLOWFAST_8x8_R50" or "Kinetics600/SLOWFAST_8x8_R50". A checkpoint of another project takes the
            configuration that its file is named after; give name and `weights` where it has another name.
        weights: checkpoint for a configuration; None leaves the network with fresh weights, which a warning says.
        overrides: keys and values on top of the configuration, e.g. ["MODEL.NUM_CLASSES", 10].

    Returns:
        (model, `ModelMeta`); the meta is also `model.meta`.

    Raises:
        UserError: no such name or file, no configuration for a checkpoint, or weights that are not the network's.
    """
    content, name = None, states.resolve(str(name_or_path))
    if not name.lower().endswith((".yaml", ".yml")) and g_pathmgr.isfile(name):
        if weights is not None:
            raise UnknownModelError(
                f"{name} is a checkpoint, and weights {weights} are given as well; give a configuration's name with `weights`"
            )
        weights, content = name, read_checkpoint(name)
        cfg = _cfg_of_checkpoint(content, name, overrides)
    else:
        cfg = load_cfg(name, [*overrides, *_OVERRIDES])
    weights = None if weights is None else states.resolve(weights)
    model, report, names = build_model(cfg), None, None
    if weights is None:
        logger.warning("%s: no weights are given; the network has fresh ones", name)
    else:
        content = read_checkpoint(weights) if content is None else content
        report = load_content(model, content, weights)
        require(report, "all")
        names = content.get("class_names")
    meta = ModelMeta(cfg, names or None, None if weights is None else str(weights), report)
    model.meta = meta
    return model.eval(), meta


def _cfg_of_checkpoint(content, path, overrides):
    text = content.get("cfg") if isinstance(content, dict) else None
    reason = "it holds no configuration"
    if isinstance(text, str):
        try:
            return parse_cfg(text, f"configuration inside {path}", [*overrides, *_OVERRIDES])
        except PluginError:
            raise
        except ConfigError as error:
            reason = f"its configuration is not one of this project ({error})"
    try:
        return load_cfg(Path(path).stem, [*overrides, *_OVERRIDES])
    except UnknownModelError:
        raise UnknownModelError(
            f'{path}: {reason}, and no configuration has its name; say which: load_model("SLOWFAST_8x8_R50", weights={path!r})'
        ) from None


@torch.no_grad()
def scores_of(model, inputs, max_clips=8):
    """Scores of clips, at most `max_clips` in a forward pass: [clips, classes], on the CPU; a dict of them for a multi-head model.

    Args:
        model: from `load_model`. inputs: from `ModelMeta.preprocess`.
    """
    device = next(model.parameters()).device
    tensors = {name: value.to(device) for name, value in inputs.items() if name != "start"}
    parts = [model(piece)["scores"] for piece in pieces(tensors, len(inputs["start"]), max_clips)]
    if isinstance(parts[0], dict):
        return {name: torch.cat([part[name] for part in parts]).cpu() for name in parts[0]}
    return torch.cat(parts).cpu()
