"""Every configuration key: its default, unit and meaning. Those of the networks are in `defaults_model.py`.

Names are PySlowFast's and, for audio, those of the AVSlowFast authors, so that a YAML of either project loads
unchanged. A key that this project adds is in a new node or says "(new)". A test checks that each key has a comment.
"""

from fvcore.common.config import CfgNode

from .defaults_model import DEFAULTS
from .derived import Cfg

_C = DEFAULTS

# An entry of the TASKS registry: classification | detection (which DETECTION.ENABLE chooses as well) | sync (train and
# measure synchronisation alone) | pretrain (train without labels, see PRETRAIN) | probe (train a linear classifier on
# fixed features, see PROBE). (new)
_C.TASK = "classification"
# Plugins: names of Python modules that are imported before all other keys are read; they register laterals, data sets,
# tasks, ... and may add configuration nodes. Those given by --import are added. (new)
_C.PLUGINS = []

# ---- Batch normalisation --------------------------------------------------------------------------------------------
_C.BN = CfgNode()
# Re-estimate the running statistics from training clips before each evaluation.
_C.BN.USE_PRECISE_STATS = False
# Batches used for precise statistics.
_C.BN.NUM_BATCHES_PRECISE = 200
# Weight decay of the normalisation weights.
_C.BN.WEIGHT_DECAY = 0.0
# batchnorm | sub_batchnorm | sync_batchnorm | frozen_batchnorm (statistics and affine weights fixed).
_C.BN.NORM_TYPE = "batchnorm"
# Splits of the batch that sub_batchnorm normalises separately.
_C.BN.NUM_SPLITS = 1
# Ranks that share statistics in sync_batchnorm; 0 means all of them.
_C.BN.NUM_SYNC_DEVICES = 0
# Weight of the newest batch in the running statistics (PyTorch's convention), 0..1.
_C.BN.MOMENTUM = 0.1
# Added to the variance.
_C.BN.EPSILON = 1e-5

# ---- Training -------------------------------------------------------------------------------------------------------
_C.TRAIN = CfgNode()
# Train the model.
_C.TRAIN.ENABLE = True
# Data set to train and validate on, an entry of the DATASETS registry.
_C.TRAIN.DATASET = "kinetics"
# Clips per iteration, over all ranks of one machine (PySlowFast's meaning).
_C.TRAIN.BATCH_SIZE = 64
# Epochs from one validation to the next; the last epoch is always validated.
_C.TRAIN.EVAL_PERIOD = 10
# Epochs from one checkpoint to the next; the last epoch is always saved.
_C.TRAIN.CHECKPOINT_PERIOD = 10
# Seconds from one checkpoint in the middle of an epoch to the next; 0 saves none there. (new)
_C.TRAIN.CHECKPOINT_SECONDS = 1800.0
# Number of newest checkpoints to keep, in addition to the best one by validation; 0 keeps all. (new)
_C.TRAIN.CHECKPOINT_KEEP = 3
# Resume from the newest complete checkpoint in OUTPUT_DIR.
_C.TRAIN.AUTO_RESUME = True
# Validation metric that chooses the best checkpoint; "" is the first one of the data set's protocol. (new)
_C.TRAIN.BEST_METRIC = ""
# Weights to start from, in any supported format: a local path or one that iopath opens. Training starts at epoch 0.
_C.TRAIN.CHECKPOINT_FILE_PATH = ""
# Parts of the network that it has to contain; the run ends where they are missing: shared (every part that both have,
# except for the classifier) | all | none | prefixes of tensor names joined by commas, e.g.
# "pathways.slow,pathways.fast". (new)
_C.TRAIN.CHECKPOINT_REQUIRED = "shared"
# PySlowFast's key; the format is detected automatically, so every value means the same.
_C.TRAIN.CHECKPOINT_TYPE = "pytorch"
# PySlowFast's key; training from given weights always starts at epoch 0.
_C.TRAIN.CHECKPOINT_EPOCH_RESET = True
# PySlowFast's key; a 2-D network is detected automatically and inflated.
_C.TRAIN.CHECKPOINT_INFLATE = False
# PySlowFast's key; prefixes that wrappers put before names are detected automatically.
_C.TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN = []
# Forward passes per optimiser step; each takes BATCH_SIZE / ACCUMULATION_STEPS clips. (new)
_C.TRAIN.ACCUMULATION_STEPS = 1
# Automatic mixed precision (see AMP.DTYPE).
_C.TRAIN.MIXED_PRECISION = False
# torch.compile the network, GPU only: one graph for each of DropPathway's two cases (three each where hard negatives
# are mixed in). (new)
_C.TRAIN.COMPILE = False
# Channels-last memory format, GPU only. (new)
_C.TRAIN.CHANNELS_LAST = False
# Compute the audio pathway on a side stream (CUDA), in parallel with the visual stages; not under COMPILE. (new)
_C.TRAIN.AUDIO_STREAM = False

