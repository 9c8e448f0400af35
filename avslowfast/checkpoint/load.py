"""Weights of any supported checkpoint into a network, also of another kind, with a report on every tensor."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import torch

from ..config.names import STAGES
from ..models.network import Network
from ..models.pathways import Pathway
from ..utils.logging import get_logger
from .files import CheckpointError, read_checkpoint, Weights, weights_of
from .others import other_network
from .released import AVSLOWFAST, check_numbers, is_of_splits, to_avslowfast, TORCHVISION, Translation
from .unpickling import in_words

logger = get_logger(__name__)

_COUNTER = ".num_batches_tracked"
# Slow's first convolutions of a stage, whose input Fast's features may have joined.
_JOINED = re.compile(r"pathways\.slow\.(res[2-5])\.block0\.(?:branch1|branch2\.a)\.weight")
_CLASSIFIER = re.compile(r"head\.projection(?:s\.\w+)?\.weight")
_BLOCK = re.compile(r"pathways\.(\w+)\.(res[2-5])\.block(\d+)\.branch2\.(\w+)\.")
_BASIC = {"a", "a_bn", "b", "b_bn"}
# The kernels that tell Slow from I3D (5 frames in the stem) and from C2D (1 frame in res5).
_STEM, _LATE = "pathways.slow.pool1.conv.weight", "pathways.slow.res5.block0.branch2.a.weight"
# 2-D networks with the classes of ImageNet are there to be inflated.
_IMAGENET = 1000
_OWN_BLOCK = re.compile(r"pathways\.\w+\.res\d\.block\d+\.")
# What the names of tensors inside residual blocks have, in any format.
_INSIDE_BLOCK = re.compile(
    r"(?:^|\.)layer\d\.\d+\.|res_blocks\.\d+\.|pathway\d_res\d+\.|\.block\d+\.|(?:^|_)res\d_\d+_"
)
_RES5_WIDTH = re.compile(r"pathways\.(\w+)\.res5\.block0\.branch1_bn\.weight")


@dataclass(repr=False)
class LoadReport:
    """What became of the tensors of a checkpoint and of a network, in lists of names; `str` prints a table.

    Attributes:
        source: The file.
        format: The format that was detected.
        loaded: The network's tensors that came from the file, those in `sliced` and `inflated` included.
        sliced: Of these, tensors whose input channels were cut, or filled with zeros.
        inflated: Of these, tensors whose 2-D kernels were spread over time.
        missing: The network's tensors that the file does not have; they keep their values.
        mismatched: The network's tensors that have another shape in the file; they keep their values.
        unexpected: The file's tensors that the network has no place for; they are unused.
        dropped: Of these, tensors that belong to a known part of a network, in this project's names.
        foreign: Of the unexpected ones, those inside residual blocks: the file's blocks compute something else.
        not_finite: The network's tensors that came from the file with NaN or infinite values.
        details: {name: difference} of sliced and mismatched tensors.
        notes: What else was left out, in words.
    """

    source: str = ""
    format: str = ""
    loaded: list[str] = field(default_factory=list)
    sliced: list[str] = field(default_factory=list)
    inflated: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    not_finite: list[str] = field(default_factory=list)
    details: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def fresh(self) -> list[str]:
        """The network's tensors that keep the values they had."""
        return [*self.missing, *self.mismatched]

    @property
    def unknown(self) -> list[str]:
        """Of the unexpected ones, those that no known network of this format has."""
        return self.unexpected[: len(self.unexpected) - len(self.dropped)]

    @property
    def complete(self) -> bool:
        """Every tensor of the file was loaded unchanged, and the network has no other."""
        return not (self.fresh or self.unexpected or self.sliced or self.inflated)

    def __repr__(self) -> str:
        counts = f"{len(self.loaded)} loaded, {len(self.fresh)} fresh, {len(self.unexpected)} unused"
        return f"LoadReport({self.source!r}, {self.format}: {counts})"

    def __str__(self) -> str:
        unused = [*self.unknown, *self.dropped]
        kinds = (
            ("loaded", "", self.loaded),
            ("sliced", "input channels cut, or zeros put in; counted as loaded", self.sliced),
            ("inflated", "2-D kernels spread over time; counted as loaded", self.inflated),
            ("fresh", "not in the file", self.missing),
            ("fresh", "another shape in the file", self.mismatched),
            ("unused", "no place in the network", unused),
            ("NaN", "or infinite values in them: scores will make no sense", self.not_finite),
        )
        lines = [f"{self.source} (format {self.format})"]
        for kind, why, names in kinds:
            if names or kind == "loaded":
                lines.append(f"  {kind:<9}{len(names):4d} tensors{'  (' + why + ')' if why else ''}")
            if kind != "loaded":
                groups = _grouped(names)
                lines += [f"    {count:4d}  {group}{self._detail(first)}" for group, (count, first) in groups.items()]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _detail(self, name: str) -> str:
        return f": {self.details[name]}" if name in self.details else ""


