"""What configurations of PySlowFast and of its descendants mean here.

Keys that are called otherwise here are translated. What PySlowFast has and this project has not is left out where it
is at its default or has no effect, and refused elsewhere, with what serves in its place.
"""

import logging
from typing import Any

from .errors import ConfigError
from .pyslowfast_defaults import DEFAULTS
from .ranges import AnyList
from .reading import read_word, Scalar

# {dotted key: (value, where it is set)}.
Given = dict[str, tuple[Any, str]]

_USE = "use one of slow, slowfast, avslowfast, audio"


def _network(what: str) -> tuple[str, str]:
    return f"{what} is a model of PySlowFast that this project does not have", _USE


# {architecture: (what it is, what to do)}.
ARCHITECTURES_ELSEWHERE = {
    "c2d": _network("C2D"),
    "c2d_nopool": _network("C2D"),
    "i3d": _network("I3D"),
    "i3d_nopool": _network("I3D"),
    "csn": _network("CSN"),
    "r2plus1d": _network("R(2+1)D"),
    "2d": _network("2-D ResNet"),
    "x3d": _network("X3D"),
    "mvit": _network("MViT"),
    "maskmvit": _network("MaskFeat or MAE (masked autoencoders on MViT)"),
    "fast": ("a Fast pathway alone is a model of auditory-slow-fast that this project does not have", _USE),
}
# The same for MODEL.MODEL_NAME.
CLASSES_ELSEWHERE = {
    "MViT": _network("MViT"),
    "PTVMViT": _network("MViT"),
    "MaskMViT": _network("MaskFeat or MAE (masked autoencoders on MViT)"),
    "X3D": _network("X3D"),
    "PTVX3D": _network("X3D"),
    "PTVCSN": _network("CSN"),
    "PTVR2plus1D": _network("R(2+1)D"),
    "ResNet_nopool": _network("C2D or I3D without pooling"),
    "ContrastiveModel": (
        "contrastive self-supervised learning (MoCo, SimCLR, BYOL, SwAV) of PySlowFast is not available",
        "use TASK pretrain for pre-training without labels",
    ),
}
# The same for TASK.
TASKS_ELSEWHERE = {
    "ssl": (
        "self-supervised learning of PySlowFast (contrastive or masked) is not available",
        "use TASK pretrain for pre-training without labels",
    ),
    **{
        f"ssl_eval{ending}": (
            "it evaluates PySlowFast's self-supervised (contrastive or masked) learning, which is not available",
            "use TASK probe for a linear classifier on fixed features, or remove the key to train a network",
        )
        for ending in ("", "_ssv2", "_ava", "_ucf", "_k400")
    },
}
TRANSFORMS_ELSEWHERE = {"x3d_transform": _network("X3D")}
# Keys that say which network or task it is, in the order in which they are asked.
IDENTITY = ("MODEL.ARCH", "MODEL.MODEL_NAME", "TASK")

# Data sets that have no reader here.
DATASETS_ELSEWHERE = ("ssv2", "imagenet")
# Other names of architectures, tasks and data sets. PySlowFast's readers ptv* read the same lists by PyTorchVideo.
_SAME = {
    "MODEL.ARCH": {"slowonly": "slow"},
    "TASK": {"": "classification", "sl": "classification"},
    **dict.fromkeys(
        ("TRAIN.DATASET", "TEST.DATASET"),
        {"epickitchens": "epic100", "ptvkinetics": "kinetics", "ptvcharades": "charades", "ptvssv2": "ssv2"},
    ),
}
# Data sets whose frames PySlowFast reads in the order B, G, R, which DATA.REVERSE_INPUT_CHANNEL reverses.
READ_AS_BGR = ("charades", "ssv2")

