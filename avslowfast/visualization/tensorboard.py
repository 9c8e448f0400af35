"""What TensorBoard shows: curves, confusion matrices, clips with their audio, the configuration, weights."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from torch import nn

from ..config.kinds import kind_of
from ..evaluation.evaluator import Evaluation
from ..evaluation.metrics.classification import confusion_matrix
from ..media import DecodeError
from ..tasks.scores import names_of_head, ONLY
from ..watching.base import LoggedRun, RunLogger
from .draw import pixels_of
from .matrix import draw_named, draw_numbered, most_confused, NAMED
from .media import preview

_SECONDS = 4.0
_FRAMES, _HEIGHT = 6, 96


class TensorBoardLogger(RunLogger):
    """Writes curves, confusion matrices, clips, configuration and histograms to files that TensorBoard shows.

    Tags: "train/...", "epoch/...", "val/..." are scalars; "val/confusion" the matrix by name (of more than 40 classes
    those that are confused most, and all of them by number as "val/confusion_all"); "clips/N/frames" and
    "clips/N/audio" the clips; "configuration" all keys as text. The keys that decide what is trained are
    hyperparameters, all scalars their metrics.

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
        self._step = run.step
        self._write_configuration()

    def write_scalars(self, scalars: Mapping[str, float], step: int, epoch: float) -> None:
        """See `RunLogger.write_scalars`: one curve per number."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._step = step
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
        if not self.options["CONFUSION_MATRIX"] or scores is None:
            return
        counts = confusion_matrix(scores, result.labels)
        names = names_of_head(self.run.class_names, ONLY) or [f"class {i}" for i in range(len(counts))]
        few = len(counts) <= NAMED
        chosen = range(len(counts)) if few else most_confused(counts, NAMED)
        self._write_image("val/confusion", pixels_of(draw_named(counts, names, chosen)), step)
        if not few:
            self._write_image("val/confusion_all", pixels_of(draw_numbered(counts)), step)

    def close(self, finished: bool) -> None:
        """See `RunLogger.close`."""
        if finished:
            self._write_session(2, self._step)
        self._writer.close()

    def _write_configuration(self) -> None:
        """All keys as text, at the first step that they count for; those that decide what is trained for comparison."""
        listing = yaml.safe_dump(dict(self.run.configuration), sort_keys=True, allow_unicode=True)
        # Markdown leaves lines that begin with four spaces as they are.
        text = "".join(f"    {line}\n" for line in listing.splitlines())
        self._writer.add_text("configuration", text, self.run.step + 1)
        self._write_session(1, self.run.step + 1)

    def _write_session(self, part: int, step: int) -> None:
        """The beginning (1) or the successful end (2) of the run, as the plugin for hyperparameters wants it.

        Its third part (0) would have to name all metrics beforehand; without it every scalar is one.
        """
        from torch.utils.tensorboard.summary import hparams

        deciding = {key: value for key, value in self.run.configuration.items() if kind_of(key) != "harmless"}
        plain = {key: v if isinstance(v, bool | int | float | str) else str(v) for key, v in deciding.items()}
        self._writer.file_writer.add_summary(hparams(plain, {})[part], step)

    def _write_clip(self, tag: str, path: str, step: int) -> None:
        """Frames and audio of a file; an unreadable one is left out, since training reports it."""
        try:
            image, audio = preview(path, _FRAMES, _HEIGHT, _SECONDS)
        except DecodeError:
            return
        # A tag has one kind of content: of two, TensorBoard shows the first.
        self._write_image(f"{tag}/frames", image, step)
        if audio.has_audio:
            self._writer.add_audio(f"{tag}/audio", audio.samples[None], step, sample_rate=audio.sample_rate)

    def _write_image(self, tag: str, pixels: Any, step: int) -> None:
        self._writer.add_image(tag, pixels, step, dataformats="HWC")
