"""Frames that are too large are refused before they are decoded; of very wide ones only the crops are kept."""

import subprocess
import sys

import av
import numpy as np
import pytest
from helpers import tiny_cfg
from helpers.lists import clip_dataset
from helpers.runs import ENV

from avslowfast.clips import ClipReader
from avslowfast.clips.transforms import only_scale, spatial_crops, view_crops
from avslowfast.config import ConfigError
from avslowfast.datasets import Record
from avslowfast.loading.build import clip_settings
from avslowfast.media import DecodeError, FrameFolderReader, open_media, VideoReader, write_video

# A picture of 256 million pixels is a file of some hundred kilobytes.
SIDE = 16000


def bomb(path):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "gray"
        frame = av.VideoFrame(SIDE, SIDE, "gray")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x.png", "x.mov"])
def test_a_decompression_bomb_is_refused_without_its_memory(tmp_path, name):
    (tmp_path / "frames").mkdir()
    path = tmp_path / ("frames" if name.endswith("png") else "") / name
    bomb(path)
    opened = f"FrameFolderReader({str(path.parent)!r}, 1.0)" if name.endswith("png") else f"VideoReader({str(path)!r})"
    code = f"""
import resource
from avslowfast.media import *
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
try:
    {opened}.read_frames([0.0])
except DecodeError as error:
    print(peak() - before, error)
"""
    done = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True, timeout=200)
    more, message = done.stdout.split(" ", 1)
    assert "DATA.MAX_PIXELS" in message
    assert int(more) < 60


def test_a_limit_of_pixels_holds_for_every_kind_of_file(tmp_path):
    frames = np.zeros((30, 64, 80, 3), np.uint8)
    (tmp_path / "frames").mkdir()
    for name in ("x.mp4", "x.mkv"):
        write_video(tmp_path / name, frames, 15)
    with pytest.raises(DecodeError, match=r"80 x 64 have more than the 5119 pixels of DATA.MAX_PIXELS"):
        open_media(tmp_path / "x.mp4", max_pixels=64 * 80 - 1)
    with open_media(tmp_path / "x.mkv", max_pixels=64 * 80) as reader:
        assert reader.read_frames([0.0, 1.0]).shape == (2, 64, 80, 3)
    with av.open(str(tmp_path / "frames/1.png"), "w") as out:
        stream = out.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "rgb24"
        for packet in (*stream.encode(av.VideoFrame.from_ndarray(frames[0], format="rgb24")), *stream.encode(None)):
            out.mux(packet)
    with FrameFolderReader(tmp_path / "frames", 1.0, max_pixels=5119) as reader:
        with pytest.raises(DecodeError, match="DATA.MAX_PIXELS"):
            reader.read_frames([0.0])


def test_the_key_is_a_counted_failure(tmp_path):
    write_video(tmp_path / "x.mp4", np.zeros((30, 64, 80, 3), np.uint8), 15)
    record = Record(str(tmp_path / "x.mp4"), 0)
    assert "DATA.MAX_PIXELS" in clip_dataset([record], "test", "DATA.MAX_PIXELS", 5000)[0]["failure"]
    assert "failure" not in clip_dataset([record], "test", "DATA.MAX_PIXELS", 5120)[0]
    with pytest.raises(ConfigError, match="DATA.MAX_PIXELS"):
        tiny_cfg("DATA.MAX_PIXELS", 0)


@pytest.mark.parametrize("height, width", [(64, 80), (80, 64), (48, 48), (36, 240), (238, 36), (16, 1000)])
@pytest.mark.parametrize("crops", [1, 3])
def test_crops_are_those_of_the_whole_frame_and_take_no_more_memory(tmp_path, height, width, crops):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (12, height, width, 3), dtype=np.uint8)
    write_video(tmp_path / "x.mp4", frames, 15)
    with VideoReader(tmp_path / "x.mp4") as reader:
        whole = reader.read_frames([0.0, 0.5], only_scale(48)).pixels
        kept = reader.read_frames([0.0, 0.5], view_crops(48, crops)).pixels
    assert kept[0].size <= 3 * 48 * 48 * (1 if crops == 1 else 3)
    expected, found = spatial_crops(whole, 48, crops), spatial_crops(kept, 48, crops)
    assert len(found) == crops
    assert all(np.array_equal(a, b) for a, b in zip(expected, found))
    clip_reader = ClipReader(clip_settings(tiny_cfg()))
    with clip_reader.open(tmp_path / "x.mp4") as reader:
        assert clip_reader.test_views(reader, num_views=2, num_crops=crops)["fast"].shape == (2 * crops, 3, 8, 48, 48)
