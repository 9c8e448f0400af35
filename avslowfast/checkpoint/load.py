"""Weights of any supported checkpoint into a network, also of another kind, and the report of what became of each tensor."""

import re
from dataclasses import dataclass, field

import torch

from ..config.names import STAGES
from ..utils.logging import get_logger
from .files import CheckpointError, read_checkpoint, weights_of
from .released import to_own

logger = get_logger(__name__)

REQUIREMENTS = ("shared", "all", "none")

_COUNTER = ".num_batches_tracked"
# Slow's first convolutions of a stage, whose input Fast's features may have joined.
_JOINED = re.compile(r"pathways\.slow\.(res[2-5])\.block0\.(?:branch1|branch2\.a)\.weight")
_CLASSIFIER = re.compile(r"head\.projection(?:s\.\w+)?\.weight")
_BLOCK = re.compile(r"pathways\.(\w+)\.(res[2-5])\.block(\d+)\.branch2\.(\w+)\.")
_BASIC = {"a", "a_bn", "b", "b_bn"}


@dataclass
class LoadReport:
    """What became of the tensors of a checkpoint and of a network; lists of names, printed as a table by `str`.

    Attributes:
        source, format: the file and what it was found to be.
        loaded: the network's tensors that came from the file, those in `sliced` and `inflated` included.
        sliced: those of which input channels were cut off, or filled with zeros.
        inflated: those whose 2-D kernels were spread over time.
        missing: the network's tensors that the file does not have: fresh.
        mismatched: those that have another shape in the file: fresh as well.
        unexpected: the file's tensors that the network has no place for: unused.
        dropped: those of them that belong to a known part of a network, in this project's names.
        details: {name: what differs} of sliced and mismatched tensors.
        notes: what else was left out, in words.
    """

    source: str = ""
    format: str = ""
    loaded: list = field(default_factory=list)
    sliced: list = field(default_factory=list)
    inflated: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    mismatched: list = field(default_factory=list)
    unexpected: list = field(default_factory=list)
    dropped: list = field(default_factory=list)
    details: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)

    @property
    def fresh(self):
        """The network's tensors that keep the values they had."""
        return [*self.missing, *self.mismatched]

    @property
    def complete(self):
        """Every tensor of the file went as it is into the network, and the network has no other."""
        return not (self.fresh or self.unexpected or self.sliced or self.inflated)

    def __str__(self):
        kinds = (
            ("loaded", "", self.loaded),
            ("sliced", "input channels cut, or zeros put in; counted as loaded", self.sliced),
            ("inflated", "2-D kernels spread over time; counted as loaded", self.inflated),
            ("fresh", "not in the file", self.missing),
            ("fresh", "another shape in the file", self.mismatched),
            (
                "unused",
                "no place in the network",
                [*self.unexpected[: len(self.unexpected) - len(self.dropped)], *self.dropped],
            ),
        )
        lines = [f"{self.source} ({self.format})"]
        for kind, why, names in kinds:
            if names or kind == "loaded":
                lines.append(f"  {kind:<9}{len(names):4d} tensors{'  (' + why + ')' if why else ''}")
            if kind != "loaded":
                lines += [
                    f"    {count:4d}  {group}{self._detail(first)}" for group, (count, first) in _grouped(names).items()
                ]
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])

    def _detail(self, name):
        return f": {self.details[name]}" if name in self.details else ""


def _grouped(names):
    """{part of the network: (tensors, first name)}, in order."""
    groups = {}
    for name in names:
        group = ".".join(name.split(".")[:3]) if name.count(".") > 2 else name
        count, first = groups.get(group, (0, name))
        groups[group] = (count + 1, first)
    return groups


def load_weights(model, path):
    """Load the weights in a checkpoint file into a model, whatever supported format it has.

    A checkpoint of another kind gives what it can: what both have is loaded; where Fast joins Slow in one alone, Slow's input channels
    are cut or filled with zeros, and so are the classifier's where the pathways differ; a 2-D network is inflated over time; a classifier
    of other classes stays fresh.

    Args:
        model: the network (not wrapped for data parallelism).
        path: local path, or any that iopath opens.

    Returns:
        A `LoadReport`; print it. Nothing is dropped in silence.

    Raises:
        CheckpointError: no such file, not a checkpoint, a format that is not known, a network of another depth, or no tensor that fits.
    """
    return load_content(model, read_checkpoint(path), path)


