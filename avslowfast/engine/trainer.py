"""The training loop. What is not a step (logging, checkpoints, evaluation, precise batch norm) is a hook."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, cast, TypeVar

import torch
from torch import nn, Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..checkpoint import load_content, require, states
from ..config import ConfigError, derived
from ..config.derived import Cfg
from ..evaluation.evaluator import Autocast
from ..loading import build_loader, ClipDataset
from ..loading.build import class_weights
from ..models import build_model
from ..models.network import Network
from ..models.norm import set_parts
from ..tasks.base import Batch
from ..tasks.build import build_task
from ..utils import distributed, seeding
from ..utils.errors import StopRequested
from ..utils.logging import get_logger
from ..utils.timing import WorkMeter
from .hooks.base import Hook
from .optim import build_optimizer, load_optimizer, lr_at, parameter_names, set_lr
from .prefetch import prefetched
from .state import TrainState
from .stop import StopRequest
from .votes import Votes
from .weights import read_path, read_weights, warn_of_fresh_frozen, warn_of_other_inputs

logger = get_logger(__name__)

Model = TypeVar("Model", bound=nn.Module)


def precision(cfg: Cfg, device: torch.device) -> str:
    """What products are computed in while training: float32 | tf32 | float16 | bfloat16."""
    if not cfg.TRAIN.MIXED_PRECISION:
        return "tf32" if cfg.AMP.TF32 and device.type == "cuda" else "float32"
    if cfg.AMP.DTYPE != "auto":
        return str(cfg.AMP.DTYPE)
    return "bfloat16" if device.type == "cpu" or torch.cuda.is_bf16_supported() else "float16"


def autocast_context(cfg: Cfg, device: torch.device) -> tuple[Autocast, torch.amp.GradScaler | None]:
    """(function that gives the forward pass's precision context, gradient scaler or None)."""
    if not cfg.TRAIN.MIXED_PRECISION:
        return contextlib.nullcontext, None
    name = precision(cfg, device)
    scaler = torch.amp.GradScaler(device.type) if name == "float16" else None
    return lambda: torch.autocast(device.type, dtype=getattr(torch, name)), scaler


def place_model(cfg: Cfg, model: Model, device: torch.device) -> Model:
    """The model on its device; on GPUs in channels-last format where the configuration asks for it."""
    model = model.to(device)
    if cfg.TRAIN.CHANNELS_LAST:
        if device.type == "cuda":
            for module in model.modules():
                if isinstance(module, nn.Conv3d):
                    module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)
        else:
            logger.info("TRAIN.CHANNELS_LAST is for GPUs (slower on a CPU) and is left out")
    return model


def compiled(model: nn.Module, device: torch.device) -> nn.Module:
    """The network under torch.compile on a GPU; on a CPU, which gains nothing from it, as it is."""
    if device.type == "cpu":
        logger.info("TRAIN.COMPILE is for GPUs (on a CPU it gains nothing: BENCHMARKS.md) and is left out")
        return model
    return cast(nn.Module, torch.compile(model))


