"""A linear classifier and nearest neighbours on fixed features: what a network has learnt, whatever it was trained on."""

import hashlib
import os

import numpy as np
import simplejson
import torch
from sklearn.linear_model import LogisticRegressionCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..checkpoint import read_checkpoint, states
from ..config import ConfigError, derived
from ..config.names import Metric
from ..evaluation.evaluator import evaluate
from ..evaluation.metrics.classification import topk_correct
from ..evaluation.metrics.retrieval import recall_at_k
from ..evaluation.results import describe, save_config, write_results
from ..loading import build_loader
from ..models import build_model
from ..tasks.build import build_task
from ..utils import distributed
from ..utils.logging import get_logger
from .trainer import autocast_context, place_model
from .weights import load_for_test

logger = get_logger(__name__)

_FOLDS = 3


def probe(cfg, device):
    """Train a linear classifier on the features of the training videos, test it, look up nearest neighbours; writes results.json.

    Features are kept in OUTPUT_DIR, so that another classifier on them takes seconds.

    Returns:
        The results: for visual, audio and both, as far as there are: SENSE_top1, SENSE_top5, SENSE_r1, SENSE_r5, ...

    Raises:
        ConfigError: videos with more than one label, or no weights to probe.
    """
    model = build_model(cfg)
    required = build_task(cfg, device).required_weights(model)
    path = None if cfg.PROBE.RANDOM_WEIGHTS else load_for_test(cfg, model, required)[0]
    model = place_model(cfg, model, device).eval()
    info = describe(cfg, model)
    parts = {part: _features(cfg, model, device, part, path) for part in ("train", "test")}
    results = {
        "arch": cfg.MODEL.ARCH,
        "checkpoint": path or "first weights",
        "dataset": cfg.TEST.DATASET,
        "videos": len(parts["test"]["labels"]),
        **info,
    }
    if distributed.is_main():
        for sense, train, test in _senses(parts):
            results.update(
                {
                    f"{sense}_{name}": value
                    for name, value in _judge(
                        cfg, train, parts["train"]["labels"], test, parts["test"]["labels"]
                    ).items()
                }
            )
            logger.info(
                "%s: %s",
                sense,
                ", ".join(
                    f"{k.removeprefix(sense + '_')} {v:.2f}" for k, v in results.items() if k.startswith(sense + "_")
                ),
            )
        save_config(cfg)
        results["failed"] = parts["test"]["failed"]
        write_results(cfg, results, _metrics(cfg))
    distributed.barrier()
    return results


def _metrics(cfg):
    """Records of the probe's metrics."""
    measures = [("top1", "top-1 accuracy"), ("top5", "top-5 accuracy")]
    measures += [(f"r{k}", f"recall at {k}") for k in cfg.PROBE.RETRIEVAL_K]
    modalities = ("visual", "audio", "audiovisual")
    return [Metric(f"{m}_{name}", f"{m} features, {label}") for m in modalities for name, label in measures]


def _senses(parts):
    train, test = parts["train"]["features"], parts["test"]["features"]
    for sense in train:
        yield sense, train[sense], test[sense]
    if len(train) > 1:
        yield "audiovisual", *(np.concatenate(list(part.values()), axis=1) for part in (train, test))


def _judge(cfg, train, train_labels, test, test_labels):
    """{"top1", "top5", "r1", ...} of one set of features, in percent."""
    fewest = np.bincount(train_labels)[np.unique(train_labels)].min()
    strengths = list(cfg.PROBE.C)
    folds = min(_FOLDS, int(fewest))
    if folds < 2:
        logger.warning(
            "a class has a single training video: PROBE.C %g is used unchecked", strengths[len(strengths) // 2]
        )
        strengths, folds = [strengths[len(strengths) // 2]], 2
    classifier = LogisticRegressionCV(
        Cs=strengths, cv=folds, max_iter=2000, l1_ratios=(0.0,), use_legacy_attributes=False
    )
    fitted = make_pipeline(StandardScaler(), classifier).fit(train, train_labels)
    scores = np.full((len(test), max(train_labels.max(), test_labels.max()) + 1), -np.inf)
    scores[:, classifier.classes_] = fitted.predict_log_proba(test)
    k = min(5, scores.shape[1])
    found = {"top1": topk_correct(scores, test_labels, 1), "top5": topk_correct(scores, test_labels, k)}
    recalls = recall_at_k(test, test_labels, train, train_labels, cfg.PROBE.RETRIEVAL_K)
    return {
        **{name: 100.0 * float(right.mean()) for name, right in found.items()},
        **{f"r{k}": value for k, value in recalls.items()},
    }


def _features(cfg, model, device, part, path):
    """{"features": {sense: [N, C]}, "labels": [N], "failed": [...]} of the training or test videos, from the cache where it is current."""
    file = os.path.join(cfg.OUTPUT_DIR, f"features_{part}.pt")
    key = _key(cfg, path)
    if os.path.isfile(file):
        content = read_checkpoint(file)
        if isinstance(content, dict) and content.get("key") == key:
            logger.info("features of %s videos come from %s", part, file)
            return {
                **content,
                "features": {name: value.numpy() for name, value in content["features"].items()},
                "labels": content["labels"].numpy(),
            }
    result = evaluate(
        model,
        build_loader(cfg, "test", videos_of=part),
        build_task(cfg, device),
        max_clips=derived.test_clips_per_pass(cfg, distributed.world_size()),
        max_failed=cfg.DATA.MAX_FAILED_FRACTION,
        autocast=autocast_context(cfg, device)[0],
        desc=f"features of {part}",
    )
    if result.labels.ndim != 1:
        raise ConfigError(
            "TASK is 'probe': a linear probe needs one label a video; use a data set and classifier with one (DATA.TARGET, no MULTI_HEAD.NAMES)"
        )
    good = result.scores.known
    found = {
        "features": result.scores.rows(good).heads,
        "labels": result.labels[good],
        "failed": result.failed,
    }
    if distributed.is_main():
        tensors = {name: torch.from_numpy(values) for name, values in found["features"].items()}
        states.save(
            {"key": key, "features": tensors, "labels": torch.from_numpy(found["labels"]), "failed": found["failed"]},
            file,
        )
    return found


def _key(cfg, path):
    """What the features depend on, as one word."""
    stamp = (
        [path, os.path.getsize(path), os.path.getmtime(path)] if path and os.path.isfile(path) else [path, cfg.RNG_SEED]
    )
    nodes = {name: cfg[name] for name in ("DATA", "MODEL", "SLOWFAST", "RESNET", "LATERAL", "NONLOCAL")}
    views = [
        cfg.TEST.NUM_ENSEMBLE_VIEWS,
        cfg.TEST.NUM_SPATIAL_CROPS,
        cfg.TRAIN.DATASET,
        cfg.TEST.DATASET,
        cfg.PROBE.STAGE,
    ]
    return hashlib.sha256(simplejson.dumps([stamp, nodes, views], sort_keys=True).encode()).hexdigest()
