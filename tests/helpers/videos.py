"""Rendered videos with a flash and a click at known instants."""

import numpy as np

from avslowfast.media import write_video

FLASHES = (0.5, 1.4, 2.6)


def flash_and_click(path, fps, *, rate=44100, seconds=3.0, audio_seconds=None, layout="mono", **kwargs):
    """A dark video with white frames and a click at FLASHES (counted from the start of each stream)."""
    count = int(seconds * float(fps))
    frames = np.zeros((count, 64, 80, 3), np.uint8)
    for flash in FLASHES:
        frames[int(round(flash * float(fps)))] = 255
    audio = np.zeros(int((audio_seconds or seconds) * rate), np.float32)
    for flash in FLASHES:
        first = int(round(int(round(flash * float(fps))) / float(fps) * rate))
        burst = np.arange(int(0.005 * rate)) / rate
        audio[first : first + len(burst)] = (
            0.9 * np.sin(2 * np.pi * 1500 * burst)[: len(audio[first : first + len(burst)])]
        )
    write_video(path, frames, fps, audio, rate, layout=layout, **kwargs)


def flash_times(reader, begin, end):
    """Instants at which the frame is white, to a millisecond: read on a fine grid, onset of each run."""
    times = np.arange(begin, end, 0.002)
    bright = reader.read_frames(times).pixels.mean(axis=(1, 2, 3)) > 128
    edges = np.flatnonzero(np.diff(bright.astype(int)))
    # The nearest frame is shown from half a frame before its instant to half a frame after it: the middle of a run of
    # white frames is the instant.
    return [(times[a] + times[b]) / 2 + 0.001 for a, b in zip(edges[::2], edges[1::2])]


def click_times(reader, begin, end):
    samples, has_audio = reader.read_audio(begin, end - begin)
    assert has_audio
    loud = np.flatnonzero(np.abs(samples) > 0.25)
    onsets = loud[np.flatnonzero(np.diff(np.concatenate([[-10000], loud])) > 1600)]
    return [begin + n / 16000 for n in onsets]
