"""What TensorBoard shows: curves, the confusion matrix, a few clips with their audio, histograms of the weights."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import nn

from ..evaluation.evaluator import Evaluation
from ..evaluation.metrics.classification import confusion_matrix
from ..media import DecodeError
from ..watching.base import LoggedRun, RunLogger
from .media import preview

_SECONDS = 4.0
_FRAMES, _HEIGHT = 6, 96
# Side of a cell of the confusion matrix, pixels; smaller where the image would exceed the second number.
_CELL, _LARGEST = 12, 800


class TensorBoardLogger(RunLogger):
    """Writes curves, confusion matrix, clips and histograms to files that TensorBoard shows.

    Args:
        options: The node TENSORBOARD: LOG_DIR, CONFUSION_MATRIX, CLIPS, HISTOGRAMS.
        run: What is logged. The files go to its folder "tensorboard" where LOG_DIR is ""; TensorBoard leaves out what
            an earlier process wrote after the state from which it resumes.
    """

    def __init__(self, options: Mapping[str, Any], run: LoggedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        super().__init__(options, run)
        # torch's SummaryWriter has no types.
        folder = options["LOG_DIR"] or os.path.join(run.output_dir, "tensorboard")
        # A folder of one's own may hold other runs, which are nobody's to leave out.
        first = run.step + 1 if run.step or not options["LOG_DIR"] else None
        self._writer: Any = SummaryWriter(folder, purge_step=first)

    def write_scalars(self, scalars: Mapping[str, float], step: int, epoch: float) -> None:
        """See `RunLogger.write_scalars`: one curve per number."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        # What is only in memory is lost when the process is killed.
        self._writer.flush()

    def write_epoch(self, model: nn.Module, paths: Sequence[str], step: int) -> None:
        """See `RunLogger.write_epoch`: clips and histograms, where they are wanted."""
        for number, path in enumerate(paths[: self.options["CLIPS"]]):
            self._write_clip(f"clips/{number}", path, step)
        if self.options["HISTOGRAMS"]:
            for name, parameter in model.named_parameters():
                self._writer.add_histogram(name, parameter.detach().float().cpu(), step)

    def write_evaluation(self, result: Evaluation, step: int) -> None:
        """See `RunLogger.write_evaluation`: the confusion matrix where each video has one label."""
        scores = result.scores.single_label(result.labels)
        if self.options["CONFUSION_MATRIX"] and scores is not None:
            counts = confusion_matrix(scores, result.labels)
            shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
            side = max(min(_CELL, _LARGEST // len(counts)), 1)
            self._writer.add_image("val/confusion", np.kron(1.0 - shares, np.ones((side, side)))[None], step)

    def close(self, finished: bool) -> None:
        """See `RunLogger.close`."""
        self._writer.close()

    def _write_clip(self, tag: str, path: str, step: int) -> None:
        """Frames and audio of a file; an unreadable one is left out, since training reports it."""
        try:
            image, audio = preview(path, _FRAMES, _HEIGHT, _SECONDS)
        except DecodeError:
            return
        self._writer.add_image(tag, image, step, dataformats="HWC")
        if audio.has_audio:
            self._writer.add_audio(tag, audio.samples[None], step, sample_rate=audio.sample_rate)
