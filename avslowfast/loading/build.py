"""From configuration to data sets and loaders: the only file of this room that reads cfg."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import BatchSampler

from ..clips import spans
from ..clips.logmel import AudioFrontEnd
from ..clips.reader import ClipReader
from ..clips.settings import AudioSettings, Augmentation, ClipSettings
from ..clips.transforms import ColourJitter, RandAugment
from ..config import ConfigError, derived
from ..config.derived import Cfg
from ..config.multigrid import Schedule
from ..config.names import DATASETS
from ..datasets.base import Labels, Listing, Source
from ..datasets.label_columns import OneId
from ..datasets.tables import check_distinct
from ..media.storage import StorageSettings
from ..utils import distributed
from ..utils.logging import get_logger
from ..utils.memory import return_freed_memory
from ..utils.seeding import generator
from ..utils.text import counted
from .collate import collate_boxes, collate_eval, collate_train
from .dataset import ClipDataset, KeyFrameDataset
from .labels import Boxes, label_rule
from .loader import ClipLoader
from .samplers import EvalSampler, TrainBatchSampler, VideoOrder
from .workers import Collate

logger = get_logger(__name__)

SPLITS = ("train", "val", "test")
# What DATA.MULTI_LABEL has to be for a kind of labels; for the others it has no meaning.
_MULTI_LABEL: dict[Labels, bool] = {"class": False, "multi": True, "spans": True}


def build_dataset(cfg: Cfg, split: str, videos_of: str | None = None) -> ClipDataset:
    """The data set of a split; samples as in `loading.dataset`.

    Args:
        cfg: The configuration.
        split: train | val | test: how clips are cut.
        videos_of: The split whose videos are cut so; None means the same.

    Raises:
        ConfigError: A label file is missing or has a mistake, or the network and the labels do not fit.
    """
    for name in (split, videos_of or split):
        if name not in SPLITS:
            raise ValueError(f"a split is train, val or test, not {name!r}")
    source = videos_of or split
    if cfg.TRAIN.OVERFIT_BATCHES and (split, source) == ("val", "val"):
        # What is learnt by heart is what is validated; a test of the split val is one of that split.
        source = "train"
    listing = read_listing(cfg, source, split)
    rule = label_rule(listing.labels, tuple(derived.head_classes(cfg).values()))
    rule.check(listing.records)
    _check_names(cfg, listing)
    reader = ClipReader(clip_settings(cfg, source))
    if isinstance(rule, Boxes):
        return KeyFrameDataset(listing, reader, rule, split)
    dataset = ClipDataset(listing, reader, rule, split)
    if split == "train" and cfg.DATA.BALANCE == "sampling":
        dataset.order = VideoOrder(cfg.RNG_SEED, len(dataset), _combined(class_ids(listing)))
    return dataset


def _combined(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for each combination of class ids [N, heads] that occurs."""
    return np.unique(ids, axis=0, return_inverse=True)[1].reshape(-1)


def class_ids(listing: Listing) -> NDArray[np.int64]:
    """The class of each record for each classifier, [N, heads]; -1 for none.

    Args:
        listing: With one label for each classifier.

    Raises:
        ConfigError: It has other labels.
    """
    labels = listing.records.labels
    if not isinstance(labels, OneId):
        raise ConfigError("DATA.BALANCE: the records have not one label each; set it to none")
    return labels.ids.reshape(len(labels), -1).astype(np.int64)


def class_weights(listing: Listing, heads: Mapping[str, int]) -> dict[str, torch.Tensor]:
    """Weights of classes with which all classes count the same in a loss; over the records their mean is 1.

    Args:
        listing: The training records.
        heads: {classifier: classes}.

    Returns:
        {classifier: float32 [classes]}; 1 for a class without a record.
    """
    weights = {}
    for column, (head, total) in zip(class_ids(listing).T, heads.items()):
        counts = np.bincount(column[column >= 0], minlength=total)
        of_class = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
        weights[head] = torch.from_numpy(np.where(counts, of_class, 1).astype(np.float32))
    return weights


