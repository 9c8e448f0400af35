"""Where the parts of a test clip lie in its source: the crop in the frame, rows and bands of the spectrogram."""

import numpy as np
from numpy.typing import NDArray

from . import spans
from .logmel import mel_frequencies
from .settings import AudioSettings, ClipSettings
from .transforms import view_crops


def crop_box(settings: ClipSettings, height: int, width: int) -> tuple[float, float, float, float]:
    """Where the centre crop of testing lies in the frames of a source.

    Args:
        settings: How a video becomes clips.
        height: Of the frames as they are shown, pixels.
        width: Of the frames as they are shown, pixels.

    Returns:
        (x1, y1, x2, y2) in pixels of the source, which may be fractions.
    """
    geometry = view_crops(settings.test_crop, 1)(height, width)
    scaled_height, scaled_width = geometry.size
    top, left, rows, columns = geometry.crop or (0, 0, *geometry.size)
    across, down = width / scaled_width, height / scaled_height
    return left * across, top * down, (left + columns) * across, (top + rows) * down


def row_times(settings: ClipSettings, audio: AudioSettings, start: float) -> NDArray[np.float64]:
    """Presentation times of the middles of the rows of a clip's spectrogram, seconds, ascending [T].

    Args:
        settings: How a video becomes clips.
        audio: Its audio.
        start: Presentation time of the clip's first frame, seconds.
    """
    begin, length = spans.audio_span(start, settings.duration, audio.num_frames, audio.window, audio.step)
    available = int((length - audio.window) / audio.step + 1 + 1e-6)
    rows = spans.spectrogram_indices(available, audio.num_frames).astype(np.float64)
    return begin + rows * audio.step + audio.window / 2


def spectrogram_span(settings: ClipSettings, audio: AudioSettings, start: float) -> tuple[float, float]:
    """Where a picture of a clip's spectrogram begins and ends, half a row beyond the middles of its rows, seconds.

    Args:
        settings: How a video becomes clips.
        audio: Its audio.
        start: Presentation time of the clip's first frame, seconds.
    """
    times = row_times(settings, audio, start)
    half = (times[-1] - times[0]) / (len(times) - 1) / 2
    return float(times[0] - half), float(times[-1] + half)


def band_frequencies(audio: AudioSettings) -> NDArray[np.float64]:
    """Middles of the bands of the spectrogram, Hz, ascending [F].

    Args:
        audio: Audio settings.
    """
    return mel_frequencies(audio.sample_rate, audio.num_mels)[1:-1]
