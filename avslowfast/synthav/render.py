"""SynthAV: rendered videos whose class is a pair (how something moves, how something sounds).

Sight alone and sound alone each tell one half of the pair, so with M motions and S sounds the best accuracy that a visual model can reach
is 1/S and that of an audio model 1/M; only both together can solve it. Every clip has its own colour, size, place, speed, background,
pitch, loudness and noise, drawn from (seed, split, number), so no two splits share a draw.

Variants: "pairs" (16 classes, as above); "hard" (8 classes: 4 motions x 2 sounds, of which one clip in five carries the wrong one, over
loud noise, so that sound helps but learning a training clip's sound by heart misleads; its loudness follows the motion); "bounces" (impacts
with a click at the same instants, for synchronisation).

Files are H.264 + AAC in mp4; lists are written in Kinetics' format, so that the real reader reads them.
"""

import os
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..media import write_video
from ..utils.seeding import generator

MOTIONS = ("slide", "bob", "pulse", "blink")
SOUNDS = ("tone", "beeps", "sweep", "hiss")
# (name, shortest and longest time from one impact to the next, seconds)
TEMPOS = (("calm", 0.55, 0.85), ("brisk", 0.25, 0.42))
# (name, shape of the ball, lowest and highest pitch of its click in Hz, decay of the click in seconds)
MATERIALS = (("wood", 0, 350, 600, 0.010), ("metal", 1, 1200, 2000, 0.030), ("glass", 2, 3500, 5500, 0.016))
HARD_SOUNDS = ("tone", "beeps")
# Share of the clips of "hard" whose sound is the other class's; sight and sound together reach 1 minus this.
WRONG_SOUND = 0.2
FPS = 15
SECONDS = 3.0
# Long enough to shift the sound by a second either way around a clip.
BOUNCE_SECONDS = 6.0
SIZE = (96, 128)
SAMPLE_RATE = 22050


@dataclass(frozen=True)
class Clip:
    """A rendered clip.

    Attributes:
        frames: uint8 [T, H, W, 3]. audio: float32 [N] in [-1, 1].
        label: class id. centres: [T, 2] (x, y) of the moving object in pixels. events: seconds of the impacts (bounces alone).
    """

    frames: np.ndarray
    audio: np.ndarray
    label: int
    centres: np.ndarray
    events: tuple = ()


def class_names(variant):
    """Names of the classes in order of their ids."""
    if variant == "bounces":
        return [f"{tempo[0]} {material[0]}" for tempo in TEMPOS for material in MATERIALS]
    return [f"{motion}+{sound}" for motion in MOTIONS for sound in (HARD_SOUNDS if variant == "hard" else SOUNDS)]