# ---- Fine-tuning (new node) -----------------------------------------------------------------------------------------
_C.FINETUNE = CfgNode()
# Parts whose weights and batch norm statistics do not change: pathways (slow, fast, audio), stages (pool1, res2 ..
# res5, of every pathway, with their laterals), one stage of one pathway (slow.res2), laterals.
_C.FINETUNE.FREEZE = []
# Factor on the learning rate of the classifier.
_C.FINETUNE.LR_HEAD = 1.0
# Factor on the learning rate of the audio pathway, its laterals and the synchronisation heads.
_C.FINETUNE.LR_AUDIO = 1.0
# Factor on the learning rate of all other parts.
_C.FINETUNE.LR_REST = 1.0

# ---- Mixed precision (new node) -------------------------------------------------------------------------------------
_C.AMP = CfgNode()
# auto (bfloat16 where the device supports it, else float16) | bfloat16 | float16.
_C.AMP.DTYPE = "auto"
# Compute float32 convolutions and matrix products in TF32, GPU only.
_C.AMP.TF32 = True

# ---- Exponential moving average of the weights (new node) -----------------------------------------------------------
_C.EMA = CfgNode()
# Keep an average of the weights, which evaluation uses.
_C.EMA.ENABLE = False
# Share of the average that is kept at each step, 0..1.
_C.EMA.DECAY = 0.9999

# ---- Augmentation ---------------------------------------------------------------------------------------------------
_C.AUG = CfgNode()
# Apply RandAugment to the frames in training.
_C.AUG.ENABLE = False
# Strength of RandAugment: rand-m{magnitude 0..10}-n{operations}-mstd{standard deviation}.
_C.AUG.AA_TYPE = "rand-m7-n2-mstd0.5"
# Clips from each video of a batch, read from one open file, each cut and augmented separately (repeated
# augmentation, arXiv 1901.09335); a batch then has BATCH_SIZE x NUM_SAMPLE clips.
_C.AUG.NUM_SAMPLE = 1

_C.SPECAUG = CfgNode()
# Apply SpecAugment (arXiv 1904.08779) to the log-mel spectrogram in training: masked cells get the normalised mean, 0.
# (new node)
_C.SPECAUG.ENABLE = False
# Number of time masks, and of frequency masks.
_C.SPECAUG.NUM_MASKS = 2
# Longest time mask, in spectrogram frames.
_C.SPECAUG.MAX_TIME = 16
# Widest frequency mask, in mel bands.
_C.SPECAUG.MAX_FREQ = 10

_C.MIXUP = CfgNode()
# Apply mixup / CutMix; frames and audio of a clip are mixed with the same partner and share.
_C.MIXUP.ENABLE = False
# Parameter of mixup's beta distribution; 0 switches mixup off.
_C.MIXUP.ALPHA = 0.8
# Parameter of CutMix's beta distribution; 0 switches CutMix off.
_C.MIXUP.CUTMIX_ALPHA = 1.0
# Share of the iterations that mix, 0..1.
_C.MIXUP.PROB = 1.0
# Share of CutMix among these where both are on, 0..1.
_C.MIXUP.SWITCH_PROB = 0.5
# Label smoothing used with mixing.
_C.MIXUP.LABEL_SMOOTH_VALUE = 0.1

