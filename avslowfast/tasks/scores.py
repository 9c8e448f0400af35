"""Scores of clips and videos as typed classes: views are joined, videos stacked, files written and read.

Inside the package scores are numpy arrays with the name of their head: {head: array}. The only classifier of a network
is called "". A batch has one row per clip. Joined and stacked scores have one row per video, in the data set's order;
the row of a video that could not be read is NaN.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from ..checkpoint import read_checkpoint
from ..datasets.base import ClassNames
from ..utils.errors import UserError
from ..utils.files import replacing
from ..utils.text import write_csv

# Name of the only head of a network that has one.
ONLY = ""
# How the scores of a video's views become one: their mean ("sum", PySlowFast's name), their maximum, or not at all.
ENSEMBLES = ("sum", "max", "none")

FloatArray = NDArray[np.float32]
S = TypeVar("S", bound="Scores")
H = TypeVar("H", bound="HeadScores")
T = TypeVar("T")


class ScoresFileError(UserError, ValueError):
    """A file that holds no scores of a test."""


def by_head(value: T | Mapping[str, T]) -> dict[str, T]:
    """What a network gives at its public edge, {head: value}: a network with one head gives the bare value."""
    return dict(value) if isinstance(value, Mapping) else {ONLY: value}


def unwrapped(heads: Mapping[str, T]) -> T | dict[str, T]:
    """What users and files get: the bare value of the only head, or {head: value}. The inverse of `by_head`."""
    return heads[ONLY] if ONLY in heads else dict(heads)


def names_of_head(class_names: ClassNames, head: str) -> list[str] | None:
    """Class names of one head; None without names."""
    return class_names.get(head) if isinstance(class_names, dict) else class_names


class Scores(ABC):
    """What a task gives for the clips of a batch or, joined and stacked, for the videos of a data set."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows: clips, or videos."""

    @classmethod
    @abstractmethod
    def concatenate(cls: type[S], parts: Sequence[S]) -> S:
        """The rows of several forward passes as one object."""

    @abstractmethod
    def of_video(self: S, clips: NDArray[np.bool_], ensemble: str) -> S:
        """One video's scores, as a single row.

        Args:
            clips: [rows] which rows are its views.
            ensemble: How they are joined, one of `ENSEMBLES`.
        """

    @classmethod
    @abstractmethod
    def stack(cls: type[S], videos: Sequence[S | None]) -> S:
        """Videos of one row each as one object; None is a video that could not be read. At least one was read."""

    @property
    @abstractmethod
    def is_finite(self) -> bool:
        """Whether no score is NaN or infinite, beyond those that say that there is nothing to compare."""

    @abstractmethod
    def blank(self: S) -> S:
        """As many scores that say nothing (NaN, or None)."""

    def single_label(self, labels: NDArray[Any]) -> FloatArray | None:
        """Scores [N, K] where one classifier scores videos that have one known label each; else None.

        Args:
            labels: As the data set gives them, [N, ...].
        """
        return None


@dataclass(frozen=True, eq=False)
class HeadScores(Scores):
    """Arrays by head.

    Attributes:
        heads: {head: [rows, ...] float32}, all with the same number of rows.
    """

    heads: dict[str, FloatArray]

    def __len__(self) -> int:
        return len(next(iter(self.heads.values())))

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name or 'scores'} {list(values.shape)}" for name, values in self.heads.items())
        return f"{type(self).__name__}({shapes})"

    @classmethod
    def from_tensors(cls: type[H], value: torch.Tensor | Mapping[str, torch.Tensor]) -> H:
        """From tensors on any device, as a network gives them."""
        return cls({name: tensor.detach().float().cpu().numpy() for name, tensor in by_head(value).items()})

    @classmethod
    def concatenate(cls: type[H], parts: Sequence[H]) -> H:
        """See `Scores.concatenate`."""
        return cls({name: np.concatenate([part.heads[name] for part in parts]) for name in parts[0].heads})

    def of_video(self: H, clips: NDArray[np.bool_], ensemble: str) -> H:
        """See `Scores.of_video`. With "none" a row is [views, ...]."""
        return type(self)({name: _joined(values[clips], ensemble)[None] for name, values in self.heads.items()})

    @classmethod
    def stack(cls: type[H], videos: Sequence[H | None]) -> H:
        """See `Scores.stack`."""
        first = next(video for video in videos if video is not None)
        blank = first.blank().heads
        rows = [blank if video is None else video.heads for video in videos]
        return cls({name: np.concatenate([row[name] for row in rows]) for name in blank})

    @property
    def is_finite(self) -> bool:
        """See `Scores.is_finite`."""
        return all(bool(np.isfinite(values).all()) for values in self.heads.values())

    def blank(self: H) -> H:
        """See `Scores.blank`."""
        return type(self)({name: np.full_like(values, np.nan) for name, values in self.heads.items()})

    @property
    def known(self) -> NDArray[np.bool_]:
        """[rows] whether a row has no NaN in any head: the video could be read."""
        parts = [~np.isnan(values).reshape(len(values), -1).any(axis=1) for values in self.heads.values()]
        return np.logical_and.reduce(parts)

    def rows(self: H, chosen: NDArray[Any]) -> H:
        """Some of the rows, by index or as a mask."""
        return type(self)({name: values[chosen] for name, values in self.heads.items()})


