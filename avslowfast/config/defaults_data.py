"""Configuration keys of the data: lists, clips, augmentation, the loader.

Each row is a key, its default, what it takes, and what it means; see `defaults`.
"""

from .keys import key
from .ranges import choice, flag, list_of, number, path, share, text, whole

# What RandAugment's setting is made of; "inc1" stands in PySlowFast's settings and changes nothing here.
_AMOUNT = r"([0-9](\.[0-9]*)?|\.[0-9]+)"
_RAND_AUGMENT = rf"rand(?=.*-m[0-9.])(-m(10(\.0*)?|{_AMOUNT})|-n(1?[1-9]|10)|-mstd{_AMOUNT}|-inc[01])+"
# An option of fsspec's file systems; what is a secret has other places than a configuration, which is logged.
_OPTION = r"(?i)[a-z][a-z0-9+.-]*\.(?![\w.]*(key|secret|token|passw|credential))\w+(\.\w+)*=.*"
_OPTION_FORM = "protocol.option=value without a secret (give keys in the environment or the cloud's own files)"
_RAND_AUGMENT_FORM = "rand-m{0..10}-n{1..19}-mstd{0..9}, of which only m has to be there"

# Rows are set by hand: name, default and range, then the comment.
# fmt: off
DATA_KEYS = (
    # ---- Augmentation ------------------------------------------------------------------------------------------------
    key("AUG.ENABLE", False, flag(), "Apply RandAugment to the frames in training."),
    key("AUG.AA_TYPE", "rand-m7-n2-mstd0.5", text(False, pattern=_RAND_AUGMENT, form=_RAND_AUGMENT_FORM),
        "Strength of RandAugment: rand-m{magnitude 0..10}-n{operations}-mstd{standard deviation}."),
    key("AUG.NUM_SAMPLE", 1, whole(1, 1024),
        "Clips from each video of a batch, read from one open file, each cut and augmented separately (repeated "
        "augmentation, arXiv 1901.09335); a batch then has BATCH_SIZE x NUM_SAMPLE clips."),

    key("SPECAUG.ENABLE", False, flag(),
        "Apply SpecAugment (arXiv 1904.08779) to the log-mel spectrogram in training: masked cells get the normalised "
        "mean, 0. (new node)"),
    key("SPECAUG.NUM_MASKS", 2, whole(0, 1024), "Number of time masks, and of frequency masks."),
    key("SPECAUG.MAX_TIME", 16, whole(0, 8192), "Longest time mask, in spectrogram frames."),
    key("SPECAUG.MAX_FREQ", 10, whole(0, 1024), "Widest frequency mask, in mel bands."),

    key("MIXUP.ENABLE", False, flag(),
        "Apply mixup / CutMix; frames and audio of a clip are mixed with the same partner and share."),
    key("MIXUP.ALPHA", 0.8, number(0, 1000), "Parameter of mixup's beta distribution; 0 switches mixup off."),
    key("MIXUP.CUTMIX_ALPHA", 1.0, number(0, 1000), "Parameter of CutMix's beta distribution; 0 switches CutMix off."),
    key("MIXUP.PROB", 1.0, share(), "Share of the iterations that mix, 0..1."),
    key("MIXUP.SWITCH_PROB", 0.5, share(), "Share of CutMix among these where both are on, 0..1."),
    key("MIXUP.LABEL_SMOOTH_VALUE", 0.1, share(below=True), "Label smoothing used with mixing."),

    # ---- AVA ---------------------------------------------------------------------------------------------------------
    key("AVA.FRAME_DIR", "", path(),
        'Folder with one folder of frames per video (30 per second, starting at FIRST_SECOND); "" reads video files, '
        "see DATA.PATH_PREFIX and DATA.VIDEO_FILE."),
    key("AVA.FRAME_LIST_DIR", "", path(),
        "PySlowFast's key; unused, because frames are found in the folders themselves.", inert=True),
    key("AVA.ANNOTATION_DIR", "", path(), 'Folder of the label files; "" is DATA.PATH_TO_DATA_DIR.'),
    key("AVA.TRAIN_LISTS", ["train.csv"], list_of(path(False)),
        "PySlowFast's key; unused, see FRAME_LIST_DIR.", inert=True),
    key("AVA.TEST_LISTS", ["val.csv"], list_of(path(False)),
        "PySlowFast's key; unused, see FRAME_LIST_DIR.", inert=True),
    key("AVA.TRAIN_GT_BOX_LISTS", ["ava_train_v2.2.csv"], list_of(path(False)),
        "Files of ground-truth boxes to train on."),
    key("AVA.TRAIN_PREDICT_BOX_LISTS", [], list_of(path(False)), "Files of predicted boxes to train on."),
    key("AVA.TEST_PREDICT_BOX_LISTS", ["ava_val_predicted_boxes.csv"], list_of(path(False)),
        "Files of predicted boxes to validate and test on."),
    key("AVA.DETECTION_SCORE_THRESH", 0.9, share(), "Predicted boxes with a lower score are left out."),
    key("AVA.FIRST_SECOND", 900, whole(0, 1_000_000),
        "Second of the movie at which the video files and frames begin; 0 for whole movies. (new)"),
    key("AVA.BGR", False, flag(), "The network takes channels in the order B, G, R."),
    key("AVA.TRAIN_USE_COLOR_AUGMENTATION", False, flag(), "Apply colour augmentation in training."),
    key("AVA.TRAIN_PCA_JITTER_ONLY", True, flag(), "Apply only its change along the principal components."),
    key("AVA.TRAIN_PCA_EIGVAL", [0.225, 0.224, 0.229], list_of(number(0, 100), 3, 3),
        "Eigenvalues of the covariance of R, G, B, pixels in 0..1."),
    key("AVA.TRAIN_PCA_EIGVEC", [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]],
        list_of(list_of(number(-1, 1), 3, 3), 3, 3),
        "Eigenvectors of this covariance, one row per channel."),
    key("AVA.TEST_FORCE_FLIP", False, flag(refused="testing on flipped frames is not available"),
        "PySlowFast's key; flipped test views are not available, so True is refused."),
    key("AVA.FULL_TEST_ON_VAL", False, flag(),
        "Validate on every key frame while training instead of every fourth second."),
    key("AVA.LABEL_MAP_FILE", "ava_action_list_v2.2_for_activitynet_2019.pbtxt", path(False),
        "File of the classes that are evaluated, in the folder of the label files."),
    key("AVA.EXCLUSION_FILE", "ava_val_excluded_timestamps_v2.2.csv", path(),
        "File of key frames that do not count, in the folder of the label files; optional."),
    key("AVA.GROUNDTRUTH_FILE", "ava_val_v2.2.csv", path(False),
        "File of the ground truth for validation and test, in the folder of the label files."),
    key("AVA.MAX_BOXES", 50, whole(0),
        "Number of highest-scoring rows of a key frame that count in the metric, as in the official scorer; 0 counts "
        "all, on every frame, as PySlowFast's. (new)"),
    key("AVA.IMG_PROC_BACKEND", "cv2", text(),
        "PySlowFast's key; unused, because FFmpeg's scaler is used.", inert=True),

    # ---- EPIC-Kitchens-100: supervision levels in a submission (new node) --------------------------------------------
    key("EPIC100.SLS_PT", 2, whole(0, 5), "Level of the pre-training, sls_pt in the file: 0..5."),
    key("EPIC100.SLS_TL", 3, whole(0, 5),
        "Level of the training labels, sls_tl: 0..5, 3 for start and stop times of the segments, 1 for weak labels."),
    key("EPIC100.SLS_TD", -1, whole(-1, 5),
        "Level of the training data, sls_td: 0..5, 3 for the training list, 4 for training and validation list; -1 "
        "follows DATA.TRAIN_PART."),

    # ---- Data --------------------------------------------------------------------------------------------------------
    key("DATA.PATH_TO_DATA_DIR", "", path(), "Folder of the list files (train.csv, val.csv, test.csv)."),
    key("DATA.PATH_LABEL_SEPARATOR", " ", text(False), "Separator of path and label in a line of a list."),
    key("DATA.PATH_PREFIX", "", path(),
        'Folder that relative paths start from, also one on a server (s3://bucket/k400), in a tar (k400.tar#) or in '
        'the catalog of `avslowfast pack` (shards.csv#); "" is the folder of the list.'),
    key("DATA.NUM_FRAMES", 8, whole(1, 1024, reason="the frames of a clip are in memory at once"),
        "Frames of a clip in the Fast pathway (in Slow, where there is no Fast)."),
    key("DATA.SAMPLING_RATE", 8, whole(1, 1000, reason="the audio of a clip is in memory at once"),
        "Distance of sampled frames, in frames at TARGET_FPS."),
    key("DATA.INPUT_CHANNEL_NUM", [3, 3], list_of(choice(1, 3), 1, 3),
        "Input channels of each visual pathway; further values are ignored."),
    key("DATA.MEAN", [0.45, 0.45, 0.45], list_of(share(), 3, 3), "Pixel mean per channel (R, G, B), pixels in 0..1."),
    key("DATA.STD", [0.225, 0.225, 0.225], list_of(number(0.001, 1), 3, 3), "Pixel standard deviation per channel."),
    key("DATA.TRAIN_JITTER_SCALES", [256, 320], list_of(whole(1, 4096), 2, 2),
        "Range of the short side in training before the crop, pixels."),
    key("DATA.TRAIN_CROP_SIZE", 224, whole(1, 2048), "Crop in training and validation, pixels."),
    key("DATA.TEST_CROP_SIZE", 256, whole(1, 2048), "Crop in testing, pixels; also the short side there."),
    key("DATA.INV_UNIFORM_SAMPLE", False, flag(), "Draw 1/scale uniformly instead of scale."),
    key("DATA.RANDOM_FLIP", True, flag(), "Flip frames horizontally at random in training."),
    key("DATA.TARGET_FPS", 30, whole(1, 1000),
        "Frame rate that NUM_FRAMES and SAMPLING_RATE refer to, Hz. Where nothing sets it, Charades brings 24, the "
        "rate of PySlowFast's lists of frames."),
    key("DATA.DECODING_BACKEND", "pyav", text(),
        "PySlowFast's key; PyAV always decodes, so every value means the same.", inert=True),
    key("DATA.MULTI_LABEL", False, flag(), "Several labels per clip; the metric is mean average precision."),
    key("DATA.USE_OFFSET_SAMPLING", False, flag(),
        "Where test view i of n begins in the room that a clip leaves: False at i / n, as PySlowFast and the authors "
        "do by default, so that the last n-th part is never seen and a single view begins with the video; True at "
        "i / (n - 1), so that the last view ends with the video and a single one lies in its middle. Where nothing "
        "sets it, Charades brings True, as PySlowFast's reader of its lists does."),
    key("DATA.ENSEMBLE_METHOD", "sum", choice("sum", "max"),
        "How the scores of a video's views are combined: sum | max."),
    key("DATA.REVERSE_INPUT_CHANNEL", False, flag(),
        "PySlowFast's key: True reverses the channels that its reader of TRAIN.DATASET gives. The network then takes "
        "R, G, B on Charades and SSv2, whose frames PySlowFast reads as B, G, R, and B, G, R elsewhere (with AVA.BGR "
        "R, G, B). See USE_BGR_ORDER."),
    key("DATA.USE_BGR_ORDER", False, flag(),
        "The network takes channels in the order B, G, R, whatever the data set (the authors' key)."),
    key("DATA.USE_AUDIO", False, flag(),
        "The authors' key; unused, because the model's pathways decide whether audio is decoded.", inert=True),
    key("DATA.GET_MISALIGNED_AUDIO", False, flag(),
        "Read hard negatives (audio of the same video, shifted in time) for the synchronisation loss; otherwise there "
        "are easy negatives (audio of another clip) alone."),
    key("DATA.AUDIO_SAMPLE_RATE", 16000, whole(1000, 192_000), "Sample rate of the audio, Hz."),
    key("DATA.AUDIO_WIN_SZ", 32, whole(1, 1000), "Spectrogram window, ms."),
    key("DATA.AUDIO_STEP_SZ", 16, whole(1, 1000), "Step from one spectrogram frame to the next, ms."),
    key("DATA.AUDIO_FRAME_NUM", 128, whole(1, 8192), "Spectrogram frames per clip."),
    key("DATA.AUDIO_MEL_NUM", 80, whole(1, 1024, reason="a spectrum has no more bands to tell apart"), "Mel bands."),
    key("DATA.AUDIO_MISALIGNED_GAP", 32, whole(0, 1_000_000),
        "Smallest distance of a hard negative's start from the clip's, in spectrogram frames."),
    key("DATA.LOGMEL_MEAN", -7.03, number(-100, 100), "Mean of the log-mel values (natural logarithm)."),
    key("DATA.LOGMEL_STD", 4.66, number(0.001, 1000), "Standard deviation of the log-mel values."),
    key("DATA.EASY_NEG_RATIO", 0.75, share(), "Share of easy negatives from MIX_NEG_EPOCH on, 0..1."),
    key("DATA.MIX_NEG_EPOCH", 96, whole(0, 1_000_000),
        "Epoch from which hard negatives are mixed in (see also SYNC.HARD_FROM)."),
    key("DATA.LOGMEL_ON_DEVICE", False, flag(),
        "Compute the log-mel spectrogram on the training device instead of in the loader. (new)"),
    key("DATA.SKIP_LOOP_FILTER", False, flag(),
        "Decode training videos without the deblocking filter: up to 10 % faster, with visible block edges. (new)"),
    key("DATA.MAX_PIXELS", 8192 * 8192, whole(1, 2**31 - 1),
        "Pixels of the largest frame that is decoded, by default twice those of an 8K video; a file with larger frames "
        "counts as unreadable, since a few of them fill the memory. (new)"),
    key("DATA.MAX_FAILED_FRACTION", 0.01, share(),
        "Share of unreadable files in a data set above which the run stops, 0..1; see MAX_FAILED_FILES. (new)"),
    key("DATA.MAX_FAILED_FILES", 5, whole(0, 1_000_000_000),
        "Number of unreadable files that never stops a run, whatever their share, unless they are all. (new)"),
    key("DATA.CLASS_NAMES_FILE", "", path(),
        'File with one class name per line, in the order of the labels; "" is classes.txt in the folder of the lists, '
        "if it exists. (new)"),
    key("DATA.TRAIN_FRACTION", 1.0, share(above=True),
        "Share of the training videos that is used, the same for every class, drawn by RNG_SEED; above 0, up to 1. "
        "(new)"),
    key("DATA.BALANCE", "none", choice("none", "sampling", "weights"),
        "Classes of unequal numbers of training videos: none | sampling (an epoch visits every class equally often) | "
        "weights (a clip counts in the loss by the inverse of its class's number). (new)"),
    key("DATA.FOLD", 1, whole(1, 1000), "Split of the data sets that have several (UCF101, HMDB51), from 1. (new)"),
    key("DATA.TRAIN_PART", "", text(),
        'Part of the data to train on, where a data set has several; "" is its default. EPIC-Kitchens-55: local '
        "(P01-P25, the default) | all; EPIC-Kitchens-100: train (the default) | trainval (the validation list as well, "
        "for the test server). (new)"),
    key("DATA.TEST_PART", "", text(),
        'Part of the data to test on; "" is the default. EPIC-Kitchens-55: local (P26-P31) | s1 | s2; EPIC-'
        "Kitchens-100: validation | test. (new)"),
    key("DATA.TARGET", "verb", text(False),
        "Label that a single classifier is trained on where a segment has several: verb | noun. (new)"),
    key("DATA.VIDEO_FILE", "", text(fields=True),
        'File name of a video under PATH_PREFIX, with fields in braces such as {participant}/{video}.MP4; "" is the '
        "default of the data set. It may be a folder of frames. (new)"),
    key("DATA.AUDIO_FILE", "", text(fields=True),
        'Name of a separate audio file, with the same fields, e.g. {video}.wav; "" reads audio from the video file. '
        "(new)"),

    # ---- Loader ------------------------------------------------------------------------------------------------------
    key("DATA_LOADER.NUM_WORKERS", 8, whole(0, 256, reason="each worker is a process"), "Worker processes per rank."),
    key("DATA_LOADER.TIMEOUT", 300.0, number(0),
        "Seconds after which a worker that does nothing, as one that reads from a dead mount, is replaced and its file "
        "counts as unreadable; 0 means never. (new)"),
    key("DATA_LOADER.PIN_MEMORY", True, flag(), "Pin batches in memory, where there is a GPU."),
    key("DATA_LOADER.ENABLE_MULTI_THREAD_DECODE", False, flag(),
        "PySlowFast's key; unused, because one thread per worker decodes more clips per core.", inert=True),

    # ---- Storage -----------------------------------------------------------------------------------------------------
    key("STORAGE.CACHE_DIR", "", path(),
        "Folder on this machine for the blocks that were read from remote objects; all processes share it. "
        '"" is $AVSLOWFAST_CACHE/blocks, or ~/.cache/avslowfast/blocks. (new node)'),
    key("STORAGE.CACHE_SIZE", 10.0, number(0, 1e6),
        "Size of that folder at most, GiB; the least recently used blocks go first. 0 keeps none."),
    key("STORAGE.BLOCK_SIZE", 1.0, number(0.0625, 256),
        "What is read at a time from a remote object, MiB; one of up to four blocks is read at once."),
    key("STORAGE.RETRIES", 5, whole(0, 100),
        "Further tries where a server does not answer as it should, the first after half a second, each after twice "
        "as long; then the clip counts as unreadable."),
    key("STORAGE.OPTIONS", [], list_of(text(False, pattern=_OPTION, form=_OPTION_FORM)),
        "Options of fsspec's file systems: s3.anon=True for public buckets, "
        "s3.client_kwargs.endpoint_url=http://minio:9000 for another server."),
)
# fmt: on
