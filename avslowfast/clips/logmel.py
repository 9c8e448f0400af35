"""Waveform -> log-mel spectrogram -> network input, by the AVSlowFast authors' front end (arXiv 2001.08740).

STFT of 32 ms Hann windows every 16 ms, not centred, power 2 -> 80 mel bands (HTK scale, Slaney norm) -> ln(S + 1e-8).
"""

import copy
import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .spans import spectrogram_indices

_EPS = 1e-8
# Rate that the paper's front end takes, Hz.
_RATE = 16000


def mel_filters(sample_rate: int, n_fft: int, num_mels: int) -> NDArray[np.float64]:
    """Triangular filters of equal area at equal steps of the mel scale 2595 log10(1 + f / 700), up to half the rate.

    Args:
        sample_rate: Rate of the waveforms, Hz.
        n_fft: Samples of a window.
        num_mels: Mel bands.

    Returns:
        [1 + n_fft // 2, num_mels]; the integral of each over the frequency in Hz is 1.
    """
    corners = mel_frequencies(sample_rate, num_mels)
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    frequencies = np.fft.rfftfreq(n_fft, 1 / sample_rate)[:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    filters: NDArray[np.float64] = np.minimum(rising, falling).clip(0) * 2 / (high - low)
    return filters


def mel_frequencies(sample_rate: int, num_mels: int) -> NDArray[np.float64]:
    """Corners and middles of the bands, Hz, ascending [num_mels + 2]: band i reaches from entry i over i + 1 to i + 2.

    Args:
        sample_rate: Rate of the waveforms, Hz.
        num_mels: Mel bands.
    """
    highest = 2595 * np.log10(1 + sample_rate / 2 / 700)
    corners: NDArray[np.float64] = 700 * (10 ** (np.linspace(0, highest, num_mels + 2) / 2595) - 1)
    return corners


class LogMel(nn.Module):
    """Log-mel spectrogram of waveforms, on any device: [..., N] in [-1, 1] -> [..., T, num_mels], natural logarithm.

    Args:
        sample_rate: Rate of the waveforms, Hz.
        window: Length of a window, ms.
        step: From one window to the next, ms.
        num_mels: Mel bands.
    """

    filters: torch.Tensor

    def __init__(self, sample_rate: int = _RATE, window: int = 32, step: int = 16, num_mels: int = 80) -> None:
        super().__init__()
        # What makes no spectrogram does without it.
        import torchaudio

        self.sample_rate = sample_rate
        self.n_fft = sample_rate * window // 1000
        self.hop = sample_rate * step // 1000
        self.spectrogram = torchaudio.transforms.Spectrogram(self.n_fft, hop_length=self.hop, power=2.0, center=False)
        # torchaudio rounds its own to float32 on the way, which moves narrow bands by up to 2e-4 in the logarithm.
        self.register_buffer("filters", torch.from_numpy(mel_filters(sample_rate, self.n_fft, num_mels)).float())

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """[..., N] -> [..., 1 + (N - window) / step, num_mels]."""
        power: torch.Tensor = self.spectrogram(waveform)
        return (power.transpose(-1, -2) @ self.filters + _EPS).log()


class AudioFrontEnd(nn.Module):
    """From the waveform of a clip's span to the audio pathway's input.

    Args:
        sample_rate: Rate of the waveforms, Hz.
        window: Length of a spectrogram window, ms.
        step: From one window to the next, ms.
        num_mels: Mel bands.
        num_frames: Spectrogram frames of the input, picked at equal steps from those of the span.
        mean: Mean of the log-mel values.
        std: Their standard deviation.
    """

    def __init__(
        self,
        sample_rate: int = _RATE,
        window: int = 32,
        step: int = 16,
        num_mels: int = 80,
        num_frames: int = 128,
        mean: float = -7.03,
        std: float = 4.66,
    ) -> None:
        super().__init__()
        self.log_mel = LogMel(sample_rate, window, step, num_mels)
        self.num_frames, self.mean, self.std = num_frames, mean, std

    def with_frames(self, num_frames: int) -> "AudioFrontEnd":
        """The same front end, sharing all tensors, with another number of spectrogram frames."""
        other = copy.copy(self)
        other.num_frames = num_frames
        return other

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """[..., N] -> [..., 1, num_frames, num_mels], normalised."""
        spec: torch.Tensor = self.log_mel(waveform)
        index = torch.as_tensor(spectrogram_indices(spec.shape[-2], self.num_frames), device=spec.device)
        return ((spec.index_select(-2, index) - self.mean) / self.std).unsqueeze(-3)


def log_mel(waveform: Any, sample_rate: float) -> torch.Tensor:
    """Log-mel spectrogram of a mono waveform with the paper's settings.

    Args:
        waveform: [N] floats in [-1, 1], a tensor or an array.
        sample_rate: Its rate in Hz; anything but 16000 is resampled first.

    Returns:
        [T, 80] float32, natural logarithm; 32 ms windows every 16 ms.

    Raises:
        ValueError: Not one-dimensional, or shorter than one window.
    """
    x = torch.as_tensor(waveform, dtype=torch.float32)
    if x.dim() != 1:
        raise ValueError(
            f"log_mel takes a mono waveform [N], but got shape {tuple(x.shape)}; average the channels first"
        )
    if sample_rate != _RATE:
        import torchaudio

        x = torchaudio.functional.resample(x, int(sample_rate), _RATE)
    front = _default_log_mel()
    if len(x) < front.n_fft:
        raise ValueError(
            f"a waveform of {len(x)} samples at 16 kHz is shorter than one window of {front.n_fft}; pad it with silence"
        )
    spec: torch.Tensor = front(x)
    return spec


@functools.lru_cache(maxsize=1)
def _default_log_mel() -> LogMel:
    return LogMel()


def draw_spec_masks(
    rng: np.random.Generator, num_masks: int, max_time: int, max_freq: int, num_frames: int, num_mels: int
) -> torch.Tensor:
    """Draw SpecAugment's masks (arXiv 1904.08779).

    Args:
        rng: Source of the draws.
        num_masks: Masks in time, and as many in frequency.
        max_time: Longest mask in time, spectrogram frames.
        max_freq: Widest mask in frequency, mel bands.
        num_frames: Frames of the spectrogram.
        num_mels: Its mel bands.

    Returns:
        int64 [2 * num_masks, 4]: first frame, frame after the last, first band, band after the last.
    """
    masks = []
    for _ in range(num_masks):
        width = int(rng.integers(0, min(max_time, num_frames) + 1))
        at = int(rng.integers(0, num_frames - width + 1))
        masks.append([at, at + width, 0, num_mels])
        height = int(rng.integers(0, min(max_freq, num_mels) + 1))
        at = int(rng.integers(0, num_mels - height + 1))
        masks.append([0, num_frames, at, at + height])
    return torch.tensor(masks, dtype=torch.int64).reshape(-1, 4)


def apply_spec_masks(spec: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Set the cells inside masks to 0, the mean of normalised values.

    Args:
        spec: Normalised spectrograms [..., 1, T, F].
        masks: As from `draw_spec_masks`, [..., M, 4].

    Returns:
        A new tensor [..., 1, T, F].
    """
    time = torch.arange(spec.shape[-2], device=spec.device)
    freq = torch.arange(spec.shape[-1], device=spec.device)
    in_time = (time >= masks[..., 0, None]) & (time < masks[..., 1, None])
    in_freq = (freq >= masks[..., 2, None]) & (freq < masks[..., 3, None])
    inside = (in_time[..., :, None] & in_freq[..., None, :]).any(dim=-3)
    return spec.masked_fill(inside.unsqueeze(-3), 0.0)
