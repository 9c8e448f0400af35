"""What happens around the training step."""

import collections
import math
import os
import resource
import shutil
import signal
import time

import torch
from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..checkpoint import states
from ..evaluation.build import build_protocol
from ..evaluation.evaluator import evaluate, TooManyFailures
from ..loading import build_loader
from ..utils import distributed
from ..utils.logging import get_logger, log_json_stats
from ..visualization import tensorboard as board
from .trainer import NonFiniteLoss

logger = get_logger(__name__)


class Hook:
    """Called by the trainer; does nothing by default."""

    def before_train(self, trainer):
        """Once, before the first step."""

    def before_epoch(self, trainer):
        """Before the first step of each epoch, or of the rest of one."""

    def after_step(self, trainer, losses, paths):
        """After each step; `losses` are device tensors by part, `paths` the clips' files."""

    def after_epoch(self, trainer):
        """After each epoch; trainer.epoch counts the epochs done."""

    def after_train(self, trainer):
        """Once, at the end or after a stop."""


def agreed(trainer):
    """Whether this is an iteration after which ranks may exchange decisions: each one in a single process, else when logging."""
    return not distributed.is_distributed() or (trainer.iteration % trainer.cfg.LOG_PERIOD == 0)


class FiniteLossHook(Hook):
    """Stops with the iteration, the clips and the losses by part when a loss is not finite.

    On a GPU the losses of the last iterations are looked at together, when logging, so that no step waits for the device.
    """

    def __init__(self):
        self.pending = []

    def after_step(self, trainer, losses, paths):
        """See the class."""
        self.pending.append((trainer.epoch, trainer.iteration - 1, losses, paths))
        if (
            trainer.device.type == "cpu"
            or trainer.iteration % trainer.cfg.LOG_PERIOD == 0
            or trainer.iteration == trainer.iters_per_epoch
        ):
            self.check()

    def check(self):
        """Look at what has not been looked at.

        Raises:
            NonFiniteLoss: for the first iteration whose loss is NaN or infinite.
        """
        for epoch, iteration, losses, paths in self.pending:
            values = {name: float(value) for name, value in losses.items()}
            if not all(math.isfinite(v) for v in values.values()):
                parts = ", ".join(f"{name} {value:g}" for name, value in values.items())
                raise NonFiniteLoss(
                    f"epoch {epoch + 1}, iteration {iteration + 1}: the loss is not finite ({parts}); clips: {', '.join(paths)}. "
                    "Lower SOLVER.BASE_LR, set SOLVER.CLIP_GRAD_L2NORM, or look at these files"
                )
        self.pending.clear()


