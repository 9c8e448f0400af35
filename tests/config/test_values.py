"""Values that cannot work, alone or together, are refused before anything is built, in one line with key and remedy."""

import re

import pytest
from helpers import TINY, tiny_cfg

from avslowfast.config import ConfigError, load_cfg
from avslowfast.config.validate import require_work

MULTI_LABEL = "DATA.MULTI_LABEL True MODEL.LOSS_FUNC bce_logit"
STEPS = "SOLVER.LR_POLICY steps_with_relative_lrs SOLVER.LRS [1,0.1,0.01]"
BOXES = "DETECTION.ENABLE True SLOWFAST.AVS_FLAG [False,False,False,False,False]"
HEADS = "MULTI_HEAD.NAMES [verb,noun] MULTI_HEAD.NUM_CLASSES [3,4] MULTI_HEAD.LOSS_WEIGHTS [1,1]"
NONLOCAL = "NONLOCAL.LOCATION [[[]],[[0]],[[]],[[]]]"
NO_RAND_AUGMENT = (
    *("rand-m99-n2", "rand", "rand-n2", "rand-m-5", "rand-m7-n0", "rand-m7-n20"),
    *("rand-m7-x3", "m7-n2", "augmix", "rand-m7-", "rand-mseven", "rand-m7-mstd100"),
)

