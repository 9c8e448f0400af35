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
    with pytest.raises(OSError, match="disk"), replacing(path, ".part") as part, open(part, "w") as f:
        f.write("ne")
        assert part == f"{path}.part"
        raise OSError("disk full")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["x.txt"]
