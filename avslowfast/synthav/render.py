"""SynthAV: rendered videos whose class is a pair (kind of motion, kind of audio).

Visual alone and audio alone each determine one half of the pair, so with M motions and A kinds of audio the best
accuracy that a visual model can reach is 1/A and that of an audio model 1/M; only both together can solve it. Every
clip has a different colour, size, place, speed, background, pitch, loudness and noise, drawn from (seed, split,
number), so no two splits share a draw.

Variants that are made of clips:

- "pairs": 16 classes, as above.
- "hard": 8 classes, 4 motions x 2 kinds of audio. One clip in five carries the audio of the other class, over loud
  noise, so that audio helps, but memorising the audio of training clips misleads. Loudness follows the motion.
- "bounces": impacts with a click at the same instants, for synchronisation.

Suffixes of array names: T frames, N audio samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..utils.seeding import generator

FloatArray = NDArray[np.floating[Any]]

MOTIONS = ("slide", "bob", "pulse", "blink")
AUDIO_KINDS = ("tone", "beeps", "sweep", "hiss")
HARD_AUDIO_KINDS = ("tone", "beeps")
# Share of the clips of "hard" with the audio of the other class; a model of both modalities reaches 1 minus this.
WRONG_AUDIO_SHARE = 0.2
FPS = 15
SECONDS = 3.0
# Long enough to shift the audio by a second either way around a clip.
BOUNCE_SECONDS = 6.0
# (height, width) of the frames.
SIZE = (96, 128)
SAMPLE_RATE = 22050


@dataclass(frozen=True)
class Tempo:
    """How fast a ball bounces: shortest and longest time from one impact to the next, seconds."""

    name: str
    shortest: float
    longest: float


@dataclass(frozen=True)
class Material:
    """A ball: its shape (see `draw_frames`), the pitch range of its click in Hz, and the click's decay in seconds."""

    name: str
    shape: int
    lowest_pitch: float
    highest_pitch: float
    decay: float


TEMPOS = (Tempo("calm", 0.55, 0.85), Tempo("brisk", 0.25, 0.42))
MATERIALS = (
    Material("wood", 0, 350, 600, 0.010),
    Material("metal", 1, 1200, 2000, 0.030),
    Material("glass", 2, 3500, 5500, 0.016),
)


@dataclass(frozen=True, eq=False)
class Clip:
    """A rendered clip.

    Attributes:
        frames: RGB, uint8 [T, H, W, 3].
        audio: float32 [N] in [-1, 1].
        label: Class id.
        centres: float [T, 2], (x, y) of the moving object in pixels.
        events: Times of the impacts in seconds ("bounces" alone).
    """

    frames: NDArray[np.uint8]
    audio: NDArray[np.float32]
    label: int
    centres: FloatArray
    events: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class Motion:
    """The motion of an object over time.

    Attributes:
        x: [T], its centre from the left, as a share of the frame's height.
        y: [T], its centre from the top, as a share of the frame's height.
        radius: [T], as a share of the frame's height.
        phase: [T], phase of the motion in radians.
    """

    x: FloatArray
    y: FloatArray
    radius: FloatArray
    phase: FloatArray


def class_names(variant: str) -> list[str]:
    """Names of the classes of a variant, in order of their ids."""
    if variant == "bounces":
        return [f"{tempo.name} {material.name}" for tempo in TEMPOS for material in MATERIALS]
    kinds = HARD_AUDIO_KINDS if variant == "hard" else AUDIO_KINDS
    return [f"{motion}+{kind}" for motion in MOTIONS for kind in kinds]


