"""Rendered files of every container, codec, structure and timing: each frame and each second of sound is the right one.

`tests/helpers/matrix` has the cases and the checks; `report.py` there prints a table of all of them.
"""

from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.matrix.cases import cases, CODECS, CONTAINERS, SOUND_LIMIT_MS
from helpers.matrix.check import check, other_opinion, render_case, straight
from helpers.matrix.render import coded, SIZE

from avslowfast.media import transcode
from benchmarks.torchcodec_clips import executor, load, missing

# One file for each container, codec and structure that behaves in its own way; the rest is slow.
FAST = (
    "mp4-h264-open-steady",
    "mp4-h264-pyramid-steady",
    "mp4-h264-closed-negative",
    "mp4-av1_svt-closed-steady",
    "fmp4-h264-closed-variable",
    "mov-prores-intra-steady",
    "mov-h264-closed-held",
    "mkv-hevc-open-steady",
    "mkv-vp9-closed-steady",
    "webm-vp8-closed-steady",
    "avi-h264-closed-steady",
    "avi-mpeg4-closed-steady",
    "ts-h264-closed-steady",
    "ts-h264-closed-wrap",
    "ts-mpeg2-open-steady",
    "ps-mpeg2-closed-steady",
    "flv-h264-closed-late_sound",
    "ogg-vp8-closed-steady",
)


def is_fast(case):
    return str(case).rsplit("-", 1)[0] in FAST


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=str(case), marks=() if is_fast(case) else pytest.mark.slow) for case in cases()]
)
def test_frames_and_sound(case, tmp_path):
    if case.missing():
        pytest.skip(f"no encoder {', '.join(case.missing())}")
    result = check(case, tmp_path)
    assert result.wrong == []
    assert result.frames > 300
    assert abs(result.sound_ms) <= case.sound_limit_ms
    assert abs(result.prepared_ms) <= SOUND_LIMIT_MS


def test_fast_ones_exist():
    assert {str(case).rsplit("-", 1)[0] for case in cases()} >= set(FAST)


def test_all_containers_and_codecs_are_tried():
    pairs = {(case.container, case.codec) for case in cases()}
    assert {container for container, _ in pairs} == set(CONTAINERS)
    assert {codec for _, codec in pairs} == set(CODECS)


@pytest.fixture(scope="module")
def torchcodec():
    if missing():
        pytest.skip(missing())
    with executor() as pool:
        if reason := pool.submit(load).result():
            pytest.skip(reason)
        yield pool


# What torchcodec answers otherwise, and why; where it is not named here it gives the same frames.
NO_FRAMES = "RuntimeError: Requested next frame while there are no more frames left to decode."
DISAGREEMENTS = {
    # It looks for frames by stamps of decoding, which no frame has.
    "avi-h264-closed-steady": NO_FRAMES,
    # Its seeks end behind the frame, and it does not look earlier.
    "ts-h264-closed-steady": NO_FRAMES,
    "ts-h264-closed-wrap": NO_FRAMES,
    "ts-mpeg2-open-steady": NO_FRAMES,
    "ps-mpeg2-closed-steady": NO_FRAMES,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", [pytest.param(c, id=str(c)) for c in cases() if is_fast(c)])
def test_torchcodec_agrees(case, tmp_path, torchcodec):
    if case.missing():
        pytest.skip(f"no encoder {', '.join(case.missing())}")
    render_case(case, tmp_path)
    assert other_opinion(case, tmp_path, torchcodec) == DISAGREEMENTS.get(str(case).rsplit("-", 1)[0], "")


def test_a_wrong_stamp_loses_no_frame(tmp_path):
    times = np.arange(100) / 25
    times[[50, 77]] += 0.16
    with av.open(str(tmp_path / "x.mkv"), "w") as out:
        stream = out.add_stream("mpeg4", rate=25, options={"b": "3000000", "bf": "0"})
        stream.width = stream.height = SIZE
        frames = [av.VideoFrame.from_ndarray(coded(number), format="rgb24") for number in range(100)]
        packets = [packet for frame in (*frames, None) for packet in stream.encode(frame)]
        for number, packet in enumerate(packets):
            packet.time_base = Fraction(1, 1000)
            packet.pts, packet.dts = round(1000 * times[number]), 40 * number
            out.mux(packet)
    transcode(tmp_path / "x.mkv", tmp_path / "y.mp4")
    assert [number for number, _ in straight(tmp_path / "y.mp4")] == list(range(100))
