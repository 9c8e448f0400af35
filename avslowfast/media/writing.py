"""Frames and audio -> a video file."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from .streams import file_url, PathLike


def write_video(
    path: PathLike,
    frames: Iterable[NDArray[np.uint8]],
    frame_rate: float | Fraction,
    audio: NDArray[Any] | None = None,
    sample_rate: int | None = None,
    *,
    video_start: float = 0.0,
    audio_start: float = 0.0,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    gop: int | None = None,
    layout: str = "mono",
    preset: str = "ultrafast",
) -> None:
    """Encode frames and audio into a file; its ending determines the format.

    Args:
        path: The file to write.
        frames: RGB, uint8 [T, H, W, 3], or an iterable of [H, W, 3].
        frame_rate: Frames per second.
        audio: float [N] (copied to every channel) or [channels, N] in [-1, 1]; None writes no audio stream.
        sample_rate: Of the audio, Hz; needed with `audio`.
        video_start: Presentation time of the first frame, seconds.
        audio_start: Presentation time of the first sample, seconds.
        video_codec: Name of FFmpeg's encoder.
        audio_codec: Name of FFmpeg's encoder.
        gop: Frames from one key frame to the next; None leaves it to the encoder.
        layout: Channel layout of the audio, e.g. "stereo", "5.1", "7.1".
        preset: Of x264; "medium" makes files like those of video sites, with frames that no other frame refers to.

    Raises:
        ValueError: Audio without its sample rate, or with another number of channels than the layout.
    """
    if audio is not None and sample_rate is None:
        raise ValueError("write_video needs the sample_rate of the audio")
    rate = Fraction(frame_rate).limit_denominator(100000)
    with av.open(file_url(path), "w") as out:
        audio_stream = None
        if audio is not None and sample_rate is not None:
            options = {"aac_coder": "fast"} if audio_codec == "aac" else {}
            stream = out.add_stream(audio_codec, rate=sample_rate, layout=layout, options=options)
            assert isinstance(stream, AudioStream)
            audio_stream = stream
        options = {"preset": preset, "crf": "20"} if video_codec == "libx264" else {}
        packets = _encode_frames(out, frames, rate, video_start, video_codec, options, gop)
        if audio is not None and sample_rate is not None and audio_stream is not None:
            packets += _encode_audio(audio_stream, np.atleast_2d(audio), sample_rate, audio_start, layout)
        for packet in sorted(packets, key=_decoding_time):
            out.mux(packet)


def _decoding_time(packet: Packet) -> float:
    return float((packet.dts or 0) * packet.time_base)


def _encode_frames(
    out: OutputContainer,
    frames: Iterable[NDArray[np.uint8]],
    rate: Fraction,
    start: float,
    codec: str,
    options: dict[str, str],
    gop: int | None,
) -> list[Packet]:
    """Packets of a new video stream."""
    stream: VideoStream | None = None
    packets: list[Packet] = []
    for i, pixels in enumerate(frames):
        if stream is None:
            added = out.add_stream(codec, rate=rate, options=options)
            assert isinstance(added, VideoStream)
            stream = added
            stream.height, stream.width = pixels.shape[:2]
            stream.codec_context.thread_count = 1
            stream.pix_fmt = "yuv420p"
            if gop:
                stream.codec_context.gop_size = gop
            # Finer than a frame, so that any start is exact to a millisecond.
            unit = rate.numerator * 1000 // np.gcd(rate.numerator * 1000, rate.denominator)
            stream.codec_context.time_base = Fraction(1, int(unit))
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.time_base = stream.codec_context.time_base
        frame.pts = round((start + i / rate) / frame.time_base)
        packets += stream.encode(frame)
    if stream is None:
        raise ValueError("write_video needs at least one frame")
    return packets + stream.encode(None)


def _encode_audio(stream: AudioStream, audio: NDArray[Any], rate: int, start: float, layout: str) -> list[Packet]:
    """Packets of audio [channels or 1, N]."""
    channels = stream.codec_context.layout.nb_channels
    if len(audio) not in (1, channels):
        raise ValueError(f"the audio has {len(audio)} channels, the layout {layout} has {channels}")
    packed = np.ascontiguousarray(np.broadcast_to(audio, (channels, audio.shape[1])).T, dtype=np.float32).reshape(1, -1)
    converter = av.AudioResampler(
        format=stream.codec_context.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size or 1024
    )
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    frame.pts = round(start * rate)
    packets: list[Packet] = []
    for chunk in (*converter.resample(frame), *converter.resample(None)):
        packets += stream.encode(chunk)
    return packets + stream.encode(None)
