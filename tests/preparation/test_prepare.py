"""Prepared videos: visual and audio stay in sync, key frames every second, incomplete downloads, interrupted runs."""

import csv
import os
import subprocess
import sys

import av
import numpy as np
import pytest
from helpers import REAL_CLIPS, ROOT, tiny_cfg
from helpers.videos import click_times, flash_and_click, flash_times

from avslowfast.config import load_cfg
from avslowfast.loading import build_dataset
from avslowfast.media import DecodeError, Geometry, open_media, transcode, VideoReader, write_video
from avslowfast.media.transcode import target_size
from avslowfast.synthav import render_clip, render_dataset
from avslowfast.synthav.render import SAMPLE_RATE


def key_frames(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [float(p.pts * p.time_base) for p in container.demux(stream) if p.is_keyframe and p.pts is not None]


@pytest.mark.parametrize("suffix, codec", [("mp4", "aac"), ("mkv", "libopus"), ("mov", "pcm_s16le"), ("mkv", "flac")])
@pytest.mark.parametrize("video_start, audio_start", [(0.0, 0.0), (0.0, 0.3), (0.3, 0.0)])
def test_frames_and_audio_keep_their_times(tmp_path, suffix, codec, video_start, audio_start):
    flash_and_click(
        tmp_path / f"a.{suffix}", 25, rate=48000, audio_codec=codec, video_start=video_start, audio_start=audio_start
    )
    written = transcode(tmp_path / f"a.{suffix}", tmp_path / "b.mp4", 48)
    assert written.has_audio and not written.damaged_packets
    with VideoReader(tmp_path / f"a.{suffix}") as old, VideoReader(tmp_path / "b.mp4") as new:
        for times in (flash_times, click_times):
            before, after = times(old, 0.0, 3.6), times(new, 0.0, 3.6)
            assert len(before) == len(after) == 3 and max(abs(a - b) for a, b in zip(before, after)) < 0.020
        assert new.read_frames([1.0]).shape == (1, 48, 60, 3)


def test_a_key_frame_every_second_whatever_the_frame_rate(tmp_path):
    for fps in (15, 24, 60):
        frames = np.random.RandomState(0).randint(0, 255, (4 * fps, 64, 96, 3), np.uint8)
        write_video(tmp_path / "a.mp4", frames, fps, gop=400)
        transcode(tmp_path / "a.mp4", tmp_path / "b.mp4", 32)
        assert np.allclose(key_frames(tmp_path / "b.mp4"), [0, 1, 2, 3], atol=1e-3)


@pytest.mark.parametrize("rate, written", [(4000, 7350), (22255, 24000), (44100, 44100), (768000, 48000)])
def test_audio_of_a_rate_that_the_encoder_does_not_take_is_resampled(tmp_path, rate, written):
    frames, tone = np.zeros((50, 32, 32, 3), np.uint8), np.sin(2 * np.pi * 300 * np.arange(2 * rate) / rate)
    write_video(tmp_path / "a.mkv", frames, 25, 0.5 * tone, rate, audio_codec="pcm_s16le")
    assert not transcode(tmp_path / "a.mkv", tmp_path / "b.mp4").audio_problem
    with VideoReader(tmp_path / "b.mp4") as reader:
        samples, _ = reader.read_audio(0.5, 1.0)
        assert reader.audio.rate == written and abs(np.fft.rfft(samples)).argmax() == 300


def test_a_part_of_a_movie_begins_at_zero(tmp_path):
    frames = [np.full((48, 64, 3), 20 + 20 * (i // 15), np.uint8) for i in range(150)]
    t = np.arange(160000) / 16000
    audio = (0.5 * np.sin(2 * np.pi * np.cumsum(300 + 100 * np.floor(t)) / 16000)).astype(np.float32)
    write_video(tmp_path / "a.mkv", frames, 15, audio, 16000, gop=50)
    transcode(tmp_path / "a.mkv", tmp_path / "b.mp4", span=(4.0, 7.0))
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert abs(reader.video.start) < 0.05 and abs(reader.video.end - 3.0) < 0.1
        grey = reader.read_frames([0.5, 1.5, 2.5]).pixels.mean(axis=(1, 2, 3))
        assert np.allclose(grey, [100, 120, 140], atol=4)
        samples, _ = reader.read_audio(1.3, 0.4)
        assert abs(np.fft.rfft(samples).__abs__().argmax() / 0.4 - 800) < 5
    with pytest.raises(DecodeError, match="no frame in it between 20 and 30 s"):
        transcode(tmp_path / "a.mkv", tmp_path / "c.mp4", span=(20.0, 30.0))
    assert not [name for name in os.listdir(tmp_path) if name.startswith("c.mp4")]


def test_a_gap_in_the_audio_moves_nothing_after_it(tmp_path):
    rate = 16000
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        for _ in range(75):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        out.mux(video.encode(None))
        # A second of tone, half a second of nothing at all, then a click 0.2 s later.
        for start, samples in (
            (0.0, 0.1 * np.sin(np.arange(rate) / 5)),
            (1.5, np.where(np.arange(rate) // 40 == 80, 0.9, 0.0)),
        ):
            frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, int(start * rate)
            out.mux(audio.encode(frame))
    transcode(tmp_path / "a.mkv", tmp_path / "b.mp4")
    with VideoReader(tmp_path / "b.mp4") as reader:
        assert abs(click_times(reader, 0.0, 2.9)[-1] - 1.7) < 0.02


def test_sizes_are_even_and_never_grow():
    assert (
        target_size(1080, 1920, 256) == (256, 456)
        and target_size(1920, 1080, 256) == (456, 256)
        and target_size(101, 81, 256) == (100, 80)
    )


@pytest.mark.shared
@pytest.mark.parametrize("name", REAL_CLIPS)
def test_real_files_are_prepared(shared, tmp_path, name):
    path = shared / "clips" / name
    written = transcode(path, tmp_path / "x.mp4", 96)
    with VideoReader(path) as old, VideoReader(tmp_path / "x.mp4") as new:
        assert abs(old.video.start - new.video.start) < 0.04 and abs(old.video.end - new.video.end) < 0.11
        assert (old.audio is None) == (new.audio is None) == (not written.has_audio)
        middle = (old.video.start + old.video.end) / 2
        size = new.read_frames([middle]).shape[1:3]
        # Rotated as it is shown, and the same frame.
        a = old.read_frames([middle], lambda h, w: Geometry(size))[0].astype(float)
        assert np.abs(a - new.read_frames([middle])[0]).mean() < 12


def prepare(*args, code=0):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/prepare_data.py"), *map(str, args)], capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def counts(text, split="all"):
    lines = [line.split() for line in text.split("\n")]
    head = next(i for i, line in enumerate(lines) if line[:1] == ["videos"])
    row = next(line for line in lines[head + 1 :] if line[:1] == [split])
    return dict(zip(lines[head], map(int, row[1:])))


@pytest.fixture(scope="module")
def kitchens(tmp_path_factory):
    """An incomplete download of SynthAV-EPIC.

    One video is missing, one truncated, one in another container and folder, and in one a packet is damaged.
    """
    folder = tmp_path_factory.mktemp("epic")
    render_dataset(folder, "epic", {"train": 4, "val": 2}, seed=3)
    os.remove(folder / "videos/P02/P02_01.MP4")
    data = (folder / "videos/P03/P03_01.MP4").read_bytes()
    (folder / "videos/P03/P03_01.MP4").write_bytes(data[:100])
    os.makedirs(folder / "videos/elsewhere")
    os.rename(folder / "videos/P04/P04_01.MP4", folder / "videos/elsewhere/P04_01.mkv")
    with av.open(folder / "videos/P27/P27_01.MP4") as container:
        packet = list(container.demux(video=0))[20]
    data = bytearray((folder / "videos/P27/P27_01.MP4").read_bytes())
    data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    (folder / "videos/P27/P27_01.MP4").write_bytes(data)
    return folder


def test_an_incomplete_download_is_prepared_counted_and_read(kitchens, tmp_path):
    args = (
        "epic55",
        "--annotations",
        kitchens,
        "--videos",
        kitchens / "videos",
        "--out",
        tmp_path / "out",
        "--short-side",
        48,
        "--jobs",
        2,
    )
    text = prepare(*args, "--check")
    assert counts(text) == {"videos": 6, "found": 5, "missing": 1} and not (tmp_path / "out/videos").exists()
    text = prepare(*args)
    assert (
        counts(text) == {"videos": 6, "prepared": 4, "missing": 1, "unreadable": 1}
        and counts(text, "train")["videos"] == 6
    )
    assert "not looked at: s1" in text and "DATA.PATH_PREFIX" in text
    rows = list(csv.DictReader(open(tmp_path / "out/problems.csv")))
    assert sorted((os.path.basename(row["path"]), row["state"]) for row in rows) == [
        ("P02_01.MP4", "missing"),
        ("P03_01.MP4", "unreadable"),
        ("P27_01.MP4", "prepared"),
    ]
    damaged = next(row for row in rows if row["state"] == "prepared")
    assert damaged["reason"] == "1 damaged packet left out"
    # Given again it does nothing that is done; a truncated file is tried again.
    stamp = os.path.getmtime(tmp_path / "out/videos/P01/P01_01.MP4")
    text = prepare(*args)
    assert counts(text) == {"videos": 6, "there": 4, "missing": 1, "unreadable": 1}
    rows = list(csv.DictReader(open(tmp_path / "out/problems.csv")))
    assert {**damaged, "state": "there"} in rows and len(rows) == 3
    assert os.path.getmtime(tmp_path / "out/videos/P01/P01_01.MP4") == stamp
    samples = []
    for prefix in (kitchens / "videos", tmp_path / "out/videos"):
        folders = ["DATA.PATH_TO_DATA_DIR", str(kitchens), "DATA.PATH_PREFIX", str(prefix)]
        dataset = build_dataset(load_cfg(ROOT / "configs/SynthAV/EPIC_AVSLOWFAST_TINY.yaml", folders), "train")
        record = next(record for record in dataset.records if "P01_01" in record.path)
        with open_media(record.path) as reader:
            samples.append(dataset.clip_reader.test_views(reader, span=record.span))
    old, new = samples
    assert (old["fast"].float() - new["fast"].float()).abs().mean() < 8 and (
        old["audio"] - new["audio"]
    ).abs().mean() < 0.25


def test_kinetics_lists_are_made_from_what_the_crawler_wrote(tmp_path):
    rows = [
        ("b act", "vid1", 3, "train"),
        ("a act", "vid2", 0, "train"),
        ("a act", "vid3", 7, "train"),
        ("b act", "vid4", 1, "val"),
    ]
    for split in ("train", "val"):
        with open(tmp_path / f"kinetics-400_{split}.csv", "w") as f:
            f.write("label,youtube_id,time_start,time_end,split,is_cc\n")
            f.writelines(
                f"{label},{vid},{start},{start + 10},{split},0\n" for label, vid, start, part in rows if part == split
            )
    clip = render_clip("pairs", 0, "train", 0)
    os.makedirs(tmp_path / "downloaded/anywhere")
    for _, vid, start, _ in [rows[0], rows[1], rows[3]]:
        write_video(
            tmp_path / f"downloaded/anywhere/{vid}_{start:06d}_{start + 10:06d}.mkv",
            clip.frames,
            15,
            clip.audio,
            SAMPLE_RATE,
        )
    text = prepare(
        "kinetics400", "--annotations", tmp_path, "--videos", tmp_path / "downloaded", "--out", tmp_path / "k"
    )
    assert counts(text) == {"videos": 4, "prepared": 3, "missing": 1} and "test.csv holds the validation videos" in text
    assert (
        tmp_path / "k/lists/train.csv"
    ).read_text() == "b act/vid1_000003_000013.mp4 1\na act/vid2_000000_000010.mp4 0\n"
    assert (tmp_path / "k/lists/classes.txt").read_text() == "a act\nb act\n"
    dataset = build_dataset(
        tiny_cfg(
            "DATA.PATH_TO_DATA_DIR",
            str(tmp_path / "k/lists"),
            "DATA.PATH_PREFIX",
            str(tmp_path / "k/videos"),
            "MODEL.NUM_CLASSES",
            2,
        ),
        "test",
    )
    assert dataset.class_names == ["a act", "b act"] and dataset[0]["label"] == 1 and "fast" in dataset[0]


def test_downloads_without_a_known_video_are_one_line(kitchens, tmp_path):
    text = prepare("epic55", "--annotations", kitchens, "--videos", tmp_path, "--out", tmp_path / "out", code=2)
    assert "not one of the 6 videos" in text and "Traceback" not in text
    text = prepare("ucf101", "--annotations", tmp_path, "--videos", tmp_path, "--out", tmp_path / "out", code=2)
    assert "no label files of ucf101" in text and "classInd.txt' does not exist" in text


def test_downloads_of_which_none_can_be_prepared_are_one_line(tmp_path):
    (tmp_path / "train.csv").write_text("label,youtube_id,time_start,time_end,split\na,x,0,10,train\n")
    (tmp_path / "x_000000_000010.mp4").write_bytes(b"torn")
    args = ("kinetics400", "--annotations", tmp_path, "--videos", tmp_path, "--out", tmp_path / "out", "--jobs", 1)
    text = prepare(*args, code=2)
    assert f"error: {tmp_path}: not one of its videos could be prepared" in text and "Next" not in text
    assert "torn" not in text and (tmp_path / "out/problems.csv").read_text().count("unreadable") == 1
