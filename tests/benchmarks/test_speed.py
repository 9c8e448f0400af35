"""Speed is guarded by counts: frames decoded and converted, opens, forwards, waits for the device, compilations."""

import json
import os
import subprocess
import sys

import av
import numpy as np
import pytest
import torch
from helpers import ROOT, tiny_cfg
from helpers.lists import cfg_for, clip_dataset
from helpers.networks import count_convolutions, is_audio, make

from avslowfast.datasets import Record
from avslowfast.engine.meeting import wait_until
from avslowfast.loading import build_dataset
from avslowfast.loading.collate import collate_eval
from avslowfast.media import Geometry, VideoReader, write_video
from avslowfast.media.pixels import Scaler, shown_size
from avslowfast.models import build_model
from avslowfast.tasks.build import build_task
from avslowfast.utils.batches import chunks
from benchmarks import baselines, data
from benchmarks.step import CountSynchronisations, Stepper
from benchmarks.torchcodec_clips import missing

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def site_video(tmp_path_factory):
    """Eight seconds as video sites encode them: with non-reference frames, a key frame every four seconds."""
    path = tmp_path_factory.mktemp("site") / "x.mp4"
    yy, xx = np.mgrid[0:96, 0:128]
    frames = [
        np.stack(
            [
                127 + 90 * np.sin((xx + 3 * i) / 17),
                127 + 90 * np.sin((yy - 2 * i) / 11),
                np.full_like(xx, 40 + i % 150),
            ],
            2,
        ).astype(np.uint8)
        for i in range(240)
    ]
    write_video(path, frames, 30, np.zeros(8 * 16000, np.float32), 16000, gop=120, preset="medium")
    return path


@pytest.fixture
def opened(monkeypatch):
    """The files that are opened, in order."""
    found, original = [], av.open
    monkeypatch.setattr(av, "open", lambda *args, **kwargs: found.append(args) or original(*args, **kwargs))
    return found


def plain(reader, times):
    """The nearest frames, decoding everything on the way."""
    frames, found = reader.iter_frames(times[0]), []
    before, after = None, next(frames, None)
    for time in times:
        while after is not None and after[0] < time:
            before, after = after, next(frames, None)
        nearest = min((f for f in (before, after) if f is not None), key=lambda f: abs(f[0] - time))
        # Real files may have pixels that are not square.
        found.append(Scaler().convert(nearest[1], shown_size(nearest[1], reader.pixel_aspect)))
    return np.stack(found)


@pytest.mark.parametrize(
    "times",
    [2.0 + np.arange(16) / 15, 5.0 + np.arange(8) / 30, np.linspace(0, 7.9, 40), [0.0, 3.97, 4.03, 7.95], [3.0] * 3],
)
def test_the_plan_gives_the_frames_that_decoding_all_gives_and_decodes_fewer(site_video, times):
    with VideoReader(site_video) as reader:
        expected = plain(reader, times)
        before, reader.decoded_frames = reader.decoded_frames, 0
        np.testing.assert_array_equal(reader.read_frames(times), expected)
        assert len(np.unique(times)) <= reader.decoded_frames <= before
        if len(times) == 16:
            # From the key frame at 0 on 92 frames lie on the way; unwanted non-reference frames are not decoded.
            assert before >= 90 and reader.decoded_frames <= 0.75 * before


def test_groups_of_pictures_without_a_wanted_frame_are_not_decoded(tmp_path):
    frames = np.random.RandomState(0).randint(0, 255, (240, 32, 48, 3), np.uint8)
    write_video(tmp_path / "x.mp4", frames, 30, gop=30)
    with VideoReader(tmp_path / "x.mp4") as reader:
        reader.read_frames([0.1, 3.9, 7.8])
        # Three seconds of the eight hold something: at most their beginnings.
        assert reader.decoded_frames < 70


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    ["flipping_a_pancake.mkv", "nasa_13013.mp4", "big_buck_bunny_30s.webm", "av1_video.mkv", "test_non_zero_start.mp4"],
)
def test_the_plan_gives_the_frames_of_real_files_too(shared, name):
    with VideoReader(shared / "clips" / name) as reader:
        length = reader.video.end - reader.video.start
        for begin, step, count in ((0.3, 1 / 15, 20), (0.55, 0.031, 9), (0.0, 0.25, 40)):
            times = reader.video.start + begin * length * 0.9 + step * np.arange(count)
            times = times[times < reader.video.end + 0.2]
            np.testing.assert_array_equal(reader.read_frames(times), plain(reader, times))


def test_leaving_out_the_loop_filter_is_for_training_alone_and_changes_little(site_video):
    def pictures(split, skip):
        return clip_dataset([Record(str(site_video))], split, "DATA.SKIP_LOOP_FILTER", skip)[0]["fast"].float()

    assert 0 < (pictures("train", False) - pictures("train", True)).abs().mean() < 6
    assert torch.equal(pictures("test", False), pictures("test", True))


