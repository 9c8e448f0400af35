"""Every configuration key: its default, unit and meaning. Those of the networks are in `defaults_model.py`.

Names are PySlowFast's and, for audio, those of the AVSlowFast authors, so that a YAML of either project loads unchanged.
A key that this project adds stands in a node of its own or says "(new)". `tests/test_config.py` checks that each key has a comment.
"""

from fvcore.common.config import CfgNode

from .defaults_model import DEFAULTS
from .derived import Cfg

_C = DEFAULTS

# What is done: classification | detection (which DETECTION.ENABLE chooses as well) | sync (train synchronisation alone, measure it) | pretrain
# (learn without labels, see PRETRAIN) | probe (a linear classifier on fixed features, see PROBE). (new)
_C.TASK = "classification"
# Modules of your own that are imported first, by name as after `import`; they register laterals, data sets, tasks, ... and may add
# configuration nodes. Those given by --import are added to it. (new)
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
# Splits of the batch that sub_batchnorm normalises one by one.
_C.BN.NUM_SPLITS = 1
# Ranks that share statistics in sync_batchnorm; 0 means all of them.
_C.BN.NUM_SYNC_DEVICES = 0
# Weight of the newest batch in the running statistics (PyTorch's convention).
_C.BN.MOMENTUM = 0.1
# Added to the variance.
_C.BN.EPSILON = 1e-5

# ---- Training -------------------------------------------------------------------------------------------------------
_C.TRAIN = CfgNode()
# Train the model.
_C.TRAIN.ENABLE = True
# Data set to train and validate on (a name in the DATASETS registry).
_C.TRAIN.DATASET = "kinetics"
# Clips per iteration, over all ranks of one machine (PySlowFast's meaning).
_C.TRAIN.BATCH_SIZE = 64
# Validate every so many epochs (and after the last one).
_C.TRAIN.EVAL_PERIOD = 10
# Save a checkpoint every so many epochs (and after the last one).
_C.TRAIN.CHECKPOINT_PERIOD = 10
# Save a checkpoint every so many seconds as well, in the middle of an epoch; 0 is never. (new)
_C.TRAIN.CHECKPOINT_SECONDS = 1800.0
# Checkpoints to keep, the newest ones; the best one by validation is kept besides. 0 keeps all. (new)
_C.TRAIN.CHECKPOINT_KEEP = 3
# Go on from the newest whole checkpoint in OUTPUT_DIR.
_C.TRAIN.AUTO_RESUME = True
# Metric that chooses the best checkpoint, by its name in the results of validation; "" is the first of the data set's protocol. (new)
_C.TRAIN.BEST_METRIC = ""
# Weights to start from: any supported format, a local path or one that iopath opens. Starts at epoch 0.
_C.TRAIN.CHECKPOINT_FILE_PATH = ""
# What of the network has to come from it, or the run ends at once: shared (every part that both have, the classifier apart) | all | none |
# prefixes of tensor names joined by commas, e.g. "pathways.slow,pathways.fast". (new)
_C.TRAIN.CHECKPOINT_REQUIRED = "shared"
# PySlowFast's key; the format is found out from the file itself, so any value means the same.
_C.TRAIN.CHECKPOINT_TYPE = "pytorch"
# PySlowFast's key; weights to start from always start at epoch 0.
_C.TRAIN.CHECKPOINT_EPOCH_RESET = True
# PySlowFast's key; a 2-D network is found out and inflated.
_C.TRAIN.CHECKPOINT_INFLATE = False
# PySlowFast's key; the prefixes that wrappers put before names are found out.
_C.TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN = []
# Clips are accumulated over so many forward passes before a step; BATCH_SIZE is divided by it. (new)
_C.TRAIN.ACCUMULATION_STEPS = 1
# Automatic mixed precision (see AMP.DTYPE).
_C.TRAIN.MIXED_PRECISION = False
# torch.compile the network, GPU only: a graph for each of DropPathway's two cases (three each where hard negatives come and go). (new)
_C.TRAIN.COMPILE = False
# Channels-last memory format, GPU only. (new)
_C.TRAIN.CHANNELS_LAST = False
# Compute the audio pathway on a CUDA stream of its own, beside the visual stages; not under COMPILE. (new)
_C.TRAIN.AUDIO_STREAM = False

