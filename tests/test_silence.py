"""No command is silent for more than two seconds on a terminal: a line, a bar, or seconds that are counted."""

import sys

import pytest
from helpers.pages import NAMES
from helpers.silence import spoken_by
from helpers.standins import flat, Reader, SHORT

# Seconds that a command may compute without a sign of life.
LIMIT = 2.0
TINY = "SynthAV/AVSLOWFAST_TINY DATA.PATH_TO_DATA_DIR data/synthav " + " ".join(flat(SHORT))
CALLS = {
    "train": f"{TINY} OUTPUT_DIR out/train",
    "check": f"{TINY} OUTPUT_DIR out/check",
    "lr-find": f"{TINY} OUTPUT_DIR out/lr_find SOLVER.MAX_EPOCH 20 --steps 20",
    "finetune": f"my_videos --cfg OwnVideos/AVSLOWFAST_TINY --out out/finetune {' '.join(flat(SHORT))}",
    "test": f"{TINY} OUTPUT_DIR out/test TEST.CHECKPOINT_FILE_PATH RUN",
    "export": "SynthAV/AVSLOWFAST_TINY --weights RUN --to onnx --out out/tiny.onnx",
    "convert": "SLOWFAST_8x8_R50.pkl out/slowfast.pyth --to pytorchvideo",
    "predict": "--weights RUN new_videos",
    "demo": "--weights RUN --input video.mp4 --output out/demo.mp4 --html out/demo.html",
    "app": "--weights RUN --port 0",
    "features": "--weights RUN --out out/features.h5 new_videos",
    "explain": "--weights RUN --out out/explained video.mp4",
    "sync": "video.mp4 --weights output/synthav_sync",
    "report": "RUN",
    "evaluate": "topk --scores output/AVSLOWFAST_8x8_R50/scores.pt",
    "ablate": "modality --help",
    "lists": "my_videos --out out/lists",
    "prepare": "kinetics400 --annotations A --videos V --out out/k400",
    "pack": "SynthAV/AVSLOWFAST_TINY --out out/shards --name x DATA.PATH_TO_DATA_DIR data/synthav",
    "synthav": "--out out/synthav --num-clips 32 8 8",
    "quickstart": "--short --output out/quickstart --data out/data",
    "doctor": "",
    "benchmark": "step SynthAV/AVSLOWFAST_TINY --repeats 2",
    "zoo": "--out out/zoo.md",
}
# What a command does not stop after by itself, and after which it is interrupted.
UNTIL = {"app": "http", "zoo": "| 2/"}


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return Reader(tmp_path_factory.mktemp("reader"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_command_shows_that_it_lives(name, reader):
    words = CALLS[name].split()
    reader.need(words)
    spoken = spoken_by(
        [sys.executable, "-m", "avslowfast", name, *words], UNTIL.get(name), cwd=reader.folder, env=reader.env
    )
    (seconds, before), end = max(spoken.gaps[:-1]), spoken.gaps[-1][0]
    print(f"\n{name:<11} first sign {spoken.first:.1f} s, longest silence {seconds:.1f} s, end {end:.1f} s")
    assert spoken.code == (130 if name == "zoo" else 0), spoken.text[-2000:]
    assert seconds <= LIMIT, f"{seconds:.1f} s without a sign after {before!r}"