def read_listing(cfg: Cfg, split: str, cut: str | None = None) -> Listing:
    """The records of a split, as far as DATA.TRAIN_FRACTION uses them.

    Args:
        cfg: The configuration.
        split: train | val | test.
        cut: How clips are cut from them; None means as those of the split.

    Raises:
        ConfigError: See `build_dataset`.
    """
    key = "TEST.DATASET" if split == "test" else "TRAIN.DATASET"
    name = DATASETS.check((cfg.TEST.DATASET if split == "test" else cfg.TRAIN.DATASET).lower(), key)
    listing = DATASETS[name](_source(cfg, name, split), split)
    # Label files are far larger than the columns that remain of them.
    return_freed_memory()
    lists = listing.class_names if isinstance(listing.class_names, dict) else {"": listing.class_names}
    for head, names in lists.items():
        check_distinct(names or (), f"the data set '{name}' of {key}", f"{head} class".strip())
    _check_labels(cfg, name, listing)
    if split == "train" and cfg.DATA.TRAIN_FRACTION < 1:
        listing = keep_fraction(listing, cfg.DATA.TRAIN_FRACTION, cfg.RNG_SEED)
    limit = derived.most_videos(cfg, split, cut or split)
    if limit and limit < len(listing.records):
        # Evenly over the list, which is often in order of the classes.
        chosen = np.arange(limit) * len(listing.records) // limit
        logger.warning("%s: %d of %d videos are used (%s)", split, limit, len(listing.records), _limits(cfg))
        return dataclasses.replace(listing, records=listing.records.take(chosen))
    return listing


def _limits(cfg: Cfg) -> str:
    keys = ("TRAIN.OVERFIT_BATCHES", "TRAIN.LIMIT_BATCHES")
    return ", ".join(f"{key} {cfg.TRAIN[key.split('.')[1]]}" for key in keys if cfg.TRAIN[key.split(".")[1]])


def _check_labels(cfg: Cfg, name: str, listing: Listing) -> None:
    """Whether the network's classifiers can be fed with a data set's labels."""
    if listing.labels == "none" and not derived.task_facts(cfg).boxes:
        return
    unknown = [head for head in cfg.MULTI_HEAD.NAMES if head not in listing.classifiers]
    if unknown:
        can = f"it can feed {', '.join(listing.classifiers)}" if listing.classifiers else "it has one label per video"
        raise ConfigError(
            f"MULTI_HEAD.NAMES is {cfg.MULTI_HEAD.NAMES}: the data set '{name}' has no labels for '{unknown[0]}' "
            f"({can}); change the key"
        )
    boxes = listing.labels == "boxes"
    if boxes != derived.task_facts(cfg).boxes:
        has = "classifies boxes" if boxes else "has no boxes"
        raise ConfigError(
            f"DETECTION.ENABLE is {not boxes}: the data set '{name}' {has}; set DETECTION.ENABLE to {boxes}"
        )
    multi_label = _MULTI_LABEL.get(listing.labels, cfg.DATA.MULTI_LABEL)
    if multi_label != cfg.DATA.MULTI_LABEL:
        raise ConfigError(
            f"DATA.MULTI_LABEL is {cfg.DATA.MULTI_LABEL}: the data set '{name}' needs {multi_label}; "
            f"set DATA.MULTI_LABEL to {multi_label}"
        )


def _check_names(cfg: Cfg, listing: Listing) -> None:
    """Whether there are as many class names as classes, where a data set has names."""
    lists = listing.class_names if isinstance(listing.class_names, dict) else {"": listing.class_names}
    for head, size in derived.head_classes(cfg).items():
        names = lists.get(head)
        if listing.labels != "none" and derived.task_facts(cfg).labels and names is not None and len(names) != size:
            key = "MULTI_HEAD.NUM_CLASSES" if head else "MODEL.NUM_CLASSES"
            raise ConfigError(
                f"DATA.PATH_TO_DATA_DIR is {cfg.DATA.PATH_TO_DATA_DIR!r}: its class list has {len(names)} "
                f"{head}{' ' if head else ''}names, but the network {size} classes; make {key} equal to it"
            )


def keep_fraction(listing: Listing, share: float, seed: int) -> Listing:
    """A listing with a share of the records; their order stays.

    Where each record has one label, the share is that of every label.

    Args:
        listing: All records.
        share: Of the records that is kept; at least one of each label.
        seed: Chooses them.
    """
    records, labels = listing.records, np.full(len(listing.records), -1)
    if isinstance(records.labels, OneId) and records.labels.ids.ndim == 1:
        labels = records.labels.ids
    # The records of a label lie side by side, in their order.
    order = np.argsort(labels, kind="stable")
    found, firsts = np.unique(labels[order], return_index=True)
    kept = np.zeros(len(records), bool)
    for label, members in zip(found.tolist(), np.split(order, firsts[1:])):
        chosen = generator(seed, label, "fraction").permutation(len(members))
        kept[members[chosen[: max(round(share * len(members)), 1)]]] = True
    return dataclasses.replace(listing, records=records.take(np.flatnonzero(kept)))


