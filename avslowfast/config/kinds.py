"""What a change of a configuration key means for a run that has begun: another run, another recipe, or nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .derived import Cfg
from .errors import ConfigError, value_of
from .pyslowfast import translated
from .ranges import shown
from .reading import read_yaml
from .table import TABLE

# identity: network, data, classes or labels; with another value it is another run. recipe: how the network is trained;
# may change from one part of a run to the next, and is said. harmless: where and how fast it runs, what is logged and
# tested.
Kind = Literal["identity", "recipe", "harmless"]

# By key, or by node for the keys of a node that are not listed. What decides which records a list has is harmless here:
# the lists are compared themselves, and may lie elsewhere.
_KINDS: dict[str, Kind] = {
    "TASK": "identity",
    "PLUGINS": "harmless",
    "BN": "recipe",
    "BN.NORM_TYPE": "identity",
    "BN.AUDIO_NORM_TYPE": "identity",
    "BN.NUM_SPLITS": "identity",
    "BN.EPSILON": "identity",
    "TRAIN": "harmless",
    "TRAIN.DATASET": "identity",
    "TRAIN.BATCH_SIZE": "recipe",
    "TRAIN.ACCUMULATION_STEPS": "recipe",
    "TRAIN.MIXED_PRECISION": "recipe",
    "TRAIN.BEST_METRIC": "recipe",
    "FINETUNE": "recipe",
    "AMP": "recipe",
    "AMP.TF32": "harmless",
    "EMA": "recipe",
    "AUG": "recipe",
    "SPECAUG": "recipe",
    "MIXUP": "recipe",
    "TEST": "harmless",
    "AVA": "harmless",
    "AVA.BGR": "identity",
    "AVA.TRAIN_USE_COLOR_AUGMENTATION": "recipe",
    "AVA.TRAIN_PCA_JITTER_ONLY": "recipe",
    "AVA.TRAIN_PCA_EIGVAL": "recipe",
    "AVA.TRAIN_PCA_EIGVEC": "recipe",
    "EPIC100": "harmless",
    "PRETRAIN": "identity",
    "PRETRAIN.ROTATION_WEIGHT": "recipe",
    "PROBE": "harmless",
    "DATA": "identity",
    "DATA.PATH_TO_DATA_DIR": "harmless",
    "DATA.PATH_PREFIX": "harmless",
    "DATA.PATH_LABEL_SEPARATOR": "harmless",
    "DATA.CLASS_NAMES_FILE": "harmless",
    "DATA.TRAIN_FRACTION": "harmless",
    "DATA.FOLD": "harmless",
    "DATA.TRAIN_PART": "harmless",
    "DATA.TEST_PART": "harmless",
    "DATA.VIDEO_FILE": "harmless",
    "DATA.AUDIO_FILE": "harmless",
    "DATA.DECODING_BACKEND": "harmless",
    "DATA.USE_AUDIO": "harmless",
    "DATA.ENSEMBLE_METHOD": "harmless",
    "DATA.TEST_CROP_SIZE": "harmless",
    "DATA.MAX_FAILED_FRACTION": "harmless",
    "DATA.MAX_FAILED_FILES": "harmless",
    "DATA.MAX_PIXELS": "harmless",
    "DATA.USE_OFFSET_SAMPLING": "harmless",
    "DATA.LOGMEL_ON_DEVICE": "harmless",
    "DATA.TRAIN_JITTER_SCALES": "recipe",
    "DATA.TRAIN_CROP_SIZE": "recipe",
    "DATA.INV_UNIFORM_SAMPLE": "recipe",
    "DATA.RANDOM_FLIP": "recipe",
    "DATA.GET_MISALIGNED_AUDIO": "recipe",
    "DATA.AUDIO_MISALIGNED_GAP": "recipe",
    "DATA.EASY_NEG_RATIO": "recipe",
    "DATA.MIX_NEG_EPOCH": "recipe",
    "DATA.BALANCE": "recipe",
    "DATA.SKIP_LOOP_FILTER": "recipe",
    "DATA_LOADER": "harmless",
    "STORAGE": "harmless",
    "SOLVER": "recipe",
    "DIST": "harmless",
    "NUM_GPUS": "harmless",
    "NUM_CPU_PROCESSES": "harmless",
    "NUM_SHARDS": "harmless",
    "SHARD_ID": "harmless",
    "OUTPUT_DIR": "harmless",
    "RNG_SEED": "recipe",
    "LOG_PERIOD": "harmless",
    "LOGGERS": "harmless",
    "LOG_MODEL_INFO": "harmless",
    "DIST_BACKEND": "harmless",
    "TENSORBOARD": "harmless",
    "WANDB": "harmless",
    "MLFLOW": "harmless",
    "MULTIGRID": "recipe",
    "RESNET": "identity",
    "RESNET.INPLACE_RELU": "harmless",
    "RESNET.ZERO_INIT_FINAL_BN": "harmless",
    "NONLOCAL": "identity",
    "MODEL": "identity",
    "MODEL.MODEL_NAME": "harmless",
    "MODEL.SINGLE_PATHWAY_ARCH": "harmless",
    "MODEL.MULTI_PATHWAY_ARCH": "harmless",
    "MODEL.FC_INIT_STD": "harmless",
    "MODEL.DROPOUT_RATE": "recipe",
    "MODEL.LABEL_SMOOTHING": "recipe",
    "MULTI_HEAD": "identity",
    "MULTI_HEAD.LOSS_WEIGHTS": "recipe",
    "DETECTION": "identity",
    "SLOWFAST": "identity",
    "SLOWFAST.DROPPATHWAY_RATE": "recipe",
    "SLOWFAST.AVS_VAR_THRESH": "recipe",
    "SLOWFAST.AVS_DUPLICATE_THRESH": "recipe",
    "PATHWAY": "identity",
    "LATERAL": "identity",
    "LATERAL.AVS_WEIGHT": "recipe",
    "LATERAL.DROP_POOL5": "recipe",
    "SYNC": "recipe",
    "SYNC.POOL": "identity",
    "SYNC.MAX_SHIFT": "harmless",
    "SYNC.SHIFT_STEP": "harmless",
}


@dataclass(frozen=True)
class Difference:
    """A key with another value than before.

    Attributes:
        key: The dotted key.
        old: The value before.
        new: The value now.
    """

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} ({self.old!r}, now {self.new!r})"


def is_listed(key: str) -> bool:
    """Whether something is said of a key or its node; keys that plugins add are not listed."""
    return key in _KINDS or key.split(".")[0] in _KINDS


def kind_of(key: str) -> Kind:
    """What a change of a key means; a key of a plugin's node may change anything."""
    return _KINDS.get(key, _KINDS.get(key.split(".")[0], "identity"))