def test_only_what_is_shown_is_converted(site_video, monkeypatch):
    converted, original = [], Scaler.write
    monkeypatch.setattr(Scaler, "write", lambda *args: converted.append(1) or original(*args))
    with VideoReader(site_video) as reader:
        reader.read_frames(2.0 + np.arange(16) / 15)
        assert len(converted) == 16
        # Two instants in one frame are one conversion.
        reader.read_frames([3.0, 3.001, 3.002])
        assert len(converted) == 17


def test_thirty_views_open_and_decode_a_video_once(site_video, opened):
    cfg = tiny_cfg("TEST.NUM_ENSEMBLE_VIEWS", 10, "TEST.NUM_SPATIAL_CROPS", 3)
    found = data.opens_per_video(cfg, site_video)
    assert found["opens"] == 1 and found["frames"] <= found["frames_in_file"] == 240
    # The last one is the count of frames in the file.
    assert len(opened) == 2


def test_a_training_clip_opens_its_file_once(synthav, opened):
    build_dataset(
        cfg_for(synthav, "DATA.GET_MISALIGNED_AUDIO", True, "DATA.MIX_NEG_EPOCH", 0, "DATA.EASY_NEG_RATIO", 0.0),
        "train",
    )[0]
    assert len(opened) == 1


def test_several_clips_of_a_file_share_what_is_decoded(site_video):
    def geometry(height, width):
        return Geometry((48, 64), (5, 7, 32, 40))

    requests = [
        (2.0 + np.arange(16) / 15, None),
        (1.5 + np.arange(16) / 15, geometry),
        (3.1 + np.arange(4) / 5, geometry),
    ]
    with VideoReader(site_video) as reader:
        apart = []
        for times, choose in requests:
            apart.append(reader.read_frames(times, choose))
        alone, reader.decoded_frames = reader.decoded_frames, 0
        together = reader.read_clips(requests)
        assert all(np.array_equal(a, b) for a, b in zip(apart, together))
        assert reader.decoded_frames < 0.6 * alone


def test_repeated_augmentation_opens_a_file_once(synthav, opened):
    build_dataset(cfg_for(synthav, "AUG.NUM_SAMPLE", 4), "train")[0]
    assert len(opened) == 1


@pytest.mark.parametrize("kind", ["a2fs", "a2f2s", "av_nonlocal"])
def test_the_crops_of_a_clip_share_one_audio_forward(kind):
    model, inputs = make("LATERAL.AUDIO", kind, "DATA.AUDIO_FRAME_NUM", 128, "SLOWFAST.AU_ALPHA", 32, batch=6)
    model.eval()
    index = torch.tensor([0, 0, 0, 1, 1, 1])
    shared = {**inputs, "audio": inputs["audio"][:2], "audio_mask": torch.tensor([True, False]), "audio_index": index}
    apart = {**inputs, "audio": inputs["audio"][:2][index], "audio_mask": shared["audio_mask"][index]}
    with torch.no_grad():
        found = {}
        seen = count_convolutions(model, lambda: found.update(scores=model(shared)["scores"]))
        torch.testing.assert_close(found["scores"], model(apart)["scores"], atol=1e-6, rtol=0)
        a, b = model.pooled_features(shared), model.pooled_features(apart)
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in b)
    assert {n for name, n in seen if name.startswith("pathways.audio")} == {2} and {
        n for name, n in seen if name.startswith("pathways.slow")
    } == {6}


def test_a_test_gives_the_scores_of_the_usual_way(synthav):
    cfg = cfg_for(synthav, "TEST.NUM_ENSEMBLE_VIEWS", 3, "TEST.NUM_SPATIAL_CROPS", 3)
    dataset, model = build_dataset(cfg, "test"), build_model(cfg).eval()
    batch = collate_eval([dataset[0], dataset[1]])
    assert batch["audio_index"].tolist() == np.arange(6).repeat(3).tolist() and len(batch["audio"]) == 6
    with torch.no_grad():
        # Pieces that cut through a clip's crops.
        scores = torch.from_numpy(build_task(cfg, CPU).scores(model, batch, 4).only)
    for i in range(2):
        usual = baselines.scores(model, baselines.views(dataset.records[i].path, dataset.clip_reader.settings), 4)
        assert (scores[9 * i : 9 * i + 9] - usual).abs().max() < 1e-5


def test_chunks_hold_the_audio_that_their_clips_hear():
    batch = {
        "fast": torch.arange(7),
        "audio": torch.tensor([10, 20, 30]),
        "audio_index": torch.tensor([0, 0, 1, 1, 1, 2, 2]),
        "path": ["x"],
    }
    for piece in chunks(batch, 7, 3):
        assert (
            torch.equal(piece["audio"][piece["audio_index"]], 10 * (1 + batch["audio_index"][piece["fast"]]))
            and "path" not in piece
        )
    assert [len(p["audio"]) for p in chunks(batch, 7, 3)] == [2, 2, 1]


