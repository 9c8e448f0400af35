"""What only a GPU can show: the same numbers as on a CPU, overlap, precision, compilation. Run with `-m gpu`."""

import json
import os

import pytest
import torch
from helpers import tiny_cfg
from helpers.runs import output_of, run

from avslowfast.engine.prefetch import prefetched
from avslowfast.loading import build_loader
from benchmarks.step import Stepper

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")]

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def exact_float32():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def stepper(device, *keys, batch=4, hard=True, compile_it=False):
    cfg = tiny_cfg("RESNET.WIDTH_PER_GROUP", 16, "NUM_GPUS", int(device.type == "cuda"), *keys)
    made = Stepper(cfg, device, batch, compile_it)
    torch.manual_seed(0)
    made.data.update({name: torch.randn(value.shape).to(device) for name, value in made.inputs.items()})
    made.data["label"] = torch.arange(batch).to(device)
    if hard:
        made.data["audio_hard_negative"] = torch.randn(2, *made.inputs["audio"].shape[1:]).to(device)
        made.data["audio_hard_negative_index"] = torch.tensor([1, 3]).to(device)
        made.data["audio_mask"] = torch.tensor([True, True, False, True]).to(device)
    return made


def losses_and_gradients(made, drop):
    made.model.zero_grad()
    losses = made.task.losses(made.run, made.data, drop, 0)
    losses["loss"].backward()
    gradients = {name: p.grad.float().cpu() for name, p in made.model.named_parameters() if p.grad is not None}
    return {name: float(value) for name, value in losses.items()}, gradients


def assert_same(a, b, tolerance):
    assert a[0].keys() == b[0].keys()
    assert a[1].keys() == b[1].keys()
    for name in a[0]:
        assert a[0][name] == pytest.approx(b[0][name], rel=tolerance, abs=tolerance), name
    for name in a[1]:
        scale = max(float(b[1][name].abs().max()), 1e-3)
        assert float((a[1][name] - b[1][name]).abs().max()) < 20 * tolerance * scale, name


@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize(
    "keys", [(), ("TRAIN.CHANNELS_LAST", True), ("TRAIN.AUDIO_STREAM", True), ("BN.NORM_TYPE", "sync_batchnorm")]
)
def test_a_step_on_a_gpu_computes_what_a_cpu_computes(drop, keys):
    assert_same(losses_and_gradients(stepper(GPU, *keys), drop), losses_and_gradients(stepper(CPU), drop), 1e-4)


@pytest.mark.parametrize("lateral", ["a2fs", "a2f2s", "av_nonlocal"])
def test_audio_on_a_stream_of_its_own_changes_nothing(lateral):
    keys = ("LATERAL.AUDIO", lateral)
    parallel, inline = (stepper(GPU, *keys, "TRAIN.AUDIO_STREAM", on) for on in (True, False))
    for drop in (False, True, False, False, True) * 4:
        a, b = losses_and_gradients(parallel, drop), losses_and_gradients(inline, drop)
        assert_same(a, b, 1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lower_precision_stays_near(dtype):
    made = stepper(GPU, "TRAIN.MIXED_PRECISION", True, "AMP.DTYPE", dtype, "TRAIN.CHANNELS_LAST", True)
    with made.autocast():
        low = made.task.losses(made.run, made.data, False, 0)
    exact = losses_and_gradients(stepper(GPU), False)[0]
    assert all(float(value) == pytest.approx(exact[name], rel=0.1, abs=0.05) for name, value in low.items())


@pytest.mark.parametrize("drop", [True, False])
def test_a_step_never_waits_for_the_gpu(drop):
    made = stepper(GPU, "TRAIN.AUDIO_STREAM", True)
    for _ in range(3):
        made.step(drop)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        made.step(drop)
        with pytest.raises(RuntimeError):
            made.data["label"].sum().item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_compiled_step_computes_the_same():
    compiled, eager = stepper(GPU, "TRAIN.COMPILE", True, compile_it=True), stepper(GPU)
    for drop in (False, True):
        assert_same(losses_and_gradients(compiled, drop), losses_and_gradients(eager, drop), 1e-3)


def test_prefetched_batches_are_the_loader_s(synthav):
    cfg = tiny_cfg("DATA.PATH_TO_DATA_DIR", str(synthav), "DATA_LOADER.NUM_WORKERS", 1, "TRAIN.BATCH_SIZE", 4)
    plain, ahead = list(build_loader(cfg, "train")), list(prefetched(build_loader(cfg, "train"), GPU))
    assert len(plain) == len(ahead)
    for a, b in zip(plain, ahead):
        assert b["fast"].is_cuda
        assert a["path"] == b["path"]
        assert all(torch.equal(value, b[name].cpu()) for name, value in a.items() if isinstance(value, torch.Tensor))


@pytest.mark.parametrize(
    "keys",
    [
        (),
        ("TRAIN.MIXED_PRECISION", True, "TRAIN.CHANNELS_LAST", True, "TRAIN.AUDIO_STREAM", True),
        ("DATA.LOGMEL_ON_DEVICE", True),
    ],
)
def test_a_whole_run_on_a_gpu(run_args, keys):
    run(run_args, "NUM_GPUS", 1, *keys)
    results = json.load(open(os.path.join(output_of(run_args), "results.json")))
    assert results["videos"] == 16
    assert results["failed"] == []