def _grouped(names: Iterable[str]) -> dict[str, tuple[int, str]]:
    """{part of the network: (number of tensors, first name)}, in order."""
    groups: dict[str, tuple[int, str]] = {}
    for name in names:
        group = ".".join(name.split(".")[:3]) if name.count(".") > 2 else name
        count, first = groups.get(group, (0, name))
        groups[group] = (count + 1, first)
    return groups


def load_weights(model: Network, path: str | os.PathLike[str]) -> LoadReport:
    """Load the weights in a checkpoint file of any supported format into a model.

    A checkpoint of another kind gives what it can: what both have is loaded. Where Fast joins Slow in one of the two
    alone, Slow's input channels are cut or filled with zeros, and so are the classifier's where the pathways differ. A
    2-D network is inflated over time. A classifier of other classes keeps its values.

    Args:
        model: The network (not wrapped for data parallelism).
        path: Local path, or any that iopath opens.

    Returns:
        The report, to be printed: every tensor of file and network is counted in it.

    Raises:
        CheckpointError: No such file, not a checkpoint, an unknown format, another depth, whole numbers in place of
            weights, or no tensor that fits.
    """
    return load_content(model, read_checkpoint(path), path)


def load_content(model: Network, content: Any, source: str | os.PathLike[str]) -> LoadReport:
    """As `load_weights`, from a checkpoint's content in memory.

    Args:
        model: The network.
        content: From `read_checkpoint`.
        source: The file, for the report and for messages.
    """
    state, notes = weights_of(content, source)
    translation = to_avslowfast(state, source)
    # Sub-BN's statistics of parts of a batch begin with those of the whole.
    expected = {name: tensor for name, tensor in model.state_dict().items() if not is_of_splits(name)}
    notes = [*notes, *translation.notes]
    report = LoadReport(str(source), translation.format.name, unexpected=translation.unknown, notes=notes)
    fitting = _Fitting(model, translation.tensors, report)
    _check_kind(translation, expected, fitting.is_2d, source)
    _check_depth(translation.tensors, expected, source)
    check_numbers(translation, {name for name, tensor in expected.items() if tensor.is_floating_point()}, source)
    fitted: Weights = {}
    for name, tensor in translation.tensors.items():
        if name not in expected:
            report.unexpected.append(translation.origin[name])
            report.dropped.append(name)
            continue
        value = fitting.fit(name, tensor, expected[name].shape)
        if value is None:
            report.mismatched.append(name)
            shapes = f"{list(tensor.shape)} in the file, {list(expected[name].shape)} in the network"
            report.details[name] = shapes
        else:
            fitted[name] = value
            report.loaded.append(name)
    if not fitted:
        raise CheckpointError(
            f"{source}: none of its {len(state)} tensors fits the model; check MODEL.ARCH and RESNET.WIDTH_PER_GROUP"
        )
    report.missing = [name for name in expected if name not in translation.tensors]
    if not any(name.endswith(_COUNTER) for name in translation.tensors):
        # Some formats lack batch norm's counters; nothing that this project computes depends on them.
        counters = [name for name in report.missing if name.endswith(_COUNTER)]
        report.missing = [name for name in report.missing if not name.endswith(_COUNTER)]
        if counters:
            note = f"the file counts no batches ({len(counters)} counters stay as they are; no result depends on them)"
            report.notes.append(note)
    report.foreign = _foreign(report, translation, expected)
    model.load_state_dict(fitted, strict=False)
    loaded = model.state_dict()
    report.not_finite = [name for name in report.loaded if not bool(torch.isfinite(loaded[name]).all())]
    (logger.info if report.complete and not report.not_finite else logger.warning)("%s", report)
    return report


def _foreign(report: LoadReport, translation: Translation, expected: Weights) -> list[str]:
    """See `LoadReport.foreign`. Of blocks that are not loaded whole the fresh tensors say more."""

    def blocks(names: Iterable[str]) -> set[str]:
        return {match[0] for match in map(_OWN_BLOCK.match, names) if match}

    whole = blocks(expected) - blocks(report.fresh)
    extra = [translation.origin[name] for name in report.dropped if blocks([name]) & whole]
    return [name for name in report.unknown if _INSIDE_BLOCK.search(name)] + extra


