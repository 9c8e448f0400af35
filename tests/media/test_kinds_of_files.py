"""What is no regular file is not waited for; errors keep path and reason apart."""

import os
import pickle

import pytest

from avslowfast.media import DecodeError, open_media, SoundReader, transcode, VideoReader


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "x.mp4")
    return tmp_path / "x.mp4"


OPENERS = {
    "video": VideoReader,
    "audio": SoundReader,
    "transcode": lambda path: transcode(path, path.with_name("y.mp4")),
    "audio of frames": lambda path: open_media(path.parent, path, 25.0),
}


@pytest.mark.parametrize("name", OPENERS)
def test_a_pipe_is_not_waited_for(pipe, name):
    (pipe.parent / "1.png").write_bytes(b"")
    with pytest.raises(DecodeError, match="no regular file") as error:
        OPENERS[name](pipe)
    assert error.value.path == str(pipe)


def test_a_link_to_a_pipe_is_not_waited_for(pipe):
    link = pipe.with_name("link.mp4")
    link.symlink_to(pipe)
    with pytest.raises(DecodeError, match="no regular file"):
        VideoReader(link)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/urandom"])
def test_devices_are_not_read(path):
    with pytest.raises(DecodeError, match=f"^{path}: no regular file"):
        VideoReader(path)


@pytest.mark.parametrize("name", ["", "nope.mp4", "fake.mp4", "\0.mp4", "x" * 300])
def test_path_and_reason_are_apart(tmp_path, name):
    (tmp_path / "fake.mp4").write_bytes(b"no video")
    path = str(tmp_path / name)
    with pytest.raises(DecodeError) as error:
        VideoReader(path)
    assert error.value.path == path
    assert path not in error.value.reason
    assert str(error.value) == f"{path}: {error.value.reason}"
    assert error.value.reason_for(path) == error.value.reason
    assert error.value.reason_for("other.mp4") == str(error.value)


def test_an_error_travels_between_processes():
    error = pickle.loads(pickle.dumps(DecodeError("torn", "a.mp4")))
    assert (error.path, error.reason, str(error)) == ("a.mp4", "torn", "a.mp4: torn")
