"""SynthAV in the layout of EPIC-Kitchens-55: long kitchens whose segments have a verb and a noun."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..utils.seeding import generator
from .render import draw_audio, draw_motion, frame_times
from .scenes import AudioSegment, draw_scene, Job, LabelledVideo, Labels, Layout, mix_segments, SceneObject


@dataclass(frozen=True)
class Verb:
    """An action: how the object moves (one of `MOTIONS`), and its audio (one of `AUDIO_KINDS`)."""

    name: str
    motion: str
    audio: str


@dataclass(frozen=True)
class Noun:
    """An object, recognised by its colour (R, G, B) alone: visible, never audible."""

    name: str
    colour: tuple[float, float, float]


# The first two look alike, and so do the next two; tone and beeps each serve two verbs. Visual alone can distinguish
# 4 of 6 halves, 66.7 % at best, and so can audio alone.
VERBS = (
    Verb("wash", "slide", "hiss"),
    Verb("pour", "slide", "sweep"),
    Verb("cut", "bob", "beeps"),
    Verb("chop", "bob", "tone"),
    Verb("open", "pulse", "tone"),
    Verb("close", "blink", "beeps"),
)
NOUNS = (
    Noun("tomato", (0.95, 0.15, 0.1)),
    Noun("cucumber", (0.1, 0.85, 0.2)),
    Noun("plate", (0.2, 0.35, 1.0)),
    Noun("lemon", (0.95, 0.9, 0.1)),
)
# Segments of a kitchen, and the mean time between two of them in seconds.
SEGMENTS = 8
_GAP = 0.4
# (first participant, number of participants) of each split.
_PARTICIPANTS = {"train": (1, 25), "val": (26, 6)}
_COLUMNS = (
    "uid",
    "participant_id",
    "video_id",
    "narration",
    "start_timestamp",
    "stop_timestamp",
    "start_frame",
    "stop_frame",
    "verb",
    "verb_class",
    "noun",
    "noun_class",
    "all_nouns",
    "all_noun_classes",
)


@dataclass(frozen=True)
class Segment:
    """What happens in a span (seconds): ids of the verb and the noun."""

    start: float
    stop: float
    verb: int
    noun: int


def render_kitchen(seed: int, participant: str, number: int, segments: int = SEGMENTS) -> LabelledVideo[Segment]:
    """A kitchen's video; the same whenever it is asked for.

    Args:
        seed: Seed of every draw.
        participant: P01 ...
        number: Of the participant's videos, from 1.
        segments: Number of segments.
    """
    rng = generator(seed, "epic", participant, number)
    spans, at = [], rng.uniform(0.2, 0.8)
    for _ in range(segments):
        length = rng.uniform(1.8, 2.6)
        spans.append((at, at + length))
        at += length + rng.uniform(0.2, 2 * _GAP)
    seconds = at
    times = frame_times(seconds)
    objects, audio, labels = [], [], []
    for start, stop in spans:
        verb, noun = int(rng.integers(len(VERBS))), int(rng.integers(len(NOUNS)))
        motion = draw_motion(rng, VERBS[verb].motion, times)
        colour = np.clip(np.array(NOUNS[noun].colour) + rng.uniform(-0.1, 0.1, 3), 0, 1)
        objects.append(SceneObject(start, stop, motion.x, motion.y, motion.radius, colour))
        audio.append(AudioSegment(start, stop, draw_audio(rng, VERBS[verb].audio)))
        labels.append(Segment(start, stop, verb, noun))
    return LabelledVideo(draw_scene(rng, objects, seconds), mix_segments(rng, audio, seconds), labels)


class Kitchens(Layout[Segment]):
    """EPIC-Kitchens-55's folders and label files; participants 1 to 25 for training, 26 to 31 for validation."""

    def path(self, job: Job) -> str:
        """See `Layout.path`."""
        participant, number = _participant(job)
        return os.path.join("videos", participant, f"{participant}_{number:02d}.MP4")

    def render(self, seed: int, job: Job) -> LabelledVideo[Segment]:
        """See `Layout.render`."""
        return render_kitchen(seed, *_participant(job))

    def write_labels(self, folder: str, seed: int, videos: Sequence[Labels[Segment]]) -> int:
        """Write EPIC-Kitchens-55's official label files; see `Layout.write_labels`."""
        rows = [_row(video.job, segment) for video in videos for segment in video.labels]
        table = pd.DataFrame([[uid, *row] for uid, row in enumerate(rows)], columns=_COLUMNS)
        table.to_csv(os.path.join(folder, "EPIC_train_action_labels.csv"), index=False)
        for head, names in (("verb", [verb.name for verb in VERBS]), ("noun", [noun.name for noun in NOUNS])):
            classes = [[i, name, f"['{name}']"] for i, name in enumerate(names)]
            table = pd.DataFrame(classes, columns=[f"{head}_id", "class_key", f"{head}s"])
            table.to_csv(os.path.join(folder, f"EPIC_{head}_classes.csv"), index=False)
        return len(rows)


def _participant(job: Job) -> tuple[str, int]:
    """(participant, number of the participant's video)."""
    first, count = _PARTICIPANTS[job.split]
    return f"P{first + job.number % count:02d}", 1 + job.number // count


def _row(job: Job, segment: Segment) -> list[object]:
    """A row of the label file, without its id."""
    participant, number = _participant(job)
    verb, noun = VERBS[segment.verb].name, NOUNS[segment.noun].name
    video, narration = f"{participant}_{number:02d}", f"{verb} {noun}"
    span, frames = [_timestamp(segment.start), _timestamp(segment.stop)], [0, 0]
    classes = [verb, segment.verb, noun, segment.noun, f"['{noun}']", f"[{segment.noun}]"]
    return [participant, video, narration, *span, *frames, *classes]


def _timestamp(second: float) -> str:
    return f"{int(second // 3600):02d}:{int(second // 60 % 60):02d}:{second % 60:05.2f}"
