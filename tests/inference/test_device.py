"""Where networks compute, and in which precision."""

import numpy as np
import pytest
import torch
from helpers.tools import command

import avslowfast
from avslowfast.inference.explain import explain
from avslowfast.inference.load import DeviceError
from avslowfast.inference.scoring import score_clips

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@pytest.mark.parametrize("given", ["cuda:99", "gpu", "meta:x", 1.5])
def test_a_device_that_is_not_there_is_named_before_anything_is_read(given):
    with pytest.raises(
        DeviceError, match=r"device is '.*', which cannot be used \(.*\); this machine has cpu"
    ) as error:
        avslowfast.load_model("no/such/file.pyth", device=given)
    assert "\n" not in str(error.value)


def test_a_precision_that_there_is_not_is_named():
    with pytest.raises(DeviceError, match="precision is 'fp8'; use one of float32, bf16"):
        avslowfast.load_model("SynthAV/AVSLOWFAST_TINY", precision="fp8")


def test_bf16_rounds_scores_and_leaves_the_weights_alone(network, synthav):
    exact, _ = avslowfast.load_model(network.meta.source)
    rounded, _ = avslowfast.load_model(network.meta.source, precision="bf16")
    assert {p.dtype for p in rounded.parameters()} == {torch.float32}
    clips = exact.meta.preprocess(synthav / "test/000003.mp4")
    a, b = (score_clips(model, clips).only for model in (exact, rounded))
    assert np.abs(a - b).max() > 0 and np.allclose(a, b, atol=0.03)
    assert explain(rounded, {name: value[:1] for name, value in clips.items()}).visual.max() == pytest.approx(1)


def test_commands_take_device_and_precision(network, synthav):
    words = ["predict", "--weights", network.meta.source, "--topk", 16, synthav / "test/000003.mp4"]
    for precision in ("float32", "bf16"):
        assert command(*words, "--device", "cpu", "--precision", precision).count("%") == 16
    assert "device is 'cuda:99'" in command(*words, "--device", "cuda:99", code=2)


@GPU
@pytest.mark.gpu
@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-5), ("bf16", 0.03)])
def test_scores_of_a_gpu_are_those_of_the_cpu(network, synthav, precision, tolerance):
    cpu, _ = avslowfast.load_model(network.meta.source, device="cpu")
    gpu, _ = avslowfast.load_model(network.meta.source, precision=precision)
    assert next(gpu.parameters()).is_cuda
    clips = cpu.meta.preprocess(synthav / "test/000003.mp4")
    assert np.allclose(score_clips(cpu, clips).only, score_clips(gpu, clips).only, atol=tolerance)
    one = {name: value[:1] for name, value in clips.items()}
    a, b = explain(cpu, one, class_id=2), explain(gpu, one, class_id=2)
    assert a.score == pytest.approx(b.score, abs=tolerance)
    assert np.allclose([*a.contributions.values()], [*b.contributions.values()], atol=tolerance)
