"""Train and test as a configuration says."""

import os

import numpy as np
import simplejson

from ..checkpoint import io, load_content, read_checkpoint, require
from ..config import ConfigError
from ..datasets import build_loader
from ..metrics.classification import per_class_accuracy
from ..models import build_model
from ..models.build import input_shapes
from ..models.complexity import count_gflops, count_parameters
from ..utils import distributed
from ..utils.logging import get_logger, log_json_stats, setup_logging
from .evaluator import evaluate, save_scores
from .hooks import build_hooks
from .protocols import build_protocol
from .task import build_task
from .trainer import autocast_context, place_model, Trainer

logger = get_logger(__name__)

# Exit code of a run that was told to stop and has saved its state (EX_TEMPFAIL: try again later).
STOPPED = 75


def run(cfg, device):
    """Train (TRAIN.ENABLE), then test (TEST.ENABLE); returns the exit code."""
    setup_logging(cfg.OUTPUT_DIR)
    if cfg.TRAIN.ENABLE:
        if not train(cfg, device):
            logger.info("stopped by a signal; the state is saved, the same command goes on from it")
            return STOPPED
    if cfg.TEST.ENABLE:
        test(cfg, device)
    return 0


def train(cfg, device):
    """Train to the end (True) or until a signal (False)."""
    if distributed.is_main():
        os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
        with open(os.path.join(cfg.OUTPUT_DIR, "config.yaml"), "w") as f:
            f.write(cfg.dump())
    trainer = Trainer(cfg, device, build_hooks(cfg))
    describe(cfg, trainer.model)
    trainer.train()
    return not trainer.stop


def describe(cfg, model):
    """Parameters and GFLOPs at the test crop; {} where LOG_MODEL_INFO is off and for detection, which depends on boxes."""
    if not cfg.LOG_MODEL_INFO or cfg.DETECTION.ENABLE:
        return {}
    info = {"parameters_m": count_parameters(model) / 1e6, "gflops": count_gflops(model, input_shapes(cfg, cfg.DATA.TEST_CROP_SIZE))}
    logger.info("%s: %.2f M parameters, %.3f GFLOPs a view at %d pixels", cfg.MODEL.ARCH, *info.values(), cfg.DATA.TEST_CROP_SIZE)
    return info


def load_for_test(cfg, model):
    """Load the weights to test into a model: TEST.CHECKPOINT_FILE_PATH, else this run's newest (or best) state, else the start weights.

    Returns:
        (path, class names or None).
    """
    path, content = cfg.TEST.CHECKPOINT_FILE_PATH, None
    if not path and cfg.TEST.USE_BEST and os.path.isfile(io.best_path(cfg.OUTPUT_DIR)):
        path = io.best_path(cfg.OUTPUT_DIR)
    if not path:
        path, content = io.load_newest(cfg.OUTPUT_DIR, lambda s: io.mismatch(model, s))
    path = path or cfg.TRAIN.CHECKPOINT_FILE_PATH
    if not path:
        raise ConfigError(f"OUTPUT_DIR is {cfg.OUTPUT_DIR!r}: no checkpoint in it to test; train first, or set TEST.CHECKPOINT_FILE_PATH")
    content = content or read_checkpoint(path)
    require(load_content(model, content, path), "all")
    return path, content.get("class_names") if isinstance(content, dict) else None


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
        model, loader, build_task(cfg, device), protocol, max_clips=max(cfg.TEST.BATCH_SIZE // local, 1), ensemble=cfg.DATA.ENSEMBLE_METHOD,
        max_failed=cfg.DATA.MAX_FAILED_FRACTION, autocast=autocast_context(cfg, device)[0],
    )  # fmt: skip
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
    results.update(protocol.results(result))
    if result.labels.ndim == 1 and (result.labels >= 0).all():
        values = per_class_accuracy(result.scores, result.labels)
        keys = names or [str(k) for k in range(len(values))]
        results["per_class_accuracy"] = {key: None if np.isnan(v) else float(v) for key, v in zip(keys, values)}
    if distributed.is_main():
        _write(cfg, result, results, names)
        protocol.write(result, cfg.OUTPUT_DIR)
    distributed.barrier()
    return results


def _write(cfg, result, results, names):
    os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
    if result.labels.size:
        save_scores(result, cfg.TEST.SAVE_RESULTS_PATH or os.path.join(cfg.OUTPUT_DIR, "scores"), names)
    with open(os.path.join(cfg.OUTPUT_DIR, "results.json"), "w") as f:
        simplejson.dump(results, f, indent=1, ignore_nan=True)
    logger.info("results\n%s", results_table(results))
    flat = {k: v for k, v in results.items() if isinstance(v, (int, float, str))}
    log_json_stats({"_type": "test_final", **flat, "failed": len(results["failed"])}, logger)


def results_table(results):
    """The results as lines for people; classes without a video of their own are left out."""
    labels = {"top1": "top-1 %", "top5": "top-5 %", "map": "mAP %", "mean_class_accuracy": "mean class accuracy %", "videos": "videos",
              "views": "views per video", "parameters_m": "parameters, M", "gflops": "GFLOPs per view", "seconds": "seconds"}  # fmt: skip
    rows = [("architecture", results["arch"]), ("checkpoint", results["checkpoint"])]
    for key, value in results.items():
        text = next((t for k, t in labels.items() if key == k or key.endswith("_" + k)), None)
        if text and isinstance(value, (int, float)):
            prefix = key[: -len(next(k for k in labels if key == k or key.endswith("_" + k)))].replace("_", " ")
            rows.append((prefix + text, f"{value:.2f}" if isinstance(value, float) else value))
    rows.append(("failed videos", len(results["failed"])))
    classes = {k: v for k, v in results.get("per_class_accuracy", {}).items() if v is not None}
    rows += [(f"  {name}", f"{value:.1f}") for name, value in (classes.items() if len(classes) <= 50 else ())]
    width = max(len(str(name)) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)


