"""Log lines for people (terminal, stdout.log) and JSON lines for programs.

torch is imported by `setup_logging` alone, so that any module can have a logger.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

import simplejson
from tqdm import tqdm

from .errors import without_credentials


def get_logger(name: str) -> logging.Logger:
    """The logger of a module; `setup_logging` decides where its lines go."""
    return logging.getLogger(name)


class _TerminalHandler(logging.StreamHandler[Any]):
    """Writes through tqdm, so that a progress bar at the bottom stays whole."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; JSON lines, which the progress bar summarises, go to the file alone."""
        if sys.stdout.isatty() and record.getMessage().startswith("json_stats"):
            return
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


class _Formatter(logging.Formatter):
    """A line without the passwords and signatures of the addresses in it."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return without_credentials(super().format(record))


class _LogFile(logging.FileHandler):
    """A log file; where it cannot be written, for example on a full disk, that is said once and the run continues."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (the base class's name)
        """Say that a line could not be written."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and not self._said:
            self._said = True
            print(f"warning: {self.baseFilename}: cannot be written ({error.strerror or error})", file=sys.stderr)
        elif not isinstance(error, OSError):
            super().handleError(record)


def setup_logging(output_dir: str | None = None) -> None:
    """Send log lines to the terminal and to `stdout.log`.

    Rank 0 alone prints, save for errors, which concern the rank that logs them.

    Calling it again replaces the earlier handlers.

    Args:
        output_dir: Folder of `stdout.log`; None writes no file.
    """
    from . import distributed

    root = logging.getLogger("avslowfast")
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    if not distributed.is_main():
        errors = logging.StreamHandler()
        errors.setLevel(logging.ERROR)
        errors.setFormatter(_Formatter(f"rank {distributed.rank()}: %(message)s"))
        root.addHandler(errors)
        return
    terminal = _TerminalHandler()
    terminal.setFormatter(_Formatter("[%(asctime)s] %(levelname).1s %(message)s", datefmt="%H:%M:%S"))
    root.addHandler(terminal)
    if output_dir:
        os.makedirs(output_dir, exist_ok=True)
        file = _LogFile(os.path.join(output_dir, "stdout.log"), encoding="utf-8", errors="backslashreplace")
        file.setFormatter(_Formatter("[%(asctime)s][%(levelname)s] %(name)s: %(lineno)4d: %(message)s"))
        root.addHandler(file)


def log_json_stats(stats: Mapping[str, Any], logger: logging.Logger | None = None) -> None:
    """One line `json_stats: {...}` in the log files; floats with six significant digits.

    Args:
        stats: Names and values.
        logger: Where the line goes; None is the package's logger.
    """
    rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in stats.items()}
    (logger or get_logger("avslowfast")).info(
        "json_stats: %s", simplejson.dumps(rounded, sort_keys=True, ignore_nan=True)
    )