def _source(cfg: Cfg, name: str, split: str) -> Source:
    d = cfg.DATA
    options = cfg.get(name.upper())
    return Source(
        folder=d.PATH_TO_DATA_DIR,
        prefix=d.PATH_PREFIX,
        separator=d.PATH_LABEL_SEPARATOR,
        names_file=d.CLASS_NAMES_FILE,
        num_classes=cfg.MODEL.NUM_CLASSES,
        classifiers={name: count for name, count in derived.head_classes(cfg).items() if name},
        multi_label=d.MULTI_LABEL,
        fold=d.FOLD,
        train_part=d.TRAIN_PART,
        test_part=d.TEST_PART,
        target=d.TARGET,
        video_file=d.VIDEO_FILE,
        audio_file=d.AUDIO_FILE,
        options=dict(options) if isinstance(options, Mapping) else {},
        labelled=derived.task_facts(cfg).labels,
        list_file=cfg.TEST.LIST if split == "test" else "",
    )


def build_loader(cfg: Cfg, split: str, videos_of: str | None = None, dataset: ClipDataset | None = None) -> ClipLoader:
    """A loader of collated batches for this rank, see `loading.collate`.

    A training loader's `epochs.set_epoch` chooses epoch and place. Training batches hold
    TRAIN.BATCH_SIZE / (ranks of a machine x ACCUMULATION_STEPS) videos, in multigrid training a multiple of that,
    AUG.NUM_SAMPLE clips of each. Evaluation batches hold whole videos, as many as go into one forward pass, one at
    least.

    Args:
        cfg: The configuration.
        split: train | val | test: how clips are cut.
        videos_of: The split whose videos are cut so; None means the same.
        dataset: Its data set, where it has been built already.

    Raises:
        ConfigError: See `build_dataset`; or the training list does not fill one batch.
    """
    dataset = build_dataset(cfg, split, videos_of) if dataset is None else dataset
    rank, world = distributed.rank(), distributed.world_size()
    common = {
        "workers": cfg.DATA_LOADER.NUM_WORKERS,
        "timeout": cfg.DATA_LOADER.TIMEOUT,
        "pin_memory": cfg.DATA_LOADER.PIN_MEMORY and torch.cuda.is_available() and cfg.NUM_GPUS > 0,
    }
    if split == "train":
        batch, schedule = derived.train_videos_per_pass(cfg, world), derived.schedule(cfg)
        passes = derived.train_passes_per_step(cfg, world)
        batches = TrainBatchSampler(dataset.order, batch, rank, world, schedule, passes, cfg.TRAIN.LIMIT_BATCHES)
        _check_batches(cfg, batches, schedule)
        return ClipLoader(dataset, batches, collation(dataset), **common)
    views = derived.test_views(cfg) if split == "test" and not isinstance(dataset, KeyFrameDataset) else 1
    videos = max(derived.test_clips_per_pass(cfg, world) // views, 1)
    in_order = BatchSampler(EvalSampler(len(dataset), rank, world), videos, drop_last=False)
    return ClipLoader(dataset, in_order, collation(dataset), **common)


def _check_batches(cfg: Cfg, batches: TrainBatchSampler, schedule: Schedule) -> None:
    """The training list fills the batches of a step in each shape."""
    for begin, phase in zip((0, *(phase.end for phase in schedule.phases)), schedule.phases):
        if not batches.batches(begin):
            clips = f"TRAIN.BATCH_SIZE is {cfg.TRAIN.BATCH_SIZE}"
            if schedule.is_multigrid:
                clips = f"{clips}, in the shape {phase.cycle[0].text} of MULTIGRID {phase.cycle[0].batch} times as much"
            raise ConfigError(
                f"{clips}: the training list has {counted(batches.length, 'video')}, not one batch; use a smaller batch"
            )


def collation(dataset: ClipDataset) -> Collate:
    """What makes a batch of samples of a data set."""
    if dataset.split == "train":
        return collate_train
    return collate_boxes if isinstance(dataset, KeyFrameDataset) else collate_eval


def clip_settings(cfg: Cfg, split: str = "train") -> ClipSettings:
    """How cfg turns a video into clips.

    Args:
        cfg: The configuration.
        split: Whose data set says how clips are counted: train | val | test.
    """
    d, pathways = cfg.DATA, derived.pathways(cfg)
    return ClipSettings(
        pathways=pathways,
        num_frames=d.NUM_FRAMES,
        sampling_rate=d.SAMPLING_RATE,
        target_fps=d.TARGET_FPS,
        alpha=derived.alpha(cfg),
        scales=(d.TRAIN_JITTER_SCALES[0], d.TRAIN_JITTER_SCALES[1]),
        crop=d.TRAIN_CROP_SIZE,
        test_crop=d.TEST_CROP_SIZE,
        num_views=cfg.TEST.NUM_ENSEMBLE_VIEWS,
        num_crops=cfg.TEST.NUM_SPATIAL_CROPS,
        flip=d.RANDOM_FLIP,
        inverse_scale=d.INV_UNIFORM_SAMPLE,
        bgr=derived.is_bgr(cfg),
        augmentation=_augmentation(cfg),
        audio=_audio_settings(cfg) if "audio" in pathways else None,
        seed=cfg.RNG_SEED,
        num_samples=cfg.AUG.NUM_SAMPLE,
        both_ends=d.USE_OFFSET_SAMPLING,
        whole_frames=derived.counts_whole_frames(cfg, split),
        loop_filter=not d.SKIP_LOOP_FILTER,
        max_pixels=d.MAX_PIXELS,
        storage=storage_settings(cfg),
    )


def storage_settings(cfg: Cfg) -> StorageSettings:
    """How remote objects are read."""
    node = cfg.STORAGE
    options: dict[str, dict[str, Any]] = {}
    for option in node.OPTIONS:
        name, _, value = option.partition("=")
        protocol, *groups, leaf = name.split(".")
        inner = options.setdefault(protocol, {})
        for group in groups:
            inner = inner.setdefault(group, {})
        inner[leaf] = int(value) if value.isdecimal() else {"true": True, "false": False}.get(value.lower(), value)
    return StorageSettings(
        cache_dir=node.CACHE_DIR,
        cache_size=int(node.CACHE_SIZE * 2**30),
        block_size=int(node.BLOCK_SIZE * 2**20),
        retries=node.RETRIES,
        options=options,
    )


def _augmentation(cfg: Cfg) -> Augmentation | None:
    # Operations that move pixels would leave the boxes behind.
    if derived.task_facts(cfg).boxes:
        node = cfg.AVA
        if not node.TRAIN_USE_COLOR_AUGMENTATION:
            return None
        return ColourJitter(node.TRAIN_PCA_EIGVAL, node.TRAIN_PCA_EIGVEC, node.TRAIN_PCA_JITTER_ONLY)
    return RandAugment(cfg.AUG.AA_TYPE) if cfg.AUG.ENABLE else None


def audio_front_end(cfg: Cfg) -> AudioFrontEnd:
    """The module that turns waveforms into the audio pathway's input."""
    d = cfg.DATA
    return AudioFrontEnd(
        sample_rate=d.AUDIO_SAMPLE_RATE,
        window=d.AUDIO_WIN_SZ,
        step=d.AUDIO_STEP_SZ,
        num_mels=d.AUDIO_MEL_NUM,
        num_frames=d.AUDIO_FRAME_NUM,
        mean=d.LOGMEL_MEAN,
        std=d.LOGMEL_STD,
    )


def _audio_settings(cfg: Cfg) -> AudioSettings:
    d, masks, sync = cfg.DATA, cfg.SPECAUG, cfg.SYNC
    return AudioSettings(
        front_end=audio_front_end(cfg),
        sample_rate=d.AUDIO_SAMPLE_RATE,
        window=d.AUDIO_WIN_SZ / 1000,
        step=d.AUDIO_STEP_SZ / 1000,
        num_frames=d.AUDIO_FRAME_NUM,
        num_mels=d.AUDIO_MEL_NUM,
        on_device=d.LOGMEL_ON_DEVICE,
        hard_negatives=derived.reads_hard_negatives(cfg),
        hard_from_epoch=derived.hard_negatives_from_epoch(cfg),
        easy_ratio=d.EASY_NEG_RATIO,
        min_gap=d.AUDIO_MISALIGNED_GAP * d.AUDIO_STEP_SZ / 1000,
        super_hard_ratio=sync.SUPER_HARD_RATIO,
        super_hard_gap=sync.SUPER_HARD_GAP,
        shifts=spans.shift_grid(sync.MAX_SHIFT, sync.SHIFT_STEP) if derived.measures_sync(cfg) else (),
        spec_masks=(masks.NUM_MASKS, masks.MAX_TIME, masks.MAX_FREQ) if masks.ENABLE else None,
    )
