"""Every configuration key: its default, what it takes, and what it means, with its unit.

This file has those of runs; those of the data are in `defaults_data.py`, those of the networks in `defaults_model.py`.
Names are PySlowFast's and, for audio, those of the AVSlowFast authors, so that a YAML of either project loads
unchanged. A key that this project adds is in a new node or says "(new)". `table` joins the rows.
"""

from .keys import key
from .names import DATASETS, LOGGERS, METRICS, PRETEXTS, STAGES, TASKS
from .pyslowfast import DATASETS_ELSEWHERE, TASKS_ELSEWHERE
from .ranges import choice, entry, flag, list_of, number, path, positive, share, text, whole

# Configurations of PySlowFast for data sets without a reader load, so that their networks can be used.
_DATASET = entry(DATASETS, any_case=True, also=DATASETS_ELSEWHERE)

# Rows are set by hand: name, default and range, then the comment.
# fmt: off
RUN_KEYS = (
    key("TASK", "classification", entry(TASKS, elsewhere=TASKS_ELSEWHERE),
        "An entry of the TASKS registry: classification | detection (which DETECTION.ENABLE chooses as well) | sync "
        "(train and measure synchronisation alone) | pretrain (train without labels, see PRETRAIN) | probe (train a "
        "linear classifier on fixed features, see PROBE). (new)"),
    key("PLUGINS", [], list_of(text(False, pattern=r"[^\W\d].*", form="the name of a module")),
        "Plugins: names of Python modules that are imported before all other keys are read; they register laterals, "
        "data sets, tasks, ... and may add configuration nodes. Those given by --import are added. (new)"),

    # ---- Batch normalisation -----------------------------------------------------------------------------------------
    key("BN.USE_PRECISE_STATS", False, flag(),
        "Re-estimate the running statistics from training clips before each evaluation."),
    key("BN.NUM_BATCHES_PRECISE", 200, whole(), "Batches used for precise statistics."),
    key("BN.WEIGHT_DECAY", 0.0, number(0, 10), "Weight decay of the normalisation weights."),
    key("BN.NORM_TYPE", "batchnorm", choice("batchnorm", "sub_batchnorm", "sync_batchnorm", "frozen_batchnorm"),
        "batchnorm | sub_batchnorm | sync_batchnorm | frozen_batchnorm (statistics and affine weights fixed)."),
    key("BN.AUDIO_NORM_TYPE", "same", choice("same", "batchnorm"),
        "same (NORM_TYPE) | batchnorm: of the audio pathway, its laterals and the synchronisation heads, which then "
        "learn while NORM_TYPE frozen_batchnorm keeps what pre-trained visual pathways have. (new)"),
    key("BN.NUM_SPLITS", 1, whole(), "Splits of the batch that sub_batchnorm normalises separately: every n-th clip."),
    key("BN.NUM_SYNC_DEVICES", 0, whole(0, 65536),
        "Ranks that share statistics in sync_batchnorm; 0 means all of them."),
    key("BN.MOMENTUM", 0.1, share(),
        "Weight of the newest batch in the running statistics (PyTorch's convention), 0..1."),
    key("BN.EPSILON", 1e-5, positive(1), "Added to the variance."),

    # ---- Training ----------------------------------------------------------------------------------------------------
    key("TRAIN.ENABLE", True, flag(), "Train the model."),
    key("TRAIN.DATASET", "kinetics", _DATASET, "Data set to train and validate on, an entry of the DATASETS registry."),
    key("TRAIN.BATCH_SIZE", 64, whole(1, 1_000_000),
        "Clips per iteration, over all ranks of one machine (PySlowFast's meaning)."),
    key("TRAIN.PATIENCE", 0, whole(0, 1_000_000),
        "Validations in a row without a better TRAIN.BEST_METRIC after which the training ends; 0 is never. (new)"),
    key("TRAIN.LIMIT_BATCHES", 0, whole(0, 1_000_000),
        "For a trial of a whole run: steps of an epoch, passes of validation and of test, at most; 0 is all. (new)"),
    key("TRAIN.OVERFIT_BATCHES", 0, whole(0, 1_000_000),
        "To see whether a network learns at all: train on as many videos as fill this number of steps, and validate on "
        "the same; 0 is off. (new)"),
    key("TRAIN.EVAL_PERIOD", 10, whole(),
        "Epochs from one validation to the next; the last epoch is always validated."),
    key("TRAIN.CHECKPOINT_PERIOD", 10, whole(),
        "Epochs from one checkpoint to the next; the last epoch is always saved."),
    key("TRAIN.CHECKPOINT_SECONDS", 1800.0, number(0),
        "Seconds from one checkpoint in the middle of an epoch to the next; 0 saves none there. (new)"),
    key("TRAIN.CHECKPOINT_KEEP", 3, whole(0),
        "Number of newest checkpoints to keep, in addition to those of the two keys below; 0 keeps all. (new)"),
    key("TRAIN.CHECKPOINT_KEEP_BEST", 1, whole(),
        "Number of best checkpoints to keep, by the validation metric BEST_METRIC; the best one of them is "
        "checkpoint_best.pyth. (new)"),
    key("TRAIN.CHECKPOINT_KEEP_EVERY", 0, whole(0),
        "Every so many epochs a checkpoint is saved and never removed; 0 keeps none this way. (new)"),
    key("TRAIN.MIRROR", "", path(),
        "Address (s3://, gs:// or what else fsspec can write to) or folder to which checkpoints, run.json, logs and "
        "results are copied in the background; a run whose OUTPUT_DIR is empty is brought back from there. (new)"),
    key("TRAIN.MIRROR_WAIT", 120.0, number(0),
        "Seconds that the end of a run, or a stop, waits for what is not copied yet. (new)"),
    key("TRAIN.AUTO_RESUME", True, flag(),
        "Resume the run in OUTPUT_DIR from its newest whole state; a folder that holds another run is refused. False "
        "begins a new run, for which OUTPUT_DIR has to hold none (see REPLACE)."),
    key("TRAIN.REPLACE", False, flag(),
        "Move a run that cannot be resumed, or is not to be (AUTO_RESUME False), from OUTPUT_DIR to "
        "OUTPUT_DIR/previous/<id>, and begin a new one. (new)"),
    key("TRAIN.BEST_METRIC", "", text(),
        'Validation metric that chooses the best checkpoint; "" is the first one of the protocol. (new)'),
    key("TRAIN.CHECKPOINT_FILE_PATH", "", path(),
        "Weights to start from, in any supported format: a local path, or an address (https://, s3://, gs:// ...) that "
        "is downloaded once and with #sha256=<digits> is checked. Training starts at epoch 0."),
    key("TRAIN.CHECKPOINT_REQUIRED", "shared", text(False),
        "Parts of the network that it has to contain; the run ends where they are missing: shared (every part that "
        "both have, except for the classifier) | all | none | prefixes of tensor names joined by commas, e.g. "
        '"pathways.slow,pathways.fast". (new)'),
    key("TRAIN.CHECKPOINT_TYPE", "pytorch", text(),
        "PySlowFast's key; the format is detected automatically, so every value means the same.", inert=True),
    key("TRAIN.CHECKPOINT_EPOCH_RESET", True, flag(),
        "PySlowFast's key; training from given weights always starts at epoch 0.", inert=True),
    key("TRAIN.FINETUNE", True, flag(),
        "EPIC-Kitchens' key; training from given weights always starts at epoch 0.", inert=True),
    key("TRAIN.CHECKPOINT_INFLATE", False, flag(),
        "PySlowFast's key; a 2-D network is detected automatically and inflated.", inert=True),
    key("TRAIN.CHECKPOINT_CLEAR_NAME_PATTERN", [], list_of(text()),
        "PySlowFast's key; prefixes that wrappers put before names are detected automatically.", inert=True),
    key("TRAIN.ACCUMULATION_STEPS", 1, whole(1, 1_000_000),
        "Forward passes per optimiser step; each takes BATCH_SIZE / ACCUMULATION_STEPS clips. (new)"),
    key("TRAIN.MIXED_PRECISION", False, flag(), "Automatic mixed precision (see AMP.DTYPE)."),
    key("TRAIN.COMPILE", False, flag(),
        "torch.compile the network, GPU only: one graph for each of DropPathway's two cases (three each where hard "
        "negatives are mixed in). (new)"),
    key("TRAIN.CHANNELS_LAST", False, flag(), "Channels-last memory format, GPU only. (new)"),
    key("TRAIN.AUDIO_STREAM", False, flag(),
        "Compute the audio pathway on a side stream (CUDA), in parallel with the visual stages; not under COMPILE. "
        "(new)"),

    # ---- Fine-tuning (new node) --------------------------------------------------------------------------------------
    key("FINETUNE.FREEZE", [], list_of(text(False)),
        "Parts whose weights and batch norm statistics do not change: pathways (slow, fast, audio), stages (pool1, "
        "res2 .. res5, of every pathway, with their laterals), one stage of one pathway (slow.res2), laterals."),
    key("FINETUNE.LR_HEAD", 1.0, positive(1e6, reason="FINETUNE.FREEZE is for parts that should not learn"),
        "Factor on the learning rate of the classifier."),
    key("FINETUNE.LR_AUDIO", 1.0, positive(1e6, reason="FINETUNE.FREEZE is for parts that should not learn"),
        "Factor on the learning rate of the audio pathway, its laterals and the synchronisation heads."),
    key("FINETUNE.LR_REST", 1.0, positive(1e6, reason="FINETUNE.FREEZE is for parts that should not learn"),
        "Factor on the learning rate of all other parts."),

    # ---- Mixed precision (new node) ----------------------------------------------------------------------------------
    key("AMP.DTYPE", "auto", choice("auto", "bfloat16", "float16"),
        "auto (bfloat16 where the device supports it, else float16) | bfloat16 | float16."),
    key("AMP.TF32", True, flag(), "Compute float32 convolutions and matrix products in TF32, GPU only."),

    # ---- Exponential moving average of the weights (new node) --------------------------------------------------------
    key("EMA.ENABLE", False, flag(), "Keep an average of the weights, which evaluation uses."),
    key("EMA.DECAY", 0.9999, share(), "Share of the average that is kept at each step, 0..1."),

    # ---- Testing -----------------------------------------------------------------------------------------------------
    key("TEST.ENABLE", True, flag(), "Test with several views per video."),
    key("TEST.DATASET", "kinetics", _DATASET, "Data set to test on, an entry of the DATASETS registry."),
    key("TEST.SPLIT", "test", choice("train", "val", "test"),
        "Split whose videos are tested, with the test's views: train and val of TRAIN.DATASET, test of TEST.DATASET. "
        "(new)"),
    key("TEST.LIST", "", path(),
        "File of the videos that are tested in place of the test split's, in the format of TEST.DATASET's own file; "
        "lists of kinetics need no labels. (new)"),
    key("TEST.BATCH_SIZE", 8, whole(1, 1_000_000),
        "Clips per forward pass in validation and test, over all ranks of one machine."),
    key("TEST.CHECKPOINT_FILE_PATH", "", path(),
        'Weights to test; "" is the newest checkpoint in OUTPUT_DIR (the best one with TEST.USE_BEST).'),
    key("TEST.CHECKPOINT_TYPE", "pytorch", text(),
        "PySlowFast's key; the format is detected automatically.", inert=True),
    key("TEST.NUM_ENSEMBLE_VIEWS", 10, whole(1, 1000), "Clips per video, distributed uniformly over its length."),
    key("TEST.NUM_SPATIAL_CROPS", 3, choice(1, 3), "Spatial crops per clip: 1 (centre) | 3 (along the longer side)."),
    key("TEST.SAVE_RESULTS_PATH", "", path(),
        'File of the scores per video, without extension; "" is OUTPUT_DIR/scores. Both .pt and .csv are '
        "written; another split, list, views or weights than the run's own have their name behind it."),
    key("TEST.METRICS", [], list_of(entry(METRICS), distinct=True),
        "Further metrics of the METRICS registry that validation and test compute. (new)"),
    key("TEST.USE_BEST", False, flag(),
        "Test the checkpoint that was best in validation instead of the newest one. (new)"),

    # ---- Pre-training without labels (new node) ----------------------------------------------------------------------
    key("PRETRAIN.TASKS", ["avs"], list_of(entry(PRETEXTS), distinct=True),
        "Entries of the PRETEXTS registry that TASK pretrain trains: avs (synchronisation at the stages of "
        "SLOWFAST.AVS_FLAG), rotation (classify by how much the frames are rotated), or several."),
    key("PRETRAIN.ROTATION_WEIGHT", 1.0, number(0, 1e6),
        "Weight of the rotation loss; that of the synchronisation losses is LATERAL.AVS_WEIGHT."),

    # ---- Linear probe and retrieval (new node) -----------------------------------------------------------------------
    key("PROBE.RANDOM_WEIGHTS", False, flag(),
        "Probe the network with random weights, as a baseline; otherwise TEST.CHECKPOINT_FILE_PATH or the newest "
        "checkpoint in OUTPUT_DIR is loaded."),
    key("PROBE.STAGE", "res5", choice(*STAGES),
        "Stage whose pooled features are classified: pool1 | res2 | res3 | res4 | res5."),
    key("PROBE.C", [0.01, 0.1, 1.0, 10.0], list_of(positive(), 1, 100),
        "Inverse strengths of the classifier's L2 penalty, from which cross-validation on the training features "
        "chooses."),
    key("PROBE.RETRIEVAL_K", [1, 5, 10], list_of(whole(), 1, 100),
        "Numbers k of nearest training videos: a retrieval is correct if one of the k has the class."),

    # ---- Optimiser ---------------------------------------------------------------------------------------------------
    key("SOLVER.BASE_LR", 0.1, number(0, 1000), "Learning rate after the warm-up, for BATCH_SIZE clips."),
    key("SOLVER.LR_POLICY", "cosine", choice("cosine", "steps_with_relative_lrs"), "cosine | steps_with_relative_lrs."),
    key("SOLVER.COSINE_END_LR", 0.0, number(0, 1000), "Learning rate at the end of the cosine."),
    key("SOLVER.STEPS", [], list_of(number(0, 1e6)), "First epoch of each step."),
    key("SOLVER.LRS", [], list_of(number(0, 1e6)), "Factor on BASE_LR in each step."),
    key("SOLVER.MAX_EPOCH", 300, whole(1, 1_000_000), "Number of epochs."),
    key("SOLVER.MOMENTUM", 0.9, share(below=True), "Momentum of SGD."),
    key("SOLVER.DAMPENING", 0.0, share(), "Dampening of SGD's momentum."),
    key("SOLVER.NESTEROV", True, flag(), "Use Nesterov momentum."),
    key("SOLVER.BETAS", [0.9, 0.999], list_of(share(below=True), 2, 2), "Beta values of Adam and AdamW."),
    key("SOLVER.WEIGHT_DECAY", 1e-4, number(0, 10),
        "Factor of the L2 penalty (sgd, adam) or of the decoupled decay (adamw)."),
    key("SOLVER.ZERO_WD_1D_PARAM", False, flag(),
        "Exclude biases and other one-dimensional weights from weight decay."),
    key("SOLVER.WARMUP_EPOCHS", 0.0, number(0, 1e6), "Epochs of linear warm-up."),
    key("SOLVER.WARMUP_START_LR", 0.01, number(0, 1000), "Learning rate at the start of the warm-up."),
    key("SOLVER.OPTIMIZING_METHOD", "sgd", choice("sgd", "adam", "adamw"), "sgd | adam | adamw."),
    key("SOLVER.BASE_LR_FOR_BATCH", 0, whole(0, 10_000_000),
        "Clips of a step for which the learning rates of SOLVER are given; with another number they are scaled "
        "linearly (arXiv 1706.02677). 0 takes them as they are. (new)"),
    key("SOLVER.BASE_LR_SCALE_NUM_SHARDS", False, flag(), "Multiply the learning rates by NUM_SHARDS."),
    key("SOLVER.COSINE_AFTER_WARMUP", False, flag(),
        "Start the cosine at its peak after the warm-up; it still ends at MAX_EPOCH."),
    key("SOLVER.CLIP_GRAD_L2NORM", 0.0, number(0),
        "Largest global norm of the gradient, to which it is clipped; 0 is off."),
    key("SOLVER.CLIP_GRAD_VAL", 0.0, number(0),
        "Largest absolute value in the gradient, to which it is clipped; 0 is off."),

    # ---- Processes and output ----------------------------------------------------------------------------------------
    key("NUM_GPUS", 1, whole(0, 1024), "GPUs on this machine; 0 runs on the CPU."),
    key("NUM_CPU_PROCESSES", 1, whole(1, 256, reason="each of them is a process"),
        "Processes on this machine where NUM_GPUS is 0. (new)"),
    key("NUM_SHARDS", 1, whole(1, 65536), "Number of machines."),
    key("SHARD_ID", 0, whole(0, 65535), "This machine's number, from 0."),
    key("OUTPUT_DIR", "./tmp", path(False), "Folder for checkpoints, logs and results."),
    key("RNG_SEED", 1, whole(0, 2**32 - 1, reason="a seed has 32 bits"),
        "Seed of weights, order, augmentation and DropPathway."),
    key("LOG_PERIOD", 10, whole(), "Iterations from one log line to the next."),
    key("LOGGERS", ["json", "csv", "tensorboard"], list_of(entry(LOGGERS), distinct=True),
        "Where a training shows its numbers besides the log: json (metrics.jsonl, all scalars) | csv (epochs.csv, a "
        "row per epoch) | tensorboard | wandb | mlflow | those of plugins. (new)"),
    key("LOG_MODEL_INFO", True, flag(), "Log the parameters of each part of the network and its GFLOPs at the start."),
    key("DIST.INIT_TIMEOUT", 300.0, number(1, 10_000_000),
        "Seconds in which all machines and ranks of a job have to come together. (new)"),
    key("DIST.TIMEOUT", 600.0, number(1, 10_000_000),
        "Seconds without a sign of life after which a rank is named as lost and the job ends; also the limit of an "
        "exchange between ranks, so more than DATA_LOADER.TIMEOUT. (new)"),
    key("DIST_BACKEND", "nccl", choice("nccl", "gloo"),
        "Backend of torch.distributed: nccl | gloo; on the CPU it is always gloo."),

    key("TENSORBOARD.ENABLE", True, flag(), 'Write TensorBoard files; False takes "tensorboard" out of LOGGERS.'),
    key("TENSORBOARD.LOG_DIR", "", path(), 'Folder of the TensorBoard files; "" is OUTPUT_DIR/tensorboard.'),
    key("TENSORBOARD.CONFUSION_MATRIX", True, flag(), "Write the confusion matrix of each validation."),
    key("TENSORBOARD.CLIPS", 4, whole(0, 1000),
        "Number of clips of an epoch's last batch to write, with their audio. (new)"),
    key("TENSORBOARD.HISTOGRAMS", False, flag(), "Write a histogram of each weight after every epoch. (new)"),

    key("WANDB.PROJECT", "avslowfast", text(False), "Project at Weights & Biases. (new)"),
    key("MLFLOW.TRACKING_URI", "", text(),
        'Server or folder of MLflow; "" is $MLFLOW_TRACKING_URI, else OUTPUT_DIR/mlruns. (new)'),
    key("MLFLOW.EXPERIMENT", "avslowfast", text(False), "Experiment in MLflow. (new)"),

    # ---- Multigrid training ------------------------------------------------------------------------------------------
    key("MULTIGRID.SHORT_CYCLE", False, flag(),
        "Change the crop, and the batch with it, from step to step (multigrid training, arXiv 1912.00998)."),
    key("MULTIGRID.LONG_CYCLE", False, flag(),
        "Change frames, crop, batch, learning rate and batch norm every few epochs, by a schedule that follows from "
        "SOLVER.STEPS, SOLVER.LRS and SOLVER.MAX_EPOCH."),
    key("MULTIGRID.SHORT_CYCLE_FACTORS", [0.5, 0.5**0.5], list_of(share(above=True), 1, 8),
        "Crops of the short cycle as shares of DATA.TRAIN_CROP_SIZE; that of the long cycle follows them."),
    key("MULTIGRID.LONG_CYCLE_FACTORS", [[0.25, 0.5**0.5], [0.5, 0.5**0.5], [0.5, 1], [1, 1]],
        list_of(list_of(share(above=True), 2, 2), 1, 16),
        "Shapes of the long cycle as [share of DATA.NUM_FRAMES, share of DATA.TRAIN_CROP_SIZE]; the last is also that "
        "of the last learning-rate step."),
    key("MULTIGRID.EPOCH_FACTOR", 1.5, positive(1000),
        "Epochs with multigrid / SOLVER.MAX_EPOCH."),
    key("MULTIGRID.BN_BASE_SIZE", 8, whole(1, 1_000_000),
        "Clips over which batch norm takes its statistics in every shape of the long cycle, by sub-BN or sync-BN, "
        "unless BN.NORM_TYPE is frozen_batchnorm."),
    key("MULTIGRID.EVAL_FREQ", 3, whole(),
        "Validations in each shape of the long cycle, about; in place of TRAIN.EVAL_PERIOD."),
    key("MULTIGRID.LONG_CYCLE_SAMPLING_RATE", 0, whole(0),
        "PySlowFast writes it while it trains: the largest sampling rate of the present shape; unused.", inert=True),
    key("MULTIGRID.DEFAULT_B", 0, whole(0),
        "PySlowFast writes it while it trains: the configured TRAIN.BATCH_SIZE; unused.", inert=True),
    key("MULTIGRID.DEFAULT_T", 0, whole(0),
        "PySlowFast writes it while it trains: the configured DATA.NUM_FRAMES; unused.", inert=True),
    key("MULTIGRID.DEFAULT_S", 0, whole(0),
        "PySlowFast writes it while it trains: the configured DATA.TRAIN_CROP_SIZE; unused.", inert=True),
)
# fmt: on