# ---- Fine-tuning (new node) -----------------------------------------------------------------------------------------
_C.FINETUNE = CfgNode()
# Parts that stay as they are, weights and batch norm statistics: pathways (slow, fast, audio), stages (pool1, res2 .. res5: of every pathway,
# with their laterals), both (slow.res2), laterals.
_C.FINETUNE.FREEZE = []
# Share of the schedule's learning rate for the classifier.
_C.FINETUNE.LR_HEAD = 1.0
# The same for the audio pathway, its laterals and the synchronisation heads.
_C.FINETUNE.LR_AUDIO = 1.0
# The same for everything else.
_C.FINETUNE.LR_REST = 1.0

# ---- Mixed precision (new node) -------------------------------------------------------------------------------------
_C.AMP = CfgNode()
# auto (bfloat16 where the device has it, else float16) | bfloat16 | float16.
_C.AMP.DTYPE = "auto"
# Let float32 convolutions and matrix products use TF32, GPU only.
_C.AMP.TF32 = True

# ---- Exponential moving average of the weights (new node) -----------------------------------------------------------
_C.EMA = CfgNode()
# Keep an average of the weights; evaluation uses it.
_C.EMA.ENABLE = False
# Share of the old average kept at each step.
_C.EMA.DECAY = 0.9999

# ---- Augmentation ---------------------------------------------------------------------------------------------------
_C.AUG = CfgNode()
# RandAugment on the frames in training.
_C.AUG.ENABLE = False
# RandAugment's strength: rand-m{magnitude 0..10}-n{operations}-mstd{spread}.
_C.AUG.AA_TYPE = "rand-m7-n2-mstd0.5"
# Clips out of each video of a batch, read from one open file, each cut and changed in its own way (repeated augmentation, arXiv 1901.09335);
# a batch then has BATCH_SIZE x NUM_SAMPLE clips.
_C.AUG.NUM_SAMPLE = 1

_C.SPECAUG = CfgNode()
# SpecAugment on the log-mel spectrogram in training (Park et al. 2019): masked cells get the normalised mean, 0. (new node)
_C.SPECAUG.ENABLE = False
# Number of masks in time, and of masks in frequency.
_C.SPECAUG.NUM_MASKS = 2
# Longest time mask, in spectrogram frames.
_C.SPECAUG.MAX_TIME = 16
# Widest frequency mask, in mel bands.
_C.SPECAUG.MAX_FREQ = 10

_C.MIXUP = CfgNode()
# Mixup / CutMix; video and audio are mixed with the same partner and share.
_C.MIXUP.ENABLE = False
# Beta parameter of mixup; 0 turns mixup off.
_C.MIXUP.ALPHA = 0.8
# Beta parameter of CutMix; 0 turns CutMix off.
_C.MIXUP.CUTMIX_ALPHA = 1.0
# Share of the iterations that mix.
_C.MIXUP.PROB = 1.0
# Share of CutMix among these, where both are on.
_C.MIXUP.SWITCH_PROB = 0.5
# Label smoothing used with mixing.
_C.MIXUP.LABEL_SMOOTH_VALUE = 0.1

# ---- Testing --------------------------------------------------------------------------------------------------------
_C.TEST = CfgNode()
# Test with several views per video.
_C.TEST.ENABLE = True
# Data set to test on.
_C.TEST.DATASET = "kinetics"
# Clips per forward pass in validation and test, over all ranks of one machine.
_C.TEST.BATCH_SIZE = 8
# Weights to test; "" is the newest (or best, see TEST.USE_BEST) checkpoint in OUTPUT_DIR.
_C.TEST.CHECKPOINT_FILE_PATH = ""
# PySlowFast's key; the format is found out from the file itself.
_C.TEST.CHECKPOINT_TYPE = "pytorch"
# Clips per video, spread over its length.
_C.TEST.NUM_ENSEMBLE_VIEWS = 10
# Spatial crops per clip: 1 (centre) or 3 (along the longer side).
_C.TEST.NUM_SPATIAL_CROPS = 3
# Where the per-video scores go, without ending; "" is OUTPUT_DIR/scores. Both .pt and .csv are written.
_C.TEST.SAVE_RESULTS_PATH = ""
# Further metrics of the METRICS registry that validation and test compute. (new)
_C.TEST.METRICS = []
# Test the checkpoint that was best in validation, not the newest one. (new)
_C.TEST.USE_BEST = False

