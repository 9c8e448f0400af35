"""The training loop. What is not a step (logging, checkpoints, evaluation, precise batch norm) is a hook."""

import contextlib
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, cast, TypeVar

import torch
from torch import nn, Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..checkpoint import load_weights, require, states
from ..config import ConfigError, derived
from ..config.derived import Cfg
from ..evaluation.evaluator import Autocast
from ..loading import build_loader
from ..models import build_model
from ..tasks.base import Batch
from ..tasks.build import build_task
from ..utils import distributed, seeding
from ..utils.logging import get_logger
from .hooks.base import Hook
from .optim import build_optimizer, lr_at, set_lr
from .prefetch import prefetched
from .state import TrainState

logger = get_logger(__name__)

Model = TypeVar("Model", bound=nn.Module)


def autocast_context(cfg: Cfg, device: torch.device) -> tuple[Autocast, torch.amp.GradScaler | None]:
    """(function that gives the forward pass's precision context, gradient scaler or None)."""
    if not cfg.TRAIN.MIXED_PRECISION:
        return contextlib.nullcontext, None
    name = cfg.AMP.DTYPE
    if name == "auto":
        name = "bfloat16" if device.type == "cpu" or torch.cuda.is_bf16_supported() else "float16"
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
    """Trains a network for cfg.SOLVER.MAX_EPOCH epochs.

    Args:
        cfg: The configuration.
        device: Of this rank.

    Attributes:
        state: Where the training stands; shared with the hooks.
        hooks: Called around steps and epochs, in this order.
        model: The network.
        wrapped: What a step calls: the network, data-parallel and compiled as far as asked for.
        sampler: Chooses the epoch of `loader`, and the batch at which it starts.
    """

    def __init__(self, cfg: Cfg, device: torch.device) -> None:
        self.cfg, self.device = cfg, device
        self.hooks: list[Hook] = []
        seeding.seed_everything(cfg.RNG_SEED + distributed.rank())
        self.loader = build_loader(cfg, "train")
        self.dataset = self.loader.dataset
        self.sampler = self.loader.epochs
        self.model = place_model(cfg, build_model(cfg), device)
        self.task = build_task(cfg, device)
        self.optimizer = build_optimizer(cfg, self.model)
        self.autocast, self.scaler = autocast_context(cfg, device)
        decay = get_ema_multi_avg_fn(cfg.EMA.DECAY)
        self.ema = AveragedModel(self.model, multi_avg_fn=decay, use_buffers=True) if cfg.EMA.ENABLE else None
        self.accumulate: int = cfg.TRAIN.ACCUMULATION_STEPS
        self.state = TrainState(cfg.SOLVER.MAX_EPOCH, self._iters_per_epoch())
        self._start_weights()
        self.parallel = self._parallel()
        network = self.parallel or self.model
        # Compiled last, so that the graph is cut where a bucket of gradients is full, and buckets travel while others
        # are computed.
        self.wrapped = compiled(network, device) if cfg.TRAIN.COMPILE else network

    def _iters_per_epoch(self) -> int:
        count = len(self.loader) // self.accumulate
        if not count:
            raise ConfigError(
                f"TRAIN.ACCUMULATION_STEPS is {self.accumulate}: "
                f"an epoch has {len(self.loader)} batches, not one step; lower it"
            )
        return count

    def _start_weights(self) -> None:
        """This run's newest state, or else the weights of TRAIN.CHECKPOINT_FILE_PATH with a fresh optimiser."""
        cfg, path, content = self.cfg, None, None
        if cfg.TRAIN.AUTO_RESUME:
            path, content = states.load_newest(cfg.OUTPUT_DIR, self._resume_mismatch)
        if content is not None:
            self.load_state_dict(content)
            logger.info("resumed from %s: epoch %d, iteration %d", path, self.state.epoch + 1, self.state.iteration)
        elif cfg.TRAIN.CHECKPOINT_FILE_PATH:
            report = load_weights(self.model, states.resolve(cfg.TRAIN.CHECKPOINT_FILE_PATH))
            require(report, cfg.TRAIN.CHECKPOINT_REQUIRED)
            logger.info(
                "training starts at epoch 1 of %d from these weights, with a fresh optimizer", cfg.SOLVER.MAX_EPOCH
            )
            if self.ema is not None:
                self.ema.module.load_state_dict(self.model.state_dict())

    def _resume_mismatch(self, content: dict[str, Any]) -> str | None:
        """Why a saved state cannot be resumed by this run; None if it can."""
        saved = content.get("iters_per_epoch")
        if content["iteration"] and saved != self.state.iters_per_epoch:
            return f"its epochs have {saved} iterations, this run's {self.state.iters_per_epoch}"
        ranks = len(content["rng"])
        if ranks != distributed.world_size():
            logger.warning(
                "the state was saved by %d ranks, not %d; random numbers restart from the seed",
                ranks,
                distributed.world_size(),
            )
        reason: str | None = states.mismatch(self.model, content)
        return reason

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

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, gathered on every rank."""
        return {
            "epoch": self.state.epoch,
            "iteration": self.state.iteration,
            "iters_per_epoch": self.state.iters_per_epoch,
            "model_state": self.model.state_dict(),
            "ema_state": None if self.ema is None else self.ema.module.state_dict(),
            "optimizer_state": self.optimizer.state_dict(),
            "scaler_state": None if self.scaler is None else self.scaler.state_dict(),
            "rng": distributed.gather_objects(seeding.rng_state()),
            "best": self.state.best,
            "cfg": self.cfg.dump(),
            "class_names": self.dataset.class_names,
        }

    def load_state_dict(self, content: dict[str, Any]) -> None:
        """Resume from what `state_dict` gave."""
        self.state.epoch, self.state.iteration = content["epoch"], content["iteration"]
        self.state.best = content["best"]
        self.model.load_state_dict(content["model_state"])
        self.optimizer.load_state_dict(content["optimizer_state"])
        if self.ema is not None:
            self.ema.module.load_state_dict(content["ema_state"] or content["model_state"])
            # The first update of a fresh average copies the weights; this one is not fresh.
            self.ema.n_averaged.fill_(1)
        if self.scaler is not None and content["scaler_state"]:
            self.scaler.load_state_dict(content["scaler_state"])
        if len(content["rng"]) == distributed.world_size():
            seeding.set_rng_state(content["rng"][distributed.rank()])

    def train(self) -> None:
        """Run to the end, or until a hook sets `state.stop`."""
        for hook in self.hooks:
            hook.before_train(self.state)
        self.model.train()
        while not (self.state.finished or self.state.stop):
            self._run_epoch()
        for hook in self.hooks:
            hook.after_train(self.state)

    def _run_epoch(self) -> None:
        state = self.state
        self.sampler.set_epoch(state.epoch, state.iteration * self.accumulate)
        batches = prefetched(self.loader, self.device)
        for hook in self.hooks:
            hook.before_epoch(state)
        while not (state.epoch_complete or state.stop):
            began = time.perf_counter()
            micro_batches = [next(batches) for _ in range(self.accumulate)]
            state.data_seconds = time.perf_counter() - began
            state.losses = self.run_step(micro_batches)
            state.iteration += 1
            state.paths = [path for batch in micro_batches for path in batch["path"]]
            for batch in micro_batches:
                state.count(batch["failures"], batch.get("dropped_boxes", 0))
            for hook in self.hooks:
                hook.after_step(state)
        del batches
        if state.epoch_complete:
            state.end_epoch()
            for hook in self.hooks:
                hook.after_epoch(state)
            state.clear_epoch()

    def run_step(self, micro_batches: Sequence[Batch]) -> dict[str, Tensor]:
        """One optimiser step over the micro-batches.

        Returns:
            Mean losses by part, scalars on the device; "loss" is what was minimised.
        """
        state = self.state
        state.lr = lr_at(self.cfg, state.epoch + state.iteration / state.iters_per_epoch)
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