class LogHook(Hook):
    """Progress bar, log lines, JSON lines and TensorBoard."""

    def __init__(self, cfg):
        self.board, self.window, self.paths = cfg.TENSORBOARD, collections.defaultdict(list), []
        folder = self.board.LOG_DIR or os.path.join(cfg.OUTPUT_DIR, "tensorboard")
        self.writer = SummaryWriter(folder) if self.board.ENABLE and distributed.is_main() else None
        self.bar = None

    def before_train(self, trainer):
        """Starts the bar."""
        self.bar = tqdm(
            total=trainer.iters_per_epoch * trainer.cfg.SOLVER.MAX_EPOCH,
            initial=trainer.global_iteration,
            desc="train",
            unit="it",
            disable=None if distributed.is_main() else True,
        )

    def before_epoch(self, trainer):
        """Starts the clock: what lies between epochs (evaluation, checkpoints) does not count as time of a step."""
        self.mark, self.steps = time.perf_counter(), 0

    def after_step(self, trainer, losses, paths):
        """Collects; every LOG_PERIOD iterations reads the losses back and logs their means."""
        for name, value in losses.items():
            self.window[name].append(value)
        self.window["dt_data"].append(trainer.data_seconds)
        self.paths = paths
        self.steps += 1
        self.bar.update(1)
        if trainer.iteration % trainer.cfg.LOG_PERIOD == 0 or trainer.iteration == trainer.iters_per_epoch:
            self._log(trainer)

    def _log(self, trainer):
        cfg = trainer.cfg
        seconds = (time.perf_counter() - self.mark) / self.steps
        data = sum(self.window.pop("dt_data")) / self.steps
        # DropPathway is the same on every rank, so the names are, and one reduction serves all.
        names = sorted(self.window)
        means = torch.stack([torch.stack(list(self.window[n])).mean().float() for n in names])
        means = distributed.all_reduce_sum(means) / distributed.world_size()
        left = (cfg.SOLVER.MAX_EPOCH * trainer.iters_per_epoch - trainer.global_iteration) * seconds
        stats = {
            "_type": "train_iter",
            "epoch": f"{trainer.epoch + 1}/{cfg.SOLVER.MAX_EPOCH}",
            "iter": f"{trainer.iteration}/{trainer.iters_per_epoch}",
            **{name: float(v) for name, v in zip(names, means.tolist())},
            "lr": trainer.lr,
            "dt": seconds,
            "dt_data": data,
            "dt_net": seconds - data,
            "clips_per_s": cfg.TRAIN.BATCH_SIZE * cfg.AUG.NUM_SAMPLE * cfg.NUM_SHARDS / seconds,
            "eta": time.strftime("%H:%M:%S", time.gmtime(left)) if left < 86400 else f"{left / 86400:.1f} days",
            **memory(trainer.device),
        }
        log_json_stats(stats, logger)
        if self.writer:
            for name, value in stats.items():
                if isinstance(value, float):
                    self.writer.add_scalar(f"train/{name}", value, trainer.global_iteration)
        self.bar.set_postfix(loss=f"{stats['loss']:.3f}", lr=f"{stats['lr']:.2g}")
        self.window.clear()
        self.mark, self.steps = time.perf_counter(), 0

    def after_epoch(self, trainer):
        """Training files that failed in the epoch: how many, which, why."""
        everyone = [item for part in distributed.gather_objects(trainer.failures) for item in part]
        if everyone:
            total = len(trainer.loader.dataset)
            for path, reason in dict(everyone).items():
                logger.warning("failed, replaced in training: %s (%s)", path, reason)
            logger.warning("epoch %d: %d unreadable file(s) of %d replaced", trainer.epoch, len(dict(everyone)), total)
            limit = trainer.cfg.DATA.MAX_FAILED_FRACTION
            if len(dict(everyone)) > limit * total:
                raise TooManyFailures(
                    f"{len(dict(everyone))} of {total} training files could not be read, more than DATA.MAX_FAILED_FRACTION {limit:g} allows; "
                    f"the first: {everyone[0][1]}. Repair or remove them, or raise the key"
                )
        dropped = sum(distributed.gather_objects(trainer.dropped_boxes))
        if dropped:
            logger.info("epoch %d: %d boxes lay outside their crops", trainer.epoch, dropped)

        if self.writer:
            board.write_clips(self.writer, self.paths[: self.board.CLIPS], trainer.global_iteration)
            if self.board.HISTOGRAMS:
                board.write_histograms(self.writer, trainer.model, trainer.global_iteration)

    def evaluation(self, result, step):
        """Write an evaluation to TensorBoard."""
        if not self.writer:
            return
        for key, value in result.metrics.items():
            self.writer.add_scalar(f"val/{key}", value, step)
        if self.board.CONFUSION_MATRIX:
            board.write_confusion(self.writer, result.scores, result.labels, step)

    def after_train(self, trainer):
        """Closes what is open."""
        self.bar.close()
        if self.writer:
            self.writer.close()


