"""Networks by name or file, ready to use: weights, preprocessing and class names together."""

import dataclasses
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args, Literal

import torch
from torch import nn, Tensor

from ..checkpoint import (
    class_names_of,
    is_checkpoint_path,
    load_content,
    LoadReport,
    read_checkpoint,
    require,
)
from ..checkpoint.record import resolve
from ..clips import ClipReader
from ..config import ConfigError, load_cfg, parse_cfg, PluginError, UnknownModelError
from ..config.derived import Cfg, head_classes, pathways
from ..datasets.base import ClassNames
from ..loading.build import clip_settings, storage_settings
from ..media.storage import configure
from ..models import build_model
from ..models.network import Network
from ..tasks import base
from ..tasks.scores import names_of_head
from ..utils.errors import UserError
from ..utils.logging import get_logger

logger = get_logger(__name__)

# The spectrogram is part of the preprocessing here, wherever training computed it.
_OVERRIDES = ("DATA.LOGMEL_ON_DEVICE", False)
# A name that ends so is a file, whether it exists or not.
_CHECKPOINT_ENDINGS = (".pyth", ".pth", ".pt", ".pkl", ".ckpt", ".bin", ".safetensors")


# What a network computes in.
Precision = Literal["float32", "bf16"]


class DeviceError(UserError, ValueError):
    """A device that this machine does not have, or a precision that there is not; the message says what to use."""


class NotLoadedError(UserError, TypeError):
    """A network without the configuration and the class names that `load_model` gives it."""


@dataclasses.dataclass(frozen=True, repr=False)
class ModelMeta:
    """What goes with a network.

    Attributes:
        cfg: Its configuration.
        class_names: Names in order of the class ids, {classifier: names} for several classifiers, None where there are
            none.
        source: File of the weights; None for fresh ones.
        report: What was loaded from the file; None for fresh weights.
        precision: What it computes in: "float32", or "bf16" (automatic mixed precision; the weights stay float32).
    """

    cfg: Cfg
    class_names: ClassNames = None
    source: str | None = None
    report: LoadReport | None = None
    precision: Precision = "float32"

    def __repr__(self) -> str:
        names = self.class_names
        count = (
            len(names) if isinstance(names, list) else {k: len(v or ()) for k, v in names.items()} if names else "no"
        )
        return f"ModelMeta({self.cfg.MODEL.ARCH}, {count} class names, {self.source or 'fresh weights'})"

    def class_name(self, class_id: int, head: str = "") -> str:
        """Name of a class, "class N" without names.

        Args:
            class_id: Its number.
            head: Its classifier, for a network with several.
        """
        names = names_of_head(self.class_names, head)
        return names[class_id] if names else f"class {class_id}"

    def class_label(self, class_id: int, head: str = "") -> str:
        """As `class_name`; with several classifiers "classifier: class"."""
        return (f"{head}: " if head else "") + self.class_name(class_id, head)

    @property
    def only_listens(self) -> bool:
        """Whether the network takes no frames, so that sound files will do."""
        return "slow" not in pathways(self.cfg)

    @property
    def clip_reader(self) -> ClipReader:
        """Cuts clips from open files as the network takes them."""
        return ClipReader(clip_settings(self.cfg))

    def preprocess(
        self, video: str | os.PathLike[str], views: int | None = None, crops: int | None = None
    ) -> dict[str, Tensor]:
        """The inputs of the network for a video file, as in testing.

        Args:
            video: The file; one of sound for a network without frames.
            views: Clips over the length of the video; None takes TEST.NUM_ENSEMBLE_VIEWS.
            crops: Crops of each clip; None takes TEST.NUM_SPATIAL_CROPS.

        Returns:
            The inputs that the network takes: "slow", "fast" uint8 [views x crops, 3, T, H, W], "audio" float32 [views,
            1, T_A, F], "audio_mask" bool [views] (False: silent), with several crops "audio_index" [views x crops], the
            row of "audio" that belongs to each clip; and "start", the second at which each clip begins.

        Raises:
            DecodeError: The file cannot be read.
        """
        clip_reader = self.clip_reader
        with clip_reader.open(video) as media:
            return clip_reader.test_views(media, num_views=views, num_crops=crops)


