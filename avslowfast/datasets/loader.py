"""From configuration to data sets and loaders: the only place in `datasets` that reads cfg."""

import torch
from torch.utils.data import DataLoader, default_collate

from ..config import ConfigError
from ..config.arch import PATHWAYS_OF
from ..utils import distributed
from . import kinetics  # noqa: F401  (fills DATASETS)
from .audio import AudioFrontEnd
from .base import AudioSettings, ClipSettings, DATASETS
from .samplers import EvalSampler, TrainBatchSampler
from .transforms import RandAugment

_RAGGED = ("audio_hard_negative", "waveform_hard_negative")


def build_dataset(cfg, split):
    """The data set of a split ("train", "val" or "test"); samples as in `base.VideoDataset`."""
    if split not in ("train", "val", "test"):
        raise ValueError(f"a split is train, val or test, not {split!r}")
    d = cfg.DATA
    name = cfg.TEST.DATASET if split == "test" else cfg.TRAIN.DATASET
    kind = DATASETS[name.lower()]
    # A model for boxes or for several labels of different kinds can be built and tested on tensors; lists for them come with their data sets.
    for key, used in (("MULTI_HEAD.NAMES", cfg.MULTI_HEAD.NAMES), ("DETECTION.ENABLE", cfg.DETECTION.ENABLE)):
        if used:
            raise ConfigError(f"{key} is {used}: the data set '{name}' has one label a video, which does not go with it; clear the key")
    return kind.from_lists(d.PATH_TO_DATA_DIR, split, _clip_settings(cfg), d.PATH_LABEL_SEPARATOR, d.PATH_PREFIX, d.CLASS_NAMES_FILE)


def audio_front_end(cfg):
    """The module that turns waveforms into the audio pathway's input."""
    d = cfg.DATA
    return AudioFrontEnd(d.AUDIO_SAMPLE_RATE, d.AUDIO_WIN_SZ, d.AUDIO_STEP_SZ, d.AUDIO_MEL_NUM, d.AUDIO_FRAME_NUM, d.LOGMEL_MEAN, d.LOGMEL_STD)


