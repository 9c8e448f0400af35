"""Files of folders: told by the endings that FFmpeg knows, in order, without going round in circles."""

import os

import numpy as np
import pytest

from avslowfast.media import DecodeError, transcode, VideoReader, write_video
from avslowfast.media.files import is_sound, is_video, list_videos, NoVideosError, PassedOver, result_names, walk_files

VIDEOS = (
    "mp4 MP4 m4v mkv webm mov avi mpg mpeg wmv flv ts 3gp ogv mts MTS m2ts vob h264 264 hevc ivf mxf asf rm y4m "
    "divx rmvb"
)
SOUNDS = "wav flac mp3 oga m4a opus aac aiff AIF wma mka ac3 amr caf au"
OTHERS = "txt csv json nfo srt vtt sub jpg png webp heic xml m3u8 part ytdl py pt"


def test_endings():
    kinds = {
        ending: (is_video(f"a.b/x y.{ending}"), is_sound(f"a.b/x y.{ending}"))
        for ending in f"{VIDEOS} {SOUNDS} {OTHERS}".split()
    }
    assert [ending for ending, kind in kinds.items() if kind == (True, False)] == VIDEOS.split()
    assert [ending for ending, kind in kinds.items() if kind == (False, True)] == SOUNDS.split()
    assert [ending for ending, kind in kinds.items() if kind == (False, False)] == OTHERS.split()


def test_an_ending_of_both_kinds():
    assert is_video("x.ogg") and is_sound("x.ogg")
    assert not is_video("ogg") and not is_video(".mp4")


def test_sounds_are_listed_where_they_are_wanted(tmp_path):
    for name in ("b.wav", "a.mp4", "c.txt"):
        (tmp_path / name).touch()
    assert list_videos([tmp_path]) == [str(tmp_path / "a.mp4")]
    assert list_videos([tmp_path], sounds=True) == [str(tmp_path / "a.mp4"), str(tmp_path / "b.wav")]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/d.wav").touch()
    with pytest.raises(NoVideosError, match="no videos in"):
        list_videos([tmp_path / "sub"])


def test_links_that_lead_back_end(tmp_path):
    (tmp_path / "v/a/deep").mkdir(parents=True)
    (tmp_path / "v/b").mkdir()
    for name in ("v/a/1.mp4", "v/a/deep/2.mp4", "v/b/3.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "v/a/deep/up").symlink_to(tmp_path / "v")
    (tmp_path / "v/b/self").symlink_to(".")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/4.mp4").touch()
    (tmp_path / "v/c").symlink_to(tmp_path / "elsewhere")
    notes = []
    files = [os.path.basename(path) for path in walk_files(tmp_path / "v", notes)]
    assert sorted(files) == ["1.mp4", "2.mp4", "3.mp4", "4.mp4"]
    assert {os.path.basename(note.path) for note in notes} == {"up", "self"}
    assert all(note.reason.startswith("the same folder as ") and not note.lost for note in notes)
    assert len(list_videos([tmp_path / "v"])) == 4


def test_folders_called_like_a_video_are_told(tmp_path):
    (tmp_path / "x.mp4").mkdir()
    (tmp_path / "x.mp4/inside.mp4").touch()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/y.mp4").touch()
    (tmp_path / "z.mp4").touch()
    notes = []
    assert list(walk_files(tmp_path, notes)) == [str(tmp_path / "z.mp4")]
    folder = str(tmp_path / "x.mp4")
    assert notes == [PassedOver(folder, "a folder that is called like a video", lost=True)]
    # Whoever opens it says why it is no video.
    assert list_videos([tmp_path]) == [str(tmp_path / "z.mp4"), folder]
    assert list_videos([folder]) == [str(tmp_path / "x.mp4/inside.mp4")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every folder")
def test_folders_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    notes = []
    assert list(walk_files(tmp_path, notes)) == []
    assert notes == [PassedOver(str(tmp_path / "closed"), "cannot be read (Permission denied)", lost=True)]


NAMES = ["12:30:05.mp4", "concat:x.mp4", "http:x.mp4", "a%20b.mp4", "%d.mp4", "-i.mp4", " x .mp4", "#1, 'a' \"b\".mp4",
         "[x]*?.mp4", "über 音.mp4", os.fsdecode(b"caf\xe9.mp4"), "a\nb.mp4"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_a_file_whatever_its_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(name, np.zeros((5, 32, 32, 3), np.uint8), 25)
    assert os.listdir() == [name]
    with VideoReader(name) as reader:
        assert reader.read_frames([0.1]).pixels.shape[1:3] == (32, 32)
    transcode(name, f"2{name}")
    assert sorted(os.listdir()) == sorted([name, f"2{name}"])
    with pytest.raises(DecodeError) as caught:
        VideoReader(f"3{name}")
    assert str(caught.value) == f"3{name}: cannot be opened (No such file or directory)"


def test_results_of_files_with_one_name_are_kept_apart():
    assert result_names(["a/x.mp4", "b/y.mp4"]) == ["x", "y"]
    assert result_names(["a/x.mp4", "a/x.wav", "a/y.mp4"]) == ["x.mp4", "x.wav", "y"]
    assert result_names(["s/a/x.mp4", "s/b/x.mp4", "s/b/c/x.mp4", "s/b/x.wav"]) == [
        os.path.join("a", "x.mp4"),
        os.path.join("b", "x.mp4"),
        os.path.join("b", "c", "x.mp4"),
        "x.wav",
    ]
    assert result_names(["x.mp4"]) == ["x"]
