"""A checkpoint of one project as a checkpoint of another."""

import os
from typing import Any

import torch

from ..config import ConfigError
from ..config.kinds import stored_values
from . import states, tensor_files
from .files import CheckpointError, class_names_of, read_checkpoint, WEIGHT_KEYS, weights_of
from .released import check_numbers, from_avslowfast, PYTORCHVIDEO, to_avslowfast, TORCHVISION

# What a checkpoint says about its network besides the weights; it is kept.
_KEPT = ("epoch", "cfg", "class_names", "detection")

# The one tensor of a network that is a whole number, of each batch norm.
_COUNTER = "num_batches_tracked"


def convert(source: str | os.PathLike[str], out: str | os.PathLike[str], target: str) -> str:
    """Write the weights of a checkpoint of any supported format in another format.

    Epoch, configuration and class names are kept; the state of the optimiser is left out. Converting there and back
    gives the same tensors.

    Args:
        source: The checkpoint.
        out: The file to write; .safetensors is written in that format, any other name by `torch.save`.
        target: avslowfast | pyslowfast | pytorchvideo.

    Returns:
        What was done, in lines for people.

    Raises:
        CheckpointError: The file cannot be read, its tensors are no weights, or the target has no place
            for some of them.
    """
    content = read_checkpoint(source)
    state, notes = weights_of(content, source)
    translation = to_avslowfast(state, source)
    if translation.format is TORCHVISION:
        raise CheckpointError(
            f"{source}: a 2-D network has no temporal kernels to name; load it into a network "
            "(TRAIN.CHECKPOINT_FILE_PATH), which inflates it"
        )
    check_numbers(translation, {name for name in translation.tensors if not name.endswith(_COUNTER)}, source)
    detection = translation.format in (PYTORCHVIDEO[True, False], PYTORCHVIDEO[True, True]) or _detects(content)
    converted = from_avslowfast(translation.tensors, target, detection)
    kept = {key: content[key] for key in _KEPT if key in content}
    if "class_names" in kept:
        kept["class_names"] = class_names_of(content, source)
    if detection:
        kept["detection"] = True
    if os.fspath(out).lower().endswith(tensor_files.ENDING):
        tensor_files.write(converted, kept, out)
    else:
        states.save({"model_state": converted, **kept}, out)
    lines = [f"{source} ({translation.format.name}) -> {out} ({target}): {len(converted)} tensors"]
    if isinstance(content.get("ema_state"), dict):
        lines.append("  the average of the weights (EMA), which testing uses")
    if translation.unknown:
        count, first = len(translation.unknown), translation.unknown[0]
        lines.append(f"  left out, no part of a known network: {count} tensors, the first {first}")
    odd = [name for name, tensor in converted.items() if not bool(torch.isfinite(tensor).all())]
    if odd:
        lines.append(f"  NaN or infinite values in {len(odd)} tensors, the first {odd[0]}: scores will make no sense")
    nested = any(isinstance(content.get(key), dict) for key in WEIGHT_KEYS)
    left = [str(key) for key in content if key not in (*_KEPT, *WEIGHT_KEYS)] if nested else []
    lines += [f"  left out: {', '.join(left)}"] if left else []
    return "\n".join(lines + [f"  {note}" for note in [*notes, *translation.notes]])


def _detects(content: dict[str, Any]) -> bool:
    """Whether a checkpoint says that its network classifies boxes."""
    if content.get("detection"):
        return True
    text = content.get("cfg")
    try:
        return isinstance(text, str) and stored_values(text, "its configuration").get("DETECTION.ENABLE") is True
    except ConfigError:
        return False
