"""Configuration keys of the networks: pathways, laterals, synchronisation heads, classifiers.

All other keys are in `defaults.py`.
"""

from fvcore.common.config import CfgNode

DEFAULTS = CfgNode()
_C = DEFAULTS

# ---- ResNet ---------------------------------------------------------------------------------------------------------
_C.RESNET = CfgNode()
# Residual block: bottleneck_transform (depth 50, 101, 152) | basic_transform (depth 18, 34).
_C.RESNET.TRANS_FUNC = "bottleneck_transform"
# Residual block of the first AUDIO_TRANS_NUM audio stages: tf_bottleneck_transform_v1 (the paper's) |
# tf_bottleneck_transform_v2 | bottleneck_transform | basic_transform.
_C.RESNET.AUDIO_TRANS_FUNC = "tf_bottleneck_transform_v1"
# Number of audio stages, from res2 on, that treat time and frequency separately (AUDIO_TRANS_FUNC).
_C.RESNET.AUDIO_TRANS_NUM = 2
# Groups of the 3x3 convolutions: 1 is a ResNet, more are a ResNeXt.
_C.RESNET.NUM_GROUPS = 1
# Channels of Slow's stem and of one group in res2.
_C.RESNET.WIDTH_PER_GROUP = 64
# Apply ReLU in place.
_C.RESNET.INPLACE_RELU = True
# Put a stage's stride on its first 1x1 convolution instead of the 3x3 one.
_C.RESNET.STRIDE_1X1 = False
# Initialise the last batch norm of each block with zero.
_C.RESNET.ZERO_INIT_FINAL_BN = False
# Layers: 18 | 34 | 50 | 101 | 152.
_C.RESNET.DEPTH = 50
# Per stage and pathway: blocks that have the stage's temporal kernel; the rest have 1.
_C.RESNET.NUM_BLOCK_TEMP_KERNEL = [[3], [4], [6], [3]]
# Per stage and pathway: spatial stride. A single number is used for every visual pathway.
_C.RESNET.SPATIAL_STRIDES = [[1], [2], [2], [2]]
# Per stage and pathway: spatial dilation.
_C.RESNET.SPATIAL_DILATIONS = [[1], [1], [1], [1]]

# ---- Visual non-local blocks ----------------------------------------------------------------------------------------
_C.NONLOCAL = CfgNode()
# Per stage and pathway: blocks that are followed by a non-local block.
_C.NONLOCAL.LOCATION = [[[]], [[]], [[]], [[]]]
# Per stage and pathway: number of groups of frames; attention stays inside a group.
_C.NONLOCAL.GROUP = [[1], [1], [1], [1]]
# How affinities are normalised: dot_product | softmax.
_C.NONLOCAL.INSTANTIATION = "dot_product"
# Per stage and pathway: max pooling (time, height, width) of keys and values.
_C.NONLOCAL.POOL = [[[1, 2, 2], [1, 2, 2]], [[1, 2, 2], [1, 2, 2]], [[1, 2, 2], [1, 2, 2]], [[1, 2, 2], [1, 2, 2]]]

# ---- Model ----------------------------------------------------------------------------------------------------------
_C.MODEL = CfgNode()
# An entry of the ARCHITECTURES registry: slow | slowfast | avslowfast | audio.
_C.MODEL.ARCH = "slowfast"
# PySlowFast's class name; unused, because MODEL.ARCH chooses the network.
_C.MODEL.MODEL_NAME = ""
# An entry of the HEADS registry: single | multi | roi | pretext; "" is the head that the task needs. (new)
_C.MODEL.HEAD = ""
# Number of classes.
_C.MODEL.NUM_CLASSES = 400
# cross_entropy | soft_cross_entropy | bce_logit (several labels per clip) | bce (PySlowFast's name for boxes).
_C.MODEL.LOSS_FUNC = "cross_entropy"
# Dropout rate before the classifier; at least 0, below 1.
_C.MODEL.DROPOUT_RATE = 0.5
# Standard deviation of the fully connected layers' initial weights.
_C.MODEL.FC_INIT_STD = 0.01
# How logits become scores: softmax | sigmoid. Boxes with a bce loss always use sigmoid, because PySlowFast's
# configurations for AVA do not set the key.
_C.MODEL.HEAD_ACT = "softmax"
# PySlowFast's list of single-pathway architectures; unused.
_C.MODEL.SINGLE_PATHWAY_ARCH = ["slow", "audio"]
# PySlowFast's list of multi-pathway architectures; unused.
_C.MODEL.MULTI_PATHWAY_ARCH = ["slowfast", "avslowfast"]

_C.MULTI_HEAD = CfgNode()
# Names of the classifiers of a network with several, e.g. ["verb", "noun"]; [] is a single classifier. (new node)
_C.MULTI_HEAD.NAMES = []
# Number of classes of each classifier.
_C.MULTI_HEAD.NUM_CLASSES = []
# Weight of each classifier's loss.
_C.MULTI_HEAD.LOSS_WEIGHTS = []

