"""Names of other projects' checkpoints: one table per format, read in both directions.

A row pairs a name of the other project with one of this project. {P} is the pathway, {K} a residual stage, {L} a stage
with a lateral connection; what the other fields stand for is in the format's `fields`.
"""

import functools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from ..config.names import STAGES
from .files import CheckpointError, Weights
from .unpickling import in_words

_SLOWFAST = ("slow", "fast")
_RES = STAGES[1:]
_LATERAL_STAGES = STAGES[:-1]
_NORM = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}
# Expressions of fields that a format does not define.
_COMMON_FIELDS = {"i": r"\d+", "rest": ".+"}

# Index of a row's two names.
_THEIRS, _OURS = 0, 1


@dataclass(frozen=True, eq=False)
class Format:
    """A family of checkpoints.

    Attributes:
        name: What reports call it.
        marks: Expression that at least one name of such a file matches.
        rows: Pairs (their name, our name) with fields in braces.
        fields: {field: {theirs: ours}}, or {field: expression} where both write the same.
        audio_5d: Audio weights have the axes of video, with length 1.
    """

    name: str
    marks: str
    rows: tuple[tuple[str, str], ...]
    fields: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)
    audio_5d: bool = False

    def to_avslowfast(self, state: Weights) -> "Translation":
        """A file's tensors under this project's names and in its shapes.

        Args:
            state: The file's tensors by their names.
        """
        result = Translation(self)
        for name, tensor in state.items():
            ours = self._translate(name, _THEIRS)
            if ours is None:
                result.unknown.append(name)
            else:
                result.tensors[ours] = _audio_squeezed(ours, tensor) if self.audio_5d else tensor
                result.origin[ours] = name
        return result

    def from_avslowfast(self, state: Weights) -> Weights:
        """This project's tensors under the format's names and in its shapes.

        Args:
            state: The tensors by this project's names.

        Raises:
            CheckpointError: The format has no place for some of them.
        """
        theirs: Weights = {}
        without = []
        for name, tensor in state.items():
            other = self._translate(name, _OURS)
            if other is None:
                without.append(name)
            else:
                theirs[other] = _audio_unsqueezed(name, tensor) if self.audio_5d else tensor
        if without:
            raise CheckpointError(
                f"{self.name} has no place for {len(without)} of the {len(state)} tensors, the first: {without[0]}; "
                "convert to another format"
            )
        return theirs

    def _translate(self, name: str, side: int) -> str | None:
        """A name of one side of the table as that of the other; None where no row fits."""
        for pair in self.rows:
            match = _expression(self, pair[side], side).fullmatch(name)
            if match:
                values = {key: self._value(key, text, side) for key, text in match.groupdict().items()}
                return pair[1 - side].format(**values)
        return None

    def _value(self, key: str, text: str, side: int) -> str:
        known = self.fields.get(key, text)
        if isinstance(known, str):
            return text
        return next(theirs for theirs, ours in known.items() if ours == text) if side == _OURS else known[text]


@dataclass
class Translation:
    """A checkpoint under this project's names.

    Attributes:
        format: The format of the file.
        tensors: Its tensors by this project's names.
        origin: {this project's name: name in the file}.
        unknown: Names of the file that the format does not know.
    """

    format: Format
    tensors: Weights = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


@functools.cache
def _expression(fmt: Format, template: str, side: int) -> re.Pattern[str]:
    """What names of a row look like, with one group per field."""

    def group(match: re.Match[str]) -> str:
        key = match[1]
        known = fmt.fields.get(key) or _COMMON_FIELDS[key]
        if not isinstance(known, str):
            known = "|".join(map(re.escape, known.values() if side == _OURS else known))
        return f"(?P<{key}>{known})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(template)))


