"""Data sets: samples, failures, views, order, loaders."""

import numpy as np
import pytest
import torch
from helpers import MULTIGRID, tiny_cfg
from helpers.lists import cfg_for, copy_lists

from avslowfast.config import ConfigError, derived
from avslowfast.loading import build_dataset, build_loader
from avslowfast.loading.samplers import EvalSampler, SampleKey, TrainBatchSampler, VideoOrder
from avslowfast.media import DecodeError, VideoReader, write_video
from avslowfast.models import build_model
from avslowfast.synthav.render import render_clip


def test_a_training_sample_has_what_the_network_takes(synthav):
    cfg = cfg_for(synthav)
    sample = build_dataset(cfg, "train")[0]
    assert sample["slow"].shape == (3, 4, 48, 48)
    assert sample["fast"].shape == (3, 8, 48, 48)
    assert sample["fast"].dtype == torch.uint8
    assert sample["audio"].shape == (1, 64, 40)
    assert bool(sample["audio_mask"])
    assert int(sample["label"]) == 0
    assert int(sample["index"]) == 0
    assert torch.equal(sample["slow"][:, 0], sample["fast"][:, 0])
    assert abs(sample["audio"].mean()) < 3
    assert 0.1 < sample["audio"].std() < 3
    scores = build_model(cfg).eval()({k: sample[k][None] for k in ("slow", "fast", "audio")})["scores"]
    assert scores.shape == (1, 16)


def test_samples_depend_on_seed_epoch_and_index_alone(synthav):
    a, b = build_dataset(cfg_for(synthav), "train"), build_dataset(cfg_for(synthav), "train")
    key = SampleKey(5, 3, 17)
    assert torch.equal(a[key]["fast"], b[SampleKey(5, 3, 2)]["fast"])
    assert not torch.equal(a[key]["fast"], b[SampleKey(5, 4, 17)]["fast"])


def test_repeated_augmentation_gives_several_clips_of_each_video(synthav):
    one, three = (build_dataset(cfg_for(synthav, "AUG.NUM_SAMPLE", n), "train") for n in (1, 3))
    key = SampleKey(5, 3, 17)
    clips = three[key]
    assert all(torch.equal(clips[0][name], one[key][name]) for name in ("slow", "fast", "audio", "label"))
    assert len({float(clip["start"]) for clip in clips}) == 3
    assert len({clip["fast"].float().mean().item() for clip in clips}) == 3
    # Each is what its start and its draws say, whatever else was read from the open file.
    with VideoReader(one.records[5].path) as reader:
        assert torch.equal(clips[2]["audio"], one.clip_reader.audio_inputs(reader, float(clips[2]["start"]))["audio"])


def test_the_clip_that_follows_is_another_video_s(synthav):
    cfg = cfg_for(
        synthav,
        "AUG.NUM_SAMPLE",
        2,
        "TRAIN.BATCH_SIZE",
        4,
        "DATA.GET_MISALIGNED_AUDIO",
        True,
        "DATA.MIX_NEG_EPOCH",
        0,
        "DATA.EASY_NEG_RATIO",
        0.5,
    )
    loader = build_loader(cfg, "train")
    batch = next(iter(loader))
    index = batch["index"]
    assert len(batch["fast"]) == len(batch["path"]) == 8
    assert torch.equal(index[:4], index[4:])
    assert len(index.unique()) == 4
    assert bool((index != index.roll(-1)).all())
    assert len(batch["audio_hard_negative"]) == len(batch["audio_hard_negative_index"])
    with pytest.raises(ConfigError, match="AUG.NUM_SAMPLE"):
        cfg_for(synthav, "AUG.NUM_SAMPLE", 2, "TRAIN.BATCH_SIZE", 1)


@pytest.mark.parametrize(
    "arch, names", [("slow", {"slow"}), ("slowfast", {"slow", "fast"}), ("audio", {"audio", "audio_mask"})]
)
def test_only_what_the_architecture_takes_is_made(synthav, arch, names):
    cfg = cfg_for(synthav, "MODEL.ARCH", arch)
    sample = build_dataset(cfg, "train")[0]
    assert names == set(sample) - {"label", "index", "path", "start", "failures", "flaws"}
    assert next(iter(build_loader(cfg, "test")))["label"].shape[0] >= 1