def memory(device):
    """Peak memory in GB: of this process, and of the GPU where there is one."""
    stats = {"ram_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}
    if device.type == "cuda":
        stats["gpu_gb"] = torch.cuda.max_memory_allocated(device) / 2**30
    return stats


class _AsEvaluated(nn.Module):
    """A network that runs as evaluation runs it, for precise batch norm."""

    def __init__(self, model, task):
        super().__init__()
        self.model, self.task = model, task

    def forward(self, inputs):
        return self.task.forward_as_evaluated(self.model, inputs)


def precise_bn(model, task, batches, num_batches):
    """Replace running statistics by averages over `num_batches` batches, averaged over ranks; weights and random state stay.

    Args:
        model: the network, in training mode. task: runs it as evaluation does. batches: iterator of model inputs.
    """
    # What evaluation does not run keeps its statistics.
    idle = [getattr(model, name) for name in task.idle_in_evaluation]
    for part in idle:
        part.eval()
    layers = get_bn_modules(model)
    if not layers:
        return
    own = [(layer.running_mean, layer.running_var) for layer in layers]
    with torch.random.fork_rng(devices=[layers[0].weight.device] if layers[0].weight.is_cuda else []):
        update_bn_stats(_AsEvaluated(model, task), batches, num_batches)
    for part in idle:
        part.train()
    for layer, buffers in zip(layers, own):
        # Into the old tensors, which data-parallel wrappers hold on to.
        for old, name in zip(buffers, ("running_mean", "running_var")):
            new = getattr(layer, name)
            old.copy_(distributed.all_reduce_sum(new.contiguous()) / distributed.world_size())
            setattr(layer, name, old)


class EvalHook(Hook):
    """Precise batch norm, then validation, every EVAL_PERIOD epochs and after the last."""

    def __init__(self, cfg, log):
        self.cfg, self.log = cfg, log
        self.loader = None

    def due(self, trainer):
        """Whether the epoch that has just ended is validated."""
        return trainer.epoch % self.cfg.TRAIN.EVAL_PERIOD == 0 or trainer.epoch == self.cfg.SOLVER.MAX_EPOCH

    def after_epoch(self, trainer):
        """See the class."""
        if not self.due(trainer):
            return
        cfg = self.cfg
        if cfg.BN.USE_PRECISE_STATS:
            sampler = trainer.loader.batch_sampler
            sampler.set_epoch(trainer.epoch - 1)
            batches = (trainer.task.inputs(batch) for batch in trainer.loader)
            precise_bn(
                trainer.eval_model.train(), trainer.task, batches, min(cfg.BN.NUM_BATCHES_PRECISE, len(trainer.loader))
            )
        self.loader = self.loader or build_loader(cfg, "val")
        max_clips = max(cfg.TEST.BATCH_SIZE // distributed.world_size(), 1)
        result = evaluate(
            trainer.eval_model,
            self.loader,
            trainer.task,
            build_protocol(cfg, self.loader.dataset, cfg.TRAIN.DATASET),
            max_clips=max_clips,
            max_failed=cfg.DATA.MAX_FAILED_FRACTION,
            autocast=trainer.autocast,
            desc="val",
        )
        trainer.model.train()
        key = next(iter(result.metrics))
        value = result.metrics[key]
        trainer.improved = trainer.best is None or value > trainer.best
        trainer.best = value if trainer.improved else trainer.best
        stats = {
            "_type": "val_epoch",
            "epoch": f"{trainer.epoch}/{cfg.SOLVER.MAX_EPOCH}",
            **result.metrics,
            "best": trainer.best,
            "failed": len(result.failed),
            "seconds": result.seconds,
        }
        words = ", ".join(f"{name} {number:.2f}" for name, number in result.metrics.items())
        logger.info("epoch %d/%d: validation %s (best %.2f)", trainer.epoch, cfg.SOLVER.MAX_EPOCH, words, trainer.best)
        log_json_stats(stats, logger)
        self.log.evaluation(result, trainer.global_iteration)


class CheckpointHook(Hook):
    """Saves every CHECKPOINT_PERIOD epochs, every CHECKPOINT_SECONDS, at the end and on SIGTERM or SIGINT."""

    def __init__(self, cfg, finite):
        self.cfg, self.finite = cfg, finite
        self.signal = None
        self.last = time.monotonic()

    def before_train(self, trainer):
        """Catches the signals: the iteration is finished, the state saved, then the process ends with its own exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number, frame):
        self.signal = number
        # A second Ctrl-C ends at once.
        signal.signal(number, signal.SIG_DFL)

    def after_step(self, trainer, losses, paths):
        """Ranks decide together: any rank's signal stops all, the main rank's clock counts."""
        if trainer.iteration == trainer.iters_per_epoch or not agreed(trainer):
            return
        votes = distributed.gather_objects((self.signal is not None, self._overdue()))
        trainer.stop = any(stop for stop, _ in votes)
        if trainer.stop or votes[0][1]:
            self._save(trainer)

    def _overdue(self):
        limit = self.cfg.TRAIN.CHECKPOINT_SECONDS
        return bool(limit) and time.monotonic() - self.last > limit

    def after_epoch(self, trainer):
        """See the class."""
        votes = distributed.gather_objects((self.signal is not None, self._overdue()))
        trainer.stop = any(stop for stop, _ in votes)
        last = trainer.epoch == self.cfg.SOLVER.MAX_EPOCH
        improved = trainer.improved
        if trainer.stop or votes[0][1] or last or improved or trainer.epoch % self.cfg.TRAIN.CHECKPOINT_PERIOD == 0:
            path = self._save(trainer)
            if improved and distributed.is_main():
                shutil.copyfile(path, f"{states.best_path(self.cfg.OUTPUT_DIR)}.part")
                os.replace(f"{states.best_path(self.cfg.OUTPUT_DIR)}.part", states.best_path(self.cfg.OUTPUT_DIR))
        trainer.improved = False

    def _save(self, trainer):
        self.finite.check()
        state = trainer.state()
        path = states.checkpoint_path(self.cfg.OUTPUT_DIR, trainer.epoch, trainer.iteration)
        if distributed.is_main():
            states.save(state, path)
            states.prune(self.cfg.OUTPUT_DIR, self.cfg.TRAIN.CHECKPOINT_KEEP)
            logger.info("saved %s", path)
        distributed.barrier()
        self.last = time.monotonic()
        return path

    def after_train(self, trainer):
        """Gives the signals back."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)


def build_hooks(cfg):
    """The hooks of a training run, in the order in which they act."""
    finite, log = FiniteLossHook(), LogHook(cfg)
    return [finite, log, EvalHook(cfg, log), CheckpointHook(cfg, finite)]
