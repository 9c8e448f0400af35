"""Files that are written whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterator

from .errors import concerning

# What every temporary name has before its ending: what a killed process has left is found by it.
PART = ".part"


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[str]:
    """A temporary file in the folder of a file; what the block writes there becomes the file when it ends well.

    The folder is made where it is missing. When the block fails, the file stays as it was and the temporary one is
    removed. The temporary name is the file's with a number of this writer and ".part" before its ending: several
    processes may write the same file, and a link that somebody has put there is not followed.

    Args:
        path: The file.

    Yields:
        The temporary name, of an empty file.
    """
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    base, ending = os.path.splitext(os.fspath(path))
    part = f"{base}.{secrets.token_hex(4)}{PART}{ending}"
    with concerning(path, part):
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o666))
        try:
            yield part
            os.replace(part, path)
        finally:
            if os.path.lexists(part):
                os.remove(part)
