"""Waveform -> log-mel spectrogram -> network input (FACTS: the AVSlowFast authors' front end).

STFT of 32 ms Hann windows every 16 ms, not centred, power 2 -> 80 mel bands (HTK scale, Slaney norm) -> ln(S + 1e-8).
"""

import librosa
import torch
import torchaudio
from torch import nn

from .spans import spectrogram_indices

_EPS = 1e-8


class LogMel(nn.Module):
    """Log-mel spectrogram of waveforms, on any device: [..., N] in [-1, 1] -> [..., T, num_mels], natural logarithm.

    Args:
        sample_rate: Hz. window, step: ms.
    """

    def __init__(self, sample_rate=16000, window=32, step=16, num_mels=80):
        super().__init__()
        self.sample_rate = sample_rate
        self.n_fft = sample_rate * window // 1000
        self.hop = sample_rate * step // 1000
        self.mel = torchaudio.transforms.MelSpectrogram(
            sample_rate,
            n_fft=self.n_fft,
            win_length=self.n_fft,
            hop_length=self.hop,
            n_mels=num_mels,
            center=False,
            power=2.0,
            mel_scale="htk",
            norm="slaney",
        )
        # torchaudio rounds the filters to float32 on the way, which moves narrow bands by up to 2e-4 in the logarithm; librosa does not.
        bank = librosa.filters.mel(sr=sample_rate, n_fft=self.n_fft, n_mels=num_mels, htk=True, norm="slaney")
        self.mel.mel_scale.fb.copy_(torch.from_numpy(bank.T))

    def forward(self, waveform):
        """[..., N] -> [..., 1 + (N - window) / step, num_mels]."""
        return (self.mel(waveform) + _EPS).log().transpose(-1, -2)


class AudioFrontEnd(nn.Module):
    """From the waveform of a clip's span to the audio pathway's input.

    Args:
        num_frames: spectrogram frames of the input; picked at equal steps from those of the span.
        mean, std: normalisation of the log-mel values.
    """

    def __init__(self, sample_rate=16000, window=32, step=16, num_mels=80, num_frames=128, mean=-7.03, std=4.66):
        super().__init__()
        self.log_mel = LogMel(sample_rate, window, step, num_mels)
        self.num_frames, self.mean, self.std = num_frames, mean, std

    def forward(self, waveform):
        """[..., N] -> [..., 1, num_frames, num_mels], normalised."""
        spec = self.log_mel(waveform)
        index = torch.as_tensor(spectrogram_indices(spec.shape[-2], self.num_frames), device=spec.device)
        return ((spec.index_select(-2, index) - self.mean) / self.std).unsqueeze(-3)


def log_mel(waveform, sample_rate):
    """Log-mel spectrogram of a mono waveform with the paper's settings.

    Args:
        waveform: [N] floats in [-1, 1]; tensor or array. sample_rate: its rate in Hz; anything but 16000 is resampled first.

    Returns:
        [T, 80] float32, natural logarithm; 32 ms windows every 16 ms.

    Raises:
        ValueError: not one-dimensional, or shorter than a window.
    """
    x = torch.as_tensor(waveform, dtype=torch.float32)
    if x.dim() != 1:
        raise ValueError(
            f"log_mel takes a mono waveform [N], but got shape {tuple(x.shape)}; average the channels first"
        )
    if sample_rate != 16000:
        x = torchaudio.functional.resample(x, int(sample_rate), 16000)
    front = _default_log_mel()
    if len(x) < front.n_fft:
        raise ValueError(
            f"a waveform of {len(x)} samples at 16 kHz is shorter than one window of {front.n_fft}; pad it with silence"
        )
    return front(x)


_DEFAULT = []


def _default_log_mel():
    if not _DEFAULT:
        _DEFAULT.append(LogMel())
    return _DEFAULT[0]


def draw_spec_masks(rng, num_masks, max_time, max_freq, num_frames, num_mels):
    """SpecAugment's masks (arXiv 1904.08779, section 2) as int64 [2 * num_masks, 4]: first and last frame, first and last band."""
    masks = []
    for _ in range(num_masks):
        width = int(rng.integers(0, min(max_time, num_frames) + 1))
        at = int(rng.integers(0, num_frames - width + 1))
        masks.append([at, at + width, 0, num_mels])
        height = int(rng.integers(0, min(max_freq, num_mels) + 1))
        at = int(rng.integers(0, num_mels - height + 1))
        masks.append([0, num_frames, at, at + height])
    return torch.tensor(masks, dtype=torch.int64).reshape(-1, 4)


def apply_spec_masks(spec, masks):
    """Cells inside a mask become 0, the mean of normalised values. spec: [..., 1, T, F]; masks: [..., M, 4]."""
    time = torch.arange(spec.shape[-2], device=spec.device)
    freq = torch.arange(spec.shape[-1], device=spec.device)
    in_time = (time >= masks[..., 0, None]) & (time < masks[..., 1, None])
    in_freq = (freq >= masks[..., 2, None]) & (freq < masks[..., 3, None])
    inside = (in_time[..., :, None] & in_freq[..., None, :]).any(dim=-3)
    return spec.masked_fill(inside.unsqueeze(-3), 0.0)
