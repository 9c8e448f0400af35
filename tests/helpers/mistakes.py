"""Files with mistakes, and the one line that each of them gives."""

import pytest

from avslowfast.utils.errors import UserError

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
