"""What configurations of PySlowFast and of its descendants have and this project does not, with what serves here."""

# {architecture in PySlowFast's first versions: the same here}.
ARCHITECTURE_ALIASES = {"slowonly": "slow"}
# {architecture: (what it is, what to do)}.
ARCHITECTURES_ELSEWHERE = {
    name: (
        f"{what} is a model of PySlowFast that this project does not have",
        "use one of slow, slowfast, avslowfast, audio",
    )
    for name, what in {
        "c2d": "C2D",
        "c2d_nopool": "C2D",
        "i3d": "I3D",
        "i3d_nopool": "I3D",
        "csn": "CSN",
        "r2plus1d": "R(2+1)D",
        "2d": "2-D ResNet",
        "x3d": "X3D",
        "mvit": "MViT",
        "maskmvit": "masked autoencoders",
    }.items()
}

# Data sets that have no reader here.
DATASETS_ELSEWHERE = ("ssv2", "imagenet", "ptvkinetics", "ptvcharades", "ptvssv2")

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

# {key, or the beginning of keys with a * behind it: what serves here}.
_SERVES = {
    "TRAIN.FINETUNE": "TRAIN.CHECKPOINT_FILE_PATH starts from given weights, always at epoch 0",
    "TRAIN.CHECKPOINT_IN_INIT": "TRAIN.CHECKPOINT_FILE_PATH starts from given weights",
    "TRAIN.KILL_LOSS_EXPLOSION_FACTOR": "a loss that is not finite ends the training",
    "TEST.NUM_TEMPORAL_CLIPS": "TEST.NUM_ENSEMBLE_VIEWS is the number of clips per video, one number per test",
    "MODEL.DETACH_FINAL_FC": "FINETUNE.FREEZE with all pathways and laterals trains the classifier alone",
    "MODEL.FROZEN_BN": "BN.NORM_TYPE frozen_batchnorm fixes batch normalisation",
    "MODEL.ACT_CHECKPOINT": "TRAIN.ACCUMULATION_STEPS saves memory",
    "BN.FREEZE": "BN.NORM_TYPE frozen_batchnorm fixes batch normalisation",
    "BN.GLOBAL_SYNC": "BN.NORM_TYPE sync_batchnorm with BN.NUM_SYNC_DEVICES 0 shares statistics among all ranks",
    "AUG.COLOR_JITTER": "AUG.AA_TYPE changes colours",
    "DATA.DECODING_SHORT_SIZE": "frames are scaled while they are decoded, without a key",
    "DATA.SKIP_ROWS": "a list has no header",
    "DATA.TRAIN_JITTER_SCALES_RELATIVE": "DATA.TRAIN_JITTER_SCALES is the range of the short side",
    "SOLVER.LARS_ON": "SOLVER.OPTIMIZING_METHOD is sgd, adam or adamw",
    "TENSORBOARD.CONFUSION_MATRIX.ENABLE": "TENSORBOARD.CONFUSION_MATRIX is the switch itself",
    "TENSORBOARD.HISTOGRAM.ENABLE": "TENSORBOARD.HISTOGRAMS is the switch",
    "TENSORBOARD.CLASS_NAMES_PATH": "DATA.CLASS_NAMES_FILE has the names of the classes",
    "EPICKITCHENS.ANNOTATIONS_DIR": "DATA.PATH_TO_DATA_DIR is the folder of the label files",
    "EPICKITCHENS.VISUAL_DATA_DIR": "DATA.PATH_PREFIX is the folder of the videos",
    "EPICKITCHENS.TRAIN_PLUS_VAL": "DATA.TRAIN_PART chooses the part of the data to train on",
    "AUDIO_DATA.*": "the keys of the audio are DATA.AUDIO_*",
}


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