# ---- AVA ------------------------------------------------------------------------------------------------------------
_C.AVA = CfgNode()
# Folder with a folder of frames a video (30 a second, from FIRST_SECOND on); "" reads videos, see DATA.PATH_PREFIX and DATA.VIDEO_FILE.
_C.AVA.FRAME_DIR = ""
# PySlowFast's key; the folders of frames are listed, so the lists are not needed.
_C.AVA.FRAME_LIST_DIR = ""
# Folder of the label files; "" is DATA.PATH_TO_DATA_DIR.
_C.AVA.ANNOTATION_DIR = ""
# PySlowFast's key, see FRAME_LIST_DIR.
_C.AVA.TRAIN_LISTS = ["train.csv"]
# PySlowFast's key, see FRAME_LIST_DIR.
_C.AVA.TEST_LISTS = ["val.csv"]
# Ground-truth boxes to train on.
_C.AVA.TRAIN_GT_BOX_LISTS = ["ava_train_v2.2.csv"]
# Predicted boxes to train on.
_C.AVA.TRAIN_PREDICT_BOX_LISTS = []
# Predicted boxes to validate and test on.
_C.AVA.TEST_PREDICT_BOX_LISTS = ["ava_val_predicted_boxes.csv"]
# Predicted boxes of a lower score are left out.
_C.AVA.DETECTION_SCORE_THRESH = 0.9
# Second of the movie at which the video files and frames begin (0: whole movies). (new)
_C.AVA.FIRST_SECOND = 900
# Channels in the order B, G, R.
_C.AVA.BGR = False
# Change colours in training.
_C.AVA.TRAIN_USE_COLOR_AUGMENTATION = False
# Of these changes only that along the principal components.
_C.AVA.TRAIN_PCA_JITTER_ONLY = True
# Eigenvalues of the pixels' covariance, pixels in 0..1.
_C.AVA.TRAIN_PCA_EIGVAL = [0.225, 0.224, 0.229]
# Its eigenvectors, a row a channel.
_C.AVA.TRAIN_PCA_EIGVEC = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
# PySlowFast's key; one test view shows the picture as it is here, so True is refused.
_C.AVA.TEST_FORCE_FLIP = False
# Validate on every key frame while training, not on each fourth second.
_C.AVA.FULL_TEST_ON_VAL = False
# Classes that are evaluated, beside the label files.
_C.AVA.LABEL_MAP_FILE = "ava_action_list_v2.2_for_activitynet_2019.pbtxt"
# Key frames that do not count, beside the label files; it need not exist.
_C.AVA.EXCLUSION_FILE = "ava_val_excluded_timestamps_v2.2.csv"
# Ground truth of validation and test, beside the label files.
_C.AVA.GROUNDTRUTH_FILE = "ava_val_v2.2.csv"
# Rows of a key frame that count in the metric, the best ones; 0 counts all. (new)
_C.AVA.MAX_BOXES = 50
# PySlowFast's key; FFmpeg's scaler is used here.
_C.AVA.IMG_PROC_BACKEND = "cv2"

# ---- Pre-training without labels (new node) -------------------------------------------------------------------------
_C.PRETRAIN = CfgNode()
# What TASK pretrain learns from: avs (synchronisation at the stages of SLOWFAST.AVS_FLAG) | rotation (of the pictures), or both.
_C.PRETRAIN.TASKS = ["avs"]
# Weight of the rotation loss beside the synchronisation losses.
_C.PRETRAIN.ROTATION_WEIGHT = 1.0

# ---- Linear probe and retrieval (new node) --------------------------------------------------------------------------
_C.PROBE = CfgNode()
# Probe the network with its first weights, as a baseline; else TEST.CHECKPOINT_FILE_PATH, or OUTPUT_DIR's newest checkpoint, is loaded.
_C.PROBE.RANDOM_WEIGHTS = False
# Stage whose features are pooled.
_C.PROBE.STAGE = "res5"
# Inverse strengths of the classifier's L2 penalty; cross-validation on the training features chooses.
_C.PROBE.C = [0.01, 0.1, 1.0, 10.0]
# A retrieval counts as right if one of so many nearest training videos has the class.
_C.PROBE.RETRIEVAL_K = [1, 5, 10]

