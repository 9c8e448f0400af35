"""Damage in files that are read all the same is counted, named and marked."""

import av
import numpy as np
import pytest
from helpers.lists import clip_dataset
from helpers.videos import flash_and_click

from avslowfast.datasets import Record
from avslowfast.engine.hooks.failures import FailuresHook
from avslowfast.engine.state import TrainState
from avslowfast.evaluation.failures import FailurePolicy
from avslowfast.loading.collate import collate_eval, collate_train
from avslowfast.loading.flaws import Flaw, flaws_text
from avslowfast.loading.samplers import SampleKey
from avslowfast.media import write_video

RATE = 16000


def damaged_audio(path, begin, end):
    """6 s of video with noise, whose coded audio between two seconds is other noise."""
    rng = np.random.default_rng(0)
    frames = np.zeros((150, 64, 80, 3), np.uint8)
    write_video(path, frames, 25, 0.3 * rng.standard_normal(6 * RATE), RATE, audio_codec="flac")
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        spans = [bytes(p) for p in container.demux(stream) if p.size and begin <= float(p.pts * p.time_base) < end]
    content = path.read_bytes()
    for data in spans:
        assert content.count(data) == 1
        content = content.replace(data, rng.bytes(len(data)))
    path.write_bytes(content)


def test_a_clip_whose_audio_is_damaged_is_marked_and_its_file_named(tmp_path):
    damaged_audio(tmp_path / "x.mkv", 2.0, 4.5)
    good, bad = (Record(str(tmp_path / "x.mkv"), 0, span=span) for span in ((0.0, 1.5), (2.6, 3.9)))
    for split in ("train", "test"):
        dataset = clip_dataset([good, bad], split)
        whole, broken = dataset[SampleKey(0, 0, 0)], dataset[SampleKey(1, 0, 1)]
        assert whole["audio_mask"].all() and whole["flaws"] == []
        assert not broken["audio_mask"].any()
        (flaw,) = broken["flaws"]
        assert flaw.path == bad.path and flaw.damaged > 5 and flaw.deaf == ""
        batch = (collate_train if split == "train" else collate_eval)([whole, broken])
        assert batch["flaws"] == [flaw]
        assert batch["silent"] == broken["audio_mask"].numel()


@pytest.mark.parametrize("arch, frames", [("avslowfast", True), ("audio", False), ("slowfast", True)])
def test_audio_without_a_decoder_is_silent_and_named(tmp_path, arch, frames):
    flash_and_click(tmp_path / "x.mkv", 25, rate=48000, audio_codec="aac")
    content = (tmp_path / "x.mkv").read_bytes()
    assert content.count(b"A_AAC") == 1
    (tmp_path / "x.mkv").write_bytes(content.replace(b"A_AAC", b"A_XYZ"))
    sample = clip_dataset([Record(str(tmp_path / "x.mkv"), 0)], "test", "MODEL.ARCH", arch)[0]
    assert ("slow" in sample) == frames
    if arch == "slowfast":
        assert sample["flaws"] == []
    else:
        assert not sample["audio_mask"].any()
        assert "no audio that can be decoded" in sample["flaws"][0].deaf


def test_flaws_are_summed_up_with_the_first_file_of_each_kind():
    flaws = [Flaw("a", 3), Flaw("b", 0, "no decoder"), Flaw("a", 4), Flaw("c", 1, "no decoder")]
    assert flaws_text(flaws) == (
        "8 damaged packets or frames in 2 files, the first: a; 2 files read as silent, the first: b (no decoder)"
    )


def test_an_epoch_tells_its_flaws_once(tmp_path, caplog):
    caplog.set_level("INFO")
    hook = FailuresHook(FailurePolicy(0.0, 5, str(tmp_path)), 9, lambda steps: 8 * steps, 10)
    state = TrainState((100,) * 2, epoch=1)
    state.count([], ["a", "b"], 0, [Flaw("b", 2)], 1)
    hook.after_epoch(state)
    assert caplog.messages == [
        "epoch 1: 2 damaged packets or frames in 1 file, the first: b",
        "epoch 1: 1 clip without audio",
    ]
    state.clear_epoch()
    caplog.clear()
    hook.after_epoch(state)
    assert caplog.messages == []
