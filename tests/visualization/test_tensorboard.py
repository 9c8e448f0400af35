"""What TensorBoard shows of a run."""

from helpers.runs import run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def test_tensorboard_shows_confusion_clips_with_audio_and_weights(run_args, tmp_path):
    run(
        run_args,
        "SOLVER.MAX_EPOCH",
        1,
        "SOLVER.WARMUP_EPOCHS",
        0,
        "TENSORBOARD.ENABLE",
        True,
        "TENSORBOARD.HISTOGRAMS",
        True,
        "TENSORBOARD.CLIPS",
        2,
        "TENSORBOARD.LOG_DIR",
        tmp_path / "tensorboard",
        "TEST.ENABLE",
        False,
    )
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0, "audio": 0})
    events.Reload()
    tags = events.Tags()
    assert set(tags["images"]) == {"val/confusion", "clips/0", "clips/1"}
    assert set(tags["audio"]) == {"clips/0", "clips/1"}
    assert {"train/loss", "train/lr", "val/top1"} <= set(tags["scalars"])
    assert "head.projection.weight" in tags["histograms"]
    assert events.Images("val/confusion")[0].width == 16 * 12 and events.Audio("clips/0")[0].sample_rate == 16000
