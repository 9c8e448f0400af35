"""From configuration to data sets and loaders: the only place in `datasets` that reads cfg."""

import torch
from torch.utils.data import DataLoader, default_collate

from ..clips import spans as clips
from ..clips.logmel import AudioFrontEnd
from ..clips.transforms import ColourJitter, RandAugment
from ..config import ConfigError
from ..config.names import ARCHITECTURES
from ..datasets import ava, ave, charades, epic, hmdb51, kinetics, kinetics_sounds, ucf101, vggsound  # noqa: F401  (fill DATASETS)
from ..datasets.base import AudioSettings, ClipSettings, DATASETS, Source
from ..utils import distributed
from .samplers import EvalSampler, TrainBatchSampler

_RAGGED = ("audio_hard_negative", "waveform_hard_negative")


def build_dataset(cfg, split):
    """The data set of a split ("train", "val" or "test"); samples as in `base.VideoDataset`."""
    if split not in ("train", "val", "test"):
        raise ValueError(f"a split is train, val or test, not {split!r}")
    name = (cfg.TEST.DATASET if split == "test" else cfg.TRAIN.DATASET).lower()
    kind = DATASETS[name]
    heads = cfg.MULTI_HEAD.NAMES
    unknown = [head for head in heads if head not in kind.heads]
    if unknown:
        can = f"it can feed {', '.join(kind.heads)}" if kind.heads else "it has one label a video"
        raise ConfigError(
            f"MULTI_HEAD.NAMES is {heads}: the data set '{name}' has no labels for '{unknown[0]}' ({can}); change the key"
        )
    if kind.boxes != cfg.DETECTION.ENABLE:
        has = "classifies boxes" if kind.boxes else "has no boxes"
        raise ConfigError(
            f"DETECTION.ENABLE is {cfg.DETECTION.ENABLE}: the data set '{name}' {has}; set it to {kind.boxes}"
        )
    if kind.multi_label is not None and kind.multi_label != cfg.DATA.MULTI_LABEL:
        raise ConfigError(
            f"DATA.MULTI_LABEL is {cfg.DATA.MULTI_LABEL}: the data set '{name}' needs {kind.multi_label}; set it so"
        )
    dataset = kind.from_source(_source(cfg), split, clip_settings(cfg))
    if split == "train" and cfg.DATA.TRAIN_FRACTION < 1:
        dataset.keep_fraction(cfg.DATA.TRAIN_FRACTION, cfg.RNG_SEED)
    return dataset


def _source(cfg):
    d = cfg.DATA
    return Source(
        folder=d.PATH_TO_DATA_DIR,
        prefix=d.PATH_PREFIX,
        separator=d.PATH_LABEL_SEPARATOR,
        names_file=d.CLASS_NAMES_FILE,
        num_classes=cfg.MODEL.NUM_CLASSES,
        heads=dict(zip(cfg.MULTI_HEAD.NAMES, cfg.MULTI_HEAD.NUM_CLASSES)) or None,
        fold=d.FOLD,
        train_part=d.TRAIN_PART,
        test_part=d.TEST_PART,
        target=d.TARGET,
        video_file=d.VIDEO_FILE,
        sound_file=d.AUDIO_FILE,
        options=dict(cfg.AVA),
        labelled=cfg.TASK not in ("sync", "pretrain"),
    )


def audio_front_end(cfg):
    """The module that turns waveforms into the audio pathway's input."""
    d = cfg.DATA
    return AudioFrontEnd(
        d.AUDIO_SAMPLE_RATE,
        d.AUDIO_WIN_SZ,
        d.AUDIO_STEP_SZ,
        d.AUDIO_MEL_NUM,
        d.AUDIO_FRAME_NUM,
        d.LOGMEL_MEAN,
        d.LOGMEL_STD,
    )


