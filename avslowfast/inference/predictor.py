"""Predictions for video files."""

from typing import NamedTuple

from .load import scores_of


class Prediction(NamedTuple):
    """A class, its id and its score in 0..1."""

    name: str
    index: int
    score: float


def predict(model, video, topk=5, views=None, crops=None):
    """The most likely classes of a video.

    Args:
        model: from `avslowfast.load_model`.
        video: the file. topk: classes to give.
        views, crops: clips over the video's length and crops of each; None takes those of the model's configuration. Their scores are
            joined as in testing.

    Returns:
        `Prediction`s, best first; for a multi-head model a dict of such lists.

    Raises:
        DecodeError: the file cannot be read.
    """
    meta = model.meta
    scores = scores_of(model, meta.preprocess(video, views, crops))

    def best(values, head=""):
        joined = values.amax(dim=0) if meta.cfg.DATA.ENSEMBLE_METHOD == "max" else values.mean(dim=0)
        top = joined.topk(min(topk, len(joined)))
        return [Prediction(meta.class_name(i, head), i, s) for i, s in zip(top.indices.tolist(), top.values.tolist())]

    return {name: best(values, name) for name, values in scores.items()} if isinstance(scores, dict) else best(scores)
