"""Names of other projects' checkpoints: one table per format, read in both directions.

A row pairs a name of the other project with one of this project. {P} is the pathway, {K} a residual stage, {L} a stage
with a lateral connection; what the other fields stand for is in the format's `fields`.
"""

import functools
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import torch

from ..config.names import STAGES
from ..utils.logging import get_logger
from .files import CheckpointError, Weights
from .others import refuse_other_networks
from .unpickling import in_words

logger = get_logger(__name__)

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
        notes: What else was left out, in words.
    """

    format: Format
    tensors: Weights = field(default_factory=dict)
    origin: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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

_PYSLOWFAST_FIELDS: dict[str, str | Mapping[str, str]] = {
    "P": dict(zip("012", ("slow", "fast", "audio"))),
    "K": dict(zip("2345", _RES)),
    "L": dict(zip("1234", _LATERAL_STAGES)),
    "S": dict(zip("12345", STAGES)),
    "head": r"\w+",
}
_PYSLOWFAST_ROWS = (
    ("s1.pathway{P}_stem.{rest}", "pathways.{P}.pool1.{rest}"),
    ("s{K}.pathway{P}_res{i}.{rest}", "pathways.{P}.{K}.block{i}.{rest}"),
    ("s{K}.pathway{P}_nonlocal{i}.{rest}", "pathways.{P}.{K}.nonlocal{i}.{rest}"),
    ("s{L}_fuse.conv_f2s.{rest}", "fast_to_slow.{L}.conv_f2s.{rest}"),
    ("head.projection.{rest}", "head.projection.{rest}"),
    # Several classifiers, as the baseline of EPIC-Kitchens has them.
    ("head.projection_{head}.{rest}", "head.projections.{head}.{rest}"),
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


def _pytorchvideo(name: str, marks: str, pathway: str, of: str, head: str) -> Format:
    """A format of PyTorchVideo.

    Args:
        name: What reports call it.
        marks: Expression that a name of such a file matches.
        pathway: What stands between a block's number and its layers, with the field {P} for the pathway.
        of: The same pathway in this project's names.
        head: Name of the classifier.
    """
    stage, block = f"blocks.{{K}}.{pathway}res_blocks.{{i}}.", f"pathways.{of}.{{K}}.block{{i}}."
    return Format(
        name,
        marks,
        (
            (f"blocks.0.{pathway}conv.{{rest}}", f"pathways.{of}.pool1.conv.{{rest}}"),
            (f"blocks.0.{pathway}norm.{{rest}}", f"pathways.{of}.pool1.bn.{{rest}}"),
            (stage + "branch1_conv.{rest}", block + "branch1.{rest}"),
            (stage + "branch1_norm.{rest}", block + "branch1_bn.{rest}"),
            (stage + "branch2.conv_{c}.{rest}", block + "branch2.{c}.{rest}"),
            (stage + "branch2.norm_{c}.{rest}", block + "branch2.{c}_bn.{rest}"),
            ("blocks.{L}.multipathway_fusion.conv_fast_to_slow.{rest}", "fast_to_slow.{L}.conv_f2s.{rest}"),
            ("blocks.{L}.multipathway_fusion.norm.{rest}", "fast_to_slow.{L}.bn.{rest}"),
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
_DETECTION_HEAD = "detection_head"
PYTORCHVIDEO = {
    # {(detects boxes, has Fast): format}
    (False, False): _pytorchvideo("PyTorchVideo Slow", r"blocks\.\d+\.(res_blocks|conv)\.", *_SINGLE, "blocks.5.proj"),
    (False, True): _pytorchvideo("PyTorchVideo SlowFast", r"blocks\.\d+\.multipathway_", *_MULTI, "blocks.6.proj"),
    (True, False): _pytorchvideo(
        "PyTorchVideo Slow detection", r"blocks\.\d+\.(res_blocks|conv)\.", *_SINGLE, f"{_DETECTION_HEAD}.proj"
    ),
    (True, True): _pytorchvideo(
        "PyTorchVideo SlowFast detection", r"blocks\.\d+\.multipathway_", *_MULTI, f"{_DETECTION_HEAD}.proj"
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
        names: The names, without prefixes of wrappers.
        source: The file, for messages.

    Raises:
        CheckpointError: No format has such names.
    """
    names = list(names)
    detects = any(name.startswith(f"{_DETECTION_HEAD}.") for name in names)
    # With and without boxes PyTorchVideo's names are the same up to the head.
    others = [fmt for (boxes, _), fmt in PYTORCHVIDEO.items() if boxes != detects]
    for fmt in FORMATS:
        mark = re.compile(fmt.marks)
        if fmt not in others and any(mark.match(name) for name in names):
            return fmt
    known = "avslowfast, PySlowFast, AVSlowFast authors, PyTorchVideo, Caffe2, torchvision's 2-D ResNets"
    raise CheckpointError(
        f"{source}: unknown checkpoint format; its first tensor is '{in_words(names[0])}'. Known: {known}"
    )


# Prefixes that wrappers put before every name: data parallelism, compilation, modules that hold the network.
_WRAPPERS = re.compile(r"(?:(?:module|_orig_mod|model|backbone)\.)*")