# {node: what its keys belong to}.
_NODES = {
    "MVIT": "Multiscale Vision Transformers",
    "X3D": "X3D networks",
    "CONTRASTIVE": "PySlowFast's contrastive learning",
    "SSL": "PySlowFast's self-supervised learning",
    "MASK": "masked autoencoders",
    "VIS_MASK": "masked autoencoders",
    "BENCHMARK": "PySlowFast's loader benchmark",
    "DEMO": "PySlowFast's demo",
}
# Nodes whose keys change neither a network nor its training nor its scores.
_WITHOUT_EFFECT = ("BENCHMARK", "DEMO", "TENSORBOARD", "VIS_MASK")
# A text with all of them is what PySlowFast or a descendant wrote: its defaults are in it.
_WRITTEN = frozenset(("SOLVER.GAMMA", "SOLVER.STEP_SIZE", "SOLVER.WARMUP_FACTOR"))
# Defaults of PySlowFast that a data set of this project may replace, or that this project writes otherwise.
_WRITTEN_DEFAULTS = {
    "DATA.TARGET_FPS": 30,
    "DATA.USE_OFFSET_SAMPLING": False,
    "SOLVER.CLIP_GRAD_VAL": None,
    "SOLVER.CLIP_GRAD_L2NORM": None,
}

# {key, or the beginning of keys with a * behind it: what serves here}.
_SERVES = {
    "TRAIN.CHECKPOINT_IN_INIT": "TRAIN.CHECKPOINT_FILE_PATH starts from given weights",
    "TRAIN.KILL_LOSS_EXPLOSION_FACTOR": "a loss that is not finite ends the training",
    "TEST.NUM_TEMPORAL_CLIPS": "TEST.NUM_ENSEMBLE_VIEWS is the number of clips per video, one number per test",
    "MODEL.DETACH_FINAL_FC": "FINETUNE.FREEZE with all pathways and laterals trains the classifier alone",
    "MODEL.FROZEN_BN": "BN.NORM_TYPE frozen_batchnorm fixes batch normalisation",
    "MODEL.ACT_CHECKPOINT": "TRAIN.ACCUMULATION_STEPS saves memory",
    "BN.GLOBAL_SYNC": "BN.NORM_TYPE sync_batchnorm with BN.NUM_SYNC_DEVICES 0 shares statistics among all ranks",
    "AUG.COLOR_JITTER": "AUG.AA_TYPE changes colours",
    "DATA.DECODING_SHORT_SIZE": "frames are scaled while they are decoded, without a key",
    "DATA.SKIP_ROWS": "a list has no header",
    "DATA.TRAIN_JITTER_SCALES_RELATIVE": "DATA.TRAIN_JITTER_SCALES is the range of the short side",
    "SOLVER.LARS_ON": "SOLVER.OPTIMIZING_METHOD is sgd, adam or adamw",
    "TENSORBOARD.CONFUSION_MATRIX.ENABLE": "TENSORBOARD.CONFUSION_MATRIX is the switch itself",
    "TENSORBOARD.HISTOGRAM.ENABLE": "TENSORBOARD.HISTOGRAMS is the switch",
    "TENSORBOARD.CLASS_NAMES_PATH": "DATA.CLASS_NAMES_FILE has the names of the classes",
    "EPICKITCHENS.TRAIN_LIST": "label files are the official CSVs in DATA.PATH_TO_DATA_DIR",
    "EPICKITCHENS.VAL_LIST": "label files are the official CSVs in DATA.PATH_TO_DATA_DIR",
    "EPICKITCHENS.TEST_LIST": "DATA.TEST_PART test reads EPIC_100_test_timestamps.csv",
    "EPICKITCHENS.TEST_SPLIT": "DATA.TEST_PART is validation or test",
}

_FROZEN = "frozen_batchnorm"
# Where an override stands.
_COMMAND_LINE = "command line"

_logger = logging.getLogger(__name__)


def belongs_to(node: str) -> str:
    """What the keys of a node belong to, where it is something that this project does not have; "" elsewhere."""
    return _NODES.get(node, "")


def what_serves(key: str) -> str:
    """What to say of a key that another project has; "" for a key that is not known from there.

    Args:
        key: Dotted name, in capitals.
    """
    node = key.split(".")[0]
    if node in _NODES:
        return f"it belongs to {_NODES[node]}, which this project does not have; remove the {node} node"
    words = _SERVES.get(key) or _SERVES.get(f"{node}.*")
    return f"{words}; remove the key" if words else ""


