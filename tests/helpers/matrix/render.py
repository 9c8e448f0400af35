"""Files of the matrix test, by PyAV: every frame carries its number as bars, every second of sound is its own noise."""

import contextlib
import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE, BITS = 160, 10
SOUND_RATE = 48000
_FAST = {"aac": {"aac_coder": "fast"}}
# Rows of the bars and of their negatives, which must agree: a mixture of two frames is no number.
_BARS, _NEGATIVES = slice(24, 72), slice(88, 136)


@functools.cache
def _texture():
    coarse = np.random.default_rng(5).normal(size=(48, 96)).repeat(8, 0).repeat(8, 1)
    return (128 + 25 * coarse).clip(40, 210).astype(np.uint8)


def coded(number):
    """The frame with this number, RGB [160, 160, 3]: two rows of bars on a texture that moves."""
    x, y = 3 * number % 500, number % 200
    grey = _texture()[y : y + SIZE, x : x + SIZE].copy()
    for bit in range(BITS):
        columns = slice(16 * bit, 16 * bit + 16)
        # The texture shows in the bars too: a block that stays as it is tempts encoders to leave out changes of it.
        high, low = 150 + grey[_BARS, columns] // 4, 16 + grey[_NEGATIVES, columns] // 4
        grey[_BARS, columns], grey[_NEGATIVES, columns] = (high, low) if number >> bit & 1 else (low, high)
    return np.stack([grey, np.roll(grey, 1, 0), grey], axis=2)


def number_of(pixels):
    """The number that a frame carries, RGB or grey; -1 where none can be read."""
    grey = pixels if pixels.ndim == 2 else pixels[..., 1]
    height, width = np.array(grey.shape) / SIZE
    rows = [slice(int((area.start + 8) * height), int((area.stop - 8) * height)) for area in (_BARS, _NEGATIVES)]
    bars, negatives = (grey[row].mean(axis=0) for row in rows)
    number = 0
    for bit in range(BITS):
        inside = slice(int((16 * bit + 4) * width), int((16 * bit + 12) * width))
        difference = bars[inside].mean() - negatives[inside].mean()
        if abs(difference) < 60:
            return -1
        number |= int(difference > 0) << bit
    return number


@functools.cache
def noise(seconds):
    """Noise up to 6 kHz at 48 kHz, another one in each second, float32 [N]."""
    rng = np.random.default_rng(11)
    white = np.fft.rfft(rng.normal(size=int(seconds * SOUND_RATE)))
    white[np.fft.rfftfreq(int(seconds * SOUND_RATE), 1 / SOUND_RATE) > 6000] = 0
    samples = np.fft.irfft(white, int(seconds * SOUND_RATE))
    return (0.2 * samples / samples.std()).clip(-0.9, 0.9).astype(np.float32)


@dataclass(frozen=True)
class Sound:
    """How sound is encoded: the encoder, its sample format is its own choice."""

    encoder: str
    rate: int = SOUND_RATE
    layout: str = "mono"
    by_program: bool = False


@dataclass(frozen=True)
class Picture:
    """How frames are encoded.

    `structures` are the options of each structure; `by_program` means the ffmpeg program, where PyAV lacks an encoder.
    """

    encoder: str
    pix_fmt: str
    structures: dict
    common: tuple = ()
    by_program: bool = False


def program():
    """An ffmpeg program, None without: of the system, or of the package imageio-ffmpeg."""
    found = shutil.which("ffmpeg")
    if not found:
        with contextlib.suppress(ImportError, RuntimeError):
            import imageio_ffmpeg

            found = imageio_ffmpeg.get_ffmpeg_exe()
    return found


@functools.cache
def can_encode(encoder, by_program=False):
    """Whether an encoder is here."""
    if by_program:
        listed = subprocess.run([program(), "-v", "error", "-encoders"], capture_output=True) if program() else None
        return listed is not None and f" {encoder} ".encode() in listed.stdout
    try:
        av.codec.Codec(encoder, "w")
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _packets_of(path, out):
    """(stream of `out`, packet) of the packets of a file with one stream."""
    with av.open(path) as source:
        stream = out.add_stream_from_template(source.streams[0], opaque=True)
        for packet in source.demux(source.streams[0]):
            if packet.size:
                yield stream, packet