# (overrides, the key that the message names first, a word of the remedy).
REFUSED = [
    # Not finite, or out of bounds.
    ("MODEL.NUM_CLASSES 1e999", "MODEL.NUM_CLASSES", "whole number"),
    ("MODEL.NUM_CLASSES 0", "MODEL.NUM_CLASSES", "1"),
    ("MODEL.NUM_CLASSES -3", "MODEL.NUM_CLASSES", "1"),
    ("MODEL.NUM_CLASSES 1000000000", "MODEL.NUM_CLASSES", "memory"),
    ("MODEL.NUM_CLASSES 3.5", "MODEL.NUM_CLASSES", "whole number"),
    ("MODEL.FC_INIT_STD -0.1", "MODEL.FC_INIT_STD", "0..10"),
    ("MODEL.DROPOUT_RATE 1", "MODEL.DROPOUT_RATE", "below 1"),
    ("MODEL.DROPOUT_RATE -0.1", "MODEL.DROPOUT_RATE", "at least 0"),
    ("SOLVER.MAX_EPOCH 1e400", "SOLVER.MAX_EPOCH", "whole number"),
    ("SOLVER.MAX_EPOCH 0", "SOLVER.MAX_EPOCH", "1"),
    ("SOLVER.BASE_LR 1e999", "SOLVER.BASE_LR", "number"),
    ("SOLVER.BASE_LR nan", "SOLVER.BASE_LR", "number"),
    ("SOLVER.BASE_LR -1", "SOLVER.BASE_LR", "0..1000"),
    ("SOLVER.COSINE_END_LR -1", "SOLVER.COSINE_END_LR", "0"),
    ("SOLVER.WARMUP_START_LR -1", "SOLVER.WARMUP_START_LR", "0"),
    ("SOLVER.WARMUP_START_LR inf", "SOLVER.WARMUP_START_LR", "number"),
    ("SOLVER.WEIGHT_DECAY -1", "SOLVER.WEIGHT_DECAY", "0"),
    ("SOLVER.WEIGHT_DECAY nan", "SOLVER.WEIGHT_DECAY", "number"),
    ("BN.WEIGHT_DECAY -1", "BN.WEIGHT_DECAY", "0"),
    ("SOLVER.MOMENTUM 2", "SOLVER.MOMENTUM", "below 1"),
    ("SOLVER.MOMENTUM 1", "SOLVER.MOMENTUM", "below 1"),
    ("SOLVER.MOMENTUM -0.9", "SOLVER.MOMENTUM", "at least 0"),
    ("SOLVER.DAMPENING 1.5", "SOLVER.DAMPENING", "0..1"),
    ("SOLVER.WARMUP_EPOCHS -1", "SOLVER.WARMUP_EPOCHS", "0"),
    ("SOLVER.WARMUP_EPOCHS 100000", "SOLVER.WARMUP_EPOCHS", "shorten"),
    ("SOLVER.BETAS [2,2] SOLVER.OPTIMIZING_METHOD adam", "SOLVER.BETAS", "below 1"),
    ("SOLVER.BETAS [0.9]", "SOLVER.BETAS", "2 values"),
    ("SOLVER.BETAS [0.9,1.0]", "SOLVER.BETAS", "below 1"),
    ("SOLVER.CLIP_GRAD_L2NORM -1", "SOLVER.CLIP_GRAD_L2NORM", "0"),
    ("SOLVER.CLIP_GRAD_VAL nan", "SOLVER.CLIP_GRAD_VAL", "number"),
    ("BN.MOMENTUM 5", "BN.MOMENTUM", "0..1"),
    ("BN.EPSILON 0", "BN.EPSILON", "above 0"),
    ("BN.EPSILON -1e-5", "BN.EPSILON", "above 0"),
    ("BN.NUM_BATCHES_PRECISE 0", "BN.NUM_BATCHES_PRECISE", "1"),
    ("BN.NUM_BATCHES_PRECISE -1", "BN.NUM_BATCHES_PRECISE", "1"),
    ("BN.NUM_SPLITS 0 BN.NORM_TYPE sub_batchnorm", "BN.NUM_SPLITS", "1"),
    ("BN.NUM_SPLITS 3 BN.NORM_TYPE sub_batchnorm TRAIN.BATCH_SIZE 8", "BN.NUM_SPLITS", "divisor"),
    ("BN.NUM_SYNC_DEVICES -1", "BN.NUM_SYNC_DEVICES", "0"),
    ("BN.NORM_TYPE batch_norm", "BN.NORM_TYPE", "sync_batchnorm"),
    ("EMA.DECAY 2 EMA.ENABLE True", "EMA.DECAY", "0..1"),
    ("EMA.DECAY nan", "EMA.DECAY", "0..1"),
    ("MIXUP.ALPHA -1", "MIXUP.ALPHA", "0"),
    ("MIXUP.ALPHA 0 MIXUP.CUTMIX_ALPHA 0 MIXUP.ENABLE True", "MIXUP.ALPHA", "MIXUP.ENABLE False"),
    ("MIXUP.LABEL_SMOOTH_VALUE 3 MIXUP.ENABLE True", "MIXUP.LABEL_SMOOTH_VALUE", "below 1"),
    ("MIXUP.PROB 1.1", "MIXUP.PROB", "0..1"),
    ("MIXUP.SWITCH_PROB -0.1", "MIXUP.SWITCH_PROB", "0..1"),
    ("SPECAUG.NUM_MASKS -1 SPECAUG.ENABLE True", "SPECAUG.NUM_MASKS", "0"),
    ("SPECAUG.MAX_TIME -1", "SPECAUG.MAX_TIME", "0"),
    ("SPECAUG.MAX_FREQ 1e10", "SPECAUG.MAX_FREQ", "0..1024"),
    ("AUG.NUM_SAMPLE 0", "AUG.NUM_SAMPLE", "1"),
    ("TRAIN.BATCH_SIZE 0", "TRAIN.BATCH_SIZE", "1"),
    ("TRAIN.BATCH_SIZE 2.5", "TRAIN.BATCH_SIZE", "whole number"),
    ("TRAIN.ACCUMULATION_STEPS 0", "TRAIN.ACCUMULATION_STEPS", "1"),
    ("TRAIN.ACCUMULATION_STEPS 7", "TRAIN.BATCH_SIZE", "multiple of 7"),
    ("TRAIN.EVAL_PERIOD 0", "TRAIN.EVAL_PERIOD", "1"),
    ("TRAIN.CHECKPOINT_PERIOD -1", "TRAIN.CHECKPOINT_PERIOD", "1"),
    ("TRAIN.CHECKPOINT_SECONDS -1", "TRAIN.CHECKPOINT_SECONDS", "0"),
    ("TRAIN.CHECKPOINT_SECONDS inf", "TRAIN.CHECKPOINT_SECONDS", "number"),
    ("TRAIN.CHECKPOINT_KEEP -1", "TRAIN.CHECKPOINT_KEEP", "0"),
    ("TRAIN.CHECKPOINT_KEEP_BEST 0", "TRAIN.CHECKPOINT_KEEP_BEST", "1"),
    ("TRAIN.CHECKPOINT_KEEP_EVERY -1", "TRAIN.CHECKPOINT_KEEP_EVERY", "0"),
    ("TEST.BATCH_SIZE 0", "TEST.BATCH_SIZE", "1"),
    ("TEST.BATCH_SIZE -4", "TEST.BATCH_SIZE", "1"),
    ("TEST.NUM_ENSEMBLE_VIEWS 0", "TEST.NUM_ENSEMBLE_VIEWS", "1..1000"),
    ("TEST.NUM_SPATIAL_CROPS 2", "TEST.NUM_SPATIAL_CROPS", "1, 3"),
    ("LOG_PERIOD 0", "LOG_PERIOD", "1"),
    ("RNG_SEED 1180591620717411303424", "RNG_SEED", "32 bits"),
    ("RNG_SEED -1", "RNG_SEED", "32 bits"),
    ("DATA_LOADER.NUM_WORKERS -1", "DATA_LOADER.NUM_WORKERS", "0..256"),
    ("DATA_LOADER.NUM_WORKERS 100000", "DATA_LOADER.NUM_WORKERS", "process"),
    ("NUM_GPUS -1", "NUM_GPUS", "0"),
    ("NUM_CPU_PROCESSES 0", "NUM_CPU_PROCESSES", "1..256"),
    ("NUM_SHARDS 0", "NUM_SHARDS", "1"),
    ("SHARD_ID -1", "SHARD_ID", "0"),
    ("SHARD_ID 1", "SHARD_ID", "numbered from 0"),
    ("DIST_BACKEND mpi", "DIST_BACKEND", "nccl, gloo"),
    ("FINETUNE.LR_AUDIO 0", "FINETUNE.LR_AUDIO", "FINETUNE.FREEZE"),
    ("FINETUNE.LR_REST nan", "FINETUNE.LR_REST", "above 0"),
    ("LATERAL.AVS_WEIGHT -1", "LATERAL.AVS_WEIGHT", "0"),
    ("LATERAL.AVS_WEIGHT inf", "LATERAL.AVS_WEIGHT", "number"),
    ("PRETRAIN.ROTATION_WEIGHT -1", "PRETRAIN.ROTATION_WEIGHT", "0"),
    ("PROBE.C []", "PROBE.C", "1 to 100 values"),
    ("PROBE.C [0]", "PROBE.C", "above 0"),
    ("PROBE.C [nan]", "PROBE.C", "above 0"),
    ("PROBE.RETRIEVAL_K [0]", "PROBE.RETRIEVAL_K", "1"),
    ("PROBE.RETRIEVAL_K [1.5]", "PROBE.RETRIEVAL_K", "whole number"),
    ("PROBE.STAGE res6", "PROBE.STAGE", "res5"),
    ("AMP.DTYPE float8", "AMP.DTYPE", "bfloat16"),
    ("TENSORBOARD.CLIPS -1", "TENSORBOARD.CLIPS", "0"),
    ("MULTIGRID.LONG_CYCLE True", "MULTIGRID.LONG_CYCLE", "steps_with_relative_lrs"),
    ("MULTIGRID.LONG_CYCLE_FACTORS [[0,1]]", "MULTIGRID.LONG_CYCLE_FACTORS", "above 0"),
    ("MULTIGRID.EPOCH_FACTOR 0", "MULTIGRID.EPOCH_FACTOR", "above 0"),
    ("MULTIGRID.EVAL_FREQ 0", "MULTIGRID.EVAL_FREQ", "1"),
    ("AVA.TEST_FORCE_FLIP yes", "AVA.TEST_FORCE_FLIP", "set it to False"),
    # Pixels and clips.
    ("DATA.MEAN ['a','b','c']", "DATA.MEAN", "value 1 in it, 'a'"),
    ("DATA.MEAN []", "DATA.MEAN", "3 values"),
    ("DATA.MEAN [0.1,0.2,nan]", "DATA.MEAN", "value 3 in it"),
    ("DATA.MEAN [104,117,123]", "DATA.MEAN", "0..1"),
    ("DATA.MEAN [[0.1],[0.2],[0.3]]", "DATA.MEAN", "0..1"),
    ("DATA.MEAN 0.45", "DATA.MEAN", "a list of 3 values"),
    ("DATA.STD [0.2,0.2]", "DATA.STD", "3 values"),
    ("DATA.STD [0,0,0]", "DATA.STD", "0.001..1"),
    ("DATA.STD [-1,1,1]", "DATA.STD", "0.001..1"),
    ("DATA.STD [1e-300,1,1]", "DATA.STD", "0.001..1"),
    ("DATA.TRAIN_JITTER_SCALES ['a','b']", "DATA.TRAIN_JITTER_SCALES", "whole number"),
    ("DATA.TRAIN_JITTER_SCALES [64]", "DATA.TRAIN_JITTER_SCALES", "2 values"),
    ("DATA.TRAIN_JITTER_SCALES [64,56]", "DATA.TRAIN_JITTER_SCALES", "smallest, largest"),
    ("DATA.TRAIN_JITTER_SCALES [64,1000000]", "DATA.TRAIN_JITTER_SCALES", "1..4096"),
    ("DATA.TRAIN_CROP_SIZE 100000", "DATA.TRAIN_CROP_SIZE", "1..2048"),
    ("DATA.TEST_CROP_SIZE -1", "DATA.TEST_CROP_SIZE", "1..2048"),
    ("DATA.NUM_FRAMES 0", "DATA.NUM_FRAMES", "1..1024"),
    ("DATA.NUM_FRAMES 1000000", "DATA.NUM_FRAMES", "in memory at once"),
    ("DATA.SAMPLING_RATE 100000000", "DATA.SAMPLING_RATE", "in memory at once"),
    ("DATA.SAMPLING_RATE 0", "DATA.SAMPLING_RATE", "1..1000"),
    ("DATA.SAMPLING_RATE 1000 DATA.TARGET_FPS 1", "DATA.SAMPLING_RATE", "600 s"),
    ("DATA.TARGET_FPS 0", "DATA.TARGET_FPS", "1..1000"),
    ("DATA.INPUT_CHANNEL_NUM [1,1,1]", "DATA.INPUT_CHANNEL_NUM", "3 channels"),
    ("DATA.INPUT_CHANNEL_NUM [3,1]", "DATA.INPUT_CHANNEL_NUM", "3 channels"),
    ("DATA.INPUT_CHANNEL_NUM ['x']", "DATA.INPUT_CHANNEL_NUM", "one of 1, 3"),
    ("DATA.INPUT_CHANNEL_NUM [4]", "DATA.INPUT_CHANNEL_NUM", "one of 1, 3"),
    ("DATA.INPUT_CHANNEL_NUM []", "DATA.INPUT_CHANNEL_NUM", "1 to 3 values"),
    ("DATA.ENSEMBLE_METHOD mean", "DATA.ENSEMBLE_METHOD", "sum, max"),
    ("DATA.TRAIN_FRACTION 0", "DATA.TRAIN_FRACTION", "above 0"),
    ("DATA.TRAIN_FRACTION 10", "DATA.TRAIN_FRACTION", "at most 1"),
    ("DATA.MAX_FAILED_FRACTION 1.5", "DATA.MAX_FAILED_FRACTION", "0..1"),
    ("DATA.FOLD 0", "DATA.FOLD", "1"),
    ("DATA.VIDEO_FILE {", "DATA.VIDEO_FILE", "{video}"),
    ("DATA.VIDEO_FILE {}.mp4", "DATA.VIDEO_FILE", "{video}"),
    ("DATA.VIDEO_FILE {video.__class__}.mp4", "DATA.VIDEO_FILE", "{video}"),
    ("DATA.AUDIO_FILE {video", "DATA.AUDIO_FILE", "{video}"),
    ("AVA.DETECTION_SCORE_THRESH 80", "AVA.DETECTION_SCORE_THRESH", "0..1"),
    ("AVA.FIRST_SECOND -1", "AVA.FIRST_SECOND", "0"),
    ("AVA.TRAIN_PCA_EIGVAL [1,2]", "AVA.TRAIN_PCA_EIGVAL", "3 values"),
    ("AVA.TRAIN_PCA_EIGVEC [[1,0,0],[0,1,0],[0,0]]", "AVA.TRAIN_PCA_EIGVEC", "value 3 in it, [0, 0]"),
    ("AVA.TRAIN_GT_BOX_LISTS boxes.csv", "AVA.TRAIN_GT_BOX_LISTS", "a list"),
    ("AVA.TRAIN_GT_BOX_LISTS ['']", "AVA.TRAIN_GT_BOX_LISTS", "not empty"),
    ("AVA.TRAIN_GT_BOX_LISTS [[a]]", "AVA.TRAIN_GT_BOX_LISTS", "a path"),
    ("AVA.MAX_BOXES -1", "AVA.MAX_BOXES", "0"),
    # Audio.
    ("DATA.AUDIO_SAMPLE_RATE 0", "DATA.AUDIO_SAMPLE_RATE", "1000..192000"),
    ("DATA.AUDIO_SAMPLE_RATE 1e9", "DATA.AUDIO_SAMPLE_RATE", "1000..192000"),
    ("DATA.AUDIO_MEL_NUM 100000", "DATA.AUDIO_MEL_NUM", "bands"),
    ("DATA.AUDIO_MEL_NUM 300", "DATA.AUDIO_MEL_NUM", "257"),
    ("DATA.AUDIO_MEL_NUM 0", "DATA.AUDIO_MEL_NUM", "1"),
    ("DATA.AUDIO_WIN_SZ 0", "DATA.AUDIO_WIN_SZ", "1..1000"),
    ("DATA.AUDIO_STEP_SZ -16", "DATA.AUDIO_STEP_SZ", "1..1000"),
    ("DATA.AUDIO_SAMPLE_RATE 22050", "DATA.AUDIO_STEP_SZ", "16000 Hz"),
    ("DATA.AUDIO_FRAME_NUM 0", "DATA.AUDIO_FRAME_NUM", "1..8192"),
    ("DATA.AUDIO_FRAME_NUM 8192 DATA.AUDIO_STEP_SZ 1000", "DATA.AUDIO_FRAME_NUM", "600 s"),
    ("DATA.LOGMEL_STD 0", "DATA.LOGMEL_STD", "0.001"),
    ("DATA.LOGMEL_STD -4.66", "DATA.LOGMEL_STD", "0.001"),
    ("DATA.LOGMEL_MEAN inf", "DATA.LOGMEL_MEAN", "number"),
    ("DATA.EASY_NEG_RATIO 75", "DATA.EASY_NEG_RATIO", "0..1"),
    ("DATA.MIX_NEG_EPOCH -1", "DATA.MIX_NEG_EPOCH", "0"),
    ("DATA.AUDIO_MISALIGNED_GAP -32", "DATA.AUDIO_MISALIGNED_GAP", "0"),
    ("SYNC.HARD_FROM 2", "SYNC.HARD_FROM", "-1..1"),
    ("SYNC.SUPER_HARD_GAP 0", "SYNC.SUPER_HARD_GAP", "above 0"),
    (
        "SYNC.SUPER_HARD_RATIO 0.5 SYNC.SUPER_HARD_GAP 3 DATA.GET_MISALIGNED_AUDIO True",
        "SYNC.SUPER_HARD_GAP",
        "no super-hard ones",
    ),
    ("SYNC.MAX_SHIFT 0", "SYNC.MAX_SHIFT", "above 0"),
    ("SYNC.SHIFT_STEP 2", "SYNC.SHIFT_STEP", "lower it"),
    ("SYNC.SHIFT_STEP 1e-9", "SYNC.SHIFT_STEP", "0.001"),
    ("SYNC.SHIFT_STEP 0.001", "SYNC.SHIFT_STEP", "2001 shifts"),
    ("SYNC.POOL max", "SYNC.POOL", "mean, time"),
    # Networks.
    ("RESNET.NUM_BLOCK_TEMP_KERNEL [[2],[2],[2],['x']]", "RESNET.NUM_BLOCK_TEMP_KERNEL", "value 4 in it"),
    ("RESNET.NUM_BLOCK_TEMP_KERNEL [[2],[2],[2]]", "RESNET.NUM_BLOCK_TEMP_KERNEL", "4 values"),
    ("RESNET.NUM_BLOCK_TEMP_KERNEL [[2],[2],[2],[]]", "RESNET.NUM_BLOCK_TEMP_KERNEL", "value 4 in it, []"),
    ("RESNET.NUM_BLOCK_TEMP_KERNEL [2,2,2,2]", "RESNET.NUM_BLOCK_TEMP_KERNEL", "value 1 in it, 2"),
    ("RESNET.NUM_BLOCK_TEMP_KERNEL [[-1],[2],[2],[2]]", "RESNET.NUM_BLOCK_TEMP_KERNEL", "0..64"),
    ("RESNET.SPATIAL_STRIDES [[1,1],[2,2],[2,2],[0,0]]", "RESNET.SPATIAL_STRIDES", "1..8"),
    ("RESNET.SPATIAL_STRIDES [[1,1],[2,1],[2,2],[2,2]]", "RESNET.SPATIAL_STRIDES", "res3"),
    ("RESNET.SPATIAL_STRIDES [[1,1],[2.5,2.5],[2,2],[2,2]]", "RESNET.SPATIAL_STRIDES", "whole number"),
    ("RESNET.SPATIAL_DILATIONS [[1,1],[1,1],[1,1],[-1,-1]]", "RESNET.SPATIAL_DILATIONS", "1..16"),
    ("RESNET.SPATIAL_DILATIONS [[1],[1],[1],[1],[1]]", "RESNET.SPATIAL_DILATIONS", "4 values"),
    ("RESNET.WIDTH_PER_GROUP 0", "RESNET.WIDTH_PER_GROUP", "1..1024"),
    ("RESNET.WIDTH_PER_GROUP 100000", "RESNET.WIDTH_PER_GROUP", "memory"),
    ("RESNET.NUM_GROUPS 0", "RESNET.NUM_GROUPS", "1..1024"),
    ("RESNET.NUM_GROUPS 1024 RESNET.WIDTH_PER_GROUP 64", "RESNET.NUM_GROUPS", "use 64 or fewer"),
    ("RESNET.DEPTH 20", "RESNET.DEPTH", "18, 34, 50, 101, 152"),
    ("RESNET.AUDIO_TRANS_NUM 5", "RESNET.AUDIO_TRANS_NUM", "0..4"),
    ("SLOWFAST.ALPHA 0", "SLOWFAST.ALPHA", "1..1024"),
    ("SLOWFAST.ALPHA 2.5", "SLOWFAST.ALPHA", "whole number"),
    ("SLOWFAST.BETA_INV 0", "SLOWFAST.BETA_INV", "1..1024"),
    ("SLOWFAST.BETA_INV 3", "SLOWFAST.BETA_INV", "RESNET.WIDTH_PER_GROUP"),
    ("SLOWFAST.AU_BETA_INV 0", "SLOWFAST.AU_BETA_INV", "1..1024"),
    ("SLOWFAST.AU_ALPHA 0", "SLOWFAST.AU_ALPHA", "1..8192"),
    ("SLOWFAST.FUSION_KERNEL_SZ 0", "SLOWFAST.FUSION_KERNEL_SZ", "odd"),
    ("SLOWFAST.FUSION_KERNEL_SZ 4", "SLOWFAST.FUSION_KERNEL_SZ", "odd"),
    ("SLOWFAST.AU_FUSION_KERNEL_SZ 2", "SLOWFAST.AU_FUSION_KERNEL_SZ", "odd"),
    ("SLOWFAST.FUSION_CONV_CHANNEL_RATIO 0", "SLOWFAST.FUSION_CONV_CHANNEL_RATIO", "1..64"),
    ("SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM 0", "SLOWFAST.AU_FUSION_CONV_CHANNEL_DIM", "1..16384"),
    ("SLOWFAST.AU_FUSION_CONV_CHANNEL_RATIO 0", "SLOWFAST.AU_FUSION_CONV_CHANNEL_RATIO", "above 0"),
    ("SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE bydim", "SLOWFAST.AU_FUSION_CONV_CHANNEL_MODE", "ByDim"),
    ("SLOWFAST.AU_FUSION_CONV_NUM 0", "SLOWFAST.AU_FUSION_CONV_NUM", "1..16"),
    ("SLOWFAST.FS_FUSION [1,1,1,1]", "SLOWFAST.FS_FUSION", "True or False"),
    ("SLOWFAST.AFS_FUSION [yes,no,yes]", "SLOWFAST.AFS_FUSION", "4 values"),
    ("SLOWFAST.AVS_FLAG True", "SLOWFAST.AVS_FLAG", "a list of 5 values"),
    ("SLOWFAST.AVS_PROJ_DIM 0", "SLOWFAST.AVS_PROJ_DIM", "1..16384"),
    ("SLOWFAST.AVS_VAR_THRESH -1", "SLOWFAST.AVS_VAR_THRESH", "0"),
    ("SLOWFAST.AVS_DUPLICATE_THRESH 2", "SLOWFAST.AVS_DUPLICATE_THRESH", "-1..1"),
    ("SLOWFAST.DROPPATHWAY_RATE 80", "SLOWFAST.DROPPATHWAY_RATE", "0..1"),
    ("NONLOCAL.LOCATION []", "NONLOCAL.LOCATION", "4 values"),
    ("NONLOCAL.LOCATION [[],[],[],[]]", "NONLOCAL.LOCATION", "1 to 3 values"),
    ("NONLOCAL.LOCATION [[[]],[[-1]],[[]],[[]]]", "NONLOCAL.LOCATION", "0..64"),
    ("NONLOCAL.LOCATION [[[]],[[1,1]],[[]],[[]]]", "NONLOCAL.LOCATION", "twice"),
    ("NONLOCAL.LOCATION [[[]],[[7]],[[]],[[]]]", "NONLOCAL.LOCATION", "2 blocks"),
    (f"{NONLOCAL} NONLOCAL.GROUP [[1],[3],[1],[1]]", "NONLOCAL.GROUP", "divisor"),
    ("NONLOCAL.GROUP [[0],[1],[1],[1]]", "NONLOCAL.GROUP", "1..1024"),
    (f"{NONLOCAL} NONLOCAL.POOL [[[1,2,2]],[[8,2,2]],[[1,2,2]],[[1,2,2]]]", "NONLOCAL.POOL", "smaller pool"),
    ("NONLOCAL.LOCATION [[[]],[[]],[[]],[[0]]] DATA.TRAIN_CROP_SIZE 32", "NONLOCAL.POOL", "(4, 1, 1)"),
    ("NONLOCAL.POOL [[[1,2]],[[1,2,2]],[[1,2,2]],[[1,2,2]]]", "NONLOCAL.POOL", "3 values"),
    ("NONLOCAL.INSTANTIATION gaussian", "NONLOCAL.INSTANTIATION", "dot_product"),
    ("DETECTION.SPATIAL_SCALE_FACTOR 0", "DETECTION.SPATIAL_SCALE_FACTOR", "1..1024"),
    ("DETECTION.ROI_XFORM_RESOLUTION 0", "DETECTION.ROI_XFORM_RESOLUTION", "1..64"),
    # Names.
    ("TRAIN.DATASET kinetcs", "TRAIN.DATASET", "did you mean 'kinetics'?"),
    ("TEST.DATASET Kinetcs", "TEST.DATASET", "use one of"),
    ("MODEL.ARCH fast", "MODEL.ARCH", "a Fast pathway alone is a model of auditory-slow-fast"),
    ("MODEL.MODEL_NAME PTVX3D", "MODEL.MODEL_NAME", "X3D is a model of PySlowFast"),
    ("MODEL.MODEL_NAME MyNetwork", "MODEL.MODEL_NAME", "unknown network class"),
    ("RESNET.TRANS_FUNC x3d_transform", "RESNET.TRANS_FUNC", "X3D is a model of PySlowFast"),
    ("TASK ssl", "TASK", "use TASK pretrain"),
    ("MODEL.ARCH csn", "MODEL.ARCH", "CSN is a model of PySlowFast"),
    ("MODEL.ARCH SLOWFAST", "MODEL.ARCH", "use one of"),
    ("MODEL.HEAD ResNetBasicHead", "MODEL.HEAD", "use one of"),
    ("TEST.METRICS [top1,top1]", "TEST.METRICS", "twice"),
    ("LOGGERS tensorboard", "LOGGERS", "a list"),
    ("PRETRAIN.TASKS [avs,avs]", "PRETRAIN.TASKS", "twice"),
    ("PLUGINS [1]", "PLUGINS", "the name of a module"),
    ("MULTI_HEAD.NAMES [verb,verb]", "MULTI_HEAD.NAMES", "twice"),
    ("MULTI_HEAD.NAMES [a.b]", "MULTI_HEAD.NAMES", "letters, digits"),
    ("MULTI_HEAD.NAMES [../verb]", "MULTI_HEAD.NAMES", "letters, digits"),
    ("MULTI_HEAD.NAMES [verb,noun] MULTI_HEAD.NUM_CLASSES [2]", "MULTI_HEAD.NAMES", "one of each"),
    ("MULTI_HEAD.NUM_CLASSES [0]", "MULTI_HEAD.NUM_CLASSES", "1"),
    ("MULTI_HEAD.LOSS_WEIGHTS [-1]", "MULTI_HEAD.LOSS_WEIGHTS", "0"),
    ("FINETUNE.FREEZE slow", "FINETUNE.FREEZE", "a list"),
    ("FINETUNE.FREEZE [res7]", "FINETUNE.FREEZE", "res5"),
    ("OUTPUT_DIR ''", "OUTPUT_DIR", "not empty"),
    ("DATA.PATH_LABEL_SEPARATOR ''", "DATA.PATH_LABEL_SEPARATOR", "not empty"),
    # RandAugment's setting.
    *((f"AUG.AA_TYPE {setting}", "AUG.AA_TYPE", "rand-m") for setting in NO_RAND_AUGMENT),
    # Several keys together.
    (f"{STEPS} SOLVER.STEPS [1,5]", "SOLVER.STEPS", "starting at 0"),
    (f"{STEPS} SOLVER.STEPS []", "SOLVER.STEPS", "starting at 0"),
    (f"{STEPS} SOLVER.STEPS [0,1,2,3]", "SOLVER.STEPS", "SOLVER.LRS has 3 rates"),
    (f"{STEPS} SOLVER.STEPS [0,-1]", "SOLVER.STEPS", "0..1000000"),
    (f"{STEPS} SOLVER.STEPS [0,nan]", "SOLVER.STEPS", "number"),
    ("SOLVER.LRS [-1]", "SOLVER.LRS", "number"),
    (MULTI_LABEL, "MODEL.HEAD_ACT", "set it to sigmoid"),
    ("DATA.MULTI_LABEL True", "MODEL.LOSS_FUNC", "bce_logit"),
    ("MODEL.LOSS_FUNC bce", "MODEL.LOSS_FUNC", "cross_entropy"),
    ("MODEL.HEAD_ACT sigmoid", "MODEL.HEAD_ACT", "set it to softmax"),
    ("MODEL.HEAD_ACT sigmoid MODEL.LOSS_FUNC soft_cross_entropy", "MODEL.HEAD_ACT", "set it to softmax"),
    (f"{BOXES} MODEL.HEAD_ACT sigmoid", "MODEL.HEAD_ACT", "set it to softmax"),
    ("PATHWAY.SLOW audio", "PATHWAY.SLOW", "set it to slow"),
    ("PATHWAY.FAST audio", "PATHWAY.FAST", "set it to fast"),
    ("PATHWAY.AUDIO slow", "PATHWAY.AUDIO", "set it to audio"),
    ("PATHWAY.AUDIO fast", "PATHWAY.AUDIO", "set it to audio"),
    ("MODEL.HEAD multi", "MODEL.HEAD", "set it to single"),
    ("MODEL.HEAD roi", "MODEL.HEAD", "set it to single"),
    ("MODEL.HEAD pretext", "MODEL.HEAD", "set it to single"),
    (f"{BOXES} MODEL.HEAD single", "MODEL.HEAD", "set it to roi"),
    (f"{HEADS} MODEL.HEAD single", "MODEL.HEAD", "set it to multi"),
    ("TASK sync TEST.NUM_SPATIAL_CROPS 1 MODEL.HEAD single", "MODEL.HEAD", "set it to pretext"),
    (f"{BOXES} MODEL.HEAD_ACT relu", "MODEL.HEAD_ACT", "softmax, sigmoid"),
]  # fmt: skip