def test_log_mel_on_the_device_gives_the_same_numbers(synthav):
    from avslowfast.tasks.build import build_task

    here, there = (
        cfg_for(synthav, "DATA.LOGMEL_ON_DEVICE", on, "SPECAUG.ENABLE", True, "DATA.GET_MISALIGNED_AUDIO", False)
        for on in (False, True)
    )
    batches = [next(iter(build_loader(cfg, "train"))) for cfg in (here, there)]
    assert "waveform" in batches[1]
    assert "audio" not in batches[1]
    device = torch.device("cpu")
    a, b = (build_task(cfg, device).inputs(batch) for cfg, batch in zip((here, there), batches))
    torch.testing.assert_close(a["audio"], b["audio"])
    assert (a["audio"] == 0).any()


def test_hard_negatives_come_from_elsewhere_in_the_same_video(synthav):
    args = ("DATA.GET_MISALIGNED_AUDIO", True, "DATA.MIX_NEG_EPOCH", 2, "DATA.EASY_NEG_RATIO", 0.5)
    loader = build_loader(cfg_for(synthav, *args), "train")
    loader.batch_sampler.set_epoch(1)
    assert all("audio_hard_negative" not in batch for batch in loader)
    loader.batch_sampler.set_epoch(2)
    batches_with_hard = [batch for batch in loader if "audio_hard_negative" in batch]
    count = sum(len(batch["audio_hard_negative_index"]) for batch in batches_with_hard)
    assert 6 <= count <= 26
    for batch in batches_with_hard:
        assert len(batch["audio_hard_negative"]) == len(batch["audio_hard_negative_index"])
    # The other draws of a clip do not depend on the curriculum.
    plain = build_dataset(cfg_for(synthav), "train")[SampleKey(3, 2, 3)]
    assert torch.equal(plain["fast"], build_dataset(cfg_for(synthav, *args), "train")[SampleKey(3, 2, 3)]["fast"])
    # None in validation and test.
    for split in ("val", "test"):
        assert all(
            "audio_hard_negative" not in batch
            for batch in build_loader(cfg_for(synthav, *args, "DATA.MIX_NEG_EPOCH", 0), split)
        )


def test_short_videos_have_no_hard_negative(synthav, tmp_path):
    clip = render_clip("pairs", 1, "x", 0)
    write_video(tmp_path / "short.mp4", clip.frames[:18], 15, clip.audio[: 22050 * 18 // 15], 22050)
    for split in ("train", "val", "test"):
        (tmp_path / f"{split}.csv").write_text("short.mp4 0\n")
    cfg = tiny_cfg(
        "DATA.PATH_TO_DATA_DIR",
        str(tmp_path),
        "DATA.GET_MISALIGNED_AUDIO",
        True,
        "DATA.MIX_NEG_EPOCH",
        0,
        "DATA.EASY_NEG_RATIO",
        0.0,
    )
    assert "audio_hard_negative" not in build_dataset(cfg, "train")[0]


def test_views_come_from_one_decode(synthav, monkeypatch):
    cfg = cfg_for(synthav, "TEST.NUM_ENSEMBLE_VIEWS", 4, "TEST.NUM_SPATIAL_CROPS", 3)
    opened, decoded = [], []
    close = VideoReader.close

    def counting(self):
        opened.append(self.path)
        decoded.append(self.decoded_frames)
        close(self)

    monkeypatch.setattr(VideoReader, "close", counting)
    sample = build_dataset(cfg, "test")[0]
    assert sample["fast"].shape == (12, 3, 8, 48, 48)
    assert sample["audio"].shape == (4, 1, 64, 40)
    assert len(opened) == 1
    assert decoded[0] <= 46
    starts = sample["start"].tolist()
    assert starts == sorted(starts)
    assert len(set(starts)) == 4
    # Crops of one view differ, their audio is one.
    assert not torch.equal(sample["fast"][0], sample["fast"][2])
    assert sample["audio_index"].tolist() == [
        0,
        0,
        0,
        1,
        1,
        1,
        2,
        2,
        2,
        3,
        3,
        3,
    ]


def test_validation_is_the_same_each_time(synthav):
    a, b = (build_dataset(cfg_for(synthav), "val")[3] for _ in range(2))
    assert torch.equal(a["fast"], b["fast"])
    assert torch.equal(a["audio"], b["audio"])
    assert a["fast"].shape == (3, 8, 48, 48)


def test_unreadable_training_files_are_replaced_by_the_next_of_the_order_and_named(synthav, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_text("nothing")
    folder = copy_lists(synthav, tmp_path, lambda split, lines: [f"{bad} 3", *lines[1:]] if split == "train" else lines)
    cfg = cfg_for(folder)
    dataset = build_dataset(cfg, "train")
    order = VideoOrder(cfg.RNG_SEED, len(dataset)).of(0).tolist()
    position = order.index(0)
    sample = dataset[SampleKey(0, 0, position)]
    following = order[(position + 1) % len(order)]
    assert int(sample["index"]) == following
    assert sample["path"] == dataset.records[following].path
    assert int(sample["label"]) == dataset.records[following].label
    assert [path for path, _ in sample["failures"]] == [str(bad)]
    assert "cannot be opened" in sample["failures"][0][1]


def test_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "a.mp4").write_text("x")
    (tmp_path / "train.csv").write_text("a.mp4 0\na.mp4 1\n")
    with pytest.raises(DecodeError, match="no readable file among 2 tried"):
        build_dataset(tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tmp_path)), "train")[0]