# ---- Data -----------------------------------------------------------------------------------------------------------
_C.DATA = CfgNode()
# Folder of the list files (train.csv, val.csv, test.csv).
_C.DATA.PATH_TO_DATA_DIR = ""
# Between path and label in a list line.
_C.DATA.PATH_LABEL_SEPARATOR = " "
# Put in front of each relative path; "" is the folder of the list.
_C.DATA.PATH_PREFIX = ""
# Frames of the Fast pathway (of Slow, where it is alone).
_C.DATA.NUM_FRAMES = 8
# Frames at TARGET_FPS from one sampled frame to the next.
_C.DATA.SAMPLING_RATE = 8
# Channels of each pathway's input; a longer list than the model has pathways is cut.
_C.DATA.INPUT_CHANNEL_NUM = [3, 3]
# Pixel mean per channel (R, G, B), pixels in 0..1.
_C.DATA.MEAN = [0.45, 0.45, 0.45]
# Pixel standard deviation per channel.
_C.DATA.STD = [0.225, 0.225, 0.225]
# Range of the short side in training, pixels.
_C.DATA.TRAIN_JITTER_SCALES = [256, 320]
# Crop in training and validation, pixels.
_C.DATA.TRAIN_CROP_SIZE = 224
# Crop in testing, pixels; also the short side there.
_C.DATA.TEST_CROP_SIZE = 256
# Draw 1/scale evenly, not scale.
_C.DATA.INV_UNIFORM_SAMPLE = False
# Flip left and right at random in training.
_C.DATA.RANDOM_FLIP = True
# Frame rate that NUM_FRAMES and SAMPLING_RATE refer to, Hz.
_C.DATA.TARGET_FPS = 30
# PySlowFast's key; PyAV decodes here, whatever is given.
_C.DATA.DECODING_BACKEND = "pyav"
# Several labels a clip; metrics are mean average precision.
_C.DATA.MULTI_LABEL = False
# How the scores of a video's views are joined: sum | max.
_C.DATA.ENSEMBLE_METHOD = "sum"
# Channels in the order B, G, R (PySlowFast's name).
_C.DATA.REVERSE_INPUT_CHANNEL = False
# The same, under the authors' name.
_C.DATA.USE_BGR_ORDER = False
# The authors' key; the model's pathways decide whether sound is decoded.
_C.DATA.USE_AUDIO = False
# Read hard negatives (the same video's sound, shifted) for the synchronisation loss; off: easy ones alone.
_C.DATA.GET_MISALIGNED_AUDIO = False
# Sample rate of the sound, Hz.
_C.DATA.AUDIO_SAMPLE_RATE = 16000
# Spectrogram window, ms.
_C.DATA.AUDIO_WIN_SZ = 32
# Spectrogram step, ms.
_C.DATA.AUDIO_STEP_SZ = 16
# Spectrogram frames per clip.
_C.DATA.AUDIO_FRAME_NUM = 128
# Mel bands.
_C.DATA.AUDIO_MEL_NUM = 80
# Smallest distance of a hard negative's start from the clip's, spectrogram steps.
_C.DATA.AUDIO_MISALIGNED_GAP = 32
# Mean of the log-mel values (natural logarithm).
_C.DATA.LOGMEL_MEAN = -7.03
# Their standard deviation.
_C.DATA.LOGMEL_STD = 4.66
# Share of easy negatives from MIX_NEG_EPOCH on.
_C.DATA.EASY_NEG_RATIO = 0.75
# Epoch from which hard negatives are mixed in.
_C.DATA.MIX_NEG_EPOCH = 96
# Compute the log-mel spectrogram on the training device, not in the loader. (new)
_C.DATA.LOGMEL_ON_DEVICE = False
# Decode training videos without the deblocking filter: at most a tenth faster, at the price of visible blocks. (new)
_C.DATA.SKIP_LOOP_FILTER = False
# More unreadable files than this share of the data set stop the run. (new)
_C.DATA.MAX_FAILED_FRACTION = 0.01
# File with a class name a line, in order of the labels; "" is classes.txt beside the lists, where it exists. (new)
_C.DATA.CLASS_NAMES_FILE = ""

# Share of the training videos that is used, of every class alike, chosen by RNG_SEED. (new)
_C.DATA.TRAIN_FRACTION = 1.0
# Split of the data sets that have several (UCF101, HMDB51), from 1. (new)
_C.DATA.FOLD = 1
# What is trained on where a data set leaves a choice; "" is its usual one: EPIC-Kitchens-55 local (P01-P25) | all. (new)
_C.DATA.TRAIN_PART = ""
# What is tested on: EPIC-Kitchens-55 local (P26-P31) | s1 | s2; EPIC-Kitchens-100 validation | test. (new)
_C.DATA.TEST_PART = ""
# What a single classifier tells where a segment has several labels: verb | noun. (new)
_C.DATA.TARGET = "verb"
# Name of a video's file under PATH_PREFIX, with fields in braces such as {participant}/{video}.MP4; "" is the data set's own way. A folder of
# frames serves as well. (new)
_C.DATA.VIDEO_FILE = ""
# Name of a separate file with the sound, with the same fields, e.g. {video}.wav; "" takes the video's. (new)
_C.DATA.AUDIO_FILE = ""

