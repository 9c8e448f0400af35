"""On a terminal, the line that a command wrote last counts seconds while it says nothing else."""

import io
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

# Seconds of silence before the counting begins, and between two looks.
_SILENCE, _LOOK = 1.0, 0.1
_ERASE = "\r\x1b[K"
# Set while another process writes to the terminal.
_hushed = threading.Event()


class _Watched(io.TextIOWrapper):
    """A stream of the terminal that notes what is written.

    Args:
        stream: The stream in whose place it stands.
        line: Notes it.
    """

    def __init__(self, stream: io.TextIOWrapper, line: "_LastLine") -> None:
        super().__init__(stream.buffer, stream.encoding, stream.errors, line_buffering=True)
        self._line = line

    def write(self, text: str) -> int:
        """Write, see `io.TextIOWrapper`."""
        return super().write(self._line.before(text) + text)


class _LastLine:
    """What stands in the terminal's last line, and since when.

    Nothing is locked: a process that is forked in the middle would wait for ever, and a count too many does no harm.
    """

    def __init__(self) -> None:
        self._text, self._since, self._counted = "", time.monotonic(), 0

    def before(self, text: str) -> str:
        """What has to be written before a text, so that no count stays."""
        undo = _ERASE + self._text if self._counted else ""
        self._counted, self._since = 0, time.monotonic()
        # A bar begins with a carriage return and has no end of line.
        self._text = (self._text + text).rpartition("\n")[2].rpartition("\r")[2]
        return undo

    def count(self) -> str:
        """What to write when nobody has written for another second; "" before that."""
        if _hushed.is_set():
            self._since = time.monotonic()
        seconds = time.monotonic() - self._since
        if seconds < self._counted + _SILENCE:
            return ""
        self._counted = int(seconds)
        end = f" ... {self._counted} s"
        room = shutil.get_terminal_size().columns - len(end) - 1
        return f"\r{self._text[: max(room, 0)]}{end}"


@contextmanager
def counting_seconds() -> Iterator[None]:
    """Count while the block runs, where stderr is a terminal; elsewhere nothing is written."""
    streams = {
        name: stream
        for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr))
        if isinstance(stream, io.TextIOWrapper) and stream.isatty()
    }
    if "stderr" not in streams:
        yield
        return
    line, ended = _LastLine(), threading.Event()
    for name, stream in streams.items():
        stream.flush()
        setattr(sys, name, _Watched(stream, line))

    def count() -> None:
        while not ended.wait(_LOOK):
            if text := line.count():
                os.write(2, text.encode())

    thread = threading.Thread(target=count, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _put_back(streams, line)


@contextmanager
def hushed() -> Iterator[None]:
    """No counting while the block runs, in which another process writes to the terminal, and counts itself."""
    _hushed.set()
    try:
        yield
    finally:
        _hushed.clear()


def _put_back(streams: dict[str, io.TextIOWrapper], line: _LastLine) -> None:
    for name, stream in streams.items():
        watched: TextIO = getattr(sys, name)
        watched.flush()
        if isinstance(watched, _Watched):
            # The stream itself, which the rest of the process writes to, keeps the buffer.
            watched.detach()
        setattr(sys, name, stream)
    sys.stderr.write(line.before(""))
    sys.stderr.flush()