def values_of(cfg: Cfg) -> dict[str, Any]:
    """{dotted key: value} of a configuration."""
    return {name: value_of(cfg, name) for name in TABLE}


def stored_values(text: str, source: str) -> dict[str, Any]:
    """As `values_of`, of a configuration that is kept as a text, such as the one in a checkpoint.

    Keys of PySlowFast are translated, see `pyslowfast`; those that are not known here are left out. A value that its
    key does not take any more is its text.

    Args:
        text: What `cfg.dump` gave, from whatever source.
        source: Where it is, for messages.

    Raises:
        ConfigError: It is no YAML of a configuration, or one of auditory-slow-fast.
    """
    values: dict[str, Any] = {}
    given = {key: (value, f"{source}, line {line}") for key, (value, line) in read_yaml(text, source).items()}
    for key, (value, _) in translated(given).items():
        if key in TABLE:
            try:
                values[key] = TABLE[key].read(value)
            except ConfigError:
                values[key] = shown(value)
    return values


def differences(old: Mapping[str, Any], new: Mapping[str, Any], kind: Kind) -> list[Difference]:
    """The keys of a kind whose values differ, in the order of their names.

    A key that one of the two does not have is left out: another version of the program, or a plugin, has it.

    Args:
        old: Values by key, see `values_of`.
        new: Values by key.
        kind: Of the keys that are compared.
    """
    keys = sorted(key for key in set(old) & set(new) if kind_of(key) == kind)
    return [Difference(key, old[key], new[key]) for key in keys if old[key] != new[key]]