def test_a_clip_without_audio_is_kept(synthav, tmp_path):
    mute = tmp_path / "mute.mp4"
    write_video(mute, render_clip("pairs", 1, "x", 0).frames, 15)
    folder = copy_lists(synthav, tmp_path, lambda split, lines: [f"{mute} 0", *lines[1:]])
    for split in ("train", "val", "test"):
        sample = build_dataset(cfg_for(folder), split)[0]
        assert not sample["audio_mask"].any()
        assert torch.isfinite(sample["audio"]).all()
        assert sample["path"] == str(mute)


@pytest.mark.parametrize(
    "line, words",
    [
        ("a.mp4", "no label"),
        ("a.mp4 dog", "'dog' is no class id"),
        ("a.mp4 16", "outside 0..15"),
        ("", "the list is empty"),
    ],
)
def test_mistakes_in_lists_name_file_and_line(tmp_path, line, words):
    (tmp_path / "train.csv").write_text(f"ok.mp4 1\n{line}\n" if line else "\n")
    with pytest.raises(ConfigError, match=words) as error:
        build_dataset(tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tmp_path)), "train")
    assert "train.csv" in str(error.value)
    assert not line or "line 2" in str(error.value)


def test_a_missing_list_says_which_key_to_set(tmp_path):
    with pytest.raises(ConfigError, match="DATA.PATH_TO_DATA_DIR"):
        build_dataset(tiny_cfg("DATA.PATH_TO_DATA_DIR", str(tmp_path)), "val")


def test_separators_prefixes_and_several_labels(tmp_path):
    (tmp_path / "train.csv").write_text("a b.mp4,3\n")
    cfg = tiny_cfg(
        "DATA.PATH_TO_DATA_DIR", str(tmp_path), "DATA.PATH_LABEL_SEPARATOR", ",", "DATA.PATH_PREFIX", "/videos"
    )
    assert build_dataset(cfg, "train").records[0][:2] == ("/videos/a b.mp4", 3)
    (tmp_path / "train.csv").write_text("a.mp4 3,5\n")
    cfg = tiny_cfg(
        "DATA.PATH_TO_DATA_DIR",
        str(tmp_path),
        "DATA.MULTI_LABEL",
        True,
        "MODEL.LOSS_FUNC",
        "bce_logit",
        "MODEL.HEAD_ACT",
        "sigmoid",
    )
    dataset = build_dataset(cfg, "train")
    assert dataset.label(0).nonzero().flatten().tolist() == [3, 5]


def test_the_global_batch_is_the_same_for_any_number_of_ranks():
    one = TrainBatchSampler(VideoOrder(3, 50), 8, 0, 1)
    two = [TrainBatchSampler(VideoOrder(3, 50), 4, rank, 2) for rank in (0, 1)]
    for sampler in (one, *two):
        sampler.set_epoch(4, start=2)
    joined = [a + b for a, b in zip(*two)]
    assert list(one) == joined
    assert len(joined) == 4
    one.set_epoch(5)
    assert [k.video for batch in one for k in batch] != [k.video for batch in joined for k in batch]


