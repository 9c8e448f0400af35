"""Log-mel spectrograms against the paper's authors' front end, and what is done to them."""

import librosa
import numpy as np
import pytest
import torch
from helpers import ROOT

from avslowfast.clips import spans as clips
from avslowfast.clips.logmel import apply_spec_masks, AudioFrontEnd, draw_spec_masks, log_mel, mel_filters
from avslowfast.media.sound import resample

GOLDEN = np.load(ROOT / "tests/golden/logmel.npz")


def wave(rate):
    t = np.arange(int(2.5 * rate)) / rate
    noise = 0.02 * np.random.RandomState(11).standard_normal(t.size)
    return (0.3 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * (200 + 800 * t) * t) + noise).astype(
        np.float32
    )


def test_log_mel_equals_the_reference_at_16_khz():
    spec = log_mel(wave(16000), 16000)
    assert spec.shape == (155, 80)
    assert spec.dtype == torch.float32
    assert np.abs(spec.numpy() - GOLDEN["16000"]).max() < 1e-4


@pytest.mark.parametrize("rate", [44100, 48000])
def test_other_rates_come_close(rate):
    for spec in (log_mel(wave(rate), rate), log_mel(resample(wave(rate), rate, 16000), 16000)):
        assert np.abs(spec.numpy() - GOLDEN[str(rate)]).mean() < 0.05


@pytest.mark.parametrize("rate, n_fft, bands", [(16000, 512, 80), (24000, 768, 96), (44100, 1411, 64), (8000, 256, 40)])
def test_mel_filters_are_those_of_librosa(rate, n_fft, bands):
    expected = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands, htk=True, norm="slaney").T
    filters = mel_filters(rate, n_fft, bands)
    # librosa rounds to float32.
    assert filters.shape == expected.shape and np.abs(filters - expected).max() < 2e-7 * expected.max()


def test_log_mel_says_what_it_takes():
    with pytest.raises(ValueError, match="mono"):
        log_mel(np.zeros((2, 16000)), 16000)
    with pytest.raises(ValueError, match="shorter than one window"):
        log_mel(np.zeros(100), 16000)


def test_front_end_is_the_same_for_one_clip_and_a_batch():
    front = AudioFrontEnd()
    x = torch.from_numpy(np.stack([wave(16000)[:34133], wave(16000)[2000:36133]]))
    batch = front(x)
    assert batch.shape == (2, 1, 128, 80)
    torch.testing.assert_close(batch[1], front(x[1]))
    spec = (log_mel(x[0], 16000) + 7.03) / 4.66
    torch.testing.assert_close(batch[0, 0], spec[clips.spectrogram_indices(len(spec), 128)])


def test_spectrogram_frames_are_picked_in_order_without_repeats():
    picked = clips.spectrogram_indices(132, 128)
    assert picked[0] == 0
    assert picked[-1] == 131
    assert (np.diff(picked) >= 1).all()


def test_spec_masks_cover_what_they_say():
    rng = np.random.default_rng(0)
    masks = torch.stack([draw_spec_masks(rng, 2, 20, 10, 128, 80) for _ in range(4)])
    spec = torch.ones(4, 1, 128, 80)
    out = apply_spec_masks(spec, masks)
    for b in range(4):
        expected = torch.ones(128, 80)
        for t0, t1, f0, f1 in masks[b].tolist():
            expected[t0:t1, f0:f1] = 0
            assert t1 - t0 <= 20 or (t0, t1) == (0, 128)
            assert f1 - f0 <= 10 or (f0, f1) == (0, 80)
        assert torch.equal(out[b, 0], expected)
    assert torch.equal(apply_spec_masks(spec[0], masks[0]), out[0])
