"""Small data sets for tests."""

from avslowfast.clips import ClipReader
from avslowfast.datasets import Listing
from avslowfast.loading import ClipDataset
from avslowfast.loading.build import clip_settings
from avslowfast.loading.labels import NoLabel

from . import tiny_cfg


def cfg_for(synthav, *overrides):
    return tiny_cfg("DATA.PATH_TO_DATA_DIR", str(synthav), "DATA_LOADER.NUM_WORKERS", 0, *overrides)


def clip_dataset(records, split="train", *overrides):
    """Records without labels, cut as the tiny configuration with overrides says."""
    return ClipDataset(
        Listing(records, labels="none"), ClipReader(clip_settings(tiny_cfg(*overrides))), NoLabel(), split
    )


def copy_lists(synthav, folder, change):
    """List files in `folder` with the lines that `change` makes of the small SynthAV's."""
    for split in ("train", "val", "test"):
        lines = (synthav / f"{split}.csv").read_text().split("\n")[:-1]
        lines = [f"{synthav}/{line}" for line in lines]
        (folder / f"{split}.csv").write_text("\n".join(change(split, lines)) + "\n")
    return folder
