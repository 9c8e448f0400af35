"""A linear classifier and nearest neighbours on fixed features: what a network has learnt, whatever its training."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejson
import torch
from numpy.typing import NDArray

from ..checkpoint import read_checkpoint, states
from ..config import ConfigError
from ..config.derived import Cfg
from ..config.kinds import kind_of, values_of
from ..config.names import Metric
from ..evaluation.failures import not_finite, NotFiniteScoresError, write_failed_files
from ..evaluation.metrics.classification import topk_accuracy
from ..evaluation.metrics.retrieval import recall_at_k
from ..evaluation.places import changes_results, say_replaced
from ..evaluation.results import describe, failed_rows, metrics_text, save_config, write_results
from ..loading import build_loader
from ..models import build_model
from ..models.network import Network
from ..tasks.base import Task
from ..tasks.build import build_task
from ..tasks.scores import Features
from ..utils import distributed
from ..utils.logging import get_logger
from .evaluation import evaluate_as_configured, failure_policy
from .trainer import autocast_context, place_model
from .votes import Votes
from .weights import load_for_test

logger = get_logger(__name__)

# Cross-validation of the classifier's strength, at most; fewer where a class has fewer training videos.
_FOLDS = 3
# What is classified: each modality alone, then all of them side by side.
_MODALITIES = ("visual", "audio", "audiovisual")


@dataclass(frozen=True)
class ProbeData:
    """Features of one split's videos; those that could not be read are left out.

    Attributes:
        features: {"visual" | "audio": [N, C]}, the modalities that the network has.
        labels: [N] class ids.
        failed: {path: reason} of the videos that could not be read.
    """

    features: dict[str, NDArray[np.float32]]
    labels: NDArray[Any]
    failed: dict[str, str]

    def by_modality(self) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """(modality, [N, C]): each alone, and "audiovisual" where there are two."""
        yield from self.features.items()
        if len(self.features) > 1:
            yield "audiovisual", np.concatenate(list(self.features.values()), axis=1)

    def save(self, path: str, key: str) -> None:
        """Write to a file.

        Args:
            path: The file.
            key: What the features depend on, for `load`.
        """
        tensors = {name: torch.from_numpy(values) for name, values in self.features.items()}
        content = {"key": key, "features": tensors, "labels": torch.from_numpy(self.labels), "failed": self.failed}
        states.save(content, path)

    @classmethod
    def load(cls, path: str, key: str) -> "ProbeData | None":
        """Read from a file.

        Args:
            path: The file.
            key: What the features depend on now.

        Returns:
            None where there is no such file, or its features depend on something else.
        """
        content = read_checkpoint(path) if os.path.isfile(path) else None
        if not isinstance(content, dict) or content.get("key") != key or not isinstance(content["failed"], dict):
            return None
        features = {name: value.numpy() for name, value in content["features"].items()}
        return cls(features, content["labels"].numpy(), content["failed"])


def probe(cfg: Cfg, device: torch.device, votes: Votes, folder: str) -> dict[str, Any]:
    """Train a linear classifier on features of the training videos, test it, look up nearest neighbours.

    Writes results.json. Features are kept in OUTPUT_DIR, so that another classifier on them takes seconds.

    Args:
        cfg: The configuration.
        device: Of this rank.
        votes: Whether to continue.
        folder: Where results go.

    Returns:
        The results: visual_top1, visual_top5, visual_r1, ...; audio_* and audiovisual_* as far as the network has the
        modalities.

    Raises:
        ConfigError: Videos have more than one label, or there are no weights to probe.
        TooManyFailuresError: More files failed than may; the results are written.
        NotFiniteScoresError: Features are NaN or infinite.
    """
    model = build_model(cfg)
    task = build_task(cfg, device)
    path = None if cfg.PROBE.RANDOM_WEIGHTS else load_for_test(cfg, model, task.required_weights(model))[0]
    model = place_model(cfg, model, device).eval()
    info = describe(cfg, model)
    train, test = (_probe_data(cfg, model, task, split, path, votes) for split in ("train", "test"))
    results: dict[str, Any] = {
        "arch": cfg.MODEL.ARCH,
        "checkpoint": path or "first weights",
        "dataset": cfg.TEST.DATASET,
        "videos": len(test.labels),
        **info,
    }
    if distributed.is_main():
        for (modality, x_train), (_, x_test) in zip(train.by_modality(), test.by_modality()):
            values = _judge(cfg, x_train, train.labels, x_test, test.labels)
            results.update({f"{modality}_{name}": value for name, value in values.items()})
            logger.info("%s: %s", modality, metrics_text(values))
        say_replaced(cfg, folder)
        save_config(cfg, folder)
        results["failed"] = failed_rows(test.failed)
        write_results(folder, results, probe_metrics(cfg))
    # No barrier: the main rank may need longer than an exchange between ranks may take.
    policy = failure_policy(cfg, folder)
    for split, data in (("train", train), ("test", test)):
        if distributed.is_main():
            write_failed_files(folder, split, data.failed)
        policy.check(data.failed, len(data.labels) + len(data.failed), split)
    return results


def probe_metrics(cfg: Cfg) -> list[Metric]:
    """Records of all metrics that a probe can give."""
    measures = [("top1", "top-1 accuracy"), ("top5", "top-5 accuracy")]
    measures += [(f"r{k}", f"recall at {k}") for k in cfg.PROBE.RETRIEVAL_K]
    return [Metric(f"{m}_{name}", f"{m} features, {label}") for m in _MODALITIES for name, label in measures]


def _judge(
    cfg: Cfg,
    train: NDArray[np.float32],
    train_labels: NDArray[Any],
    test: NDArray[np.float32],
    test_labels: NDArray[Any],
) -> dict[str, float]:
    """{"top1", "top5", "r1", ...} of one set of features, in percent."""
    log_probabilities = _classify(cfg, train, train_labels, test)
    scores = np.full((len(test), max(train_labels.max(), test_labels.max()) + 1), -np.inf)
    scores[:, np.unique(train_labels)] = log_probabilities
    recalls = recall_at_k(test, test_labels, train, train_labels, cfg.PROBE.RETRIEVAL_K)
    return {
        "top1": topk_accuracy(scores, test_labels, 1),
        "top5": topk_accuracy(scores, test_labels, 5),
        **{f"r{k}": value for k, value in recalls.items()},
    }


def _classify(
    cfg: Cfg, train: NDArray[np.float32], train_labels: NDArray[Any], test: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Log-probabilities [N, classes] of the classes that occur in training, in ascending order."""
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classes, counts = np.unique(train_labels, return_counts=True)
    if len(classes) < 2:
        raise ConfigError(
            f"TASK is 'probe': all training videos that can be read are of class {classes[0]}; a classifier needs two "
            "classes, so add videos of another one to the training list"
        )
    strengths = list(cfg.PROBE.C)
    folds = min(_FOLDS, int(counts.min()))
    classifier: LogisticRegression | LogisticRegressionCV
    if folds < 2:
        # Nothing is left to choose the strength by.
        middle = strengths[len(strengths) // 2]
        logger.warning(
            "class %d has a single training video: PROBE.C %g is used without cross-validation",
            classes[counts.argmin()],
            middle,
        )
        classifier = LogisticRegression(C=middle, max_iter=2000)
    else:
        classifier = LogisticRegressionCV(
            Cs=strengths, cv=folds, max_iter=2000, l1_ratios=(0.0,), use_legacy_attributes=False
        )
    fitted = make_pipeline(StandardScaler(), classifier).fit(train, train_labels)
    log_probabilities: NDArray[np.float64] = fitted.predict_log_proba(test)
    return log_probabilities


def _probe_data(
    cfg: Cfg, model: Network, task: Task[Features], split: str, path: str | None, votes: Votes
) -> ProbeData:
    """Features of the training or test videos, from the file of an earlier probe where that is current."""
    file = os.path.join(cfg.OUTPUT_DIR, f"features_{split}.pt")
    loader = build_loader(cfg, "test", videos_of=split)
    key = _key(cfg, path, loader.dataset.listing.fingerprint())
    # Other machines may not see the file, and all ranks have to do the same.
    cached = distributed.on_main(lambda: ProbeData.load(file, key))
    if cached is not None:
        logger.info("features of %s videos come from %s", split, file)
        return cached
    result = evaluate_as_configured(
        cfg,
        model,
        loader,
        task,
        autocast=autocast_context(cfg, task.device)[0],
        votes=votes,
        desc=f"features of {split}",
    )
    if result.not_finite:
        raise NotFiniteScoresError(not_finite(result, split))
    if result.labels.ndim != 1:
        raise ConfigError(
            "TASK is 'probe': a linear probe needs one label per video; "
            "use a data set and classifier with one (DATA.TARGET, no MULTI_HEAD.NAMES)"
        )
    known = result.scores.known
    data = ProbeData(result.scores.rows(known).heads, result.labels[known], result.failed)
    if distributed.is_main():
        data.save(file, key)
    return data


def _key(cfg: Cfg, path: str | None, fingerprint: str) -> str:
    """What the features of a list depend on, as one word.

    Args:
        cfg: The configuration.
        path: Of the weights; None for first ones.
        fingerprint: Of the list.
    """
    file = [path, os.path.getsize(path), os.path.getmtime(path)] if path and os.path.isfile(path) else [path]
    values = {key: value for key, value in values_of(cfg).items() if changes_results(key) or kind_of(key) == "recipe"}
    for key in ("PROBE.C", "PROBE.RETRIEVAL_K"):
        del values[key]
    return hashlib.sha256(simplejson.dumps([file, values, fingerprint], sort_keys=True).encode()).hexdigest()