def translated(given: Given) -> Given:
    """What was given, in the keys of this project.

    Args:
        given: What files and overrides set.

    Returns:
        A copy. Keys that are unknown here and matter are still in it.

    Raises:
        ConfigError: It is a configuration of auditory-slow-fast.
    """
    found = dict(given)
    for key, (_, where) in found.items():
        if key.startswith("AUDIO_DATA."):
            raise ConfigError(
                f"{where}: {key} is of auditory-slow-fast, whose two pathways both take spectrograms; this project "
                "does not have that network: MODEL.ARCH audio is one of audio alone, with the keys DATA.AUDIO_*"
            )
    if found.keys() >= _WRITTEN:
        _translate_written(found)
    if _word(found, "TRAIN.DATASET", "TEST.DATASET") == "epickitchens":
        # Its reader counts 60 frames a second and reads them by OpenCV.
        where = found["TRAIN.DATASET" if "TRAIN.DATASET" in found else "TEST.DATASET"][1]
        found.setdefault("DATA.TARGET_FPS", (60, where))
        found.setdefault("DATA.USE_BGR_ORDER", (True, where))
    for key, names in _SAME.items():
        value, where = found.get(key, (None, ""))
        name = _plain(value)
        if isinstance(name, str) and (name := name.lower() if key.endswith("DATASET") else name) in names:
            found[key] = (names[name], where)
    _translate_classes(found)
    _translate_epic(found)
    if "BN.FREEZE" in found and _plain(found["BN.FREEZE"][0]) is True:
        _translate_freeze(found)
    _translate_multigrid(found)
    _leave_out(found)
    return found


def _is_chosen(found: Given, key: str) -> bool:
    """Whether a key is set by an override, which nothing that follows from a file may replace."""
    return key in found and found[key][1] == _COMMAND_LINE


def _translate_freeze(found: Given) -> None:
    """BN.FREEZE, which is a kind of batch norm here; the kind that a person has chosen on the command line stays."""
    given, chosen = found.get("BN.NORM_TYPE", ("", ""))
    kind = _plain(given)
    is_chosen = _is_chosen(found, "BN.NORM_TYPE") and not _is_chosen(found, "BN.FREEZE")
    _, where = found.pop("BN.FREEZE")
    if is_chosen:
        _logger.warning("%s: BN.FREEZE True is replaced by BN.NORM_TYPE %s of the command line", where, kind)
        return
    if kind and kind not in ("batchnorm", _FROZEN):
        _logger.warning("%s: BN.FREEZE True makes BN.NORM_TYPE %s, not %s (%s)", where, _FROZEN, kind, chosen)
    found["BN.NORM_TYPE"] = (_FROZEN, where)


def _translate_written(found: Given) -> None:
    """A configuration with all of PySlowFast's defaults, as its checkpoints have it."""
    for key, default in _WRITTEN_DEFAULTS.items():
        if key in found and _plain(found[key][0]) == default and not _is_chosen(found, key):
            del found[key]
    scaled = found.get("SOLVER.BASE_LR_SCALE_NUM_SHARDS")
    if scaled and _plain(scaled[0]) is True and not _is_chosen(found, "SOLVER.BASE_LR_SCALE_NUM_SHARDS"):
        # PySlowFast multiplies the rates when it reads them, and writes the products.
        del found["SOLVER.BASE_LR_SCALE_NUM_SHARDS"]
    dataset = _word(found, "TRAIN.DATASET", "TEST.DATASET").removeprefix("ptv")
    reverse = found.get("DATA.REVERSE_INPUT_CHANNEL")
    if (
        dataset in READ_AS_BGR
        and reverse
        and _plain(reverse[0]) is False
        and not _is_chosen(found, "DATA.USE_BGR_ORDER")
    ):
        found["DATA.USE_BGR_ORDER"] = (True, reverse[1])


