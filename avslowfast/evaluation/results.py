"""What a run says at its start and at its end: size of the network, results as a file, as a table and as a line for programs."""

import os

import simplejson

from ..models.build import input_shapes
from ..models.complexity import count_gflops, count_parameters
from ..utils.logging import get_logger, log_json_stats

logger = get_logger(__name__)


def save_config(cfg):
    """Write every key's value to OUTPUT_DIR/config.yaml, which loads again."""
    os.makedirs(cfg.OUTPUT_DIR, exist_ok=True)
    with open(os.path.join(cfg.OUTPUT_DIR, "config.yaml"), "w") as f:
        f.write(cfg.dump())


def describe(cfg, model):
    """Parameters and GFLOPs at the test crop; {} where LOG_MODEL_INFO is off, for detection, which depends on boxes, and where nothing is classified."""
    if not cfg.LOG_MODEL_INFO or cfg.DETECTION.ENABLE or cfg.TASK not in ("classification", "probe"):
        return {}
    info = {
        "parameters_m": count_parameters(model) / 1e6,
        "gflops": count_gflops(model, input_shapes(cfg, cfg.DATA.TEST_CROP_SIZE)),
    }
    logger.info(
        "%s: %.2f M parameters, %.3f GFLOPs a view at %d pixels",
        cfg.MODEL.ARCH,
        *info.values(),
        cfg.DATA.TEST_CROP_SIZE,
    )
    return info


def write_results(cfg, results):
    """results.json, a table for people and a line for programs."""
    with open(os.path.join(cfg.OUTPUT_DIR, "results.json"), "w") as f:
        simplejson.dump(results, f, indent=1, ignore_nan=True)
    logger.info("results\n%s", results_table(results))
    flat = {k: v for k, v in results.items() if isinstance(v, (int, float, str))}
    log_json_stats({"_type": "test_final", **flat, "failed": len(results["failed"])}, logger)


def results_table(results):
    """The results as lines for people; classes without a video of their own are left out."""
    labels = {
        "top1": "top-1 %",
        "top5": "top-5 %",
        "map": "mAP %",
        "mean_class_accuracy": "mean class accuracy %",
        "videos": "videos",
        "views": "views per video",
        "parameters_m": "parameters, M",
        "gflops": "GFLOPs per view",
        "seconds": "seconds",
        "sync": "pairs told apart, deepest stage %",
        "hard": "hard pairs told apart %",
        "easy": "easy pairs told apart %",
        "hard_told": "hard, by distance 0.5 %",
        "easy_told": "easy, by distance 0.5 %",
        "offset_ms": "offset, ms",
    }
    rows = [("architecture", results["arch"]), ("checkpoint", results["checkpoint"])]
    for key, value in results.items():
        suffix = next((k for k in sorted(labels, key=len, reverse=True) if key == k or key.endswith("_" + k)), None)
        if suffix and isinstance(value, (int, float)):
            rows.append(
                (
                    key[: -len(suffix)].replace("_", " ") + labels[suffix],
                    f"{value:.2f}" if isinstance(value, float) else value,
                )
            )
    rows.append(("failed videos", len(results["failed"])))
    classes = {k: v for k, v in results.get("per_class_accuracy", {}).items() if v is not None}
    rows += [(f"  {name}", f"{value:.1f}") for name, value in (classes.items() if len(classes) <= 50 else ())]
    width = max(len(str(name)) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows)
