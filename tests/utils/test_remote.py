"""Files from elsewhere: real servers on this machine, real processes."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.mistakes import message_of
from helpers.servers import file_server

from avslowfast.checkpoint.mirror import Store
from avslowfast.utils import remote
from avslowfast.utils.remote import fetched, filesystem, RemoteError, retried

DATA = bytes(range(256)) * 40_000
HASH = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server(tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served/x.bin").write_bytes(DATA)
    with file_server(tmp_path / "served") as running:
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AVSLOWFAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "PAUSE", 0.01)
    return tmp_path / "cache"


def test_a_download_that_breaks_off_is_resumed_where_it_stopped(server, cache):
    # Each further try asks for the whole file first, to see whether it is still the same.
    server.breaks_after = [1_000_000, 0, 2_000_000]
    path = fetched(server.url("x.bin"))
    assert open(path, "rb").read() == DATA
    assert "bytes=1000000-" in [wanted for _, wanted in server.asked]
    assert "bytes=3000000-" in [wanted for _, wanted in server.asked]
    assert os.listdir(cache) == [os.path.basename(path)]


def test_a_download_that_was_killed_is_resumed_by_the_next_process(server, cache, monkeypatch):
    server.breaks_after = [3_000_000]
    monkeypatch.setattr(remote, "ATTEMPTS", 1)
    with pytest.raises(RemoteError, match="3000000 of 10240000 bytes"):
        fetched(server.url("x.bin"))
    path = fetched(server.url("x.bin"))
    assert open(path, "rb").read() == DATA
    assert server.asked[-1] == ("/x.bin", "bytes=3000000-")


def test_a_file_that_changes_between_two_tries_is_taken_anew(server, tmp_path, monkeypatch):
    server.breaks_after = [3_000_000]
    monkeypatch.setattr(remote, "ATTEMPTS", 1)
    with pytest.raises(RemoteError):
        fetched(server.url("x.bin"))
    (tmp_path / "served/x.bin").write_bytes(DATA[::-1])
    assert open(fetched(server.url("x.bin")), "rb").read() == DATA[::-1]


def test_a_server_without_ranges_sends_everything_again(server):
    server.ranges, server.breaks_after = False, [5_000_000]
    assert open(fetched(server.url("x.bin")), "rb").read() == DATA


def test_a_busy_server_is_asked_again_and_an_absent_file_is_not(server, cache):
    server.busy = 2
    fetched(server.url("x.bin"))
    assert len(server.asked) == 3
    with pytest.raises(RemoteError, match=r"y.bin: cannot be downloaded \(404 Not Found\); check the address"):
        fetched(server.url("y.bin"))
    assert len(server.asked) == 4
    assert len(os.listdir(cache)) == 1


def test_the_hash_is_checked_of_new_and_of_kept_copies(server, tmp_path, cache):
    address = server.url("x.bin")
    path = fetched(f"{address}#sha256={HASH[:8]}")
    assert fetched(address) == path
    assert len(server.asked) == 1
    with pytest.raises(RemoteError, match=f"its SHA-256 is {HASH}, not 0123456789"):
        fetched(f"{address}#sha256=0123456789")
    assert os.listdir(cache) == []
    # A copy that was damaged, or has been replaced on the server.
    fetched(address)
    open(path, "wb").write(b"damaged")
    assert open(fetched(f"{address}#sha256={HASH}"), "rb").read() == DATA
    with pytest.raises(RemoteError, match="is no hash"):
        fetched(f"{address}#sha256=xyz")


def test_processes_share_one_download(server, cache):
    code = f"from avslowfast.utils.remote import fetched; print(fetched({server.url('x.bin')!r}))"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=dict(os.environ)) for _ in range(3)
    ]
    paths = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(paths) == 1
    assert open(paths.pop().decode().strip(), "rb").read() == DATA
    assert len(os.listdir(cache)) == 1


def test_ranks_that_find_a_damaged_copy_share_one_new_one(server, cache):
    path = fetched(server.url("x.bin"))
    for _ in range(3):
        open(path, "wb").write(b"damaged")
        with ThreadPoolExecutor(8) as pool:
            paths = set(pool.map(fetched, [server.url("x.bin") + f"#sha256={HASH}"] * 8))
        assert paths == {path} and open(path, "rb").read() == DATA and len(os.listdir(cache)) == 1


def test_what_fsspec_opens_is_downloaded_too():
    import fsspec

    with fsspec.filesystem("memory").open("/bucket/x.bin", "wb") as f:
        f.write(DATA)
    path = fetched(f"memory://bucket/x.bin#sha256={HASH}")
    assert open(path, "rb").read() == DATA
    with pytest.raises(RemoteError, match="y.bin: cannot be downloaded"):
        fetched("memory://bucket/y.bin")


def test_unknown_storage_and_missing_packages_are_one_line():
    with pytest.raises(RemoteError, match="nope://x: cannot be opened"):
        filesystem("nope://x")
    with pytest.raises(
        RemoteError, match="dropbox://b/x: cannot be opened .no package dropboxdrivefs.; pip install drop"
    ):
        filesystem("dropbox://b/x")


def test_mistakes_of_a_program_are_not_tried_again():
    calls = []

    def wrong():
        calls.append(1)
        raise TypeError("no")

    with pytest.raises(TypeError):
        retried(wrong, "s3://b/x")
    assert calls == [1]


@pytest.mark.parametrize("folder", ["file/cache", "file"])
def test_a_cache_that_cannot_be_used_is_named_and_not_the_address(tmp_path, monkeypatch, folder):
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("AVSLOWFAST_CACHE", str(tmp_path / folder))
    text = message_of(fetched, "https://127.0.0.1:9/x.pyth")
    assert text.startswith(f"{tmp_path}/{folder}: downloads cannot be kept there") and "set AVSLOWFAST_CACHE" in text


@pytest.mark.parametrize("url", ["s3://", "https:///", "memory://", "https://[::1/x.pyth", "http://"])
def test_addresses_of_nothing_are_refused(url):
    for function in (fetched, filesystem, Store):
        assert message_of(function, url).startswith(f"{url}: ")


def test_the_root_of_this_machine_is_not_the_folder_one_is_in():
    assert Store("/").url == "/"
