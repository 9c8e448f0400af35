"""Files with mistakes, and the one line that each of them gives."""

import os
import resource

import pytest

from avslowfast.utils.errors import one_line, UserError

BOM = "\ufeff"


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def message_of(function, *args, **kwargs):
    """The one line that a mistake gives."""
    with pytest.raises(UserError) as error:
        result = function(*args, **kwargs)
        # Readers that are generators do their work when they are read.
        list(result)
    text = str(error.value)
    assert "\n" not in text
    assert len(text) < 600
    return text


def error_of(function, *args):
    """The error that a call raises."""
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def limited(function, *args):
    """Call it in a child that may write files of 100 kB; gives what it prints."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        os.write(write, str(one_line(error_of(function, *args))).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as f:
        return f.read()
