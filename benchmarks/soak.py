"""Memory and open files of a long training: of its main process, of each loader worker, and of all together.

Example:
    python -m benchmarks.soak SynthAV/AVSLOWFAST_TINY DATA.PATH_TO_DATA_DIR data/synthav TRAIN.BATCH_SIZE 2

The training ends with a signal after so many iterations. A process that lives for the whole of it is a row: what is
resident after a fifth of the iterations, when caches are full, and at the end, and how it grows between, by least
squares. Forked workers share pages with the main process: they are in the row of each, and once in that of all.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .measure import logged, memory_mb, Row, run_program, table

# What the training needs beside the reader's keys: a log line for every reading, and no end of its own.
_KEYS = ["LOG_PERIOD", "5", "SOLVER.MAX_EPOCH", "100000", "TRAIN.AUTO_RESUME", "False"]
# Share of the iterations in which caches fill and nothing is compared.
_FILLING = 0.2
# In the place of a process's number: all of them.
_ALL = 0


@dataclass(frozen=True)
class Reading:
    """What a process has at some time.

    Attributes:
        iteration: Of the training.
        memory: Resident, MB; of all processes together each page once.
        files: Open descriptors.
    """

    iteration: int
    memory: float
    files: int


class _Progress(threading.Thread):
    """Follows the log of a training.

    Attributes:
        iteration: The last that was logged, of the whole training; 0 before the first.
        last: Its last line.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        super().__init__(daemon=True)
        self.iteration, self.last = 0, ""
        self._lines = lines

    def run(self) -> None:
        for line in self._lines:
            self.last = line.strip()
            row = logged(line)
            if row.get("_type") == "train_iter":
                epoch, (number, of) = row["epoch"].split("/")[0], row["iter"].split("/")
                self.iteration = (int(epoch) - 1) * int(of) + int(number)


def readings_of(command: list[str], iterations: int, seconds: float) -> dict[int, list[Reading]]:
    """Run a training and read its processes at intervals; it gets SIGINT after so many iterations.

    Args:
        command: That trains and logs to its standard output.
        iterations: After which it ends.
        seconds: From one reading to the next.

    Returns:
        By process: all together (0), the training's own, the others.

    Raises:
        SystemExit: The training ended by itself.
    """
    readings: dict[int, list[Reading]] = {_ALL: []}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        assert training.stdout
        progress = _Progress(training.stdout)
        progress.start()
        while progress.iteration < iterations:
            if training.poll() is not None:
                sys.exit(f"The training ended with {training.returncode}: {progress.last}")
            time.sleep(seconds)
            if not (iteration := progress.iteration):
                continue
            shares, all_files = 0.0, 0
            for process in (training.pid, *_children(training.pid)):
                # It may have ended since.
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    files, memory = len(os.listdir(f"/proc/{process}/fd")), memory_mb(process)
                    readings.setdefault(process, []).append(Reading(iteration, memory["Rss"], files))
                    # A page that n processes have counts for 1/n in each of them.
                    shares, all_files = shares + memory["Pss"], all_files + files
            readings[_ALL].append(Reading(iteration, shares, all_files))
        training.send_signal(signal.SIGINT)
        progress.join()
    return readings


def _children(process: int) -> list[int]:
    with open(f"/proc/{process}/task/{process}/children", encoding="utf-8") as f:
        return [int(word) for word in f.read().split()]


def rows_of(readings: dict[int, list[Reading]]) -> list[Row]:
    """One row for each process that lives from the first fifth to the end; a last one counts the others.

    Args:
        readings: As of `readings_of`.
    """
    end = max(reading.iteration for process in readings.values() for reading in process)
    whole = {
        process: [reading for reading in of if reading.iteration >= _FILLING * end]
        for process, of in readings.items()
        if of[0].iteration <= _FILLING * end and of[-1].iteration >= 0.98 * end
    }
    rows: list[Row] = []
    for number, of in enumerate(whole.values()):
        slope = np.polyfit([reading.iteration for reading in of], [reading.memory for reading in of], 1)[0]
        rows.append(
            {
                "process": ("all", "main")[number] if number < 2 else f"worker {number - 1}",
                "MB at a fifth": of[0].memory,
                "MB at the end": of[-1].memory,
                "most MB": max(reading.memory for reading in of),
                "MB per 1,000 iterations": 1000 * float(slope),
                "files at a fifth": of[0].files,
                "most files": max(reading.files for reading in of),
            }
        )
    if len(readings) > len(whole):
        rows.append({"process": f"{len(readings) - len(whole)} that began later or ended before"})
    return rows


def main() -> None:
    """Train, read and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="name or file of a configuration")
    parser.add_argument("overrides", nargs="*", metavar="KEY VALUE", help="keys of the configuration")
    parser.add_argument("--iterations", type=int, default=5000, help="of the training (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5, help="between two readings (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "avslowfast", "train", args.config, *_KEYS, *args.overrides]
        print(table(rows_of(readings_of([*command, "OUTPUT_DIR", folder], args.iterations, args.seconds))))


if __name__ == "__main__":
    run_program(main)
