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
    return _in_child(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)), function, *args)


def not_permitted(folder, function, *args):
    """Call it in a child for which a folder of root's is as for others; gives what it prints."""

    def change_user():
        if os.getuid() == 0:
            os.setresuid(65534, 65534, 65534)

    folder.chmod(0)
    try:
        return _in_child(change_user, function, *args)
    finally:
        folder.chmod(0o755)


def _in_child(prepare, function, *args):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        prepare()
        os.write(write, str(one_line(error_of(function, *args))).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as f:
        return f.read()
