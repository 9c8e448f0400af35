"""Copies of a run elsewhere: what is copied when, what a kill leaves, how a run is brought back."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import time

import pytest
from helpers import keys
from helpers.runs import log_of, run
from helpers.servers import s3_server

from avslowfast.checkpoint import states
from avslowfast.checkpoint.mirror import Mirror, MirrorError, restore, Store
from avslowfast.checkpoint.record import BestEntry, read_record, RunRecord, StateEntry
from avslowfast.utils.remote import RemoteError


@pytest.fixture(params=["folder", "s3"])
def store(request, tmp_path, monkeypatch):
    if request.param == "folder":
        yield Store(str(tmp_path / "mirror"))
        return
    pytest.importorskip("s3fs")
    # Servers of one process share their buckets.
    bucket = f"mirror-{secrets.token_hex(4)}"
    with s3_server(monkeypatch, bucket):
        yield Store(f"s3://{bucket}/runs/one")


def write_run(folder, *epochs, best=None, run_id="a-run", settings=None):
    """A folder with states of some epochs, as far as a mirror looks into it."""
    checkpoints = states.checkpoint_dir(folder)
    os.makedirs(checkpoints, exist_ok=True)
    for name in set(os.listdir(checkpoints)) - {f"{epoch}.pyth" for epoch in epochs}:
        os.remove(os.path.join(checkpoints, name))
    record = RunRecord(run_id, settings or {}, states=[StateEntry(f"{epoch}.pyth", epoch, 0) for epoch in epochs])
    for entry in record.states:
        if not os.path.isfile(entry.path(folder)):
            with open(entry.path(folder), "w") as f:
                f.write(f"state of epoch {entry.epoch}")
    if best is not None:
        record.best = BestEntry(states.BEST, best, "top1", 50.0)
        os.link(os.path.join(checkpoints, f"{best}.pyth"), states.best_path(folder))
    record.write(folder)
    return str(folder)


def content(store):
    """{name: bytes} of what lies in a store."""
    system, root = store._open()
    return {name: system.cat_file(f"{root}/{name}") for name in store.sizes()}


def local(folder):
    return {name: open(os.path.join(folder, name), "rb").read() for name in local_names(folder)}


def local_names(folder):
    return [os.path.relpath(os.path.join(d, f), folder) for d, _, files in os.walk(folder) for f in files]


def test_a_run_is_copied_and_what_is_pruned_goes_last(store, tmp_path):
    folder = write_run(tmp_path / "out", 1, 2, 3, best=2)
    for name in ("stdout.log", "somebody's.txt", "checkpoints/other.pyth", "checkpoints/4.1234abcd.part.pyth"):
        (tmp_path / "out" / name).write_text(name)
    (tmp_path / "out/tensorboard/events").mkdir(parents=True)
    (tmp_path / "out/tensorboard/events/1").write_text("curve")
    mirror = Mirror(store.url, folder)
    mirror.sync()
    left = {"somebody's.txt", "checkpoints/other.pyth", "checkpoints/4.1234abcd.part.pyth", "mirror.json"}
    expected = {name: data for name, data in local(folder).items() if name not in left}
    assert content(store) == expected
    assert {"checkpoints/checkpoint_best.pyth", "tensorboard/events/1", "run.json"} <= set(expected)
    # Nothing has changed, also for another process.
    copied = mirror.copied
    mirror.sync()
    again = Mirror(store.url, folder)
    again.sync()
    assert (mirror.copied, again.copied) == (copied, 0)
    # A state is gone, another one is there.
    write_run(folder, 3, 4, best=4)
    again.sync()
    names = {name for name in content(store) if name.startswith("checkpoints/")}
    assert names == {"checkpoints/3.pyth", "checkpoints/4.pyth", "checkpoints/checkpoint_best.pyth"}
    assert content(store)["checkpoints/checkpoint_best.pyth"] == b"state of epoch 4"
    # 4.pyth, the best one, the record.
    assert again.copied == 3


def test_what_the_mirror_has_lost_is_copied_again(store, tmp_path):
    folder = write_run(tmp_path / "out", 1, 2)
    Mirror(store.url, folder).sync()
    store.remove("checkpoints/1.pyth")
    Mirror(store.url, folder).sync()
    assert "checkpoints/1.pyth" in store.sizes()


def test_a_mirror_belongs_to_one_run(store, tmp_path):
    Mirror(store.url, write_run(tmp_path / "first", 1, run_id="first")).sync()
    before = content(store)
    other = write_run(tmp_path / "second", 1, 2, run_id="second")
    with pytest.raises(MirrorError, match="holds the run first, not second"):
        Mirror(store.url, other).sync()
    with pytest.raises(MirrorError, match="holds the run first"):
        restore(store, other, lambda record: None)
    assert content(store) == before


def test_a_run_is_brought_back_where_its_copies_are_further(store, tmp_path):
    folder = write_run(tmp_path / "out", 1, 2, best=1)
    (tmp_path / "out/metrics.jsonl").write_text("{}\n")
    Mirror(store.url, folder).sync()
    expected = {name: data for name, data in local(folder).items() if name != "mirror.json"}
    empty = str(tmp_path / "empty")
    assert restore(store, empty, lambda record: None).id == "a-run"
    assert local(empty) == expected
    # An earlier disk of the same run.
    stale = write_run(tmp_path / "stale", 1)
    assert restore(store, stale, lambda record: None) is not None
    assert local(stale) == expected
    # A later one stays as it is.
    ahead = write_run(tmp_path / "ahead", 3)
    assert restore(store, ahead, lambda record: None) is None
    assert os.listdir(states.checkpoint_dir(ahead)) == ["3.pyth"]


def test_a_store_that_is_away_does_not_begin_a_run_anew_but_lets_one_resume(tmp_path, caplog, monkeypatch):
    pytest.importorskip("s3fs")
    monkeypatch.setattr("avslowfast.utils.remote.PAUSE", 0.01)
    with s3_server(monkeypatch, "away"):
        pass
    store = Store("s3://away/x")
    with pytest.raises(RemoteError):
        restore(store, str(tmp_path / "empty"), lambda record: None)
    with caplog.at_level("WARNING", logger="avslowfast"):
        assert restore(store, write_run(tmp_path / "out", 1), lambda record: None) is None
    assert "is used as it is" in caplog.text


def test_failures_are_counted_and_tried_again(tmp_path, caplog):
    folder = write_run(tmp_path / "out", 1)
    blocked = tmp_path / "mirror"
    blocked.write_text("no folder")
    mirror = Mirror(str(blocked), folder, pause=0.01)
    with caplog.at_level("WARNING", logger="avslowfast"):
        mirror.want()
        until(lambda: mirror.failures >= 2)
        blocked.unlink()
        assert mirror.close(60)
    assert "not copied (failure 1, next try in" in caplog.text
    assert "run.json" in Store(str(blocked)).sizes()


def test_an_end_waits_as_long_as_it_may(tmp_path, caplog):
    blocked = tmp_path / "mirror"
    blocked.write_text("no folder")
    mirror = Mirror(str(blocked), write_run(tmp_path / "out", 1), pause=0.01)
    mirror.want()
    with caplog.at_level("WARNING", logger="avslowfast"):
        assert not mirror.close(0.2)
    assert "not everything was copied within 0.2 s" in caplog.text
    blocked.unlink()
    until(lambda: not mirror._thread.is_alive())


def test_a_kill_in_the_middle_of_a_copy_leaves_no_half_file(tmp_path):
    folder = write_run(tmp_path / "out", 1)
    size = 1 << 30
    with open(os.path.join(folder, "checkpoints/1.pyth"), "wb") as f:
        f.truncate(size)
    target = tmp_path / "mirror/checkpoints"
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            Mirror(str(tmp_path / "mirror"), folder).sync()
        os._exit(0)
    until(lambda: target.is_dir() and any(target.iterdir()))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    names = os.listdir(target)
    assert len(names) == 1
    assert names[0].endswith(".part")
    assert os.path.getsize(target / names[0]) < size
    # The next process removes it, and copies.
    os.truncate(os.path.join(folder, "checkpoints/1.pyth"), 100)
    Mirror(str(tmp_path / "mirror"), folder).sync()
    assert os.listdir(target) == ["1.pyth"]


def test_a_mirror_in_the_folder_itself_is_refused(tmp_path):
    folder = write_run(tmp_path / "out", 1)
    for inside in (folder, os.path.join(folder, "test")):
        with pytest.raises(MirrorError, match="it lies in OUTPUT_DIR"):
            restore(Store(inside), folder, lambda record: None)


def test_a_training_resumes_from_its_mirror_when_its_disk_is_lost(tmp_path, synthav):
    words = keys(
        "TRAIN.BATCH_SIZE 16 SOLVER.WARMUP_EPOCHS 0 BN.USE_PRECISE_STATS False TEST.ENABLE False LOG_MODEL_INFO False "
        "DATA_LOADER.NUM_WORKERS 0 TRAIN.CHECKPOINT_PERIOD 1 RESNET.WIDTH_PER_GROUP 8 TRAIN.CHECKPOINT_KEEP 1"
    )
    out, mirror = tmp_path / "out", tmp_path / "mirror"
    args = ["DATA.PATH_TO_DATA_DIR", str(synthav), "OUTPUT_DIR", str(out), "TRAIN.MIRROR", str(mirror), *words]
    run(args, "SOLVER.MAX_EPOCH", 1)
    names = set(local_names(out)) - {"mirror.json", "run.lock"}
    assert set(local_names(mirror)) == names
    assert {name: local(mirror)[name] for name in names - {"stdout.log"}} == {
        name: local(out)[name] for name in names - {"stdout.log"}
    }
    run_id = read_record(out).id
    shutil.rmtree(out)
    run(args, "SOLVER.MAX_EPOCH", 2)
    assert f"resumed from {states.checkpoint_path(str(out), 1, 0)}" in log_of(out)
    assert read_record(out).id == run_id == json.loads((mirror / "run.json").read_text())["id"]
    # The curve is whole, the pruned state is gone there too.
    assert (out / "epochs.csv").read_text() == (mirror / "epochs.csv").read_text()
    assert sorted(os.listdir(mirror / "checkpoints")) == sorted(os.listdir(out / "checkpoints"))
    shutil.rmtree(out)
    message = run(args, *keys("SOLVER.MAX_EPOCH 2 MODEL.ARCH slowfast"), code=2).stderr
    assert "TRAIN.MIRROR is" in message
    assert "MODEL.ARCH ('avslowfast', now 'slowfast')" in message


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
