"""The training loop. What is not a step (logging, checkpoints, evaluation, precise batch norm) is a hook."""

import contextlib
import time

import torch
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..checkpoint import load_weights, require, states
from ..config import ConfigError
from ..loading import build_loader
from ..models import build_model
from ..tasks.build import build_task
from ..utils import distributed, seeding
from ..utils.errors import UserError
from ..utils.logging import get_logger
from .optim import build_optimizer, lr_at, set_lr
from .prefetch import prefetched

logger = get_logger(__name__)


class NonFiniteLoss(UserError, RuntimeError):
    """A loss became NaN or infinite; the message names the iteration, the clips and the losses by part."""


def autocast_context(cfg, device):
    """(function that gives the forward pass's precision context, gradient scaler or None)."""
    if not cfg.TRAIN.MIXED_PRECISION:
        return contextlib.nullcontext, None
    kind = cfg.AMP.DTYPE
    if kind == "auto":
        kind = "bfloat16" if device.type == "cpu" or torch.cuda.is_bf16_supported() else "float16"
    scaler = torch.amp.GradScaler(device.type) if kind == "float16" else None
    return lambda: torch.autocast(device.type, dtype=getattr(torch, kind)), scaler


def place_model(cfg, model, device):
    """The model on its device; on GPUs in channels-last format where asked for."""
    model = model.to(device)
    if cfg.TRAIN.CHANNELS_LAST:
        if device.type == "cuda":
            for module in model.modules():
                if isinstance(module, torch.nn.Conv3d):
                    module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last_3d)
        else:
            logger.info("TRAIN.CHANNELS_LAST is for GPUs (slower on a CPU) and is left out")
    return model


def compiled(model, device):
    """The network under torch.compile, where that is of use."""
    if device.type == "cpu":
        logger.info("TRAIN.COMPILE is for GPUs (on a CPU it gains nothing: BENCHMARKS.md) and is left out")
        return model
    return torch.compile(model)


