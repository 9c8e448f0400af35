"""What happens when: a network slides over the whole of a file."""

import dataclasses
import difflib
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from ..clips.logmel import log_mel
from ..datasets.base import Record, VideoDataset
from ..loading.build import clip_settings
from ..media import VideoReader
from ..utils.errors import UserError
from .load import scores_of


class CannotSlide(UserError, ValueError):
    """A network that does not classify clips; the message says what to use."""


class Window(NamedTuple):
    """A span of a file, in seconds on its clock, with the scores of its classes: {classifier: [K]}; "" is the only one."""

    start: float
    stop: float
    scores: dict


def slide(model, video, step=None, batch=8, progress=True):
    """Classify windows all over a file, however long it is.

    Args:
        model: from `avslowfast.load_model`.
        video: the file. step: seconds from one window to the next; None is half a window.
        batch: windows in a forward pass; no more are in memory at a time.

    Returns:
        A list of `Window`s in order; a file shorter than a window has one.

    Raises:
        CannotSlide: a network that classifies boxes. DecodeError: the file cannot be read.
    """
    cfg = model.meta.cfg
    if cfg.DETECTION.ENABLE:
        raise CannotSlide("the network classifies boxes, not windows; give boxes (tools/demo_net.py --boxes)")
    dataset = VideoDataset([Record(str(video), 0)], dataclasses.replace(clip_settings(cfg), num_crops=1), "test")
    duration, windows = dataset.settings.duration, []
    with VideoReader(video) as reader:
        begin, end = reader.video.start, reader.video.end
        starts = begin + np.arange(max(int(np.ceil((end - begin - duration) / (step or duration / 2))), 0) + 1) * (
            step or duration / 2
        )
        starts = np.minimum(starts, max(end - duration, begin))
        bar = tqdm(total=len(starts), desc="windows", unit="window", disable=None if progress else True)
        for first in range(0, len(starts), batch):
            part = starts[first : first + batch]
            scores = scores_of(model, dataset.clips_at(reader, 0, part, end), batch)
            for i, start in enumerate(part):
                own = (
                    {name: s[i].numpy() for name, s in scores.items()}
                    if isinstance(scores, dict)
                    else {"": scores[i].numpy()}
                )
                windows.append(Window(float(start), float(min(start + duration, max(end, start))), own))
            bar.update(len(part))
        bar.close()
    return windows


def top(window, meta, count):
    """The best classes of a window: [(name, score)], of each classifier in turn."""
    rows = []
    for head, scores in window.scores.items():
        for i in np.argsort(-scores, kind="stable")[:count]:
            rows.append(((f"{head}: " if head else "") + meta.class_name(int(i), head), float(scores[i])))
    return rows


def segments(windows, meta):
    """Runs of windows with the same best class: [(start, stop, name, mean score)]; each window speaks for the time around its middle."""
    runs = []
    for i, window in enumerate(windows):
        name, score = top(window, meta, 1)[0]
        middle = (window.start + window.stop) / 2
        start = window.start if i == 0 else (middle + (windows[i - 1].start + windows[i - 1].stop) / 2) / 2
        if runs and runs[-1][2] == name:
            runs[-1][1], runs[-1][3] = window.stop, [*runs[-1][3], score]
        else:
            if runs:
                runs[-1][1] = start
            runs.append([start, window.stop, name, [score]])
    return [(start, stop, name, float(np.mean(scores))) for start, stop, name, scores in runs]


def class_index(meta, name):
    """Id of a class by its name or number.

    Raises:
        CannotSlide: there is none; names near ones.
    """
    names = meta.class_names if isinstance(meta.class_names, list) else None
    if names and name in names:
        return names.index(name)
    if str(name).isdigit() and int(name) < meta.cfg.MODEL.NUM_CLASSES:
        return int(name)
    near = difflib.get_close_matches(str(name), names or [], n=3, cutoff=0.2)
    known = (
        f"near ones: {', '.join(near)}"
        if near
        else f"it has {meta.cfg.MODEL.NUM_CLASSES} classes" + (f", among them {', '.join(names[:5])}" if names else "")
    )
    raise CannotSlide(f"the network has no class {name!r}; {known}")


def waveform_of(video, sample_rate=16000):
    """All of a file's sound, mono: (samples float32 [N], second of the first); (None, 0.0) without sound."""
    with VideoReader(video) as reader:
        if reader.audio is None:
            return None, 0.0
        samples, heard = reader.read_audio(reader.audio.start, reader.audio.end - reader.audio.start, sample_rate)
        return (samples if heard else None), reader.audio.start


def spectrogram_of(samples, sample_rate=16000):
    """Log-mel of a waveform for display: uint8 [T, 80], brighter is louder."""
    spec = log_mel(torch.from_numpy(np.pad(samples, (0, max(512 - len(samples), 0)))), sample_rate).numpy()
    low, high = np.percentile(spec, (5, 99.5))
    return (255 * np.clip((spec - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
