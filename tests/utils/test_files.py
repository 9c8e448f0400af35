"""Files that are written whole or not at all."""

import pytest

from avslowfast.utils.files import replacing


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