def _translate_classes(found: Given) -> None:
    """MODEL.NUM_CLASSES as a list: one count per classifier, of EPIC-Kitchens' verbs and nouns."""
    value, where = found.get("MODEL.NUM_CLASSES", (None, ""))
    counts = _plain(value)
    if isinstance(counts, list) and len(counts) == 1:
        found["MODEL.NUM_CLASSES"] = (counts[0], where)
    elif isinstance(counts, list) and len(counts) == 2 and "epic" in _word(found, "TRAIN.DATASET", "TEST.DATASET"):
        del found["MODEL.NUM_CLASSES"]
        for key, wanted in (("NAMES", ["verb", "noun"]), ("NUM_CLASSES", counts), ("LOSS_WEIGHTS", [0.5, 0.5])):
            found.setdefault(f"MULTI_HEAD.{key}", (wanted, where))


def _translate_epic(found: Given) -> None:
    """Where the label files, videos and lists of EPIC-Kitchens-100 are."""
    for key, here in (("ANNOTATIONS_DIR", "PATH_TO_DATA_DIR"), ("VISUAL_DATA_DIR", "PATH_PREFIX")):
        value, where = found.pop(f"EPICKITCHENS.{key}", (None, ""))
        if _plain(value):
            found.setdefault(f"DATA.{here}", (value, where))
            if here == "PATH_PREFIX":
                # Its reader takes the official pictures.
                found.setdefault("DATA.VIDEO_FILE", ("{participant}/rgb_frames/{video}", where))
    both = found.get("EPICKITCHENS.TRAIN_PLUS_VAL")
    if both and _plain(both[0]) is True:
        found.setdefault("DATA.TRAIN_PART", ("trainval", found.pop("EPICKITCHENS.TRAIN_PLUS_VAL")[1]))
    for key, test in (("TEST_SPLIT", "test"), ("TEST_LIST", "EPIC_100_test_timestamps.pkl")):
        name = f"EPICKITCHENS.{key}"
        if name in found and _plain(found[name][0]) == test:
            found.setdefault("DATA.TEST_PART", ("test", found.pop(name)[1]))


def _translate_multigrid(found: Given) -> None:
    """What PySlowFast writes while it trains with multigrid: the present shape, and the schedule as plain steps."""
    shape = {"TRAIN.BATCH_SIZE": "DEFAULT_B", "DATA.NUM_FRAMES": "DEFAULT_T", "DATA.TRAIN_CROP_SIZE": "DEFAULT_S"}
    values = {key: found.get(f"MULTIGRID.{name}", (0, "")) for key, name in shape.items()}
    if all(_plain(value) for value, _ in values.values()):
        off = (False, values["DATA.NUM_FRAMES"][1])
        values |= dict.fromkeys(("MULTIGRID.SHORT_CYCLE", "MULTIGRID.LONG_CYCLE"), off)
        found.update({key: value for key, value in values.items() if not _is_chosen(found, key)})


def _leave_out(found: Given) -> None:
    """Leave out keys of PySlowFast that change nothing, and say so."""
    same, idle = [], []
    for key in [key for key in found if key in DEFAULTS]:
        value, default = _plain(found[key][0]), DEFAULTS[key]
        if value == default or (value == "" and default is None):
            same.append(key)
        elif key.split(".")[0] in _WITHOUT_EFFECT:
            idle.append(f"{key} ({words})" if (words := _SERVES.get(key)) else key)
        else:
            continue
        del found[key]
    if same:
        _logger.info("left out, at PySlowFast's defaults: %d keys (%s ...)", len(same), same[0])
    if idle:
        _logger.warning("left out, without effect here: %s", ", ".join(idle))


def _word(given: Given, *keys: str) -> str:
    """The word that the first of some keys that is set has, in small letters; "" where it is none."""
    value = next((given[key][0] for key in keys if key in given), None)
    word = _plain(value)
    return word.lower() if isinstance(word, str) else ""


def _plain(value: Any) -> Any:
    """A value without a declared type as plain numbers, truth values, texts and lists; None for nothing."""
    if isinstance(value, str):
        try:
            value = read_word(value)
        except ValueError:
            return value
    if isinstance(value, Scalar):
        return None if value.null else AnyList().read([value])[0]
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
