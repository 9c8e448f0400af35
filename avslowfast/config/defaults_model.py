"""Configuration keys of the networks: pathways, laterals, synchronisation heads, classifiers. See `defaults.py` for all others."""

from fvcore.common.config import CfgNode

DEFAULTS = CfgNode()
_C = DEFAULTS

# ---- ResNet ---------------------------------------------------------------------------------------------------------
_C.RESNET = CfgNode()
# Residual block: bottleneck_transform (depth 50, 101, 152) | basic_transform (depth 18, 34).
_C.RESNET.TRANS_FUNC = "bottleneck_transform"
# Audio block of the first AUDIO_TRANS_NUM stages: tf_bottleneck_transform_v1 (the paper's) | tf_bottleneck_transform_v2.
_C.RESNET.AUDIO_TRANS_FUNC = "tf_bottleneck_transform_v1"
# Audio stages (from res2 on) that treat time and frequency apart.
_C.RESNET.AUDIO_TRANS_NUM = 2
# Groups of the 3x3 convolutions (1: ResNet; more: ResNeXt).
_C.RESNET.NUM_GROUPS = 1
# Channels of Slow's stem and of one group in res2.
_C.RESNET.WIDTH_PER_GROUP = 64
# Apply ReLU in place.
_C.RESNET.INPLACE_RELU = True
# Put a stage's stride on its first 1x1 convolution, not on the 3x3 one.
_C.RESNET.STRIDE_1X1 = False
# Start the last batch norm of each block at zero.
_C.RESNET.ZERO_INIT_FINAL_BN = False
# Layers: 18 | 34 | 50 | 101 | 152.
_C.RESNET.DEPTH = 50
# Per stage and pathway: blocks that have the stage's temporal kernel; the rest have 1.
_C.RESNET.NUM_BLOCK_TEMP_KERNEL = [[3], [4], [6], [3]]
# Per stage and pathway: spatial stride. One number counts for every visual pathway.
_C.RESNET.SPATIAL_STRIDES = [[1], [2], [2], [2]]
# Per stage and pathway: spatial dilation.
_C.RESNET.SPATIAL_DILATIONS = [[1], [1], [1], [1]]

# ---- Visual non-local blocks ----------------------------------------------------------------------------------------
_C.NONLOCAL = CfgNode()
# Per stage and pathway: blocks that are followed by a non-local block.
_C.NONLOCAL.LOCATION = [[[]], [[]], [[]], [[]]]
# Per stage and pathway: groups of frames that attend among themselves only.
_C.NONLOCAL.GROUP = [[1], [1], [1], [1]]
# How affinities are normalised: dot_product | softmax.
_C.NONLOCAL.INSTANTIATION = "dot_product"
# Per stage and pathway: max pooling (time, height, width) of keys and values.
_C.NONLOCAL.POOL = [[[1, 2, 2], [1, 2, 2]], [[1, 2, 2], [1, 2, 2]], [[1, 2, 2], [1, 2, 2]], [[1, 2, 2], [1, 2, 2]]]

# ---- Model ----------------------------------------------------------------------------------------------------------
_C.MODEL = CfgNode()
# slow | slowfast | avslowfast | audio.
_C.MODEL.ARCH = "slowfast"
# PySlowFast's class name; MODEL.ARCH alone decides here.
_C.MODEL.MODEL_NAME = ""
# Number of classes.
_C.MODEL.NUM_CLASSES = 400
# cross_entropy | soft_cross_entropy | bce_logit (several labels a clip).
_C.MODEL.LOSS_FUNC = "cross_entropy"
# Dropout before the classifier.
_C.MODEL.DROPOUT_RATE = 0.5
# Standard deviation of the fully connected layers' first weights.
_C.MODEL.FC_INIT_STD = 0.01
# Turns logits into scores: softmax | sigmoid. Boxes with a bce loss are scored by sigmoid (PySlowFast's AVA files leave the key out).
_C.MODEL.HEAD_ACT = "softmax"
# PySlowFast's list of single-pathway architectures; not read here.
_C.MODEL.SINGLE_PATHWAY_ARCH = ["slow", "audio"]
# PySlowFast's list of multi-pathway architectures; not read here.
_C.MODEL.MULTI_PATHWAY_ARCH = ["slowfast", "avslowfast"]

_C.MULTI_HEAD = CfgNode()
# Names of the classifiers of a multi-head model, e.g. ["verb", "noun"]; empty is a single head. (new node)
_C.MULTI_HEAD.NAMES = []
# Classes of each.
_C.MULTI_HEAD.NUM_CLASSES = []
# Weight of each one's loss.
_C.MULTI_HEAD.LOSS_WEIGHTS = []

