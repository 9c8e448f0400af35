"""Sound files: any samples in any format, and words that a small network can tell apart."""

from fractions import Fraction

import av
import numpy as np

# Resonances of the vocal tract at the beginning and at the end of each word, Hz.
WORDS = {
    "ai": ((750, 1200), (350, 2200)),
    "au": ((750, 1200), (350, 800)),
    "ee": ((300, 2300), (300, 2300)),
    "ia": ((300, 2300), (750, 1200)),
    "oo": ((350, 800), (350, 800)),
    "ui": ((350, 800), (300, 2300)),
}
_RATE = 16000


def write_sound(path, samples, rate, *, codec=None, layout="mono", start=0.0, cover=False, format=None, options=None):
    """Write mono samples, copied to every channel, in the format that the ending of the path names."""
    with av.open(str(path), "w", format=format, options=options or {}) as out:
        stream = out.add_stream(codec or out.default_audio_codec, rate=rate, layout=layout, options=options or {})
        packets = _picture(out) if cover else []
        stream.codec_context.open()
        frame = av.AudioFrame.from_ndarray(np.asarray(samples, np.float32)[None], format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), round(start * rate)
        size = stream.codec_context.frame_size or 1024
        converter = av.AudioResampler(stream.codec_context.format, layout, stream.codec_context.rate, size)
        for chunk in (*converter.resample(frame), *converter.resample(None)):
            packets += stream.encode(chunk)
        for packet in packets + stream.encode(None):
            out.mux(packet)


def _picture(out):
    """The packets of a cover."""
    stream = out.add_stream("png", rate=1)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
    stream.disposition = av.stream.Disposition.attached_pic
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
    return stream.encode(frame) + stream.encode(None)


def word(name, rng):
    """0.3 to 0.8 s of a word at 16 kHz: voice, speed, loudness and noise are random."""
    seconds, pitch, size = rng.uniform(0.3, 0.8), rng.uniform(90, 240), rng.uniform(0.9, 1.15)
    t = np.arange(round(seconds * _RATE)) / _RATE
    path = t / seconds
    harmonics = np.arange(1, int(4000 / pitch))[:, None] * pitch * (1 + 0.1 * rng.uniform(-1, 1) * path)
    (low, high), (low_end, high_end) = WORDS[name]
    levels = np.zeros_like(harmonics)
    for begin, end in ((low, low_end), (high, high_end)):
        levels += np.exp(-(((harmonics - size * (begin + (end - begin) * path)) / 150) ** 2))
    voice = (levels * np.sin(2 * np.pi * np.cumsum(harmonics, axis=1) / _RATE)).sum(axis=0)
    voice *= np.sin(np.pi * path) ** 0.5 / np.abs(voice).max()
    return (rng.uniform(0.1, 0.9) * (voice + 0.02 * rng.standard_normal(len(t)))).astype(np.float32).clip(-1, 1)


def write_words(folder, counts, endings=("wav", "flac", "mp3", "m4a", "opus"), seed=0):
    """Words in FOLDER/SPLIT/WORD/N.ENDING, `counts` of each word in each split."""
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for name in WORDS:
            (folder / split / name).mkdir(parents=True)
            for n in range(count):
                ending = endings[n % len(endings)]
                codec = {"opus": "libopus"}.get(ending)
                write_sound(folder / split / name / f"{n}.{ending}", word(name, rng), _RATE, codec=codec)
