"""What TensorBoard shows: curves, the confusion matrix, a few clips with their audio, histograms of the weights."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from ..engine.hooks.loggers import RunLogger
from ..evaluation.evaluator import Evaluation
from ..evaluation.metrics.classification import confusion_matrix
from ..media import DecodeError
from .media import preview

_SECONDS = 4.0
_FRAMES, _HEIGHT = 6, 96
# Side of a cell of the confusion matrix, pixels; smaller where the image would exceed the second number.
_CELL, _LARGEST = 12, 800


class TensorBoardLogger(RunLogger):
    """Writes curves, confusion matrix, clips and histograms to files that TensorBoard shows.

    Args:
        options: The node TENSORBOARD: LOG_DIR, CONFUSION_MATRIX, CLIPS, HISTOGRAMS.
        output_dir: Folder of the run; the files go to its folder "tensorboard" where LOG_DIR is "".
    """

    def __init__(self, options: Mapping[str, Any], output_dir: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        super().__init__(options, output_dir)
        # torch's SummaryWriter has no types.
        self._writer: Any = SummaryWriter(options["LOG_DIR"] or os.path.join(output_dir, "tensorboard"))

    def write_step(self, stats: Mapping[str, Any], iteration: int) -> None:
        """See `RunLogger.write_step`: one curve per number."""
        for name, value in stats.items():
            if isinstance(value, float):
                self._writer.add_scalar(f"train/{name}", value, iteration)

    def write_epoch(self, model: nn.Module, paths: Sequence[str], iteration: int) -> None:
        """See `RunLogger.write_epoch`: clips and histograms, where they are wanted."""
        for number, path in enumerate(paths[: self.options["CLIPS"]]):
            self._write_clip(f"clips/{number}", path, iteration)
        if self.options["HISTOGRAMS"]:
            for name, parameter in model.named_parameters():
                self._writer.add_histogram(name, parameter.detach().float().cpu(), iteration)

    def write_evaluation(self, result: Evaluation, iteration: int) -> None:
        """See `RunLogger.write_evaluation`: the metrics, and the confusion matrix where each video has one label."""
        for key, value in result.metrics.items():
            self._writer.add_scalar(f"val/{key}", value, iteration)
        scores = result.scores.single_label(result.labels)
        if self.options["CONFUSION_MATRIX"] and scores is not None:
            counts = confusion_matrix(scores, result.labels)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            side = max(min(_CELL, _LARGEST // len(counts)), 1)
            self._writer.add_image("val/confusion", np.kron(1.0 - shares, np.ones((side, side)))[None], iteration)

    def close(self) -> None:
        """See `RunLogger.close`."""
        self._writer.close()

    def _write_clip(self, tag: str, path: str, iteration: int) -> None:
        """Frames and audio of a file; an unreadable one is left out, since training reports it."""
        try:
            image, audio = preview(path, _FRAMES, _HEIGHT, _SECONDS)
        except DecodeError:
            return
        self._writer.add_image(tag, image, iteration, dataformats="HWC")
        if audio.has_audio:
            self._writer.add_audio(tag, audio.samples[None], iteration, sample_rate=audio.sample_rate)