def _by_program(out, inputs, options, data):
    """(stream of `out`, packet) of what the ffmpeg program encodes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [program(), "-v", "error", "-nostats", *inputs, "-i", "-", *options, f"{folder}/x.mkv"]
        subprocess.run(command, input=data, check=True, capture_output=True)
        yield from _packets_of(f"{folder}/x.mkv", out)


def render(path, picture, structure, times, fps, format, options, sound, sound_start):
    """Write a file; frame n is shown at times[n].

    Frames are encoded at a constant rate and stamped anew, so that any encoder takes any timing.
    """
    count, rate = len(times), Fraction(fps).limit_denominator(1001)
    stamps = _Stamps(times, float(rate))
    with av.open(str(path), "w", format=format, options=options) as out:
        packets = []
        if picture.by_program:
            data = b"".join(coded(n).tobytes() for n in range(count))
            words = [w for key, value in (*picture.common, *picture.structures[structure]) for w in (f"-{key}", value)]
            source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE}x{SIZE}", "-r", str(rate)]
            target = ["-c:v", picture.encoder, "-pix_fmt", picture.pix_fmt, *words]
            for stream, packet in _by_program(out, source, target, data):
                ordinal = round(float(packet.pts * packet.time_base) * rate)
                packets.append((stream, packet, ordinal, ordinal))
            stream.time_base = 1 / rate
        else:
            packets = list(_encoded(out, picture, structure, count, rate))
        ready = []
        for stream, packet, shown, decoded in packets:
            packet.stream, packet.time_base = stream, Fraction(1, 90000)
            packet.pts, packet.dts = round(90000 * stamps(shown)), round(90000 * stamps(decoded))
            packet.duration = round(90000 * (stamps(shown + 1) - stamps(shown)))
            ready.append((stamps(decoded), packet))
        ready += _sound_packets(out, sound, sound_start, times[-1] - times[0] + 1 / float(rate))
        for _, packet in sorted(ready, key=lambda pair: pair[0]):
            out.mux(packet)


class _Stamps:
    """Time of the frame with a number, which may lie before the first or after the last one."""

    def __init__(self, times, rate):
        self.times, self.rate = times, rate

    def __call__(self, number):
        last = len(self.times) - 1
        if number < 0:
            return self.times[0] + number / self.rate
        return self.times[number] if number <= last else self.times[last] + (number - last) / self.rate


def _encoded(out, picture, structure, count, rate):
    """(stream, packet, number of the frame shown, number for decoding) of all frames."""
    options = dict((*picture.common, *picture.structures[structure]))
    stream = out.add_stream(picture.encoder, rate=rate, options=options)
    stream.width = stream.height = SIZE
    stream.pix_fmt = picture.pix_fmt
    stream.codec_context.thread_count = 1
    stream.codec_context.time_base = 1 / rate
    packets = []
    for number in range(count):
        frame = av.VideoFrame.from_ndarray(coded(number), format="rgb24").reformat(format=picture.pix_fmt)
        frame.pts, frame.time_base = number, 1 / rate
        if structure == "intra":
            frame.pict_type = av.video.frame.PictureType.I
        packets += stream.encode(frame)
    for packet in (*packets, *stream.encode(None)):
        unit = packet.time_base * rate
        yield stream, packet, round(packet.pts * unit), round(packet.dts * unit)


def _sound_packets(out, sound, start, seconds):
    samples = noise(int(seconds) + 1)[: int(seconds * SOUND_RATE)]
    if sound.by_program:
        source = ["-f", "f32le", "-ar", str(SOUND_RATE), "-ac", "1"]
        target = ["-strict", "-2", "-c:a", sound.encoder, "-ar", str(sound.rate), "-ac", "1"]
        return [_moved(p, stream, start) for stream, p in _by_program(out, source, target, samples.tobytes())]
    stream = out.add_stream(
        sound.encoder, rate=sound.rate, layout=sound.layout, options={"strict": "-2", **_FAST.get(sound.encoder, {})}
    )
    stream.bit_rate = 128000
    if stream.codec_context.codec.audio_formats:
        stream.format = stream.codec_context.codec.audio_formats[0]
    resampler = av.AudioResampler(
        format=stream.format, layout=sound.layout, rate=sound.rate, frame_size=stream.codec_context.frame_size or 1024
    )
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.time_base, frame.pts = SOUND_RATE, Fraction(1, SOUND_RATE), 0
    packets = []
    for chunk in (*resampler.resample(frame), *resampler.resample(None)):
        packets += stream.encode(chunk)
    return [_moved(packet, stream, start) for packet in (*packets, *stream.encode(None))]


def _moved(packet, stream, start):
    """(time, packet) of sound that begins at `start`."""
    packet.stream = stream
    offset = round(start / packet.time_base)
    packet.pts = packet.dts = packet.pts + offset
    return float(packet.pts * packet.time_base), packet


__all__ = ["Path", "Picture", "Sound", "can_encode", "coded", "noise", "number_of", "program", "render"]
