"""Names that configuration, data and models share: stages, architectures, and the registries that a YAML chooses from.

Entries that come with the package are written as "module:attribute", so that a name can be checked without importing
torch. A plugin adds entries with `@REGISTRY.register(name)`; see `plugins`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..utils.registry import Registry

# The stages of a network, in order: after the stem, the four residual stages (the head is pool5 in the papers).
STAGES = ("pool1", "res2", "res3", "res4", "res5")

# Residual blocks of res2, res3, res4, res5 by the depth of the ResNet.
NUM_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

# Classes of networks by their names in PySlowFast, with the architectures that they build.
NETWORK_CLASSES: Registry[tuple[str, ...]] = Registry(
    "network class",
    builtin={
        "ResNet": ("slow",),
        "SlowFast": ("slowfast",),
        "AVSlowFast": ("avslowfast",),
        "PTVResNet": ("slow",),
        "PTVSlowFast": ("slowfast",),
    },
)

# The pathways of an architecture, in the order in which their features are joined.
ARCHITECTURES: Registry[tuple[str, ...]] = Registry(
    "architecture",
    builtin={
        "slow": ("slow",),
        "slowfast": ("slow", "fast"),
        "avslowfast": ("slow", "fast", "audio"),
        "audio": ("audio",),
    },
)


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


@dataclass(frozen=True)
class BlockFacts:
    """Where a kind of residual block can be used, known without importing it.

    Attributes:
        depths: Depths of visual networks that are made of it (RESNET.DEPTH).
    """

    depths: tuple[int, ...] = (18, 34, 50, 101, 152)


@dataclass(frozen=True)
class LateralFacts:
    """What a kind of audio lateral joins, known without importing it.

    Attributes:
        target: Visual pathway that audio is added to: slow | fast (whose features then reach Slow through F->S).
        keeps_audio_time: What it encodes keeps audio's time steps; otherwise it has the time steps of the target.
    """

    target: str = "slow"
    keeps_audio_time: bool = False


@dataclass(frozen=True)
class DatasetFacts:
    """How the clips of a data set are cut, known without importing its reader.

    Attributes:
        keys: {dotted key: value} of the configuration where nothing sets the key.
        whole_frames: Clips begin on whole frames at DATA.TARGET_FPS and take the time from their first frame to their
            last one, as PySlowFast counts lists of frames.
        takes_list: Its reader reads `Source.list_file` in place of the test split's own file (TEST.LIST).
    """

    keys: Mapping[str, Any] = field(default_factory=dict)
    whole_frames: bool = False
    takes_list: bool = False


@dataclass(frozen=True)
class Metric:
    """What a metric is called and how its values compare, known without importing what computes it.

    Attributes:
        name: Its key in results and logs.
        label: What it is called in tables.
        unit: Of its values, e.g. "%" or "ms"; "" without one.
        better: Whether a higher or a lower value is better; of signed values the one nearer to zero is lower.
    """

    name: str
    label: str
    unit: str = "%"
    better: Literal["higher", "lower"] = "higher"

    @property
    def title(self) -> str:
        """Label and unit, for tables and axes."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def rank(self, value: float) -> float:
        """A number that is higher for a better value."""
        return value if self.better == "higher" else -abs(value)

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value is as good as the best one so far (None: there is none) or better; NaN never is.

        Of equally good epochs the later one counts: it has learnt more.
        """
        if math.isnan(value):
            return False
        if best is None or math.isnan(best):
            return True
        return self.rank(value) >= self.rank(best)


PATHWAYS: Registry[Any] = Registry(
    "pathway",
    builtin={
        "slow": "avslowfast.models.pathways:SlowPathway",
        "fast": "avslowfast.models.pathways:FastPathway",
        "audio": "avslowfast.models.pathways:AudioPathway",
    },
)
TRANSFORMS: Registry[Any] = Registry(
    "residual block",
    builtin={
        "bottleneck_transform": "avslowfast.models.blocks:Bottleneck",
        "basic_transform": "avslowfast.models.blocks:Basic",
        "tf_bottleneck_transform_v1": "avslowfast.models.blocks:TimeFrequencyV1",
        "tf_bottleneck_transform_v2": "avslowfast.models.blocks:TimeFrequencyV2",
    },
    facts={
        "bottleneck_transform": BlockFacts((50, 101, 152)),
        "basic_transform": BlockFacts((18, 34)),
        "tf_bottleneck_transform_v1": BlockFacts(()),
        "tf_bottleneck_transform_v2": BlockFacts(()),
    },
    default_facts=BlockFacts(),
)
LATERALS: Registry[Any] = Registry(
    "audio lateral",
    builtin={
        "a2fs": "avslowfast.models.laterals.a2fs:AudioToFastSlow",
        "a2f2s": "avslowfast.models.laterals.a2f2s:AudioToFastToSlow",
        "av_nonlocal": "avslowfast.models.laterals.av_nonlocal:AudiovisualNonLocal",
    },
    facts={"a2f2s": LateralFacts(target="fast"), "av_nonlocal": LateralFacts(keeps_audio_time=True)},
    default_facts=LateralFacts(),
)
HEADS: Registry[Any] = Registry(
    "head",
    builtin={
        "single": "avslowfast.models.heads:SingleHead",
        "multi": "avslowfast.models.heads:MultiHead",
        "roi": "avslowfast.models.heads:RoIHead",
        "pretext": "avslowfast.models.heads:PretextHead",
    },
)
# Readers of label files: functions `read(source, split) -> Listing`, see `avslowfast.datasets.base`.
DATASETS: Registry[Any] = Registry(
    "data set",
    builtin={
        "kinetics": "avslowfast.datasets.kinetics:read",
        "kinetics_sounds": "avslowfast.datasets.kinetics_sounds:read",
        "vggsound": "avslowfast.datasets.vggsound:read",
        "ave": "avslowfast.datasets.ave:read",
        "ucf101": "avslowfast.datasets.ucf101:read",
        "hmdb51": "avslowfast.datasets.hmdb51:read",
        "epic55": "avslowfast.datasets.epic:read_55",
        "epic100": "avslowfast.datasets.epic:read_100",
        "charades": "avslowfast.datasets.charades:read",
        "ava": "avslowfast.datasets.ava:read",
    },
    facts={
        **{
            name: DatasetFacts(takes_list=True)
            for name in ("kinetics", "kinetics_sounds", "vggsound", "ave", "ucf101", "epic55", "epic100")
        },
        # PySlowFast's reader counts the frames of its lists, 24 a second, and shows the end of the video in the test.
        "charades": DatasetFacts(
            {"DATA.TARGET_FPS": 24, "DATA.USE_OFFSET_SAMPLING": True}, whole_frames=True, takes_list=True
        ),
    },
    default_facts=DatasetFacts(),
)
TASKS: Registry[Any] = Registry(
    "task",
    builtin={
        "classification": "avslowfast.tasks.classification:ClassificationTask",
        "detection": "avslowfast.tasks.detection:DetectionTask",
        "sync": "avslowfast.tasks.pretext:PretextTask",
        "pretrain": "avslowfast.tasks.pretext:PretextTask",
        "probe": "avslowfast.tasks.features:FeatureTask",
    },
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
    builtin={
        "avs": "avslowfast.tasks.pretexts.avs:AvsPretext",
        "rotation": "avslowfast.tasks.pretexts.rotation:RotationPretext",
    },
    facts={"avs": PretextFacts(visual=False, synchronisation=True), "rotation": PretextFacts(outputs=4)},
    default_facts=PretextFacts(),
)
# How a data set is scored, by the name of the data set; the others are scored as "classification" (labels) or "sync"
# (pretexts).
PROTOCOLS: Registry[Any] = Registry(
    "protocol",
    builtin={
        "classification": "avslowfast.evaluation.protocols.classification:ClassificationProtocol",
        "sync": "avslowfast.evaluation.protocols.sync:SyncProtocol",
        "charades": "avslowfast.evaluation.protocols.charades:CharadesProtocol",
        "epic55": "avslowfast.evaluation.protocols.epic:Epic55Protocol",
        "epic100": "avslowfast.evaluation.protocols.epic:Epic100Protocol",
        "ava": "avslowfast.evaluation.protocols.ava:AvaProtocol",
    },
)
# Further metrics that TEST.METRICS names: functions of the scores of one classifier and their labels.
METRICS: Registry[Any] = Registry(
    "metric",
    builtin={
        "top1": "avslowfast.evaluation.further:top1",
        "top5": "avslowfast.evaluation.further:top5",
        "argmax_accuracy": "avslowfast.evaluation.further:argmax_accuracy",
        "mean_class_accuracy": "avslowfast.evaluation.further:mean_class_accuracy",
        "map": "avslowfast.evaluation.further:mean_average_precision",
    },
    facts={
        "top1": Metric("top1", "top-1 accuracy"),
        "top5": Metric("top5", "top-5 accuracy"),
        "argmax_accuracy": Metric("argmax_accuracy", "accuracy of the argmax"),
        "mean_class_accuracy": Metric("mean_class_accuracy", "mean class accuracy"),
        "map": Metric("map", "mAP"),
    },
)
# Facts of a logger: (package that it needs and that not everybody has, what pip has to install), or None.
LOGGERS: Registry[Any] = Registry(
    "logger",
    builtin={
        "json": "avslowfast.watching.files:JsonLogger",
        "csv": "avslowfast.watching.files:CsvLogger",
        "tensorboard": "avslowfast.visualization.tensorboard:TensorBoardLogger",
        "wandb": "avslowfast.watching.wandb:WandbLogger",
        "mlflow": "avslowfast.watching.mlflow:MlflowLogger",
    },
    facts={"wandb": ("wandb", "avslowfast[watch]"), "mlflow": ("mlflow", "avslowfast[watch]")},
)