@pytest.mark.parametrize("words, key, remedy", REFUSED, ids=[words[:70] for words, _, _ in REFUSED])
def test_a_value_that_cannot_work_is_one_line_with_key_value_and_remedy(words, key, remedy):
    with pytest.raises(ConfigError) as error:
        load_cfg(TINY, words.split())
    message = str(error.value)
    assert re.match(rf"(command line: |.*TINY\.yaml, line \d+: )?{re.escape(key)} is ", message), message
    assert remedy in message
    assert "\n" not in message


ACCEPTED = [
    "MODEL.HEAD single",
    f"{HEADS} MODEL.HEAD multi",
    f"{BOXES} MODEL.HEAD roi",
    "SOLVER.STEPS [0,5,2]",  # Without a policy that reads them.
    f"{STEPS} SOLVER.STEPS [0,10,15,20] SOLVER.MAX_EPOCH 20",
    f"{STEPS} SOLVER.STEPS [0,10,15] SOLVER.MAX_EPOCH 20",
    f"{MULTI_LABEL} MODEL.HEAD_ACT sigmoid",
    f"{BOXES} MODEL.LOSS_FUNC bce",
    f"{BOXES} MODEL.LOSS_FUNC bce MODEL.HEAD_ACT sigmoid",
    f"{BOXES} MODEL.LOSS_FUNC bce_logit DATA.MULTI_LABEL True",
    "MODEL.LOSS_FUNC soft_cross_entropy MIXUP.ENABLE True",
    "MIXUP.ENABLE True MIXUP.ALPHA 0",
    "MIXUP.ALPHA 0 MIXUP.CUTMIX_ALPHA 0",
    "TASK sync TEST.NUM_SPATIAL_CROPS 1 MODEL.HEAD_ACT sigmoid",
    "AUG.AA_TYPE rand-m9-mstd0.5-inc1",
    "AUG.AA_TYPE rand-m10-n19-mstd0",
    "AUG.AA_TYPE rand-n2-m7.5",
    "RNG_SEED 4294967295",
    "SOLVER.BASE_LR 0",
    "SOLVER.BASE_LR 1e-4",
    "SOLVER.BASE_LR .05",
    "TRAIN.CHECKPOINT_SECONDS 0",
    "NONLOCAL.LOCATION [[[],[]],[[1],[]],[[],[0]],[[],[]]]",
    "DATA.INPUT_CHANNEL_NUM [3,3,1]",
    "DATA.INPUT_CHANNEL_NUM [3]",
    "MODEL.ARCH audio DATA.INPUT_CHANNEL_NUM [1] SLOWFAST.AVS_FLAG [no,no,no,no,no] TEST.NUM_SPATIAL_CROPS 1",
    "DATA.AUDIO_MEL_NUM 257 SLOWFAST.AU_REDUCE_TF_DIM True",
    "DATA.VIDEO_FILE {participant}/{video}_{start:06d}.mp4",
    "TRAIN.DATASET SSv2",
    "TRAIN.ENABLE False TEST.ENABLE False",
]


