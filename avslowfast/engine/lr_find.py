"""A learning-rate range test (arXiv 1506.01186): steps of a training whose rate rises until the loss diverges."""

import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import simplejson
import torch

from ..config import ConfigError, derived
from ..config.derived import Cfg
from ..utils import distributed
from ..utils.errors import StopRequested, UserError
from ..utils.files import replacing
from ..utils.logging import get_logger, setup_logging
from ..utils.signals import STOPPED
from .hooks.base import Hook
from .hooks.progress import ProgressHook
from .preflight import build_datasets, check_lists, try_batches
from .state import TrainState
from .stop import StopRequest
from .trainer import Trainer
from .votes import Votes

logger = get_logger(__name__)

# With fewer steps a curve says nothing.
LEAST_STEPS = 20
# Weight of what came before in the smoothed loss.
_SMOOTHING = 0.9
# The test ends when the smoothed loss is this many times its lowest value.
_DIVERGED = 4.0
# Share of the first losses' mean by which the smoothed loss has to fall.
_LEAST_FALL = 0.02


class NoRateError(UserError, RuntimeError):
    """The curve suggests no learning rate; the message says why and what to change."""


@dataclass(frozen=True)
class Sweep:
    """Rates that rise by the same factor from step to step.

    Attributes:
        low: Of the first step.
        high: Of the last step.
        steps: Number of steps, two at least.
    """

    low: float
    high: float
    steps: int

    def rate(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return self.low * (self.high / self.low) ** (step / (self.steps - 1))


@dataclass
class Curve:
    """The losses of a range test.

    Attributes:
        rates: Of each step, in ascending order.
        losses: Of each step, means over ranks and passes; of the classifiers alone where the network has any.
        smoothed: Their exponential moving mean, without the bias of its beginning.
        diverged: The loss is not finite, or the smoothed one four times its lowest value: the test ended there.
    """

    rates: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    smoothed: list[float] = field(default_factory=list)
    diverged: bool = False
    _sum: float = 0.0

    def add(self, rate: float, loss: float) -> None:
        """Append a step; one whose loss is not finite ends the curve and is not part of it."""
        if not math.isfinite(loss):
            self.diverged = True
            return
        self.rates.append(rate)
        self.losses.append(loss)
        self._sum = _SMOOTHING * self._sum + (1 - _SMOOTHING) * loss
        self.smoothed.append(self._sum / (1 - _SMOOTHING ** len(self.losses)))
        self.diverged = self.smoothed[-1] > _DIVERGED * min(self.smoothed)

    @property
    def lowest(self) -> int:
        """The step with the lowest smoothed loss."""
        return min(range(len(self.smoothed)), key=self.smoothed.__getitem__)

    def suggestion(self) -> float:
        """Half the rate at which the smoothed loss is lowest, beyond which training does not converge.

        The best rate is usually within a factor of two of the largest that converges (arXiv 1206.5533). SOLVER.BASE_LR
        is the highest rate of a schedule with warm-up and decay; a tenth (fastai's `minimum`) was far too low for
        that, see docs/FINE_TUNING.md.

        Raises:
            NoRateError: The loss does not fall.
        """
        if not self.rates:
            raise NoRateError("lr-find: the loss of the first step is not finite; use a smaller --from")
        first = self.losses[: max(len(self.losses) // 10, 1)]
        start, lowest = sum(first) / len(first), self.smoothed[self.lowest]
        if lowest > start * (1 - _LEAST_FALL):
            raise NoRateError(
                f"lr-find: the loss never falls ({start:.4g} at first, {lowest:.4g} at best, rates {self.rates[0]:.2g} "
                f"to {self.rates[-1]:.2g}); use more --steps, a smaller --from, or look at the labels"
            )
        return self.rates[self.lowest] / 2


class _SweepHook(Hook):
    """Collects the curve and ends the training with it."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep, self.curve = sweep, Curve()

    @property
    def ended(self) -> bool:
        return self.curve.diverged or len(self.curve.rates) == self.sweep.steps

    def after_step(self, state: TrainState) -> None:
        losses = state.losses
        # Synchronisation losses come and go with DropPathway, which would be the largest steps of the curve.
        of_heads = [value for name, value in losses.items() if name.startswith("loss_")]
        loss = sum(of_heads, torch.zeros_like(losses["loss"])) if of_heads else losses["loss"]
        # The total tells whether all of them are finite.
        pair = torch.stack([loss, losses["loss"]]).detach().double()
        mine, total = (distributed.all_reduce_sum(pair) / distributed.world_size()).tolist()
        self.curve.add(state.lr, mine if math.isfinite(total) else total)
        if self.ended:
            raise StopRequested


def lr_find(cfg: Cfg, device: torch.device, stop: StopRequest, low: float, high: float, steps: int, out: str) -> int:
    """Make a range test of a training and write its curve as `out`/lr_find.json; nothing else is written.

    Args:
        cfg: The configuration of the training.
        device: Of this rank.
        stop: Ends it anywhere.
        low: Rate of the first step.
        high: Rate of the last step.
        steps: Steps; those of the whole training where it has fewer.
        out: Folder of the file.

    Returns:
        The exit code.

    Raises:
        ConfigError: The training is too short, or its lists have mistakes.
        NoRateError: The loss does not fall; the curve is written.
    """
    setup_logging()
    datasets = {"train": build_datasets(cfg)["train"]}
    check_lists(cfg, datasets)
    trainer = Trainer(cfg, device, datasets["train"], Votes(stop))
    most = trainer.state.total_iterations
    if min(steps, most) < LEAST_STEPS:
        raise ConfigError(
            f"lr-find: {min(steps, most)} steps are too few for a curve, of which {LEAST_STEPS} are the least; the "
            f"training has {most} ({len(trainer.dataset)} clips, TRAIN.BATCH_SIZE {cfg.TRAIN.BATCH_SIZE}, "
            f"{trainer.state.max_epoch} epochs): lower TRAIN.BATCH_SIZE or raise SOLVER.MAX_EPOCH or --steps"
        )
    trainer.load_start_weights()
    try_batches(trainer, datasets)
    hook = _SweepHook(Sweep(low, high, min(steps, most)))
    trainer.rate = lambda epoch: hook.sweep.rate(trainer.state.steps)
    trainer.hooks = [ProgressHook(hook.sweep.steps), hook]
    trainer.train()
    trainer.state.share_failures()
    for path, reason in trainer.state.failed.items():
        logger.warning("failed, replaced: %s (%s)", path, reason)
    if not hook.ended:
        return STOPPED
    if distributed.is_main():
        factor = 1.0 if cfg.SOLVER.LR_POLICY == "cosine" else trainer.schedule.rates[0]
        _write(cfg, hook, factor * derived.lr_scale(cfg), out)
    distributed.barrier()
    return 0


def _write(cfg: Cfg, hook: _SweepHook, factor: float, out: str) -> None:
    """Write the curve, then judge it.

    Args:
        cfg: The configuration.
        hook: With the curve.
        factor: Of the schedule on SOLVER.BASE_LR, in the epochs of these steps.
        out: Folder of the file.
    """
    curve, problem = hook.curve, ""
    words: Sequence[object] = ()
    try:
        words = words_for(cfg, curve.suggestion() / factor)
    except NoRateError as error:
        problem = str(error)
    content: dict[str, Any] = {
        **asdict(hook.sweep),
        "rule": "half the rate at which the smoothed loss is lowest",
        "suggested_rate": None if problem else curve.suggestion(),
        "words": words,
        "problem": problem,
        "diverged": curve.diverged,
        "still_falls": bool(curve.rates) and curve.lowest == hook.sweep.steps - 1,
        "rates": curve.rates,
        "losses": curve.losses,
        "smoothed": curve.smoothed,
    }
    os.makedirs(out, exist_ok=True)
    with replacing(os.path.join(out, "lr_find.json")) as part, open(part, "w", encoding="utf-8") as f:
        simplejson.dump(content, f, indent=1)


def words_for(cfg: Cfg, base_lr: float) -> Sequence[object]:
    """Keys and values of a configuration with another learning rate: two digits, and what would lie above it.

    Args:
        cfg: The configuration.
        base_lr: The learning rate.
    """
    solver, rounded = cfg.SOLVER, float(f"{base_lr:.2g}")
    words: list[object] = ["SOLVER.BASE_LR", rounded]
    if solver.WARMUP_EPOCHS and rounded < solver.WARMUP_START_LR:
        words += ["SOLVER.WARMUP_START_LR", float(f"{rounded / 10:.2g}")]
    if solver.LR_POLICY == "cosine" and rounded < solver.COSINE_END_LR:
        words += ["SOLVER.COSINE_END_LR", 0.0]
    return words
