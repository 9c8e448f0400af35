"""Weights of released checkpoints: one name table a format, and the report of what was loaded.

Formats are found out from the tensor names in the file. Here: this project's own, PySlowFast's `.pyth` and the AVSlowFast authors'.
"""

import pickle
import re
from dataclasses import dataclass, field

import torch
from iopath.common.file_io import g_pathmgr

from ..utils.errors import UserError
from ..utils.logging import get_logger

_PATHWAY = {"0": "slow", "1": "fast", "2": "audio"}
_STAGE = {"1": "pool1", "2": "res2", "3": "res3", "4": "res4", "5": "res5"}


class CheckpointError(UserError, RuntimeError):
    """A file that cannot be read as weights; the message says why and what to do."""


@dataclass
class LoadReport:
    """What `load_weights` did; each attribute is a list of tensor names.

    Attributes:
        loaded: the model's tensors that came from the file.
        missing: the model's tensors that the file does not have; they keep their values.
        unexpected: the file's tensors that the model does not have.
        mismatched: the model's tensors whose shape differs in the file; they keep their values.
    """

    source: str = ""
    format: str = ""
    loaded: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    unexpected: list = field(default_factory=list)
    mismatched: list = field(default_factory=list)

    def __str__(self):
        lines = [f"{self.source} ({self.format}): {len(self.loaded)} tensors loaded"]
        for kind in ("missing", "unexpected", "mismatched"):
            names = getattr(self, kind)
            if names:
                lines.append(f"  {kind:<10} {len(names):4d}")
                lines += [f"    {group:<40} {count:4d}" for group, count in _grouped(names)]
        return "\n".join(lines)


def _grouped(names):
    groups = {}
    for name in names:
        group = ".".join(name.split(".")[:3]) if name.count(".") > 2 else name
        groups[group] = groups.get(group, 0) + 1
    return groups.items()


# (pattern of the other format, template of ours); {p} and {s} stand for the pathway's and the stage's name.
_PYSLOWFAST = [
    (r"s1\.pathway(?P<p>\d)_stem\.(?P<rest>(?:conv|conv_t|conv_f|bn)\..+)", "pathways.{p}.pool1.{rest}"),
    (r"s(?P<s>[2-5])\.pathway(?P<p>\d)_res(?P<i>\d+)\.(?P<rest>branch[12].+)", "pathways.{p}.{s}.block{i}.{rest}"),
    (r"s(?P<s>[2-5])\.pathway(?P<p>\d)_nonlocal(?P<i>\d+)\.(?P<rest>(?:conv_\w+|bn)\..+)", "pathways.{p}.{s}.nonlocal{i}.{rest}"),
    (r"s5_fuse\.conv_f2s\.(?P<rest>.+)", "sync_heads.res5.join_fast.conv_f2s.{rest}"),
    (r"s5_fuse\.bn_f2s\.(?P<rest>.+)", "sync_heads.res5.join_fast.bn.{rest}"),
    (r"s5_fuse\.(?P<layer>conv|bn)_a2fs_(?P<i>\d)\.(?P<rest>.+)", "sync_heads.res5.encoder.{layer}{i}.{rest}"),
    (r"s(?P<s>[1-4])_fuse\.conv_f2s\.(?P<rest>.+)", "fast_to_slow.{s}.conv_f2s.{rest}"),
    (r"s(?P<s>[1-4])_fuse\.bn(?:_f2s)?\.(?P<rest>.+)", "fast_to_slow.{s}.bn.{rest}"),
    (r"s(?P<s>[1-4])_fuse\.(?P<layer>conv|bn)_a2fs_(?P<i>\d)\.(?P<rest>.+)", "audio_laterals.{s}.encode.{layer}{i}.{rest}"),
    (r"s(?P<s>[1-5])_fuse\.avs\.(?P<rest>.+)", "sync_heads.{s}.{rest}"),
    (r"head\.projection\.(?P<rest>.+)", "head.projection.{rest}"),
]


