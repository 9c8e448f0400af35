"""Detection models on a video: what people in given boxes do."""

import csv
import dataclasses
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ..clips import spans as clips
from ..clips import transforms
from ..datasets.base import Record, VideoDataset
from ..loading.build import clip_settings
from ..media import VideoReader
from ..utils.errors import UserError


class BoxesError(UserError, ValueError):
    """A file of boxes that cannot be used; the message says which line and why."""


class KeyFrame(NamedTuple):
    """Boxes at an instant: seconds, [K, 4] as shares of the picture, scores [K, classes]."""

    seconds: float
    boxes: np.ndarray
    scores: np.ndarray


def read_boxes(path):
    """{seconds: [K, 4]} of a CSV with rows seconds,x1,y1,x2,y2 (shares of the picture); a header is passed over.

    Raises:
        BoxesError: no such file, no rows, or a row that is none; names the line.
    """
    found = {}
    try:
        with open(path, newline="", encoding="utf-8") as f:
            for number, row in enumerate(csv.reader(f), 1):
                if not row or (number == 1 and not row[0].replace(".", "").isdigit()):
                    continue
                try:
                    seconds, *box = (float(value) for value in row[:5])
                except ValueError:
                    raise BoxesError(f"{path}, line {number}: not seconds,x1,y1,x2,y2 but {','.join(row)!r}") from None
                if len(box) != 4 or not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
                    raise BoxesError(
                        f"{path}, line {number}: {box} is no box in shares of the picture, 0 <= x1 < x2 <= 1 and 0 <= y1 < y2 <= 1"
                    )
                found.setdefault(seconds, []).append(box)
    except OSError as error:
        raise BoxesError(f"{path}: cannot be read ({error.strerror})") from None
    if not found:
        raise BoxesError(f"{path}: no boxes in it; a row is seconds,x1,y1,x2,y2")
    return {seconds: np.array(boxes, np.float32) for seconds, boxes in sorted(found.items())}


@torch.no_grad()
def classify_boxes(model, video, boxes):
    """What is done in boxes of a video: a list of `KeyFrame`s; clips are centred on their instants, their sound too.

    Args:
        model: a detection network from `avslowfast.load_model`. boxes: of `read_boxes`.
    """
    settings = dataclasses.replace(clip_settings(model.meta.cfg), num_crops=1)
    dataset, device, found = VideoDataset([Record(str(video), 0)], settings, "val"), next(model.parameters()).device, []
    with VideoReader(video) as reader:
        for seconds, shares in boxes.items():
            start = reader.video.start + seconds - settings.duration / 2
            plan = transforms.Recorded(transforms.only_scale(settings.test_crop))
            times = clips.frame_times(start, settings.num_frames, settings.sampling_rate, settings.target_fps)
            inputs = dataset._pictures(transforms.to_tensor(reader.read_frames(times, plan).pixels, bgr=settings.bgr))
            if settings.audio:
                inputs.update(dataset._sound(reader, start))
            moved, _ = transforms.move_boxes(shares, plan.geometry, False)
            numbered = torch.cat([torch.zeros(len(moved), 1), torch.from_numpy(moved)], dim=1)
            scores = model({name: value[None].to(device) for name, value in inputs.items()}, boxes=numbered.to(device))[
                "scores"
            ]
            found.append(KeyFrame(seconds, shares, scores.cpu().numpy()))
    return found


class BoxPainter:
    """Paints boxes and what is done in them onto pictures; see `transcode`'s painter. A key frame speaks for the time around it, up to half a second."""

    REACH = 0.5

    def __init__(self, frames, meta, topk=3, threshold=0.3):
        self.frames, self.meta, self.topk, self.threshold = frames, meta, topk, threshold
        self.times = np.array([frame.seconds for frame in frames])
        self.font = ImageFont.load_default(12)

    def size(self, height, width):
        """The same size."""
        return height, width

    def paint(self, pixels, seconds):
        """The picture with the boxes of the nearest key frame."""
        index = int(np.argmin(np.abs(self.times - seconds)))
        if abs(self.times[index] - seconds) > self.REACH:
            return pixels
        image = Image.fromarray(pixels)
        draw = ImageDraw.Draw(image)
        h, w = pixels.shape[:2]
        for box, scores in zip(self.frames[index].boxes, self.frames[index].scores):
            x1, y1, x2, y2 = box * (w, h, w, h)
            draw.rectangle((x1, y1, x2, y2), outline=(86, 180, 233), width=2)
            for row, i in enumerate([i for i in np.argsort(-scores)[: self.topk] if scores[i] >= self.threshold]):
                text = f"{100 * scores[i]:.0f} {self.meta.class_name(int(i))}"
                draw.text(
                    (x1 + 3, y1 + 2 + 14 * row),
                    text,
                    fill=(255, 255, 255),
                    font=self.font,
                    stroke_width=2,
                    stroke_fill=(0, 0, 0),
                )
        return np.asarray(image)