def _audio_squeezed(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """Audio weights without the axes of video.

    [O, I, 1, T, F] -> [O, I, T, F]; those of a lateral [O, I, 1, T, 1] -> [O, I, T].
    """
    if tensor.dim() == 5 and name.startswith("pathways.audio."):
        return tensor.squeeze(2)
    if tensor.dim() == 5 and _ENCODER.search(name):
        return tensor.squeeze(4).squeeze(2)
    return tensor


def _audio_unsqueezed(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The reverse of `_audio_squeezed`."""
    if tensor.dim() == 4 and name.startswith("pathways.audio."):
        return tensor.unsqueeze(2)
    if tensor.dim() == 3 and _ENCODER.search(name):
        return tensor.unsqueeze(2).unsqueeze(4)
    return tensor


_ENCODER = re.compile(r"\.encoder?\.conv\d+\.weight$")

_PYSLOWFAST_FIELDS = {
    "P": dict(zip("012", ("slow", "fast", "audio"))),
    "K": dict(zip("2345", _RES)),
    "L": dict(zip("1234", _LATERAL_STAGES)),
    "S": dict(zip("12345", STAGES)),
}
_PYSLOWFAST_ROWS = (
    ("s1.pathway{P}_stem.{rest}", "pathways.{P}.pool1.{rest}"),
    ("s{K}.pathway{P}_res{i}.{rest}", "pathways.{P}.{K}.block{i}.{rest}"),
    ("s{K}.pathway{P}_nonlocal{i}.{rest}", "pathways.{P}.{K}.nonlocal{i}.{rest}"),
    ("s{L}_fuse.conv_f2s.{rest}", "fast_to_slow.{L}.conv_f2s.{rest}"),
    ("head.projection.{rest}", "head.projection.{rest}"),
)
PYSLOWFAST = Format(
    "PySlowFast",
    r"s[1-5]\.pathway\d_",
    (*_PYSLOWFAST_ROWS, ("s{L}_fuse.bn.{rest}", "fast_to_slow.{L}.bn.{rest}")),
    _PYSLOWFAST_FIELDS,
)
AUTHORS = Format(
    "AVSlowFast authors",
    r"s[1-5]\.pathway2_|s[1-5]_fuse\.(bn_f2s|conv_a2fs)",
    (
        *_PYSLOWFAST_ROWS,
        ("s{L}_fuse.bn_f2s.{rest}", "fast_to_slow.{L}.bn.{rest}"),
        ("s{L}_fuse.conv_a2fs_{i}.{rest}", "audio_laterals.{L}.encode.conv{i}.{rest}"),
        ("s{L}_fuse.bn_a2fs_{i}.{rest}", "audio_laterals.{L}.encode.bn{i}.{rest}"),
        # At res5 no lateral exists; these weights are used by the synchronisation loss alone.
        ("s5_fuse.conv_f2s.{rest}", "sync_heads.res5.join_fast.conv_f2s.{rest}"),
        ("s5_fuse.bn_f2s.{rest}", "sync_heads.res5.join_fast.bn.{rest}"),
        ("s5_fuse.conv_a2fs_{i}.{rest}", "sync_heads.res5.encoder.conv{i}.{rest}"),
        ("s5_fuse.bn_a2fs_{i}.{rest}", "sync_heads.res5.encoder.bn{i}.{rest}"),
        ("s{S}_fuse.avs.{fc}_fc.{rest}", "sync_heads.{S}.{fc}_fc.{rest}"),
    ),
    {**_PYSLOWFAST_FIELDS, "fc": "ref|query"},
    audio_5d=True,
)


def _pytorchvideo(name: str, marks: str, prefix: str, pathway: str, of: str, head: str) -> Format:
    """A format of PyTorchVideo.

    Args:
        name: What reports call it.
        marks: Expression that a name of such a file matches.
        prefix: What every name begins with.
        pathway: What stands between a block's number and its layers, with the field {P} for the pathway.
        of: The same pathway in this project's names.
        head: Name of the classifier.
    """
    stage, block = f"{prefix}blocks.{{K}}.{pathway}res_blocks.{{i}}.", f"pathways.{of}.{{K}}.block{{i}}."
    return Format(
        name,
        marks,
        (
            (f"{prefix}blocks.0.{pathway}conv.{{rest}}", f"pathways.{of}.pool1.conv.{{rest}}"),
            (f"{prefix}blocks.0.{pathway}norm.{{rest}}", f"pathways.{of}.pool1.bn.{{rest}}"),
            (stage + "branch1_conv.{rest}", block + "branch1.{rest}"),
            (stage + "branch1_norm.{rest}", block + "branch1_bn.{rest}"),
            (stage + "branch2.conv_{c}.{rest}", block + "branch2.{c}.{rest}"),
            (stage + "branch2.norm_{c}.{rest}", block + "branch2.{c}_bn.{rest}"),
            (prefix + "blocks.{L}.multipathway_fusion.conv_fast_to_slow.{rest}", "fast_to_slow.{L}.conv_f2s.{rest}"),
            (prefix + "blocks.{L}.multipathway_fusion.norm.{rest}", "fast_to_slow.{L}.bn.{rest}"),
            (head + ".{rest}", "head.projection.{rest}"),
        ),
        {
            "P": dict(zip("01", _SLOWFAST)),
            "K": dict(zip("1234", _RES)),
            "L": dict(zip("0123", _LATERAL_STAGES)),
            "c": "[abc]",
        },
    )


_MULTI = ("multipathway_blocks.{P}.", "{P}")
_SINGLE = ("", "slow")
PYTORCHVIDEO = {
    # {(detects boxes, has Fast): format}
    (False, False): _pytorchvideo(
        "PyTorchVideo Slow", r"blocks\.\d+\.(res_blocks|conv)\.", "", *_SINGLE, "blocks.5.proj"
    ),
    (False, True): _pytorchvideo("PyTorchVideo SlowFast", r"blocks\.\d+\.multipathway_", "", *_MULTI, "blocks.6.proj"),
    (True, False): _pytorchvideo(
        "PyTorchVideo Slow detection",
        r"model\.blocks\.\d+\.(res_blocks|conv)\.",
        "model.",
        *_SINGLE,
        "detection_head.proj",
    ),
    (True, True): _pytorchvideo(
        "PyTorchVideo SlowFast detection",
        r"model\.blocks\.\d+\.multipathway_",
        "model.",
        *_MULTI,
        "detection_head.proj",
    ),
}

CAFFE2 = Format(
    "Caffe2",
    r"conv1_w",
    (
        ("{T}conv1_w", "pathways.{T}.pool1.conv.weight"),
        ("{T}res_conv1_bn_{n}", "pathways.{T}.pool1.bn.{n}"),
        ("{T}res{K}_{i}_branch1_w", "pathways.{T}.{K}.block{i}.branch1.weight"),
        ("{T}res{K}_{i}_branch1_bn_{n}", "pathways.{T}.{K}.block{i}.branch1_bn.{n}"),
        ("{T}res{K}_{i}_branch2{c}_w", "pathways.{T}.{K}.block{i}.branch2.{c}.weight"),
        ("{T}res{K}_{i}_branch2{c}_bn_{n}", "pathways.{T}.{K}.block{i}.branch2.{c}_bn.{n}"),
        ("t_pool1_subsample_w", "fast_to_slow.pool1.conv_f2s.weight"),
        ("t_pool1_subsample_bn_{n}", "fast_to_slow.pool1.bn.{n}"),
        ("t_res{K}_{i}_branch2c_bn_subsample_w", "fast_to_slow.{K}.conv_f2s.weight"),
        ("t_res{K}_{i}_branch2c_bn_subsample_bn_{n}", "fast_to_slow.{K}.bn.{n}"),
        ("nonlocal_conv{K}_{i}_bn_{n}", "pathways.slow.{K}.nonlocal{i}.bn.{n}"),
        ("nonlocal_conv{K}_{i}_{g}_{w}", "pathways.slow.{K}.nonlocal{i}.conv_{g}.{w}"),
        ("pred_{w}", "head.projection.{w}"),
    ),
    {
        "T": {"": "slow", "t_": "fast"},
        "K": dict(zip("2345", _RES)),
        "c": "[abc]",
        "n": _NORM,
        "g": "theta|phi|g|out",
        "w": {"w": "weight", "b": "bias"},
    },
)

TORCHVISION = Format(
    "torchvision 2-D ResNet",
    r"layer1\.0\.conv1\.weight",
    (
        ("conv1.weight", "pathways.slow.pool1.conv.weight"),
        ("bn1.{rest}", "pathways.slow.pool1.bn.{rest}"),
        ("layer{K}.{i}.conv{c}.weight", "pathways.slow.{K}.block{i}.branch2.{c}.weight"),
        ("layer{K}.{i}.bn{c}.{rest}", "pathways.slow.{K}.block{i}.branch2.{c}_bn.{rest}"),
        ("layer{K}.{i}.downsample.0.weight", "pathways.slow.{K}.block{i}.branch1.weight"),
        ("layer{K}.{i}.downsample.1.{rest}", "pathways.slow.{K}.block{i}.branch1_bn.{rest}"),
        ("fc.{rest}", "head.projection.{rest}"),
    ),
    {"K": dict(zip("1234", _RES)), "c": dict(zip("123", "abc"))},
)

AVSLOWFAST = Format("avslowfast", r"pathways\.(slow|fast|audio)\.", (("{any}", "{any}"),), {"any": ".+"})

# The first whose mark is in a file counts: the authors' files have PySlowFast's as well.
FORMATS = (AVSLOWFAST, AUTHORS, PYSLOWFAST, *PYTORCHVIDEO.values(), CAFFE2, TORCHVISION)
WRITABLE = ("avslowfast", "pyslowfast", "pytorchvideo")


def find_format(names: Iterable[str], source: str | os.PathLike[str]) -> Format:
    """The format of a file, detected from the names of its tensors.

    Args:
        names: The names.
        source: The file, for messages.

    Raises:
        CheckpointError: No format has such names.
    """
    names = list(names)
    for fmt in FORMATS:
        mark = re.compile(fmt.marks)
        if any(mark.match(name) for name in names):
            return fmt
    known = "avslowfast, PySlowFast, AVSlowFast authors, PyTorchVideo, Caffe2, torchvision's 2-D ResNets"
    raise CheckpointError(
        f"{source}: unknown checkpoint format; its first tensor is '{in_words(names[0])}'. Known: {known}"
    )


# Networks whose files have the names of a known format and mean something else:
# (what they are, names of the tensors that show it, whether a tensor does).
_SHAPES: tuple[tuple[str, str, Callable[[torch.Tensor], bool]], ...] = (
    ("an X3D", r"(?:blocks\.0\.conv|s1\.pathway0_stem)\.conv_(?:t|xy)\.weight", lambda tensor: True),
    ("an R(2+1)D", r".*\.conv_b\.conv_(?:t|xy)\.weight", lambda tensor: True),
    (
        "a network of audio",
        r"(?:blocks\.0\.(?:multipathway_blocks\.\d\.)?conv(?:\.convs\.\d)?|s1\.pathway[01]_stem\.conv)\.weight",
        lambda tensor: tensor.dim() >= 4 and tensor.shape[1] == 1,
    ),
    (
        "a channel-separated network (CSN)",
        r"(?:blocks\.\d+\.res_blocks\.\d+\.branch2\.conv_b|s\d\.pathway\d_res\d+\.branch2\.b)\.weight",
        lambda tensor: tensor.dim() == 5 and tensor.shape[1] == 1 < tensor.shape[0],
    ),
)


def _refuse_other_networks(state: Weights, source: str | os.PathLike[str]) -> None:
    """Refuse networks that are named like those that are read; no configuration of this project is theirs.

    Raises:
        CheckpointError: It is one of them, which is named.
    """
    what = next(
        (
            family
            for family, names, shows in _SHAPES
            if any(re.fullmatch(names, name) and shows(tensor) for name, tensor in state.items())
        ),
        None,
    )
    stages = {name.split(".")[1] for name in state if re.match(r"blocks\.\d+\.res_blocks\.", name)}
    if what is None and "5" in stages and "2" not in stages:
        what = "a C2D or I3D of PyTorchVideo, whose pooling between res2 and res3 shifts the numbers of its stages"
    if what is not None:
        raise CheckpointError(
            f"{source}: it is {what}; this project does not have such a network. Take weights of a Slow, SlowFast, "
            "AVSlowFast or 2-D ResNet"
        )


def to_avslowfast(state: Weights, source: str | os.PathLike[str]) -> Translation:
    """A file's weights under this project's names.

    Args:
        state: The file's tensors by name.
        source: The file, for messages.

    Raises:
        CheckpointError: The format is unknown, or the network is one that this project does not have.
    """
    _refuse_other_networks(state, source)
    fmt = find_format(state, source)
    # A sub-BN that was saved in training has its running statistics in an inner layer; those of the splits are unused.
    if fmt in (PYSLOWFAST, AUTHORS):
        state = {re.sub(r"bn\.bn\.", "bn.", name): tensor for name, tensor in state.items()}
    return fmt.to_avslowfast(state)


def from_avslowfast(state: Weights, target: str, detection: bool = False) -> Weights:
    """This project's tensors under another project's names.

    Args:
        state: The tensors by this project's names.
        target: avslowfast | pyslowfast | pytorchvideo.
        detection: The network classifies boxes (PyTorchVideo names these differently).

    Raises:
        CheckpointError: The format has no place for some of the tensors; names the first.
    """
    has = {name: any(key.startswith(f"pathways.{name}.") for key in state) for name in ("slow", "fast", "audio")}
    if target == "pytorchvideo":
        return PYTORCHVIDEO[detection, has["fast"]].from_avslowfast(state)
    fmt = {"avslowfast": AVSLOWFAST, "pyslowfast": AUTHORS if has["audio"] else PYSLOWFAST}[target]
    return fmt.from_avslowfast(state)