class Trainer:
    """Trains a network for cfg.SOLVER.MAX_EPOCH epochs.

    Attributes:
        model: the network. wrapped: what the step calls (data-parallel, compiled).
        epoch, iteration: the next iteration to run, within its epoch. iters_per_epoch: iterations an epoch.
        lr: the schedule's learning rate in the last step.
        best: best validation metric so far. improved: the epoch that has just ended set it.
        failures: (path, reason) of training files that could not be read in this epoch. dropped_boxes: those outside their crops in it.
        stop: set by a hook to end after the current iteration.
    """

    def __init__(self, cfg, device, hooks=()):
        self.cfg, self.device, self.hooks = cfg, device, list(hooks)
        seeding.seed_everything(cfg.RNG_SEED + distributed.rank())
        self.loader = build_loader(cfg, "train")
        self.class_names = self.loader.dataset.class_names
        self.model = place_model(cfg, build_model(cfg), device)
        self.task = build_task(cfg, device)
        self.optimizer = build_optimizer(cfg, self.model)
        self.autocast, self.scaler = autocast_context(cfg, device)
        decay = get_ema_multi_avg_fn(cfg.EMA.DECAY)
        self.ema = AveragedModel(self.model, multi_avg_fn=decay, use_buffers=True) if cfg.EMA.ENABLE else None
        self.accumulate = cfg.TRAIN.ACCUMULATION_STEPS
        self.iters_per_epoch = len(self.loader) // self.accumulate
        if not self.iters_per_epoch:
            raise ConfigError(
                f"TRAIN.ACCUMULATION_STEPS is {self.accumulate}: an epoch has {len(self.loader)} batches, not one step; lower it"
            )
        self.epoch, self.iteration, self.best, self.improved = 0, 0, None, False
        self.failures, self.dropped_boxes, self.stop, self.data_seconds, self.lr = [], 0, False, 0.0, 0.0
        self._start_weights()
        self.wrapped = self._wrap()

    def _start_weights(self):
        """This run's newest state, or else the weights of TRAIN.CHECKPOINT_FILE_PATH with a fresh optimiser."""
        path, state = None, None
        if self.cfg.TRAIN.AUTO_RESUME:
            path, state = states.load_newest(self.cfg.OUTPUT_DIR, lambda s: self._resume_mismatch(s))
        if state is not None:
            self.load_state(state)
            logger.info("resumed from %s: epoch %d, iteration %d", path, self.epoch + 1, self.iteration)
        elif self.cfg.TRAIN.CHECKPOINT_FILE_PATH:
            require(
                load_weights(self.model, states.resolve(self.cfg.TRAIN.CHECKPOINT_FILE_PATH)),
                self.cfg.TRAIN.CHECKPOINT_REQUIRED,
            )
            logger.info(
                "training starts at epoch 1 of %d from these weights, with a fresh optimizer", self.cfg.SOLVER.MAX_EPOCH
            )
            if self.ema is not None:
                self.ema.module.load_state_dict(self.model.state_dict())

    def _resume_mismatch(self, state):
        if state["iteration"] and state.get("iters_per_epoch") != self.iters_per_epoch:
            return f"its epochs have {state.get('iters_per_epoch')} iterations, this run's {self.iters_per_epoch}"
        if len(state["rng"]) != distributed.world_size():
            logger.warning(
                "the state was saved by %d ranks, not %d; random numbers start anew",
                len(state["rng"]),
                distributed.world_size(),
            )
        return states.mismatch(self.model, state)

    def _wrap(self):
        model = self.model
        if distributed.is_distributed():
            # Dropped iterations leave the audio pathway without a gradient; synchronisation heads come and go with the drop.
            drops = "audio" in self.model.pathways and "slow" in self.model.pathways
            ids = [self.device.index] if self.device.type == "cuda" else None
            model = DistributedDataParallel(
                model, device_ids=ids, find_unused_parameters=drops, gradient_as_bucket_view=True
            )
        # Compiled last, so that the graph is cut where a bucket of gradients is full, and buckets travel while others are computed.
        return compiled(model, self.device) if self.cfg.TRAIN.COMPILE else model

    @property
    def global_iteration(self):
        """Iterations done in the whole training."""
        return self.epoch * self.iters_per_epoch + self.iteration

    @property
    def eval_model(self):
        """The network that evaluation uses: the average of the weights where there is one."""
        return self.model if self.ema is None else self.ema.module

    def state(self):
        """Everything that a resumed run needs, gathered on every rank."""
        return {
            "epoch": self.epoch,
            "iteration": self.iteration,
            "iters_per_epoch": self.iters_per_epoch,
            "model_state": self.model.state_dict(),
            "ema_state": None if self.ema is None else self.ema.module.state_dict(),
            "optimizer_state": self.optimizer.state_dict(),
            "scaler_state": None if self.scaler is None else self.scaler.state_dict(),
            "rng": distributed.gather_objects(seeding.rng_state()),
            "best": self.best,
            "cfg": self.cfg.dump(),
            "class_names": self.class_names,
        }

    def load_state(self, state):
        """Go on from `state()`."""
        self.epoch, self.iteration, self.best = state["epoch"], state["iteration"], state["best"]
        self.model.load_state_dict(state["model_state"])
        self.optimizer.load_state_dict(state["optimizer_state"])
        if self.ema is not None:
            self.ema.module.load_state_dict(state["ema_state"] or state["model_state"])
            # The first update of a fresh average copies the weights; this one is not fresh.
            self.ema.n_averaged.fill_(1)
        if self.scaler is not None and state["scaler_state"]:
            self.scaler.load_state_dict(state["scaler_state"])
        if len(state["rng"]) == distributed.world_size():
            seeding.set_rng_state(state["rng"][distributed.rank()])

    def train(self):
        """Run to the end, or until a hook sets `stop`."""
        for hook in self.hooks:
            hook.before_train(self)
        self.model.train()
        while self.epoch < self.cfg.SOLVER.MAX_EPOCH and not self.stop:
            self._run_epoch()
        for hook in self.hooks:
            hook.after_train(self)

    def _run_epoch(self):
        self.loader.batch_sampler.set_epoch(self.epoch, self.iteration * self.accumulate)
        batches = prefetched(self.loader, self.device)
        for hook in self.hooks:
            hook.before_epoch(self)
        while self.iteration < self.iters_per_epoch and not self.stop:
            began = time.perf_counter()
            micro = [next(batches) for _ in range(self.accumulate)]
            self.data_seconds = time.perf_counter() - began
            losses = self.run_step(micro)
            self.iteration += 1
            for batch in micro:
                self.failures += batch["failures"]
                self.dropped_boxes += batch.get("dropped_boxes", 0)
            for hook in self.hooks:
                hook.after_step(self, losses, [path for batch in micro for path in batch["path"]])
        del batches
        if self.iteration == self.iters_per_epoch:
            self.epoch, self.iteration = self.epoch + 1, 0
            for hook in self.hooks:
                hook.after_epoch(self)
            self.failures, self.dropped_boxes = [], 0

    def run_step(self, micro):
        """One optimiser step over `micro` batches; returns the mean losses by part, on the device."""
        self.lr = lr_at(self.cfg, self.epoch + self.iteration / self.iters_per_epoch)
        set_lr(self.optimizer, self.lr)
        drop = self.model.drop_pathway.draw(self.global_iteration) if self.model.drop_pathway is not None else None
        self.optimizer.zero_grad(set_to_none=True)
        sums = {}
        for i, batch in enumerate(micro):
            last = i == len(micro) - 1
            sync = (
                contextlib.nullcontext()
                if last or self.wrapped is self.model or not distributed.is_distributed()
                else self.wrapped.no_sync()
            )
            with sync:
                with self.autocast():
                    losses = self.task.losses(self.wrapped, batch, drop, self.global_iteration)
                self._backward(losses["loss"] / len(micro))
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + value.detach() / len(micro)
        self._update()
        return sums

    def _backward(self, loss):
        (loss if self.scaler is None else self.scaler.scale(loss)).backward()

    def _update(self):
        s = self.cfg.SOLVER
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if s.CLIP_GRAD_VAL:
            torch.nn.utils.clip_grad_value_(self.model.parameters(), s.CLIP_GRAD_VAL)
        if s.CLIP_GRAD_L2NORM:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), s.CLIP_GRAD_L2NORM)
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.ema is not None:
            self.ema.update_parameters(self.model)
