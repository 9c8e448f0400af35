"""Train and test as a configuration says."""

import os

import torch

from ..evaluation.build import build_protocol
from ..evaluation.evaluator import evaluate, load_for_test
from ..evaluation.results import describe, save_config, write_results
from ..loading import build_loader
from ..models import build_model
from ..tasks.build import build_task
from ..utils import distributed
from ..utils.logging import get_logger, setup_logging
from ..utils.memory import keep_freed_memory
from .hooks import build_hooks
from .probe import probe
from .trainer import autocast_context, place_model, Trainer

logger = get_logger(__name__)

# Exit code of a run that was told to stop and has saved its state (EX_TEMPFAIL: try again later).
STOPPED = 75


def run(cfg, device):
    """Train (TRAIN.ENABLE), then test (TEST.ENABLE); returns the exit code."""
    setup_logging(cfg.OUTPUT_DIR)
    set_up(cfg, device)
    if cfg.TASK == "probe":
        probe(cfg, device)
        return 0
    if cfg.TRAIN.ENABLE:
        if not train(cfg, device):
            logger.info("stopped by a signal; the state is saved, the same command goes on from it")
            return STOPPED
    if cfg.TEST.ENABLE:
        test(cfg, device)
    return 0


def set_up(cfg, device):
    """Settings of the whole process that make a device fast."""
    if device.type == "cpu":
        keep_freed_memory()
        return
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = cfg.AMP.TF32
    # The fastest algorithms are sought once for each shape; where test pictures keep their own sizes, shapes never end.
    torch.backends.cudnn.benchmark = not cfg.DETECTION.ENABLE


def train(cfg, device):
    """Train to the end (True) or until a signal (False)."""
    if distributed.is_main():
        save_config(cfg)
    trainer = Trainer(cfg, device, build_hooks(cfg))
    describe(cfg, trainer.model)
    trainer.train()
    return not trainer.stop


def test(cfg, device):
    """Test with NUM_ENSEMBLE_VIEWS x NUM_SPATIAL_CROPS views; writes results.json and the scores; returns the results."""
    model = build_model(cfg)
    path, names = load_for_test(cfg, model)
    model = place_model(cfg, model, device).eval()
    info = describe(cfg, model)
    loader = build_loader(cfg, "test")
    names = loader.dataset.class_names or names
    local = max(distributed.world_size() // cfg.NUM_SHARDS, 1)
    protocol = build_protocol(cfg, loader.dataset, cfg.TEST.DATASET)
    result = evaluate(
        model,
        loader,
        build_task(cfg, device),
        protocol,
        max_clips=max(cfg.TEST.BATCH_SIZE // local, 1),
        ensemble=cfg.DATA.ENSEMBLE_METHOD,
        max_failed=cfg.DATA.MAX_FAILED_FRACTION,
        autocast=autocast_context(cfg, device)[0],
    )
    results = {
        "arch": cfg.MODEL.ARCH,
        "checkpoint": path,
        "dataset": cfg.TEST.DATASET,
        "videos": len(result.paths),
        "views": result.views,
        "temporal_views": cfg.TEST.NUM_ENSEMBLE_VIEWS,
        "spatial_crops": cfg.TEST.NUM_SPATIAL_CROPS if cfg.MODEL.ARCH != "audio" else 1,
        **result.metrics,
        **info,
        "seconds": result.seconds,
        "failed": result.failed,
    }
    results.update(protocol.results(result, names))
    if distributed.is_main():
        os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
        protocol.write(result, cfg.OUTPUT_DIR, names)
        write_results(cfg, results)
    distributed.barrier()
    return results
