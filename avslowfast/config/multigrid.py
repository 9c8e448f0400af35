"""Multigrid training (arXiv 1912.00998): the shapes of a training's batches, as PySlowFast schedules them.

Short and coarse clips come in large batches, long and fine ones in small batches, so that every step has about the same
work. The long cycle changes the shape every few epochs, the short cycle from step to step. Plain arithmetic: a training
without multigrid is a schedule with one shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple


class Shape(NamedTuple):
    """The shape of a batch.

    Attributes:
        batch: Videos, in multiples of TRAIN.BATCH_SIZE.
        frames: Frames of a clip.
        crop: Height and width of a clip, pixels.
        longest_rate: The sampling rate of each clip is drawn from SAMPLING_RATE to this, so that clips with fewer
            frames cover between their share of the configured span and all of it.
    """

    batch: int
    frames: int
    crop: int
    longest_rate: int

    @property
    def text(self) -> str:
        """Frames and size of a clip, e.g. "8x158x158"; frames alone where there is no size."""
        return f"{self.frames}x{self.crop}x{self.crop}" if self.crop else f"{self.frames}"


class NormParts(NamedTuple):
    """Over which clips a batch norm takes its statistics; at most one of the two numbers is above 1.

    Attributes:
        splits: Parts of a rank's batch that are normalised separately (sub-BN).
        sync_devices: Ranks that share statistics (sync-BN).
    """

    splits: int = 1
    sync_devices: int = 1

    @property
    def kind(self) -> str:
        """The value of BN.NORM_TYPE that does the same."""
        return "sub_batchnorm" if self.splits > 1 else "sync_batchnorm" if self.sync_devices > 1 else "batchnorm"


@dataclass(frozen=True)
class Phase:
    """Epochs whose batches have the same shapes.

    Attributes:
        end: Epochs done when it ends.
        shape: The long cycle's shape.
        cycle: The shapes of the short cycle, one for each step in turn; `shape` is the last.
        step: Number of the learning-rate step that it belongs to.
    """

    end: int
    shape: Shape
    cycle: tuple[Shape, ...]
    step: int = 0


@dataclass(frozen=True)
class Recipe:
    """What a schedule is made from; see the keys of the same names.

    Attributes:
        frames: DATA.NUM_FRAMES.
        crop: DATA.TRAIN_CROP_SIZE; 0 for a network without frames, whose clips differ in length alone.
        sampling_rate: DATA.SAMPLING_RATE.
        steps: SOLVER.STEPS.
        rates: SOLVER.LRS.
        max_epoch: SOLVER.MAX_EPOCH.
        eval_period: TRAIN.EVAL_PERIOD.
        long_factors: MULTIGRID.LONG_CYCLE_FACTORS; () without long cycle.
        short_factors: MULTIGRID.SHORT_CYCLE_FACTORS; () without short cycle.
        epoch_factor: MULTIGRID.EPOCH_FACTOR.
        eval_freq: MULTIGRID.EVAL_FREQ.
    """

    frames: int
    crop: int
    sampling_rate: int
    steps: tuple[float, ...]
    rates: tuple[float, ...]
    max_epoch: int
    eval_period: int = 1
    long_factors: tuple[tuple[float, float], ...] = ()
    short_factors: tuple[float, ...] = ()
    epoch_factor: float = 1.5
    eval_freq: int = 3

    @property
    def full(self) -> Shape:
        """The configured shape, in which networks are validated and tested."""
        return Shape(1, self.frames, self.crop, self.sampling_rate)


@dataclass(frozen=True)
class Schedule:
    """Which shapes the epochs of a training have, and what follows from that.

    Attributes:
        recipe: What it was made from.
        phases: In order; phases of no epoch are left out.
        steps: Epochs at which learning-rate steps begin, in place of SOLVER.STEPS.
        rates: Factor of each step on SOLVER.BASE_LR, in place of SOLVER.LRS.
    """

    recipe: Recipe
    phases: tuple[Phase, ...]
    steps: tuple[float, ...]
    rates: tuple[float, ...]
    shapes: tuple[Shape, ...] = field(init=False)

    def __post_init__(self) -> None:
        found = dict.fromkeys(shape for phase in self.phases for shape in phase.cycle)
        object.__setattr__(self, "shapes", tuple(found))

    @property
    def max_epoch(self) -> int:
        """Epochs of the training, in place of SOLVER.MAX_EPOCH."""
        return self.phases[-1].end

    @property
    def is_multigrid(self) -> bool:
        """Whether the shape changes at all."""
        return bool(self.recipe.long_factors or self.recipe.short_factors)

    def phase(self, epoch: int) -> Phase:
        """The phase of an epoch, from 0; epochs after the last belong to the last phase."""
        return next((phase for phase in self.phases if epoch < phase.end), self.phases[-1])

    def is_evaluated(self, done: int) -> bool:
        """Whether there is a validation when `done` epochs are done.

        With a long cycle there are about MULTIGRID.EVAL_FREQ in each phase, one of them at its end.
        """
        if done == self.max_epoch:
            return True
        if not self.recipe.long_factors:
            return done % self.recipe.eval_period == 0
        phase = self.phase(done - 1)
        begin = max((other.end for other in self.phases if other.end < phase.end), default=0)
        period = (phase.end - begin) // self.recipe.eval_freq + 1
        return (phase.end - done) % period == 0


@lru_cache(maxsize=8)
def schedule(recipe: Recipe) -> Schedule:
    """The schedule of a recipe, equal to PySlowFast's.

    Args:
        recipe: With a long cycle its learning-rate steps ascend and are two at least.
    """
    if recipe.long_factors:
        return _with_long_cycle(recipe)
    factor = recipe.epoch_factor if recipe.short_factors else 1
    steps = tuple(int(step * factor) for step in recipe.steps) if recipe.short_factors else recipe.steps
    end = int(recipe.max_epoch * factor)
    return Schedule(recipe, (Phase(end, recipe.full, _cycle(recipe, recipe.full)),), steps, recipe.rates)


def norm_parts(clips: float, base_size: int) -> NormParts:
    """The batch norm that takes its statistics over about `base_size` clips.

    Args:
        clips: Of one rank and forward pass.
        base_size: MULTIGRID.BN_BASE_SIZE.
    """
    factor = clips / base_size
    return NormParts(sync_devices=int(1 / factor)) if factor < 1 else NormParts(splits=int(factor))


def _with_long_cycle(recipe: Recipe) -> Schedule:
    shapes = [_long_shape(recipe, *factors) for factors in recipe.long_factors]
    # How much a shape's batches are larger on average, the short cycle included.
    sizes = [_mean_batch(recipe, shape) for shape in shapes]
    # (learning-rate step, shape, epochs): each shape has the same number of iterations in a step.
    parts: list[tuple[int, Shape, float]] = []
    iterations = 0.0
    for number, (begin, end) in enumerate(zip(recipe.steps, recipe.steps[1:])):
        for shape, size in zip(shapes, sizes):
            epochs = (end - begin) * size / sum(sizes)
            iterations += epochs / size
            parts.append((number, shape, epochs))
    # The last step is for fine-tuning in the last shape; it saves as many iterations as the others.
    saving = recipe.steps[-1] / iterations
    last = len(recipe.steps) - 1
    parts.append((last, shapes[-1], (recipe.max_epoch - recipe.steps[-1]) / saving * sizes[-1]))
    scale = recipe.max_epoch * recipe.epoch_factor / sum(epochs for _, _, epochs in parts)
    phases, done = [], 0.0
    for number, shape, epochs in parts:
        done += epochs * scale
        phases.append(Phase(round(done), shape, _cycle(recipe, shape), number))
    rates = [recipe.rates[phase.step] * phase.shape.batch for phase in phases]
    ends = [phase.end for phase in phases]
    # The first half of the fine-tuning keeps the rate before it.
    steps = (0, *ends[:-1], (ends[-2] + ends[-1]) // 2)
    begins = [0, *ends]
    lasting = tuple(phase for phase, begin in zip(phases, begins) if phase.end > begin)
    return Schedule(recipe, lasting, steps, (*rates[:-1], rates[-2], rates[-1]))


def _long_shape(recipe: Recipe, time: float, space: float) -> Shape:
    frames, crop = max(round(recipe.frames * time), 1), max(round(recipe.crop * space), 1) if recipe.crop else 0
    return Shape(_batch(recipe, frames, crop), frames, crop, recipe.sampling_rate * max(recipe.frames // frames, 1))


def _batch(recipe: Recipe, frames: int, crop: float) -> int:
    """How much larger a batch of smaller clips is, for the same work."""
    smaller = recipe.frames / frames
    if recipe.crop:
        smaller = recipe.frames * recipe.crop**2 / (frames * crop * crop)
    return max(round(smaller), 1)


def _mean_batch(recipe: Recipe, shape: Shape) -> float:
    crops: Sequence[float] = [*(recipe.crop * factor for factor in recipe.short_factors), shape.crop]
    return sum(_batch(recipe, shape.frames, crop) for crop in crops) / len(crops)


def _cycle(recipe: Recipe, shape: Shape) -> tuple[Shape, ...]:
    """The shapes of the short cycle around a shape of the long one."""
    smaller = []
    for factor in recipe.short_factors if recipe.crop else ():
        larger = max(round((shape.crop / (factor * recipe.crop)) ** 2), 1)
        smaller.append(shape._replace(batch=shape.batch * larger, crop=round(factor * recipe.crop)))
    return (*smaller, shape)
