"""Recordings of a camera; FFmpeg's test picture stands in for one."""

from fractions import Fraction

import av
import numpy as np
import pytest

from avslowfast.media import DecodeError, VideoReader
from avslowfast.media.sources import record, record_camera


@pytest.mark.parametrize("rate", ["15", "30000/1001", "60"])
def test_a_recording_is_as_long_as_it_took_whatever_the_rate_of_the_camera(tmp_path, rate):
    path, period = tmp_path / "x.mkv", float(1 / Fraction(rate))
    with av.open(f"testsrc=rate={rate}:size=64x48", format="lavfi") as camera:
        record(camera, str(path), 2.0)
    with VideoReader(path) as reader:
        times = [time for time, _ in reader.iter_frames(0.0)]
        assert reader.video.end == pytest.approx(2.0, abs=period)
    # Matroska keeps whole milliseconds.
    np.testing.assert_allclose(times, np.arange(len(times)) * period, atol=0.001)
    assert times[-1] == pytest.approx(2.0 - period, abs=period)


def test_a_machine_without_a_camera_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(DecodeError, match="video=0: no camera could be opened"):
        record_camera(str(tmp_path / "x.mkv"), 1.0)
