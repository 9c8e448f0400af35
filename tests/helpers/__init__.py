"""What several test modules share: where things lie, the tiny configuration."""

from pathlib import Path

from avslowfast.config import load_cfg

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "configs/SynthAV/AVSLOWFAST_TINY.yaml"
SHARED = ROOT.parent / "shared"


# Files of the shared folder, one for each container, codec or defect.
REAL_CLIPS = (
    "flipping_a_pancake.mkv",
    "nasa_13013.mp4",
    "big_buck_bunny_30s.webm",
    "nasa_13013_rotated.mp4",
    "av1_video.mkv",
    "test_non_zero_start.mp4",
    "discard_first_keyframe.mp4",
    "corrupted.mp4",
)


# Two classifiers, verb and noun.
VERB_AND_NOUN = (
    "MULTI_HEAD.NAMES",
    ["verb", "noun"],
    "MULTI_HEAD.NUM_CLASSES",
    [5, 7],
    "MULTI_HEAD.LOSS_WEIGHTS",
    [1.0, 1.0],
)
# Both cycles of multigrid in the tiny configuration: clips of 4 and 8 frames, of 32 and 48 pixels.
MULTIGRID = (
    "MULTIGRID.LONG_CYCLE",
    True,
    "MULTIGRID.SHORT_CYCLE",
    True,
    "MULTIGRID.SHORT_CYCLE_FACTORS",
    [0.67],
    "MULTIGRID.LONG_CYCLE_FACTORS",
    [[0.5, 0.67], [1, 1]],
    "SOLVER.LR_POLICY",
    "steps_with_relative_lrs",
    "SOLVER.STEPS",
    [0, 4],
    "SOLVER.LRS",
    [1, 0.1],
)


def tiny_cfg(*overrides):
    """The tiny configuration with overrides."""
    return load_cfg(TINY, list(overrides))


def keys(text):
    """Keys and values as on a command line, separated by spaces."""
    return text.split()
