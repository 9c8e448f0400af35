"""Rendered videos with a flash and a click at known instants."""

import av
import numpy as np

from avslowfast.media import write_video

FLASHES = (0.5, 1.4, 2.6)
# Frame rate of `write_long_video`.
LONG_FPS = 15


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


def write_long_video(folder):
    """Write 20 s whose second n has grey level 10 n + 20 and a tone of 200 + 100 n Hz.

    As a video (x.mp4), as frames (frames/) with an audio file (x.wav), and as a video without audio (silent.mp4).
    """
    fps, rate = LONG_FPS, 16000
    frames = [np.full((64, 80, 3), 20 + 10 * (i // fps), np.uint8) for i in range(20 * fps)]
    t = np.arange(20 * rate) / rate
    audio = (0.4 * np.sin(2 * np.pi * np.cumsum(200 + 100 * np.floor(t)) / rate)).astype(np.float32)
    write_video(folder / "x.mp4", frames, fps, audio, rate, gop=fps, video_start=0.5, audio_start=0.5)
    write_video(folder / "silent.mp4", frames, fps, gop=fps)
    with av.open(str(folder / "x.wav"), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray((audio * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    (folder / "frames").mkdir()
    for i, pixels in enumerate(frames):
        with av.open(str(folder / f"frames/{i + 1:06d}.png"), "w") as out:
            stream = out.add_stream("png", rate=1)
            stream.height, stream.width, stream.pix_fmt = 64, 80, "rgb24"
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            for packet in (*stream.encode(frame), *stream.encode(None)):
                out.mux(packet)
