"""Networks of other projects that this project does not have, recognised by names and shapes of their weights."""

import os
import re
from collections.abc import Callable

import torch

from .files import CheckpointError, Weights


def _always(tensor: torch.Tensor) -> bool:
    return True


def _of_spectrograms(tensor: torch.Tensor) -> bool:
    """Whether a first convolution takes one channel."""
    return tensor.dim() >= 4 and tensor.shape[1] == 1


# A residual block, in any format but this project's.
_BLOCK = r"(?:layer\d\.\d+|blocks\.\d+\.(?:multipathway_blocks\.\d\.)?res_blocks\.\d+|s\d\.pathway\d_res\d+)\."
# Networks that this project does not have, some of them in files with the names of a known format:
# (what they are, names of the tensors that show it, whether a tensor does). The first counts.
_OTHERS: tuple[tuple[str, str, Callable[[torch.Tensor], bool]], ...] = (
    ("an R(2+1)D", r".*\.conv_b\.conv_(?:t|xy)\.weight|layer\d\.\d+\.conv\d\.0\.0\.weight", _always),
    ("an X3D", r"(?:blocks\.0\.conv|s1\.pathway0_stem)\.conv_(?:t|xy)\.weight", _always),
    ("a network of audio (acoustic ResNet)", r"blocks\.0\.conv\.convs\.\d\.weight", _of_spectrograms),
    ("a network of audio (Auditory SlowFast)", r"s1\.pathway1_stem\.conv\.weight", _of_spectrograms),
    ("a network of audio (Auditory Slow or Fast)", r"s1\.pathway0_stem\.conv\.weight", _of_spectrograms),
    ("a network of audio", r"blocks\.0\.(?:multipathway_blocks\.\d\.)?conv\.weight", _of_spectrograms),
    ("an AVSlowFast of PyTorchVideo, whose audio has other axes", r"blocks\.0\.multipathway_blocks\.2\..+", _always),
    (
        "a channel-separated network (CSN)",
        rf"{_BLOCK}branch2\.(?:conv_)?b\.weight",
        lambda tensor: tensor.dim() == 5 and tensor.shape[1] == 1 < tensor.shape[0],
    ),
    (
        "a squeeze-and-excitation network (SE-ResNet)",
        rf"{_BLOCK}(?:.+\.)?se(?:_?(?:module|layer|block))?\.(?:fc|conv).+|{_BLOCK}.+\.norm_b\.1\.block\..+",
        _always,
    ),
    ("a 3-D ResNet of one kernel size (R3D, MC3)", r"layer\d\.\d+\.conv\d\.0\.weight", _always),
    (
        "a 3-D ResNet of one kernel size (R3D)",
        r"(?:conv1|layer\d\.\d+\.conv\d)\.weight",
        lambda tensor: tensor.dim() == 5,
    ),
    (
        "an MViT",
        r"(?:.+\.)?(?:pos_embed_(?:spatial|temporal|class)|cls_positional_encoding\..+|rev_backbone\..+"
        r"|blocks\.\d+\.attn\.(?:(?:pool|norm)_[qkv]|rel_pos|_attention_pool).*)",
        _always,
    ),
    ("a vision transformer", r"(?:.+\.)?attn\.(?:qkv|q|proj|in_proj|out_proj).*", _always),
    ("an I3D or S3D of the Inception kind", r"(?:.+\.)?(?:Conv3d_1a_7x7|Mixed_3b)\..+", _always),
)


def other_network(what: str, source: str | os.PathLike[str]) -> CheckpointError:
    """The error of a file whose network this project does not have.

    Args:
        what: The network, with its article.
        source: The file.
    """
    return CheckpointError(
        f"{source}: it is {what}; this project does not have such a network. Take weights of a Slow, SlowFast, "
        "AVSlowFast or 2-D ResNet"
    )


def refuse_other_networks(state: Weights, source: str | os.PathLike[str]) -> None:
    """Refuse networks of which no configuration of this project is one, whatever their names are like.

    Args:
        state: A file's tensors by name, without prefixes of wrappers.
        source: The file.

    Raises:
        CheckpointError: It is one of them, which is named.
    """
    for what, names, shows in _OTHERS:
        if any(re.fullmatch(names, name) and shows(tensor) for name, tensor in state.items()):
            raise other_network(what, source)
    stages = {name.split(".")[1] for name in state if re.match(r"blocks\.\d+\.res_blocks\.", name)}
    if "5" in stages and "2" not in stages:
        stem = state.get("blocks.0.conv.weight")
        what = "a C2D or I3D" if stem is None or stem.dim() != 5 else "a C2D" if stem.shape[2] == 1 else "an I3D"
        raise other_network(f"{what} of PyTorchVideo, where pooling after res2 shifts the stages' numbers", source)
