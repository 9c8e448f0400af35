"""Clocks, memory, and the videos that benchmarks read."""

import gc
import json
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avslowfast.media import write_video
from avslowfast.utils.errors import tell
from avslowfast.utils.files import replacing
from avslowfast.utils.seeding import generator
from avslowfast.utils.signals import end_with_parent

# A row of a table: names and figures by column.
Row = dict[str, Any]

# What Kinetics looks like with a short side of 256: 10 s, 454 x 256, 30 frames per second, a key frame about every 8 s,
# AAC at 44.1 kHz.
FPS, SECONDS, SIZE, GOP, RATE = 30, 10, (256, 454), 250, 44100


def run_program(main: Callable[[], object]) -> None:
    """Run a program of this folder; an error that is no fault of it is one line, and exit code 2.

    Args:
        main: Called without arguments.
    """
    try:
        main()
    except Exception as error:
        if not tell(error):
            raise
        sys.exit(2)


def seconds_of(
    function: Callable[[], object],
    repeats: int = 5,
    warmup: int = 1,
    synchronize: Callable[[], object] | None = None,
) -> list[float]:
    """Durations of calls, in seconds.

    Args:
        function: Called without arguments.
        repeats: Calls that count.
        warmup: Calls before, which do not.
        synchronize: Waits for the device, before and after each call.
    """
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


def alternately(
    functions: Mapping[str, Callable[[], object]], repeats: int = 5, warmup: int = 1
) -> dict[str, list[float]]:
    """Durations of several functions that take turns, so that a noisy moment affects all of them.

    Args:
        functions: By name.
        repeats: Turns that count.
        warmup: Turns before, which do not.
    """

    def timed(function: Callable[[], object]) -> Callable[[], float]:
        return lambda: seconds_of(function, 1, 0)[0]

    return in_turns({name: timed(function) for name, function in functions.items()}, repeats, warmup)


def in_turns(functions: Mapping[str, Callable[[], float]], repeats: int = 5, warmup: int = 1) -> dict[str, list[float]]:
    """What several functions return that take turns; see `alternately`.

    Args:
        functions: By name; each returns the seconds that it took.
        repeats: Turns that count.
        warmup: Turns before, which do not.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    names = list(functions)
    for i in range(warmup + repeats):
        # Each turn begins with another one: who comes after whom counts for caches.
        for name in names[i % len(names) :] + names[: i % len(names)]:
            seconds = functions[name]()
            if i >= warmup:
                times[name].append(seconds)
    return times


def cpu_seconds(function: Callable[[], object]) -> float:
    """Seconds that this process computes in a call: on a machine that others use as well, fairer than the clock.

    Args:
        function: Called without arguments.
    """
    began = time.process_time()
    function()
    return time.process_time() - began


def spread(times: Sequence[float]) -> dict[str, float]:
    """{"median", "min", "max"} of durations."""
    return {"median": statistics.median(times), "min": min(times), "max": max(times)}


def processes(count: int, start: str) -> ProcessPoolExecutor:
    """Processes that end with this one, however it ends: a pool's own would wait for work for ever.

    Args:
        count: How many.
        start: fork | spawn.
    """
    context = multiprocessing.get_context(start)
    return ProcessPoolExecutor(count, context, end_with_parent, (signal.SIGKILL, os.getpid()))


def in_new_process(start: str, function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns in a new process.

    Args:
        start: fork | spawn.
        function: Of a module, so that the process can import it.
        *args: Its arguments.
    """
    with processes(1, start) as pool:
        return pool.submit(function, *args).result()


def private_mb() -> float:
    """Private memory of this process, MB: what a worker costs without the libraries that it shares with its parent."""
    return sum(value for kind, value in memory_mb("self").items() if kind.startswith("Private_"))


def memory_mb(process: int | str) -> dict[str, float]:
    """Memory of a process by the kernel's names: "Rss", "Pss", "Private_Dirty" ..., MB.

    Args:
        process: Its number, or "self".

    Raises:
        FileNotFoundError, ProcessLookupError: There is no such process.
    """
    with open(f"/proc/{process}/smaps_rollup", encoding="utf-8") as f:
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in f if line.endswith("kB\n")}


def logged(line: str) -> dict[str, Any]:
    """The figures of a line of a training's log; {} of any other line.

    Args:
        line: As the training prints it.
    """
    figures: dict[str, Any] = json.loads(line.partition("json_stats: ")[2] or "{}")
    return figures


def make_videos(folder: str, count: int = 8, seed: int = 0) -> list[str]:
    """Render videos like Kinetics' unless they exist; returns their paths.

    Args:
        folder: Where they go.
        count: Number of videos.
        seed: Of their content.
    """
    paths = [os.path.join(folder, f"{number:03d}.mp4") for number in range(count)]
    for number, path in enumerate(paths):
        if not os.path.exists(path):
            rng = generator(seed, "benchmark", number)
            t = np.arange(SECONDS * RATE) / RATE
            audio = 0.3 * np.sin(2 * np.pi * rng.uniform(200, 800) * t) + 0.05 * rng.standard_normal(len(t))
            stereo = np.stack([audio, audio]).astype(np.float32)
            with replacing(path) as part:
                write_video(part, _frames(rng), FPS, stereo, RATE, gop=GOP, layout="stereo", preset="medium")
    return paths


def _frames(rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """A textured scene that pans, with objects that move through it and a little grain."""
    h, w = SIZE
    scene = np.zeros((h + 200, w + 400, 3), np.float32)
    for cells in (6, 24, 96):
        noise = torch.from_numpy(rng.standard_normal((1, 3, cells, cells)).astype(np.float32))
        size = (h + 200, w + 400)
        grown = torch.nn.functional.interpolate(noise, size, mode="bicubic")[0].permute(1, 2, 0).numpy()
        scene += grown * 60 * 6**0.5 / cells**0.5
    scene = np.clip(scene + 128, 0, 255)
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float32)
    balls = rng.uniform(0, 1, (4, 6))
    for i in range(FPS * SECONDS):
        x, y = int(200 + 190 * np.sin(i / 60)), int(100 + 90 * np.sin(i / 45))
        frame = scene[y : y + h, x : x + w].copy()
        for a, b, c, d, e, f in balls:
            dx = xx - w * (0.5 + 0.4 * np.sin(i * (0.02 + 0.06 * a) + 6 * b))
            dy = yy - h * (0.5 + 0.4 * np.cos(i * (0.02 + 0.06 * c) + 6 * d))
            frame[np.hypot(dx, dy) < 12 + 30 * e] = 255 * np.array([f, e, a])
        yield np.clip(frame + 3 * rng.standard_normal((h, w, 1)), 0, 255).astype(np.uint8)


def table(rows: Sequence[Row]) -> str:
    """Rows as aligned lines, with all columns in order of their first use."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *[[_text(row.get(column, "")) for column in columns] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(text.rjust(width) if i else text.ljust(width) for i, (text, width) in enumerate(zip(line, widths)))
        for line in cells
    )


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def collect() -> None:
    """Free what can be freed, before memory is read."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
