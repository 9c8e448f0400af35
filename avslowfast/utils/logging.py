"""Log lines for people (terminal, stdout.log) and JSON lines for programs."""

import logging
import os
import sys

import simplejson
from tqdm import tqdm

from . import distributed


def get_logger(name):
    """The logger of a module; `setup_logging` decides where its lines go."""
    return logging.getLogger(name)


class _TerminalHandler(logging.StreamHandler):
    """Writes through tqdm, so that a progress bar at the bottom stays whole."""

    def emit(self, record):
        """Write one record; JSON lines, which the bar says in fewer words, go to the file alone."""
        if sys.stdout.isatty() and record.getMessage().startswith("json_stats"):
            return
        tqdm.write(self.format(record), file=sys.stdout)
        sys.stdout.flush()


def setup_logging(output_dir=None):
    """Send log lines to the terminal and, with `output_dir`, to `output_dir/stdout.log`; rank 0 alone prints.

    Calling it again replaces the earlier handlers.
    """
    root = logging.getLogger("avslowfast")
    root.setLevel(logging.INFO)
    root.propagate = False
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    if not distributed.is_main():
        root.addHandler(logging.NullHandler())
        return
    terminal = _TerminalHandler()
    terminal.setFormatter(logging.Formatter("[%(asctime)s] %(levelname).1s %(message)s", datefmt="%H:%M:%S"))
    root.addHandler(terminal)
    if output_dir:
        os.makedirs(output_dir, exist_ok=True)
        file = logging.FileHandler(os.path.join(output_dir, "stdout.log"))
        file.setFormatter(logging.Formatter("[%(asctime)s][%(levelname)s] %(name)s: %(lineno)4d: %(message)s"))
        root.addHandler(file)


def log_json_stats(stats, logger=None):
    """One line `json_stats: {...}` in the log files; floats with six significant digits."""
    rounded = {k: float(f"{v:.6g}") if isinstance(v, float) else v for k, v in stats.items()}
    (logger or get_logger("avslowfast")).info(
        "json_stats: %s", simplejson.dumps(rounded, sort_keys=True, ignore_nan=True)
    )
