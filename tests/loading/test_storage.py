"""Clips from tar files and servers are those from files, bit for bit, in training and in testing."""

import os
import tarfile

import fsspec
import pytest
import torch
from helpers.lists import cfg_for

from avslowfast.loading import build_dataset
from avslowfast.loading.build import storage_settings
from avslowfast.loading.samplers import SampleKey
from avslowfast.media import storage
from avslowfast.media.remote import UnreachableError
from avslowfast.media.storage import absence


@pytest.fixture
def places(synthav, tmp_path):
    """What DATA.PATH_PREFIX may be for the videos of SynthAV."""
    with tarfile.open(tmp_path / "x.tar", "w") as out:
        for split in ("train", "val"):
            for name in sorted(os.listdir(synthav / split)):
                out.add(synthav / split / name, f"{split}/{name}")
    system = fsspec.filesystem("memory")
    system.put(str(synthav / "train"), "/bucket/clips/train", recursive=True)
    system.put(str(synthav / "val"), "/bucket/clips/val", recursive=True)
    system.put(str(tmp_path / "x.tar"), "/bucket/x.tar")
    yield [f"{tmp_path}/x.tar#", "memory://bucket/clips", "memory://bucket/x.tar#"]
    storage.configure(storage.StorageSettings())


def assert_equal(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[name])
        elif name != "path":
            assert value == other[name]


def test_samples_are_the_same_wherever_the_files_lie(synthav, places, tmp_path):
    keys = [SampleKey(3, epoch, 5) for epoch in (0, 1)]
    for split in ("train", "val"):
        files = build_dataset(cfg_for(synthav), split)
        expected = [files[key] for key in keys]
        for place in places:
            cfg = cfg_for(synthav, "DATA.PATH_PREFIX", place, "STORAGE.CACHE_DIR", str(tmp_path / "blocks"))
            stored = build_dataset(cfg, split)
            for key, sample in zip(keys, expected):
                assert_equal(sample, stored[key])
            assert stored.listing.fingerprint() == files.listing.fingerprint()


def test_one_unreachable_file_is_replaced_and_a_server_that_is_away_ends_the_reading(synthav, tmp_path):
    lines = [f"{synthav}/{line}" for line in (synthav / "train.csv").read_text().splitlines()[:8]]
    away = [f"http://127.0.0.1:9/{number}.mp4 0" for number in range(6)]

    def dataset(split, *lines):
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
        return build_dataset(cfg_for(tmp_path, "STORAGE.RETRIES", 0), split)

    mixed = dataset("train", away[0], *lines)
    for _ in range(5):
        assert [path for path, _ in mixed[SampleKey(0, 0, 0)]["failures"]] == ["http://127.0.0.1:9/0.mp4"]
    with pytest.raises(UnreachableError, match="cannot be read .Cannot connect"):
        dataset("train", *away)[SampleKey(0, 0, 0)]
    validation = dataset("val", *away)
    assert all("Cannot connect" in validation[number]["failure"] for number in range(3))
    with pytest.raises(UnreachableError):
        validation[3]
    storage.configure(storage.StorageSettings())


def test_an_address_in_a_list_stays_as_it_is(synthav, places, tmp_path):
    lines = (synthav / "train.csv").read_text().split("\n")
    (tmp_path / "train.csv").write_text("\n".join([f"memory://bucket/clips/{lines[0]}", f"x.tar#{lines[1]}"]) + "\n")
    stored = build_dataset(cfg_for(tmp_path), "train")
    files = build_dataset(cfg_for(synthav), "train")
    assert stored.records[0].path == f"memory://bucket/clips/{lines[0].split(' ')[0]}"
    for number in (0, 1):
        assert_equal(files[SampleKey(number, 0, number)], stored[SampleKey(number, 0, number)])


def test_options_are_texts_without_secrets(synthav):
    cfg = cfg_for(synthav, "STORAGE.OPTIONS", "[s3.anon=True, s3.client_kwargs.endpoint_url=http://minio:9000]")
    assert storage_settings(cfg).options == {
        "s3": {"anon": True, "client_kwargs": {"endpoint_url": "http://minio:9000"}}
    }
    for option in ("s3.key=AKIA", "s3.client_kwargs.aws_secret_access_key=hush", "s3.Token=hush", "anon=True"):
        with pytest.raises(Exception, match="without a secret"):
            cfg_for(synthav, "STORAGE.OPTIONS", f"[{option}]")


def test_the_look_at_lists_before_a_training_finds_what_is_missing_on_a_server(synthav, places, tmp_path):
    for place in places:
        assert absence(f"{place}/train/000000.mp4") is None
        assert absence(f"{place}/train") is None
        assert absence(f"{place}/train/none.mp4")
    assert absence(str(synthav / "none.mp4")) == ""


def test_lists_may_lie_on_a_server_too(synthav, places):
    system = fsspec.filesystem("memory")
    for name in ("train.csv", "classes.txt"):
        system.put(str(synthav / name), f"/bucket/clips/{name}")
    stored, files = build_dataset(cfg_for("memory://bucket/clips"), "train"), build_dataset(cfg_for(synthav), "train")
    assert stored.class_names == files.class_names
    assert_equal(files[SampleKey(4, 0, 4)], stored[SampleKey(4, 0, 4)])
    with pytest.raises(Exception, match="memory://bucket/clips/val.csv' does not exist"):
        build_dataset(cfg_for("memory://bucket/clips"), "val")
