"""What several test modules share: where things lie, the tiny configuration."""

from pathlib import Path

from avslowfast.config import load_cfg

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "configs/SynthAV/AVSLOWFAST_TINY.yaml"
SHARED = ROOT.parent / "shared"


def tiny_cfg(*overrides):
    """The tiny configuration with overrides."""
    return load_cfg(TINY, list(overrides))


def keys(text):
    """Keys and values as on a command line, separated by spaces."""
    return text.split()
