"""Names of other projects' checkpoints: one table a format, read in both directions.

A row pairs a name of theirs with one of ours. {P} is the pathway, {K} a residual stage, {L} a stage with a lateral connection; what
the other fields stand for is in the format's `fields`.
"""

import functools
import re
from dataclasses import dataclass, field

from .files import CheckpointError

_SLOWFAST = ("slow", "fast")
_RES = ("res2", "res3", "res4", "res5")
_NORM = {"s": "weight", "b": "bias", "rm": "running_mean", "riv": "running_var"}


@dataclass(frozen=True, eq=False)
class Format:
    """A family of checkpoints.

    Attributes:
        name: what reports call it.
        marks: expression that a name of such a file matches.
        rows: pairs (their name, our name) with fields in braces.
        fields: {field: {theirs: ours}}, or {field: expression} where both write the same.
        audio_5d: audio weights have axes of video, of length 1.
    """

    name: str
    marks: str
    rows: tuple
    fields: dict = field(default_factory=dict)
    audio_5d: bool = False

    def to_own(self, state):
        """A file's tensors under our names and in our shapes: a `Translation`."""
        result = Translation(self)
        for name, tensor in state.items():
            ours = self._translate(name, 0)
            if ours is None:
                result.unknown.append(name)
            else:
                result.tensors[ours] = _audio_squeezed(ours, tensor) if self.audio_5d else tensor
                result.origin[ours] = name
        return result

    def from_own(self, state):
        """Their names and shapes of this project's tensors.

        Raises:
            CheckpointError: the format has no place for some of them.
        """
        theirs, without = {}, []
        for name, tensor in state.items():
            other = self._translate(name, 1)
            if other is None:
                without.append(name)
            else:
                theirs[other] = _audio_unsqueezed(name, tensor) if self.audio_5d else tensor
        if without:
            raise CheckpointError(
                f"{self.name} has no place for {len(without)} of the {len(state)} tensors, the first: {without[0]}; convert to another format"
            )
        return theirs

    def _translate(self, name, side):
        for pair in self.rows:
            match = _expression(self, pair[side], side).fullmatch(name)
            if match:
                values = {key: self._value(key, text, side) for key, text in match.groupdict().items()}
                return pair[1 - side].format(**values)
        return None

    def _value(self, key, text, side):
        known = self.fields.get(key)
        if not isinstance(known, dict):
            return text
        return next(theirs for theirs, ours in known.items() if ours == text) if side else known[text]


@dataclass
class Translation:
    """A checkpoint in this project's terms: its format, its tensors by our names, their names by ours, the names without a place here."""

    format: Format
    tensors: dict = field(default_factory=dict)
    origin: dict = field(default_factory=dict)
    unknown: list = field(default_factory=list)


@functools.cache
def _expression(fmt, template, side):
    """What names of a row look like, with a group a field."""

    def group(match):
        key = match[1]
        known = fmt.fields.get(key, {"i": r"\d+", "rest": ".+"}.get(key))
        words = known if isinstance(known, str) else "|".join(map(re.escape, known.values() if side else known))
        return f"(?P<{key}>{words})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", group, re.escape(template)))


def _audio_squeezed(name, tensor):
    """Audio weights without the axes of video: [O, I, 1, T, F] -> [O, I, T, F]; of a lateral, [O, I, 1, T, 1] -> [O, I, T]."""
    if tensor.dim() == 5 and name.startswith("pathways.audio."):
        return tensor.squeeze(2)
    if tensor.dim() == 5 and _ENCODER.search(name):
        return tensor.squeeze(4).squeeze(2)
    return tensor


def _audio_unsqueezed(name, tensor):
    if tensor.dim() == 4 and name.startswith("pathways.audio."):
        return tensor.unsqueeze(2)
    if tensor.dim() == 3 and _ENCODER.search(name):
        return tensor.unsqueeze(2).unsqueeze(4)
    return tensor


_ENCODER = re.compile(r"\.encoder?\.conv\d+\.weight$")

_PYSLOWFAST_FIELDS = {
    "P": dict(zip("012", ("slow", "fast", "audio"))),
    "K": dict(zip("2345", _RES)),
    "L": dict(zip("1234", ("pool1", *_RES[:3]))),
    "S": dict(zip("12345", ("pool1", *_RES))),
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
        # At res5 no lateral exists; what stands there serves the synchronisation loss alone.
        ("s5_fuse.conv_f2s.{rest}", "sync_heads.res5.join_fast.conv_f2s.{rest}"),
        ("s5_fuse.bn_f2s.{rest}", "sync_heads.res5.join_fast.bn.{rest}"),
        ("s5_fuse.conv_a2fs_{i}.{rest}", "sync_heads.res5.encoder.conv{i}.{rest}"),
        ("s5_fuse.bn_a2fs_{i}.{rest}", "sync_heads.res5.encoder.bn{i}.{rest}"),
        ("s{S}_fuse.avs.{fc}_fc.{rest}", "sync_heads.{S}.{fc}_fc.{rest}"),
    ),
    {**_PYSLOWFAST_FIELDS, "fc": "ref|query"},
    audio_5d=True,
)


def _pytorchvideo(name, marks, prefix, pathway, of, head):
    """PyTorchVideo's names: `pathway` stands between a block's number and its layers, `of` is what it means here."""
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
            "L": dict(zip("0123", ("pool1", *_RES[:3]))),
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

# The first whose mark a file bears: the authors' files bear PySlowFast's as well.
FORMATS = (AVSLOWFAST, AUTHORS, PYSLOWFAST, *PYTORCHVIDEO.values(), CAFFE2, TORCHVISION)
WRITABLE = ("avslowfast", "pyslowfast", "pytorchvideo")


def find_format(names, source):
    """The format of a file, found out from its tensors' names.

    Raises:
        CheckpointError: none is known.
    """
    names = list(names)
    for fmt in FORMATS:
        mark = re.compile(fmt.marks)
        if any(mark.match(name) for name in names):
            return fmt
    known = "avslowfast, PySlowFast, AVSlowFast authors, PyTorchVideo, Caffe2, torchvision's 2-D ResNets"
    raise CheckpointError(f"{source}: unknown checkpoint format; its first tensor is '{names[0]}'. Known: {known}")


def to_own(state, source):
    """A file's weights in this project's terms: a `Translation`. Raises `CheckpointError` where no format is known."""
    fmt = find_format(state, source)
    # A sub-BN that was saved as it trained: its running statistics stand in an inner layer, those of the splits do not matter.
    if fmt in (PYSLOWFAST, AUTHORS):
        state = {re.sub(r"bn\.bn\.", "bn.", name): tensor for name, tensor in state.items()}
    return fmt.to_own(state)


def from_own(state, target, detection=False):
    """This project's tensors under another project's names.

    Args:
        target: avslowfast | pyslowfast | pytorchvideo.
        detection: the network classifies boxes (PyTorchVideo names these differently).

    Raises:
        CheckpointError: the format has no place for some of the tensors; names the first.
    """
    has = {name: any(key.startswith(f"pathways.{name}.") for key in state) for name in ("slow", "fast", "audio")}
    if target == "pytorchvideo":
        return PYTORCHVIDEO[detection, has["fast"]].from_own(state)
    fmt = {"avslowfast": AVSLOWFAST, "pyslowfast": AUTHORS if has["audio"] else PYSLOWFAST}[target]
    return fmt.from_own(state)
