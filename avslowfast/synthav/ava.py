"""SynthAV in the layout of AVA: movies with boxes of people, several actions per box."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..utils.seeding import generator
from .render import draw_audio, draw_motion, FloatArray, FPS, frame_times, SIZE
from .scenes import AudioSegment, draw_scene, Job, LabelledVideo, Labels, Layout, mix_segments, SceneObject

# (action, kind of motion): visible in a person's box.
VISUAL_ACTIONS = (("walk", "slide"), ("jump", "bob"), ("stretch", "pulse"))
# (action, kind of audio): audible only, and then everyone in the frame does them.
AUDIO_ACTIONS = (("talk", "tone"), ("sing", "sweep"), ("clap", "beeps"))
# People change at these seconds. Every fourth second, where AVA is validated while training, is well inside.
CHANGES = (0, 2, 6, 10, 14, 18, 22, 24)
# AVA counts seconds from here.
_FIRST_SECOND = 900


@dataclass(frozen=True, eq=False)
class PersonBox:
    """What a person does at a key frame.

    Attributes:
        second: From the beginning of the movie.
        box: float [4], x1, y1, x2, y2 as shares of the frame.
        class_ids: Of the actions, from 1.
    """

    second: int
    box: FloatArray
    class_ids: tuple[int, int]


def render_movie(seed: int, split: str, number: int) -> LabelledVideo[PersonBox]:
    """A movie of two people whose actions change at the seconds `CHANGES`; the same whenever it is asked for.

    Key frames lie a second or more from a change.

    Args:
        seed: Seed of every draw.
        split: train | val.
        number: Of the movie within its split.
    """
    rng = generator(seed, "ava", split, number)
    seconds = CHANGES[-1]
    times = frame_times(seconds)
    height_share = np.array([SIZE[0] / SIZE[1], 1.0])
    objects, audio, labels = [], [], []
    for start, stop in zip(CHANGES[:-1], CHANGES[1:]):
        audible = int(rng.integers(len(AUDIO_ACTIONS)))
        audio.append(AudioSegment(start, stop, np.tile(draw_audio(rng, AUDIO_ACTIONS[audible][1]), 2)))
        for side in (0.02, 0.66):
            visible = int(rng.integers(len(VISUAL_ACTIONS)))
            motion = draw_motion(rng, VISUAL_ACTIONS[visible][1], times)
            x, y, radius = motion.x * 0.5 + side, motion.y, motion.radius * 0.7
            objects.append(SceneObject(start, stop, x, y, radius, rng.uniform(0.55, 1.0, 3)))
            for second in range(start + 1, stop):
                frame = round(second * FPS)
                centre, half = np.array([x[frame], y[frame]]) * height_share, 1.5 * radius[frame] * height_share
                box = np.clip(np.concatenate([centre - half, centre + half]), 0, 1)
                labels.append(PersonBox(second, box, (1 + visible, 1 + len(VISUAL_ACTIONS) + audible)))
    return LabelledVideo(draw_scene(rng, objects, seconds), mix_segments(rng, audio, seconds), labels)


class AvaMovies(Layout[PersonBox]):
    """AVA's folders and label files, and predicted boxes for validation."""

    def path(self, job: Job) -> str:
        """See `Layout.path`."""
        return os.path.join("videos", f"{_name(job)}.mp4")

    def render(self, seed: int, job: Job) -> LabelledVideo[PersonBox]:
        """See `Layout.render`."""
        return render_movie(seed, job.split, job.number)

    def write_labels(self, folder: str, seed: int, videos: Sequence[Labels[PersonBox]]) -> int:
        """Write the official label files of AVA v2.2, and predicted boxes; see `Layout.write_labels`."""
        boxes = {
            split: [(_name(v.job), box) for v in videos if v.job.split == split for box in v.labels if box.second >= 2]
            for split in ("train", "val")
        }
        for split, rows in boxes.items():
            with open(os.path.join(folder, f"ava_{split}_v2.2.csv"), "w", encoding="utf-8") as f:
                for person, (name, box) in enumerate(rows):
                    f.writelines(f"{_place(name, box, box.box)},{id_},{person}\n" for id_ in box.class_ids)
        _write_predicted_boxes(os.path.join(folder, "ava_val_predicted_boxes.csv"), seed, boxes["val"])
        actions = [name for name, _ in (*VISUAL_ACTIONS, *AUDIO_ACTIONS)]
        names_file = os.path.join(folder, "ava_action_list_v2.2_for_activitynet_2019.pbtxt")
        with open(names_file, "w", encoding="utf-8") as f:
            f.writelines(f'item {{\n  name: "{name}"\n  id: {i}\n}}\n' for i, name in enumerate(actions, 1))
        with open(os.path.join(folder, "ava_val_excluded_timestamps_v2.2.csv"), "w", encoding="utf-8"):
            pass
        return sum(len(rows) for rows in boxes.values())


def _write_predicted_boxes(path: str, seed: int, rows: Sequence[tuple[str, PersonBox]]) -> None:
    """Predicted boxes: each true one, moved a little, with a high score, and one of nobody with a low score."""
    rng = generator(seed, "ava boxes")
    nobody = np.array((0.4, 0.7, 0.6, 0.9))
    with open(path, "w", encoding="utf-8") as f:
        for name, box in rows:
            moved = np.clip(box.box + rng.uniform(-0.01, 0.01, 4), 0, 1)
            f.write(f"{_place(name, box, moved)},,{rng.uniform(0.91, 0.99):.4f}\n")
            f.write(f"{_place(name, box, nobody)},,{rng.uniform(0.1, 0.5):.4f}\n")


def _place(name: str, box: PersonBox, corners: FloatArray) -> str:
    """The columns that say where a box is."""
    return f"{name},{_FIRST_SECOND + box.second:04d},{','.join(f'{v:.3f}' for v in corners)}"


def _name(job: Job) -> str:
    return f"{job.split}{job.number:03d}"