# ---- Loader ---------------------------------------------------------------------------------------------------------
_C.DATA_LOADER = CfgNode()
# Worker processes per rank.
_C.DATA_LOADER.NUM_WORKERS = 8
# Pin batches in memory (where there is a GPU).
_C.DATA_LOADER.PIN_MEMORY = True
# PySlowFast's key; one thread per worker decodes here, which gives more clips per core.
_C.DATA_LOADER.ENABLE_MULTI_THREAD_DECODE = False

# ---- Optimiser ------------------------------------------------------------------------------------------------------
_C.SOLVER = CfgNode()
# Learning rate after warm-up, for BATCH_SIZE clips.
_C.SOLVER.BASE_LR = 0.1
# cosine | steps_with_relative_lrs.
_C.SOLVER.LR_POLICY = "cosine"
# Learning rate at the end of the cosine.
_C.SOLVER.COSINE_END_LR = 0.0
# First epoch of each step.
_C.SOLVER.STEPS = []
# Share of BASE_LR in each step.
_C.SOLVER.LRS = []
# Epochs.
_C.SOLVER.MAX_EPOCH = 300
# Momentum of SGD.
_C.SOLVER.MOMENTUM = 0.9
# Dampening of SGD's momentum.
_C.SOLVER.DAMPENING = 0.0
# Nesterov momentum.
_C.SOLVER.NESTEROV = True
# Beta values of Adam and AdamW.
_C.SOLVER.BETAS = [0.9, 0.999]
# L2 penalty (sgd, adam) or decoupled decay (adamw).
_C.SOLVER.WEIGHT_DECAY = 1e-4
# No weight decay on biases and other one-dimensional weights.
_C.SOLVER.ZERO_WD_1D_PARAM = False
# Epochs of linear warm-up.
_C.SOLVER.WARMUP_EPOCHS = 0.0
# Learning rate at the start of the warm-up.
_C.SOLVER.WARMUP_START_LR = 0.01
# sgd | adam | adamw.
_C.SOLVER.OPTIMIZING_METHOD = "sgd"
# Multiply the learning rates by NUM_SHARDS.
_C.SOLVER.BASE_LR_SCALE_NUM_SHARDS = False
# Start the cosine at its peak after the warm-up (it then ends at MAX_EPOCH all the same).
_C.SOLVER.COSINE_AFTER_WARMUP = False
# Clip the gradient's global norm to this; 0 is off.
_C.SOLVER.CLIP_GRAD_L2NORM = 0.0
# Clip each gradient value to this; 0 is off.
_C.SOLVER.CLIP_GRAD_VAL = 0.0

# ---- Processes and output -------------------------------------------------------------------------------------------
# GPUs on this machine; 0 runs on the CPU.
_C.NUM_GPUS = 1
# Processes on this machine when NUM_GPUS is 0 (gloo). (new)
_C.NUM_CPU_PROCESSES = 1
# Machines.
_C.NUM_SHARDS = 1
# This machine's number, from 0.
_C.SHARD_ID = 0
# Folder for checkpoints, logs and results.
_C.OUTPUT_DIR = "./tmp"
# Seed of weights, order, augmentation and DropPathway.
_C.RNG_SEED = 1
# Log every so many iterations.
_C.LOG_PERIOD = 10
# Further loggers of the LOGGERS registry; TENSORBOARD.ENABLE adds "tensorboard". (new)
_C.LOGGERS = []
# Print parameters, GFLOPs and the network at the start.
_C.LOG_MODEL_INFO = True
# nccl | gloo; on the CPU always gloo.
_C.DIST_BACKEND = "nccl"

_C.TENSORBOARD = CfgNode()
# Write TensorBoard files.
_C.TENSORBOARD.ENABLE = False
# Folder for them; "" is OUTPUT_DIR/tensorboard.
_C.TENSORBOARD.LOG_DIR = ""
# Show the confusion matrix of each validation.
_C.TENSORBOARD.CONFUSION_MATRIX = True
# Clips of the last batch of an epoch to show, with their sound. (new)
_C.TENSORBOARD.CLIPS = 4
# Show a histogram of each weight after every epoch. (new)
_C.TENSORBOARD.HISTOGRAMS = False

_C.MULTIGRID = CfgNode()
# Multigrid's short cycle; not available yet, so True is refused.
_C.MULTIGRID.SHORT_CYCLE = False
# Multigrid's long cycle; not available yet, so True is refused.
_C.MULTIGRID.LONG_CYCLE = False


def get_cfg() -> Cfg:
    """A fresh, changeable copy of the defaults, the nodes of imported plugins included."""
    return DEFAULTS.clone()