_C.DETECTION = CfgNode()
# Classify boxes (RoI head) instead of whole clips.
_C.DETECTION.ENABLE = False
# RoIAlign shifted by half a pixel (the exact version).
_C.DETECTION.ALIGNED = True
# Input pixels per feature cell of res5.
_C.DETECTION.SPATIAL_SCALE_FACTOR = 16
# Cells of RoIAlign's output, each way.
_C.DETECTION.ROI_XFORM_RESOLUTION = 7

# ---- SlowFast and audio pathway -------------------------------------------------------------------------------------
_C.SLOWFAST = CfgNode()
# Slow's channels over Fast's.
_C.SLOWFAST.BETA_INV = 8
# Fast's frames over Slow's.
_C.SLOWFAST.ALPHA = 8
# Channels of the F->S lateral over Fast's channels.
_C.SLOWFAST.FUSION_CONV_CHANNEL_RATIO = 2
# Temporal kernel of the F->S lateral, frames.
_C.SLOWFAST.FUSION_KERNEL_SZ = 5
# Slow's channels over Audio's.
_C.SLOWFAST.AU_BETA_INV = 2
# Spectrogram frames over Slow's frames (DATA.AUDIO_FRAME_NUM / Slow's frames).
_C.SLOWFAST.AU_ALPHA = 32
# ByDim (AU_FUSION_CONV_CHANNEL_DIM) | ByRatio (AU_FUSION_CONV_CHANNEL_RATIO of Audio's channels).
_C.SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE = "ByDim"
# Channels between the convolutions of the audio lateral.
_C.SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM = 64
# The same, as a share of Audio's channels.
_C.SLOWFAST.AU_FUSION_CONV_CHANNEL_RATIO = 0.25
# Temporal kernel of the audio lateral's convolutions, spectrogram frames.
_C.SLOWFAST.AU_FUSION_KERNEL_SZ = 5
# Convolutions in the audio lateral.
_C.SLOWFAST.AU_FUSION_CONV_NUM = 2
# Halve audio time and frequency at res3, res4 and res5.
_C.SLOWFAST.AU_REDUCE_TF_DIM = True
# F->S lateral after pool1, res2, res3, res4.
_C.SLOWFAST.FS_FUSION = [True, True, True, True]
# Audio lateral after pool1, res2, res3, res4 (its kind: LATERAL.AUDIO).
_C.SLOWFAST.AFS_FUSION = [False, False, True, True]
# Audiovisual synchronisation loss at pool1, res2, res3, res4, res5.
_C.SLOWFAST.AVS_FLAG = [False, False, False, False, False]
# Dimension in which the loss compares sight and sound.
_C.SLOWFAST.AVS_PROJ_DIM = 64
# A spectrogram of less variance does not count for the loss.
_C.SLOWFAST.AVS_VAR_THRESH = 0.01
# A pair of spectrograms of higher cosine similarity does not count.
_C.SLOWFAST.AVS_DUPLICATE_THRESH = 0.99999
# Probability of dropping the audio pathway in a training iteration.
_C.SLOWFAST.DROPPATHWAY_RATE = 0.8

_C.LATERAL = CfgNode()
# Kind of the audio laterals: a2fs | a2f2s | av_nonlocal. (new node)
_C.LATERAL.AUDIO = "a2fs"
# The head sees pooled audio features (fusion at pool5).
_C.LATERAL.AUDIO_POOL5 = True
# Weight of each synchronisation loss in the training loss.
_C.LATERAL.AVS_WEIGHT = 1.0

# ---- Synchronisation (new node) -------------------------------------------------------------------------------------
_C.SYNC = CfgNode()
# Hard negatives are mixed in from this share of SOLVER.MAX_EPOCH on; below 0 DATA.MIX_NEG_EPOCH says from which epoch.
_C.SYNC.HARD_FROM = -1.0
# Share of super-hard negatives (the same video, overlapping the clip's own sound) among the hard ones.
_C.SYNC.SUPER_HARD_RATIO = 0.0
# Smallest shift of a super-hard negative, seconds; its largest is what makes a hard one.
_C.SYNC.SUPER_HARD_GAP = 0.2
# How sight and sound are compared: mean (averages over the clip, the authors' way) | time (instant by instant, then averaged).
_C.SYNC.POOL = "mean"
# TASK sync and pretrain measure mean distances over shifts of the sound by up to so many seconds, both ways.
_C.SYNC.MAX_SHIFT = 1.0
# From one shift to the next, seconds.
_C.SYNC.SHIFT_STEP = 0.05