def render_clip(variant, seed, split, number):
    """The clip with this number of a split; the same whenever it is asked for."""
    rng = generator(seed, f"{variant}/{split}", number)
    label = number % len(class_names(variant))
    if variant == "bounces":
        return _render_bounces(rng, label)
    if variant == "hard":
        motion, right = divmod(label, len(HARD_SOUNDS))
        sound = HARD_SOUNDS[1 - right if rng.random() < WRONG_SOUND else right]
        times = _frame_times(SECONDS)
        moves = draw_motion(rng, MOTIONS[motion], times)
        frames, centres = _draw_frames(rng, *moves[:3])
        # Loudness follows the motion, so that there is something to synchronise; all motions share the curve, so that it tells none of them.
        loudness = 0.6 + 0.4 * np.sin(
            np.interp(np.arange(int(SAMPLE_RATE * SECONDS)) / SAMPLE_RATE, times, moves.phase)
        )
        return Clip(frames, _mix(rng, loudness * draw_sound(rng, sound), noise=(-1.8, -1.2)), label, centres)
    motion, sound = MOTIONS[label // len(SOUNDS)], SOUNDS[label % len(SOUNDS)]
    frames, centres = _draw_frames(rng, *draw_motion(rng, motion, _frame_times(SECONDS))[:3])
    return Clip(frames, _mix(rng, draw_sound(rng, sound)), label, centres)


def _frame_times(seconds):
    return np.arange(int(FPS * seconds)) / FPS


class Motion(NamedTuple):
    """Centre (x, y) and radius over time [T], as shares of the picture's height, and the phase of the motion in radians."""

    x: np.ndarray
    y: np.ndarray
    radius: np.ndarray
    phase: np.ndarray


def draw_motion(rng, kind, t):
    """A `Motion` of a kind, at the instants t [T]."""
    speed = rng.uniform(0.7, 1.2)
    phase = 2 * np.pi * (speed * t + rng.random())
    radius = np.full_like(t, rng.uniform(0.15, 0.22))
    x = np.full_like(t, rng.uniform(0.50, 0.83))
    y = np.full_like(t, rng.uniform(0.40, 0.60))
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


def _draw_frames(rng, x, y, radius, shape=None):
    """Paints a soft-edged shape (0 round, 1 square, 2 diamond; None draws one) over a still, grainy background."""
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
    drawn = int(rng.integers(0, 3))
    shape = drawn if shape is None else shape
    grain = np.float32(255 * rng.uniform(0.005, 0.03))
    background = (255 * background).astype(np.float32)
    contrast = (255 * colours[0]).astype(np.float32) - background
    frames = np.empty((len(x), h, w, 3), np.uint8)
    for i, (cx, cy, r) in enumerate(zip(x * h, y * h, radius * h)):
        dx, dy = np.abs(xx - np.float32(cx)), np.abs(yy - np.float32(cy))
        distance = np.hypot(dx, dy) if shape == 0 else np.maximum(dx, dy) if shape == 1 else dx + dy
        alpha = np.clip(np.float32(r + 0.5) - distance, 0, 1)[..., None]
        picture = background + contrast * alpha + grain * rng.standard_normal((h, w, 1), dtype=np.float32)
        frames[i] = np.clip(picture, 0, 255, out=picture)
    return frames, np.stack([x, y], axis=1) * h


def draw_sound(rng, kind):
    """A waveform [N] of about unit size."""
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


def _harmonics(rng, phase):
    weights = rng.uniform(0, 1, 3) * (0.5, 0.3, 0.2)
    return np.sin(phase) + sum(w * np.sin((k + 2) * phase) for k, w in enumerate(weights))


def _smooth_gate(on, milliseconds=8):
    width = int(SAMPLE_RATE * milliseconds / 1000)
    return np.convolve(on.astype(float), np.ones(width) / width, mode="same")


def _mix(rng, sound, noise=(-3.2, -2.2)):
    """Loudness and background noise of its own; `noise` is the range of the latter's decimal logarithm."""
    loudness = 10 ** rng.uniform(-1.1, -0.4)
    noise = 10 ** rng.uniform(*noise) * rng.standard_normal(len(sound))
    return np.clip(loudness * sound / max(np.abs(sound).max(), 1e-9) + noise, -1, 1).astype(np.float32)


def _render_bounces(rng, label):
    """A ball that hits the floor, with a click at each impact; the class is the tempo and the material, which has a shape and a pitch."""
    tempo, material = divmod(label, len(MATERIALS))
    _, lo, hi = TEMPOS[tempo]
    _, shape, low_pitch, high_pitch, decay = MATERIALS[material]
    events, at = [], rng.uniform(0.1, lo)
    while at < BOUNCE_SECONDS - 0.05:
        events.append(at)
        at += rng.uniform(lo, hi)
    t = _frame_times(BOUNCE_SECONDS)
    hits = np.array([events[0] - lo, *events, events[-1] + hi])
    k = np.clip(np.searchsorted(hits, t, side="right") - 1, 0, len(hits) - 2)
    share = (t - hits[k]) / (hits[k + 1] - hits[k])
    height = 4 * share * (1 - share) * np.minimum((hits[k + 1] - hits[k]) / 0.6, 1.0)
    y = 0.80 - 0.55 * height
    x = np.full_like(t, rng.uniform(0.35, 0.95))
    frames, centres = _draw_frames(rng, x, y, np.full_like(t, rng.uniform(0.13, 0.19)), shape)
    n = int(SAMPLE_RATE * BOUNCE_SECONDS)
    sound = np.zeros(n)
    pitch = rng.uniform(low_pitch, high_pitch)
    tail = np.arange(int(6 * decay * SAMPLE_RATE)) / SAMPLE_RATE
    click = np.exp(-tail / decay) * (np.sin(2 * np.pi * pitch * tail) + 0.3 * rng.standard_normal(len(tail)))
    for event in events:
        first = int(event * SAMPLE_RATE)
        piece = click[: n - first]
        sound[first : first + len(piece)] += piece
    return Clip(frames, _mix(rng, sound), label, centres, tuple(events))


def write_clip(job):
    """Render and write one clip, whole or not at all; skip it where the file exists. job: (path, variant, seed, split, number)."""
    path, variant, seed, split, number = job
    if os.path.exists(path):
        return False
    clip = render_clip(variant, seed, split, number)
    part = f"{path}.{os.getpid()}.mp4"
    write_video(part, clip.frames, FPS, clip.audio, SAMPLE_RATE)
    os.replace(part, path)
    return True


def plan_dataset(folder, variant, num_clips, seed):
    """Jobs for `write_clip`, and the lines of each list file.

    Args:
        num_clips: {split: number}.

    Returns:
        (jobs, {split: lines}).
    """
    jobs, lists = [], {}
    classes = len(class_names(variant))
    for split, count in num_clips.items():
        names = [f"{split}/{number:06d}.mp4" for number in range(count)]
        lists[split] = [f"{name} {number % classes}" for number, name in enumerate(names)]
        jobs += [(os.path.join(folder, name), variant, seed, split, number) for number, name in enumerate(names)]
    return jobs, lists
