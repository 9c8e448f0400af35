"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], ending: str = "") -> Iterator[str]:
    """A temporary name in the folder of a file; what the block writes there becomes the file when it ends well.

    The folder is made where it is missing. When the block fails, the file stays as it was and the temporary one is
    removed.

    Args:
        path: The file.
        ending: What is added to the file's name. By default it has the number of the process, so that several may write
            the same file; with a fixed one what a killed process has left is overwritten.

    Yields:
        The temporary name.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    part = os.fspath(path) + (ending or f".{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
