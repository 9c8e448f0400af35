"""What the variants share: jobs, files, and scenes with several objects and audio segments."""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..media import write_video
from ..utils.files import replacing
from .render import FloatArray, FPS, frame_times, SAMPLE_RATE, SIZE

Label = TypeVar("Label")


@dataclass(frozen=True)
class Job:
    """A video to render: its number within its split, from 0."""

    split: str
    number: int


@dataclass(frozen=True)
class Labels(Generic[Label]):
    """The labels of a video."""

    job: Job
    labels: list[Label]


@dataclass(frozen=True, eq=False)
class LabelledVideo(Generic[Label]):
    """A rendered video.

    Attributes:
        frames: RGB, uint8 [T, H, W, 3].
        audio: float32 [N] in [-1, 1].
        labels: What is in it.
    """

    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    labels: list[Label]


class Layout(ABC, Generic[Label]):
    """A variant of SynthAV: how its videos are rendered and which label files it has."""

    def jobs(self, counts: dict[str, int]) -> list[Job]:
        """The videos of each split, in order.

        Args:
            counts: {split: number of videos}.
        """
        return [Job(split, number) for split, count in counts.items() for number in range(count)]

    @abstractmethod
    def path(self, job: Job) -> str:
        """The video's path below the data set's folder."""

    @abstractmethod
    def render(self, seed: int, job: Job) -> LabelledVideo[Label]:
        """The video; the same whenever it is asked for."""

    @abstractmethod
    def write_labels(self, folder: str, seed: int, videos: Sequence[Labels[Label]]) -> int:
        """Write the label files.

        Args:
            folder: The data set's folder.
            seed: Seed of every draw.
            videos: The labels of every video, in order of `jobs`.

        Returns:
            Number of labels.
        """

    def write(self, folder: str, seed: int, job: Job) -> tuple[bool, Labels[Label]]:
        """Write a video, whole or not at all, unless it exists.

        Args:
            folder: The data set's folder.
            seed: Seed of every draw.
            job: The video.

        Returns:
            (whether it was written, its labels).
        """
        video = self.render(seed, job)
        # One key frame per second, as prepared videos have, so that segments in the middle are quick to read.
        written = write_once(os.path.join(folder, self.path(job)), video.frames, video.audio, gop=FPS)
        return written, Labels(job, video.labels)


def write_once(path: str, frames: NDArray[np.uint8], audio: NDArray[np.float32], gop: int | None = None) -> bool:
    """Write a video at SynthAV's rates, whole or not at all; gives False, and does nothing, where the file exists."""
    if os.path.exists(path):
        return False
    with replacing(path) as part:
        write_video(part, frames, FPS, audio, SAMPLE_RATE, gop=gop)
    return True


@dataclass(frozen=True, eq=False)
class SceneObject:
    """A round object of a scene.

    Attributes:
        start: Second at which it appears.
        stop: Second at which it disappears.
        x: [T], its centre from the left, as a share of the frame's height.
        y: [T], its centre from the top, as a share of the frame's height.
        radius: [T], as a share of the frame's height.
        colour: [3], R, G, B in [0, 1].
    """

    start: float
    stop: float
    x: FloatArray
    y: FloatArray
    radius: FloatArray
    colour: FloatArray


@dataclass(frozen=True, eq=False)
class AudioSegment:
    """Audio of a scene, from `start` to `stop` (seconds); the waveform [N] is cut to that length."""

    start: float
    stop: float
    waveform: FloatArray


def mix_segments(rng: np.random.Generator, segments: Sequence[AudioSegment], seconds: float) -> NDArray[np.float32]:
    """The audio of a scene, over a little noise: float32 [N].

    Args:
        rng: Source of loudness and noise.
        segments: The audible events.
        seconds: Length of the scene.
    """
    n = int(SAMPLE_RATE * seconds)
    out = 10 ** rng.uniform(-3.2, -2.6) * rng.standard_normal(n)
    for segment in segments:
        first, last = int(segment.start * SAMPLE_RATE), min(int(segment.stop * SAMPLE_RATE), n)
        wave = segment.waveform[: last - first]
        fade = np.clip(np.minimum(np.arange(len(wave)), np.arange(len(wave))[::-1]) / 400, 0, 1)
        out[first : first + len(wave)] += 10 ** rng.uniform(-0.9, -0.5) * fade * wave / max(np.abs(wave).max(), 1e-9)
    return np.clip(out, -1, 1).astype(np.float32)


def draw_scene(rng: np.random.Generator, objects: Sequence[SceneObject], seconds: float) -> NDArray[np.uint8]:
    """The frames of a scene, uint8 [T, H, W, 3].

    Args:
        rng: Source of background and grain.
        objects: The visible objects; later ones cover earlier ones.
        seconds: Length of the scene.
    """
    h, w = SIZE
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    times = frame_times(seconds)
    ground = rng.uniform(0.0, 0.35, (2, 3))
    ramp = np.clip(0.5 + rng.uniform(-1, 1) * (xx / w - 0.5) + rng.uniform(-1, 1) * (yy / h - 0.5), 0, 1)[..., None]
    background = (255 * (ground[0] * ramp + ground[1] * (1 - ramp))).astype(np.float32)
    grain = np.float32(255 * rng.uniform(0.005, 0.02))
    frames = np.empty((len(times), h, w, 3), np.uint8)
    for i, now in enumerate(times):
        frame: NDArray[Any] = background
        for thing in objects:
            if thing.start <= now < thing.stop:
                distance = np.hypot(xx - np.float32(thing.x[i] * h), yy - np.float32(thing.y[i] * h))
                alpha = np.clip(np.float32(thing.radius[i] * h + 0.5) - distance, 0, 1)[..., None]
                frame = frame * (1 - alpha) + (255 * np.asarray(thing.colour, np.float32)) * alpha
        frames[i] = np.clip(frame + grain * rng.standard_normal((h, w, 1), dtype=np.float32), 0, 255)
    return frames
