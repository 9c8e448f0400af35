"""Predictions for video files."""

import os
from typing import NamedTuple

import numpy as np
from torch import nn

from ..config.derived import task_facts
from ..tasks.scores import FloatArray, unwrapped
from ..utils.arguments import whole
from ..utils.errors import UserError
from .load import meta_of
from .scoring import score_clips


class PredictionError(UserError, ValueError):
    """A network that does not classify videos; the message says what to use."""


class Prediction(NamedTuple):
    """A class that a network recognises in a video.

    Attributes:
        name: Name of the class, "class N" where the network has no names.
        class_id: Number of the class.
        score: 0..1.
    """

    name: str
    class_id: int
    score: float


def predict(
    model: nn.Module,
    video: str | os.PathLike[str],
    topk: int = 5,
    views: int | None = None,
    crops: int | None = None,
) -> list[Prediction] | dict[str, list[Prediction]]:
    """The most likely classes of a video.

        for name, class_id, score in avslowfast.predict(model, "video.mp4"):
            print(f"{100 * score:.0f} %  {name}")

    Args:
        model: From `avslowfast.load_model`.
        video: The file; one of sound for a network without frames.
        topk: Number of classes.
        views: Clips over the length of the video; None takes TEST.NUM_ENSEMBLE_VIEWS of the network's configuration.
        crops: Crops of each clip; None takes TEST.NUM_SPATIAL_CROPS. The scores of all views are joined as in testing.

    Returns:
        `Prediction`s (name, class_id, score), best first; {classifier: such a list} for a network with several
        classifiers.

    Raises:
        ArgumentError: A number that makes no sense, or something else than a path.
        DecodeError: The file cannot be read.
        NotFiniteError: The scores are NaN or infinite.
        PredictionError: The network classifies boxes.
        NoClassifierError: The network has no classifier.
    """
    meta, topk = meta_of(model), whole("topk", topk)
    if task_facts(meta.cfg).boxes:
        raise PredictionError("the network classifies boxes; use avslowfast.inference.boxes.classify_boxes")
    scores = score_clips(model, meta.preprocess(video, views, crops), source=video)
    joined = scores.of_video(np.ones(len(scores), bool), meta.cfg.DATA.ENSEMBLE_METHOD)

    def best(row: FloatArray, head: str) -> list[Prediction]:
        order = np.argsort(-row, kind="stable")[:topk]
        return [Prediction(meta.class_name(i, head), i, float(row[i])) for i in order.tolist()]

    return unwrapped({head: best(rows[0], head) for head, rows in joined.heads.items()})