class _Fitting:
    """Brings a file's tensors to the shapes of a network.

    Args:
        model: The network.
        tensors: The file's tensors under this project's names.
        report: Records what was done to them.
    """

    def __init__(self, model: Network, tensors: Weights, report: LoadReport) -> None:
        self.model, self.tensors, self.report = model, tensors, report
        # A network without any kernel that spans time is a 2-D one, whatever project it comes from.
        kernels = [
            tensor
            for name, tensor in tensors.items()
            if name.startswith(("pathways.slow.", "pathways.fast.")) and tensor.dim() in (4, 5)
        ]
        self.is_2d = bool(kernels) and all(t.dim() == 4 or t.shape[2] == 1 for t in kernels)

    def fit(self, name: str, tensor: torch.Tensor, shape: torch.Size) -> torch.Tensor | None:
        """The tensor in a shape of the network, or None where it does not fit.

        Args:
            name: Its name in this project.
            tensor: As in the file.
            shape: As in the network.
        """
        # Some formats write a linear layer as a convolution, or leave out an axis of length 1.
        if [n for n in tensor.shape if n != 1] == [n for n in shape if n != 1]:
            return tensor.reshape(shape)
        if self.is_2d and name.startswith("pathways.slow.") and len(shape) == 5:
            tensor = tensor.unsqueeze(2) if tensor.dim() == 4 else tensor
            if shape[2] > 1:
                # Divided by the kernel's length, so that a clip of identical frames gives the image's features.
                tensor = tensor.expand(-1, -1, shape[2], -1, -1) / shape[2]
                self.report.inflated.append(name)
            if tensor.shape == shape:
                return tensor
        keep = self._input_layout(name, tensor, shape)
        if not keep:
            return None
        value = torch.zeros(shape, dtype=tensor.dtype)
        for ours, theirs in keep:
            value[:, ours] = tensor[:, theirs]
        self.report.sliced.append(name)
        self.report.details[name] = f"{tensor.shape[1]} -> {shape[1]} input channels"
        return value

    def _input_layout(self, name: str, tensor: torch.Tensor, shape: torch.Size) -> list[tuple[slice, slice]]:
        """Where input channels go: [(slice of the network's tensor, slice of the file's)]; [] for nowhere."""
        same = len(tensor.shape) == len(shape) and tensor.shape[0] == shape[0] and tensor.shape[2:] == shape[2:]
        match = _JOINED.fullmatch(name)
        if match and same:
            # Slow's channels come first, those of Fast that joined them after.
            slow = cast(Pathway, self.model.pathways["slow"])
            count = slow.channels[STAGES[STAGES.index(match[1]) - 1]]
            return [(slice(0, count), slice(0, count))] if min(tensor.shape[1], shape[1]) >= count else []
        if _CLASSIFIER.fullmatch(name) and same:
            ours = _columns(self.model.head.channels, shape[1])
            theirs = _columns(self._file_channels(), tensor.shape[1])
            return [(ours[p], theirs[p]) for p in ours if p in theirs]
        return []

    def _file_channels(self) -> dict[str, int]:
        """{pathway: channels after res5} of the file's network."""
        channels = {}
        for name, tensor in self.tensors.items():
            match = _RES5_WIDTH.fullmatch(name)
            if match:
                channels[match[1]] = len(tensor)
        return {pathway: channels[pathway] for pathway in ("slow", "fast", "audio") if pathway in channels}


def _columns(channels: Mapping[str, int], total: int) -> dict[str, slice]:
    """The classifier's input columns: {pathway: slice}; {} where the channels do not add up to `total`."""
    if sum(channels.values()) != total:
        # Audio features need not join the classifier.
        channels = {name: n for name, n in channels.items() if name != "audio"}
    columns, start = {}, 0
    for name, n in channels.items():
        columns[name] = slice(start, start + n)
        start += n
    return columns if start == total else {}


@dataclass
class _Blocks:
    """Residual blocks of a pathway.

    Attributes:
        counts: {stage: number of blocks}.
        layers: Names of the layers of a block in res5.
    """

    counts: dict[str, int] = field(default_factory=dict)
    layers: set[str] = field(default_factory=set)

    @property
    def kind(self) -> str:
        """Basic | bottleneck."""
        return "basic" if self.layers <= _BASIC else "bottleneck"

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.counts.values()))} {self.kind} blocks"


def _blocks(names: Iterable[str]) -> dict[str, _Blocks]:
    """{pathway: its residual blocks}, from the names of tensors."""
    pathways: dict[str, _Blocks] = {}
    for name in names:
        match = _BLOCK.match(name)
        if match:
            pathway, stage, block, layer = match.groups()
            blocks = pathways.setdefault(pathway, _Blocks())
            blocks.counts[stage] = max(blocks.counts.get(stage, 0), int(block) + 1)
            if stage == "res5":
                blocks.layers.add(layer)
    return pathways