def load_content(model, content, source):
    """As `load_weights`, from a checkpoint's content in memory."""
    state, notes = weights_of(content, source)
    found = to_own(state, source)
    own = model.state_dict()
    _check_depth(found.tensors, own, source)
    report = LoadReport(str(source), found.format.name, unexpected=found.unknown, notes=notes)
    fitting = _Fitting(model, found.tensors, report)
    fitted = {}
    for name, tensor in found.tensors.items():
        if name not in own:
            report.unexpected.append(found.origin[name])
            report.dropped.append(name)
            continue
        value = fitting.fit(name, tensor, own[name].shape)
        if value is None:
            report.mismatched.append(name)
            report.details[name] = f"{list(tensor.shape)} in the file, {list(own[name].shape)} in the network"
        else:
            fitted[name] = value
            report.loaded.append(name)
    if not fitted:
        raise CheckpointError(
            f"{source}: none of its {len(state)} tensors fits the model; is MODEL.ARCH or RESNET.WIDTH_PER_GROUP another one?"
        )
    report.missing = [name for name in own if name not in found.tensors]
    if not any(name.endswith(_COUNTER) for name in found.tensors):
        # Formats without batch norm's counters: nothing that this project computes depends on them.
        counters = [name for name in report.missing if name.endswith(_COUNTER)]
        report.missing = [name for name in report.missing if not name.endswith(_COUNTER)]
        report.notes += (
            [f"the file counts no batches ({len(counters)} counters stay as they are; no result depends on them)"]
            if counters
            else []
        )
    model.load_state_dict(fitted, strict=False)
    (logger.info if report.complete else logger.warning)("%s", report)
    return report


class _Fitting:
    """Brings a file's tensors to the shapes of a network.

    Args:
        model: the network. found: the file's tensors under this project's names. report: takes down what was done to them.
    """

    def __init__(self, model, found, report):
        self.model, self.found, self.report = model, found, report
        # A network without one kernel that spans time is a 2-D one, wherever it comes from.
        kernels = [
            t for n, t in found.items() if n.startswith(("pathways.slow.", "pathways.fast.")) and t.dim() in (4, 5)
        ]
        self.is_2d = bool(kernels) and all(t.dim() == 4 or t.shape[2] == 1 for t in kernels)

    def fit(self, name, tensor, shape):
        """The tensor in `shape`, or None where it does not go."""
        # Some formats write a linear layer as a convolution, or leave out an axis of length 1.
        if [n for n in tensor.shape if n != 1] == [n for n in shape if n != 1]:
            return tensor.reshape(shape)
        if self.is_2d and name.startswith("pathways.slow.") and len(shape) == 5:
            tensor = tensor.unsqueeze(2) if tensor.dim() == 4 else tensor
            if shape[2] > 1:
                # Divided by the number of instants, so that a still picture gives what it gave.
                tensor = tensor.expand(-1, -1, shape[2], -1, -1) / shape[2]
                self.report.inflated.append(name)
            if tensor.shape == shape:
                return tensor
        keep = self._input_layout(name, tensor, shape)
        if keep is None:
            return None
        value = torch.zeros(shape, dtype=tensor.dtype)
        for here, there in keep:
            value[:, here] = tensor[:, there]
        self.report.sliced.append(name)
        self.report.details[name] = f"{tensor.shape[1]} -> {shape[1]} input channels"
        return value

    def _input_layout(self, name, tensor, shape):
        """Where input channels of the file's tensor go: [(slice here, slice there)]; None where no such thing helps."""
        same = len(tensor.shape) == len(shape) and tensor.shape[0] == shape[0] and tensor.shape[2:] == shape[2:]
        match = _JOINED.fullmatch(name)
        if match and same:
            # Slow's own channels come first, those that joined it after.
            own = slice(0, self.model.pathways["slow"].channels[STAGES[STAGES.index(match[1]) - 1]])
            return [(own, own)] if min(tensor.shape[1], shape[1]) >= own.stop else None
        if _CLASSIFIER.fullmatch(name) and same:
            here, there = _columns(self.model.head.channels, shape[1]), _columns(self._file_channels(), tensor.shape[1])
            return [(here[p], there[p]) for p in here if p in there] if here and there else None
        return None

    def _file_channels(self):
        """{pathway: channels after res5} of the file's network."""
        channels = {}
        for name, tensor in self.found.items():
            match = re.fullmatch(r"pathways\.(\w+)\.res5\.block0\.branch1_bn\.weight", name)
            if match:
                channels[match[1]] = len(tensor)
        return {pathway: channels[pathway] for pathway in ("slow", "fast", "audio") if pathway in channels}