@pytest.mark.parametrize("words", ACCEPTED)
def test_what_can_work_is_accepted(words):
    assert load_cfg(TINY, words.split()).is_frozen()


@pytest.mark.parametrize(
    "words, work",
    [
        ("TRAIN.ENABLE False TEST.ENABLE False", False),
        ("TRAIN.ENABLE True TEST.ENABLE False", True),
        ("TRAIN.ENABLE False TEST.ENABLE True", True),
        # A probe is fitted and scored in any case.
        ("TASK probe TRAIN.ENABLE False TEST.ENABLE False", True),
    ],
)
def test_a_run_needs_something_to_do(words, work):
    cfg = load_cfg(TINY, words.split())
    if work:
        require_work(cfg)
    else:
        with pytest.raises(ConfigError, match="TRAIN.ENABLE and TEST.ENABLE are False: there is nothing to do"):
            require_work(cfg)


def test_the_first_name_of_slow_in_pyslowfast_is_slow():
    assert tiny_cfg("MODEL.ARCH", "slowonly").MODEL.ARCH == "slow"


def test_the_last_value_of_a_key_counts_and_it_alone_is_checked(tmp_path):
    (tmp_path / "x.yaml").write_text(f"_BASE_: {TINY}\nSOLVER:\n  BASE_LR: -1\nMODEL:\n  ARCH: x3d\n")
    assert load_cfg(tmp_path / "x.yaml", ["SOLVER.BASE_LR", 0.5, "MODEL.ARCH", "slow"]).SOLVER.BASE_LR == 0.5