def render_clip(variant: str, seed: int, split: str, number: int) -> Clip:
    """The clip with this number of a split; the same whenever it is asked for.

    Args:
        variant: pairs | hard | bounces.
        seed: Seed of every draw.
        split: train | val | test, or any other name.
        number: From 0; the class is number modulo the number of classes.
    """
    rng = generator(seed, f"{variant}/{split}", number)
    label = number % len(class_names(variant))
    if variant == "bounces":
        return _render_bounces(rng, label)
    if variant == "hard":
        return _render_hard(rng, label)
    motion, kind = MOTIONS[label // len(AUDIO_KINDS)], AUDIO_KINDS[label % len(AUDIO_KINDS)]
    frames, centres = draw_frames(rng, draw_motion(rng, motion, frame_times(SECONDS)))
    return Clip(frames, _mix(rng, draw_audio(rng, kind)), label, centres)


def frame_times(seconds: float) -> FloatArray:
    """Presentation times of the frames of a video of this length, [T]."""
    return np.arange(int(FPS * seconds)) / FPS


def draw_motion(rng: np.random.Generator, kind: str, times: FloatArray) -> Motion:
    """Draw a motion.

    Args:
        rng: Source of the draws.
        kind: One of `MOTIONS`.
        times: [T] seconds.
    """
    speed = rng.uniform(0.7, 1.2)
    phase = 2 * np.pi * (speed * times + rng.random())
    radius: FloatArray = np.full_like(times, rng.uniform(0.15, 0.22))
    x: FloatArray = np.full_like(times, rng.uniform(0.50, 0.83))
    y: FloatArray = np.full_like(times, rng.uniform(0.40, 0.60))
    reach = rng.uniform(0.18, 0.28)
    if kind == "slide":
        x = x + reach * np.sin(phase)
    elif kind == "bob":
        y = y + reach * np.sin(phase)
    elif kind == "pulse":
        radius = radius * (1 + 0.6 * np.sin(phase))
    else:
        radius = np.where(np.sin(phase) > 0, radius, 0.0)
    return Motion(x, y, radius, phase)


def draw_frames(
    rng: np.random.Generator, motion: Motion, shape: int | None = None
) -> tuple[NDArray[np.uint8], FloatArray]:
    """Paint a soft-edged object over a still, grainy background.

    Args:
        rng: Source of the draws.
        motion: Where the object is.
        shape: 0 round, 1 square, 2 diamond; None draws one.

    Returns:
        (frames uint8 [T, H, W, 3], centres [T, 2] of the object in pixels).
    """
    h, w = SIZE
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    # A bright object over a darker background, each of any hue.
    colours = rng.uniform([[0.6], [0.0], [0.0]], [[1.0], [0.4], [0.4]], (3, 3)).astype(np.float32)
    slope = rng.uniform(-1, 1, 2)
    ramp = np.clip(0.5 + slope[0] * (xx / w - 0.5) + slope[1] * (yy / h - 0.5), 0, 1)[..., None]
    background = colours[1] * ramp + colours[2] * (1 - ramp)
    for _ in range(int(rng.integers(0, 3))):
        cx, cy, r = rng.uniform(0, w), rng.uniform(0, h), rng.uniform(3, 9)
        background = np.where((np.hypot(xx - cx, yy - cy) < r)[..., None], rng.uniform(0, 0.5, 3), background)
    # Drawn whether used or not, so that later draws do not depend on it.
    drawn_shape = int(rng.integers(0, 3))
    shape = drawn_shape if shape is None else shape
    grain = np.float32(255 * rng.uniform(0.005, 0.03))
    background = (255 * background).astype(np.float32)
    contrast = (255 * colours[0]).astype(np.float32) - background
    x, y = motion.x, motion.y
    frames = np.empty((len(x), h, w, 3), np.uint8)
    for i, (cx, cy, r) in enumerate(zip(x * h, y * h, motion.radius * h)):
        dx, dy = np.abs(xx - np.float32(cx)), np.abs(yy - np.float32(cy))
        distance = np.hypot(dx, dy) if shape == 0 else np.maximum(dx, dy) if shape == 1 else dx + dy
        alpha = np.clip(np.float32(r + 0.5) - distance, 0, 1)[..., None]
        frame = background + contrast * alpha + grain * rng.standard_normal((h, w, 1), dtype=np.float32)
        frames[i] = np.clip(frame, 0, 255, out=frame)
    return frames, np.stack([x, y], axis=1) * h


def draw_audio(rng: np.random.Generator, kind: str) -> FloatArray:
    """Draw a waveform of `SECONDS` and of about unit size, [N].

    Args:
        rng: Source of the draws.
        kind: One of `AUDIO_KINDS`.
    """
    n = int(SAMPLE_RATE * SECONDS)
    t = np.arange(n) / SAMPLE_RATE
    pitch = 2 ** rng.uniform(np.log2(250), np.log2(1400))
    if kind == "tone":
        return _harmonics(rng, 2 * np.pi * pitch * t)
    if kind == "beeps":
        beat = (rng.uniform(3.0, 5.5) * t + rng.random()) % 1.0
        return _harmonics(rng, 2 * np.pi * pitch * t) * _smooth_gate(beat < 0.45)
    if kind == "sweep":
        saw = (rng.uniform(1.2, 2.2) * t + rng.random()) % 1.0
        return _harmonics(rng, 2 * np.pi * np.cumsum(pitch * 2 ** (1.6 * saw - 0.8)) / SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    freq = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    spectrum *= np.exp(-((np.log2(np.maximum(freq, 1) / (2.5 * pitch)) / 0.9) ** 2))
    noise = np.fft.irfft(spectrum, n)
    return noise / (np.abs(noise).max() + 1e-9)


def _render_hard(rng: np.random.Generator, label: int) -> Clip:
    """A clip of "hard"."""
    motion, right = divmod(label, len(HARD_AUDIO_KINDS))
    kind = HARD_AUDIO_KINDS[1 - right if rng.random() < WRONG_AUDIO_SHARE else right]
    times = frame_times(SECONDS)
    moves = draw_motion(rng, MOTIONS[motion], times)
    frames, centres = draw_frames(rng, moves)
    # Loudness follows the motion, so that there is something to synchronise. All motions share the curve, so that it
    # does not reveal the class.
    loudness = 0.6 + 0.4 * np.sin(np.interp(np.arange(int(SAMPLE_RATE * SECONDS)) / SAMPLE_RATE, times, moves.phase))
    return Clip(frames, _mix(rng, loudness * draw_audio(rng, kind), noise_range=(-1.8, -1.2)), label, centres)


def _harmonics(rng: np.random.Generator, phase: FloatArray) -> FloatArray:
    """A tone and three overtones of random loudness, from the phase of the tone in radians."""
    weights = rng.uniform(0, 1, 3) * (0.5, 0.3, 0.2)
    overtones: FloatArray = sum((w * np.sin((k + 2) * phase) for k, w in enumerate(weights)), np.zeros(1))
    return np.sin(phase) + overtones


def _smooth_gate(on: NDArray[np.bool_], milliseconds: float = 8) -> FloatArray:
    """A gate [N] of 0 and 1 with soft edges."""
    width = int(SAMPLE_RATE * milliseconds / 1000)
    return np.convolve(on.astype(float), np.ones(width) / width, mode="same")


def _mix(
    rng: np.random.Generator, waveform: FloatArray, noise_range: tuple[float, float] = (-3.2, -2.2)
) -> NDArray[np.float32]:
    """Give a waveform a random loudness and background noise.

    Args:
        rng: Source of the draws.
        waveform: [N].
        noise_range: Range of the decimal logarithm of the noise's amplitude.
    """
    loudness = 10 ** rng.uniform(-1.1, -0.4)
    noise = 10 ** rng.uniform(*noise_range) * rng.standard_normal(len(waveform))
    mixed = np.clip(loudness * waveform / max(np.abs(waveform).max(), 1e-9) + noise, -1, 1)
    return mixed.astype(np.float32)


def _render_bounces(rng: np.random.Generator, label: int) -> Clip:
    """A ball that hits the floor, with a click at each impact; the class is the tempo and the material."""
    tempo, material = TEMPOS[label // len(MATERIALS)], MATERIALS[label % len(MATERIALS)]
    events: list[float] = []
    at = rng.uniform(0.1, tempo.shortest)
    while at < BOUNCE_SECONDS - 0.05:
        events.append(at)
        at += rng.uniform(tempo.shortest, tempo.longest)
    times = frame_times(BOUNCE_SECONDS)
    hits = np.array([events[0] - tempo.shortest, *events, events[-1] + tempo.longest])
    k = np.clip(np.searchsorted(hits, times, side="right") - 1, 0, len(hits) - 2)
    share = (times - hits[k]) / (hits[k + 1] - hits[k])
    height = 4 * share * (1 - share) * np.minimum((hits[k + 1] - hits[k]) / 0.6, 1.0)
    y = 0.80 - 0.55 * height
    x = np.full_like(times, rng.uniform(0.35, 0.95))
    radius = np.full_like(times, rng.uniform(0.13, 0.19))
    frames, centres = draw_frames(rng, Motion(x, y, radius, np.zeros_like(times)), material.shape)
    return Clip(frames, _mix(rng, _clicks(rng, material, events)), label, centres, tuple(events))


def _clicks(rng: np.random.Generator, material: Material, events: Sequence[float]) -> FloatArray:
    """A waveform [N] of `BOUNCE_SECONDS` with a click at each event."""
    n = int(SAMPLE_RATE * BOUNCE_SECONDS)
    waveform = np.zeros(n)
    pitch = rng.uniform(material.lowest_pitch, material.highest_pitch)
    tail = np.arange(int(6 * material.decay * SAMPLE_RATE)) / SAMPLE_RATE
    click = np.exp(-tail / material.decay) * (np.sin(2 * np.pi * pitch * tail) + 0.3 * rng.standard_normal(len(tail)))
    for event in events:
        first = int(event * SAMPLE_RATE)
        part = click[: n - first]
        waveform[first : first + len(part)] += part
    return waveform
