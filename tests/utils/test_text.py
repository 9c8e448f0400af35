"""Reading text files that people wrote."""

import os

import pytest

from avslowfast.utils.text import read_text, TextError


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
def test_utf8_is_read_with_and_without_a_byte_order_mark(tmp_path, mark):
    path = tmp_path / "x.txt"
    path.write_bytes(mark + "é\n".encode())
    assert read_text(path) == "é\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("é\n".encode("utf-16"), "the encoding is UTF-16, not UTF-8"),
        (b"first\n\xe9t\xe9\n", "line 2: the encoding is not UTF-8 (byte 0xe9)"),
        (b"first\n\0", "line 2: it has a null character"),
    ],
    ids=["UTF-16", "Latin-1", "binary"],
)
def test_another_encoding_is_named_with_the_file(tmp_path, content, message):
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(TextError) as error:
        read_text(path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_missing_file_a_folder_and_a_pipe_are_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("missing", "no such file"), (".", "a folder"), ("pipe", "no regular file")):
        with pytest.raises(TextError, match=message):
            read_text(tmp_path / name)
