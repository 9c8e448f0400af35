"""From configuration to protocol and to the metric that chooses the best checkpoint."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ..config import ConfigError, derived
from ..config.derived import Cfg
from ..config.names import Metric, METRICS, PROTOCOLS
from ..loading.dataset import ClipDataset
from ..tasks.scores import ClassScores, ONLY
from .further import ScoreMetric
from .protocols.base import of_head, Protocol


def build_protocol(cfg: Cfg, dataset: ClipDataset, name: str) -> Protocol[Any]:
    """How a data set is scored: by the rules of its name; without labels by those of pretexts.

    Args:
        cfg: The configuration.
        dataset: The data set that is scored.
        name: Under which it is registered.

    Raises:
        ConfigError: A metric of TEST.METRICS is unknown, or not one of the task's scores.
    """
    kind = PROTOCOLS[protocol_name(cfg, name)]
    further = {metric: _by_head(metric, METRICS[metric]) for metric in _further(cfg)}
    protocol: Protocol[Any] = kind(metrics=declared_metrics(cfg, name), further=further, **kind.options(cfg, dataset))
    return protocol


def protocol_name(cfg: Cfg, dataset: str) -> str:
    """Protocol of a data set: "sync" for pretexts, its namesake where there is one, else "classification"."""
    if not derived.task_facts(cfg).labels:
        return "sync"
    return dataset.lower() if dataset.lower() in PROTOCOLS else "classification"


def declared_metrics(cfg: Cfg, dataset: str) -> tuple[Metric, ...]:
    """What evaluation of a data set measures: the protocol's metrics, then those of TEST.METRICS. No data is read.

    Args:
        cfg: The configuration.
        dataset: Name of the data set.
    """
    declared = PROTOCOLS[protocol_name(cfg, dataset)].declared(cfg)
    further = [of_head(_record(name), head) for name in _further(cfg) for head in derived.head_classes(cfg)]
    known = {metric.name for metric in declared}
    return (*declared, *(metric for metric in further if metric.name not in known))


def best_metric(cfg: Cfg) -> Metric:
    """The metric that chooses the best checkpoint: TRAIN.BEST_METRIC, or the first that validation declares.

    Raises:
        ConfigError: Validation does not give that metric; names those that it gives.
    """
    metrics = {metric.name: metric for metric in declared_metrics(cfg, cfg.TRAIN.DATASET)}
    wanted = cfg.TRAIN.BEST_METRIC or next(iter(metrics), "")
    if wanted not in metrics:
        raise ConfigError(f"TRAIN.BEST_METRIC is {wanted!r}: unknown metric; use one of {', '.join(metrics)}")
    return metrics[wanted]


def _further(cfg: Cfg) -> list[str]:
    """TEST.METRICS, checked."""
    names = list(cfg.TEST.METRICS)
    facts = derived.task_facts(cfg)
    if names and (not facts.labels or facts.boxes):
        raise ConfigError(
            f"TEST.METRICS is {names}: its metrics are of scores of clips' classes, which the task "
            f"'{derived.task_name(cfg)}' does not give; clear the key"
        )
    return [METRICS.check(name, key="TEST.METRICS") for name in names]


def _record(name: str) -> Metric:
    record: Metric = METRICS.facts(name) or Metric(name, name.replace("_", " "))
    return record


def _by_head(name: str, metric: ScoreMetric) -> Callable[[ClassScores, NDArray[Any]], dict[str, float]]:
    """A metric of one classifier as a function that gives it for each classifier."""

    def measure(scores: ClassScores, labels: NDArray[Any]) -> dict[str, float]:
        truth = scores.labels_by_head(labels)
        return {
            of_head(_record(name), head).name: metric(ClassScores({ONLY: values}), truth[head])
            for head, values in scores.heads.items()
        }

    return measure
