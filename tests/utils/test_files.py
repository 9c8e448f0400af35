"""Files that are written whole or not at all."""

import os

import pytest

from avslowfast.utils.errors import UserError
from avslowfast.utils.files import check_writable, replacing


def test_a_file_is_replaced_when_the_block_ends_well(tmp_path):
    path = tmp_path / "new folder" / "x.txt"
    for text in ("old", "new"):
        with replacing(path) as part, open(part, "w") as f:
            f.write(text)
        assert path.read_text() == text
    assert [file.name for file in path.parent.iterdir()] == ["x.txt"]


def test_a_file_stays_as_it_was_when_the_block_fails(tmp_path):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"), replacing(path) as part, open(part, "w") as f:
        f.write("ne")
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]


def test_two_writers_have_temporary_files_of_their_own_with_the_ending_of_the_file(tmp_path):
    path = tmp_path / "x.mp4"
    with replacing(path) as one, replacing(path) as other:
        assert one != other
        assert all(part.endswith(".part.mp4") for part in (one, other))


def test_a_link_in_the_folder_is_replaced_and_its_target_stays(tmp_path):
    target, path = tmp_path / "target", tmp_path / "x.txt"
    target.write_text("of somebody else")
    path.symlink_to(target)
    with replacing(path) as part, open(part, "w") as f:
        f.write("mine")
    assert target.read_text() == "of somebody else"
    assert not path.is_symlink()


def test_a_folder_is_made_and_tried_and_nothing_is_left_in_it(tmp_path):
    folder = tmp_path / "new" / "folder"
    check_writable(folder, "OUTPUT_DIR")
    assert list(folder.iterdir()) == []


def test_a_folder_that_has_files_keeps_them(tmp_path):
    (tmp_path / "x.txt").write_text("x")
    check_writable(tmp_path, "OUTPUT_DIR")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("x.txt", "x")]


@pytest.mark.parametrize(
    "folder, reason",
    [
        ("", "no such file or directory"),
        ("a_file", "file exists"),
        ("a_file/below", "not a directory"),
        ("/proc/x", "no such file or directory"),
        ("/dev/null", "file exists"),
        ("/dev/full/x", "not a directory"),
        ("loop", "file exists"),
        ("x" * 300, "file name too long"),
        ("a\0b", "embedded null"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line_that_says_why(tmp_path, monkeypatch, folder, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").write_text("x")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UserError) as error:
        check_writable(folder, "OUTPUT_DIR")
    message = str(error.value)
    assert message.startswith(f"OUTPUT_DIR is {folder!r}: nothing can be written there ({reason}")
    assert message.endswith("; choose another folder")
    assert "\n" not in message


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="OUTPUT_DIR is .*permission denied"):
        check_writable(tmp_path / "x", "OUTPUT_DIR")
