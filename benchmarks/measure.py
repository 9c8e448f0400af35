"""Clocks, memory, and the videos that benchmarks read."""

import gc
import multiprocessing
import os
import statistics
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import torch

from avslowfast.media import write_video
from avslowfast.utils.seeding import generator

# What Kinetics looks like once its short side is 256: 10 s, 454 x 256, 30 frames a second, a key frame about every 8 s, AAC at 44.1 kHz.
FPS, SECONDS, SIZE, GOP, RATE = 30, 10, (256, 454), 250, 44100


def seconds_of(function, repeats=5, warmup=1, synchronize=None):
    """Durations of calls of `function`, in seconds, after some that do not count."""
    times = []
    for i in range(warmup + repeats):
        if synchronize:
            synchronize()
        began = time.perf_counter()
        function()
        if synchronize:
            synchronize()
        if i >= warmup:
            times.append(time.perf_counter() - began)
    return times


def alternately(functions, repeats=5, warmup=1):
    """{name: durations} of several functions that take turns, so that a noisy moment hits all of them."""
    times = {name: [] for name in functions}
    for i in range(warmup + repeats):
        for name, function in functions.items():
            began = time.perf_counter()
            function()
            if i >= warmup:
                times[name].append(time.perf_counter() - began)
    return times


def spread(times):
    """{"median", "min", "max"} of durations."""
    return {"median": statistics.median(times), "min": min(times), "max": max(times)}


def in_own_process(start, function, *args):
    """What a function gives in a process of its own. start: fork | spawn."""
    with ProcessPoolExecutor(1, multiprocessing.get_context(start)) as pool:
        return pool.submit(function, *args).result()


def private_mb():
    """Memory that is this process's own, MB: what a worker costs beside the libraries that it shares with its parent."""
    with open("/proc/self/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_")) / 1024


def make_videos(folder, count=8, seed=0):
    """Render `count` videos like Kinetics' (see above) unless they exist; gives their paths."""
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, f"{number:03d}.mp4") for number in range(count)]
    for number, path in enumerate(paths):
        if not os.path.exists(path):
            rng = generator(seed, "benchmark", number)
            t = np.arange(SECONDS * RATE) / RATE
            sound = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 800) * t) + 0.05 * rng.standard_normal(len(t))
            part = f"{path}.part.mp4"
            write_video(
                part,
                _pictures(rng),
                FPS,
                np.stack([sound, sound]).astype(np.float32),
                RATE,
                gop=GOP,
                layout="stereo",
                preset="medium",
            )
            os.replace(part, path)
    return paths


def _pictures(rng):
    """A textured scene that pans, with things that move through it and a little grain."""
    h, w = SIZE
    scene = np.zeros((h + 200, w + 400, 3), np.float32)
    for cells in (6, 24, 96):
        noise = torch.from_numpy(rng.standard_normal((1, 3, cells, cells)).astype(np.float32))
        grown = torch.nn.functional.interpolate(noise, scene.shape[:2], mode="bicubic")[0].permute(1, 2, 0).numpy()
        scene += grown * 60 * 6**0.5 / cells**0.5
    scene = np.clip(scene + 128, 0, 255)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    balls = rng.uniform(0, 1, (4, 6))
    for i in range(FPS * SECONDS):
        x, y = int(200 + 190 * np.sin(i / 60)), int(100 + 90 * np.sin(i / 45))
        frame = scene[y : y + h, x : x + w].copy()
        for a, b, c, d, e, f in balls:
            inside = (
                np.hypot(
                    xx - w * (0.5 + 0.4 * np.sin(i * (0.02 + 0.06 * a) + 6 * b)),
                    yy - h * (0.5 + 0.4 * np.cos(i * (0.02 + 0.06 * c) + 6 * d)),
                )
                < 12 + 30 * e
            )
            frame[inside] = 255 * np.array([f, e, a])
        yield np.clip(frame + 3 * rng.standard_normal((h, w, 1)), 0, 255).astype(np.uint8)


def table(rows, columns):
    """Rows (dicts) as aligned lines for people."""
    cells = [[str(column) for column in columns], *[[_text(row.get(column, "")) for column in columns] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if i == 0 else text.rjust(width) for i, (text, width) in enumerate(zip(line, widths))
        )
        for line in cells
    )


def _text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def collect():
    """Free what can be freed, before memory is looked at."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