def _check_depth(tensors: Iterable[str], expected: Iterable[str], source: str | os.PathLike[str]) -> None:
    """Refuse a network of another depth: its blocks have the same names and other meanings.

    Args:
        tensors: Names in the file, in this project's terms.
        expected: Names in the network.
        source: The file, for the message.
    """
    theirs, ours = _blocks(tensors), _blocks(expected)
    for pathway in [name for name in theirs if name in ours]:
        a, b = theirs[pathway], ours[pathway]
        both_whole = a.layers and b.layers and pathway != "audio"
        if any(a.counts[s] != b.counts[s] for s in a.counts if s in b.counts) or (both_whole and a.kind != b.kind):
            raise CheckpointError(
                f"{source}: its {pathway} pathway has {a}, the network has {b}: another depth; set RESNET.DEPTH (and "
                "RESNET.TRANS_FUNC) to the checkpoint's"
            )


def _check_kind(translation: Translation, expected: Weights, is_2d: bool, source: str | os.PathLike[str]) -> None:
    """Refuse networks that differ from Slow by their temporal kernels alone; they have its names.

    Args:
        translation: The file's tensors.
        expected: The network's.
        is_2d: No kernel of the file spans time.
        source: The file, for the message.

    Raises:
        CheckpointError: It is an I3D or a C2D.
    """
    tensors = translation.tensors

    def lengths(name: str) -> tuple[int, int]:
        """Frames that a kernel spans in file and network; equal where one of them is missing."""
        pair = [t for t in (tensors.get(name), expected.get(name)) if t is not None and t.dim() == 5]
        return (pair[0].shape[2], pair[1].shape[2]) if len(pair) == 2 else (1, 1)

    if translation.format in (AVSLOWFAST, TORCHVISION):
        return
    theirs, ours = lengths(_STEM)
    if theirs > ours:
        raise other_network(f"an I3D, whose first convolution spans {theirs} frames", source)
    theirs, ours = lengths(_LATE)
    classes = tensors.get("head.projection.weight")
    if is_2d and theirs < ours and classes is not None and len(classes) != _IMAGENET:
        raise other_network("a C2D, of which no kernel spans time", source)


def require(report: LoadReport, wanted: str) -> None:
    """Refuse a load that gave less than was wanted.

    Args:
        report: From `load_weights`.
        wanted: "shared": every part that file and network both have was loaded whole, except for the classifier. "all":
            the network's predictions depend on the file's weights alone, none of them changed or left over
            (synchronisation heads serve training only). "none": whatever fits. Or prefixes of tensor names, joined by
            commas, whose tensors were all loaded.

    Raises:
        CheckpointError: Names the first tensor that is missing, and what to do.
    """
    if wanted == "none":
        return
    if report.foreign and wanted in ("all", "shared"):
        raise CheckpointError(
            f"{report.source}: {len(report.foreign)} tensors inside its residual blocks have no place in the network, "
            f"the first {in_words(report.foreign[0])}: its blocks are of another kind; take a checkpoint of a plain "
            "ResNet, or the configuration that it was trained with (MODEL.ARCH, RESNET)"
        )
    if report.inflated and wanted == "all":
        raise CheckpointError(
            f"{report.source}: it is a 2-D network, {len(report.inflated)} kernels of which were spread over time to "
            "start a training; train the network from it first (TRAIN.CHECKPOINT_FILE_PATH)"
        )
    if wanted == "all":
        changed = [*report.fresh, *report.sliced, *report.inflated, *report.dropped]
        poor = [name for name in changed if not name.startswith("sync_heads.")]
        remedy = (
            "use the configuration that it was trained with (MODEL.ARCH, MODEL.NUM_CLASSES, RESNET.DEPTH), or train "
            "the network further first"
        )
    elif wanted == "shared":
        shared = {_part(name) for name in [*report.loaded, *report.mismatched]}
        poor = [name for name in report.fresh if _part(name) in shared and not name.startswith("head.")]
        remedy = (
            "set the configuration to the checkpoint's, or set TRAIN.CHECKPOINT_REQUIRED none to start these from "
            "random weights"
        )
    else:
        prefixes = tuple(word.strip() for word in wanted.split(",") if word.strip())
        names = [*report.loaded, *report.fresh]
        idle = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in names)]
        if idle:
            raise CheckpointError(
                f"TRAIN.CHECKPOINT_REQUIRED is {wanted!r}: the network has no tensor {idle[0]}...; use shared, all, "
                "none, or prefixes that exist"
            )
        poor = [name for name in report.fresh if name.startswith(prefixes)]
        remedy = "take a checkpoint that has them, or relax TRAIN.CHECKPOINT_REQUIRED"
    if poor:
        detail = f" ({report.details[poor[0]]})" if poor[0] in report.details else ""
        raise CheckpointError(
            f"{report.source}: {len(poor)} tensors of the network do not come from it as they should, the first "
            f"{poor[0]}{detail}; {remedy}"
        )


def _part(name: str) -> str:
    """The part of a network that a tensor belongs to: a pathway's stage, a lateral, a head."""
    return ".".join(name.split(".")[: 3 if name.startswith("pathways.") else 2])
