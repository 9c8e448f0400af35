"""Reading text files that people wrote."""

import csv
import os

import pytest

from avslowfast.utils.text import on_one_line, read_json, read_text, TextError, write_csv


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


@pytest.mark.parametrize("text", ["=1+1", "+a", "-a", "@a", "\ta", "\na", "=", "-1+cmd|' /C calc'!A0", "+1_"])
def test_cells_of_text_are_no_formulas(tmp_path, text):
    write_csv(tmp_path / "x.csv", [["a", text]])
    assert next(csv.reader(open(tmp_path / "x.csv", newline=""))) == ["a", f"'{text}"]


@pytest.mark.parametrize(
    "value, cell", [("-0.5", "-0.5"), (-3, "-3"), ("a=1", "a=1"), ("", ""), ("'=1", "'=1"), ("\ra", "\\ra")]
)
def test_other_cells_stay_as_they_are(tmp_path, value, cell):
    write_csv(tmp_path / "x.csv", [["a", value]])
    assert next(csv.reader(open(tmp_path / "x.csv", newline=""))) == ["a", cell]


def test_names_of_files_that_are_not_utf_8_are_written(tmp_path):
    write_csv(tmp_path / "x.csv", [["a\udce9"]])
    assert read_text(tmp_path / "x.csv") == "a\\udce9\n"


@pytest.mark.parametrize("text", ["", "{", "[1", "nul", "[" * 100_000, "{'a': 1}"])
def test_json_that_is_none_is_named(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(TextError, match=r"x.json: no JSON, or a torn file \("):
        read_json(tmp_path / "x.json")


def test_json_may_have_a_byte_order_mark(tmp_path):
    (tmp_path / "x.json").write_text('\ufeff{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}


@pytest.mark.parametrize("path, shown", [("a b/ü#'.mp4", "a b/ü#'.mp4"), ("a\nb\t\x1b[2J", "a\\nb\\t\\x1b[2J")])
def test_a_path_for_people_is_one_line(path, shown):
    assert on_one_line(path) == shown