def _pyslowfast_name(name):
    """Our name of a PySlowFast or authors' AVSlowFast tensor; None for one that has no place here."""
    for pattern, template in _PYSLOWFAST:
        match = re.fullmatch(pattern, name)
        if match:
            groups = match.groupdict()
            groups["p"] = _PATHWAY.get(groups.get("p"))
            groups["s"] = _STAGE.get(groups.get("s"))
            return template.format(**groups)
    return None


def load_weights(model, path):
    """Load the weights in a checkpoint file into a model, whatever supported format it has.

    Args:
        model: the network (not wrapped for data parallelism).
        path: local path, or any that iopath opens.

    Returns:
        A `LoadReport`; print it. Nothing is dropped in silence.

    Raises:
        CheckpointError: no such file, not a checkpoint, a format that is not known, or no tensor that fits.
    """
    return load_state(model, weights_of(read_checkpoint(path), path), path)


def read_checkpoint(path):
    """The content of a checkpoint file: containers, numbers, strings and tensors alone, nothing is executed."""
    path = str(path)
    if not g_pathmgr.isfile(path):
        raise CheckpointError(f"{path}: no such file; check the path (TRAIN.CHECKPOINT_FILE_PATH or TEST.CHECKPOINT_FILE_PATH)")
    try:
        with g_pathmgr.open(path, "rb") as f:
            return torch.load(f, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"(?:GLOBAL|Unsupported (?:global|class|operand)\S*:?|type)\s+([\w.]+\.\w+)", str(error))
        what = f" asks for {asked.group(1)}, which" if asked else " needs more than tensors and containers, or is no checkpoint, and"
        raise CheckpointError(f"{path}:{what} is not loaded from a file; save it as a plain state dict") from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path}: not a checkpoint, or a torn one ({reason})") from None


def weights_of(content, path):
    """The weights in a checkpoint's content, {name: tensor}, without the prefixes that wrappers put before every name.

    Raises:
        CheckpointError: there are none.
    """
    state = content
    for key in ("model_state", "state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            state = content[key]
            break
    if not isinstance(state, dict) or not any(isinstance(v, torch.Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: no model weights in it (neither `model_state` nor a state dict)")
    tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
    for prefix in ("module.", "backbone."):
        if all(name.startswith((prefix, "head.")) for name in tensors) and any(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def load_state(model, state, source):
    """As `load_weights`, from a state dict in memory."""
    own = model.state_dict()
    report = LoadReport(source=str(source))
    if any(name.startswith(("pathways.", "head.projections")) for name in state):
        report.format, translate = "avslowfast", lambda name: name
    elif any(re.match(r"s[1-5]\.pathway\d_", name) for name in state):
        audio = any("pathway2_" in name for name in state)
        report.format, translate = ("AVSlowFast authors" if audio else "PySlowFast"), _pyslowfast_name
    else:
        raise CheckpointError(f"{source}: unknown checkpoint format; its first tensor is '{next(iter(state))}'. Known: avslowfast, PySlowFast, AVSlowFast authors")
    found = {}
    for name, tensor in state.items():
        ours = translate(name)
        if ours is None or ours not in own:
            report.unexpected.append(name)
            continue
        fitted = _fit(tensor, own[ours].shape)
        if fitted is None:
            report.mismatched.append(ours)
        else:
            found[ours] = fitted
            report.loaded.append(ours)
    seen = set(report.loaded) | set(report.mismatched)
    report.missing = [name for name in own if name not in seen]
    if not found:
        raise CheckpointError(f"{source}: none of its {len(state)} tensors fits the model; is MODEL.ARCH or RESNET.DEPTH another one?")
    model.load_state_dict(found, strict=False)
    if report.mismatched or report.missing or report.unexpected:
        get_logger(__name__).warning("%s", report)
    else:
        get_logger(__name__).info("%s", report)
    return report


def _fit(tensor, shape):
    """The tensor in `shape` if the two differ by axes of length 1 alone (a 1x3x3 kernel for a 3x3 one); else None."""
    if tensor.shape == shape:
        return tensor
    squeezed = [n for n in tensor.shape if n != 1]
    return tensor.reshape(shape) if squeezed == [n for n in shape if n != 1] else None