_C.DETECTION = CfgNode()
# Classify boxes (with a RoI head) instead of clips.
_C.DETECTION.ENABLE = False
# Shift RoIAlign by half a pixel (the exact version).
_C.DETECTION.ALIGNED = True
# Input pixels per cell of res5's features.
_C.DETECTION.SPATIAL_SCALE_FACTOR = 16
# Height and width of RoIAlign's output, cells.
_C.DETECTION.ROI_XFORM_RESOLUTION = 7

# ---- SlowFast and audio pathway -------------------------------------------------------------------------------------
_C.SLOWFAST = CfgNode()
# Slow's channels / Fast's channels.
_C.SLOWFAST.BETA_INV = 8
# Fast's frames / Slow's frames.
_C.SLOWFAST.ALPHA = 8
# Channels of the F->S lateral / Fast's channels.
_C.SLOWFAST.FUSION_CONV_CHANNEL_RATIO = 2
# Temporal kernel of the F->S lateral, frames.
_C.SLOWFAST.FUSION_KERNEL_SZ = 5
# Slow's channels / Audio's channels.
_C.SLOWFAST.AU_BETA_INV = 2
# Spectrogram frames / Slow's frames.
_C.SLOWFAST.AU_ALPHA = 32
# Channels of the audio lateral: ByDim (AU_FUSION_CONV_CHANNEL_DIM) | ByRatio (AU_FUSION_CONV_CHANNEL_RATIO).
_C.SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE = "ByDim"
# Channels between the convolutions of the audio lateral, ByDim.
_C.SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM = 64
# Channels between these convolutions / Audio's channels, ByRatio.
_C.SLOWFAST.AU_FUSION_CONV_CHANNEL_RATIO = 0.25
# Temporal kernel of the audio lateral's convolutions, audio steps at its stage.
_C.SLOWFAST.AU_FUSION_KERNEL_SZ = 5
# Number of convolutions in the audio lateral.
_C.SLOWFAST.AU_FUSION_CONV_NUM = 2
# Halve audio time and frequency at res3, res4 and res5.
_C.SLOWFAST.AU_REDUCE_TF_DIM = True
# Whether there is an F->S lateral after pool1, res2, res3, res4 (in a network with audio; others have all four).
_C.SLOWFAST.FS_FUSION = [True, True, True, True]
# Whether there is an audio lateral after pool1, res2, res3, res4 (its kind: LATERAL.AUDIO).
_C.SLOWFAST.AFS_FUSION = [False, False, True, True]
# Whether there is a synchronisation loss (AVS) at pool1, res2, res3, res4, res5.
_C.SLOWFAST.AVS_FLAG = [False, False, False, False, False]
# Dimensions in which the loss compares visual and audio features.
_C.SLOWFAST.AVS_PROJ_DIM = 64
# A clip whose spectrogram has less variance is silent and does not count for the loss.
_C.SLOWFAST.AVS_VAR_THRESH = 0.01
# A pair of spectrograms with a higher cosine similarity is a duplicate and does not count for the loss.
_C.SLOWFAST.AVS_DUPLICATE_THRESH = 0.99999
# Probability of dropping the audio pathway in a training iteration (DropPathway), 0..1.
_C.SLOWFAST.DROPPATHWAY_RATE = 0.8

_C.PATHWAY = CfgNode()
# An entry of the PATHWAYS registry, the kind of the Slow pathway: slow. (new node)
_C.PATHWAY.SLOW = "slow"
# The kind of the Fast pathway: fast.
_C.PATHWAY.FAST = "fast"
# The kind of the audio pathway: audio.
_C.PATHWAY.AUDIO = "audio"

_C.LATERAL = CfgNode()
# An entry of the LATERALS registry, the kind of the audio laterals: a2fs | a2f2s | av_nonlocal. (new node)
_C.LATERAL.AUDIO = "a2fs"
# The head gets pooled audio features (fusion at pool5).
_C.LATERAL.AUDIO_POOL5 = True
# Weight of each synchronisation loss in the training loss.
_C.LATERAL.AVS_WEIGHT = 1.0

# ---- Synchronisation (new node) -------------------------------------------------------------------------------------
_C.SYNC = CfgNode()
# Share of SOLVER.MAX_EPOCH from which hard negatives are mixed in, 0..1; a value below 0 uses DATA.MIX_NEG_EPOCH.
_C.SYNC.HARD_FROM = -1.0
# Share of super-hard negatives (which overlap the clip's audio) among the hard ones, 0..1.
_C.SYNC.SUPER_HARD_RATIO = 0.0
# Smallest shift of a super-hard negative, seconds; a shift by DATA.AUDIO_MISALIGNED_GAP or more is a hard one.
_C.SYNC.SUPER_HARD_GAP = 0.2
# How visual and audio features are compared: mean (averaged over the clip, as the authors do) | time (at every step,
# then averaged).
_C.SYNC.POOL = "mean"
# Largest shift of the audio in either direction at which synchronisation is measured, seconds.
_C.SYNC.MAX_SHIFT = 1.0
# Distance of the measured shifts, seconds.
_C.SYNC.SHIFT_STEP = 0.05