def _columns(channels, total):
    """The classifier's input columns of each pathway: {pathway: slice}; {} where the channels do not add up to `total`."""
    if sum(channels.values()) != total:
        # Audio features need not join the classifier.
        channels = {name: n for name, n in channels.items() if name != "audio"}
    columns, start = {}, 0
    for name, n in channels.items():
        columns[name] = slice(start, start + n)
        start += n
    return columns if start == total else {}


def _blocks(names):
    """{pathway: ({stage: blocks}, kind of block)} as tensor names tell it."""
    found = {}
    for name in names:
        match = _BLOCK.match(name)
        if match:
            pathway, stage, block, layer = match.groups()
            stages, layers = found.setdefault(pathway, ({}, set()))
            stages[stage] = max(stages.get(stage, 0), int(block) + 1)
            if stage == "res5":
                layers.add(layer)
    return found


def _check_depth(found, own, source):
    """Refuse a network of another depth: its blocks have the same names and other meanings."""
    theirs, ours = _blocks(found), _blocks(own)
    for pathway in [name for name in theirs if name in ours]:
        (a, layers_a), (b, layers_b) = theirs[pathway], ours[pathway]
        kind_a, kind_b = ("basic" if layers <= _BASIC else "bottleneck" for layers in (layers_a, layers_b))
        both_whole = layers_a and layers_b and pathway != "audio"
        if any(a[stage] != b[stage] for stage in a if stage in b) or (both_whole and kind_a != kind_b):
            raise CheckpointError(
                f"{source}: its {pathway} pathway has {'-'.join(map(str, a.values()))} {kind_a} blocks, the network has "
                f"{'-'.join(map(str, b.values()))} {kind_b} blocks: another depth; set RESNET.DEPTH (and RESNET.TRANS_FUNC) to the checkpoint's"
            )


def require(report, wanted):
    """Refuse a load that gave less than was wanted.

    Args:
        wanted: "shared": every part that file and network both have came over whole, the classifier apart; "all": the network's
            predictions depend on the file's weights alone, none of them changed or left over (synchronisation heads serve training only);
            "none": whatever fits; or prefixes of tensor names, joined by commas, whose tensors all came over.

    Raises:
        CheckpointError: names the first tensor and what to do.
    """
    if wanted == "none":
        return
    if wanted == "all":
        poor = [
            name
            for name in [*report.fresh, *report.sliced, *report.inflated, *report.dropped]
            if not name.startswith("sync_heads.")
        ]
        remedy = "use the configuration that it was trained with (MODEL.ARCH, MODEL.NUM_CLASSES, RESNET.DEPTH), or train the network further first"
    elif wanted == "shared":
        shared = {_part(name) for name in [*report.loaded, *report.mismatched]}
        poor = [name for name in report.fresh if _part(name) in shared and not name.startswith("head.")]
        remedy = "make the configuration agree with the checkpoint's, or set TRAIN.CHECKPOINT_REQUIRED none to start these fresh"
    else:
        prefixes = tuple(word.strip() for word in wanted.split(",") if word.strip())
        idle = [
            prefix
            for prefix in prefixes
            if not any(name.startswith(prefix) for name in [*report.loaded, *report.fresh])
        ]
        if idle:
            raise CheckpointError(
                f"TRAIN.CHECKPOINT_REQUIRED is {wanted!r}: the network has no tensor {idle[0]}...; use shared, all, none, or prefixes that exist"
            )
        poor = [name for name in report.fresh if name.startswith(prefixes)]
        remedy = "take a checkpoint that has them, or relax TRAIN.CHECKPOINT_REQUIRED"
    if poor:
        detail = f" ({report.details[poor[0]]})" if poor[0] in report.details else ""
        raise CheckpointError(
            f"{report.source}: {len(poor)} tensors of the network do not come from it as they should, the first {poor[0]}{detail}; {remedy}"
        )


def _part(name):
    """The part of a network that a tensor belongs to: a pathway's stage, a lateral, a head."""
    return ".".join(name.split(".")[: 3 if name.startswith("pathways.") else 2])
