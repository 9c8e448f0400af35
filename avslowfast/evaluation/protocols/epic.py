"""EPIC-Kitchens-55 and -100 (arXiv 1804.02748, 2006.13256): verb, noun and action, and the submission files."""

import os
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import simplejson
from numpy.typing import NDArray

from ...config import derived
from ...config.derived import Cfg
from ...config.names import Metric
from ...datasets import epic as files
from ...datasets.base import ClassNames
from ...loading.dataset import ClipDataset
from ...tasks.scores import ClassScores
from ...utils.files import replacing
from ...utils.logging import get_logger
from ..metrics import epic
from .base import Evaluation
from .classification import ClassificationProtocol

logger = get_logger(__name__)

_PARTS = ("verb", "noun", "action")
_TOP = tuple(
    Metric(f"{part}_top{k}", f"{part} top-{k} accuracy")
    for part, k in [("action", 1), ("verb", 1), ("noun", 1), ("verb", 5), ("noun", 5), ("action", 5)]
)
_MANY_SHOT = tuple(
    Metric(f"many_shot_{part}_{kind}", f"many-shot {part} {kind}")
    for part in _PARTS
    for kind in ("precision", "recall")
)
_GROUPS_100 = tuple(
    Metric(f"{group}_{part}_top1", f"{words}, {part} top-1 accuracy")
    for group, words in (("unseen", "unseen participants"), ("tail", "tail classes"))
    for part in _PARTS
)


class Epic55Protocol(ClassificationProtocol):
    """Accuracy of verb, noun and action; many-shot precision and recall where the label folder has the official lists.

    Args:
        folder: Of the label files.
        participants: Of each segment.
        **shared: See `ClassificationProtocol`.
    """

    groups = _MANY_SHOT

    def __init__(self, folder: str, participants: Sequence[str] = (), **shared: Any) -> None:
        super().__init__(**shared)
        self.folder = folder
        self.participants = participants

    @classmethod
    def declared(cls, cfg: Cfg) -> tuple[Metric, ...]:
        """See `Protocol.declared`: action top-1 first; those of groups need the official lists."""
        if set(derived.head_classes(cfg)) != {"verb", "noun"}:
            return super().declared(cfg)
        return _TOP + cls.groups

    @classmethod
    def options(cls, cfg: Cfg, dataset: ClipDataset) -> dict[str, Any]:
        """See `Protocol.options`."""
        return {
            **super().options(cfg, dataset),
            "folder": cfg.DATA.PATH_TO_DATA_DIR,
            "participants": dataset.listing.records.groups,
        }

    def compute(self, scores: ClassScores, labels: NDArray[Any]) -> dict[str, float]:
        """See `Protocol.compute`."""
        if set(scores.heads) != {"verb", "noun"} or (labels < 0).any():
            return super().compute(scores, labels)
        truth = scores.labels_by_head(labels)
        values = epic.accuracy(scores.heads["verb"], scores.heads["noun"], truth["verb"], truth["noun"])
        return {"action_top1": values.pop("action_top1"), **values, **self.of_groups(scores, labels)}

    def of_groups(self, scores: ClassScores, labels: NDArray[Any]) -> dict[str, float]:
        """Metrics of groups of segments or classes; {} without the lists that say which they are."""
        if not files.has_many_shot(self.folder):
            return {}
        heads, truth = scores.heads, scores.labels_by_head(labels)
        lists = files.read_many_shot(self.folder)
        values = epic.many_shot(heads["verb"], heads["noun"], truth["verb"], truth["noun"], *lists)
        return {f"many_shot_{name}": value for name, value in values.items()}

    def write(self, result: Evaluation[ClassScores], folder: str, names: ClassNames) -> None:
        """See `Protocol.write`: scores, and the submission file where verb and noun are both scored."""
        super().write(result, folder, names)
        heads = result.scores.heads
        if set(heads) == {"verb", "noun"}:
            logger.info("wrote %s", self.write_submission(heads["verb"], heads["noun"], folder))

    def write_submission(self, verbs: NDArray[np.float32], nouns: NDArray[np.float32], folder: str) -> str:
        """Write a submission of scores [N, V] and [N, M] in the challenge's format; returns the path."""
        path = os.path.join(folder, "submission.json")
        with replacing(path) as part, open(part, "w", encoding="utf-8") as f:
            f.write(_compact(epic.submission_55(self.segments, verbs, nouns)))
        return path


class Epic100Protocol(Epic55Protocol):
    """Accuracy of verb, noun and action; of unseen participants and tail classes where the official lists are there.

    Args:
        levels: Supervision levels of the submission: of pre-training, of the labels, of the training data.
        **shared: See `Epic55Protocol`.
    """

    groups = _GROUPS_100

    def __init__(self, levels: tuple[int, int, int], **shared: Any) -> None:
        super().__init__(**shared)
        self.levels = levels

    @classmethod
    def options(cls, cfg: Cfg, dataset: ClipDataset) -> dict[str, Any]:
        """See `Protocol.options`."""
        return {**super().options(cfg, dataset), "levels": derived.supervision_levels(cfg)}

    def of_groups(self, scores: ClassScores, labels: NDArray[Any]) -> dict[str, float]:
        """See `Epic55Protocol.of_groups`."""
        if not files.has_groups_100(self.folder):
            return {}
        unseen, tail_verbs, tail_nouns = files.read_groups_100(self.folder)
        rows = np.isin(list(self.participants), unseen)
        heads, truth = scores.heads, scores.labels_by_head(labels)
        values = epic.challenge_100(
            heads["verb"], heads["noun"], truth["verb"], truth["noun"], rows, tail_verbs, tail_nouns
        )
        return {name: value for name, value in values.items() if not name.startswith("all_")}

    def write_submission(self, verbs: NDArray[np.float32], nouns: NDArray[np.float32], folder: str) -> str:
        """See `Epic55Protocol.write_submission`: a zip with test.json."""
        path = os.path.join(folder, "submission.zip")
        content = epic.submission_100(self.segments, verbs, nouns, self.levels)
        with replacing(path) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as f:
            f.writestr("test.json", _compact(content))
        return path


def _compact(content: Mapping[str, Any]) -> str:
    """JSON without spaces."""
    text: str = simplejson.dumps(content, separators=(",", ":"))
    return text