def build_loader(cfg, split, videos_of=None):
    """A loader of collated batches for this rank. A training loader's `batch_sampler.set_epoch` chooses epoch and place.

    Args:
        split: how clips are cut. videos_of: the split whose videos are cut so; None is the same.

    Training batches hold TRAIN.BATCH_SIZE / (ranks of a machine x ACCUMULATION_STEPS) videos, AUG.NUM_SAMPLE clips
    of each. Evaluation batches hold whole videos, as many as go into TEST.BATCH_SIZE / ranks clips.
    """
    dataset = build_dataset(cfg, videos_of or split)
    dataset.split = split
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
            raise ConfigError(
                f"TRAIN.BATCH_SIZE is {cfg.TRAIN.BATCH_SIZE}: the training list has {len(dataset)} videos, not one batch; use a smaller batch"
            )
        return DataLoader(dataset, batch_sampler=sampler, collate_fn=collate_train, **common)
    views = cfg.TEST.NUM_ENSEMBLE_VIEWS * cfg.TEST.NUM_SPATIAL_CROPS if split == "test" and not dataset.boxes else 1
    videos = max(cfg.TEST.BATCH_SIZE // local_ranks // views, 1)
    sampler = EvalSampler(len(dataset), rank, world)
    return DataLoader(
        dataset,
        batch_size=videos,
        sampler=sampler,
        collate_fn=collate_boxes if dataset.boxes else collate_eval,
        **common,
    )


def collate_train(samples):
    """Stacks clips. Hard negatives, which some clips have, come as [N, ...] with their clips in "..._index" [N].

    Where each video gives several clips, the first ones of all videos come first, then the second ones: the clip that follows, whose sound
    is the easy negative, is another video's.
    """
    if isinstance(samples[0], list):
        samples = [clip for place in zip(*samples) for clip in place]
    batch = {
        "failures": [f for sample in samples for f in sample.pop("failures")],
        "path": [sample.pop("path") for sample in samples],
    }
    for name in _RAGGED:
        having = [i for i, sample in enumerate(samples) if name in sample]
        if having:
            batch[name] = torch.stack([samples[i].pop(name) for i in having])
            batch["audio_hard_negative_index"] = torch.tensor(having)
    if "boxes" in samples[0]:
        batch.update(
            _join_boxes([sample.pop("boxes") for sample in samples], [sample.pop("targets") for sample in samples])
        )
        batch["dropped_boxes"] = sum(int(sample.pop("dropped_boxes")) for sample in samples)
    return {**default_collate(samples), **batch}


def _join_boxes(boxes, targets):
    """Boxes of several clips in a row, each with the number of its clip in front: "boxes" [K, 5], "targets" [K, classes]."""
    numbered = [torch.cat([torch.full((len(b), 1), float(i)), b], dim=1) for i, b in enumerate(boxes)]
    return {"boxes": torch.cat(numbered), "targets": torch.cat(targets)}


def collate_boxes(samples):
    """Key frames for evaluation, as a list: in testing their pictures differ in size. "failed" as in `collate_eval`."""
    batch = {
        "failed": [],
        "index": torch.stack([s["index"] for s in samples]),
        "path": [s["path"] for s in samples],
        "clips": [],
    }
    batch["label"] = torch.stack([s["label"] for s in samples])
    for sample in samples:
        if "failure" in sample:
            batch["failed"].append((int(sample["index"]), sample["path"], sample["failure"]))
        else:
            batch["clips"].append(
                {
                    k: v
                    for k, v in sample.items()
                    if isinstance(v, torch.Tensor) and k not in ("label", "start", "dropped_boxes")
                }
            )
    batch["clip_index"] = torch.tensor([int(clip["index"]) for clip in batch["clips"]], dtype=torch.int64)
    return batch


def collate_eval(samples):
    """Clips of several videos in a row; "clip_index" [clips] is the data set index of each. Failed videos stand in "failed"."""
    batch = {"failed": [], "clip_index": [], "index": [], "label": [], "path": []}
    clips, sounds = [], 0
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
        if "audio_index" in views:
            views["audio_index"] = views["audio_index"] + sounds
            sounds += len(views["audio_mask"])
        clips.append(views)
        batch["clip_index"] += [index] * len(views["start"])
    batch["clip_index"] = torch.tensor(batch["clip_index"], dtype=torch.int64)
    batch["index"], batch["label"] = torch.stack(batch["index"]), torch.stack(batch["label"])
    for name in clips[0] if clips else ():
        batch[name] = torch.cat([views[name] for views in clips])
    return batch


def clip_settings(cfg):
    """How cfg turns a video into clips: a `base.ClipSettings`."""
    d = cfg.DATA
    pathways = ARCHITECTURES[cfg.MODEL.ARCH]
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
        bgr=d.REVERSE_INPUT_CHANNEL or d.USE_BGR_ORDER or (cfg.DETECTION.ENABLE and cfg.AVA.BGR),
        rand_augment=RandAugment(cfg.AUG.AA_TYPE) if cfg.AUG.ENABLE else None,
        colour=_colour(cfg.AVA) if cfg.DETECTION.ENABLE and cfg.AVA.TRAIN_USE_COLOR_AUGMENTATION else None,
        audio=_audio_settings(cfg) if "audio" in pathways else None,
        seed=cfg.RNG_SEED,
        num_samples=cfg.AUG.NUM_SAMPLE,
        loop_filter=not d.SKIP_LOOP_FILTER,
    )


def _colour(node):
    return ColourJitter(node.TRAIN_PCA_EIGVAL, node.TRAIN_PCA_EIGVEC, node.TRAIN_PCA_JITTER_ONLY)


def _audio_settings(cfg):
    d, s = cfg.DATA, cfg.SPECAUG
    y = cfg.SYNC
    synchronises = cfg.MODEL.ARCH == "avslowfast" and any(cfg.SLOWFAST.AVS_FLAG)
    measured = synchronises and cfg.TASK in ("sync", "pretrain")
    return AudioSettings(
        front_end=audio_front_end(cfg),
        sample_rate=d.AUDIO_SAMPLE_RATE,
        window=d.AUDIO_WIN_SZ / 1000,
        step=d.AUDIO_STEP_SZ / 1000,
        num_frames=d.AUDIO_FRAME_NUM,
        num_mels=d.AUDIO_MEL_NUM,
        on_device=d.LOGMEL_ON_DEVICE,
        hard_negatives=synchronises and d.GET_MISALIGNED_AUDIO,
        hard_from_epoch=d.MIX_NEG_EPOCH if y.HARD_FROM < 0 else y.HARD_FROM * cfg.SOLVER.MAX_EPOCH,
        easy_ratio=d.EASY_NEG_RATIO,
        min_gap=d.AUDIO_MISALIGNED_GAP * d.AUDIO_STEP_SZ / 1000,
        super_hard_ratio=y.SUPER_HARD_RATIO,
        super_hard_gap=y.SUPER_HARD_GAP,
        shifts=clips.shift_grid(y.MAX_SHIFT, y.SHIFT_STEP) if measured else (),
        spec_masks=(s.NUM_MASKS, s.MAX_TIME, s.MAX_FREQ) if s.ENABLE else None,
    )
