"""Shards: what is packed, resumed, verified; webdataset and the readers of every data set read them."""

import os
import signal
import subprocess
import sys
import tarfile

import numpy as np
import PIL.Image
import pytest
import webdataset
from helpers import ROOT
from helpers.lists import cfg_for
from helpers.tools import command

from avslowfast.config import load_cfg
from avslowfast.datasets.base import Listing, Record
from avslowfast.loading import build_dataset
from avslowfast.loading.build import read_listing
from avslowfast.loading.samplers import SampleKey
from avslowfast.media import FrameFolderReader, VideoReader
from avslowfast.media.storage import open_file
from avslowfast.preparation import packing
from avslowfast.synthav import render_dataset
from avslowfast.utils.seeding import generator

SIZE = 1_000_000


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def pack(synthav, out, *more, code=0):
    return command(
        "pack", "SynthAV/AVSLOWFAST_TINY", "--out", str(out), "--size", "1MB", "--name", "av", *more,
        "DATA.PATH_TO_DATA_DIR", str(synthav), code=code,
    )  # fmt: skip


@pytest.fixture(scope="module")
def shards(synthav, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    listings = {split: read_listing(cfg_for(synthav), split) for split in ("train", "val")}
    plan = packing.plan_shards(listings, str(synthav), SIZE, "av")
    assert packing.write_shards(plan, str(out), False, print) == (len(plan.shards), 0)
    packing.write_catalog(plan, str(out))
    assert packing.write_packed_lists(plan, listings, str(out), " ")
    return out, plan


def test_a_training_from_shards_has_the_same_samples(synthav, shards):
    out, plan = shards
    assert len(plan.shards) >= 5
    assert all(os.path.getsize(out / shard) <= SIZE for shard in plan.shards)
    files = build_dataset(cfg_for(synthav), "train")
    by_lists = build_dataset(cfg_for(out), "train")
    by_catalog = build_dataset(cfg_for(synthav, "DATA.PATH_PREFIX", f"{out}/shards.csv#"), "train")
    assert by_lists.class_names == files.class_names
    for number in (0, 9, 31):
        expected = files[SampleKey(number, 1, number)]
        for stored in (by_lists, by_catalog):
            sample = stored[SampleKey(number, 1, number)]
            assert not sample["failures"]
            for name in ("slow", "fast", "audio", "label"):
                np.testing.assert_array_equal(sample[name], expected[name])


def test_webdataset_reads_the_shards(synthav, shards):
    out, plan = shards
    urls = [str(out / shard) for shard in plan.shards if shard.startswith("av-train-")]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode())
    records = {record.path: record.label for record in read_listing(cfg_for(synthav), "train").records}
    assert len(samples) == len(records) == 32
    for sample in samples:
        path = str(synthav / f"{sample['__key__']}.mp4")
        assert sample["mp4"] == open(path, "rb").read()
        assert sample["cls"] == records[path]
        assert sample["json"] == {
            "file": f"{sample['__key__']}.mp4", "records": [{"split": "train", "label": records[path]}],
        }  # fmt: skip
    # Classes do not stand together.
    assert len({sample["cls"] for sample in samples[:8]}) > 3


def test_a_killed_run_resumes_and_packing_is_deterministic(shards, tmp_path):
    out, plan = shards
    pid = os.fork()
    if not pid:
        synced = []

        def sync(descriptor):
            synced.append(descriptor)
            if len(synced) == 3:
                os.kill(os.getpid(), signal.SIGKILL)

        os.fsync = sync
        packing.write_shards(plan, str(tmp_path), False, print)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    there = {path.name for path in tmp_path.iterdir()}
    names = list(plan.shards)
    assert set(names) & there == set(names[:2])
    assert any(".part" in name for name in there)
    # A shard with its name and without its index, and one that was cut short on the disk.
    (tmp_path / names[2]).write_bytes(b"half")
    os.truncate(tmp_path / names[0], 100_000)
    assert packing.write_shards(plan, str(tmp_path), False, print) == (len(names) - 1, 1)
    packing.write_catalog(plan, str(tmp_path))
    expected = contents(out)
    assert contents(tmp_path) == {name: expected[name] for name in expected if name.startswith(("av-", "shards"))}