# ---- Testing --------------------------------------------------------------------------------------------------------
_C.TEST = CfgNode()
# Test with several views per video.
_C.TEST.ENABLE = True
# Data set to test on, an entry of the DATASETS registry.
_C.TEST.DATASET = "kinetics"
# Clips per forward pass in validation and test, over all ranks of one machine.
_C.TEST.BATCH_SIZE = 8
# Weights to test; "" is the newest checkpoint in OUTPUT_DIR (the best one with TEST.USE_BEST).
_C.TEST.CHECKPOINT_FILE_PATH = ""
# PySlowFast's key; the format is detected automatically.
_C.TEST.CHECKPOINT_TYPE = "pytorch"
# Clips per video, distributed uniformly over its length.
_C.TEST.NUM_ENSEMBLE_VIEWS = 10
# Spatial crops per clip: 1 (centre) | 3 (along the longer side).
_C.TEST.NUM_SPATIAL_CROPS = 3
# File of the scores per video, without extension; "" is OUTPUT_DIR/scores. Both .pt and .csv are written.
_C.TEST.SAVE_RESULTS_PATH = ""
# Further metrics of the METRICS registry that validation and test compute. (new)
_C.TEST.METRICS = []
# Test the checkpoint that was best in validation instead of the newest one. (new)
_C.TEST.USE_BEST = False

# ---- AVA ------------------------------------------------------------------------------------------------------------
_C.AVA = CfgNode()
# Folder with one folder of frames per video (30 per second, starting at FIRST_SECOND); "" reads video files, see
# DATA.PATH_PREFIX and DATA.VIDEO_FILE.
_C.AVA.FRAME_DIR = ""
# PySlowFast's key; unused, because frames are found in the folders themselves.
_C.AVA.FRAME_LIST_DIR = ""
# Folder of the label files; "" is DATA.PATH_TO_DATA_DIR.
_C.AVA.ANNOTATION_DIR = ""
# PySlowFast's key; unused, see FRAME_LIST_DIR.
_C.AVA.TRAIN_LISTS = ["train.csv"]
# PySlowFast's key; unused, see FRAME_LIST_DIR.
_C.AVA.TEST_LISTS = ["val.csv"]
# Files of ground-truth boxes to train on.
_C.AVA.TRAIN_GT_BOX_LISTS = ["ava_train_v2.2.csv"]
# Files of predicted boxes to train on.
_C.AVA.TRAIN_PREDICT_BOX_LISTS = []
# Files of predicted boxes to validate and test on.
_C.AVA.TEST_PREDICT_BOX_LISTS = ["ava_val_predicted_boxes.csv"]
# Predicted boxes with a lower score are left out.
_C.AVA.DETECTION_SCORE_THRESH = 0.9
# Second of the movie at which the video files and frames begin; 0 for whole movies. (new)
_C.AVA.FIRST_SECOND = 900
# The network takes channels in the order B, G, R.
_C.AVA.BGR = False
# Apply colour augmentation in training.
_C.AVA.TRAIN_USE_COLOR_AUGMENTATION = False
# Apply only its change along the principal components.
_C.AVA.TRAIN_PCA_JITTER_ONLY = True
# Eigenvalues of the covariance of R, G, B, pixels in 0..1.
_C.AVA.TRAIN_PCA_EIGVAL = [0.225, 0.224, 0.229]
# Eigenvectors of this covariance, one row per channel.
_C.AVA.TRAIN_PCA_EIGVEC = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
# PySlowFast's key; flipped test views are not available, so True is refused.
_C.AVA.TEST_FORCE_FLIP = False
# Validate on every key frame while training instead of every fourth second.
_C.AVA.FULL_TEST_ON_VAL = False
# File of the classes that are evaluated, in the folder of the label files.
_C.AVA.LABEL_MAP_FILE = "ava_action_list_v2.2_for_activitynet_2019.pbtxt"
# File of key frames that do not count, in the folder of the label files; optional.
_C.AVA.EXCLUSION_FILE = "ava_val_excluded_timestamps_v2.2.csv"
# File of the ground truth for validation and test, in the folder of the label files.
_C.AVA.GROUNDTRUTH_FILE = "ava_val_v2.2.csv"
# Number of highest-scoring rows of a key frame that count in the metric; 0 counts all. (new)
_C.AVA.MAX_BOXES = 50
# PySlowFast's key; unused, because FFmpeg's scaler is used.
_C.AVA.IMG_PROC_BACKEND = "cv2"

