"""Mixup and CutMix."""

import numpy as np
import pytest
import torch

from avslowfast.tasks.losses import cross_entropy
from avslowfast.tasks.mixing import Mixing


def _batch():
    torch.manual_seed(0)
    inputs = {
        "slow": torch.randn(4, 3, 2, 20, 20),
        "fast": torch.randn(4, 3, 4, 20, 20),
        "audio": torch.randn(4, 1, 40, 10),
        "audio_mask": torch.tensor([True, False, True, False]),
    }
    return inputs, torch.tensor([0, 1, 2, 3])


def test_mixup_mixes_frames_audio_and_labels_with_one_share():
    inputs, labels = _batch()
    out, soft = Mixing(0.8, 0.0, 1.0, 0.5, 0.0, 5)(inputs, labels, np.random.default_rng(0))
    share = soft[0, 0].item()
    for name in ("slow", "fast", "audio"):
        torch.testing.assert_close(out[name], share * inputs[name] + (1 - share) * inputs[name].flip(0))
    torch.testing.assert_close(soft.sum(1), torch.ones(4))
    assert soft[0, 3].item() == pytest.approx(1 - share)
    assert out["audio_mask"].all()


def test_cutmix_takes_the_share_that_the_labels_say_from_the_partner():
    inputs, labels = _batch()
    for seed in range(8):
        out, soft = Mixing(0.0, 1.0, 1.0, 0.5, 0.0, 5)(inputs, labels, np.random.default_rng(seed))
        kept = soft[0, 0].item()
        same = (out["fast"][0] == inputs["fast"][0]).float().mean().item()
        assert same == pytest.approx(kept, abs=1e-5)
        kept_of_fast, kept_of_slow = (out[name][:, :, 0] == inputs[name][:, :, 0] for name in ("fast", "slow"))
        assert torch.equal(kept_of_fast, kept_of_slow)
        assert (out["audio"][0] == inputs["audio"][0]).float().mean().item() == pytest.approx(kept, abs=0.02)
    one_hot = torch.nn.functional.one_hot(labels, 5).float()
    logits = torch.randn(4, 5)
    torch.testing.assert_close(cross_entropy(logits, one_hot), torch.nn.functional.cross_entropy(logits, labels))