def test_a_damaged_shard_is_found_and_written_anew(shards, tmp_path):
    out, plan = shards
    packing.write_shards(plan, str(tmp_path), False, print)
    name = list(plan.shards)[1]
    with open(tmp_path / name, "r+b") as f:
        f.seek(5_000)
        f.write(b"damaged")
    said = []
    assert packing.write_shards(plan, str(tmp_path), True, said.append) == (1, len(plan.shards) - 1)
    assert len(said) == 1
    assert name in said[0]
    assert "is damaged" in said[0]
    assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_the_command_packs_says_what_is_missing_and_refuses_another_plan(synthav, tmp_path):
    lists, out = tmp_path / "lists", tmp_path / "out"
    lists.mkdir()
    lines = (synthav / "train.csv").read_text().splitlines()[:8]
    (lists / "train.csv").write_text("\n".join([f"{synthav}/{line}" for line in lines] + ["none.mp4 3"]) + "\n")
    text = pack(lists, out, "--splits", "train", "--verify")
    assert "8 files in" in text
    assert "all verified" in text
    assert f"left out: 1 file; the first is {lists}/none.mp4: cannot be opened (No such file or directory)" in text
    assert "none.mp4" in (out / "problems.csv").read_text()
    assert len((out / "train.csv").read_text().splitlines()) == 8
    assert "there already" in pack(lists, out, "--splits", "train")
    (lists / "train.csv").write_text("\n".join(f"{synthav}/{line}" for line in lines[:4]) + "\n")
    assert "it holds shards of other lists" in pack(lists, out, "--splits", "train", code=2)
    assert not (out / "run.lock").exists()
    held = "import sys; from avslowfast.utils.lock import FolderLock; FolderLock(sys.argv[1]); print(1, flush=True)"
    words = [sys.executable, "-c", f"{held}; input()", str(out)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert f"--out is '{out}': another run is using it" in pack(lists, out, "--splits", "train", code=2)
        other.communicate(b"\n")
    (out / "pack.json").write_text("{")
    assert f"{out}/pack.json: no JSON, or a torn file" in pack(lists, out, "--splits", "train", code=2)
    assert "choose another folder" in pack(lists, lists, "--splits", "train", code=2)


def test_segments_share_their_video_and_any_reader_takes_the_catalog(tmp_path):
    data, out = tmp_path / "epic", tmp_path / "out"
    render_dataset(data, "epic", {"train": 2, "val": 1}, seed=3)
    where = ["DATA.PATH_TO_DATA_DIR", str(data), "DATA.PATH_PREFIX"]
    cfg = load_cfg("SynthAV/EPIC_AVSLOWFAST_TINY", [*where, str(data / "videos")])
    listings = {split: read_listing(cfg, split) for split in ("train", "val")}
    plan = packing.plan_shards(listings, cfg.DATA.PATH_PREFIX, SIZE, "epic")
    packing.write_shards(plan, str(out), True, print)
    packing.write_catalog(plan, str(out))
    assert not packing.write_packed_lists(plan, listings, str(out), " ")
    videos = {record.path for listing in listings.values() for record in listing.records}
    assert len(plan.members) == len(videos) == 3
    assert len(listings["train"].records) > 2
    packed = build_dataset(load_cfg("SynthAV/EPIC_AVSLOWFAST_TINY", [*where, f"{out}/shards.csv#"]), "train")
    files = build_dataset(cfg, "train")
    one, other = files[SampleKey(1, 0, 1)], packed[SampleKey(1, 0, 1)]
    np.testing.assert_array_equal(one["fast"], other["fast"])
    assert not other["failures"]


def test_names_keys_sounds_and_folders_of_frames(synthav, tmp_path):
    video = open(synthav / "train.csv").readline().split(" ")[0]
    data = (synthav / video).read_bytes()
    folder = tmp_path / "videos"
    (folder / "a.b/frames").mkdir(parents=True)
    for name in ("a.b/x.y.mp4", "a.b/x_y.mp4", "a.b/x_y.MKV", "a.b/#1.mp4", "sound.mp4"):
        (folder / name).write_bytes(data)
    rng = generator(0)
    for number in range(3):
        PIL.Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(folder / f"a.b/frames/{number}.png")
    names = ("a.b/x.y.mp4", "a.b/x_y.mp4", "a.b/x_y.MKV", "a.b/#1.mp4")
    records = [Record(f"{folder}/{name}", 0, "") for name in names]
    records.append(Record(f"{folder}/a.b/frames", 0, "", audio_path=f"{folder}/sound.mp4", frame_rate=10.0))
    plan = packing.plan_shards({"train": Listing(records)}, str(folder), SIZE, "odd")
    out = tmp_path / "out"
    packing.write_shards(plan, str(out), True, print)
    packing.write_catalog(plan, str(out))
    keys = [
        sample["__key__"] for sample in webdataset.WebDataset([str(out / s) for s in plan.shards], shardshuffle=False)
    ]
    assert len(keys) == len(set(keys))
    for name in (*names, "sound.mp4"):
        assert open_file(f"{out}/shards.csv#{name}").read() == data
    with VideoReader(f"{out}/{plan.members[f'{folder}/a.b/#1.mp4']}") as reader:
        assert reader.audio
    frames = FrameFolderReader(f"{out}/shards.csv#a.b/frames", 10.0, f"{out}/shards.csv#sound.mp4")
    with frames, FrameFolderReader(folder / "a.b/frames", 10.0) as there:
        np.testing.assert_array_equal(frames.read_frames([0.0, 0.2]).pixels, there.read_frames([0.0, 0.2]).pixels)
    with tarfile.open(out / next(iter(plan.shards))) as tar:
        assert {(info.mtime, info.uid, info.uname) for info in tar} == {(0, 0, "")}
