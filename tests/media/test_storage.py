"""Members of tar files and objects at a URL are read as files are: real tars, real servers, real processes."""

import io
import os
import tarfile
import time

import fsspec
import numpy as np
import PIL.Image
import pytest
from helpers.servers import file_server, gs_server, s3_server
from helpers.sounds import write_sound
from helpers.videos import flash_and_click

from avslowfast.media import (
    DecodeError,
    FrameFolderReader,
    open_media,
    SoundReader,
    storage,
    transcode,
    VideoReader,
)
from avslowfast.media.files import list_videos
from avslowfast.media.remote import traffic, UnreachableError
from avslowfast.media.storage import open_file, StorageSettings
from avslowfast.utils import remote as network


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder of media: videos of several containers, a sound, a folder of frames."""
    folder = tmp_path_factory.mktemp("files")
    for name in ("a.mp4", "b.ts", "c.mkv"):
        flash_and_click(folder / name, 25)
    rng = np.random.default_rng(0)
    write_sound(folder / "d.mp3", rng.standard_normal(32000).astype(np.float32) / 9, 16000)
    (folder / "frames").mkdir()
    for i in range(6):
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        image = PIL.Image.fromarray(rng.integers(0, 255, (40, 56, 3), np.uint8))
        image.save(folder / f"frames/{i:03d}.jpg", exif=exif)
    return folder


def pack(folder, tar, **more):
    with tarfile.open(tar, "w", **more) as out:
        for base, _, names in sorted(os.walk(folder)):
            for name in sorted(names):
                path = os.path.join(base, name)
                out.add(path, os.path.join("some/where", os.path.relpath(path, folder)))
    return tar


@pytest.fixture(scope="module")
def tar(files, tmp_path_factory):
    return pack(files, str(tmp_path_factory.mktemp("tar") / "x-000000.tar"))


@pytest.fixture(autouse=True)
def settings(tmp_path, monkeypatch):
    """Small blocks, so that every file has many; a cache of its own for each test."""
    chosen = StorageSettings(cache_dir=str(tmp_path / "blocks"), block_size=16384, retries=1)
    storage.configure(chosen)
    storage._index.cache_clear()
    monkeypatch.setattr(network, "PAUSE", 0.01)
    yield chosen
    storage.configure(StorageSettings())


def contents(folder):
    """What is read of the files of a folder, whatever it is in."""
    read = []
    for name in ("a.mp4", "b.ts", "c.mkv"):
        with VideoReader(f"{folder}/{name}") as reader:
            read += [reader.read_frames([0.5, 0.6, 2.0]).pixels, reader.read_audio(0.4, 1.5).samples]
            read.append(np.array([reader.video.start, reader.video.end, reader.audio.start, reader.audio.end]))
    with SoundReader(f"{folder}/d.mp3") as reader:
        read.append(reader.read_audio(0.2, 1.0).samples)
    with FrameFolderReader(f"{folder}/frames", 5.0, f"{folder}/d.mp3") as reader:
        read += [reader.read_frames([0.0, 0.9]).pixels, reader.read_audio(0.0, 1.0).samples]
    return read


def assert_same(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other):
        np.testing.assert_array_equal(a, b)


def test_members_of_a_tar_are_the_files_that_were_packed(files, tar):
    assert_same(contents(files), contents(f"{tar}#some/where"))


def test_objects_and_members_of_remote_tars_are_the_files(files, tar):
    system = fsspec.filesystem("memory")
    system.put(str(files), "/bucket/files", recursive=True)
    system.put(tar, "/bucket/x.tar")
    expected = contents(files)
    assert_same(expected, contents("memory://bucket/files"))
    assert_same(expected, contents("memory://bucket/x.tar#some/where"))
    # A second time they come from the blocks on the disk.
    before = traffic.bytes
    assert_same(expected, contents("memory://bucket/files"))
    assert traffic.bytes == before


def assert_lists_and_names_the_missing(bucket):
    """A folder of a bucket is listed, and a file that is not there is told from a server that is away."""
    assert list_videos([f"{bucket}/files"]) == [f"{bucket}/files/{name}" for name in ("a.mp4", "b.ts", "c.mkv")]
    with pytest.raises(DecodeError, match=r"none.mp4: cannot be read \(No such file") as missing:
        VideoReader(f"{bucket}/none.mp4")
    assert not isinstance(missing.value, UnreachableError)


def test_an_s3_server_is_read_by_ranges_and_says_what_is_missing_and_what_is_away(files, tar, tmp_path, monkeypatch):
    expected = contents(files)
    with s3_server(monkeypatch) as (server, system):
        system.put(str(files), "bucket/files", recursive=True)
        system.put(tar, "bucket/x.tar")
        assert_same(expected, contents("s3://bucket/files"))
        assert_same(expected, contents("s3://bucket/x.tar#some/where"))
        assert_lists_and_names_the_missing("s3://bucket")
        # Another object of the same name, as long as the first.
        changed = (files / "a.mp4").read_bytes()[::-1]
        with VideoReader("s3://bucket/files/a.mp4"):
            system.pipe("bucket/files/a.mp4", changed)
        assert open_file("s3://bucket/files/a.mp4").read() == changed
    with pytest.raises(UnreachableError, match=r"a.mp4: cannot be read \(.*, 2 tries\)") as away:
        VideoReader("s3://bucket/files/a.mp4")
    assert "hush" not in str(away.value)


def test_a_server_of_google_is_read_by_ranges_and_says_what_is_missing(files, tar, monkeypatch):
    expected = contents(files)
    with gs_server(monkeypatch) as (_, system):
        system.put(str(files), "bucket/files", recursive=True)
        system.put(tar, "bucket/x.tar")
        before = traffic.bytes
        assert_same(expected, contents("gs://bucket/x.tar#some/where"))
        assert traffic.bytes - before > 0
        assert_same(expected, contents("gs://bucket/files"))
        assert_lists_and_names_the_missing("gs://bucket")


@pytest.mark.slow
def test_a_server_of_google_that_is_away_is_told_in_a_minute(files, monkeypatch, caplog):
    with gs_server(monkeypatch) as (_, system):
        system.put(str(files / "a.mp4"), "bucket/a.mp4")
        assert open_file("gs://bucket/a.mp4").read() == (files / "a.mp4").read_bytes()
        storage.configure(StorageSettings(cache_size=0, block_size=1024))
        began = time.monotonic()
    with pytest.raises(UnreachableError, match=r"b.mp4: cannot be read \(Cannot connect"):
        VideoReader("gs://bucket/b.mp4")
    assert time.monotonic() - began < 60
    assert not caplog.records


def test_a_server_without_ranges_and_one_that_is_busy_are_read(files):
    for ranges in (True, False):
        with file_server(files, ranges) as server:
            server.busy = 1
            with VideoReader(server.url("a.mp4")) as reader, VideoReader(files / "a.mp4") as file:
                assert_same([reader.read_frames([0.5]).pixels], [file.read_frames([0.5]).pixels])


def test_a_server_that_goes_away_while_a_video_is_read_is_no_short_video(files):
    storage.configure(StorageSettings(cache_size=0, block_size=1024, retries=0))
    with file_server(files) as server:
        reader = VideoReader(server.url("b.ts"))
        reader.read_frames([0.1])
    for read in (lambda: reader.read_frames([2.9]), lambda: reader.read_audio(1.0, 2.0)):
        with pytest.raises(UnreachableError, match="b.ts: cannot be read"):
            read()


def test_a_long_object_is_read_in_part_and_a_short_one_at_once(files):
    system = fsspec.filesystem("memory")
    with open(files / "a.mp4", "rb") as f:
        video = f.read()
    # The index stands in front; what is not asked for is not read.
    system.pipe("/bucket/long.mp4", video + bytes(10_000_000))
    before = traffic.bytes, traffic.requests
    with VideoReader("memory://bucket/long.mp4") as reader:
        reader.read_frames([0.5])
    assert traffic.bytes - before[0] < 500_000
    storage.configure(StorageSettings(cache_size=0, block_size=2**20))
    system.pipe("/bucket/short.mp4", video)
    before = traffic.bytes, traffic.requests
    with VideoReader("memory://bucket/short.mp4") as reader:
        reader.read_frames([0.5, 2.0])
        reader.read_audio(0.0, 3.0)
    assert (traffic.bytes - before[0], traffic.requests - before[1]) == (len(video), 2)


def test_a_file_whose_name_looks_like_a_member_is_that_file(files, tar, tmp_path):
    name = tmp_path / "x.tar#some"
    os.makedirs(name)
    (tmp_path / "x.tar").write_bytes(open(tar, "rb").read())
    (name / "a.mp4").write_bytes((files / "a.mp4").read_bytes())
    with VideoReader(name / "a.mp4") as reader:
        assert len(reader.read_frames([0.5])) == 1
    with pytest.raises(DecodeError, match="its tar has no such member"):
        VideoReader(tmp_path / "x.tar#other/a.mp4")
    with VideoReader(f"file://{files}/a.mp4") as reader:
        assert reader.audio


def test_names_of_members_may_be_long_odd_and_there_twice(files, tmp_path):
    path, video = tmp_path / "odd.tar", (files / "a.mp4").read_bytes()
    odd = [f"{'long/' * 40}ü#1.mp4", "./dot.mp4", "tar.tar#in.mp4"]
    with tarfile.open(path, "w") as out:
        for name, data in [*((name, b"old") for name in odd), *((name, video) for name in odd)]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.mp4")
        link.type, link.linkname = tarfile.LNKTYPE, odd[0]
        out.addfile(link)
    for name in (*odd, "dot.mp4", "link.mp4"):
        assert open_file(f"{path}#{name}").read() == video
    assert list_videos([f"{path}#long"]) == [f"{path}#{odd[0]}"]
    assert len(list_videos([f"{path}#"])) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[: len(data) // 2], "its tar cannot be read .unexpected end of data"),
        (lambda data: b"no tar" * 500, "its tar cannot be read .* uncompressed"),
    ],
)
def test_a_tar_that_is_none_or_torn_is_one_clear_line(tar, tmp_path, change, said):
    (tmp_path / "bad.tar").write_bytes(change(open(tar, "rb").read()))
    with pytest.raises(DecodeError, match=f"bad.tar: {said}"):
        open_media(f"{tmp_path}/bad.tar#some/where/a.mp4")


def test_a_tar_that_is_replaced_is_indexed_anew(files, tmp_path):
    path = tmp_path / "x.tar"
    for names in (("a.mp4", "b.ts"), ("b.ts", "a.mp4")):
        with tarfile.open(tmp_path / "new.tar", "w") as out:
            for name in names:
                out.add(files / name, name)
        os.replace(tmp_path / "new.tar", path)
        assert open_file(f"{path}#b.ts").read() == (files / "b.ts").read_bytes()


def test_the_cache_stays_within_its_size_and_drops_what_was_used_least_recently(tmp_path):
    cache = storage.BlockCache(str(tmp_path / "small"), 100_000)
    for i in range(9):
        cache.put(f"block {i}", bytes([i]) * 10_000)
        os.utime(cache.path(f"block {i}"), (i, i))
    cache.get("block 0")
    for i in range(9, 30):
        cache.put(f"block {i}", bytes([i]) * 10_000)
        cache.get("block 0")
    kept = [i for i in range(30) if cache.get(f"block {i}") == bytes([i]) * 10_000]
    assert kept[0] == 0
    assert kept[1:] == list(range(31 - len(kept), 30))
    used = sum(os.path.getsize(cache.path(f"block {i}")) for i in kept)
    assert 50_000 < used <= 100_000
    assert int((tmp_path / "small/size").read_text()) == used
    # A block that was damaged on the disk is none.
    with open(cache.path("block 29"), "r+b") as f:
        f.write(b"x")
    assert cache.get("block 29") is None


def test_many_processes_share_a_cache(tmp_path):
    folder, children = str(tmp_path / "shared"), []
    for number in range(4):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                cache = storage.BlockCache(folder, 300_000)
                rng = np.random.default_rng(number)
                for i in rng.integers(0, 60, 100):
                    assert cache.mapped(f"{i}", lambda: bytes([i]) * 10_000)[:10_000] == bytes([i]) * 10_000
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
    used = sum(path.stat().st_size for path in (tmp_path / "shared").glob("??/*"))
    assert 200_000 < used <= 300_000


def test_a_cache_that_cannot_be_written_is_no_failure(files, tmp_path, caplog):
    (tmp_path / "file").touch()
    storage.configure(StorageSettings(cache_dir=str(tmp_path / "file"), block_size=16384))
    fsspec.filesystem("memory").put(str(files / "a.mp4"), "/bucket/uncached.mp4")
    with VideoReader("memory://bucket/uncached.mp4") as reader:
        assert len(reader.read_frames([0.5])) == 1
    assert caplog.text.count("nothing more is cached") == 1


def test_a_video_is_transcoded_from_a_tar(files, tar, tmp_path):
    results = [transcode(source, tmp_path / "out.mp4", 48) for source in (files / "a.mp4", f"{tar}#some/where/a.mp4")]
    assert results[0] == results[1]


def test_other_storage_is_one_clear_line():
    with pytest.raises(DecodeError, match="nope://b/x.mp4: cannot be opened .Protocol not known: nope"):
        VideoReader("nope://b/x.mp4")
    with pytest.raises(DecodeError) as signed:
        VideoReader("http://user:hush@127.0.0.1:1/x.mp4?signature=hush")
    assert "hush" not in str(signed.value)
    assert "http://***@127.0.0.1:1/x.mp4?...: cannot be read" in str(signed.value)
