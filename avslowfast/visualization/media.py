"""What is shown of a file: a strip of frames, its waveform, its spectrogram as an image."""

import os

import numpy as np
import torch
from numpy.typing import NDArray

from ..clips.logmel import log_mel
from ..media import Geometry, MediaReader, VideoReader


def frame_strip(reader: MediaReader, count: int, height: int) -> NDArray[np.uint8]:
    """Frames spread evenly over an open file, in a row.

    Args:
        reader: The open file.
        count: Number of frames.
        height: Of the strip, pixels.

    Returns:
        RGB, [height, W, 3].
    """
    begin, end = reader.video.start, reader.video.end
    times = begin + (end - begin) * (np.arange(count) + 0.5) / count
    frames = reader.read_frames(times, lambda h, w: Geometry((height, max(round(w * height / h), 1))))
    return np.concatenate(list(frames.pixels), axis=1)


def waveform_of(video: str | os.PathLike[str], sample_rate: int = 16000) -> tuple[NDArray[np.float32] | None, float]:
    """The whole audio of a file, mono.

    Args:
        video: The file.
        sample_rate: Hz.

    Returns:
        (samples [N] in [-1, 1], second of the first sample); (None, 0.0) without audio.
    """
    with VideoReader(str(video)) as reader:
        if reader.audio is None:
            return None, 0.0
        start = reader.audio.start
        audio = reader.read_audio(start, reader.audio.duration, sample_rate)
        return (audio.samples if audio.has_audio else None), start


def spectrogram_image(samples: NDArray[np.float32], sample_rate: int = 16000) -> NDArray[np.uint8]:
    """The log-mel spectrogram of a waveform as grey levels; brighter is louder.

    Args:
        samples: Mono, [N] in [-1, 1].
        sample_rate: Hz.

    Returns:
        [T, 80], one row per 16 ms.
    """
    # A waveform shorter than one analysis window is padded with silence.
    padded = np.pad(samples, (0, max(512 - len(samples), 0)))
    spectrogram = log_mel(torch.from_numpy(padded), sample_rate).numpy()
    low, high = np.percentile(spectrogram, (5, 99.5))
    return (255 * np.clip((spectrogram - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)
