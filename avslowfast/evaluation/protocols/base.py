"""What a protocol is: the metrics of joined scores, further results, and the files that an evaluation writes."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic

from numpy.typing import NDArray

from ...config import ConfigError
from ...config.derived import Cfg
from ...config.names import Metric
from ...datasets.base import ClassNames
from ...loading.dataset import ClipDataset
from ...loading.flaws import Flaw
from ...tasks.scores import S


@dataclass
class Evaluation(Generic[S]):
    """What an evaluation gives.

    Attributes:
        scores: Per video in the data set's order.
        labels: [N], [N, K] (several labels per video) or [N, heads]; for boxes [N, 0].
        paths: N files.
        failed: {path: reason} of the files that could not be read.
        metrics: {name: value}, in the protocol's order.
        views: Clips per video.
        seconds: Duration of the loop.
        failed_videos: Number of videos (segments) that could not be read.
        not_finite: Paths of the videos that were read and whose scores are NaN or infinite; they count as wrong.
        flaws: What was wrong with files that were read.
        silent_clips: Clips without audio, of a network that listens; clips that share their audio count once.
    """

    scores: S
    labels: NDArray[Any]
    paths: list[str]
    failed: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    views: int = 1
    seconds: float = 0.0
    failed_videos: int = 0
    not_finite: list[str] = field(default_factory=list)
    flaws: list[Flaw] = field(default_factory=list)
    silent_clips: int = 0

    def value(self, metric: Metric) -> float:
        """The value of a metric that was declared.

        Raises:
            ConfigError: It could not be measured, for example without the lists that it needs.
        """
        if metric.name not in self.metrics:
            measured = ", ".join(self.metrics) or "nothing, since the videos have no labels"
            raise ConfigError(
                f"TRAIN.BEST_METRIC is {metric.name!r}: the validation data does not give this metric; "
                f"it gives {measured}"
            )
        return self.metrics[metric.name]


def of_head(metric: Metric, head: str) -> Metric:
    """A metric of one classifier of several; the only classifier is called ""."""
    return replace(metric, name=f"{head}_{metric.name}", label=f"{head} {metric.label}") if head else metric


class Protocol(ABC, Generic[S]):
    """How a data set is scored.

    A protocol of a plugin derives from this class (or from `ClassificationProtocol`) and is registered under the
    name of its data set with `@PROTOCOLS.register(name)`.

    Args:
        metrics: What `measure` gives; the first one chooses the best checkpoint where TRAIN.BEST_METRIC is "".
        further: {name: function of scores and labels} of the metrics that are not the protocol's.
    """

    def __init__(
        self, metrics: tuple[Metric, ...], further: Mapping[str, Callable[[S, NDArray[Any]], dict[str, float]]]
    ) -> None:
        self.metrics = metrics
        self.further = further

    @classmethod
    @abstractmethod
    def declared(cls, cfg: Cfg) -> tuple[Metric, ...]:
        """The protocol's metrics for a configuration, known before any data is read."""

    @classmethod
    def options(cls, cfg: Cfg, dataset: ClipDataset) -> dict[str, Any]:
        """Further arguments of the constructor that a configuration and its data set give; none by default."""
        return {}

    @abstractmethod
    def compute(self, scores: S, labels: NDArray[Any]) -> dict[str, float]:
        """The protocol's metrics; {} for a list without labels.

        Args:
            scores: Per video, views joined; rows of NaN are videos that failed.
            labels: See `Evaluation`.
        """

    def measure(self, scores: S, labels: NDArray[Any]) -> dict[str, float]:
        """All metrics by name: the protocol's, then the further ones. Arguments as for `compute`."""
        values = self.compute(scores, labels)
        if values:
            for function in self.further.values():
                values.update(function(scores, labels))
        return values

    def results(self, result: Evaluation[S], names: ClassNames) -> dict[str, Any]:
        """More entries for results.json; none by default.

        Args:
            result: With its metrics.
            names: Of the classes.
        """
        return {}

    def write(self, result: Evaluation[S], folder: str, names: ClassNames) -> None:
        """Write scores and what the data set's evaluation asks for; nothing by default.

        Args:
            result: With its metrics.
            folder: Where files go.
            names: Of the classes.
        """
        return None
