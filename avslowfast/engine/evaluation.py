"""Evaluation as a configuration says: in training, in the test, for probes."""

from typing import Any

from torch import nn

from ..config import derived
from ..config.derived import Cfg
from ..datasets.base import Listing
from ..evaluation.build import build_protocol
from ..evaluation.evaluator import Autocast, evaluate
from ..evaluation.protocols.base import Evaluation, Protocol
from ..loading import build_loader
from ..loading.loader import ClipLoader
from ..tasks.base import Task
from ..tasks.scores import S
from ..utils import distributed
from .trainer import Trainer


def evaluate_as_configured(
    cfg: Cfg,
    model: nn.Module,
    loader: ClipLoader,
    task: Task[S],
    protocol: Protocol[S] | None = None,
    *,
    autocast: Autocast,
    ensemble: str = "sum",
    desc: str = "test",
) -> Evaluation[S]:
    """`evaluate` with the clips per forward pass and the failures that a configuration allows.

    Args:
        cfg: The configuration.
        model: The network.
        loader: Of evaluation batches.
        task: Gives the scores.
        protocol: Gives the metrics; None for scores alone.
        autocast: Gives the context of the forward pass.
        ensemble: How the scores of a video's views are joined.
        desc: For the progress bar.

    Raises:
        TooManyFailuresError: More files failed than DATA.MAX_FAILED_FRACTION allows.
    """
    return evaluate(
        model,
        loader,
        task,
        protocol,
        max_clips=derived.test_clips_per_pass(cfg, distributed.world_size()),
        ensemble=ensemble,
        max_failed=cfg.DATA.MAX_FAILED_FRACTION,
        autocast=autocast,
        desc=desc,
    )


class Validation:
    """Evaluates the network that is trained on the validation videos. Their loader is built at the first call and kept.

    Args:
        cfg: The configuration.
        trainer: Whose network.
        listing: The validation list.
    """

    def __init__(self, cfg: Cfg, trainer: Trainer, listing: Listing) -> None:
        self.cfg, self.trainer, self.listing = cfg, trainer, listing
        self._loader: ClipLoader | None = None

    def __call__(self) -> Evaluation[Any]:
        """The result, the same on every rank."""
        cfg, trainer = self.cfg, self.trainer
        self._loader = self._loader or build_loader(cfg, "val", listing=self.listing)
        protocol = build_protocol(cfg, self._loader.dataset, cfg.TRAIN.DATASET)
        result = evaluate_as_configured(
            cfg, trainer.eval_model, self._loader, trainer.task, protocol, autocast=trainer.autocast, desc="val"
        )
        trainer.model.train()
        return result