def _unwrapped(state: Weights) -> Weights:
    """Tensors without the prefixes of wrappers.

    Self-supervised files have a second network or a queue besides the one that matters; these keep their names.
    """
    bare = {_WRAPPERS.sub("", name, count=1): tensor for name, tensor in state.items()}
    if len(bare) < len(state):
        return state
    # Whatever a module was called that held the whole network.
    holders = {name.partition(".")[0] for name in bare}
    if len(holders) == 1 and not _is_known(bare):
        inner = {name.partition(".")[2]: tensor for name, tensor in bare.items()}
        if _is_known(inner):
            logger.info("the names of the weights begin with '%s.', which is left out", *holders)
            return inner
    return bare


def _is_known(names: Iterable[str]) -> bool:
    """Whether names have the mark of any format."""
    marks = [re.compile(fmt.marks) for fmt in FORMATS]
    return any(mark.match(name) for name in names for mark in marks)


# Running statistics of the parts of a batch in sub-BN: PySlowFast's and this project's.
_OF_SPLITS = re.compile(r"(.+)\.(?:split_bn\..+|split_mean|split_var)")


def is_of_splits(name: str) -> bool:
    """Whether a tensor is a running statistic of the parts of a batch in sub-BN, see `models.norm.SubBatchNorm`.

    Args:
        name: Its name in any format.
    """
    return _OF_SPLITS.fullmatch(name) is not None


def _without_splits(state: Weights) -> tuple[Weights, list[str]]:
    """Plain batch norms in place of sub-BN.

    PySlowFast's has its weights, statistics of the whole batch in an inner layer `bn`, and those of the parts in
    `split_bn`.

    Args:
        state: A file's tensors by name.

    Returns:
        ({name: tensor}, notes): the notes say what was left out.
    """
    layers = {match[1] for match in map(_OF_SPLITS.fullmatch, state) if match}
    inner = {name.removesuffix(".running_mean") for name in state if name.endswith(".bn.running_mean")}
    inner = {name for name in inner if f"{name.removesuffix('.bn')}.weight" in state}
    plain: Weights = {}
    for name, tensor in state.items():
        layer, _, leaf = name.rpartition(".")
        if layer in inner:
            plain[f"{layer.removesuffix('.bn')}.{leaf}"] = tensor
        elif not is_of_splits(name):
            plain[name] = tensor
    for name in inner:
        plain.update(_joined_splits(state, name.removesuffix(".bn")))
    note = f"sub-BN in {len(layers)} layers: running statistics of parts of a batch left out, those of the whole kept"
    return plain, [note] if layers else []


def _joined_splits(state: Weights, layer: str) -> Weights:
    """Statistics of the whole out of those of the parts of PySlowFast's sub-BN, where these have seen batches.

    Joined there before each evaluation, so that those of the whole may be older.
    """
    channels = state[f"{layer}.weight"].numel()
    names = ("running_mean", "running_var", "num_batches_tracked")
    mean, var, count = (state.get(f"{layer}.split_bn.{name}", torch.zeros(0)) for name in names)
    if not (count.any() and channels and mean.shape == var.shape and mean.numel() % channels == 0):
        return {}
    mean, var = mean.view(-1, channels).double(), var.view(-1, channels).double()
    joined = (mean.mean(0), var.mean(0) + mean.var(0, correction=0))
    kind = state[f"{layer}.bn.running_mean"].dtype
    values = (*(tensor.to(kind) for tensor in joined), count)
    return {f"{layer}.{name}": value for name, value in zip(names, values)}


def to_avslowfast(state: Weights, source: str | os.PathLike[str]) -> Translation:
    """A file's weights under this project's names.

    Args:
        state: The file's tensors by name.
        source: The file, for messages.

    Raises:
        CheckpointError: The format is unknown, or the network is one that this project does not have.
    """
    state, notes = _without_splits(_unwrapped(state))
    if not any(re.match(AVSLOWFAST.marks, name) for name in state):
        refuse_other_networks(state, source)
    translation = find_format(state, source).to_avslowfast(state)
    translation.notes += notes
    return translation


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
    state, _ = _without_splits(state)
    if target == "pytorchvideo":
        theirs = PYTORCHVIDEO[detection, has["fast"]].from_avslowfast(state)
        # Its detection networks hold the backbone as a model of its own.
        return {f"model.{name}" if detection and name.startswith("blocks.") else name: t for name, t in theirs.items()}
    fmt = {"avslowfast": AVSLOWFAST, "pyslowfast": AUTHORS if has["audio"] else PYSLOWFAST}[target]
    return fmt.from_avslowfast(state)


def check_numbers(translation: Translation, weights: Collection[str], source: str | os.PathLike[str]) -> None:
    """Refuse whole numbers, truth values and complex numbers where a network has weights.

    Args:
        translation: The file's tensors.
        weights: Names of tensors that are weights.
        source: The file, for the message.

    Raises:
        CheckpointError: There are such numbers.
    """
    odd = [name for name, tensor in translation.tensors.items() if name in weights and not tensor.is_floating_point()]
    if odd:
        kind = str(translation.tensors[odd[0]].dtype).removeprefix("torch.")
        first = in_words(translation.origin[odd[0]])
        raise CheckpointError(
            f"{source}: {len(odd)} of its tensors are no weights but {kind}, the first {first}; "
            "take the file from before it was rounded or quantised"
        )
