"""One run per folder: the lock."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest
from helpers.runs import ENV

from avslowfast.utils.lock import FolderInUseError, FolderLock, LOCK

HOLDER = """
import sys, time
from avslowfast.utils.lock import FolderLock
lock = FolderLock(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], env=ENV, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_run_in_the_folder_is_told_who_uses_it(holder, tmp_path):
    with pytest.raises(FolderInUseError, match=f"process {holder.pid} on "):
        FolderLock(str(tmp_path))


def test_the_lock_of_a_killed_run_is_stale(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert (tmp_path / LOCK).exists()
    with FolderLock(str(tmp_path)):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert not (tmp_path / LOCK).exists()


def test_a_lock_that_may_end_soon_is_waited_for(holder, tmp_path):
    threading.Timer(0.7, holder.kill).start()
    began = time.monotonic()
    with FolderLock(str(tmp_path), patience=20):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert 0.7 < time.monotonic() - began < 15


@pytest.mark.parametrize(("age", "held"), [(5, True), (1000, False)])
def test_a_lock_of_another_machine_counts_while_it_shows_life(tmp_path, age, held):
    path = tmp_path / LOCK
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    os.utime(path, (time.time() - age,) * 2)
    if held:
        with pytest.raises(FolderInUseError, match="process 1 on elsewhere"):
            FolderLock(str(tmp_path))
    else:
        FolderLock(str(tmp_path)).release()


@pytest.mark.parametrize(
    ("job", "restart", "held"), [("7", "1", False), ("7", "0", True), ("8", "1", True), (None, None, True)]
)
def test_a_requeued_job_knows_its_own_lock_of_another_machine(tmp_path, monkeypatch, job, restart, held):
    (tmp_path / LOCK).write_text(json.dumps({"host": "elsewhere", "pid": 1, "job": "7", "restart": "0"}))
    for name, value in (("SLURM_JOB_ID", job), ("SLURM_RESTART_COUNT", restart)):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    if held:
        with pytest.raises(FolderInUseError, match="process 1 on elsewhere"):
            FolderLock(str(tmp_path))
    else:
        FolderLock(str(tmp_path)).release()