# ---- Pre-training without labels (new node) -------------------------------------------------------------------------
_C.PRETRAIN = CfgNode()
# Entries of the PRETEXTS registry that TASK pretrain trains: avs (synchronisation at the stages of SLOWFAST.AVS_FLAG),
# rotation (classify by how much the frames are rotated), or several.
_C.PRETRAIN.TASKS = ["avs"]
# Weight of the rotation loss; that of the synchronisation losses is LATERAL.AVS_WEIGHT.
_C.PRETRAIN.ROTATION_WEIGHT = 1.0

# ---- Linear probe and retrieval (new node) --------------------------------------------------------------------------
_C.PROBE = CfgNode()
# Probe the network with random weights, as a baseline; otherwise TEST.CHECKPOINT_FILE_PATH or the newest checkpoint in
# OUTPUT_DIR is loaded.
_C.PROBE.RANDOM_WEIGHTS = False
# Stage whose pooled features are classified: pool1 | res2 | res3 | res4 | res5.
_C.PROBE.STAGE = "res5"
# Inverse strengths of the classifier's L2 penalty, from which cross-validation on the training features chooses.
_C.PROBE.C = [0.01, 0.1, 1.0, 10.0]
# Numbers k of nearest training videos: a retrieval is correct if one of the k has the class.
_C.PROBE.RETRIEVAL_K = [1, 5, 10]

