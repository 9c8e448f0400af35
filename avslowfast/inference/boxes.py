"""Detection networks on a video: what happens in given boxes."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..clips.transforms import move_boxes
from ..config.derived import task_facts
from ..datasets.tables import hint, is_box, number, shown, split_rows
from ..utils.arguments import whole
from ..utils.batches import numbered_boxes
from ..utils.errors import UserError
from .load import meta_of
from .scoring import evaluating, network_inputs

_COLUMNS = "seconds,x1,y1,x2,y2"


class BoxesError(UserError, ValueError):
    """A file of boxes that cannot be used, or a network that does not classify boxes; the message says why."""


class BoxPrediction(NamedTuple):
    """The boxes of one instant with their scores.

    Attributes:
        seconds: The instant, from the beginning of the video.
        boxes: float32 [K, 4], (x1, y1, x2, y2) as shares of the frame's width and height.
        scores: float32 [K, classes], 0..1.
    """

    seconds: float
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]


def read_boxes(path: str | os.PathLike[str]) -> dict[float, NDArray[np.float32]]:
    """Boxes of a CSV with rows seconds,x1,y1,x2,y2 (shares of the frame) and an optional header.

    Args:
        path: The file.

    Returns:
        {seconds: boxes [K, 4]}, in order of time.

    Raises:
        TextError: The file cannot be read as text.
        ConfigError: A field is no finite number, or a time is negative; names the line.
        BoxesError: It has no rows, or a row is not a box; names the line.
    """
    boxes: dict[float, list[list[float]]] = {}
    for row, where in split_rows(path):
        if where.endswith(", line 1") and not any(map(_is_number, row)):
            continue
        seconds, box = _box(row, where)
        boxes.setdefault(seconds, []).append(box)
    if not boxes:
        raise BoxesError(f"{path}: no boxes in it; a row is {_COLUMNS}")
    return {seconds: np.array(rows, np.float32) for seconds, rows in sorted(boxes.items())}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _box(row: list[str], where: str) -> tuple[float, list[float]]:
    """(seconds, [x1, y1, x2, y2]) of a row of the CSV."""
    if len(row) < 5:
        raise BoxesError(f"{where}: not {_COLUMNS} but {shown(','.join(row))}{hint(row[0], where)}")
    names = _COLUMNS.split(",")
    seconds = number(row[0], where, names[0], 0.0)
    box = [number(text, where, name) for text, name in zip(row[1:5], names[1:])]
    if not is_box(box):
        raise BoxesError(f"{where}: {box} is no box in shares of the frame, 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1")
    return seconds, box


@torch.no_grad()
def classify_boxes(
    model: nn.Module, video: str | os.PathLike[str], boxes: Mapping[float, NDArray[np.float32]], batch: int = 8
) -> list[BoxPrediction]:
    """Classify boxes of a video, from clips (frames and audio) that are centred on their instants.

    Args:
        model: A detection network from `avslowfast.load_model`.
        video: The file.
        boxes: From `read_boxes`.
        batch: Instants in one forward pass; no more clips are in memory at a time.

    Returns:
        A `BoxPrediction` per instant.

    Raises:
        ArgumentError: A number that makes no sense.
        BoxesError: The network does not classify boxes.
        DecodeError: The file cannot be read.
    """
    meta = meta_of(model)
    if not task_facts(meta.cfg).boxes:
        raise BoxesError("the network classifies clips, not boxes; use avslowfast.predict")
    clip_reader, predictions = meta.clip_reader, []
    instants, batch = list(boxes.items()), whole("batch", batch)
    with clip_reader.open(video) as media, evaluating(model):
        for first in range(0, len(instants), batch):
            part = instants[first : first + batch]
            clips = [clip_reader.clip_around(media, seconds) for seconds, _ in part]
            moved = [move_boxes(shares, clip.geometry)[0] for (_, shares), clip in zip(part, clips)]
            rows = numbered_boxes([torch.from_numpy(of_clip) for of_clip in moved])
            tensors = {name: torch.stack([clip.tensors[name] for clip in clips]) for name in clips[0].tensors}
            inputs = network_inputs(model, {**tensors, "boxes": rows})
            scores = model(inputs, boxes=inputs.pop("boxes"))["scores"].float().cpu()
            predictions += [
                BoxPrediction(seconds, shares, of_clip.numpy())
                for (seconds, shares), of_clip in zip(part, scores.split([len(of_clip) for of_clip in moved]))
            ]
    return predictions
