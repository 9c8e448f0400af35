"""SynthAV in the layout of Charades: short scenes with overlapping events, several labels per video."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..utils.seeding import generator
from .render import draw_audio, draw_motion, frame_times
from .scenes import AudioSegment, draw_scene, Job, LabelledVideo, Labels, Layout, mix_segments, SceneObject

# (class name, kind of motion or of audio): four classes are visible only, four are audible only.
VISUAL_CLASSES = (
    ("sliding something", "slide"),
    ("bobbing something", "bob"),
    ("inflating something", "pulse"),
    ("flashing something", "blink"),
)
AUDIO_CLASSES = (
    ("playing a tone", "tone"),
    ("hearing beeps", "beeps"),
    ("hearing a sweep", "sweep"),
    ("hearing a hiss", "hiss"),
)
SCENE_SECONDS = 6.0


@dataclass(frozen=True)
class Event:
    """A class id and its span in seconds."""

    class_id: int
    start: float
    stop: float


def render_scene(seed: int, split: str, number: int) -> LabelledVideo[Event]:
    """A scene with two visible and two audible events, each in a separate span; the same whenever it is asked for.

    Args:
        seed: Seed of every draw.
        split: train | test.
        number: Of the scene within its split.
    """
    rng = generator(seed, "charades", split, number)
    times = frame_times(SCENE_SECONDS)
    objects, audio, labels = [], [], []
    for i, kind in enumerate(rng.choice(len(VISUAL_CLASSES), 2, replace=False)):
        start, stop = _draw_span(rng)
        motion = draw_motion(rng, VISUAL_CLASSES[kind][1], times)
        # One object to the left, one to the right, so that neither hides the other.
        x, radius = motion.x * 0.5 + (0.02, 0.66)[i], motion.radius * 0.7
        objects.append(SceneObject(start, stop, x, motion.y, radius, rng.uniform(0.55, 1.0, 3)))
        labels.append(Event(int(kind), start, stop))
    for kind in rng.choice(len(AUDIO_CLASSES), 2, replace=False):
        start, stop = _draw_span(rng)
        audio.append(AudioSegment(start, stop, np.tile(draw_audio(rng, AUDIO_CLASSES[kind][1]), 2)))
        labels.append(Event(len(VISUAL_CLASSES) + int(kind), start, stop))
    return LabelledVideo(draw_scene(rng, objects, SCENE_SECONDS), mix_segments(rng, audio, SCENE_SECONDS), labels)


def _draw_span(rng: np.random.Generator) -> tuple[float, float]:
    length = rng.uniform(2.5, 4.5)
    start = rng.uniform(0, SCENE_SECONDS - length)
    return start, start + length


class Charades(Layout[Event]):
    """Charades' folders and label files."""

    def path(self, job: Job) -> str:
        """See `Layout.path`."""
        return os.path.join("videos", f"{_name(job)}.mp4")

    def render(self, seed: int, job: Job) -> LabelledVideo[Event]:
        """See `Layout.render`."""
        return render_scene(seed, job.split, job.number)

    def write_labels(self, folder: str, seed: int, videos: Sequence[Labels[Event]]) -> int:
        """Write Charades' official label files; see `Layout.write_labels`."""
        for split in ("train", "test"):
            rows = [_row(video) for video in videos if video.job.split == split]
            pd.DataFrame(rows).to_csv(os.path.join(folder, f"Charades_v1_{split}.csv"), index=False)
        with open(os.path.join(folder, "Charades_v1_classes.txt"), "w", encoding="utf-8") as f:
            f.writelines(f"c{i:03d} {name}\n" for i, (name, _) in enumerate((*VISUAL_CLASSES, *AUDIO_CLASSES)))
        return sum(len(video.labels) for video in videos)


def _name(job: Job) -> str:
    return f"{job.split[:2].upper()}{job.number:03d}"


def _row(video: Labels[Event]) -> dict[str, str]:
    """A row of the label file."""
    actions = ";".join(f"c{event.class_id:03d} {event.start:.2f} {event.stop:.2f}" for event in video.labels)
    return {"id": _name(video.job), "actions": actions, "length": f"{SCENE_SECONDS:.2f}"}