# ---- Data -----------------------------------------------------------------------------------------------------------
_C.DATA = CfgNode()
# Folder of the list files (train.csv, val.csv, test.csv).
_C.DATA.PATH_TO_DATA_DIR = ""
# Separator of path and label in a line of a list.
_C.DATA.PATH_LABEL_SEPARATOR = " "
# Folder that relative paths start from; "" is the folder of the list.
_C.DATA.PATH_PREFIX = ""
# Frames of a clip in the Fast pathway (in Slow, where there is no Fast).
_C.DATA.NUM_FRAMES = 8
# Distance of sampled frames, in frames at TARGET_FPS.
_C.DATA.SAMPLING_RATE = 8
# Input channels of each visual pathway; further values are ignored.
_C.DATA.INPUT_CHANNEL_NUM = [3, 3]
# Pixel mean per channel (R, G, B), pixels in 0..1.
_C.DATA.MEAN = [0.45, 0.45, 0.45]
# Pixel standard deviation per channel.
_C.DATA.STD = [0.225, 0.225, 0.225]
# Range of the short side in training before the crop, pixels.
_C.DATA.TRAIN_JITTER_SCALES = [256, 320]
# Crop in training and validation, pixels.
_C.DATA.TRAIN_CROP_SIZE = 224
# Crop in testing, pixels; also the short side there.
_C.DATA.TEST_CROP_SIZE = 256
# Draw 1/scale uniformly instead of scale.
_C.DATA.INV_UNIFORM_SAMPLE = False
# Flip frames horizontally at random in training.
_C.DATA.RANDOM_FLIP = True
# Frame rate that NUM_FRAMES and SAMPLING_RATE refer to, Hz.
_C.DATA.TARGET_FPS = 30
# PySlowFast's key; PyAV always decodes, so every value means the same.
_C.DATA.DECODING_BACKEND = "pyav"
# Several labels per clip; the metric is mean average precision.
_C.DATA.MULTI_LABEL = False
# How the scores of a video's views are combined: sum | max.
_C.DATA.ENSEMBLE_METHOD = "sum"
# The network takes channels in the order B, G, R (PySlowFast's key).
_C.DATA.REVERSE_INPUT_CHANNEL = False
# The network takes channels in the order B, G, R (the authors' key).
_C.DATA.USE_BGR_ORDER = False
# The authors' key; unused, because the model's pathways decide whether audio is decoded.
_C.DATA.USE_AUDIO = False
# Read hard negatives (audio of the same video, shifted in time) for the synchronisation loss; otherwise there are easy
# negatives (audio of another clip) alone.
_C.DATA.GET_MISALIGNED_AUDIO = False
# Sample rate of the audio, Hz.
_C.DATA.AUDIO_SAMPLE_RATE = 16000
# Spectrogram window, ms.
_C.DATA.AUDIO_WIN_SZ = 32
# Step from one spectrogram frame to the next, ms.
_C.DATA.AUDIO_STEP_SZ = 16
# Spectrogram frames per clip.
_C.DATA.AUDIO_FRAME_NUM = 128
# Mel bands.
_C.DATA.AUDIO_MEL_NUM = 80
# Smallest distance of a hard negative's start from the clip's, in spectrogram frames.
_C.DATA.AUDIO_MISALIGNED_GAP = 32
# Mean of the log-mel values (natural logarithm).
_C.DATA.LOGMEL_MEAN = -7.03
# Standard deviation of the log-mel values.
_C.DATA.LOGMEL_STD = 4.66
# Share of easy negatives from MIX_NEG_EPOCH on, 0..1.
_C.DATA.EASY_NEG_RATIO = 0.75
# Epoch from which hard negatives are mixed in (see also SYNC.HARD_FROM).
_C.DATA.MIX_NEG_EPOCH = 96
# Compute the log-mel spectrogram on the training device instead of in the loader. (new)
_C.DATA.LOGMEL_ON_DEVICE = False
# Decode training videos without the deblocking filter: up to 10 % faster, with visible block edges. (new)
_C.DATA.SKIP_LOOP_FILTER = False
# Share of unreadable files in a data set above which the run stops, 0..1. (new)
_C.DATA.MAX_FAILED_FRACTION = 0.01
# File with one class name per line, in the order of the labels; "" is classes.txt in the folder of the lists, if it
# exists. (new)
_C.DATA.CLASS_NAMES_FILE = ""
# Share of the training videos that is used, the same for every class, drawn by RNG_SEED; above 0, up to 1. (new)
_C.DATA.TRAIN_FRACTION = 1.0
# Split of the data sets that have several (UCF101, HMDB51), from 1. (new)
_C.DATA.FOLD = 1
# Part of the data to train on, where a data set has several; "" is its default. EPIC-Kitchens-55: local (P01-P25,
# the default) | all. (new)
_C.DATA.TRAIN_PART = ""
# Part of the data to test on; "" is the default. EPIC-Kitchens-55: local (P26-P31) | s1 | s2; EPIC-Kitchens-100:
# validation | test. (new)
_C.DATA.TEST_PART = ""
# Label that a single classifier is trained on where a segment has several: verb | noun. (new)
_C.DATA.TARGET = "verb"
# Name of a video's file under PATH_PREFIX, with fields in braces such as {participant}/{video}.MP4; "" is the data
# set's default. It may be a folder of frames. (new)
_C.DATA.VIDEO_FILE = ""
# Name of a separate audio file, with the same fields, e.g. {video}.wav; "" reads audio from the video file. (new)
_C.DATA.AUDIO_FILE = ""

# ---- Loader ---------------------------------------------------------------------------------------------------------
_C.DATA_LOADER = CfgNode()
# Worker processes per rank.
_C.DATA_LOADER.NUM_WORKERS = 8
# Pin batches in memory, where there is a GPU.
_C.DATA_LOADER.PIN_MEMORY = True
# PySlowFast's key; unused, because one thread per worker decodes more clips per core.
_C.DATA_LOADER.ENABLE_MULTI_THREAD_DECODE = False