def build_loader(cfg, split):
    """A loader of collated batches for this rank. A training loader's `batch_sampler.set_epoch` chooses epoch and place.

    Training batches hold TRAIN.BATCH_SIZE / (ranks of a machine x ACCUMULATION_STEPS) clips. Evaluation batches hold whole videos, as
    many as go into TEST.BATCH_SIZE / ranks clips.
    """
    dataset = build_dataset(cfg, split)
    rank, world = distributed.rank(), distributed.world_size()
    local_ranks = max(world // cfg.NUM_SHARDS, 1)
    workers = cfg.DATA_LOADER.NUM_WORKERS
    common = {
        "num_workers": workers,
        "pin_memory": cfg.DATA_LOADER.PIN_MEMORY and torch.cuda.is_available() and cfg.NUM_GPUS > 0,
        "persistent_workers": workers > 0,
        # A generator of its own: starting to iterate draws from it, and a resumed run starts once more often.
        "generator": torch.Generator().manual_seed(cfg.RNG_SEED),
    }
    if split == "train":
        batch = cfg.TRAIN.BATCH_SIZE // (local_ranks * cfg.TRAIN.ACCUMULATION_STEPS)
        sampler = TrainBatchSampler(len(dataset), batch, rank, world, cfg.RNG_SEED)
        if not len(sampler):
            raise ConfigError(f"TRAIN.BATCH_SIZE is {cfg.TRAIN.BATCH_SIZE}: the training list has {len(dataset)} videos, not one batch; use a smaller batch")
        return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_train, **common)
    views = cfg.TEST.NUM_ENSEMBLE_VIEWS * cfg.TEST.NUM_SPATIAL_CROPS if split == "test" else 1
    videos = max(cfg.TEST.BATCH_SIZE // local_ranks // views, 1)
    sampler = EvalSampler(len(dataset), rank, world)
    return DataLoader(dataset, batch_size=videos, sampler=sampler, collate_fn=collate_eval, **common)


def collate_train(samples):
    """Stacks clips. Hard negatives, which some clips have, come as [N, ...] with their clips in "..._index" [N]."""
    batch = {"failures": [f for sample in samples for f in sample.pop("failures")], "path": [sample.pop("path") for sample in samples]}
    for name in _RAGGED:
        having = [i for i, sample in enumerate(samples) if name in sample]
        if having:
            batch[name] = torch.stack([samples[i].pop(name) for i in having])
            batch["audio_hard_negative_index"] = torch.tensor(having)
    return {**default_collate(samples), **batch}


def collate_eval(samples):
    """Clips of several videos in a row; "clip_index" [clips] is the data set index of each. Failed videos stand in "failed"."""
    batch = {"failed": [], "clip_index": [], "index": [], "label": [], "path": []}
    clips = []
    for sample in samples:
        index = int(sample["index"])
        for name in ("index", "label", "path"):
            batch[name].append(sample[name])
        if "failure" in sample:
            batch["failed"].append((index, sample["path"], sample["failure"]))
            continue
        views = {k: v for k, v in sample.items() if k not in ("index", "label", "path")}
        if views["start"].dim() == 0:
            views = {k: v.unsqueeze(0) for k, v in views.items()}
        clips.append(views)
        batch["clip_index"] += [index] * len(views["start"])
    batch["clip_index"] = torch.tensor(batch["clip_index"], dtype=torch.int64)
    batch["index"], batch["label"] = torch.stack(batch["index"]), torch.stack(batch["label"])
    for name in clips[0] if clips else ():
        batch[name] = torch.cat([views[name] for views in clips])
    return batch


def _clip_settings(cfg):
    d = cfg.DATA
    pathways = PATHWAYS_OF[cfg.MODEL.ARCH]
    return ClipSettings(
        pathways=pathways,
        num_frames=d.NUM_FRAMES,
        sampling_rate=d.SAMPLING_RATE,
        target_fps=d.TARGET_FPS,
        alpha=cfg.SLOWFAST.ALPHA if "fast" in pathways else 1,
        scales=tuple(d.TRAIN_JITTER_SCALES),
        crop=d.TRAIN_CROP_SIZE,
        test_crop=d.TEST_CROP_SIZE,
        num_views=cfg.TEST.NUM_ENSEMBLE_VIEWS,
        num_crops=cfg.TEST.NUM_SPATIAL_CROPS,
        num_classes=cfg.MODEL.NUM_CLASSES,
        multi_label=d.MULTI_LABEL,
        flip=d.RANDOM_FLIP,
        inverse_scale=d.INV_UNIFORM_SAMPLE,
        bgr=d.REVERSE_INPUT_CHANNEL or d.USE_BGR_ORDER,
        rand_augment=RandAugment(cfg.AUG.AA_TYPE) if cfg.AUG.ENABLE else None,
        audio=_audio_settings(cfg) if "audio" in pathways else None,
        seed=cfg.RNG_SEED,
    )


def _audio_settings(cfg):
    d, s = cfg.DATA, cfg.SPECAUG
    synchronises = cfg.MODEL.ARCH == "avslowfast" and any(cfg.SLOWFAST.AVS_FLAG)
    return AudioSettings(
        front_end=audio_front_end(cfg),
        sample_rate=d.AUDIO_SAMPLE_RATE,
        window=d.AUDIO_WIN_SZ / 1000,
        step=d.AUDIO_STEP_SZ / 1000,
        num_frames=d.AUDIO_FRAME_NUM,
        num_mels=d.AUDIO_MEL_NUM,
        on_device=d.LOGMEL_ON_DEVICE,
        hard_negatives=synchronises and d.GET_MISALIGNED_AUDIO,
        hard_from_epoch=d.MIX_NEG_EPOCH,
        easy_ratio=d.EASY_NEG_RATIO,
        min_gap=d.AUDIO_MISALIGNED_GAP * d.AUDIO_STEP_SZ / 1000,
        spec_masks=(s.NUM_MASKS, s.MAX_TIME, s.MAX_FREQ) if s.ENABLE else None,
    )