def _joined(views: FloatArray, ensemble: str) -> FloatArray:
    if ensemble == "none":
        return views
    if ensemble not in ENSEMBLES:
        raise ValueError(f"scores of views are joined by one of {', '.join(ENSEMBLES)}, not {ensemble!r}")
    joined: FloatArray = views.max(axis=0) if ensemble == "max" else views.mean(axis=0)
    return joined


class ClassScores(HeadScores):
    """Scores of classes: {head: [rows, classes]}, each 0..1."""

    @property
    def only(self) -> FloatArray:
        """[rows, classes] of the only classifier.

        Raises:
            UserError: There are several.
        """
        if ONLY not in self.heads:
            raise UserError(f"the scores are of several classifiers ({', '.join(self.heads)}), not of one")
        return self.heads[ONLY]

    def labels_by_head(self, labels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """{head: its labels} of labels [N, heads]; with a single classifier all of [N] or [N, K] are its labels."""
        return {name: labels[:, column] if name else labels for column, name in enumerate(self.heads)}

    def single_label(self, labels: NDArray[Any]) -> FloatArray | None:
        """See `Scores.single_label`."""
        return self.heads[ONLY] if ONLY in self.heads and labels.ndim == 1 and not (labels < 0).any() else None

    def to_csv(
        self,
        path: str,
        labels: NDArray[Any],
        paths: Sequence[str],
        class_names: ClassNames = None,
        names: Sequence[str] = (),
    ) -> None:
        """A table per head: path, label, prediction (empty for a failed video), one column per class, name.

        A class that is called like one of the other columns has " (class)" behind its name.

        Args:
            path: Without the ending; the files are `path`.csv, or `path`_HEAD.csv for several classifiers.
            labels: [N], or [N, ...] for several labels per video.
            paths: N files.
            class_names: For the columns; numbers without.
            names: The data set's ids of the N segments; () where there are none, and then no column.
        """
        words = [str(row) if labels.ndim == 1 else " ".join(map(str, row)) for row in labels]
        ends = [[name] for name in names] if names else [[]] * len(paths)
        for head, scores in self.heads.items():
            classes = names_of_head(class_names, head) or [str(k) for k in range(scores.shape[1])]
            header = ["path", "label", "prediction", *_columns(classes), *(["name"] if names else [])]
            rows = (
                [file, label, _prediction(row, classes), *map(_number, row), *end]
                for file, label, row, end in zip(paths, words, scores, ends)
            )
            write_csv(f"{path}{'_' + head if head else ''}.csv", itertools.chain([header], rows))


_TAKEN = ("path", "label", "prediction", "name")


def _columns(classes: Sequence[str]) -> list[str]:
    """Names of the columns of classes, none of which is another column's."""
    columns: list[str] = []
    for name in classes:
        column = name
        while column in _TAKEN or (column != name and column in classes):
            column += " (class)"
        columns.append(column)
    return columns


def _prediction(row: FloatArray, classes: Sequence[str]) -> str:
    return classes[int(np.argmax(row))] if np.isfinite(row).all() else ""


def _number(value: np.float32) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


class Distances(HeadScores):
    """What metrics of pretexts are made of, clip by clip; views are not joined.

    A stage that compares visual and audio features has three arrays. "STAGE": [clips, 2 + S] distances of the visual
    embedding from its audio, from a hard negative and from its audio at S shifts; "STAGE_visual", "STAGE_audio":
    [clips, T, D] embeddings. A pretext that predicts something has one array with its name: [clips, 1], the share of
    right predictions. NaN stands where there is no audio.
    """

    @property
    def is_finite(self) -> bool:
        """See `Scores.is_finite`: what is seen has an embedding, and nothing is infinite."""
        visual = (values for name, values in self.heads.items() if name.endswith("_visual"))
        return all(bool(np.isfinite(values).all()) for values in visual) and not any(
            bool(np.isinf(values).any()) for values in self.heads.values()
        )


class Features(HeadScores):
    """Pooled features: {"visual": [rows, C], "audio": [rows, C]}, the modalities that the network has."""


@dataclass(frozen=True, eq=False)
class BoxScores(Scores):
    """Scores of the classes of boxes.

    Attributes:
        frames: Of each key frame [boxes, classes] float32; None for one that could not be read.
    """

    frames: list[FloatArray | None]

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        boxes = sum(len(frame) for frame in self.frames if frame is not None)
        return f"BoxScores({len(self)} key frames, {boxes} boxes)"

    @property
    def is_finite(self) -> bool:
        """See `Scores.is_finite`."""
        return all(bool(np.isfinite(frame).all()) for frame in self.frames if frame is not None)

    def blank(self) -> "BoxScores":
        """See `Scores.blank`."""
        return BoxScores([None] * len(self.frames))

    @classmethod
    def concatenate(cls, parts: "Sequence[BoxScores]") -> "BoxScores":
        """See `Scores.concatenate`."""
        return cls([frame for part in parts for frame in part.frames])

    def of_video(self, clips: NDArray[np.bool_], ensemble: str) -> "BoxScores":
        """See `Scores.of_video`; a key frame has a single view."""
        return BoxScores([self.frames[int(clips.argmax())]])

    @classmethod
    def stack(cls, videos: "Sequence[BoxScores | None]") -> "BoxScores":
        """See `Scores.stack`."""
        return cls([None if video is None else video.frames[0] for video in videos])


@dataclass(frozen=True, eq=False)
class SavedScores:
    """The content of a scores.pt.

    Attributes:
        scores: Of N videos.
        labels: [N], [N, K] (several labels per video) or [N, heads].
        paths: N files.
        class_names: As they were known when the test ran.
        names: The data set's ids of the N segments; [] where there are none.
    """

    scores: ClassScores
    labels: NDArray[Any]
    paths: list[str] = field(default_factory=list)
    class_names: ClassNames = None
    names: list[str] = field(default_factory=list)

    def save(self, path: str) -> None:
        """Write `path`.pt and `path`.csv.

        `path`.pt holds "scores" (a tensor, or {head: tensor}), "labels", "paths", "names" and "class_names".
        """
        content: dict[str, Any] = {
            "scores": unwrapped({name: torch.from_numpy(values) for name, values in self.scores.heads.items()}),
            "labels": torch.from_numpy(self.labels),
            "paths": self.paths,
            "names": self.names,
            "class_names": self.class_names,
        }
        with replacing(f"{path}.pt") as part:
            torch.save(content, part)
        self.scores.to_csv(path, self.labels, self.paths, self.class_names, self.names)

    @classmethod
    def load(cls, path: str) -> "SavedScores":
        """Read a scores.pt.

        Raises:
            UserError: The file cannot be read, or holds something else.
        """
        content = read_checkpoint(path)
        if not isinstance(content, dict) or not {"scores", "labels"} <= set(content):
            raise ScoresFileError(f"{path}: not a scores.pt that a test has written (no scores and labels in it)")
        try:
            return cls(*_checked(content))
        except ScoresFileError as error:
            raise ScoresFileError(f"{path}: not a scores.pt that a test has written ({error})") from None


def _checked(content: Mapping[str, Any]) -> tuple[ClassScores, NDArray[Any], list[str], ClassNames, list[str]]:
    """The content of a scores.pt in the types that it has to have."""
    heads, labels = by_head(content["scores"]), content["labels"]
    tensors = [*heads.values(), labels]
    if not heads or not all(isinstance(x, torch.Tensor) and x.layout == torch.strided for x in tensors):
        raise ScoresFileError("its scores and labels are no tensors")
    counts = {len(x) if x.dim() else 0 for x in tensors}
    if len(counts) != 1 or any(x.dim() != 2 or not x.shape[1] or x.is_complex() for x in heads.values()):
        raise ScoresFileError(
            f"scores of shape {', '.join(str(list(x.shape)) for x in heads.values())} and labels of shape "
            f"{list(labels.shape)} are not those of the same videos"
        )
    (count,) = counts
    if not count:
        raise ScoresFileError("there are no videos in it")
    if any(x.dtype == torch.bool for x in heads.values()):
        raise ScoresFileError("its scores are true or false, no numbers")
    if labels.is_complex() or (labels.dim() == 1 and labels.dtype == torch.bool):
        raise ScoresFileError(f"its labels are no class ids but {str(labels.dtype).removeprefix('torch.')}")
    # In a type without a sign -1 would be a large number.
    labels = labels.to(torch.float64 if labels.is_floating_point() else torch.int64)
    if labels.dim() == 1 and not labels.is_floating_point():
        classes = min(x.shape[1] for x in heads.values())
        wrong = labels[(labels < -1) | (labels >= classes)]
        if len(wrong):
            raise ScoresFileError(f"the label {int(wrong[0])} is outside 0..{classes - 1}")
    lists = []
    for key in ("paths", "names"):
        value = content.get(key)
        value = [] if value is None else value
        fits = isinstance(value, list | tuple) and len(value) in (0, count)
        if not fits or not all(isinstance(item, str) for item in value):
            raise ScoresFileError(f"its {key} are not one text for each of its {count} videos")
        lists.append(list(value))
    sizes = {head: x.shape[1] for head, x in heads.items()}
    return ClassScores.from_tensors(heads), labels.numpy(), lists[0], _names(content, sizes), lists[1]


def _names(content: Mapping[str, Any], sizes: Mapping[str, int]) -> ClassNames:
    """The class names of a scores.pt, one for each class; None where there are none."""
    value = content.get("class_names")
    if value is None:
        return None
    for head, given in by_head(value).items():
        known = given is None or (isinstance(given, list | tuple) and len(given) == sizes.get(head))
        if not known or not all(isinstance(name, str) for name in given or ()):
            raise ScoresFileError("its class_names are not a name for each class")
    names: ClassNames = value
    return names
