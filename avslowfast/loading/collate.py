"""Samples -> batches.

A training batch has the samples' tensors stacked, [B, ...], with "path" and "failures" as lists. An evaluation batch
holds whole videos: their clips in a row, with "clip_index" [clips], the data set's index of each clip's video; "index",
"label" and "path" have one entry per video, and "failed" lists (index, path, reason) of the videos that could not be
read. Both list "flaws" of the files that were read, and have "silent", the number of clips without audio.
"""

from typing import Any

import torch
from torch.utils.data import default_collate

from ..utils.batches import numbered_boxes
from .dataset import Sample

Batch = dict[str, Any]

# Tensors that some clips of a batch have.
_RAGGED = ("audio_hard_negative", "waveform_hard_negative")
# What a sample says of its video; the rest are its clips.
_OF_VIDEO = ("index", "label", "path", "flaws")
# Tensors of a key frame that do not go into the network with its clip.
_NOT_INPUT = ("label", "start", "dropped_boxes")


def collate_train(samples: list[Sample] | list[list[Sample]]) -> Batch:
    """Stack training clips.

    Hard negatives, which some clips have, come as [N, ...] with the numbers of their clips in
    "audio_hard_negative_index" [N]. Where each video gives several clips, the first ones of all videos come first, then
    the second ones: the clip that follows, whose audio is the easy negative, is another video's.

    Args:
        samples: One sample, or a list of samples, for each video.
    """
    clips = _in_turn(samples)
    batch: Batch = {
        "failures": [failure for clip in clips for failure in clip.pop("failures")],
        "flaws": [flaw for clip in clips for flaw in clip.pop("flaws")],
        "silent": _num_silent(clips),
        "path": [clip.pop("path") for clip in clips],
    }
    for name in _RAGGED:
        having = [i for i, clip in enumerate(clips) if name in clip]
        if having:
            batch[name] = torch.stack([clips[i].pop(name) for i in having])
            batch["audio_hard_negative_index"] = torch.tensor(having)
    if "boxes" in clips[0]:
        batch["boxes"] = numbered_boxes([clip.pop("boxes") for clip in clips])
        batch["targets"] = torch.cat([clip.pop("targets") for clip in clips])
        batch["dropped_boxes"] = sum(int(clip.pop("dropped_boxes")) for clip in clips)
    return {**default_collate(clips), **batch}


def _num_silent(samples: list[Sample]) -> int:
    return sum(int((~sample["audio_mask"]).sum()) for sample in samples if "audio_mask" in sample)


def _in_turn(samples: list[Sample] | list[list[Sample]]) -> list[Sample]:
    """All clips, the first ones of all videos first."""
    of_videos = [sample if isinstance(sample, list) else [sample] for sample in samples]
    return [clip for clips in zip(*of_videos) for clip in clips]


def collate_boxes(samples: list[Sample]) -> Batch:
    """Key frames for evaluation: "clips" is a list of tensors, since in testing their frames differ in size.

    Args:
        samples: Of a `KeyFrameDataset`.
    """
    batch = _about_videos(samples)
    batch["clips"] = [
        {name: v for name, v in sample.items() if isinstance(v, torch.Tensor) and name not in _NOT_INPUT}
        for sample in samples
        if "failure" not in sample
    ]
    batch["clip_index"] = torch.tensor([int(clip["index"]) for clip in batch["clips"]], dtype=torch.int64)
    return batch


def collate_eval(samples: list[Sample]) -> Batch:
    """Clips of several videos in a row.

    Args:
        samples: Validation or test samples of a `ClipDataset`.
    """
    batch = _about_videos(samples)
    views_of_videos: list[dict[str, torch.Tensor]] = []
    clip_index: list[int] = []
    num_audio = 0
    for sample in samples:
        if "failure" in sample:
            continue
        views = {name: value for name, value in sample.items() if name not in _OF_VIDEO}
        if views["start"].dim() == 0:
            views = {name: value.unsqueeze(0) for name, value in views.items()}
        if "audio_index" in views:
            views["audio_index"] = views["audio_index"] + num_audio
            num_audio += len(views["audio_mask"])
        views_of_videos.append(views)
        clip_index += [int(sample["index"])] * len(views["start"])
    batch["clip_index"] = torch.tensor(clip_index, dtype=torch.int64)
    for name in views_of_videos[0] if views_of_videos else ():
        batch[name] = torch.cat([views[name] for views in views_of_videos])
    return batch


def _about_videos(samples: list[Sample]) -> Batch:
    """What evaluation knows of each video, read or failed."""
    return {
        "failed": [(int(s["index"]), s["path"], s["failure"]) for s in samples if "failure" in s],
        "flaws": [flaw for s in samples for flaw in s["flaws"]],
        "silent": _num_silent(samples),
        "index": torch.stack([s["index"] for s in samples]),
        "label": torch.stack([s["label"] for s in samples]),
        "path": [s["path"] for s in samples],
    }