@pytest.mark.parametrize("drop", [True, False])
def test_a_step_never_waits_for_the_device(drop):
    stepper = Stepper(tiny_cfg("RESNET.WIDTH_PER_GROUP", 8), CPU, 4)
    stepper.data["audio_hard_negative"] = torch.randn_like(stepper.inputs["audio"][:2])
    stepper.data["audio_hard_negative_index"] = torch.tensor([1, 3])
    stepper.data["audio_mask"] = torch.tensor([True, True, False, True])
    stepper.step(drop)
    with CountSynchronisations() as count:
        stepper.step(drop)
    assert count.names == []


def test_the_network_that_steps_are_measured_against_computes_the_same():
    model, inputs = make()
    model.eval()
    with torch.no_grad():
        torch.testing.assert_close(baselines.network(model)(inputs)["scores"], model(inputs)["scores"])


def test_the_count_of_waits_counts():
    with CountSynchronisations() as count:
        torch.ones(3).sum().item()
        torch.ones(3).nonzero()
    assert len(count.names) == 2


@pytest.mark.slow
def test_a_dropped_and_a_kept_step_are_two_graphs_and_no_more():
    from torch._dynamo.testing import CompileCounter

    torch._dynamo.reset()
    stepper = Stepper(tiny_cfg("RESNET.WIDTH_PER_GROUP", 8), CPU, 3)
    counter = CompileCounter()
    compiled = torch.compile(stepper.model, backend=counter, fullgraph=True)
    for seed, drop in enumerate((False, True, False, True, True, False)):
        torch.manual_seed(seed)
        compiled({name: torch.randn_like(value) for name, value in stepper.inputs.items()}, drop_audio=drop)
    assert counter.frame_count == 2
    torch._dynamo.reset()


@pytest.mark.slow
def test_hard_negatives_that_come_and_go_add_graphs_for_none_one_and_several():
    from torch._dynamo.testing import CompileCounter

    torch._dynamo.reset()
    stepper = Stepper(tiny_cfg("RESNET.WIDTH_PER_GROUP", 8, "TRAIN.COMPILE", True), CPU, 4)
    counter, counts = CompileCounter(), []
    compiled = torch.compile(stepper.model, backend=counter, fullgraph=True)
    for hard in (2, 3, 0, 1, 4, 2, 1, 0, 3):
        for drop in (False, True):
            extra = (
                {
                    "audio_hard_negative": torch.randn_like(stepper.inputs["audio"][:hard]),
                    "audio_hard_negative_index": torch.arange(hard),
                }
                if hard
                else {}
            )
            stepper.task.losses(compiled, {**stepper.data, **extra}, drop, 0)
        counts.append(counter.frame_count)
    assert counts[-1] == counts[4] == 6
    torch._dynamo.reset()


def test_freed_memory_is_kept_for_the_next_step():
    script = """
import resource, sys, torch
from avslowfast.utils.memory import keep_freed_memory
kept = sys.argv[1] == "kept" and keep_freed_memory()
def step():
    return [torch.ones(10_000_000) for _ in range(5)]
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    outcome = {}
    for way in ("kept", "given back"):
        outcome[way] = subprocess.run(
            [sys.executable, "-c", script, way], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.split()
    if outcome["kept"][0] == "False":
        pytest.skip("the C library is not glibc")
    # 40 MB are 9,766 pages.
    assert int(outcome["kept"][1]) < 500 and int(outcome["given back"][1]) > 5 * 5 * 9000


def test_without_avs_a_dropped_step_runs_no_audio(synthav):
    model, inputs = make("SLOWFAST.AVS_FLAG", [False] * 5)
    assert not [name for name, _ in count_convolutions(model, lambda: model(inputs, drop_audio=True)) if is_audio(name)]


@pytest.mark.slow
def test_the_benchmark_measures_and_prints(tmp_path):
    tool = [sys.executable, str(ROOT / "tools/benchmark.py")]
    cfg = [
        "--cfg",
        str(ROOT / "configs/SynthAV/AVSLOWFAST_TINY.yaml"),
        "--data",
        str(tmp_path),
        "--repeats",
        "1",
        "--videos",
        "1",
    ]
    for what, extra in (
        ("loader", ["--against", "naive", *([] if missing() else ["--against", "torchcodec"])]),
        ("decode", []),
        ("step", []),
        ("profile", []),
        ("test", ["--against", "usual", "TEST.NUM_ENSEMBLE_VIEWS", "2", "TEST.NUM_SPATIAL_CROPS", "3"]),
    ):
        done = subprocess.run([*tool, what, *cfg, *extra], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout.strip().split("\n")[-1])["rows"]
        assert len(rows) >= 2 and all(row.get("seconds_per_clip", row.get("seconds")) > 0 for row in rows)
        if what == "test":
            assert rows[0]["largest_difference"] < 1e-5


def test_measuring_processes_end_with_a_program_that_is_killed(tmp_path):
    code = "import os, time\nfrom benchmarks.measure import processes\npool = processes(1, 'fork')\n"
    code += "print(pool.submit(os.getpid).result(), flush=True)\ntime.sleep(60)\n"
    program = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    pid = int(program.stdout.readline())
    assert os.path.exists(f"/proc/{pid}")
    program.kill()
    program.wait()
    assert wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 20)
