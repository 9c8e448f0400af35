"""What a run reports at its start and at its end: size of the network; results as file, table and line for programs."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import simplejson

from ..config import derived
from ..config.derived import Cfg
from ..config.names import Metric
from ..models.build import input_shapes
from ..models.complexity import count_gflops, count_parameters, parameters_by_part
from ..models.network import Network
from ..models.norm import FrozenBatchNorm, is_batch_norm
from ..utils.files import replacing
from ..utils.logging import get_logger, log_json_stats
from ..utils.text import aligned
from .failures import NothingReadError
from .protocols.base import Evaluation

logger = get_logger(__name__)

# What results have besides metrics.
FACTS = (
    Metric("videos", "videos", ""),
    Metric("views", "views per video", ""),
    Metric("parameters_m", "parameters", "M", "lower"),
    Metric("gflops", "GFLOPs per view", "", "lower"),
    Metric("seconds", "duration", "s", "lower"),
)
# Classes whose accuracies are listed in the table, at most.
_LISTED = 50


def save_config(cfg: Cfg, folder: str) -> None:
    """Write every key's value to config.yaml in a folder, which loads again."""
    with replacing(os.path.join(folder, "config.yaml")) as part, open(part, "w", encoding="utf-8") as f:
        f.write(cfg.dump())


def describe(cfg: Cfg, model: Network) -> dict[str, float]:
    """Parameters and GFLOPs at the test crop.

    Returns:
        {"parameters_m", "gflops"}; {} where LOG_MODEL_INFO is off, for detection, which depends on boxes, and where
        nothing is classified.
    """
    facts = derived.task_facts(cfg)
    if not cfg.LOG_MODEL_INFO or facts.boxes or not facts.classifier:
        return {}
    info = {
        "parameters_m": count_parameters(model) / 1e6,
        "gflops": count_gflops(model, input_shapes(cfg, cfg.DATA.TEST_CROP_SIZE)),
    }
    logger.info(
        "%s: %.2f M parameters, %.3f GFLOPs per view at %d pixels",
        cfg.MODEL.ARCH,
        *info.values(),
        cfg.DATA.TEST_CROP_SIZE,
    )
    return info


def log_parameters(cfg: Cfg, model: Network, trains: bool) -> None:
    """Write the parameters of each part into the log, where LOG_MODEL_INFO is on.

    Args:
        cfg: The configuration.
        model: The network.
        trains: Also which of them are trained.
    """
    if cfg.LOG_MODEL_INFO:
        logger.info("parameters\n%s", "\n".join(f"  {line}" for line in parameter_lines(model, trains)))


def parameter_lines(model: Network, trains: bool) -> list[str]:
    """A table of a network's parameters by part.

    Args:
        model: The network.
        trains: Also which of them are trained.
    """
    parts = parameters_by_part(model)
    total = [sum(column) for column in zip(*parts.values())]
    rows = [["part", "parameters", *(["trained"] if trains else [])]]
    for name, (count, trained) in [*parts.items(), ("all", (total[0], total[1]))]:
        words = f"{trained:,}" if trained else "none: frozen"
        rows.append([name, f"{count:,}", *([words] if trains else [])])
    frozen = sum(isinstance(module, FrozenBatchNorm) for module in model.modules())
    held = sorted(name for name, module in model.named_modules() if is_batch_norm(module) and not module.training)
    notes = []
    if trains and frozen:
        notes.append(f"batch norms with fixed statistics: {frozen} (BN.NORM_TYPE, BN.AUDIO_NORM_TYPE)")
    if trains and model.training and held:
        notes.append(f"batch norms of frozen parts, whose statistics stay: {len(held)}")
    return [*aligned(rows), *notes]


def write_results(folder: str, results: Mapping[str, Any], metrics: Iterable[Metric]) -> None:
    """Write results.json, a table for people and a line for programs.

    Args:
        folder: Where results.json goes.
        results: "arch", "checkpoint", "failed", metrics by name, ...
        metrics: Their records; results.json has them under "metrics": {name: {"label", "unit", "better"}}.
    """
    measured = save_results(folder, results, metrics)
    logger.info("results\n%s", results_table(results, measured))
    flat = {k: v for k, v in results.items() if isinstance(v, (int, float, str))}
    log_json_stats({"_type": "test_final", **flat, "failed": len(results["failed"])}, logger)


def save_results(folder: str, results: Mapping[str, Any], metrics: Iterable[Metric]) -> list[Metric]:
    """Write results.json alone; arguments as for `write_results`.

    Returns:
        The records of those metrics that are in the results.
    """
    measured = [metric for metric in metrics if metric.name in results]
    records = {m.name: {"label": m.label, "unit": m.unit, "better": m.better} for m in measured}
    path = os.path.join(folder, "results.json")
    with replacing(path) as part, open(part, "w", encoding="utf-8", errors="backslashreplace") as f:
        # What is not finite is null: NaN is no JSON.
        simplejson.dump({**results, "metrics": records}, f, indent=1, ignore_nan=True)
    return measured


def outcome(result: Evaluation[Any]) -> dict[str, Any]:
    """What results.json says of an evaluation: its size, metrics, duration and failures."""
    return {
        "videos": len(result.paths),
        "views": result.views,
        **result.metrics,
        "seconds": result.seconds,
        "failed_videos": result.failed_videos,
        "not_finite_videos": len(result.not_finite),
        "failed": failed_rows(result.failed),
        "not_finite": result.not_finite,
        "silent_clips": result.silent_clips,
        "flaws": [flaw._asdict() for flaw in result.flaws],
    }


def failed_rows(failed: Mapping[str, str]) -> list[dict[str, str]]:
    """What results.json says of files that could not be read.

    Args:
        failed: {path: reason}.
    """
    return [{"path": path, "reason": reason} for path, reason in failed.items()]


def nothing_read(error: NothingReadError) -> dict[str, Any]:
    """As `outcome`, of an evaluation whose files could not be read."""
    # There are neither scores nor labels, which `outcome` does not look at.
    paths, failed = error.paths, dict(error.failed)
    return outcome(Evaluation[Any](None, np.zeros(0), paths, failed, failed_videos=len(paths)))


def metrics_text(metrics: Mapping[str, float]) -> str:
    """Metrics in one line for people."""
    return ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())


def results_table(results: Mapping[str, Any], metrics: Iterable[Metric]) -> str:
    """The results as lines for people; classes without a video are left out.

    Args:
        results: See `write_results`.
        metrics: Records of the metrics in it.
    """
    titles = {metric.name: metric.title for metric in (*metrics, *FACTS)}
    rows = [("architecture", results["arch"]), ("checkpoint", results["checkpoint"])]
    if "split" in results:
        words = f"{results['dataset']}, {results['list'] if 'list' in results else results['split'] + ' split'}"
        rows.append(("videos of", f"{words}, {results['temporal_views']} x {results['spatial_crops']} views"))
    for name, value in results.items():
        if name in titles:
            rows.append((titles[name], f"{value:.2f}" if isinstance(value, float) else value))
    rows.append(("failed videos", results.get("failed_videos", len(results["failed"]))))
    if results.get("not_finite_videos"):
        rows.append(("videos whose scores are not finite", results["not_finite_videos"]))
    classes = {name: v for name, v in results.get("per_class_accuracy", {}).items() if v is not None}
    if 0 < len(classes) <= _LISTED:
        rows.append(("accuracy of each class, %", ""))
        rows += [(f"  {name}", f"{value:.1f}") for name, value in classes.items()]
    width = max(len(str(name)) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {value}".rstrip() for name, value in rows)