# ---- Optimiser ------------------------------------------------------------------------------------------------------
_C.SOLVER = CfgNode()
# Learning rate after the warm-up, for BATCH_SIZE clips.
_C.SOLVER.BASE_LR = 0.1
# cosine | steps_with_relative_lrs.
_C.SOLVER.LR_POLICY = "cosine"
# Learning rate at the end of the cosine.
_C.SOLVER.COSINE_END_LR = 0.0
# First epoch of each step.
_C.SOLVER.STEPS = []
# Factor on BASE_LR in each step.
_C.SOLVER.LRS = []
# Number of epochs.
_C.SOLVER.MAX_EPOCH = 300
# Momentum of SGD.
_C.SOLVER.MOMENTUM = 0.9
# Dampening of SGD's momentum.
_C.SOLVER.DAMPENING = 0.0
# Use Nesterov momentum.
_C.SOLVER.NESTEROV = True
# Beta values of Adam and AdamW.
_C.SOLVER.BETAS = [0.9, 0.999]
# Factor of the L2 penalty (sgd, adam) or of the decoupled decay (adamw).
_C.SOLVER.WEIGHT_DECAY = 1e-4
# Exclude biases and other one-dimensional weights from weight decay.
_C.SOLVER.ZERO_WD_1D_PARAM = False
# Epochs of linear warm-up.
_C.SOLVER.WARMUP_EPOCHS = 0.0
# Learning rate at the start of the warm-up.
_C.SOLVER.WARMUP_START_LR = 0.01
# sgd | adam | adamw.
_C.SOLVER.OPTIMIZING_METHOD = "sgd"
# Multiply the learning rates by NUM_SHARDS.
_C.SOLVER.BASE_LR_SCALE_NUM_SHARDS = False
# Start the cosine at its peak after the warm-up; it still ends at MAX_EPOCH.
_C.SOLVER.COSINE_AFTER_WARMUP = False
# Largest global norm of the gradient, to which it is clipped; 0 is off.
_C.SOLVER.CLIP_GRAD_L2NORM = 0.0
# Largest absolute value in the gradient, to which it is clipped; 0 is off.
_C.SOLVER.CLIP_GRAD_VAL = 0.0

# ---- Processes and output -------------------------------------------------------------------------------------------
# GPUs on this machine; 0 runs on the CPU.
_C.NUM_GPUS = 1
# Processes on this machine where NUM_GPUS is 0. (new)
_C.NUM_CPU_PROCESSES = 1
# Number of machines.
_C.NUM_SHARDS = 1
# This machine's number, from 0.
_C.SHARD_ID = 0
# Folder for checkpoints, logs and results.
_C.OUTPUT_DIR = "./tmp"
# Seed of weights, order, augmentation and DropPathway.
_C.RNG_SEED = 1
# Iterations from one log line to the next.
_C.LOG_PERIOD = 10
# Further loggers of the LOGGERS registry; TENSORBOARD.ENABLE adds "tensorboard". (new)
_C.LOGGERS = []
# Print the network, its parameters and GFLOPs at the start.
_C.LOG_MODEL_INFO = True
# Backend of torch.distributed: nccl | gloo; on the CPU it is always gloo.
_C.DIST_BACKEND = "nccl"

_C.TENSORBOARD = CfgNode()
# Write TensorBoard files.
_C.TENSORBOARD.ENABLE = False
# Folder of the TensorBoard files; "" is OUTPUT_DIR/tensorboard.
_C.TENSORBOARD.LOG_DIR = ""
# Write the confusion matrix of each validation.
_C.TENSORBOARD.CONFUSION_MATRIX = True
# Number of clips of an epoch's last batch to write, with their audio. (new)
_C.TENSORBOARD.CLIPS = 4
# Write a histogram of each weight after every epoch. (new)
_C.TENSORBOARD.HISTOGRAMS = False

_C.MULTIGRID = CfgNode()
# Multigrid's short cycle; not available yet, so True is refused.
_C.MULTIGRID.SHORT_CYCLE = False
# Multigrid's long cycle; not available yet, so True is refused.
_C.MULTIGRID.LONG_CYCLE = False


def get_cfg() -> Cfg:
    """A fresh, changeable copy of the defaults, the nodes of imported plugins included."""
    return DEFAULTS.clone()
