"""Long list files: seconds to read and to look through them, memory of the process that reads and of its workers."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from avslowfast.config import load_cfg
from avslowfast.loading import build_dataset, ClipDataset
from avslowfast.loading.samplers import VideoOrder
from avslowfast.loading.survey import survey
from avslowfast.utils.memory import return_freed_memory
from avslowfast.utils.seeding import generator
from avslowfast.utils.text import write_lines

from .measure import in_new_process, private_mb, Row

T = TypeVar("T")

# Records that a worker reads, spread over the list: every page of it is touched.
_READ = 200_000
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def lists(config: str, overrides: list[str], folder: str, lines: int, classes: int = 400) -> list[Row]:
    """Read a list like Kinetics' in a new process, look through it, and read records in two workers.

    Args:
        config: The configuration.
        overrides: Its changed keys.
        folder: For the list, which is written unless it exists.
        lines: Lines of the list.
        classes: Classes, each with a folder of its own.

    Returns:
        Rows {"what", "seconds" by the clock, "computing": seconds that the process computed, "peak_mb": the most
        memory at a time, more than before the list was read, "mb": private memory that stays, likewise}.
    """
    folder = write_list(os.path.join(folder, f"list_{lines}_{classes}"), lines, classes)
    keys = ["DATA.PATH_TO_DATA_DIR", folder, "DATA.PATH_PREFIX", "/data/kinetics", "MODEL.NUM_CLASSES", classes]
    rows: list[Row] = in_new_process("spawn", _measure, config, [*overrides, *keys])
    return rows


def write_list(folder: str, lines: int, classes: int, seed: int = 0) -> str:
    """Write `train.csv` of lines `class name/abcdefghijk_000012_000022.mp4 class`, shuffled, unless it is there.

    Args:
        folder: To which it is written.
        lines: Their number.
        classes: Number of classes.
        seed: Of the names.

    Returns:
        The folder.
    """
    path = os.path.join(folder, "train.csv")
    if not os.path.exists(path):
        rng = generator(seed, "list")
        labels, starts = rng.integers(classes, size=lines).tolist(), rng.integers(300, size=lines).tolist()
        letters = np.array(list(_LETTERS))[rng.integers(len(_LETTERS), size=(lines, 11))]
        rows = zip(labels, starts, map("".join, letters))
        write_lines(path, (f"{_class_name(k)}/{name}_{t:06d}_{t + 10:06d}.mp4 {k}" for k, t, name in rows))
    return folder


def _class_name(label: int) -> str:
    return f"{('playing', 'opening', 'catching')[label % 3]} {('guitar', 'a bottle', 'ball')[label % 7 % 3]} {label}"


def _measure(config: str, overrides: list[str]) -> list[Row]:
    cfg = load_cfg(config, overrides)
    return_freed_memory()
    before, resident, rows = private_mb(), _status_mb("VmRSS"), []

    def measured(what: str, function: Callable[[], T]) -> T:
        # From here on the system keeps the highest of the memory that there is now.
        with open("/proc/self/clear_refs", "w", encoding="utf-8") as f:
            f.write("5")
        began, computed = time.perf_counter(), time.process_time()
        result = function()
        row = {"what": what, "seconds": time.perf_counter() - began, "computing": time.process_time() - computed}
        row["peak_mb"] = _status_mb("VmHWM") - resident
        return_freed_memory()
        rows.append({**row, "mb": private_mb() - before})
        return result

    dataset = measured("read and check the list", lambda: build_dataset(cfg, "train"))
    measured("fingerprint", dataset.listing.fingerprint)
    measured("survey", lambda: survey({"train": dataset.listing}, {"": cfg.MODEL.NUM_CLASSES}))
    measured("order of two epochs", lambda: [dataset.order.of(epoch) for epoch in range(2)])
    for number in (1, 2):
        seconds, added = in_new_process("fork", _work, dataset, cfg.RNG_SEED)
        what = f"one record in worker {number}, whose memory grew by"
        rows.append({"what": what, "seconds": "", "computing": seconds, "peak_mb": "", "mb": added})
    return rows


def _work(dataset: ClipDataset, seed: int) -> tuple[float, float]:
    """(seconds per record, MB that a worker adds while it reads records of the whole list)."""
    return_freed_memory()
    before, records = private_mb(), dataset.records
    began = time.process_time()
    for index in VideoOrder(seed, len(dataset)).of(0)[:_READ].tolist():
        records[index]
    seconds = (time.process_time() - began) / min(_READ, len(dataset))
    return_freed_memory()
    return seconds, private_mb() - before


def _status_mb(name: str) -> float:
    """Memory of this process by its name in the system's table (VmRSS: now; VmHWM: the most of all times), MB."""
    with open("/proc/self/status", encoding="utf-8") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name)) / 1024