@pytest.mark.parametrize("ranks, accumulate", [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_batches_of_multigrid_follow_the_schedule_on_any_number_of_ranks(ranks, accumulate):
    schedule = derived.schedule(tiny_cfg(*MULTIGRID))
    batch = 8 // (ranks * accumulate)
    samplers = [
        TrainBatchSampler(VideoOrder(3, 1000), batch, rank, ranks, schedule, accumulate) for rank in range(ranks)
    ]
    whole = TrainBatchSampler(VideoOrder(3, 1000), 8, schedule=schedule)
    for epoch in (0, schedule.max_epoch - 1):
        for sampler in (*samplers, whole):
            sampler.set_epoch(epoch)
        # The micro-batches of all ranks in turn are the step's batch.
        parts = [part for together in zip(*samplers) for part in together]
        steps = [sum(parts[i : i + ranks * accumulate], []) for i in range(0, len(parts), ranks * accumulate)]
        cycle = schedule.phase(epoch).cycle
        expected = list(whole)
        assert steps[: len(expected)] == expected
        for number, step in enumerate(expected):
            assert {key.shape for key in step} == {cycle[number % len(cycle)]}
            assert len(step) == 8 * cycle[number % len(cycle)].batch
        videos = [key.video for step in expected for key in step]
        assert len(set(videos)) == len(videos) > 1000 - 8 * max(shape.batch for shape in cycle)
        assert len(expected) == len(whole)
        whole.set_epoch(epoch, start=3)
        assert list(whole) == expected[3:]


def test_precise_statistics_are_of_the_configured_shape():
    sampler = TrainBatchSampler(VideoOrder(0, 1000), 8, schedule=derived.schedule(tiny_cfg(*MULTIGRID)))
    sampler.set_epoch(0, full=True)
    assert len(sampler) == 125
    assert {(len(keys), keys[0].shape) for keys in sampler} == {(8, None)}
    sampler.set_epoch(0)
    assert next(iter(sampler))[0].shape is not None


def test_a_list_that_does_not_fill_a_batch_of_multigrid_names_the_shape(synthav):
    cfg = cfg_for(synthav, *MULTIGRID, "TRAIN.BATCH_SIZE", 16)
    with pytest.raises(
        ConfigError, match=r"BATCH_SIZE is 16, in the shape 4x32x32 of MULTIGRID 4 times as much: .* 32"
    ):
        build_loader(cfg, "train")


@pytest.mark.parametrize("workers", [0, 2])
def test_the_loader_gives_batches_in_their_shapes(synthav, workers):
    cfg = cfg_for(synthav, *MULTIGRID, "TRAIN.BATCH_SIZE", 2, "DATA_LOADER.NUM_WORKERS", workers)
    loader, schedule = build_loader(cfg, "train"), derived.schedule(cfg)
    for epoch in (0, schedule.max_epoch - 1):
        loader.epochs.set_epoch(epoch)
        cycle = schedule.phase(epoch).cycle
        for number, batch in zip(range(3), loader):
            shape = cycle[number % len(cycle)]
            assert batch["fast"].shape == (2 * shape.batch, 3, shape.frames, shape.crop, shape.crop)
            assert batch["audio"].shape == (2 * shape.batch, 1, derived.spectrogram_frames(cfg, shape), 40)


def test_evaluation_visits_each_video_once():
    seen = [i for rank in range(3) for i in EvalSampler(10, rank, 3)]
    assert sorted(seen) == list(range(10))


def test_rand_augment_treats_all_frames_alike_and_follows_the_generator():
    from avslowfast.clips.transforms import RandAugment

    frames = np.broadcast_to(np.random.RandomState(0).randint(0, 255, (1, 40, 40, 3), np.uint8), (5, 40, 40, 3))
    augment = RandAugment("rand-m9-n2-mstd0.5")
    a, b = (augment(frames, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(a, b)
    assert a.shape == frames.shape
    assert all(np.array_equal(a[0], f) for f in a)
    assert any(not np.array_equal(augment(frames, np.random.default_rng(s)), frames) for s in range(5))
