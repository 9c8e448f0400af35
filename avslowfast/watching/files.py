"""Loggers that write plain files into OUTPUT_DIR: JSON lines of everything, a table of the epochs."""

import csv
import json
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import simplejson

from ..utils.files import replacing
from ..utils.logging import get_logger
from ..utils.text import counted
from .base import group_of, LoggedRun, RunLogger, STEP

logger = get_logger(__name__)

LINES, TABLE = "metrics.jsonl", "epochs.csv"


class JsonLogger(RunLogger):
    """metrics.jsonl: one line {"step", "epoch", "time" (Unix seconds), scalars} per call; NaN is null.

    Args:
        options: None.
        run: What is logged; lines after the state from which it resumes are removed.
    """

    def __init__(self, options: Mapping[str, Any], run: LoggedRun) -> None:
        super().__init__(options, run)
        self._path = os.path.join(run.output_dir, LINES)
        if os.path.isfile(self._path):
            with replacing(self._path) as part, open(part, "w", encoding="utf-8") as f:
                f.writelines(self._past_lines())

    def _past_lines(self) -> Iterator[str]:
        torn = 0
        with open(self._path, encoding="utf-8", errors="replace") as f:
            for line in f:
                try:
                    entry = json.loads(line)
                    scalars = {name: value for name, value in entry.items() if "/" in name}
                    past = self.run.is_past(group_of(scalars), int(entry["step"]))
                except (ValueError, KeyError, TypeError, AttributeError):
                    torn += 1
                    continue
                if past:
                    yield line if line.endswith("\n") else f"{line}\n"
        if torn:
            logger.warning("%s: %s left out", self._path, counted(torn, "torn line"))

    def write_scalars(self, scalars: Mapping[str, float], step: int, epoch: float) -> None:
        """See `RunLogger.write_scalars`."""
        entry = {"step": step, "epoch": round(epoch, 6), "time": round(time.time(), 3), **scalars}
        line = simplejson.dumps(entry, ignore_nan=True) + "\n"
        with open(self._path, "ab", buffering=0) as f:
            end = f.tell()
            try:
                if f.write(line.encode()) != len(line):
                    raise OSError(f"{self._path}: the line could not be written whole")
            except OSError:
                # Half a line would spoil the next one.
                f.truncate(end)
                raise


class CsvLogger(RunLogger):
    """epochs.csv: one row per epoch with the means of its steps and its validation.

    The table is written anew each time, whole or not at all: its columns are known only after the first validation.

    Args:
        options: None.
        run: What is logged; rows after the state from which it resumes are removed.
    """

    def __init__(self, options: Mapping[str, Any], run: LoggedRun) -> None:
        super().__init__(options, run)
        self._path = os.path.join(run.output_dir, TABLE)
        self._rows: dict[int, dict[str, Any]] = {}
        if os.path.isfile(self._path):
            self._read()
            self._write()

    def _read(self) -> None:
        with open(self._path, encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f):
                try:
                    step, epoch = int(row["step"]), int(row["epoch"])
                except (KeyError, TypeError, ValueError):
                    logger.warning("%s: a row without epoch or step is left out", self._path)
                    continue
                past = {n: v for n, v in row.items() if v and "/" in n and self.run.is_past(n.partition("/")[0], step)}
                if past:
                    self._rows[epoch] = {"epoch": epoch, "step": step, **past}

    def write_scalars(self, scalars: Mapping[str, float], step: int, epoch: float) -> None:
        """See `RunLogger.write_scalars`; those of single steps are left to others."""
        if group_of(scalars) == STEP:
            return
        number = round(epoch)
        self._rows.setdefault(number, {"epoch": number}).update({"step": step, **scalars})
        self._write()

    def _write(self) -> None:
        columns = list(dict.fromkeys(["epoch", "step", *(name for row in self._rows.values() for name in row)]))
        with replacing(self._path) as part, open(part, "w", encoding="utf-8", newline="") as f:
            table = csv.DictWriter(f, columns)
            table.writeheader()
            table.writerows(self._rows.values())
