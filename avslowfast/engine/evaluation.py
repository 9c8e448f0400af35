"""Evaluation as a configuration says: in training, in the test, for probes."""

import os
from typing import Any

from torch import nn

from ..config import derived
from ..config.derived import Cfg
from ..evaluation.build import build_protocol
from ..evaluation.evaluator import Autocast, evaluate
from ..evaluation.failures import (
    FailurePolicy,
    NotFiniteScoresError,
    NothingReadError,
    TooManyFailuresError,
    write_failed_files,
)
from ..evaluation.protocols.base import Evaluation, Protocol
from ..evaluation.results import nothing_read, outcome, save_results
from ..loading import build_loader, ClipDataset
from ..loading.loader import ClipLoader
from ..tasks.base import Task
from ..tasks.scores import S
from ..utils import distributed
from .state import TrainState
from .trainer import Trainer
from .votes import Votes


def evaluate_as_configured(
    cfg: Cfg,
    model: nn.Module,
    loader: ClipLoader,
    task: Task[S],
    protocol: Protocol[S] | None = None,
    *,
    autocast: Autocast,
    votes: Votes,
    ensemble: str = "sum",
    desc: str = "test",
) -> Evaluation[S]:
    """`evaluate` with the clips per forward pass that a configuration allows.

    Args:
        cfg: The configuration.
        model: The network.
        loader: Of evaluation batches.
        task: Gives the scores.
        protocol: Gives the metrics; None for scores alone.
        autocast: Gives the context of the forward pass.
        votes: Whether to continue.
        ensemble: How the scores of a video's views are joined.
        desc: For the progress bar.

    Raises:
        NothingReadError: Not one file could be read.
        StopRequested: All ranks agreed to stop.
    """
    return evaluate(
        model,
        loader,
        task,
        protocol,
        max_clips=derived.test_clips_per_pass(cfg, distributed.world_size()),
        ensemble=ensemble,
        autocast=autocast,
        batches=votes.batches,
        desc=desc,
    )


def failure_policy(cfg: Cfg, folder: str) -> FailurePolicy:
    """How many files may fail.

    Args:
        cfg: The configuration.
        folder: Of the log, where failed_files.csv is.
    """
    return FailurePolicy(cfg.DATA.MAX_FAILED_FRACTION, cfg.DATA.MAX_FAILED_FILES, folder)


class Validation:
    """Evaluates the network that is trained on the validation videos. Their loader is built at the first call and kept.

    Args:
        cfg: The configuration.
        trainer: Whose network.
        dataset: The validation videos.
    """

    def __init__(self, cfg: Cfg, trainer: Trainer, dataset: ClipDataset) -> None:
        self.cfg, self.trainer, self.dataset = cfg, trainer, dataset
        self._loader: ClipLoader | None = None
        self._protocol: Protocol[Any] | None = None

    def __call__(self) -> Evaluation[Any]:
        """The result, the same on every rank.

        Raises:
            NothingReadError: Not one file could be read.
        """
        cfg, trainer = self.cfg, self.trainer
        self._loader = self._loader or build_loader(cfg, "val", dataset=self.dataset)
        self._protocol = build_protocol(cfg, self.dataset, cfg.TRAIN.DATASET)
        try:
            result = evaluate_as_configured(
                cfg,
                trainer.eval_model,
                self._loader,
                trainer.task,
                self._protocol,
                autocast=trainer.autocast,
                votes=trainer.votes,
                desc="validation",
            )
        except NothingReadError as error:
            if distributed.is_main():
                write_failed_files(cfg.OUTPUT_DIR, "val", error.failed)
                save_results(self._folder, nothing_read(error), ())
            raise
        trainer.model.train()
        return result

    def judge(self, result: Evaluation[Any], state: TrainState) -> None:
        """Name the files that failed; a validation with too many of them is written as a test is, then ends the run.

        Args:
            result: The validation.
            state: Of the training.

        Raises:
            TooManyFailuresError: More files failed than may.
            NotFiniteScoresError: More scores are not finite than files may fail.
        """
        policy = failure_policy(self.cfg, self.cfg.OUTPUT_DIR)
        if distributed.is_main():
            write_failed_files(self.cfg.OUTPUT_DIR, "val", result.failed)
        try:
            policy.check_evaluation(result, "validation")
        except (TooManyFailuresError, NotFiniteScoresError):
            if distributed.is_main() and self._protocol is not None and self._loader is not None:
                names, results = self.dataset.class_names, {"epoch": state.epoch, **outcome(result)}
                results.update(self._protocol.results(result, names))
                save_results(self._folder, results, self._protocol.metrics)
                self._protocol.write(result, self._folder, names)
            distributed.barrier()
            raise

    @property
    def _folder(self) -> str:
        """Of a validation that ends the training."""
        return os.path.join(self.cfg.OUTPUT_DIR, "validation")
