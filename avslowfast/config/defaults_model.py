"""Configuration keys of the networks: pathways, laterals, synchronisation heads, classifiers.

Each row is a key, its default, what it takes, and what it means; see `defaults`.
"""

from .keys import key
from .names import ARCHITECTURES, HEADS, LATERALS, NETWORK_CLASSES, PATHWAYS, TRANSFORMS
from .pyslowfast import ARCHITECTURES_ELSEWHERE, CLASSES_ELSEWHERE, TRANSFORMS_ELSEWHERE
from .ranges import choice, entry, flag, list_of, number, per_stage, positive, share, text, whole

_CHANNELS = "a wider network does not fit into memory"

# Rows are set by hand: name, default and range, then the comment.
# fmt: off
MODEL_KEYS = (
    # ---- ResNet -----------------------------------------------------------------------------------------------------
    key("RESNET.TRANS_FUNC", "bottleneck_transform", entry(TRANSFORMS, elsewhere=TRANSFORMS_ELSEWHERE),
        "Residual block: bottleneck_transform (depth 50, 101, 152) | basic_transform (depth 18, 34)."),
    key("RESNET.AUDIO_TRANS_FUNC", "tf_bottleneck_transform_v1", entry(TRANSFORMS),
        "Residual block of the first AUDIO_TRANS_NUM audio stages: tf_bottleneck_transform_v1 (the paper's) | "
        "tf_bottleneck_transform_v2 | bottleneck_transform | basic_transform."),
    key("RESNET.AUDIO_TRANS_NUM", 2, whole(0, 4),
        "Number of audio stages, from res2 on, that treat time and frequency separately (AUDIO_TRANS_FUNC)."),
    key("RESNET.NUM_GROUPS", 1, whole(1, 1024, reason=_CHANNELS),
        "Groups of the 3x3 convolutions: 1 is a ResNet, more are a ResNeXt."),
    key("RESNET.WIDTH_PER_GROUP", 64, whole(1, 1024, reason=_CHANNELS),
        "Channels of Slow's stem and of one group in res2."),
    key("RESNET.INPLACE_RELU", True, flag(), "Apply ReLU in place."),
    key("RESNET.STRIDE_1X1", False, flag(),
        "Put a stage's stride on its first 1x1 convolution instead of the 3x3 one."),
    key("RESNET.ZERO_INIT_FINAL_BN", False, flag(), "Initialise the last batch norm of each block with zero."),
    key("RESNET.DEPTH", 50, choice(18, 34, 50, 101, 152), "Layers: 18 | 34 | 50 | 101 | 152."),
    key("RESNET.NUM_BLOCK_TEMP_KERNEL", [[3], [4], [6], [3]], per_stage(whole(0, 64)),
        "Per stage and pathway: blocks that have the stage's temporal kernel; the rest have 1."),
    key("RESNET.SPATIAL_STRIDES", [[1], [2], [2], [2]], per_stage(whole(1, 8)),
        "Per stage and pathway: spatial stride. A single number is used for every visual pathway."),
    key("RESNET.SPATIAL_DILATIONS", [[1], [1], [1], [1]], per_stage(whole(1, 16)),
        "Per stage and pathway: spatial dilation."),

    # ---- Visual non-local blocks ------------------------------------------------------------------------------------
    key("NONLOCAL.LOCATION", [[[]], [[]], [[]], [[]]], per_stage(list_of(whole(0, 64), longest=64, distinct=True)),
        "Per stage and pathway: blocks that are followed by a non-local block, from 0."),
    key("NONLOCAL.GROUP", [[1], [1], [1], [1]], per_stage(whole(1, 1024)),
        "Per stage and pathway: number of groups of frames; attention stays inside a group."),
    key("NONLOCAL.INSTANTIATION", "dot_product", choice("dot_product", "softmax"),
        "How affinities are normalised: dot_product | softmax."),
    key("NONLOCAL.POOL", [[[1, 2, 2], [1, 2, 2]]] * 4, per_stage(list_of(whole(1, 64), 3, 3)),
        "Per stage and pathway: max pooling (time, height, width) of keys and values."),

    # ---- Model ------------------------------------------------------------------------------------------------------
    key("MODEL.ARCH", "slowfast", entry(ARCHITECTURES, elsewhere=ARCHITECTURES_ELSEWHERE),
        "An entry of the ARCHITECTURES registry: slow | slowfast | avslowfast | audio."),
    key("MODEL.MODEL_NAME", "", entry(NETWORK_CLASSES, empty=True, elsewhere=CLASSES_ELSEWHERE),
        "PySlowFast's class name; unused, because MODEL.ARCH chooses the network, but classes of other networks are "
        "refused.", inert=True),
    key("MODEL.HEAD", "", entry(HEADS, empty=True),
        'An entry of the HEADS registry: single | multi | roi | pretext; "" is the head that the task needs. (new)'),
    key("MODEL.NUM_CLASSES", 400, whole(1, 1_000_000, reason="a larger classifier does not fit into memory"),
        "Number of classes."),
    key("MODEL.LOSS_FUNC", "cross_entropy", choice("cross_entropy", "soft_cross_entropy", "bce_logit", "bce"),
        "Loss: cross_entropy | soft_cross_entropy | bce_logit (several labels per clip) | bce (PySlowFast's name for "
        "boxes)."),
    key("MODEL.LABEL_SMOOTHING", 0.0, share(below=True),
        "Share of each label that is spread over all classes; with MIXUP.ENABLE it is MIXUP.LABEL_SMOOTH_VALUE. (new)"),
    key("MODEL.DROPOUT_RATE", 0.5, share(below=True), "Dropout rate before the classifier; at least 0, below 1."),
    key("MODEL.FC_INIT_STD", 0.01, number(0, 10),
        "Standard deviation of the fully connected layers' initial weights."),
    key("MODEL.HEAD_ACT", "softmax", choice("softmax", "sigmoid"),
        "How logits become scores: softmax | sigmoid. Boxes with a bce loss always use sigmoid, because PySlowFast's "
        "configurations for AVA do not set the key."),
    key("MODEL.SINGLE_PATHWAY_ARCH", ["slow", "audio"], list_of(text()),
        "PySlowFast's list of single-pathway architectures; unused.", inert=True),
    key("MODEL.MULTI_PATHWAY_ARCH", ["slowfast", "avslowfast"], list_of(text()),
        "PySlowFast's list of multi-pathway architectures; unused.", inert=True),

    key("MULTI_HEAD.NAMES", [], list_of(
            text(False, pattern=r"[A-Za-z]\w*", form="a name of letters, digits and underscores"),
            longest=64, distinct=True),
        'Names of the classifiers of a network with several, e.g. ["verb", "noun"]; [] is a single classifier. '
        "(new node)"),
    key("MULTI_HEAD.NUM_CLASSES", [], list_of(whole(1, 1_000_000), longest=64),
        "Number of classes of each classifier."),
    key("MULTI_HEAD.LOSS_WEIGHTS", [], list_of(number(0, 1e6), longest=64), "Weight of each classifier's loss."),

    key("DETECTION.ENABLE", False, flag(), "Classify boxes (with a RoI head) instead of clips."),
    key("DETECTION.ALIGNED", True, flag(), "Shift RoIAlign by half a pixel (the exact version)."),
    key("DETECTION.SPATIAL_SCALE_FACTOR", 16, whole(1, 1024), "Input pixels per cell of res5's features."),
    key("DETECTION.ROI_XFORM_RESOLUTION", 7, whole(1, 64), "Height and width of RoIAlign's output, cells."),

    # ---- SlowFast and audio pathway ---------------------------------------------------------------------------------
    key("SLOWFAST.BETA_INV", 8, whole(1, 1024), "Slow's channels / Fast's channels."),
    key("SLOWFAST.ALPHA", 8, whole(1, 1024), "Fast's frames / Slow's frames."),
    key("SLOWFAST.FUSION_CONV_CHANNEL_RATIO", 2, whole(1, 64, reason=_CHANNELS),
        "Channels of the F->S lateral / Fast's channels."),
    key("SLOWFAST.FUSION_KERNEL_SZ", 5, whole(1, 63, odd=True), "Temporal kernel of the F->S lateral, frames; odd."),
    key("SLOWFAST.AU_BETA_INV", 2, whole(1, 1024), "Slow's channels / Audio's channels."),
    key("SLOWFAST.AU_ALPHA", 32, whole(1, 8192), "Spectrogram frames / Slow's frames."),
    key("SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE", "ByDim", choice("ByDim", "ByRatio"),
        "Channels of the audio lateral: ByDim (AU_FUSION_CONV_CHANNEL_DIM) | ByRatio (AU_FUSION_CONV_CHANNEL_RATIO)."),
    key("SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM", 64, whole(1, 16384, reason=_CHANNELS),
        "Channels between the convolutions of the audio lateral, ByDim."),
    key("SLOWFAST.AU_FUSION_CONV_CHANNEL_RATIO", 0.25, positive(64, reason=_CHANNELS),
        "Channels between these convolutions / Audio's channels, ByRatio."),
    key("SLOWFAST.AU_FUSION_KERNEL_SZ", 5, whole(1, 63, odd=True),
        "Temporal kernel of the audio lateral's convolutions, audio steps at its stage; odd."),
    key("SLOWFAST.AU_FUSION_CONV_NUM", 2, whole(1, 16), "Number of convolutions in the audio lateral."),
    key("SLOWFAST.AU_REDUCE_TF_DIM", True, flag(), "Halve audio time and frequency at res3, res4 and res5."),
    key("SLOWFAST.FS_FUSION", [True, True, True, True], list_of(flag(), 4, 4),
        "Whether there is an F->S lateral after pool1, res2, res3, res4 (in a network with audio; others have all "
        "four)."),
    key("SLOWFAST.AFS_FUSION", [False, False, True, True], list_of(flag(), 4, 4),
        "Whether there is an audio lateral after pool1, res2, res3, res4 (its kind: LATERAL.AUDIO)."),
    key("SLOWFAST.AVS_FLAG", [False, False, False, False, False], list_of(flag(), 5, 5),
        "Whether there is a synchronisation loss (AVS) at pool1, res2, res3, res4, res5."),
    key("SLOWFAST.AVS_PROJ_DIM", 64, whole(1, 16384, reason=_CHANNELS),
        "Dimensions in which the loss compares visual and audio features."),
    key("SLOWFAST.AVS_VAR_THRESH", 0.01, number(0, 1e6),
        "A clip whose spectrogram has less variance is silent and does not count for the loss."),
    key("SLOWFAST.AVS_DUPLICATE_THRESH", 0.99999, number(-1, 1),
        "A pair of spectrograms with a higher cosine similarity is a duplicate and does not count for the loss."),
    key("SLOWFAST.DROPPATHWAY_RATE", 0.8, share(),
        "Probability of dropping the audio pathway in a training iteration (DropPathway), 0..1."),

    key("PATHWAY.SLOW", "slow", entry(PATHWAYS),
        "An entry of the PATHWAYS registry, the kind of the Slow pathway: slow. (new node)"),
    key("PATHWAY.FAST", "fast", entry(PATHWAYS), "The kind of the Fast pathway: fast."),
    key("PATHWAY.AUDIO", "audio", entry(PATHWAYS), "The kind of the audio pathway: audio."),

    key("LATERAL.AUDIO", "a2fs", entry(LATERALS),
        "An entry of the LATERALS registry, the kind of the audio laterals: a2fs | a2f2s | av_nonlocal. (new node)"),
    key("LATERAL.AUDIO_POOL5", True, flag(), "The head gets pooled audio features (fusion at pool5)."),
    key("LATERAL.DROP_POOL5", True, flag(),
        "A dropped iteration has no audio in the head either, as the paper says; False drops the laterals alone, as "
        "the authors' released code does."),
    key("LATERAL.AVS_WEIGHT", 1.0, number(0, 1e6), "Weight of each synchronisation loss in the training loss."),

    # ---- Synchronisation (new node) ---------------------------------------------------------------------------------
    key("SYNC.HARD_FROM", -1.0, number(-1, 1),
        "Share of SOLVER.MAX_EPOCH from which hard negatives are mixed in, 0..1; a value below 0 uses "
        "DATA.MIX_NEG_EPOCH."),
    key("SYNC.SUPER_HARD_RATIO", 0.0, share(),
        "Share of super-hard negatives (which overlap the clip's audio) among the hard ones, 0..1."),
    key("SYNC.SUPER_HARD_GAP", 0.2, positive(600),
        "Smallest shift of a super-hard negative, seconds; from the length of the clip's audio on (or from "
        "DATA.AUDIO_MISALIGNED_GAP on, where that is longer) a shift makes a hard one."),
    key("SYNC.POOL", "mean", choice("mean", "time"),
        "How visual and audio features are compared: mean (averaged over the clip, as the authors do) | time (at "
        "every step, then averaged)."),
    key("SYNC.MAX_SHIFT", 1.0, positive(60),
        "Largest shift of the audio in either direction at which synchronisation is measured, seconds."),
    key("SYNC.SHIFT_STEP", 0.05, number(0.001, 60), "Distance of the measured shifts, seconds."),
)
# fmt: on