def load_model(
    name_or_path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    overrides: Sequence[Any] = (),
    device: str | torch.device | None = None,
    precision: Precision = "float32",
) -> tuple[Network, ModelMeta]:
    """A network in evaluation mode with what goes with it.

    Args:
        name_or_path: OUTPUT_DIR of a run (its best state, else its newest), a checkpoint file, a configuration file, or
            the name of a configuration such as "SLOWFAST_8x8_R50" or "Kinetics600/SLOWFAST_8x8_R50". A checkpoint of
            another project takes the configuration that its file is named after; give name and `weights` where it has
            another name.
        weights: Checkpoint for a configuration; None leaves the network with fresh weights, with a warning.
        overrides: Keys and values on top of the configuration, e.g. ["MODEL.NUM_CLASSES", 10].
        device: Where the network goes: "cpu", "cuda", "cuda:1"; None is a GPU where there is one, else the CPU.
        precision: What `predict` and the others compute in: "float32", with the same scores on every device to
            rounding, or "bf16", automatic mixed precision, faster on GPUs.

    Returns:
        (model, `ModelMeta`); the meta is also `model.meta`.

    Raises:
        DeviceError: This machine has no such device, or there is no such precision.
        UserError: There is no such name or file, no configuration for a checkpoint, or the weights are of another
            network.
    """
    # Before anything is read.
    place = usable_device(device)
    if precision not in get_args(Precision):
        raise DeviceError(f"precision is {precision!r}; use one of {', '.join(get_args(Precision))}")
    content, name = None, str(resolve(str(name_or_path)))
    is_file = is_checkpoint_path(name) or name.lower().endswith(_CHECKPOINT_ENDINGS)
    if is_file and not name.lower().endswith((".yaml", ".yml")):
        if weights is not None:
            raise UnknownModelError(
                f"{name} is a checkpoint, and weights {weights} are given as well; "
                "give a configuration's name with `weights`"
            )
        weights, content = name, read_checkpoint(name)
        cfg = _cfg_of_checkpoint(content, name, overrides)
    else:
        cfg = load_cfg(name, [*overrides, *_OVERRIDES])
    configure(storage_settings(cfg))
    model, meta = build_model(cfg), ModelMeta(cfg, precision=precision)
    if weights is None:
        logger.warning("%s: no weights are given; the network has fresh ones", name)
    else:
        source = str(resolve(str(weights)))
        content = read_checkpoint(source) if content is None else content
        report = load_content(model, content, source)
        require(report, "all")
        meta = ModelMeta(cfg, _class_names(cfg, content, source), source, report, precision)
    model.meta = meta
    return model.to(place).eval(), meta


def usable_device(device: str | torch.device | None = None) -> torch.device:
    """A device of this machine.

    Args:
        device: Such as "cpu", "cuda", "cuda:1"; None is a GPU where there is one, else the CPU.

    Raises:
        DeviceError: There is no such device here.
    """
    try:
        chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        here = ", ".join(["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))])
        reason = str(error).strip().split("\n")[0].rstrip(".")
        raise DeviceError(
            f"device is {str(device)!r}, which cannot be used ({reason}); this machine has {here}"
        ) from None
    return chosen


def network_of(model: nn.Module) -> Network:
    """The network itself, without the wrapper of data parallelism.

    Args:
        model: From `load_model`.

    Raises:
        NotLoadedError: The network does not come from `load_model`.
    """
    network = base.network_of(model)
    if not isinstance(getattr(network, "meta", None), ModelMeta):
        raise NotLoadedError(
            f"this {type(network).__name__} has no configuration and no class names; load it with avslowfast.load_model"
        )
    return network


def meta_of(model: nn.Module) -> ModelMeta:
    """What goes with a network: configuration, class names, preprocessing.

    Args:
        model: From `load_model`, wrapped for data parallelism or not.

    Raises:
        NotLoadedError: The network does not come from `load_model`.
    """
    return cast(ModelMeta, network_of(model).meta)


def _class_names(cfg: Cfg, content: Any, source: str) -> ClassNames:
    """The names in a checkpoint, where they are as many as the network has classes."""
    names: ClassNames = class_names_of(content, source)
    for head, count in head_classes(cfg).items():
        of_head = names_of_head(names, head)
        if of_head is not None and len(of_head) != count:
            logger.warning("%s: it has %d class names for %d classes; they are left out", source, len(of_head), count)
            return None
    return names


def _cfg_of_checkpoint(content: Any, path: str, overrides: Sequence[Any]) -> Cfg:
    """The configuration inside a checkpoint, else the one that the file is named after."""
    text = content.get("cfg") if isinstance(content, dict) else None
    reason = "no configuration in the file"
    if isinstance(text, str):
        try:
            return parse_cfg(text, f"configuration inside {path}", [*overrides, *_OVERRIDES])
        except PluginError:
            raise
        except ConfigError as error:
            reason = f"its configuration is not one of this project ({error})"
    # PySlowFast's first files call Slow so.
    name = re.sub("slowonly", "slow", Path(path).stem, flags=re.IGNORECASE)
    try:
        cfg = load_cfg(name, [*overrides, *_OVERRIDES])
    except UnknownModelError:
        raise UnknownModelError(
            f"{path}: {reason}, and no configuration has its name; "
            f'name one: load_model("SLOWFAST_8x8_R50", weights={path!r})'
        ) from None
    level = logging.WARNING if isinstance(text, str) else logging.INFO
    logger.log(level, "%s: %s; the configuration %s, after which it is named, is used", path, reason, name)
    return cfg
