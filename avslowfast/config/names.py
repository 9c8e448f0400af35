"""Names that configuration, data and models share: stages, architectures, and the registries that a YAML chooses from.

Entries that come with the package are written as "module:attribute", so that a name can be checked without importing
torch. A plugin adds entries with `@REGISTRY.register(name)`; see `plugins`.
"""

from dataclasses import dataclass
from typing import Any

from ..utils.registry import Registry

# The stages of a network, in order: after the stem, the four residual stages (the head is pool5 in the papers).
STAGES = ("pool1", "res2", "res3", "res4", "res5")

# The pathways of an architecture, in the order in which their features are joined.
ARCHITECTURES = {
    "slow": ("slow",),
    "slowfast": ("slow", "fast"),
    "avslowfast": ("slow", "fast", "audio"),
    "audio": ("audio",),
}


@dataclass(frozen=True)
class TaskFacts:
    """What a task needs from data and network, known without importing it.

    Attributes:
        labels: The labels of the lists are read.
        classifier: The network ends in a classifier of the data set's classes.
        boxes: Boxes are classified, not clips.
        trains: The network's weights are trained (a probe leaves them as they are).
        pretexts: Pretexts that are learnt in place of labels; () means those of PRETRAIN.TASKS, None means no pretexts.
    """

    labels: bool = True
    classifier: bool = True
    boxes: bool = False
    trains: bool = True
    pretexts: tuple[str, ...] | None = None


@dataclass(frozen=True)
class PretextFacts:
    """What a pretext needs, known without importing it.

    Attributes:
        outputs: Classes of its own classifier on pooled visual features; 0 for none.
        visual: It changes or classifies frames, so the network needs a visual pathway.
        synchronisation: It learns from the network's synchronisation heads.
    """

    outputs: int = 0
    visual: bool = True
    synchronisation: bool = False


PATHWAYS: Registry[Any] = Registry("pathway")
TRANSFORMS: Registry[Any] = Registry("residual block")
LATERALS: Registry[Any] = Registry("audio lateral")
HEADS: Registry[Any] = Registry("head")
DATASETS: Registry[Any] = Registry("data set")
TASKS: Registry[Any] = Registry(
    "task",
    facts={
        "classification": TaskFacts(),
        "detection": TaskFacts(boxes=True),
        "sync": TaskFacts(labels=False, classifier=False, pretexts=("avs",)),
        "pretrain": TaskFacts(labels=False, classifier=False, pretexts=()),
        "probe": TaskFacts(trains=False),
    },
    default_facts=TaskFacts(),
)
PRETEXTS: Registry[Any] = Registry(
    "pretext",
    facts={"avs": PretextFacts(visual=False, synchronisation=True), "rotation": PretextFacts(outputs=4)},
    default_facts=PretextFacts(),
)
# How a data set is scored, by the name of the data set; the others are scored as "classification" (labels) or "sync"
# (pretexts).
PROTOCOLS: Registry[Any] = Registry("protocol")
# Further metrics that TEST.METRICS names.
METRICS: Registry[Any] = Registry("metric")
LOGGERS: Registry[Any] = Registry(
    "logger", builtin={"tensorboard": "avslowfast.visualization.tensorboard:TensorBoardLogger"}
)
