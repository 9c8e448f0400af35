"""What TensorBoard shows: curves, the confusion matrix, a few clips with their audio, histograms of the weights."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from ..engine.hooks.loggers import RunLogger
from ..evaluation.evaluator import Evaluation
from ..evaluation.metrics.classification import confusion_matrix
from ..media import DecodeError, Geometry, VideoReader

_RATE, _SECONDS, _HEIGHT, _PICTURES = 16000, 4.0, 96, 6
# A cell of the confusion matrix, pixels; fewer where there are many classes.
_CELL, _MOST_PIXELS = 12, 800


class TensorBoardLogger(RunLogger):
    """Curves, the confusion matrix, clips and histograms, in files that TensorBoard shows."""

    def __init__(self, options: Mapping[str, Any], output_dir: str) -> None:
        super().__init__(options, output_dir)
        self.writer = SummaryWriter(options["LOG_DIR"] or os.path.join(output_dir, "tensorboard"))

    def write_step(self, stats: Mapping[str, Any], iteration: int) -> None:
        """See `RunLogger.write_step`."""
        for name, value in stats.items():
            if isinstance(value, float):
                self.writer.add_scalar(f"train/{name}", value, iteration)

    def write_epoch(self, model: nn.Module, paths: Sequence[str], iteration: int) -> None:
        """See `RunLogger.write_epoch`."""
        write_clips(self.writer, paths[: self.options["CLIPS"]], iteration)
        if self.options["HISTOGRAMS"]:
            write_histograms(self.writer, model, iteration)

    def write_evaluation(self, result: Evaluation, iteration: int) -> None:
        """See `RunLogger.write_evaluation`."""
        for key, value in result.metrics.items():
            self.writer.add_scalar(f"val/{key}", value, iteration)
        if self.options["CONFUSION_MATRIX"]:
            write_confusion(self.writer, result.scores, result.labels, iteration)

    def close(self) -> None:
        """See `RunLogger.close`."""
        self.writer.close()


def write_confusion(writer, scores, labels, step):
    """The confusion matrix as a picture: a row a true class, darker is more; for one label a video, else nothing."""
    if isinstance(scores, (dict, list)) or labels.ndim != 1 or (labels < 0).any():
        return
    counts = confusion_matrix(scores, labels)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cell = max(min(_CELL, _MOST_PIXELS // len(counts)), 1)
    writer.add_image("val/confusion", np.kron(1.0 - shares, np.ones((cell, cell)))[None], step)


def picture_strip(reader, count, height):
    """`count` pictures spread over an open video, side by side: uint8 [height, W, 3]."""
    begin, end = reader.video.start, reader.video.end
    times = begin + (end - begin) * (np.arange(count) + 0.5) / count
    pictures = reader.read_frames(times, lambda h, w: Geometry((height, max(round(w * height / h), 1))))
    return np.concatenate(list(pictures), axis=1)


def write_clips(writer, paths, step):
    """Frames in a strip and audio of some training files; unreadable files are left out, since training reports them."""
    for number, path in enumerate(paths):
        try:
            with VideoReader(path) as reader:
                strip = picture_strip(reader, _PICTURES, _HEIGHT)
                samples, heard = reader.read_audio(
                    reader.video.start, min(_SECONDS, reader.video.end - reader.video.start), _RATE
                )
        except DecodeError:
            continue
        writer.add_image(f"clips/{number}", strip, step, dataformats="HWC")
        if heard:
            writer.add_audio(f"clips/{number}", samples[None], step, sample_rate=_RATE)


def write_histograms(writer, model, step):
    """A histogram of each weight."""
    for name, parameter in model.named_parameters():
        writer.add_histogram(name, parameter.detach().float().cpu(), step)
