"""Memory of the demo over a file of hours."""

import os
import subprocess
import sys
from fractions import Fraction

import av
import numpy as np
import pytest
from helpers.runs import ENV

from avslowfast.media import VideoReader, write_video

RATE, FPS = 8000, 2


def write_hours(folder, hours):
    """A minute of noise in both streams, again and again."""
    rng = np.random.default_rng(0)
    # Whole frames of AAC, and of the video.
    seconds = Fraction(1024 * 500, RATE)
    frames = rng.integers(0, 255, (int(seconds * FPS), 48, 64, 3), dtype=np.uint8)
    write_video(folder / "minute.mp4", frames, FPS, 0.3 * rng.standard_normal(1024 * 499), RATE, gop=20)
    with av.open(str(folder / "minute.mp4")) as source, av.open(str(folder / "hours.mp4"), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        packets = [(p, bytes(p)) for p in source.demux() if p.size]
        for number in range(round(hours * 3600 / seconds)):
            for packet, data in packets:
                shift, copy = round(number * seconds / packet.time_base), av.Packet(data)
                copy.stream, copy.time_base, copy.is_keyframe = (
                    streams[packet.stream_index],
                    packet.time_base,
                    packet.is_keyframe,
                )
                copy.pts, copy.dts, copy.duration = packet.pts + shift, packet.dts + shift, packet.duration
                out.mux(copy)
    return folder / "minute.mp4", folder / "hours.mp4"


def peak_of_demo(weights, source, out):
    """Largest memory of the process, MB."""
    words = ("demo", "--weights", weights, "--input", source, "--output", out, "--step", 20, "--short-side", 48)
    child = subprocess.Popen([sys.executable, "-m", "avslowfast", *map(str, words)], env=ENV, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.slow
def test_the_demo_needs_no_more_memory_for_hours_than_for_a_minute(trained, tmp_path):
    minute, hours = write_hours(tmp_path, 3)
    with VideoReader(hours) as reader:
        assert reader.video.duration > 3 * 3600 - 60
        assert reader.audio.duration > 3 * 3600 - 60
    short, long = (peak_of_demo(trained, path, tmp_path / f"{path.stem}/out.mp4") for path in (minute, hours))
    print(f"peak {short:.0f} MB for a minute, {long:.0f} MB for three hours")
    assert long < short + 100
    # Libraries, first of all torch, take most of it: a process that only imports them is left out.
    code = "import resource, torch, torchaudio; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    imports = int(subprocess.check_output([sys.executable, "-c", code], env=ENV)) / 1024
    assert long - imports < 600
