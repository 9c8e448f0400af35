"""A checkpoint of one project as a checkpoint of another."""

import yaml

from . import states
from .files import CheckpointError, read_checkpoint, weights_of
from .released import from_own, PYTORCHVIDEO, to_own, TORCHVISION

# What a checkpoint says about its network, beside the weights; it goes along.
_KEPT = ("epoch", "cfg", "class_names", "detection")
_WEIGHTS = ("ema_state", "model_state", "state_dict", "model", "blobs")


def convert(source, out, target):
    """Write the weights of `source`, in whatever supported format, to `out` in the format `target`.

    Epoch, configuration and class names go along; the state of the optimiser does not. There and back gives the same tensors.

    Args:
        target: avslowfast | pyslowfast | pytorchvideo.

    Returns:
        What was done, in lines for people.

    Raises:
        CheckpointError: the file cannot be read, or the target has no place for some of its tensors.
    """
    content = read_checkpoint(source)
    state, notes = weights_of(content, source)
    found = to_own(state, source)
    if found.format is TORCHVISION:
        raise CheckpointError(
            f"{source}: a 2-D network has no kernels in time to name; load it into a network (TRAIN.CHECKPOINT_FILE_PATH), which inflates it"
        )
    detection = found.format in (PYTORCHVIDEO[True, False], PYTORCHVIDEO[True, True]) or _detects(content)
    converted = from_own(found.tensors, target, detection)
    kept = {key: content[key] for key in _KEPT if key in content}
    if detection:
        kept["detection"] = True
    states.save({"model_state": converted, **kept}, out)
    lines = [f"{source} ({found.format.name}) -> {out} ({target}): {len(converted)} tensors"]
    if isinstance(content.get("ema_state"), dict):
        lines.append("  the average of the weights (EMA), which is what testing uses")
    if found.unknown:
        lines.append(
            f"  left out, no part of a network that is known here: {len(found.unknown)} tensors, the first {found.unknown[0]}"
        )
    nested = any(isinstance(content.get(key), dict) for key in _WEIGHTS)
    left = [str(key) for key in content if key not in (*_KEPT, *_WEIGHTS)] if nested else []
    lines += [f"  left out: {', '.join(left)}"] if left else []
    return "\n".join(lines + [f"  {note}" for note in notes])


def _detects(content):
    """Whether a checkpoint says that its network classifies boxes."""
    if content.get("detection"):
        return True
    try:
        cfg = yaml.safe_load(content["cfg"]) if isinstance(content.get("cfg"), str) else None
    except yaml.YAMLError:
        return False
    return isinstance(cfg, dict) and bool((cfg.get("DETECTION") or {}).get("ENABLE"))