class Trainer:
    """Trains a network, by the schedule of a configuration.

    Args:
        cfg: The configuration.
        device: Of this rank.
        dataset: The training videos, where they have been read already.
        votes: Whether to continue; None for a training that nobody stops.

    Attributes:
        state: Where the training stands; shared with the hooks.
        hooks: Called around steps and epochs, in this order.
        model: The network.
        wrapped: What a step calls: the network, data-parallel and compiled as far as asked for.
        identity: Entries that every state of the run has: "run_id" and "data".
        sampler: Chooses the epoch of `loader`, and the batch at which it starts.
        schedule: The shapes of batches by epoch.
        rate: Gives the learning rate at a fractional epoch.
    """

    def __init__(
        self, cfg: Cfg, device: torch.device, dataset: ClipDataset | None = None, votes: Votes | None = None
    ) -> None:
        self.cfg, self.device = cfg, device
        self.votes = votes or Votes(StopRequest())
        self.hooks: list[Hook] = []
        self.loader = build_loader(cfg, "train", dataset=dataset)
        self.dataset = self.loader.dataset
        self.sampler = self.loader.epochs
        self.model = place_model(cfg, self._first_weights(), device)
        self.task = build_task(cfg, device)
        if cfg.DATA.BALANCE == "weights":
            self.task.weight_classes(class_weights(self.dataset.listing, derived.head_classes(cfg)))
        self.optimizer = build_optimizer(cfg, self.model)
        self.autocast, self.scaler = autocast_context(cfg, device)
        decay = get_ema_multi_avg_fn(cfg.EMA.DECAY)
        self.ema = AveragedModel(self.model, multi_avg_fn=decay, use_buffers=True) if cfg.EMA.ENABLE else None
        self.accumulate = derived.train_passes_per_step(cfg, distributed.world_size())
        self.schedule = derived.schedule(cfg)
        self.rate: Callable[[float], float] = partial(lr_at, cfg)
        self.state = TrainState(self._steps(), patience=cfg.TRAIN.PATIENCE)
        self.identity: dict[str, Any] = {}
        self.meter = WorkMeter(device)
        self.parallel: DistributedDataParallel | None = None
        self.wrapped: nn.Module = self.model

    def _first_weights(self) -> Network:
        """The network with its first weights, the same on every rank; other random numbers differ between ranks."""
        seeding.seed_everything(self.cfg.RNG_SEED)
        model = build_model(self.cfg)
        if distributed.rank():
            seeding.seed_everything(self.cfg.RNG_SEED + distributed.rank())
        return model

    def _steps(self) -> tuple[int, ...]:
        """Optimiser steps of each epoch."""
        steps: list[int] = []
        for phase in self.schedule.phases:
            batches = self.sampler.batches(len(steps))
            if batches < self.accumulate:
                raise ConfigError(
                    f"TRAIN.ACCUMULATION_STEPS is {self.cfg.TRAIN.ACCUMULATION_STEPS}: an epoch has {batches} batches, "
                    f"not one step of {self.accumulate}; lower it, or use a smaller TRAIN.BATCH_SIZE"
                )
            steps += [batches // self.accumulate] * (phase.end - len(steps))
        return tuple(steps)

    def shape_of(self, epoch: int) -> str:
        """The batches of an epoch in multigrid training, as clips x frames x height x width by step; else ""."""
        if not self.schedule.is_multigrid:
            return ""
        clips = derived.train_clips_per_step(self.cfg)
        return ", ".join(f"{clips * shape.batch}x{shape.text}" for shape in self.schedule.phase(epoch).cycle)

    def steps_to_come(self) -> Counter[str]:
        """{shape, see `shape_of`: optimiser steps that are not done}."""
        state, found = self.state, Counter[str]()
        for epoch in range(state.epoch, state.max_epoch):
            found[self.shape_of(epoch)] += state.epoch_steps[epoch]
        found[self.shape_of(state.epoch)] -= state.iteration
        return found

    def begin_shape(self) -> None:
        """Adapt the network's batch norms to the shape of the current epoch. Called on every rank."""
        state, phase = self.state, self.schedule.phase(self.state.epoch)
        parts = derived.norm_parts(self.cfg, phase.shape, distributed.world_size())
        adapted = set_parts(self.model, parts)
        norm = f"{parts.kind} of {max(parts)}" if adapted else "batch norm as configured"
        shape, state.shape = state.shape, self.shape_of(state.epoch)
        if shape != state.shape:
            logger.info("epochs %d to %d: batches of %s, %s", state.epoch + 1, phase.end, state.shape, norm)

    def load_start_weights(self) -> None:
        """The weights of TRAIN.CHECKPOINT_FILE_PATH, if there are any, with a fresh optimiser."""
        cfg = self.cfg
        if not cfg.TRAIN.CHECKPOINT_FILE_PATH:
            warn_of_fresh_frozen(self.model, [])
            return
        path, content = read_weights(lambda: read_path(cfg.TRAIN.CHECKPOINT_FILE_PATH))
        warn_of_other_inputs(cfg, content, path)
        report = load_content(self.model, content, path)
        require(report, cfg.TRAIN.CHECKPOINT_REQUIRED)
        warn_of_fresh_frozen(self.model, report.loaded)
        logger.info("training starts at epoch 1 of %d from these weights, with a fresh optimizer", self.state.max_epoch)
        if self.ema is not None:
            self.ema.module.load_state_dict(self.model.state_dict())

    def mismatch(self, content: states.State) -> str | None:
        """Why this training cannot resume from a state; None if it can.

        Args:
            content: From `states.read_state`.
        """
        average = content.get("ema_state")
        return (
            states.mismatch(self.model, content["model_state"])
            or (None if average is None else states.mismatch(self.model, average))
            or states.optimizer_problem(content, self.optimizer, parameter_names(self.optimizer, self.model))
        )

    def _parallel(self) -> DistributedDataParallel | None:
        if not distributed.is_distributed():
            return None
        # Dropped iterations leave the audio pathway without a gradient; synchronisation heads come and go with them.
        drops = derived.is_audiovisual(self.cfg)
        ids = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(
            self.model, device_ids=ids, find_unused_parameters=drops, gradient_as_bucket_view=True
        )

    @property
    def eval_model(self) -> nn.Module:
        """The network that evaluation uses: the average of the weights where there is one."""
        return self.model if self.ema is None else self.ema.module

    def state_dict(self) -> states.State:
        """Everything that a resumed run needs, gathered on every rank."""
        state = self.state
        state.share_failures()
        return {
            **self.identity,
            "epoch": state.epoch,
            "iteration": state.iteration,
            "steps": state.steps,
            # A finished epoch has been logged.
            "epoch_losses": state.epoch_losses.totals() if state.iteration else {},
            "iters_per_epoch": state.iters_per_epoch,
            "clips_per_step": derived.train_clips_per_step(self.cfg),
            "shape": self.shape_of(state.epoch),
            "evaluation_due": state.evaluation_due,
            "model_state": self.model.state_dict(),
            "ema_state": None if self.ema is None else self.ema.module.state_dict(),
            "optimizer_state": self.optimizer.state_dict(),
            "optimizer_kind": type(self.optimizer).__name__,
            "optimizer_names": parameter_names(self.optimizer, self.model),
            "scaler_state": None if self.scaler is None else self.scaler.state_dict(),
            "rng": distributed.gather_objects(seeding.rng_state()),
            "failed_files": dict(state.failed),
            "best": state.best,
            "best_epoch": state.best_epoch,
            "best_metric": state.best_metric,
            "stale": state.stale,
            "value": state.value,
            "cfg": self.cfg.dump(),
            "class_names": self.dataset.class_names,
        }

    def load_state_dict(self, content: states.State) -> list[str]:
        """Resume from what `state_dict` gave, as far as that holds under the present recipe.

        Args:
            content: A state in which `mismatch` finds nothing.

        Returns:
            What could not be carried over, each in words.
        """
        state, notes = self.state, []
        state.epoch, state.iteration = content["epoch"], content["iteration"]
        state.steps = int(content.get("steps") or state.global_iteration)
        state.evaluation_due = bool(content.get("evaluation_due"))
        state.best, state.best_epoch = content.get("best"), content.get("best_epoch")
        state.failed = {str(path): str(reason) for path, reason in dict(content.get("failed_files") or {}).items()}
        state.best_metric, state.stale = str(content.get("best_metric") or ""), int(content.get("stale") or 0)
        self.model.load_state_dict(content["model_state"])
        notes += load_optimizer(self.optimizer, content, parameter_names(self.optimizer, self.model))
        if self.ema is not None:
            self.ema.module.load_state_dict(content.get("ema_state") or content["model_state"])
            # The first update of a fresh average copies the weights; this one is not fresh.
            self.ema.n_averaged.fill_(1)
        if self.scaler is not None and content.get("scaler_state"):
            try:
                self.scaler.load_state_dict(content["scaler_state"])
            except (KeyError, TypeError, ValueError, RuntimeError):
                notes.append("the saved state of the gradient scaler cannot be used, so it is reset")
        ranks = len(content["rng"])
        if ranks == distributed.world_size():
            seeding.set_rng_state(content["rng"][distributed.rank()])
        else:
            now = distributed.world_size()
            notes.append(f"the state was saved by {ranks} ranks, not {now}; random numbers restart from the seed")
        changed = self._changed_epoch(content)
        if state.iteration and changed:
            notes.append(f"{changed}: training resumes at the beginning of epoch {state.epoch + 1}, not in its middle")
            state.iteration = 0
        state.epoch_losses.restore(content.get("epoch_losses") or {} if state.iteration else {}, self.device)
        return notes

    def _changed_epoch(self, content: states.State) -> str | None:
        """Why the steps of an epoch are not those of a state's epoch; None if they are."""
        now = {
            "iters_per_epoch": (self.state.iters_per_epoch, "iterations per epoch"),
            "clips_per_step": (derived.train_clips_per_step(self.cfg), "clips per step"),
            "shape": (self.shape_of(self.state.epoch), "shape of batches"),
        }
        for name, (value, words) in now.items():
            if content.get(name, "") != value:
                return f"{words}: {content.get(name)}, now {value}"
        return None

    def wrap(self) -> None:
        """Make the network data-parallel and compiled as far as asked for; its weights are in place by then."""
        self.parallel = self._parallel()
        if self.parallel is not None:
            self.meter.attach(self.model, self._first_trainable())
        network = self.parallel or self.model
        # Compiled last, so that the graph is cut where a bucket of gradients is full, and buckets travel while others
        # are computed.
        self.wrapped = compiled(network, self.device) if self.cfg.TRAIN.COMPILE else network

    def _first_trainable(self) -> list[nn.Parameter]:
        """The first weight of each pathway that is trained, or of the network where none is."""
        parts: list[nn.Module] = [*self.model.pathways.values(), self.model]
        firsts = [next((p for p in part.parameters() if p.requires_grad), None) for part in parts]
        found = [p for p in firsts[:-1] if p is not None]
        return found or [p for p in firsts if p is not None]

    def take_own_seconds(self) -> tuple[float, float]:
        """(waiting for data, forward and backward passes) of this rank alone since the last call, seconds."""
        read, self.votes.read_seconds = self.votes.read_seconds, 0.0
        return read, self.meter.take()

    def train(self) -> None:
        """Run to the end, or until all ranks agree to stop (`state.stop`).

        Raises:
            Exception: What kept a rank from getting a batch, once the last whole step is saved.
        """
        self.wrap()
        for hook in self.hooks:
            hook.before_train(self.state)
        self.model.train()
        try:
            if self.state.evaluation_due:
                # The run was stopped between the end of its epoch and the evaluation.
                self._evaluate()
            while not self.state.finished:
                self._run_epoch()
        except StopRequested:
            self.state.stop = True
        except Exception as error:
            if error is not self.votes.failure:
                raise
            self.state.stop = True
        for hook in self.hooks:
            hook.after_train(self.state)
        if self.votes.failure is not None:
            raise self.votes.failure

    def _run_epoch(self) -> None:
        state = self.state
        self.begin_shape()
        self.sampler.set_epoch(state.epoch, state.iteration * self.accumulate)
        batches = prefetched(self.votes.batches(self.loader), self.device)
        for hook in self.hooks:
            hook.before_epoch(state)
        while not state.epoch_complete:
            began = time.perf_counter()
            micro_batches = [next(batches) for _ in range(self.accumulate)]
            state.data_seconds = time.perf_counter() - began
            state.losses = self.run_step(micro_batches)
            state.iteration, state.steps = state.iteration + 1, state.steps + 1
            state.paths = [path for batch in micro_batches for path in batch["path"]]
            for batch in micro_batches:
                state.count(
                    batch["failures"], batch["path"], batch.get("dropped_boxes", 0), batch["flaws"], batch["silent"]
                )
            for hook in self.hooks:
                hook.after_step(state)
        del batches
        state.end_epoch()
        for hook in self.hooks:
            hook.after_epoch(state)
        if state.evaluation_due:
            self._evaluate()
        state.clear_epoch()

    def _evaluate(self) -> None:
        for hook in self.hooks:
            hook.evaluate(self.state)
        for hook in self.hooks:
            hook.after_evaluation(self.state)
        self.state.value, self.state.improved = None, False

    def run_step(self, micro_batches: Sequence[Batch]) -> dict[str, Tensor]:
        """One optimiser step over the micro-batches.

        Returns:
            Mean losses by part, scalars on the device; "loss" is what was minimised.
        """
        state = self.state
        state.lr = self.rate(state.epoch + state.iteration / state.iters_per_epoch)
        set_lr(self.optimizer, state.lr)
        drop_pathway = self.model.drop_pathway
        drop_audio = drop_pathway.draw(state.global_iteration) if drop_pathway is not None else None
        self.optimizer.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        count = len(micro_batches)
        for i, batch in enumerate(micro_batches):
            with self._gradient_exchange(last=i == count - 1):
                with self.autocast():
                    losses = self.task.losses(self.wrapped, batch, drop_audio, state.global_iteration)
                self._backward(losses["loss"] / count)
            for name, value in losses.items():
                share = value.detach() / count
                sums[name] = sums[name] + share if name in sums else share
        self._update()
        return sums

    def _gradient_exchange(self, last: bool) -> AbstractContextManager[Any]:
        """Ranks exchange gradients in the last backward pass of a step alone."""
        return contextlib.nullcontext() if last or self.parallel is None else self.parallel.no_sync()

    def _backward(self, loss: Tensor) -> None:
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def _update(self) -> None:
        solver, parameters = self.cfg.SOLVER, self.model.parameters
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if solver.CLIP_GRAD_VAL:
            nn.utils.clip_grad_value_(parameters(), solver.CLIP_GRAD_VAL)
        if solver.CLIP_GRAD_L2NORM:
            nn.utils.clip_grad_norm_(parameters(), solver.CLIP_GRAD_L2NORM)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.ema is not None:
            self.ema.update_parameters(self.model)