@pytest.mark.parametrize(
    "body, line",
    [
        ("SOLVER:\n  BASE_LR: .inf\n", 3),
        ("SOLVER: {BASE_LR: -.inf}\n", 2),
        ("# A comment.\nSOLVER:\n\n  BASE_LR: .nan\n", 5),
        ("SOLVER.BASE_LR: 1e999\n", 2),
    ],
)
def test_a_value_of_a_file_is_named_with_file_and_line(tmp_path, body, line):
    (tmp_path / "x.yaml").write_text(f"_BASE_: {TINY}\n{body}")
    with pytest.raises(ConfigError, match=rf"x\.yaml, line {line}: SOLVER\.BASE_LR is .*has to be a number"):
        load_cfg(tmp_path / "x.yaml")


def test_keys_that_do_not_fit_together_name_the_line_of_the_one_to_change(tmp_path):
    (tmp_path / "x.yaml").write_text(f"_BASE_: {TINY}\nMODEL:\n  HEAD_ACT: sigmoid\n")
    with pytest.raises(ConfigError, match=r"x\.yaml, line 3: MODEL\.HEAD_ACT is 'sigmoid'"):
        load_cfg(tmp_path / "x.yaml")


VALUES = [float("nan"), float("inf"), 10**400, 10**5000, -1, "1e999", None, [], object()]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_values_of_python_are_checked_as_well(value):
    with pytest.raises(ConfigError, match="^command line: SOLVER.MAX_EPOCH is ") as error:
        tiny_cfg("SOLVER.MAX_EPOCH", value)
    assert len(str(error.value)) < 400
